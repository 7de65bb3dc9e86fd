# SPDX-License-Identifier: ISC
# For tests of the agent under attack and under faults: phial-hook on a container without a runtime,
# what is left of it, and the processes and keys of an agent.
#
# shellcheck shell=bash disable=SC2034,SC2154

# shellcheck source=../e2e/_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/_lib.sh"

FAULT=$BUILD/tests/probes/fault
need_fault() {
	"$FAULT" -t -- true 9>/dev/null
	[ $? -ne 77 ] || skip_all "tests/probes/fault knows x86-64 only"
}

# --- an agent ------------------------------------------------------------------------------

# launch COMMAND...: a command that becomes an agent, with a service manager's socket; true when it
# says READY=1. What it says later is in $WORK/ready, too.
launch() {
	rm -f "$WORK/notify" "$WORK/ready"
	start python3 "$ROOT/tests/tools/ready.py" "$WORK/notify" "$WORK/ready"
	within 10 test -S "$WORK/notify" || bail "no socket for READY"
	NOTIFY_SOCKET=$WORK/notify start_quietly "$WORK/agent.log" "$@"
	AGENT_PID=$STARTED_PID
	within 60 agent_is_ready_or_gone
	grep -q READY=1 "$WORK/ready"
}

# with_clock SECONDS COMMAND...: with a wall clock that is so far off
with_clock() {
	[ -e "$WORK/clock.so" ] || gcc -shared -fPIC -O1 -o "$WORK/clock.so" \
		"$ROOT/tests/tools/clock_shift.c" || bail "cannot build clock_shift.c"
	CLOCK_SHIFT_S=$1 LD_PRELOAD=$WORK/clock.so "${@:2}"
}

# The processes of the agent: its worker has another uid, its idle filler has not.
children() { ps -o pid=,uid=,stat=,comm= --ppid "$AGENT_PID" | grep -v Z; }
worker() { children | awk '$2 != 0 && $4 == "phiald" { print $1; exit }'; }
auditor() { children | awk '$4 == "phial-auditor" { print $1; exit }'; }
filler() { children | awk '$2 == 0 { print $1; exit }'; }
has_worker() { [ -n "$(worker)" ]; }
status_answers() { "$PHIAL" status --run-dir "$RUN_DIR"; }

are_gone() {
	local pid
	for pid in "$@"; do
		! kill -0 "$pid" 2>/dev/null || return 1
	done
}

# ring_of PID: the serial of its session ring, then those of (at most 64) keys in it, as the process
# itself sees them: nobody else can
ring_of() {
	local ring answer
	ring=$("$FAULT" -p "$1" -c 250,0,-3,0 | cut -d' ' -f1)
	answer=$("$FAULT" -p "$1" -c "250,11,$ring,mem,256")
	python3 - "$ring" "$answer" <<-'PYTHON'
		import struct, sys
		count, memory = sys.argv[2].split()
		keys = struct.unpack("<64i", bytes.fromhex(memory))[:int(count) // 4]
		print(sys.argv[1], *keys)
	PYTHON
}

# What root, who is no possessor, gets for a serial: "denied" or "gone".
key_state() {
	case $(keyctl read "$1" 2>&1) in
	*"Permission denied"*) echo denied ;;
	*"not available"* | *revoked*) echo gone ;;
	*) echo READ ;;
	esac
}
keys_are() { # STATE SERIAL...
	local wanted=$1 serial
	shift
	for serial in "$@"; do
		[ "$(key_state "$serial")" = "$wanted" ] || return 1
	done
}

# --- a container without a runtime -----------------------------------------------------------

# new_still: one that waits for a hook; its process is $STILL
new_still() {
	local bundle=$WORK/still
	[ -d "$bundle" ] || busybox_bundle "$bundle" --user 1000 --run-dir "$RUN_DIR"
	STILLS=$((STILLS + 1))
	rm -f "$WORK/still.pid"
	start_quietly "$WORK/still.pid" "$BUILD/tests/probes/still" "$bundle/rootfs"
	STILL=$STARTED_PID
	within 5 grep -q . "$WORK/still.pid" || bail "no container: $(cat "$WORK/still.pid")"
	printf '{"ociVersion":"1.0.2","id":"still-%d","status":"creating","pid":%d,"bundle":"%s"}' \
		$STILLS "$STILL" "$bundle" >"$WORK/hook-state"
}
STILLS=0
end_still() { stop "$STILL" KILL; }

# hook [PREFIX...]: phial-hook on that container, below another program if one is named; its exit
# code is in $HOOK_STATUS, what it said in $HOOK_OUTPUT
hook() {
	HOOK_OUTPUT=$(cd "$WORK/still" && exec "$@" "$HOOK" --run-dir "$RUN_DIR" --workload web \
		<"$WORK/hook-state" 2>&1)
	HOOK_STATUS=$?
}

# The secrets that the tests here use: three files, one of several keys.
make_three() {
	VALUES=$WORK/values # what the container must have, never more than this test's own
	mkdir -m 0700 "$VALUES"
	canary >"$VALUES/a"
	{ canary; head -c 90000 /dev/urandom; } >"$VALUES/b"
	canary >"$VALUES/c"
	local name
	for name in a b c; do
		"$PHIAL" seal web/$name --from "$VALUES/$name" --keep-newline --store "$STORE" \
			>"$WORK/seal.log" 2>&1 || bail "$(cat "$WORK/seal.log")"
	done
	WANTED=$(cd "$VALUES" && sha256sum a b c)
}

still_sees() { (cd "/proc/$STILL/root/run/secrets" && sha256sum a b c) 2>/dev/null; }
has_full_set() { [ "$(still_sees)" = "$WANTED" ]; }
# No byte of a secret: nothing but empty directories.
has_nothing() {
	[ -z "$(find "/proc/$STILL/root/run/secrets/" -type f -size +0 2>/dev/null)" ]
}

# --- faults ----------------------------------------------------------------------------------

# inject OPTION...: begins a fault on a process (see tests/probes/fault.c); was_hit ends it. False
# when the process has just ended.
inject() {
	rm -f "$WORK/fault.out"
	start_quietly "$WORK/fault.out" "$FAULT" "$@"
	INJECTOR=$STARTED_PID
	within 10 injector_is_on_or_gone
	grep -q attached "$WORK/fault.out" && return
	forget "$INJECTOR"
	return 1
}
injector_is_on_or_gone() { grep -q attached "$WORK/fault.out" || is_gone "$INJECTOR"; }

# inject_child CALLER OPTION...: the same on the process that `CALLER` prints, as soon as there is
# one that does not end just now; it is $INJECTED
inject_child() {
	local caller=$1 pid tries
	shift
	for ((tries = 0; tries < 50; tries++)); do
		pid=$($caller)
		INJECTED=$pid
		[ -z "$pid" ] || ! inject "$@" -p "$pid" || return 0
		sleep 0.1
	done
	bail "$caller: no process to attach to: $(cat "$WORK/fault.out")"
}
was_hit() {
	stop "$INJECTOR"
	local status=$?
	forget "$INJECTOR"
	return $status
}

# forget PID: it has ended; its number may be another's by the time this test ends
forget() {
	local pid kept=()
	for pid in "${STARTED[@]}"; do
		[ "$pid" = "$1" ] || kept+=("$pid")
	done
	STARTED=("${kept[@]}")
}

# A hook's call for a fresh container, which is ended as a runtime would, and what came of it.
# attempt WHAT [PREFIX...]: complaints are collected for `no_complaints`
attempt() {
	local what=$1
	shift
	new_still
	hook timeout 20 "$@"
	if [ "$HOOK_STATUS" -eq 124 ]; then
		complain "$what: the hook hangs"
	elif [ "$HOOK_STATUS" -eq 0 ] && ! has_full_set; then
		complain "$what: the container starts with less than the full set: $(still_sees 2>&1)"
	elif [ "$HOOK_STATUS" -ne 0 ] && [ "$HOOK_STATUS" -lt 128 ] && [ -z "$HOOK_OUTPUT" ]; then
		complain "$what: the hook fails (exit $HOOK_STATUS) and does not say why"
	fi
	end_still
	forget "$STILL"
}

# serves WHAT: afterwards a container has its secrets
serves() {
	attempt "$1, and the next container"
	[ "$HOOK_STATUS" -eq 0 ] ||
		complain "$1: the next container is refused (exit $HOOK_STATUS): $HOOK_OUTPUT"
}

COMPLAINTS=()
complain() { COMPLAINTS+=("$1"); }
# no_complaints DESCRIPTION...
no_complaints() {
	if [ ${#COMPLAINTS[@]} -eq 0 ]; then
		ok "$*"
	else
		not_ok "$*"
		diag "${COMPLAINTS[@]:0:20}" "log:" "$(tail -n 15 "$WORK/agent.log")"
	fi
	COMPLAINTS=()
}

# What a supervisor holds when no container runs: if this grows, something was forgotten.
descriptors() { find "/proc/$AGENT_PID/fd" -type l 2>/dev/null | wc -l; }
note_descriptors() {
	within 10 is_steady
	DESCRIPTORS=$(descriptors)
}
is_steady() { no_containers && [ -n "$(filler)" ]; }
holds_only() { no_containers && [ "$(descriptors)" -le "$1" ]; }
