# SPDX-License-Identifier: ISC
# A part of tests/bench/run: one secret's new version into 1 to 1,000 live containers, on an agent of
# its own with one workload, and what live containers cost in memory.
#
# shellcheck shell=bash disable=SC2034,SC2154

# live_store: workload live with one secret, and a copy for the versions to come
live_store() {
	make_store "$WORK/live-store"
	seal live/key 0123456789abcdef0123456789abcdef
	printf '{ "phial": "policy v1", "serial": 1, "workloads": {
		"live": { "grace": "0s" } } }\n' >"$STORE/.phial/policy.json"
	"$PHIAL" policy sign --store "$STORE" >"$WORK/policy.log" 2>&1 ||
		stop_here "policy: $(cat "$WORK/policy.log")"
	cp -r "$STORE" "$WORK/live-next"
}

# In a subshell: the other parts have a store and an agent of their own.
bench_live() (
	trap - EXIT
	live_store
	RUN_DIR=$WORK/run-live STATE_DIR=$WORK/state-live
	start_agent || stop_here "no agent"
	trap 'stop_agent' EXIT
	busybox_bundle "$WORK/live-bundle" --user 1000 --run-dir "$RUN_DIR"
	measure python3 "$ROOT/tests/bench/live.py" "$(rounds 5)" "$AGENT_PID" "$RUN_DIR" \
		"$WORK/live-bundle" "$PROBES/still" "$HOOK" "$PHIAL" "$STORE" "$WORK/live-next" 1 10 100 1000
	echo "live: from the new file in the store and phial reload to the last container that has it"
	for count in 1 10 100 1000; do
		printf '  %4d containers %9s to the last, %9s for each (n=%s; %s)\n' $count \
			"$(time_of last-$count)" "$(time_of each-$count)" "$(field last-$count 5)" \
			"$(spread last-$count)"
	done
	echo "live: memory for each of 1,000 containers"
	printf '  agent %.2f KiB (supervisor and worker, PSS), tmpfs %d KiB for one secret of 32 bytes\n' \
		"$(awk -v few="$(field pss-0 2)" -v many="$(field pss-1000 2)" \
			'BEGIN { print (many - few) / 1000 }')" $(($(field tmpfs 2) / 1024))
)
