#!/bin/bash
# SPDX-License-Identifier: ISC
# Many at once: one workload, or one container, in full flood, and what a start of another one takes
# meanwhile, against the same start before (G8). D-05 starts $PHIAL_TEST_CONTAINERS (60) containers
# with 1 MiB of secrets each; ATTACKS asks for 500. suite-timeout: 300
# alone: it compares times
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need busybox python3 runc
runtime=runc
PROBE=$BUILD/tests/probes/probe_init
CONTAINERS_AT_ONCE=${PHIAL_TEST_CONTAINERS:-60}
# How many times as long a start may take while others flood. Where it waits for its turn behind all
# of them it takes over a hundred times as long, or fails.
SLOWER=25

make_store
make_three
CANARY=$(canary)
seal mail/key "$CANARY"
head -c 1000000 /dev/urandom >"$WORK/large"
"$PHIAL" seal large/key --from "$WORK/large" --keep-newline --store "$STORE" >"$WORK/seal.log" 2>&1 ||
	bail "$(cat "$WORK/seal.log")"
start_agent || bail "the agent does not start"

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# start_mail: a hook of workload mail on a fresh container; its exit code
start_mail() {
	new_still
	(cd "$WORK/still" && exec timeout 20 "$HOOK" --run-dir "$RUN_DIR" --workload mail \
		<"$WORK/hook-state") >"$WORK/mail.out" 2>&1
	local status=$?
	[ $status -ne 0 ] || [ -s "/proc/$STILL/root/run/secrets/key" ] || status=99
	end_still
	forget "$STILL"
	return $status
}

# time_of COMMAND: of three in a row, in ms; they must all succeed
time_of() {
	local began i
	began=$(now_ms)
	for i in 1 2 3; do
		"$@" || complain "start $i fails: $(tail -n 2 "$WORK/mail.out")"
	done
	TOOK=$(($(now_ms) - began + 1))
}

# not_slower BEFORE DESCRIPTION...: after time_of, during a flood
not_slower() {
	local before=$1
	shift
	[ "$TOOK" -le $((before * SLOWER)) ] ||
		complain "three starts took $TOOK ms, and $before ms without the flood"
	no_complaints "$* ($((TOOK * 10 / before)) tenths of the time before)"
}

# flood MODE COUNT: of workload web, whose container is $FLOODED
flood() {
	rm -f "$WORK/flood"
	start_quietly "$WORK/flood" python3 "$ROOT/tests/tools/hook_flood.py" "$RUN_DIR/hook.sock" \
		"$WORK/web-state" "$WORK/still/config.json" web "$2" "$1"
	FLOOD=$STARTED_PID
	within 60 grep -q flooding "$WORK/flood" || bail "no flood: $(cat "$WORK/flood")"
}
end_flood() {
	stop "$FLOOD" KILL
	forget "$FLOOD"
}

test_hooks() {
	local mode
	for mode in silent hang crash; do
		mark_log
		flood $mode 700
		time_of start_mail
		not_slower "$QUIET" "G8 D-06 700 hooks of one workload ($mode): a start of another"
		check "G8 D-06 ($mode): and the command line is answered" status_answers
		end_flood
		[ $mode != hang ] || within_log "refused workload web .* wait already, and only 8 are served" \
			"G8 who is too much is told so"
	done
	serves "700 hooks in bad condition"
	no_complaints "G8 D-06 afterwards the workload itself is served"
}

# Hooks that are stopped, wherever that finds them, lose their place after ten seconds.
test_stopped_hooks() {
	local i stopped=()
	mark_log
	for ((i = 0; i < 24; i++)); do
		new_still
		(cd "$WORK/still" && exec "$HOOK" --run-dir "$RUN_DIR" --workload web \
			<"$WORK/hook-state") >"$WORK/stopped" 2>&1 &
		STARTED+=($!)
		stopped+=($! "$STILL")
		kill -STOP $!
	done
	time_of start_mail
	not_slower "$QUIET" "D-06 24 hooks of one workload are stopped: a start of another"
	within 20 all_dropped
	serves "stopped hooks"
	no_complaints "D-06 and after ten seconds one of the same workload"
	for i in "${stopped[@]}"; do
		stop "$i" KILL
		forget "$i"
	done
	check "D-06 when they have ended, none is listed" within 10 no_containers
}
all_dropped() { [ "$(find "/proc/$(worker)/fd" -lname 'socket:*' | wc -l)" -le "$SOCKETS" ]; }

# ask_once: a container of workload mail whose phial-init asks
ask_once() {
	B=$INIT_BUNDLE
	run
	echo "$OUTPUT" >"$WORK/mail.out"
	[ "$OUTPUT" = key ]
}

test_init_door() {
	local mode flooder before
	INIT_BUNDLE=$WORK/init-mail
	busybox_bundle "$INIT_BUNDLE" --user 1000 --file "$INIT:/phial-init" \
		--mount "$RUN_DIR/workload/mail:/run/phial:ro" -- /phial-init --wait 20 -- ls /run/secrets
	time_of ask_once
	before=$TOOK
	no_complaints "phial-init has its secrets"
	for mode in silent loris deaf ready; do
		B=$WORK/flood-$mode
		busybox_bundle "$B" --user 1000 --file "$PROBE:/probe" \
			--mount "$RUN_DIR/workload/web:/run/phial:ro" -- \
			sh -c "for i in 1 2 3; do /probe $mode & done; wait"
		runtime_start runc "$B" || bail "runc: $(cat "$B/output")"
		flooder=$CONTAINER
		within 10 grep -q flooding "$B/output" || bail "no flood"
		time_of ask_once
		not_slower "$before" "G8 D-01 D-02 a container floods phial-init's socket ($mode): another"
		time_of start_mail
		not_slower "$QUIET" "G8 D-01 D-02 ($mode): and a hook"
		runtime_stop runc "$flooder"
	done
}

test_fork_bomb() {
	B=$WORK/bomb
	busybox_bundle "$B" --user 1000 --run-dir "$RUN_DIR" --hook "$HOOK" --hook-arg=--run-dir \
		--hook-arg="$RUN_DIR" --grant web \
		--file "$BUILD/tests/probes/bomb:/bomb" \
		--edit 'c["linux"].setdefault("resources", {})["pids"] = {"limit": 64}' -- /bomb
	runtime_start runc "$B" || bail "runc: $(cat "$B/output")"
	check "D-04 a fork bomb with its secrets is at its limit" within 20 bomb_is_full
	time_of start_mail
	# The bomb's 64 processes have the processors: that is no queue of phial's.
	no_complaints "D-04 meanwhile others start ($((TOOK * 10 / QUIET)) tenths)"
	runtime_stop runc "$CONTAINER"
	check "D-04 and when it has ended nothing is left" within 20 no_containers
}

bomb_is_full() {
	local namespace
	namespace=$(stat -L -c %i "/proc/$CONTAINER_PID/ns/pid")
	[ "$(stat -L -c %i /proc/[0-9]*/ns/pid 2>/dev/null | grep -cx "$namespace")" -ge 60 ]
}

# The most that supervisor and worker ever had in memory, in KiB.
agent_kib() {
	local pid
	for pid in "$AGENT_PID" "$(worker)"; do
		cat "/proc/$pid/status"
	done | awk '/^VmHWM:/ { sum += $2 } END { print sum }'
}
live_is() { [ "$(status_of 'sum(c["workload"] == "large" for c in s["containers"])')" = "$1" ]; }

test_many_containers() {
	local before after ids=() i pids=()
	B=$WORK/large-bundle
	busybox_bundle "$B" --user 1000 --run-dir "$RUN_DIR" --hook "$HOOK" --hook-arg=--run-dir \
		--hook-arg="$RUN_DIR" --grant large -- sleep 1000
	for ((i = 0; i < CONTAINERS_AT_ONCE; i++)); do
		ids+=("phial-test-$$-large-$i")
		CONTAINERS+=("runc ${ids[i]}")
	done
	before=$(agent_kib)
	printf '%s\n' "${ids[@]}" >"$WORK/ids"
	start_quietly "$WORK/large.log" xargs -a "$WORK/ids" -P 16 -I ID sh -c \
		'runc --root "$0" run -d --bundle "$1" ID </dev/null >/dev/null 2>"$2/ID.err" || echo "ID: $(cat "$2/ID.err")"' \
		"$WORK/state-runc" "$B" "$WORK"
	local starter=$STARTED_PID
	time_of start_mail
	no_complaints "D-05 meanwhile another workload's containers start ($((TOOK * 10 / QUIET)) tenths)"
	wait "$starter"
	forget "$starter"
	is "$(cat "$WORK/large.log")" "" "D-05 $CONTAINERS_AT_ONCE containers with 1 MB each start, many at once"
	check "D-05 none is lost" live_is "$CONTAINERS_AT_ONCE"
	mapfile -t pids < <(status_of '"\n".join(str(c["pid"]) for c in s["containers"] if c["workload"] == "large")')
	for i in "${pids[@]}"; do
		cmp -s "$WORK/large" "/proc/$i/root/run/secrets/key" || complain "process $i has other bytes"
	done
	no_complaints "D-05 each has all of it"
	after=$(agent_kib)
	[ $((after - before)) -lt 16384 ] || complain "the agent's memory grew from $before to $after KiB"
	no_complaints "D-05 the agent's own memory is bounded ($before KiB, $after KiB at the peak)"
	xargs -a "$WORK/ids" -P 4 -I ID runc --root "$WORK/state-runc" delete --force ID 2>/dev/null
	check "D-05 when they have ended none is listed" within 60 no_containers
}

attempt "before any flood" # its container's files are what the floods show
cp "$WORK/hook-state" "$WORK/web-state"
no_complaints "a container has its secrets before any flood"
SOCKETS=$(find "/proc/$(worker)/fd" -lname 'socket:*' | wc -l)
time_of start_mail
QUIET=$TOOK
no_complaints "three starts in a row ($QUIET ms)"

test_hooks
test_stopped_hooks
test_init_door
test_fork_bomb
test_many_containers
stop_agent
for value in a c; do
	unlike "$(cat "$WORK/agent.log")" "$(cat "$VALUES/$value")" "L-04 no value in the agent's log"
done
sweep "no value is left anywhere" "$CANARY"
finish
