#!/bin/bash
# SPDX-License-Identifier: ISC
# Where a secret could leak to, while it is used and afterwards: swap, core dumps, arguments,
# environments, logs, layers, memory. Each place is shown to be searched by a control that does
# leak, where there is one. suite-timeout: 300
# alone: swap and the place of core dumps are the machine's
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need runc busybox python3 nsenter pgrep

FIRST=$(canary)
SECOND=$(canary)
CONTROL=$(canary)
BIG_BYTES=1000000

# repeated VALUE BYTES: the value over and over
repeated() { python3 -c 'import sys; v = sys.stdin.buffer.read()
sys.stdout.buffer.write((v * (int(sys.argv[1]) // len(v) + 1))[:int(sys.argv[1])])' "$2" <<<"$1"; }

# everywhere DESCRIPTION [leak-sweep option...]: neither secret is anywhere
everywhere() {
	local description=$1
	shift
	sweep "$description" "$FIRST
$SECOND" "$@"
}

worker_pid() { pgrep -x -P "$AGENT_PID" -u "$AGENT_USER" phiald; }
filler_pid() { pgrep -P "$AGENT_PID" -u root; }

# --- L-03, L-04, L-08, L-10: while containers run, and afterwards --------------------------------

test_running() {
	bundle --grant web --user 1000 -- sleep 100
	start_container || return
	inside cat /run/secrets/db /run/secrets/big >/dev/null
	everywhere "L-03 L-04 $runtime: while a container has them: memory, arguments, logs, files"
	runtime_stop "$runtime" "$CONTAINER"
	within 5 no_containers
	everywhere "L-10 $runtime: after the container's end"
}

test_layer() {
	local layers=$WORK/layers-$runtime
	bundle --hook-arg=--workload --hook-arg=web --no-target -- sleep 100
	mkdir -p "$layers/upper" "$layers/work"
	mv "$B/rootfs" "$layers/lower"
	mkdir "$B/rootfs"
	mount -t overlay overlay -o \
		"lowerdir=$layers/lower,upperdir=$layers/upper,workdir=$layers/work" "$B/rootfs" || {
		skip "no overlay here" "L-08 $runtime: the container's layer"
		return
	}
	start_container || return
	is "$(inside sha256sum /run/secrets/db | cut -c-64)" "$(sha "$FIRST")" \
		"L-08 $runtime: on overlay: the secret is in the container"
	is "$(find "$layers/upper" -path '*/run/*' | sed "s|$layers/upper||")" /run/secrets \
		"L-08 $runtime: its layer holds the empty directory, while it runs"
	runtime_stop "$runtime" "$CONTAINER"
	is "$(find "$layers/upper" -path '*/run/*' | sed "s|$layers/upper||")" /run/secrets \
		"L-08 $runtime: and afterwards, as a commit would find it"
	umount "$B/rootfs"
}

# --- L-01 -----------------------------------------------------------------------------------------

# A cgroup for memory in $CGROUP with $CGROUP_LIMIT to write to, of whichever version there is.
make_cgroup() {
	CGROUP=/sys/fs/cgroup/memory/phial-test-$$
	CGROUP_LIMIT=$CGROUP/memory.limit_in_bytes
	if grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null; then
		CGROUP=/sys/fs/cgroup/phial-test-$$
		CGROUP_LIMIT=$CGROUP/memory.max
		echo +memory >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null
	fi
	mkdir "$CGROUP" 2>/dev/null && [ -w "$CGROUP_LIMIT" ] || return
	at_exit "rmdir $CGROUP"
}

make_swap() {
	SWAP=$WORK/swap
	dd if=/dev/zero of="$SWAP" bs=1M count=192 status=none && chmod 0600 "$SWAP" &&
		mkswap "$SWAP" >/dev/null 2>&1 && swapon "$SWAP" 2>/dev/null || return
	at_exit "swapoff $SWAP 2>/dev/null"
}

swap_holds() { [ "$(sweep x "$1" --no-files --no-memory | head -c 6)" = "not ok" ]; }

# in_cgroup PROGRAM ARGUMENT...
in_cgroup() { sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$CGROUP" "$@"; }

# More than the cgroup may have: all that can be swapped is. The hog itself holds zeros and noise.
press() {
	in_cgroup python3 -c '
import os
hog = bytearray()
for i in range(96):
	hog += os.urandom(1 << 20)
' >/dev/null 2>&1
}

test_swap() {
	if ! make_swap || ! make_cgroup; then
		skip "no swap or memory cgroup to be made here" "L-01 swap under memory pressure"
		return
	fi
	stop_agent
	printf '#!/bin/sh\necho $$ >%s/cgroup.procs\nexec %s "$@"\n' "$CGROUP" "$PHIALD" \
		>"$WORK/phiald-in-cgroup"
	chmod +x "$WORK/phiald-in-cgroup"
	PHIALD=$WORK/phiald-in-cgroup start_agent || bail "the agent does not start"
	bundle --grant web -- sleep 100
	start_container || return
	mkdir "$WORK/swappable"
	mount -t tmpfs -o size=8m swappable "$WORK/swappable"
	repeated "$CONTROL" "$BIG_BYTES" >"$WORK/control"
	in_cgroup cp "$WORK/control" "$WORK/swappable/control"
	rm "$WORK/control"
	echo $((40 << 20)) >"$CGROUP_LIMIT"
	press
	if swap_holds "$CONTROL"; then
		ok "L-01 control: the file of a plain tmpfs is in the swap"
	else
		skip "the pressure did not reach the swap" "L-01 control"
	fi
	everywhere "L-01 after pressure on agent and mount: not in the swap" --no-files
	echo -1 >"$CGROUP_LIMIT" 2>/dev/null || echo max >"$CGROUP_LIMIT"
	is "$(inside sha256sum /run/secrets/db | cut -c-64)" "$(sha "$FIRST")" \
		"L-01 the container still has its secret"
	runtime_stop "$runtime" "$CONTAINER"
	within 5 no_containers
	stop_agent
	everywhere "L-01 L-10 the swap after the agent's end" --no-files
	umount "$WORK/swappable"
	swapoff "$SWAP"
	start_agent || bail "the agent does not start"
}

# --- L-02 -----------------------------------------------------------------------------------------

# core_pattern PATTERN: as root may set it; what was there comes back at the end
core_pattern() { echo "$1" >/proc/sys/kernel/core_pattern; }

# crash NAME PID SIGNAL: no core of it appears. A core is written before its process is gone.
crash() {
	local name=$1 pid=$2 signal=$3
	kill "-$signal" "$pid" || {
		not_ok "L-02 $name: is there to be ended"
		return
	}
	within 10 is_gone "$pid"
	is "$(ls "$WORK/cores")" "" "L-02 $PATTERN_KIND: SIG$signal to $name: no core"
	rm -f "$WORK/cores/"*
}

# A reader that waits on a pipe.
waits_for_input() { grep -q 'pipe_read' "/proc/$1/wchan"; }

# A pipe on descriptor 8 that somebody has open at both ends all the time.
open_pipe() {
	rm -f "$WORK/fifo"
	mkfifo "$WORK/fifo"
	exec 8<>"$WORK/fifo"
}

crash_cli() {
	local pid
	open_pipe
	start "$PHIAL" seal web/half --store "$STORE" <"$WORK/fifo" >/dev/null 2>&1
	pid=$STARTED_PID
	printf '%s' "$FIRST" >&8
	within 5 waits_for_input "$pid"
	everywhere "L-03 $PATTERN_KIND: phial seal with a value, waiting for more" --skip-pid "$pid"
	crash "phial seal" "$pid" "$1"
	exec 8>&-
	open_pipe
	start "$PHIAL" unseal web/big --store "$STORE" -i "$IDENTITY" >"$WORK/fifo" 2>/dev/null
	pid=$STARTED_PID
	within 5 grep -q pipe_write "/proc/$pid/wchan"
	crash "phial unseal" "$pid" "$1"
	exec 8>&-
}

crash_hook() {
	local pid
	open_pipe
	start "$HOOK" --run-dir "$RUN_DIR" <"$WORK/fifo" >/dev/null 2>&1
	pid=$STARTED_PID
	within 5 waits_for_input "$pid"
	crash phial-hook "$pid" "$1"
	exec 8>&-
}

crash_all() {
	local signal=$1 worker
	crash_cli "$signal"
	crash_hook "$signal"
	within 5 filler_pid
	crash filler "$(filler_pid)" "$signal"
	worker=$(worker_pid)
	crash worker "$worker" "$signal"
	within 10 "$PHIAL" status --run-dir "$RUN_DIR"
	check "L-02 the agent has a new worker" test "$(worker_pid)" != "$worker"
	crash supervisor "$AGENT_PID" "$signal"
	wait "$AGENT_PID" 2>/dev/null
	everywhere "L-10 after SIG$signal to the supervisor: nothing is left"
	start_agent || bail "the agent does not start"
}

test_cores() {
	local before
	before=$(cat /proc/sys/kernel/core_pattern)
	mkdir -m 0777 "$WORK/cores"
	if ! ulimit -c unlimited || ! core_pattern "$WORK/cores/core.%p" 2>/dev/null; then
		skip "core_pattern cannot be set here" "L-02 core dumps"
		return
	fi
	at_exit "core_pattern '$before'"
	printf '#!/bin/sh\ncat >%s/core.$1\n' "$WORK/cores" >"$WORK/handler"
	chmod +x "$WORK/handler"
	stop_agent
	start_agent || bail "the agent does not start" # with the limit of now
	for PATTERN_KIND in file pipe; do
		[ "$PATTERN_KIND" = file ] || core_pattern "|$WORK/handler %p"
		start sleep 100
		within 5 grep -qx sleep "/proc/$STARTED_PID/comm" # before that it is a bash
		kill -SEGV "$STARTED_PID"
		wait "$STARTED_PID" 2>/dev/null
		within 5 test -s "$WORK/cores/core.$STARTED_PID"
		check "L-02 $PATTERN_KIND control: another program does leave a core" \
			test -s "$WORK/cores/core.$STARTED_PID"
		rm -f "$WORK/cores/"*
		crash_all ABRT
		crash_all SEGV
	done
	core_pattern "$before"
}

# --- L-04: what errors quote ---------------------------------------------------------------------

# not_quoted DESCRIPTION COMMAND...: fails, and does not say the control's bytes
not_quoted() {
	local description=$1 output
	shift
	if output=$("$@" 2>&1 </dev/null); then
		not_ok "L-04 $description: is refused"
	else
		unlike "$output" "$CONTROL|${CONTROL^^}" "L-04 $description: the error quotes no key or value"
	fi
}

test_errors() {
	local key=AGE-SECRET-KEY-1${CONTROL^^} signer=$WORK/junk.signer
	echo "$key" >"$WORK/junk.identity"
	printf 'untrusted comment: x\n%s\n' "$CONTROL" >"$signer"
	chmod 0400 "$WORK/junk.identity" "$signer"
	not_quoted "an identity that is none" "$PHIAL" unseal web/db --store "$STORE" \
		-i "$WORK/junk.identity"
	not_quoted "a signer that is none" "$PHIAL" seal web/db --store "$STORE" -s "$signer"
	not_quoted "a value as an argument" "$PHIAL" seal web/db "$CONTROL" --store "$STORE"
	not_quoted "an agent with an identity that is none" "$PHIALD" --run-dir "$WORK/run2" \
		--state-dir "$WORK/state2" --store "$STORE" --trust "$TRUST" --worker-user "$AGENT_USER" \
		--identity "$WORK/junk.identity"
	rm -f "$WORK/junk.identity" "$signer"
}

# --- L-10: the agent's end ------------------------------------------------------------------------

test_end() {
	local signal
	for signal in TERM KILL; do
		bundle --grant web -- sleep 100
		start_container || return
		stop_agent "$signal"
		is "$(inside sha256sum /run/secrets/db | cut -c-64)" "$(sha "$FIRST")" \
			"L-10 SIG$signal to the agent: the container keeps its secret"
		everywhere "L-10 SIG$signal to the agent: nothing outside the container"
		check "L-10 SIG$signal: no process of the agent is left" within 5 no_agent_left
		runtime_stop "$runtime" "$CONTAINER"
		everywhere "L-10 SIG$signal: nothing after the container's end, either"
		start_agent || bail "the agent does not start again"
	done
}
no_agent_left() { ! pgrep -f "$PHIALD --run-dir $RUN_DIR "; }

main() {
	local runtime
	make_store
	seal web/db "$FIRST"
	repeated "$SECOND" "$BIG_BYTES" | "$PHIAL" seal web/big --store "$STORE" --keep-newline \
		>/dev/null 2>&1 || bail "the large secret is not sealed"
	start_agent || bail "the agent does not start"
	everywhere "L-03 L-04 the agent has loaded them"
	for runtime in $(runtimes); do
		test_running
		test_layer
	done
	runtime=runc
	test_errors
	test_swap
	test_cores
	test_end
	stop_agent
	everywhere "L-10 after everything: nothing is left, in logs neither"
	unlike "$(cat "$WORK/agent.log" "$WORK"/*.log)" "$FIRST|$SECOND" "L-04 no value in any log"
}

main
finish
