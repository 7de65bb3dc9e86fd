#!/bin/bash
# SPDX-License-Identifier: ISC
# The file of --metrics with real containers: what it counts, how it is written, and when it goes.
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need runc busybox python3

CANARY=$(canary)
NEXT=$(canary)
make_store
seal web/db "$CANARY"
seal web/key "$CANARY" --not-after 2099-01-01T00:00:00Z
mkdir "$STORE/mail" && echo nonsense >"$STORE/mail/bad.sealed"
RUN_DIR=$WORK/run STATE_DIR=$WORK/state AGENT_USER=nobody
FILE=$WORK/collector/phial.prom
runtime=$(runtimes | head -n 1)
mkdir -m 0777 "$WORK/collector"
# Somebody else may write into the folder.
echo untouched >"$WORK/victim"
ln -s "$WORK/victim" "$WORK/collector/.phial.prom.new"

metric() { awk -v name="$1" '$1 == name { print $2 }' "$FILE" 2>/dev/null; }
metric_is() { [ "$(metric "$1")" = "$2" ]; }
# shows NAME VALUE DESCRIPTION...: within some seconds, since the file is not written at once
shows() {
	within 15 metric_is "$1" "$2"
	is "$(metric "$1")" "$2" "${*:3}"
}
inode() { stat -c %i "$FILE"; }
worker() { pgrep -x -P "$AGENT_PID" -u "$AGENT_USER" phiald; }

start_agent --metrics "$FILE" || bail "the agent does not start"

test_form() {
	within 15 test -s "$FILE"
	check "the file is in Prometheus' text format" \
		python3 "$ROOT/tests/tools/prometheus_text.py" "$FILE"
	if command -v promtool >/dev/null; then
		check "... and promtool has no complaint" sh -c "promtool check metrics <'$FILE'"
	else
		skip "promtool (package prometheus) is not installed" "promtool check metrics"
	fi
	is "$(stat -c '%a %u' "$FILE")" "644 0" "... readable by all, root's"
	is "$(cat "$WORK/victim")" untouched "... and nothing that lay there was written into"
	is "$(metric phial_secrets_loaded) $(metric phial_secrets_refused)" "2 1" \
		"it counts secrets, good and refused"
	is "$(metric phial_next_expiry_timestamp_seconds)" 4070908800 "... and says when one expires"
	like "$(metric phial_key_quota_used_keys)" "^[1-9]" "... and what the keyring takes"
	like "$(grep build_info "$FILE")" 'version="[0-9.]+"' "... and which version this is"
	unlike "$(cat "$FILE")" "web|db|mail" "names of secrets and workloads are not in it"
}

test_counts() {
	local before
	before=$(inode)
	bundle --grant web --host-ns pid -- true
	run
	bundle --grant web -- sleep 1000
	start_container || return
	shows phial_releases_total 1 "a start is counted"
	is "$(metric phial_containers)" 1 "... and the container"
	shows 'phial_refusals_total{reason="gate"}' 1 "a refusal is counted by its reason"
	is "$(metric 'phial_gate_refusals_total{gate="private_pid"}')" 1 "... and its gate"
	unlike "$(inode)" "^$before$" "the file is replaced, never written into"
	seal web/db "$NEXT"
	"$PHIAL" reload --run-dir "$RUN_DIR" >/dev/null
	shows phial_rotations_total 1 "a rotation is counted"
	like "$(metric phial_rotation_lag_seconds)" '^[0-9]+\.[0-9]{3}$' "... with its lag"
	unlike "$(metric phial_rotation_lag_seconds)" '^0\.000$' "... which takes some time"
	runtime_stop "$runtime" "$CONTAINER"
	shows phial_containers 0 "a container's end is seen"
}

test_worker_death() {
	kill -KILL "$(worker)"
	shows phial_worker_restarts_total 1 "a worker's end is counted"
	is "$(metric phial_releases_total)" 0 "... and its counters begin anew"
}

test_trouble() {
	mv "$WORK/collector" "$WORK/away"
	within_long "metrics are not written: open $WORK/collector/: No such file" \
		"a folder that is gone: the log says so"
	like "$("$PHIAL" status --run-dir "$RUN_DIR")" "^PROBLEM: .*metrics are not written: open " \
		"... and status"
	mv "$WORK/away" "$WORK/collector"
	rm "$FILE"
	within_long "metrics are written again" "... until it is back"
	check "... with the file" test -s "$FILE"
}

# within_long PATTERN DESCRIPTION...: each try comes with something that changed, which this makes
within_long() {
	local pattern=$1 tries
	for ((tries = 0; tries < 30; tries++)); do
		! log_has "$pattern" || break
		seal "web/new$RANDOM" "$CANARY"
		"$PHIAL" reload --run-dir "$RUN_DIR" >/dev/null
		sleep 1
	done
	within_log "$pattern" "${*:2}"
}

test_end() {
	local other_dir=$WORK/other
	"$PHIALD" --run-dir "$RUN_DIR" --state-dir "$other_dir" --store "$STORE" --identity \
		"$IDENTITY" --trust "$TRUST" --worker-user nobody --metrics "$FILE" >/dev/null 2>&1
	check "an agent that cannot start leaves another one's file" test -s "$FILE"
	stop_agent
	check "a clean stop removes the file" test ! -e "$FILE"
	is "$(ls -A "$WORK/collector")" "" "... and nothing is left beside it"
	exits 2 "a path that is none is refused" "$PHIALD" --run-dir "$RUN_DIR" --metrics phial.prom
}

mark_log
test_form
test_counts
test_worker_death
test_trouble
test_end
sweep "the values are nowhere" "$CANARY"
sweep "... neither of them" "$NEXT"
finish
