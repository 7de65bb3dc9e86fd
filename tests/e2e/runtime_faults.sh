# SPDX-License-Identifier: ISC
# phial-runtime around a runtime that fails at each step, in every way: what the engine gets to see,
# and that a container which did not get its secrets is deleted.
# suite-timeout: 120
# shellcheck shell=bash disable=SC2016,SC2034,SC2154
. "$(dirname "$0")/_lib.sh"
need_root
need busybox python3

FAKE=$ROOT/tests/tools/fake_runtime
RUN_DIR=$WORK/run
mkdir -m 0700 "$RUN_DIR"
mkdir -p "$RUN_DIR/workload/web"
export FAKE_LOG=$WORK/calls FAKE_CREATE='' FAKE_STATE='' FAKE_DELETE='' FAKE_OTHER=''
busybox_bundle "$WORK/granted" --empty --run-dir "$RUN_DIR" --grant web
busybox_bundle "$WORK/plain" --empty
WRAP=("$RUNTIME" --phial-run-dir "$RUN_DIR" --phial-runtime "$FAKE")

# create BUNDLE [option...]: through the wrapper; $OUTPUT (both streams), $STATUS, $ERROR (the last
# error in the engine's log)
create() {
	local bundle=$WORK/$1
	shift
	rm -f "$WORK/log.json" "$WORK/calls" "$WORK/pid"
	OUTPUT=$("${WRAP[@]}" --root "$WORK/r" --log "$WORK/log.json" --log-format json create \
		--bundle "$bundle" "$@" c1 2>&1 </dev/null)
	STATUS=$?
	ERROR=$(python3 -c 'import json, sys
for line in open(sys.argv[1]): entry = json.loads(line)
assert entry["level"] == "error" and entry["time"].endswith("Z")
print(entry["msg"])' "$WORK/log.json" 2>/dev/null)
}

deleted() { grep -qx -- "--root $WORK/r --log $WORK/log.json --log-format json delete --force c1" "$WORK/calls"; }

# refused PATTERN DESCRIPTION...: after `create`
refused() {
	local pattern=$1
	shift
	is "$STATUS" 1 "$*: exit code 1"
	like "$ERROR" "^phial-runtime: .*$pattern" "$*: the engine reads why"
	like "$(tr '\n' ' ' <<<"$OUTPUT")" "^phial-runtime: .*${pattern/; / phial-runtime: }" \
		"$*: stderr, too"
	check "$*: the container is deleted" deleted
}

test_exit_codes() {
	local code bad=
	for code in $(seq 1 255); do
		FAKE_CREATE="exit $code"
		"${WRAP[@]}" create --bundle "$WORK/granted" c1 >"$WORK/said" 2>&1
		[ $? -eq "$code" ] && [ ! -s "$WORK/said" ] || bad+=" $code"
	done
	is "$bad" "" "exit codes 1 to 255 of create are passed on in silence"
	for code in 0 1 2 126 127 255; do
		FAKE_CREATE="exit $code"
		exits "$code" "exit code $code without a grant" "${WRAP[@]}" create \
			--bundle "$WORK/plain" c1
	done
	FAKE_CREATE='echo out; echo err >&2; exit 9'
	create granted
	is "$STATUS $OUTPUT" "9 out
err" "what a failing create prints is passed on"
	is "$(wc -l <"$WORK/calls")" 1 "a create that failed is the runtime's own to clean up"
	for code in 9 11 15; do
		FAKE_CREATE="kill -$code \$\$"
		# Bash's own words on a child that was killed are not wanted here.
		STATUS=$(python3 -c 'import subprocess, sys; print(subprocess.run(sys.argv[1:]).returncode)' \
			"${WRAP[@]}" create --bundle "$WORK/granted" c1)
		is "$STATUS" "-$code" "killed by signal $code: the wrapper ends by it, too"
	done
}

# What the runtime finds: the same, whether the wrapper stands between or not.
test_surroundings() {
	local look='cd /; umask; ulimit -a; env | grep -v "^_=\|^SHLVL="; ls -l /proc/$$/fd | tr -s " " |
		cut -d" " -f9- | grep -v "pipe:\|/fake_runtime"; grep "^Sig[BIC]\|^Cap\|^NoNew\|^Groups" /proc/$$/status
		cat /proc/$$/oom_score_adj; exit 5'
	local bare
	for bundle in plain granted; do
		FAKE_CREATE=$look
		bare=$(env --ignore-signal=CHLD,USR1 "$FAKE" create --bundle "$WORK/$bundle" c1 \
			5<"$ROOT/README.md" 2>&1 </dev/null)
		is "$(env --ignore-signal=CHLD,USR1 "${WRAP[@]}" create --bundle "$WORK/$bundle" c1 \
			5<"$ROOT/README.md" 2>&1 </dev/null)" "$bare" \
			"$bundle: descriptors, environment, limits, signals, capabilities are the caller's"
	done
	like "$bare" '5 -> .*README.md' "(and the comparison sees an extra descriptor)"
	like "$bare" 'SigIgn:.*[1-9a-f]' "(and an ignored signal)"
}

test_pid_files() {
	local text
	FAKE_CREATE='printf "%s" "$PID_TEXT" >"$pid_file"'
	for text in '' x 0 1 -5 '12 13' 4194305 99999999999999999999 '7
8'; do
		PID_TEXT=$text
		export PID_TEXT
		create granted --pid-file "$WORK/pid"
		refused 'does not hold a process id' "pid file with \"$(tr '\n' ' ' <<<"$text")\""
	done
	FAKE_CREATE=
	create granted --pid-file "$WORK/pid"
	refused 'open the runtime.s pid file' "no pid file"
	sleep 600 &
	STARTED+=($!)
	echo $! >"$WORK/pid.old"
	ln -f "$WORK/pid.old" "$WORK/pid2"
	create granted --pid-file "$WORK/pid2"
	refused 'open the runtime.s pid file' "a pid file of another container is not believed"
	FAKE_CREATE='head -c 1000000 /dev/zero >"$pid_file"'
	create granted --pid-file "$WORK/pid"
	refused 'does not hold a process id' "pid file of a megabyte"
	FAKE_CREATE='mkfifo "$pid_file"'
	create granted --pid-file "$WORK/pid"
	refused 'does not hold a process id' "pid file that is a pipe"
}

test_states() {
	local text
	FAKE_CREATE=
	for text in '' '{}' 'garbage' '{"pid":0}' '{"pid":7,"pid":8}' '{"pid":"7"}'; do
		FAKE_STATE="echo '$text'"
		create granted
		refused 'container state' "state \"$text\""
	done
	FAKE_STATE='exit 3'
	create granted
	refused 'state failed' "state fails"
	FAKE_STATE='head -c 3000000 /dev/zero'
	create granted
	refused 'more than' "state of three megabytes"
	FAKE_STATE=
}

# fake_agent MODE
fake_agent() {
	rm -f "$RUN_DIR/hook.sock" "$WORK/agent-log"
	start python3 "$ROOT/tests/tools/fake_agent.py" --run-dir "$RUN_DIR" \
		--log "$WORK/agent-log" --mode "$1"
	AGENT=$STARTED_PID
	within 10 grep -q LISTEN "$WORK/agent-log" || bail "the fake agent does not start"
}

test_agents() {
	FAKE_CREATE='echo $PPID >"$pid_file"'
	fake_agent go
	create granted --pid-file "$WORK/pid"
	refused 'no mount namespace of its own' "a runtime that names a process of the host"
	FAKE_CREATE='(exit 0) & echo $! >"$pid_file"; wait'
	create granted --pid-file "$WORK/pid"
	refused 'is gone|closed the connection' "a runtime that names a process that has ended"
	stop "$AGENT"
	FAKE_CREATE='echo 2 >"$pid_file"'
	fake_agent refuse
	create granted --pid-file "$WORK/pid"
	refused 'web: gate non_root: runs as root; web: gate seccomp: none' "all reasons at once"
	FAKE_DELETE='exit 1'
	create granted --pid-file "$WORK/pid"
	refused 'could not be deleted' "a delete that fails is said"
	FAKE_DELETE='exec sleep 600'
	create granted --pid-file "$WORK/pid"
	refused 'could not be deleted' "a delete that hangs is given up"
	FAKE_DELETE=
	stop "$AGENT"
	for mode in no-grant done; do
		fake_agent "$mode"
		create granted --pid-file "$WORK/pid"
		is "$STATUS$OUTPUT" 0 "$mode: nothing is to be done, and nothing is said"
		stop "$AGENT"
	done
	for mode in garbage wrong-turn die-at-start; do
		fake_agent "$mode"
		create granted --pid-file "$WORK/pid"
		is "$STATUS" 1 "an agent that says $mode: a failure"
		check "an agent that says $mode: the container is deleted" deleted
		stop "$AGENT"
	done
}

test_commands() {
	FAKE_CREATE=
	create plain
	is "$STATUS$OUTPUT" 0 "no grant: the runtime alone"
	FAKE_OTHER='echo ran; exit 4'
	for command in run restore; do
		exits 1 "$command with a grant" "${WRAP[@]}" "$command" --bundle "$WORK/granted" c1
		like "$OUTPUT" "\"$command\" starts a container at once" "$command: the reason"
		exits 4 "$command without a grant" "${WRAP[@]}" "$command" --bundle "$WORK/plain" c1
	done
	exits 4 "other commands pass" "${WRAP[@]}" events create
	exits 4 "no command passes" "${WRAP[@]}" --version
	exits 1 "a runtime that is not there" "$RUNTIME" --phial-runtime no-such-runtime state x
	like "$OUTPUT" 'no runtime "no-such-runtime": install it, or' "and what to do"
	: >"$WORK/no-program"
	exits 127 "a runtime that cannot be executed" "$RUNTIME" --phial-run-dir "$RUN_DIR" \
		--phial-runtime "$WORK/no-program" create --bundle "$WORK/granted" c1
	like "$OUTPUT" 'run .*/no-program: Permission denied' "and why"
	exits 1 "the same without a grant" "$RUNTIME" --phial-runtime "$WORK/no-program" state c1
	ln -s "$RUNTIME" "$WORK/phial-runtime-self"
	exits 1 "itself" "$RUNTIME" --phial-runtime "$WORK/phial-runtime-self" state x
	exits 1 "an id that cannot be made out" "${WRAP[@]}" create --bundle "$WORK/granted"
	like "$OUTPUT" "cannot make out the container's id" "and why"
	exits 0 "its own version" "$RUNTIME" --phial-version
	FAKE_CREATE='exit 8'
	mkdir "$WORK/no-config" "$WORK/linked"
	exits 8 "no config.json: the runtime's to say" "${WRAP[@]}" create --bundle "$WORK/no-config" c1
	ln -s "$WORK/granted/config.json" "$WORK/linked/config.json"
	exits 1 "a config.json that is a link" "${WRAP[@]}" create --bundle "$WORK/linked" c1
	exits 1 "crun's --config is looked at" "${WRAP[@]}" run --bundle "$WORK/plain" \
		--config "$WORK/granted/config.json" c1
}

# A log in text, no log, a log that cannot be written.
test_logs() {
	FAKE_OTHER=
	"${WRAP[@]}" --log "$WORK/log.text" run --bundle "$WORK/granted" c1 2>/dev/null
	like "$(cat "$WORK/log.text")" \
		'^time="[0-9TZ:-]*" level=error msg="phial-runtime: \\"run\\" starts .*"$' "a log in text"
	exits 1 "a log that cannot be written" "${WRAP[@]}" --log /no/such/log run \
		--bundle "$WORK/granted" c1
	like "$OUTPUT" 'starts a container at once' "does not hide the reason"
}

test_exit_codes
test_surroundings
test_pid_files
test_states
test_agents
test_commands
test_logs
finish
