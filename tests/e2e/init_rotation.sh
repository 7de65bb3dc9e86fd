#!/bin/bash
# SPDX-License-Identifier: ISC
# phial-init and the real agent while a container runs: the command started again with the new
# values, notify through phial-init, and until-ready: who may say that a container is ready.
# suite-timeout: 180
. "$(dirname "$0")/_lib.sh"
need_root
need runc busybox python3
PROBE=$BUILD/tests/probes/init_probe
[ -x "$PROBE" ] || skip_all "the probes are not built (make probes)"

make_store
put() {
	VALUE=$(canary)
	FIRST=${FIRST:-$VALUE}
	seal web/db "$VALUE"
}
put
cat >"$STORE/.phial/policy.json" <<-END
	{ "phial": "policy v1", "serial": 1, "workloads": {
	  "web": { "grace": "0s" },
	  "told": { "secrets": ["web/db"], "grace": "0s", "notify": "SIGUSR1" },
	  "brief": { "secrets": ["web/db"], "keep": "until-ready" } } }
END
"$PHIAL" policy sign --store "$STORE" >"$WORK/policy.log" 2>&1 ||
	bail "phial policy sign: $(cat "$WORK/policy.log")"
start_agent || bail "the agent does not start"

rotate() {
	put
	"$PHIAL" reload --run-dir "$RUN_DIR" >/dev/null || bail "no reload"
}

# launch WORKLOAD ARGUMENT...: phial-init with these in $CONTAINER; its output is $OUT
launch() {
	local workload=$1 number=$((BUNDLES++))
	shift
	B=$WORK/bundle$number
	busybox_bundle "$B" --run-dir "$RUN_DIR" --target /run/phial --grant "$workload" \
		--dir /run/secrets --file "$INIT:/phial-init" --file "$PROBE:/probe" --user 1000 \
		-- /phial-init "$@"
	start_container || bail "no container"
	OUT=$B/output
}
worker_pid() { pgrep -x -P "$AGENT_PID" -u "$AGENT_USER" phiald; }
in_container() { runtime "$runtime" exec "$CONTAINER" "$@" </dev/null; }
count_lines() { [ "$(grep -c "$1" "$OUT")" = "$2" ]; }
secrets_of() { ls "/proc/$1/root/run/secrets"; }
has_no_secrets() { [ -z "$(secrets_of "$1")" ]; }

test_restart() {
	# shellcheck disable=SC2016
	launch web --on-rotation=restart --env db -- sh -c \
		'printf "value %s\n" "$(printf %s "$DB" | sha256sum | cut -c-64)"; exec sleep 1000'
	within 20 count_lines '^value' 1
	rotate
	within 20 count_lines '^value' 2
	is "$(grep '^value' "$OUT" | tail -n 1)" "value $(sha "$VALUE")" \
		"$runtime, restart: the command has the new value in its environment"
	rotate
	within 20 count_lines '^value' 3
	is "$(grep '^value' "$OUT" | tail -n 1)" "value $(sha "$VALUE")" "$runtime, restart: and the next"
	check "$runtime, restart: the container is the same one" kill -0 "$CONTAINER_PID"
	runtime "$runtime" kill "$CONTAINER" TERM
	check "$runtime, restart: SIGTERM ends it" within 20 is_gone_or_dead "$CONTAINER_PID"
	runtime_stop "$runtime" "$CONTAINER"
}
is_gone_or_dead() { ! grep -q '^State:[[:space:]][^ZX]' "/proc/$1/status"; }

test_told() {
	launch told -- /probe signals
	within 20 count_lines '^ready' 1
	rotate
	check "$runtime, notify: the command is told through phial-init" within 20 count_lines '^10$' 1
	runtime_stop "$runtime" "$CONTAINER"
}

test_ready() {
	local first first_pid worker
	launch brief -- sh -c 'sha256sum </run/secrets/db; exec sleep 1000'
	first=$CONTAINER first_pid=$CONTAINER_PID
	within 20 count_lines '  -' 1
	is "$(cut -c-64 "$OUT")" "$(sha "$VALUE")" "$runtime, until-ready: the secret is there"
	# Another container of the same workload, and one without secrets of its own, say so.
	launch brief --ready-fd 5 -- sh -c 'sha256sum </run/secrets/db; echo >&5; exec sleep 1000'
	within_log "container .* is ready" "$runtime, until-ready: another one says so by --ready-fd"
	check "$runtime, until-ready: and has no secrets any more" within 20 has_no_secrets "$CONTAINER_PID"
	exits 0 "$runtime, until-ready: it says so again" in_container /phial-init --ready
	runtime_stop "$runtime" "$CONTAINER"
	launch brief --no-secrets -- sleep 1000
	exits 125 "$runtime, until-ready: one without secrets is refused" in_container /phial-init --ready
	like "$OUTPUT" "no secrets that phial-init asked for" "$runtime, until-ready: and told why"
	runtime_stop "$runtime" "$CONTAINER"
	CONTAINER=$first
	is "$(secrets_of "$first_pid")" db "$runtime, until-ready: nobody has spoken for the first one"
	worker=$(worker_pid)
	kill -KILL "$worker"
	exits 0 "$runtime, until-ready: after a new worker, too: any process of it may say so" \
		in_container /phial-init --ready
	is "$OUTPUT" "" "$runtime, until-ready: without a word"
	check "$runtime, until-ready: (it is a new one)" test "$(worker_pid)" != "$worker"
	check "$runtime, until-ready: its secrets go" within 20 has_no_secrets "$first_pid"
	rotate
	check "$runtime, until-ready: and do not come back" has_no_secrets "$first_pid"
	runtime_stop "$runtime" "$first"
	bundle --grant brief -- echo STARTED
	run
	refused "phial-init" "$runtime, until-ready: with a hook"
	within_log "until-ready.* takes phial-init" "$runtime, until-ready: the log says what to do"
}

for runtime in $(runtimes); do
	mark_log
	test_restart
	test_told
	test_ready
done
stop_agent
sweep "the first value is nowhere" "$FIRST"
sweep "nor the last" "$VALUE"
finish
