# SPDX-License-Identifier: ISC
# phial-runtime on the real runc and crun, without an engine: create with a grant and without, what
# engines pass through it, signals, and its death at every step.
# suite-timeout: 120
# shellcheck shell=bash disable=SC2034,SC2154
. "$(dirname "$0")/_lib.sh"
need_root
need runc crun busybox python3

CANARY=$(canary)
SHA=$(sha "$CANARY")
make_store
seal web/db_password "$CANARY"
start_agent || bail "the agent does not start"
READ='sha256sum </run/secrets/db_password | cut -d" " -f1'

# wrapped ARGUMENT...: phial-runtime around $runtime, on runtime()'s state folder
wrapped() {
	local name=$runtime prefix=()
	[ "$name" = crun ] && cgroup_is_hybrid && prefix=(without_unified)
	"${prefix[@]}" "$RUNTIME" --phial-run-dir "$RUN_DIR" --phial-runtime "$name" \
		--root "$WORK/state-$name" "$@"
}

# wrap BUNDLE [create's option...]: create and start; what the container says is in BUNDLE/output
wrap() {
	local bundle=$1
	shift
	new_container "$runtime"
	wrapped create --bundle "$bundle" "$@" "$CONTAINER" >"$bundle/output" 2>&1 </dev/null || return
	wrapped start "$CONTAINER" >>"$bundle/output" 2>&1
	within 20 is_stopped
	wrapped delete "$CONTAINER"
}
is_stopped() { runtime "$runtime" state "$CONTAINER" | grep -q '"status": "stopped"'; }

# arrives NAME BUNDLE-OPTION... [-- CREATE-OPTION...]
arrives() {
	local name=$1 options=()
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	B=$WORK/b$((BUNDLES++))
	busybox_bundle "$B" --run-dir "$RUN_DIR" --grant web "${options[@]}" -- sh -c "$READ"
	wrap "$B" "${@//BUNDLE/$B}"
	is "$(cat "$B/output")" "$SHA" "$runtime: $name"
}

test_arrival() {
	arrives "root" -- --pid-file BUNDLE/pid
	arrives "another user, read-only" --user 1000 --read-only -- --pid-file BUNDLE/pid
	arrives "a user namespace" --userns --user 1000 -- --pid-file BUNDLE/pid
	arrives "without a pid file the runtime is asked" --
	arrives "phial-hook was there first" --hook "$HOOK" --hook-arg=--run-dir \
		--hook-arg="$RUN_DIR" -- --pid-file BUNDLE/pid
	check "$runtime: and all are gone" within 10 no_containers
}

# A hook and the wrapper: the second changes nothing.
test_both() {
	B=$WORK/b$((BUNDLES++))
	busybox_bundle "$B" --run-dir "$RUN_DIR" --grant web --hook "$HOOK" --hook-arg=--run-dir \
		--hook-arg="$RUN_DIR" -- grep -c ' /run/secrets .* none ' /proc/self/mountinfo
	wrap "$B" --pid-file "$B/pid"
	is "$(cat "$B/output")" 1 "$runtime: with hook and wrapper there is one mount"
}

# An image's variable that looks like a grant is none.
test_no_grant() {
	B=$WORK/b$((BUNDLES++))
	busybox_bundle "$B" --env "A=$RUN_DIR/workload/web/" --edit \
		"c['process']['args'].append('$RUN_DIR/workload/web')" -- echo
	wrap "$B" --pid-file "$B/pid"
	is "$(cat "$B/output")" "$RUN_DIR/workload/web" "$runtime: a text is no grant"
}

test_pass_through() {
	B=$WORK/b$((BUNDLES++))
	busybox_bundle "$B" --run-dir "$RUN_DIR" --grant web -- \
		sh -c "$READ; cat <&3; exit 9"
	new_container "$runtime"
	echo "from the engine" >"$B/third"
	wrapped create --bundle "$B" --pid-file "$B/pid" --preserve-fds 1 "$CONTAINER" \
		3<"$B/third" >"$B/output" 2>&1 </dev/null
	like "$(wrapped state "$CONTAINER")" '"status": "created"' "$runtime: state"
	wrapped start "$CONTAINER"
	within 20 is_stopped
	is "$(cat "$B/output")" "$SHA
from the engine" "$runtime: --preserve-fds, with a grant"
	wrapped delete "$CONTAINER"
	busybox_bundle "$B-plain" -- sh -c 'trap "exit 42" TERM; echo up; while :; do sleep 0.1; done'
	new_container "$runtime"
	wrapped create --bundle "$B-plain" --pid-file "$B-plain/pid" "$CONTAINER" \
		>"$B-plain/output" 2>&1 </dev/null
	wrapped start "$CONTAINER"
	within 20 grep -q up "$B-plain/output"
	is "$(wrapped exec "$CONTAINER" echo hi)" hi "$runtime: exec"
	wrapped exec "$CONTAINER" sh -c 'exit 33'
	is $? 33 "$runtime: exec's exit code"
	like "$(wrapped list)" "$CONTAINER" "$runtime: list"
	check "$runtime: kill" wrapped kill "$CONTAINER" TERM
	check "$runtime: ends by it" within 20 is_stopped
	check "$runtime: delete" wrapped delete "$CONTAINER"
	is "$(wrapped --version)" "$(runtime "$runtime" --version)" "$runtime: --version is the runtime's"
	is "$(wrapped state none 2>&1; echo $?)" "$(runtime "$runtime" state none 2>&1; echo $?)" \
		"$runtime: errors are the runtime's"
}

# --- the wrapper is ended -------------------------------------------------------------------

# hang MODE: a create on runc against an agent that stops answering at a step; the wrapper is $WRAPPER
hang() {
	local mode=$1
	FAKE_RUN=$WORK/fake
	rm -rf "$FAKE_RUN" "$WORK/fake-log"
	mkdir -m 0700 "$FAKE_RUN"
	mkdir -p "$FAKE_RUN/workload/web"
	start python3 "$ROOT/tests/tools/fake_agent.py" --run-dir "$FAKE_RUN" --log "$WORK/fake-log" \
		--grant-dir "$FAKE_RUN/workload/web" --mode "$mode"
	FAKE_AGENT=$STARTED_PID
	within 10 grep -q LISTEN "$WORK/fake-log" || bail "the fake agent does not start"
	B=$WORK/b$((BUNDLES++))
	busybox_bundle "$B" --run-dir "$FAKE_RUN" --grant web -- echo STARTED
	new_container runc
	start_quietly "$B/output" "$RUNTIME" --phial-run-dir "$FAKE_RUN" --root "$WORK/state-runc" \
		--log "$B/log" create --bundle "$B" --pid-file "$B/pid" "$CONTAINER"
	WRAPPER=$STARTED_PID
	within 20 grep -q "$2" "$WORK/fake-log" || bail "the wrapper does not come to $2"
}

children_of() { cat "/proc/$1/task/$1/children" 2>/dev/null; }

test_ends() {
	local mode step child
	while read -r mode step; do
		hang "$mode" "$step"
		child=$(children_of "$WRAPPER")
		stop "$WRAPPER" TERM
		is $? 1 "SIGTERM at $step: a failure"
		like "$(cat "$B/log")" 'ended by signal 15' "SIGTERM at $step: the engine reads why"
		is "$(runtime runc state "$CONTAINER" 2>/dev/null)" "" "SIGTERM at $step: deleted"
		stop "$FAKE_AGENT"
		hang "$mode" "$step"
		child=$(children_of "$WRAPPER")
		check "SIGKILL at $step: (a child is attaching)" test -n "$child"
		stop "$WRAPPER" KILL
		is $? 137 "SIGKILL at $step: the engine sees it"
		check "SIGKILL at $step: nothing goes on" within 10 is_gone "$child"
		check "SIGKILL at $step: the agent hears of it" within 10 grep -q GONE "$WORK/fake-log"
		unlike "$(cat "$B/output")" STARTED "SIGKILL at $step: the container does not run"
		runtime runc delete --force "$CONTAINER" >/dev/null 2>&1
		stop "$FAKE_AGENT"
	done <<-STEPS
		silent START
		silent-at-mount MOUNT
		silent-at-attached ATTACHED
	STEPS
}

# The engine's own kill of a create that hangs reaches the runtime below.
test_hanging_create() {
	local fake=$ROOT/tests/tools/fake_runtime signal
	B=$WORK/b$((BUNDLES++))
	busybox_bundle "$B" --empty --run-dir "$RUN_DIR" --grant web
	for signal in TERM USR1 RTMAX; do
		rm -f "$B/up"
		FAKE_CREATE="trap 'exit 43' $signal; touch '$B/up'; while :; do sleep 0.05; done" \
			start "$RUNTIME" --phial-run-dir "$RUN_DIR" --phial-runtime "$fake" create \
			--bundle "$B" c1
		within 10 test -e "$B/up"
		stop "$STARTED_PID" "$signal"
		is $? 43 "SIG$signal is passed on to the runtime"
	done
	rm -f "$B/up"
	FAKE_CREATE="echo \$\$ >'$B/up'; exec sleep 600" start "$RUNTIME" --phial-run-dir "$RUN_DIR" \
		--phial-runtime "$fake" create --bundle "$B" c1
	within 10 test -s "$B/up"
	stop "$STARTED_PID" KILL
	check "a wrapper that is killed takes the runtime with it" within 10 is_gone "$(cat "$B/up")"
}

for runtime in $(runtimes); do
	test_arrival
	test_both
	test_no_grant
	test_pass_through
done
test_ends
test_hanging_create
stop_agent
sweep "in the end the value is nowhere, swap included" "$CANARY"
finish
