#!/bin/bash
# SPDX-License-Identifier: ISC
# What a process in a container can try: the agent's keys, the secrets mount, what is wiped under its
# eyes, an end in the middle, its neighbours, and the id of a container that is gone.
# suite-timeout: 240
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need runc busybox python3 nsenter keyctl

CANARY=$(canary)
NEIGHBOUR=$(canary)
PROBES=$BUILD/tests/probes

# probe NAME [option...] -- ARGUMENT...: a container whose image has this probe as /bin/probe
probe() {
	local name=$1
	shift
	bundle --file "$PROBES/$name:/bin/probe" "$@"
}

# all_refused DESCRIPTION...: the probe's TAP says that nothing worked
all_refused() {
	run
	if [ "$STATUS" -eq 0 ] && grep -q '^1\.\.[1-9]' <<<"$OUTPUT"; then
		ok "$* ($(grep -c '^ok' <<<"$OUTPUT") attempts) ($runtime)"
	else
		not_ok "$* ($runtime)"
		diag "$(grep -v '^ok' <<<"$OUTPUT")"
	fi
}

# The serials are no secret: the probe is told them.
test_keys() {
	local ring key rest
	if [ ! -x "$FAULT" ] || ! read -r ring key rest < <(ring_of "$AGENT_PID") ||
		[ -z "$key" ]; then
		skip "no way to learn the agent's serials here" "C-01 to C-03 ($runtime)"
		return
	fi
	probe probe_keyring --mask-nothing -- probe "$ring" "$key"
	all_refused "C-01 root in a container, keys of the agent"
	probe probe_keyring --mask-nothing --cap CAP_SYS_ADMIN -- probe "$ring" "$key"
	all_refused "C-02 with CAP_SYS_ADMIN"
	probe probe_keyring --mask-nothing -- \
		probe --uid "$(id -u "$AGENT_USER")" "$ring" "$key"
	all_refused "C-02 with the uid of the worker"
	probe probe_keyring --mask-nothing --userns 200000 -- probe "$ring" "$key"
	all_refused "C-03 in a user namespace"
}

test_writing() {
	probe probe_write --hook-arg=--workload --hook-arg=web -- probe /run/secrets/
	all_refused "C-04 root changes the mount"
	probe probe_write --hook-arg=--workload --hook-arg=web --userns 200000 --user 9 -- \
		probe /run/secrets/
	all_refused "C-04 its user in a user namespace changes the mount"
	probe probe_write --hook-arg=--workload --hook-arg=open --userns 200000 \
		--cap CAP_SYS_ADMIN -- probe --remount /run/secrets/
	all_refused "C-04 CAP_SYS_ADMIN in a user namespace: remounts, and changes nothing"
}

test_holding() {
	local holder
	probe probe_hold --hook-arg=--workload --hook-arg=web -- sleep 100
	start_container || return
	rm -f "$WORK/held"
	# Outside of its process namespace, so that it outlives the container.
	start_quietly "$WORK/held" nsenter -t "$CONTAINER_PID" -m /bin/probe /run/secrets/db
	holder=$STARTED_PID
	within 5 grep -q held "$WORK/held"
	everywhere_but "$holder"
	runtime_stop "$runtime" "$CONTAINER"
	wait "$holder"
	is "$?" 0 "C-08 a holder outlives its container and is not killed ($runtime)"
	is "$(tail -n 1 "$WORK/held")" zeros \
		"C-08 G7 its open file and its mapping are zeros ($runtime)"
	within 5 no_containers
	check "C-08 and the agent does not wait for it ($runtime)" no_containers
}
everywhere_but() {
	sweep "C-08 the holder's mapping is the only place ($runtime)" "$CANARY" --skip-pid "$1"
}

# The container is killed while the agent has its request.
test_killed() {
	local id starter pid
	bundle --hook-arg=--workload --hook-arg=web -- sleep 100
	mark_log
	new_container "$runtime"
	id=$CONTAINER
	kill -STOP "$AGENT_PID" "$(worker)"
	runtime "$runtime" create --bundle "$B" --pid-file "$B/pid" "$id" </dev/null \
		>"$B/output" 2>&1 &
	starter=$!
	within 5 hook_is_waiting
	pid=$(hooked_pid)
	kill -KILL "$pid"
	kill -CONT "$AGENT_PID" "$(worker)"
	wait "$starter"
	check "C-13 killed while its secrets are on the way: not started ($runtime)" [ $? -ne 0 ]
	within 5 no_containers
	check "C-13 the agent let go of it ($runtime)" no_containers
	# The hook may have been quicker than the news of the end; then the wiping is on record.
	log_has "has workload" &&
		within_log "container $id is gone, its secrets are wiped" "C-13 wiped ($runtime)"
	bundle --hook-arg=--workload --hook-arg=web -- sha256sum /run/secrets/db
	run
	like "$OUTPUT" "$(sha "$CANARY")" "C-13 the next container is served ($runtime)"
}
hook_is_waiting() { pgrep -f "$HOOK_NAME --run-dir $RUN_DIR "; }
HOOK_NAME=phial-hook
# The process that the waiting hook has in hand: its pidfd tells.
hooked_pid() {
	local hook
	hook=$(hook_is_waiting | head -n 1)
	within 5 grep -qs '^Pid:' /proc/"$hook"/fdinfo/*
	awk '/^Pid:/ { print $2; exit }' /proc/"$hook"/fdinfo/* 2>/dev/null
}

# join_pids: options for a container in the process namespace of $CONTAINER_PID
join_pids() {
	printf 'for n in c["linux"]["namespaces"]:\n if n["type"] == "pid": n["path"] = "/proc/%s/ns/pid"' \
		"$CONTAINER_PID"
}

test_neighbours() {
	local first first_pid handle own
	bundle --hook-arg=--workload --hook-arg=web --user 1000 -- sleep 100
	start_container || return
	first=$CONTAINER first_pid=$CONTAINER_PID
	bundle --user 4242 --edit "$(join_pids)" --edit \
		'c["process"]["capabilities"] = {}' -- \
		sh -c 'cat /proc/1/root/run/secrets/db; echo STARTED'
	run
	like "$OUTPUT" "Permission denied|can't open" \
		"X-01 a neighbour in its process namespace does not read its files ($runtime)"
	bundle --hook-arg=--workload --hook-arg=mail --edit "$(join_pids)" -- echo STARTED
	run
	refused private_pid "X-01 a container that joins others' processes gets nothing ($runtime)"

	handle=$("$PROBES/probe_handle" name "/proc/$first_pid/root/run/secrets/db")
	probe probe_handle --hook-arg=--workload --hook-arg=open --cap CAP_DAC_READ_SEARCH -- sh -c \
		"probe open /run/secrets/ \$(probe name /run/secrets/db); probe open /run/secrets/ $handle"
	run
	own=$(head -n 1 <<<"$OUTPUT")
	if [ "$own" = opened ]; then
		ok "X-05 control: a handle of its own file opens ($runtime)"
		like "$(tail -n 1 <<<"$OUTPUT")" "open_by_handle_at: Stale" \
			"X-05 a neighbour's handle does not ($runtime)"
	else
		skip "$own" "X-05 handles of the secrets mount ($runtime)"
	fi
	runtime_stop "$runtime" "$first"
	within 5 no_containers
}

# one_id OPTION...: a container with always the same id
one_id() {
	bundle "$@"
	runtime "$runtime" create --bundle "$B" --pid-file "$B/pid" "$ID" </dev/null \
		>"$B/output" 2>&1 || return
	CONTAINER_PID=$(cat "$B/pid")
	CONTAINER=$ID
	runtime "$runtime" start "$ID" >>"$B/output" 2>&1
}

test_same_id() {
	ID=phial-test-$$-same
	CONTAINERS+=("$runtime $ID")
	one_id --hook-arg=--workload --hook-arg=web -- sleep 100
	is "$(inside sha256sum /run/secrets/db | cut -c-64)" "$(sha "$CANARY")" \
		"X-07 a container ($runtime)"
	runtime_stop "$runtime" "$ID"
	one_id -- sleep 100
	is "$(inside ls -A /run/secrets)" "" \
		"X-07 another of the same id, at once and without a grant, has nothing ($runtime)"
	runtime_stop "$runtime" "$ID"
	one_id --hook-arg=--workload --hook-arg=mail -- sleep 100
	is "$(inside sha256sum /run/secrets/db | cut -c-64)" "$(sha "$NEIGHBOUR")" \
		"X-07 a third has what it was granted, not what the first was ($runtime)"
	soon '[c["workload"] for c in s["containers"]]' "['mail']" \
		"X-07 status knows the third only ($runtime)"
	runtime_stop "$runtime" "$ID"
	within 5 no_containers
}

main() {
	local runtime
	make_store
	seal web/db "$CANARY"
	seal mail/db "$NEIGHBOUR"
	printf '%s\n' '{ "phial": "policy v1", "serial": 1, "workloads": {' \
		'"open": { "secrets": ["mail/db"], "gates": [] } } }' >"$STORE/.phial/policy.json"
	"$PHIAL" policy sign --store "$STORE" >"$WORK/policy.log" 2>&1 ||
		bail "$(cat "$WORK/policy.log")"
	start_agent || bail "the agent does not start"
	for runtime in $(runtimes); do
		test_keys
		test_writing
		test_holding
		test_killed
		test_neighbours
		test_same_id
	done
	sweep "C the secrets were left nowhere" "$CANARY
$NEIGHBOUR"
}

main
finish
