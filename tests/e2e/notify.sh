#!/bin/bash
# SPDX-License-Identifier: ISC
# Telling the application, on real containers: the signal of a workload's notify reaches the
# container's first process, or those of a name in that container, and nobody else.
# suite-timeout: 180
. "$(dirname "$0")/_lib.sh"
need_root
need runc busybox python3
PROBE=$BUILD/tests/probes/init_probe
[ -x "$PROBE" ] || skip_all "the probes are not built (make probes)"
NAME=phial-web

make_store
VALUES=()
put() {
	VALUES+=("$(canary)")
	seal web/db "${VALUES[-1]}"
}
put
cat >"$STORE/.phial/policy.json" <<-END
	{ "phial": "policy v1", "serial": 1, "workloads": {
	  "first": { "secrets": ["web/db"], "grace": "0s", "notify": "SIGHUP" },
	  "named": { "secrets": ["web/db"], "grace": "0s", "gates": ["not_privileged"],
	             "notify": { "signal": "SIGUSR1", "process": "$NAME" } },
	  "quiet": { "secrets": ["web/db"], "grace": "0s", "gates": ["not_privileged"] } } }
END
"$PHIAL" policy sign --store "$STORE" >"$WORK/policy.log" 2>&1 ||
	bail "phial policy sign: $(cat "$WORK/policy.log")"
start_agent || bail "the agent does not start"

# rotate: a new value is in all containers of this test once the agent has said so of $CONTAINER
rotate() {
	mark_log
	put
	"$PHIAL" reload --run-dir "$RUN_DIR" >/dev/null || bail "no reload"
}

# launch WORKLOAD COMMAND...: $CONTAINER, $CONTAINER_PID, $OUT; the command's programs are /probe and
# /$NAME, which are the same
launch() {
	local workload=$1
	shift
	bundle --grant "$workload" --dir /tmp --file "$PROBE:/probe" --file "$PROBE:/$NAME" \
		"${EDIT[@]+"${EDIT[@]}"}" -- "$@"
	start_container || bail "no container"
	OUT=$B/output
}
EDIT=()

# until_line FILE LINE: a process with this output has got so far
until_line() { within 20 grep -qx "$2" "$1"; }

# all_of PID: it and what is below it, as the host counts
all_of() {
	local child
	echo "$1"
	for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do
		all_of "$child"
	done
}

# named_in PID: processes of the name below it
named_in() {
	local pid
	for pid in $(all_of "$1"); do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != "$NAME" ] || echo "$pid"
	done
}

test_first_process() {
	launch first /probe signals
	until_line "$OUT" "ready 1" || diag "$(cat "$OUT")"
	rotate
	check "$runtime: the first process is told" until_line "$OUT" 1
	within_log "container $CONTAINER: told its process of the new secrets \(1 process\)" \
		"$runtime: it is in the log"
	rotate
	within_log "container $CONTAINER: told its process" "$runtime: and told again"
	runtime_stop "$runtime" "$CONTAINER"
}

# Between "create" and "start" a signal would end the runtime that waits in the container.
test_not_begun() {
	bundle --grant first --file "$PROBE:/probe" -- /probe signals
	new_container "$runtime"
	runtime "$runtime" create --bundle "$B" --pid-file "$B/pid" "$CONTAINER" \
		</dev/null >"$B/output" 2>&1 || bail "$(cat "$B/output")"
	rotate
	within_log "container $CONTAINER: .*has not begun" "$runtime: one that is only created is not told"
	check "$runtime: and starts" runtime "$runtime" start "$CONTAINER"
	check "$runtime: and runs" until_line "$B/output" "ready 1"
	rotate
	check "$runtime: and is told then" until_line "$B/output" 1
	runtime_stop "$runtime" "$CONTAINER"
}

# untouched FILE PID DESCRIPTION: what came before a signal of ours was nothing
untouched() {
	kill -USR2 "$2"
	until_line "$1" 12 || diag "no answer of $2"
	is "$(grep -cx 10 "$1")" 0 "$3"
}

test_named() {
	local host other other_out other_pid joined joined_out joined_pid me me_pid me_root
	cp "$PROBE" "$WORK/$NAME"
	start_quietly "$WORK/host.out" "$WORK/$NAME" signals
	host=$STARTED_PID
	launch quiet "/$NAME" signals
	other=$CONTAINER other_out=$OUT other_pid=$CONTAINER_PID
	launch named sh -c "/$NAME signals >/tmp/a & /$NAME signals >/tmp/b & /probe signals >/tmp/c &
		wait"
	me=$CONTAINER me_pid=$CONTAINER_PID me_root=$B/rootfs
	# A container of its own cgroup in the same process namespace, as a pod's.
	EDIT=(--edit "next(n for n in c['linux']['namespaces'] if n['type'] == 'pid')['path'] = '/proc/$me_pid/ns/pid'")
	launch quiet "/$NAME" signals
	EDIT=()
	joined=$CONTAINER joined_out=$OUT joined_pid=$CONTAINER_PID
	within 20 grep -q ready "$WORK/host.out" "$other_out"
	for file in "$other_out" "$joined_out" "$me_root"/tmp/[abc]; do
		within 20 grep -q ready "$file" || diag "not ready: $file"
	done
	is "$(readlink "/proc/$joined_pid/ns/pid")" "$(readlink "/proc/$me_pid/ns/pid")" \
		"$runtime: (two containers share a process namespace)"
	CONTAINER=$me
	rotate
	within_log "container $me: told $NAME of the new secrets \(2 processes\)" \
		"$runtime: by name: both processes of the container"
	check "$runtime: by name: the one" until_line "$me_root/tmp/a" 10
	check "$runtime: by name: and the other" until_line "$me_root/tmp/b" 10
	untouched "$WORK/host.out" "$host" "$runtime: by name: not the host's"
	untouched "$other_out" "$other_pid" "$runtime: by name: not another container's"
	untouched "$joined_out" "$joined_pid" \
		"$runtime: by name: not that of another cgroup in the same process namespace"
	for pid in $(named_in "$me_pid"); do
		kill -KILL "$pid"
	done
	rotate
	within_log "container $me: 0 processes told .*no process of that name" \
		"$runtime: by name: nobody is there, and the log says so"
	within 20 generation_is "$me_pid" 3
	is "$(generation "$me_pid")" 3 "$runtime: by name: the secrets are rotated all the same"
	stop "$host" KILL
	rm -f "$WORK/host.out"
	for id in "$joined" "$me" "$other"; do
		runtime_stop "$runtime" "$id"
	done
}
generation() { cat "/proc/$1/root/run/secrets/.generation"; }
generation_is() { [ "$(generation "$1")" = "$2" ]; }

for runtime in $(runtimes); do
	test_first_process
	test_not_begun
	test_named
done
stop_agent
sweep "the first value is nowhere" "${VALUES[0]}"
sweep "nor the last" "${VALUES[-1]}"
finish
