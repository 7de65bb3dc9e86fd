#!/bin/bash
# SPDX-License-Identifier: ISC
# phial-hook by hand: states, configs and surroundings that no runtime gives, the wrong stage, a
# container that is gone. Whatever comes: it ends, says why, and mounts nothing. suite-timeout: 180
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need runc busybox python3 setpriv

CANARY=$(canary)
HOOK_OPTIONS=(--run-dir "$WORK/run" --workload web)

# state FIELDS: a state with these JSON members besides the usual ones
state() { printf '{"ociVersion":"1.0.2",%s}' "$1"; }
usual() { printf '"id":"a","status":"creating","pid":%s,"bundle":"%s"' "$1" "$WORK/still"; }

# give FILE: to the hook, in $BUNDLE; $OUTPUT and $STATUS are what came of it
give() {
	OUTPUT=$(cd "${BUNDLE:-$WORK/still}" &&
		exec timeout 30 "$HOOK" "${HOOK_OPTIONS[@]}" <"$1" 2>&1)
	STATUS=$?
}

is_attached() { grep -q ' /run/secrets ' "/proc/$STILL/mountinfo"; }

# refuses DESCRIPTION [PATTERN]: after `give`
refuses() {
	if [ "$STATUS" -gt 0 ] && [ "$STATUS" -lt 124 ] && ! is_attached &&
		[ "$(host_mounts)" = "$MOUNTS" ] && grep -Eq "^phial-hook: .*${2:-}" <<<"$OUTPUT" &&
		! grep -q '[^ -~]' <<<"$OUTPUT"; then
		ok "$1: refused"
	else
		not_ok "$1: refused"
		diag "exit $STATUS, wanted a line like: ${2:-any}" "$OUTPUT" "$(host_mounts |
			diff - <(echo "$MOUNTS"))"
	fi
}

# refuses_state DESCRIPTION PATTERN TEXT
refuses_state() {
	printf '%s' "$3" >"$WORK/input"
	give "$WORK/input"
	refuses "$1" "$2"
}

# Shows that what follows is refused for its one fault, and not for another.
test_control() {
	state "$(usual "$STILL")" >"$WORK/input"
	give "$WORK/input"
	is "$STATUS $OUTPUT" "0 " "control: a good state is taken"
	is "$(sha256sum <"/proc/$STILL/root/run/secrets/db" | cut -c-64)" "$(sha "$CANARY")" \
		"control: and the secret is there"
	end_still
	forget "$STILL"
	within 5 no_containers
	new_still
}

test_pids() {
	local pid
	for pid in 0 1 -1 2147483648 4294967297 18446744073709551616 1e3 '"7"' 4194303 null "$$" \
		"$AGENT_PID"; do
		refuses_state "H-01 pid $pid" "" "$(state "$(usual "$pid")")"
	done
	refuses_state "H-01 pid of a kernel thread" "" "$(state "$(usual "$(pgrep -o kthreadd)")")"
	start sleep 100
	refuses_state "H-01 pid of a process of the host" "host|namespace" \
		"$(state "$(usual "$STARTED_PID")")"
	stop "$STARTED_PID"
	refuses_state "H-01 pid of a process that is gone" "" "$(state "$(usual "$STARTED_PID")")"
	refuses_state "H-01 no pid" "" "$(state '"id":"a","status":"creating","bundle":"/"')"
}

test_forms() {
	local good length
	good=$(state "$(usual "$STILL")")
	refuses_state "H-02 something behind it" "" "$good{}"
	refuses_state "H-02 two pids" "" "$(state "$(usual "$STILL"),\"pid\":$STILL")"
	refuses_state "H-02 two pids, one escaped" "" "$(state "$(usual "$STILL"),\"p\\u0069d\":1")"
	refuses_state "H-02 pid in other letters only" "" \
		"$(state "\"id\":\"a\",\"status\":\"creating\",\"PID\":$STILL,\"bundle\":\"/\"")"
	refuses_state "H-02 not UTF-8" "" "$(state "$(usual "$STILL"),\"x\":\"$(printf '\377')\"")"
	refuses_state "H-02 an array" "" "[$good]"
	refuses_state "H-02 nothing" "no container state" ""
	refuses_state "H-02 no JSON" "" "hello"
	for length in 1 20 $((${#good} - 1)); do
		refuses_state "H-02 ends after $length bytes" "" "${good:0:length}"
	done
	python3 -c 'print("{\"a\":" * 30000 + "1" + "}" * 30000, end="")' >"$WORK/input"
	give "$WORK/input"
	refuses "H-02 60,000 levels deep"
	head -c $((64 << 20)) /dev/zero >"$WORK/input"
	give "$WORK/input"
	refuses "H-02 64 MiB" "over 64 KiB"
	rm "$WORK/input"
}

test_stdin() {
	give /dev/null
	refuses "H-02 an empty stdin" "no container state"
	OUTPUT=$(cd "$WORK/still" && exec "$HOOK" "${HOOK_OPTIONS[@]}" <&- 2>&1)
	STATUS=$?
	refuses "H-02 a closed stdin" "state|stdin"
	give "$WORK"
	refuses "H-02 stdin is a folder" "stdin"
	mkfifo "$WORK/slow"
	exec 8<>"$WORK/slow"
	printf '{"ociVersion"' >&8
	give "$WORK/slow"
	refuses "H-02 a stdin that never ends" "10 seconds"
	exec 8>&-
}

test_names() {
	local id
	for id in a/b ../../x .. '' "$(printf 'a%.0s' {1..200})" 'a\nb' 'a\u001b[31m' 'a\u0000b'; do
		mark_log
		refuses_state "H-03 id ${id:0:20}" "" \
			"$(state "\"id\":\"$id\",\"status\":\"creating\",\"pid\":$STILL,\"bundle\":\"$WORK/still\"")"
		unlike "$(log_since)" $'\033|has workload' "H-03 id ${id:0:20}: the log is safe"
	done
	for id in relative/x '' '/a\u0000b'; do
		refuses_state "H-03 bundle ${id:-empty}" "" \
			"$(state "\"id\":\"a\",\"status\":\"creating\",\"pid\":$STILL,\"bundle\":\"$id\"")"
	done
}

# config DESCRIPTION PATTERN STATEMENT: with a config.json that Python changed
config() {
	python3 - "$WORK/still/config.json" "$BUNDLE/config.json" "$3" <<-'PYTHON'
		import json, sys
		c = json.load(open(sys.argv[1]))
		exec(sys.argv[3])
		json.dump(c, open(sys.argv[2], "w"))
	PYTHON
	state "$(usual "$STILL")" >"$WORK/input"
	give "$WORK/input"
	refuses "$1" "$2"
}

test_configs() {
	local root
	BUNDLE=$WORK/other
	mkdir -p "$BUNDLE"
	for root in .. ../.. rootfs/../.. ""; do
		config "H-04 root.path \"$root\"" "" "c['root']['path'] = '$root'"
	done
	config "H-04 no root" "" "del c['root']"
	config "H-04 process.user is text" "" "c['process']['user'] = 'root'"
	config "H-04 mounts is a number" "" "c['mounts'] = 7"
	: >"$BUNDLE/config.json"
	give "$WORK/input"
	refuses "H-04 an empty config.json"
	truncate -s 64M "$BUNDLE/config.json"
	give "$WORK/input"
	refuses "H-04 a config.json of 64 MiB"
	rm "$BUNDLE/config.json"
	give "$WORK/input"
	refuses "H-04 no config.json" "createRuntime"
	ln -s "$WORK/still/config.json" "$BUNDLE/config.json"
	give "$WORK/input"
	refuses "H-04 config.json is a link" "config.json"
	rm "$BUNDLE/config.json"
	mkfifo "$BUNDLE/config.json"
	give "$WORK/input"
	refuses "H-04 config.json is a pipe" "regular"
	rm "$BUNDLE/config.json"
	mkdir "$BUNDLE/config.json"
	give "$WORK/input"
	refuses "H-04 config.json is a folder" "config.json"
	BUNDLE=
}

# A config that names another root than the runtime's: only in a container whose root is still at its
# place on the host does that path count.
test_roots() {
	local root before
	BUNDLE=$WORK/other
	rm -rf "$BUNDLE"
	mkdir -p "$BUNDLE" "$WORK/elsewhere/run/secrets"
	ln -sfn "$WORK/elsewhere" "$WORK/link"
	before=$(host_mounts)
	for root in / /etc /proc "$WORK/elsewhere" "$WORK/link" nowhere rootfs/run rootfs/proc; do
		B=$WORK/root$((BUNDLES++))
		busybox_bundle "$B" --hook /bin/sh --hook-arg=-c --hook-arg="cd $BUNDLE && exec $HOOK \
			${HOOK_OPTIONS[*]}" -- echo STARTED
		sed "s|\"path\": \"rootfs\"|\"path\": \"$root\"|" "$B/config.json" \
			>"$BUNDLE/config.json"
		run
		refused "phial-hook: .*(root|in the image)" "H-04 root.path $root ($runtime)"
		is "$(host_mounts)" "$before" "H-04 root.path $root: no mount on the host ($runtime)"
	done
	cp "$B/config.json" "$BUNDLE/config.json"
	run
	is "$OUTPUT" STARTED "H-04 control: the right root.path ($runtime)"
	BUNDLE=
}

test_stages() {
	refuses_state "wrong stage: createContainer under runc" "" "$(state "$(usual 1)")"
	refuses_state "wrong stage: createContainer under crun" "" "$(state "$(usual 0)")"
	refuses_state "wrong stage: poststop under runc" "" \
		"$(state "\"id\":\"a\",\"status\":\"stopped\",\"bundle\":\"$WORK/still\"")"
	refuses_state "wrong stage: poststop under crun" "" \
		"$(state "\"id\":\"a\",\"status\":\"stopped\",\"pid\":0,\"bundle\":\"$WORK/still\"")"
}

test_by_hand() {
	exits 2 "by hand: an unknown argument" "$HOOK" --nonsense
	exits 2 "by hand: --workload without a value" "$HOOK" --workload
	exits 2 "by hand: --run-dir is relative" "$HOOK" --run-dir x
	chmod 0755 "$WORK/still"
	state "$(usual "$STILL")" >"$WORK/input"
	OUTPUT=$(cd "$WORK/still" &&
		run_as 65533 "$HOOK" "${HOOK_OPTIONS[@]}" <"$WORK/input" 2>&1)
	STATUS=$?
	refuses "U-06 without root" "root"
	exits 0 "by hand: --version" "$HOOK" --version
}

# The container goes while the agent is busy.
test_gone() {
	local hook
	state "$(usual "$STILL")" >"$WORK/input"
	kill -STOP "$AGENT_PID" "$(worker)"
	(cd "$WORK/still" && exec "$HOOK" "${HOOK_OPTIONS[@]}" <"$WORK/input" >"$WORK/said" 2>&1) &
	hook=$!
	STARTED+=("$hook")
	within 5 has_socket "$hook"
	end_still
	forget "$STILL"
	kill -CONT "$AGENT_PID" "$(worker)"
	wait "$hook"
	STATUS=$?
	forget "$hook"
	check "container gone in between: the hook ends ($STATUS)" test "$STATUS" -lt 124
	within 5 no_containers
	check "container gone in between: nothing is kept" no_containers
	is "$(host_mounts)" "$MOUNTS" "container gone in between: no mount on the host"
	state "$(usual "$STILL")" >"$WORK/input"
	give "$WORK/input"
	like "$STATUS $OUTPUT" "^[1-9][0-9]* phial-hook: .*" "container gone before: $OUTPUT"
}
has_socket() { find "/proc/$1/fd" -lname 'socket:*' | grep -q .; }

main() {
	local runtime
	BUNDLE=
	make_store
	seal web/db "$CANARY"
	start_agent || bail "the agent does not start"
	new_still
	MOUNTS=$(host_mounts)
	test_control
	test_pids
	test_forms
	test_stdin
	test_names
	test_configs
	for runtime in $(runtimes); do
		test_roots
	done
	test_stages
	test_by_hand
	is "$(status_of 's["agent"]["worker_restarts"]')" 0 "the worker was never lost"
	test_control
	test_gone
	sweep "H the secret was left nowhere" "$CANARY"
}

main
finish
