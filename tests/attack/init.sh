#!/bin/bash
# SPDX-License-Identifier: ISC
# The socket of a grant in hostile hands: who asks without being granted, what is no question, floods,
# and deaths of the mounter and the worker at each of their calls. suite-timeout: 240
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need busybox python3 keyctl runc
runtime=runc
PROBE=$BUILD/tests/probes/probe_init

make_store
make_three
CANARY=$(canary)
seal web/d "$CANARY"
seal other/key "$(canary)"
start_agent || bail "the agent does not start"
GRANT="--mount $RUN_DIR/workload/web:/run/phial:ro"
FULL='cd /run/secrets 2>/dev/null && sha256sum a b c'

# guest [option...] -- COMMAND...: a container of user 1000 with the probe and phial-init, in $B
guest() {
	B=$WORK/guest$((GUESTS++))
	busybox_bundle "$B" --user 1000 --file "$PROBE:/probe" --file "$INIT:/phial-init" "$@"
}
GUESTS=0

# refused_to WANTED DESCRIPTION OPTION... -- COMMAND...: what it is told, and that it has no secret
refused_to() {
	local wanted=$1 description=$2
	shift 2
	guest "$@"
	run
	like "$OUTPUT" "$wanted" "$description"
	unlike "$OUTPUT" "${WANTED%% *}" "$description: no secret"
}

test_the_door() {
	# shellcheck disable=SC2086
	guest $GRANT -- /phial-init -- sh -c "$FULL"
	run
	is "$OUTPUT" "$WANTED" "a container that asks has its secrets"
	within 5 no_containers
	# shellcheck disable=SC2086
	guest $GRANT -- sh -c '/probe wait; /probe ask; grep -c " /run/secrets " /proc/mounts; sleep 60'
	runtime_start runc "$B" || bail "runc: $(cat "$B/output")"
	within 10 grep -q '^1$' "$B/output"
	like "$(cat "$B/output")" "/run/secrets new" "the first is served"
	unlike "$(cat "$B/output")" "done" "after its process has ended, the container is a new one"
	runtime_stop runc "$CONTAINER"
	within 5 no_containers
}

# Several at once, and again: one mount, everybody is told where.
test_once() {
	# shellcheck disable=SC2086
	guest $GRANT -- sh -c '/phial-init --wait 20 -- sh -c "
		for i in 1 2 3 4 5 6; do /probe wait >/tmp/\$i & done; wait
		cat /tmp/*; grep -c \" /run/secrets \" /proc/mounts; sleep 60"'
	runtime_start runc "$B" || bail "runc: $(cat "$B/output")"
	within 20 grep -q '^1$' "$B/output"
	is "$(grep -c "/run/secrets done" "$B/output")" 6 "six more that ask are told that it is done"
	is "$(tail -n 1 "$B/output")" 1 "and there is one mount"
	is "$(status_of 's["containers"][0]["door"]')" init "status names the door"
	runtime_stop runc "$CONTAINER"
	if within 5 no_containers; then
		ok "the end of phial-init's process has the secrets wiped"
	else
		not_ok "the end of phial-init's process has the secrets wiped"
	fi
	# All at once, nobody before: one is served, each has an answer.
	# shellcheck disable=SC2086
	guest $GRANT -- sh -c 'for i in 1 2 3 4 5 6; do (/probe wait; sleep 3) >/tmp/$i & done; wait
		cat /tmp/*; grep -c " /run/secrets " /proc/mounts'
	run
	is "$(grep -c "^/run/secrets" <<<"$OUTPUT")" 6 "six at once all have an answer"
	within 10 no_containers
}

test_grants() {
	local web=$RUN_DIR/workload/web
	refused_to "writable" "a writable grant" --mount "$web:/run/phial:rw" -- /probe ask
	refused_to "is no directory" "a grant elsewhere only" --mount "$web:/grant:ro" -- \
		/probe -s /grant/agent.sock ask
	refused_to "is no mount" "a grant elsewhere, and a directory at its place" \
		--dir /run/phial --mount "$web:/grant:ro" -- /probe -s /grant/agent.sock ask
	refused_to "not the directory of a workload" "the parent of all grants" \
		--mount "$RUN_DIR/workload:/run/phial:ro" -- /probe -s /run/phial/web/agent.sock ask
	refused_to "not the directory of a workload" "the whole run directory, as root" --user 0 \
		--mount "$RUN_DIR:/run/phial:ro" -- /probe -s /run/phial/init.sock ask
	mkdir "$WORK/fake"
	refused_to "not the directory of a workload" "another directory, with a grant's socket" \
		--mount "$WORK/fake:/run/phial:ro" --mount "$web:/grant:ro" -- \
		/probe -s /grant/agent.sock ask
	refused_to "different workloads" "two grants" --mount "$web:/run/phial:ro" \
		--mount "$RUN_DIR/workload/other:/other:ro" -- /probe ask
	refused_to "writable" "a second mount of the grant, writable" --mount "$web:/run/phial:ro" \
		--mount "$web:/again:rw" -- /probe ask
	OUTPUT=$("$PROBE" -s "$RUN_DIR/init.sock" ask 2>&1)
	like "$OUTPUT" "no mount namespace of its own" "the host itself"
	is "$(unshare -m "$PROBE" -s "$RUN_DIR/init.sock" ask 2>&1 | grep -c secrets)" 0 \
		"a process of the host with a mount namespace, and the host's root"
}

test_gates() {
	# shellcheck disable=SC2086
	refused_to "private_pid" "the host's processes" $GRANT --host-ns pid -- /probe ask
	# shellcheck disable=SC2086
	refused_to "not_privileged" "CAP_SYS_PTRACE" $GRANT --user 0 --cap CAP_SYS_PTRACE -- /probe ask
	# shellcheck disable=SC2086
	refused_to "not_privileged" "CAP_SYS_PTRACE, which phial-init itself has dropped" $GRANT \
		--user 0 --cap CAP_SYS_PTRACE -- /phial-init --user 1000:1000 -- sh -c "$FULL"
}

# answers_before_6_5 WANTED DESCRIPTION COMMAND: what the agent of a kernel before 6.5 says: of the two things
# that it asks of a socket, the second does not exist
answers_before_6_5() {
	if ! "$FAULT" -t -- true 9>/dev/null; then
		skip "tests/probes/fault knows x86-64 only" "$2"
		return
	fi
	inject_child worker -e 92 -n 2 -o 55
	# shellcheck disable=SC2086
	guest $GRANT -- sh -c "$3; sleep 1"
	run
	like "$OUTPUT" "$1" "$2"
	was_hit || not_ok "$2: the kernel was not asked"
	within 10 no_containers
}

test_without_peer_pidfd() {
	answers_before_6_5 "^/run/secrets new" "without SO_PEERPIDFD the pidfd that is sent counts" \
		"/probe ask"
	answers_before_6_5 "not that of the asking process" "and must be the caller's own" \
		"/probe foreign"
}

test_identity() {
	# shellcheck disable=SC2086
	guest $GRANT -- sh -c '/probe passed; sleep 1'
	run
	unlike "$OUTPUT" "new|done" "C-11 a socket passed on to a child is not served"
	# On kernels with SO_PEERPIDFD what is sent counts for nothing; before, it is refused.
	# shellcheck disable=SC2086
	guest $GRANT -- sh -c '/probe foreign; sleep 1'
	run
	like "$OUTPUT" "new|not that of the asking process" "a pidfd of another process gains nothing"
	test_without_peer_pidfd
	# shellcheck disable=SC2086
	guest $GRANT -- /probe leave 60
	run
	if within 15 no_containers; then
		ok "C-11 sixty that ask and end leave nothing"
	else
		not_ok "C-11 sixty that ask and end leave nothing"
		diag "$(status_json)"
	fi
	serves_init "C-11 sixty that ask and end"
	no_complaints "C-11 and then a container has its secrets"
}

# Who asks and leaves its mount namespace sets that one's number free, and lives on.
test_number_given_again() {
	local number attempt
	for attempt in 1 2 3 4 5; do
		# shellcheck disable=SC2086
		guest $GRANT -- /phial-init --exec -- sh -c \
			'readlink /proc/self/ns/mnt; exec unshare -Ur -m sh -c "echo left; sleep 60"'
		runtime_start runc "$B" || bail "runc: $(cat "$B/output")"
		within 10 grep -q left "$B/output" || break
		number=$(grep -o '[0-9]*' "$B/output" | head -n 1)
		# shellcheck disable=SC2086
		guest $GRANT --dir /run/phial --dir /run/secrets -- true
		OUTPUT=$(python3 "$ROOT/tests/tools/in_namespace.py" "$number" "$B/rootfs" \
			"$RUN_DIR/workload/web" /phial-init -- \
			/bin/sh -c 'cd /run/secrets && sha256sum a b c' 2>&1)
		STATUS=$?
		runtime_stop runc "$CONTAINER"
		[ $STATUS -eq 77 ] || break
		diag "number $number was given to something else (attempt $attempt)"
	done
	if [ ${STATUS:-77} -eq 77 ]; then
		skip "the number did not come again" "X-07 a container with the number of another's mounts"
	else
		is "$OUTPUT" "$WANTED" "X-07 a container with the number of another's mounts has its secrets"
	fi
	within 10 no_containers
}

# One container that makes namespaces for itself does not have the host's memory for it.
test_many_namespaces() {
	local i started=()
	# shellcheck disable=SC2086
	guest $GRANT --dir /run/phial --dir /run/secrets --dir /tmp -- true
	for i in $(seq 33); do
		start python3 "$ROOT/tests/tools/in_namespace.py" 0 "$B/rootfs" "$RUN_DIR/workload/web" \
			/phial-init --wait 30 -- /bin/sleep 600 >"$WORK/many.$i" 2>&1
		started+=("$STARTED_PID")
	done
	if within 30 grep -q "too many mount namespaces" "$WORK"/many.*; then
		ok "D-07 one container has no more than 32 mounts"
	else
		not_ok "D-07 one container has no more than 32 mounts"
	fi
	is "$(status_of 'len(s["containers"])')" 32 "D-07 and those it has"
	serves_init "D-07"
	no_complaints "D-07 and another container has its secrets"
	for i in "${started[@]}"; do stop "$i"; done
	within 20 no_containers
}

serves_init() {
	# shellcheck disable=SC2086
	guest $GRANT -- /phial-init --wait 20 -- sh -c "$FULL"
	run
	[ "$OUTPUT" = "$WANTED" ] || complain "$1: $OUTPUT"
}

test_garbage() {
	local before
	before=$(worker)
	# shellcheck disable=SC2086
	guest $GRANT -- /probe garbage
	run
	is "$STATUS" 0 "C-09 none of 72 frames that are no question is answered with secrets"
	is "$(worker)" "$before" "C-09 and the worker is the same as before"
	serves_init "C-09"
	no_complaints "C-09 and then a container has its secrets"
}

# Another container is served while one does its worst, and so are hooks and the command line.
test_floods() {
	local mode flooder
	for mode in silent loris deaf; do
		# shellcheck disable=SC2086
		guest $GRANT -- sh -c "for i in 1 2 3; do /probe $mode & done; wait"
		runtime_start runc "$B" || bail "runc: $(cat "$B/output")"
		flooder=$CONTAINER
		within 10 grep -q flooding "$B/output" || bail "no flood"
		sleep 1 # so that it is in full swing
		serves_init "D-01 $mode"
		serves_init "D-01 $mode, again"
		no_complaints "D-01 D-02 another container is served during a flood ($mode)"
		attempt "a hook during a flood ($mode)"
		[ "$HOOK_STATUS" -eq 0 ] || complain "a hook during a flood ($mode): $HOOK_OUTPUT"
		status_answers >/dev/null || complain "status during a flood ($mode)"
		no_complaints "D-01 D-02 and so are a hook and the command line ($mode)"
		runtime_stop runc "$flooder"
	done
	within 20 no_containers
}

# kill_at_each WHO STEP INJECT...: kills at call 1, 1 + STEP, ... while a container asks
kill_at_each() {
	local who=$1 step=$2 n hits=0 full=0
	shift 2
	for ((n = 1; n < 600; n += step)); do
		"$@" -k -n $n || bail "nothing to attach to"
		# shellcheck disable=SC2086
		guest $GRANT -- /phial-init --wait 20 -- sh -c "$FULL; echo RAN"
		run
		rm -rf "$B"
		if grep -q RAN <<<"$OUTPUT" && [ "${OUTPUT%$'\n'RAN}" != "$WANTED" ]; then
			complain "$who killed at call $n: it runs with less: $OUTPUT"
		fi
		! grep -q RAN <<<"$OUTPUT" || full=$((full + 1))
		was_hit || break
		hits=$((hits + 1))
	done
	[ $hits -ge 10 ] || complain "only $hits calls were hit: this test tests nothing"
	[ $n -lt 600 ] || complain "no end was found"
	serves_init "$who killed"
	no_complaints "F-01 $who killed at its calls ($hits): the command has all, or does not run" \
		"($full ran)"
	if within 15 no_containers; then
		ok "F-01 $who: nothing is left with the agent"
	else
		not_ok "F-01 $who: nothing is left with the agent"
		diag "$(status_json)"
	fi
}
of_worker() { inject_child worker "$@"; }
of_mounter() { inject -f -C phial-mounter -p "$AGENT_PID" "$@"; }

test_faults() {
	local mounts
	if ! "$FAULT" -t -- true 9>/dev/null; then
		skip "tests/probes/fault knows x86-64 only" "F-01 mounter and worker"
		return
	fi
	mounts=$(host_mounts)
	kill_at_each mounter 7 of_mounter
	kill_at_each worker 3 of_worker
	is "$(host_mounts)" "$mounts" "F-01 the host's mount table is as before"
}

# A restarted agent is at the same place in running containers.
test_restart() {
	# shellcheck disable=SC2086
	guest $GRANT -- sh -c 'until [ -e /tmp/go ]; do sleep 0.1; done; exec /phial-init --wait 20 -- sh -c "'"$FULL"'"'
	runtime_start runc "$B" || bail "runc: $(cat "$B/output")"
	stop_agent KILL
	start_agent || bail "the agent does not start again"
	touch "/proc/$CONTAINER_PID/root/tmp/go"
	within 20 grep -q "  c$" "$B/output"
	is "$(cat "$B/output")" "$WANTED" "a container of before asks the next agent"
	runtime_stop runc "$CONTAINER"
}

test_the_door
test_once
test_grants
test_gates
test_identity
test_number_given_again
test_many_namespaces
test_garbage
test_floods
test_faults
test_restart
stop_agent
for value in a c; do
	unlike "$(cat "$WORK/agent.log")" "$(cat "$VALUES/$value")" "L-04 no value in the agent's log"
done
sweep "no value is left anywhere" "$CANARY"
finish
