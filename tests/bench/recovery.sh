# SPDX-License-Identifier: ISC
# A part of tests/bench/run: how soon an agent serves again after kill -9 of its worker, or of itself,
# while containers run, and how soon it holds those again.
#
# shellcheck shell=bash disable=SC2034,SC2154

RECOVERY_CONTAINERS=200

# now_us: monotonic enough for what takes milliseconds
now_us() { echo "${EPOCHREALTIME/./}"; }

# still_with_hook: one more process that is a container, served by phial-hook; $STILL_PID
still_with_hook() {
	local file=$WORK/recovery-still
	: >"$file"
	start_quietly "$file" "$PROBES/still" "$WORK/live-bundle/rootfs"
	STILL_PID=$STARTED_PID
	within 10 grep -q . "$file" || stop_here "no container"
	printf '{"ociVersion":"1.0.2","id":"phial-bench-%d","status":"creating","pid":%d,"bundle":"%s"}' \
		"$STILL_PID" "$STILL_PID" "$WORK/live-bundle" >"$WORK/recovery-state"
}
serve() {
	(cd "$WORK/live-bundle" && exec "$HOOK" --run-dir "$RUN_DIR" --workload live \
		<"$WORK/recovery-state") || stop_here "the hook failed"
}

# Its first line of this agent, then one for each container that is held again.
held_count() { tail -n +"$1" "$WORK/agent.log" | grep -c "is held again"; }
all_are_held() { [ "$(held_count "$1")" -ge "$2" ]; }
worker_of() { pgrep -P "$AGENT_PID" -x phiald -u "$AGENT_USER"; }

# middle FILE: the median of its lines, microseconds, in milliseconds
middle() { sort -n "$1" | awk '{ v[NR] = $1 } END { printf "%.0f ms", v[int((NR + 1) / 2)] / 1000 }'; }

# In a subshell: the other parts have a store and an agent of their own.
bench_recovery() (
	local count rounds from mark
	count=$(rounds $RECOVERY_CONTAINERS) rounds=$(rounds 10)
	trap - EXIT
	live_store
	RUN_DIR=$WORK/run-recovery STATE_DIR=$WORK/state-recovery
	start_agent || stop_here "no agent"
	STARTED=("$AGENT_PID")
	trap 'stop_agent; kill -KILL "${STARTED[@]}" 2>/dev/null' EXIT
	busybox_bundle "$WORK/live-bundle" --user 1000 --run-dir "$RUN_DIR"
	while [ $((count--)) -gt 0 ]; do
		still_with_hook
		serve
	done
	for ((; rounds > 0; rounds--)); do
		sleep 1.1 # a worker that dies in its first second is started again after a pause
		still_with_hook
		kill -KILL "$(worker_of)"
		from=$(now_us)
		serve
		echo $(($(now_us) - from)) >>"$WORK/recovery-worker"
		mark=$(($(wc -l <"$WORK/agent.log") + 1))
		stop_agent KILL
		from=$(now_us)
		start_agent || stop_here "no agent"
		echo $(($(now_us) - from)) >>"$WORK/recovery-ready"
		within 60 all_are_held "$mark" "$(rounds $RECOVERY_CONTAINERS)" ||
			stop_here "not all are held"
		echo $(($(now_us) - from)) >>"$WORK/recovery-held"
	done
	echo "recovery: with $(rounds $RECOVERY_CONTAINERS) containers that run (n=$(wc -l <"$WORK/recovery-held"))"
	printf '  worker killed: the next start is done after %s\n' "$(middle "$WORK/recovery-worker")"
	printf '  agent killed: the next one serves %s after its start, and holds all after %s\n' \
		"$(middle "$WORK/recovery-ready")" "$(middle "$WORK/recovery-held")"
)
