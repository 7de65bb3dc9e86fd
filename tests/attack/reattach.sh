#!/bin/bash
# SPDX-License-Identifier: ISC
# The next agent comes back to containers that have used the time: F-02, X-07, and what they may have
# put in the secrets' place; numbers that were given again; records that are not the agent's.
# suite-timeout: 180
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need runc busybox python3 nsenter
runtime=runc

make_store
FIRST=$(canary)
seal open/db "$FIRST"
seal web/db "$FIRST"
printf '{ "phial": "policy v1", "serial": 1, "workloads": {
	"open": { "gates": [], "grace": "100ms" }, "web": { "grace": "100ms" } } }\n' \
	>"$STORE/.phial/policy.json"
"$PHIAL" policy sign --store "$STORE" >"$WORK/policy.log" 2>&1 || bail "$(cat "$WORK/policy.log")"
start_agent || bail "the agent does not start"

restart_agent() {
	mark_log
	stop_agent KILL
	start_agent || bail "the next agent does not start"
}

reload() { "$PHIAL" reload --run-dir "$RUN_DIR" >"$WORK/reload.log" 2>&1; }
# put NAME: a new value, in $VALUE, that the agent has read
put() {
	VALUE=$(canary)
	seal "$1" "$VALUE"
	reload
}
sees() { sha256sum <"/proc/$1/root/run/secrets/db" 2>/dev/null | cut -c-64; }
has() { [ "$(sees "$1")" = "$(sha "$2")" ]; }
state_of() { status_of '[(c["state"], c["problem"]) for c in s["containers"] if c["pid"] == '"$1"']'; }
is_held() { [ "$(state_of "$1")" = "[('running', None)]" ]; }
is_refused() { grep -q "running, not re-attached" <<<"$(state_of "$1")"; }
held() {
	within 15 is_held "$1"
	is "$(state_of "$1")" "[('running', None)]" "${@:2}"
}

# --- what a container puts in its place ------------------------------------------------------

# hostile NAME SCRIPT: root of a container in a user namespace, with all that it takes to mount
declare -A PIDS
VOLUME=$WORK/volume
mkdir -m 0777 "$VOLUME"
hostile() {
	local name=$1
	bundle --grant open --userns --cap CAP_SYS_ADMIN --mask-nothing --mount "$VOLUME:/volume:rw" -- \
		sh -c "$2 && echo DONE; exec sleep 600"
	start_container || bail "no container"
	PIDS[$name]=$CONTAINER_PID
	within 15 grep -q DONE "$B/output" || bail "$name: $(cat "$B/output")"
}

# refuses NAME PATTERN
refuses() {
	within 15 is_refused "${PIDS[$1]}"
	like "$(state_of "${PIDS[$1]}")" "running, not re-attached.*$2" "F-02 $1: not re-attached, and why"
}

# shellcheck disable=SC2016
test_hostile_containers() {
	local name
	hostile "a tmpfs over it" 'mount -t tmpfs t /run/secrets'
	hostile "a volume over it" 'mount --bind /volume /run/secrets'
	hostile "a part of it" 'mount --bind /run/secrets/..1 /run/secrets'
	hostile "moved away" 'mkdir /away && mount --move /run/secrets /away'
	hostile "a link" 'mount -t tmpfs t /run && ln -s /volume /run/secrets'
	hostile "a pipe" 'mount -t tmpfs t /run && mkfifo /run/secrets'
	hostile "another namespace" 'echo DONE; exec unshare -m sleep 600; true'
	hostile "bound twice" 'mount --bind /run/secrets /run/secrets'
	restart_agent
	refuses "a tmpfs over it" "another filesystem is mounted at /run/secrets"
	refuses "a volume over it" "another filesystem"
	refuses "a part of it" "another filesystem"
	refuses "a link" "a symbolic link is in the way"
	refuses "a pipe" "no directory any more"
	refuses "another namespace" "has left the mount namespace"
	# The grant is what lay below.
	refuses "moved away" "another filesystem"
	held "${PIDS["bound twice"]}" "F-02 bound on itself: it is still the same"
	put open/db
	within 15 has "${PIDS["bound twice"]}" "$VALUE"
	is "$(sees "${PIDS["bound twice"]}")" "$(sha "$VALUE")" "F-02 and a new value arrives there"
	is "$(ls -A "$VOLUME")" "" "F-02 nothing was written into the volume"
	is "$(ls -A "/proc/${PIDS["a tmpfs over it"]}/root/run/secrets")" "" \
		"F-02 nor into the container's own tmpfs"
	like "$("$PHIAL" status --run-dir "$RUN_DIR")" "another filesystem is mounted" \
		"F-02 phial status says so"
	like "$("$PHIAL" doctor --run-dir "$RUN_DIR" 2>&1)" "cannot reach its secrets: another filesystem" \
		"F-02 phial doctor, too"
	# It may come to its senses.
	nsenter -t "${PIDS["a tmpfs over it"]}" -m umount /run/secrets
	reload
	held "${PIDS["a tmpfs over it"]}" "F-02 at a reload it is tried again"
	within 15 has "${PIDS["a tmpfs over it"]}" "$VALUE"
	is "$(sees "${PIDS["a tmpfs over it"]}")" "$(sha "$VALUE")" "F-02 and gets the new value"
	for name in "${CONTAINERS[@]}"; do
		runtime_stop "$runtime" "${name#* }"
	done
	reload
	check "F-02 all are forgotten, held or not" within 15 no_containers
}

# --- numbers that are given again ------------------------------------------------------------

# take_pid PID COMMAND...: a process with that number, or not; $TAKEN. Others take numbers, too.
take_pid() {
	local wanted=$1 try
	shift
	TAKEN=
	[ -w /proc/sys/kernel/ns_last_pid ] || return
	for ((try = 0; try < 200; try++)); do
		echo $((wanted - 1)) >/proc/sys/kernel/ns_last_pid 2>/dev/null || return
		start "$@"
		if [ "$STARTED_PID" = "$wanted" ]; then
			TAKEN=$wanted
			return
		fi
		stop "$STARTED_PID" KILL
	done
}

test_reused_pid() {
	local namespace
	bundle --grant web -- sleep 600
	start_container || return
	namespace=$(readlink "/proc/$CONTAINER_PID/ns/mnt")
	stop_agent KILL
	runtime_stop "$runtime" "$CONTAINER"
	take_pid "$CONTAINER_PID" unshare -m --propagation private sleep 600
	if [ -z "$TAKEN" ]; then
		skip "the number cannot be had again" "X-07 a process has the number of a container's"
		start_agent || bail "the next agent does not start"
		return
	fi
	within 10 grep -q sleep "/proc/$TAKEN/comm"
	diag "mount namespace of the container $namespace, of the other $(readlink "/proc/$TAKEN/ns/mnt")"
	mark_log
	start_agent || bail "the next agent does not start"
	within_log "$CONTAINER: it ended while no agent looked" \
		"X-07 a process with the number of a container's is not it"
	is "$(status_of 's["containers"]')" "[]" "X-07 and is not listed"
	is "$(grep -c phial "/proc/$TAKEN/mountinfo")" "$(grep -c phial /proc/self/mountinfo)" \
		"X-07 nor mounted into"
	stop "$TAKEN" KILL
}

# A container that is started again has its id, and nothing else of it.
test_same_id() {
	local old
	bundle --grant web -- sleep 600
	start_container || return
	old=$CONTAINER_PID
	stop_agent KILL
	runtime_stop "$runtime" "$CONTAINER"
	start_agent || bail "the next agent does not start"
	runtime "$runtime" create --bundle "$B" --pid-file "$B/pid" "$CONTAINER" </dev/null \
		>"$B/output" 2>&1
	CONTAINER_PID=$(cat "$B/pid")
	is "$(status_of '[c["pid"] for c in s["containers"] if c["id"] == "'"$CONTAINER"'"]')" \
		"[$CONTAINER_PID]" "X-07 the same id, started again: only the new one is known (not $old)"
	put web/db
	within 15 has "$CONTAINER_PID" "$VALUE"
	is "$(sees "$CONTAINER_PID")" "$(sha "$VALUE")" "X-07 and gets the new value"
	runtime_stop "$runtime" "$CONTAINER"
	within 15 no_containers
}

# --- records of a worker that was taken over ---------------------------------------------------

# forge EXPRESSION: the words `w` of the last record, changed in Python, with checksums that are right
forge() {
	python3 - "$STATE_DIR/containers" "$1" <<-'PYTHON'
		import hashlib, os, sys
		path, statement = sys.argv[1:]
		lines = [l.rsplit(" ", 1)[0] for l in open(path).read().splitlines()]
		w = [l for l in lines if l.startswith("start ")][-1].split(" ")
		def fs(directory):
		    st, vfs = os.stat(directory), os.statvfs(directory)
		    return "@fs=%d:%d:%d" % (st.st_dev, vfs.f_fsid & (2**64 - 1), st.st_ino)
		def process(pid):
		    w[3] = str(pid)
		    w[4] = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[19]
		    w[5] = str(os.stat(f"/proc/{pid}/ns/mnt").st_ino)
		def identity(directory):
		    w[:] = [fs(directory) if x.startswith("@fs=") else x for x in w]
		exec(statement)
		text = " ".join(w)
		digest = hashlib.blake2b(b"0" * 16 + text.encode(), digest_size=32).hexdigest()[:16]
		with open(path, "r+") as f:
		    f.truncate()
		    f.write(f"{text} {digest}\n")
	PYTHON
}

# forged EXPRESSION PATTERN DESCRIPTION...
forged() {
	local statement=$1 pattern=$2
	shift 2
	stop_agent KILL
	cp "$WORK/containers" "$STATE_DIR/containers"
	forge "$statement" || bail "no record to change"
	mark_log
	start_agent || bail "the next agent does not start"
	within_log "$pattern" "C-12 $*"
	if grep -q "is held again" <<<"$(log_since)"; then
		not_ok "C-12 ... and it is not held"
	else
		ok "C-12 ... and it is not held"
	fi
}

test_forged_records() {
	local other
	bundle --grant web -- sleep 600
	start_container || return
	other=$CONTAINER_PID
	start unshare -m --propagation private sh -c \
		'mount -t tmpfs -o mode=755 t /mnt && mkdir /mnt/pts && exec sleep 600'
	local private=$STARTED_PID
	within 10 grep -q sleep "/proc/$private/comm"
	mkdir "$WORK/host"
	mount -t tmpfs -o mode=755 host "$WORK/host"
	start unshare -m --propagation private sleep 600
	local service=$STARTED_PID
	within 10 grep -q sleep "/proc/$service/comm"
	cp "$STATE_DIR/containers" "$WORK/containers"

	forged "process($private); w[10] = '/mnt'; identity('/proc/$private/root/mnt')" \
		"/mnt holds files of others" "a record of a container's own tmpfs"
	forged "process($service); w[10] = '$WORK/host'; identity('$WORK/host')" \
		"mounted on the host" "a record of a filesystem of the host"
	is "$(ls -A "$WORK/host")" "" "C-12 nothing was written there"
	forged "w[10] = '/dev'; identity('/proc/$other/root/dev')" \
		"/dev holds files of others" "a record of a container's /dev"
	forged "w[10] = '/nowhere/../run/secrets'" "is not there any more" "a target that leads upwards"
	forged "process($$)" "no mount namespace of its own" "a record of a process of the host"
	check "C-12 the container's /dev is as it was" test -c "/proc/$other/root/dev/null"
	stop_agent KILL
	cp "$WORK/containers" "$STATE_DIR/containers"
	start_agent || bail "the next agent does not start"
	held "$other" "C-12 with the record as it was the container is held"
	stop "$private" KILL
	stop "$service" KILL
	umount "$WORK/host"
	runtime_stop "$runtime" "$CONTAINER"
	within 15 no_containers
}

# --- the supervisor dies again and again -------------------------------------------------------

# F-02: wherever it is, with what it has begun. Sleeps spread the deaths, nothing waits for them.
test_killed_while_re_attaching() {
	local round pids=()
	for round in 1 2 3 4; do
		bundle --grant web -- sleep 600
		start_container || return
		pids+=("$CONTAINER_PID")
	done
	stop_agent KILL
	for round in {1..12}; do
		start_quietly "$WORK/agent.log" "$PHIALD" --run-dir "$RUN_DIR" --state-dir "$STATE_DIR" \
			--store "$STORE" --identity "$IDENTITY" --trust "$TRUST" --worker-user "$AGENT_USER"
		sleep "0.0$((RANDOM % 90 + 10))"
		stop "$STARTED_PID" KILL
	done
	start_agent || bail "the next agent does not start"
	for round in "${pids[@]}"; do
		held "$round" "F-02 after twelve agents that were killed the container is held"
		is "$(sees "$round")" "$(sha "$VALUE")" "F-02 and kept what it had"
	done
	put web/db
	for round in "${pids[@]}"; do
		within 15 has "$round" "$VALUE"
		is "$(sees "$round")" "$(sha "$VALUE")" "F-02 and gets the new value"
	done
	for round in "${CONTAINERS[@]: -4}"; do
		runtime_stop "$runtime" "${round#* }"
	done
	check "F-02 all are forgotten" within 15 no_containers
}

# phial-init asks the next agent for what this one could not finish; what that left is in the way.
test_init_broken_off() {
	local round
	for round in 1 2 3 4 5; do
		B=$WORK/bundle$((BUNDLES++))
		busybox_bundle "$B" --run-dir "$RUN_DIR" --target /run/phial --grant web \
			--dir /run/secrets --file "$INIT:/phial-init" -- /phial-init -- sleep 600
		start_container || return
		sleep "0.0$((RANDOM % 90 + 10))"
		stop_agent KILL
		start_agent || bail "the next agent does not start"
		within 20 has "$CONTAINER_PID" "$VALUE"
		is "$(sees "$CONTAINER_PID")" "$(sha "$VALUE")" \
			"F-02 phial-init gets its secrets, whichever agent began with them"
		held "$CONTAINER_PID" "F-02 ... and the agent holds them"
		runtime_stop "$runtime" "$CONTAINER"
		within 15 no_containers
	done
}

test_hostile_containers
test_reused_pid
test_same_id
test_killed_while_re_attaching
test_init_broken_off
test_forged_records
is "$(host_mounts)" "" "no mount is left on the host"
stop_agent
sweep "G3 the first value is nowhere" "$FIRST"
sweep "G3 nor the last" "$VALUE"
finish
