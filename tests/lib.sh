# SPDX-License-Identifier: ISC
# For tests in bash: TAP output, a folder that goes away, processes that are ended, OCI bundles
# that run, and the agent on its own run, state and store folders.
#
#	. "$(dirname "$0")/../lib.sh"
#	need_root
#	need runc busybox
#	busybox_bundle "$WORK/b" --user 1000 --grant web --hook "$HOOK" -- cat /run/secrets/db
#	is "$(runtime_run runc "$WORK/b")" "$CANARY" "the secret arrives"
#	finish
#
# Set here: ROOT (the source), BUILD (absolute), WORK (this test's folder, mode 0711), PHIAL,
# PHIALD, HOOK, INIT, RUNTIME (the programs). Everything below WORK is unmounted and removed at the
# end, and every process begun with `start` is ended, whatever happened.
#
# shellcheck shell=bash disable=SC2034

set -u
umask 022
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case ${BUILD:-build} in
/*) BUILD=$BUILD ;;
*) BUILD=$ROOT/${BUILD:-build} ;;
esac
PHIAL=$BUILD/phial
PHIALD=$BUILD/phiald
HOOK=$BUILD/phial-hook
RUNTIME=$BUILD/phial-runtime
INIT=$BUILD/phial-init

TEST_BEGAN=$(date +%s)
TEST_COUNT=0
TEST_FAILED=0
STARTED=()   # process ids, ended last first
AT_EXIT=()   # commands, run last first
CONTAINERS=() # "runtime id" pairs to delete

WORK=$(mktemp -d "${TMPDIR:-/tmp}/phial-test.XXXXXX") || exit 1
chmod 0711 "$WORK" # containers in a user namespace must be able to pass through

# --- results ---------------------------------------------------------------------------

diag() { printf '%s\n' "$@" | sed 's/^/# /'; }

ok() {
	TEST_COUNT=$((TEST_COUNT + 1))
	printf 'ok %d - %s\n' "$TEST_COUNT" "$*"
}

not_ok() {
	TEST_COUNT=$((TEST_COUNT + 1))
	TEST_FAILED=$((TEST_FAILED + 1))
	printf 'not ok %d - %s\n' "$TEST_COUNT" "$*"
}

# skip REASON DESCRIPTION...: one test that could not be tried here
skip() {
	local reason=$1
	shift
	TEST_COUNT=$((TEST_COUNT + 1))
	printf 'ok %d - %s # SKIP %s\n' "$TEST_COUNT" "$*" "$reason"
}

# skip_all REASON: nothing of this file can be tried here
skip_all() {
	printf '1..0 # SKIP %s\n' "$*"
	exit 0
}

bail() {
	printf 'Bail out! %s\n' "$*"
	exit 1
}

# The last line of every test: the plan and the exit code.
finish() {
	printf '1..%d\n' "$TEST_COUNT"
	[ "$TEST_FAILED" -eq 0 ] && [ "$TEST_COUNT" -gt 0 ]
	exit
}

# check DESCRIPTION COMMAND...: passes if the command exits 0; its output is shown if not
check() {
	local description=$1 output status
	shift
	"$@" >"$WORK/.output" 2>&1 </dev/null # no subshell: a function may set variables
	status=$?
	output=$(cat "$WORK/.output")
	rm -f "$WORK/.output"
	if [ $status -eq 0 ]; then
		ok "$description"
	else
		not_ok "$description"
		diag "exit $status of: $*" "$output"
	fi
	return $status
}

# exits STATUS DESCRIPTION COMMAND...: passes if the command exits with exactly this status;
# its output is left in $OUTPUT
exits() {
	local want=$1 description=$2 got
	shift 2
	"$@" >"$WORK/.output" 2>&1 </dev/null
	got=$?
	OUTPUT=$(cat "$WORK/.output")
	rm -f "$WORK/.output"
	if [ "$got" -eq "$want" ]; then
		ok "$description"
		return 0
	fi
	not_ok "$description"
	diag "exit $got, wanted $want, of: $*" "$OUTPUT"
	return 1
}

# is GOT WANTED DESCRIPTION...
is() {
	local got=$1 want=$2
	shift 2
	if [ "$got" = "$want" ]; then
		ok "$*"
		return 0
	fi
	not_ok "$*"
	diag "got:    $got" "wanted: $want"
	return 1
}

# is_value GOT WANTED DESCRIPTION...: the same for secrets: on failure neither is printed, or the
# log would be the leak that `sweep` then finds
is_value() {
	local got=$1 want=$2
	shift 2
	if [ "$got" = "$want" ]; then
		ok "$*"
		return 0
	fi
	not_ok "$*"
	diag "got other bytes: ${#got} of them, wanted ${#want}"
	return 1
}

# like TEXT ERE DESCRIPTION... and its opposite
like() {
	local text=$1 pattern=$2
	shift 2
	if grep -Eq -- "$pattern" <<<"$text"; then
		ok "$*"
		return 0
	fi
	not_ok "$*"
	diag "text:            $text" "does not match: $pattern"
	return 1
}

unlike() {
	local text=$1 pattern=$2
	shift 2
	if ! grep -Eq -- "$pattern" <<<"$text"; then
		ok "$*"
		return 0
	fi
	not_ok "$*"
	diag "text:    $text" "matches: $pattern"
	return 1
}

# --- what a test needs -------------------------------------------------------------------

need_root() { [ "$(id -u)" -eq 0 ] || skip_all "needs root"; }

# need PROGRAM...: skips the file when one is missing
need() {
	local program
	for program in "$@"; do
		command -v "$program" >/dev/null || skip_all "$program is not installed"
	done
}

# run_as UID COMMAND...: as an ordinary user, without groups and capabilities
run_as() {
	local uid=$1
	shift
	setpriv --reuid "$uid" --regid "$uid" --clear-groups --inh-caps=-all -- "$@"
}

# canary: 32 hex digits that occur nowhere else
canary() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# within SECONDS COMMAND...: true as soon as the command succeeds. For conditions, not for speed.
within() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.05
	done
}

# --- processes and the end -----------------------------------------------------------------

# start COMMAND...: in the background; its id is in $STARTED_PID
start() {
	"$@" <&0 & # without this bash gives it /dev/null
	STARTED_PID=$!
	STARTED+=("$STARTED_PID")
}

# stop PID [SIGNAL]: ends a process of `start` and waits for it; its exit code is returned
stop() {
	kill "-${2:-TERM}" "$1" 2>/dev/null
	wait "$1" 2>/dev/null
}

is_gone() { ! kill -0 "$1"; }

# at_exit COMMAND: one line of shell, run at the end
at_exit() { AT_EXIT+=("$1"); }

# What a test of ours could have left in the host's mount table, and nobody else: mounts below WORK,
# and file systems as phial-hook makes them. Other engines' containers come and go meanwhile.
host_mounts() { grep -E " $WORK/| - (tmpfs|ramfs) none .*mode=0?755" /proc/self/mountinfo; }

own_mounts() { awk -v work="$WORK" 'index($5, work "/") == 1 { print $5 }' /proc/self/mountinfo; }

clean_up() {
	local status=$? i entry point
	# A child that a signal reaches before it has put the traps away must not clean up.
	[ "$BASHPID" = "$$" ] || exit "$status"
	trap '' INT TERM HUP
	for ((i = ${#AT_EXIT[@]} - 1; i >= 0; i--)); do
		eval "${AT_EXIT[i]}"
	done
	for entry in "${CONTAINERS[@]+"${CONTAINERS[@]}"}"; do
		# shellcheck disable=SC2086
		set -- $entry
		runtime "$1" delete --force "$2" >/dev/null 2>&1
	done
	for ((i = ${#STARTED[@]} - 1; i >= 0; i--)); do
		kill -TERM "${STARTED[i]}" 2>/dev/null || continue
		within 5 is_gone "${STARTED[i]}" || kill -KILL "${STARTED[i]}"
		wait "${STARTED[i]}" 2>/dev/null
	done
	own_mounts | tac | while read -r point; do
		umount -l "$point" 2>/dev/null
	done
	if [ -n "$(own_mounts)" ]; then
		echo "# mounts left below $WORK: nothing removed" >&2
	else
		chmod -R u+rwx "$WORK" 2>/dev/null
		rm -rf --one-file-system "$WORK"
	fi
	exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- containers ------------------------------------------------------------------------------

# busybox_bundle DIR [options] [-- COMMAND...]: see tests/tools/bundle.py --help
busybox_bundle() { python3 "$ROOT/tests/tools/bundle.py" "$@"; }

# busybox_tar FILE [options]: the root file system of such a bundle, for engines to import
busybox_tar() {
	local file=$1
	shift
	busybox_bundle "$file.bundle" "$@" && tar -C "$file.bundle/rootfs" -cf "$file" . &&
		rm -rf "$file.bundle"
}

# True where crun refuses to run: cgroup v1 with a v2 hierarchy that owns controllers.
cgroup_is_hybrid() {
	[ -n "$(cat /sys/fs/cgroup/unified/cgroup.controllers 2>/dev/null)" ]
}

# without_unified COMMAND...: in a mount namespace of its own in which crun finds plain cgroup v1
without_unified() {
	unshare -m --propagation slave sh -c \
		'umount /sys/fs/cgroup/unified && exec "$@"' without_unified "$@"
}

# runtime runc|crun ARGUMENT...: the runtime on a state folder below WORK
runtime() {
	local name=$1
	shift
	if [ "$name" = crun ] && cgroup_is_hybrid; then
		without_unified crun --root "$WORK/state-crun" "$@"
	else
		"$name" --root "$WORK/state-$name" "$@"
	fi
}

# new_container RUNTIME: a fresh id in $CONTAINER, deleted at the end
new_container() {
	CONTAINER=phial-test-$$-${#CONTAINERS[@]}
	CONTAINERS+=("$1 $CONTAINER")
}

# runtime_run runc|crun BUNDLE: in the foreground; output and exit code are the container's
runtime_run() {
	# The number must differ between subshells, too: $(runtime_run ...) is the usual call.
	local id=phial-test-$$-r${BASHPID}-${RANDOM} status
	runtime "$1" run --bundle "$2" "$id" </dev/null
	status=$?
	runtime "$1" delete --force "$id" >/dev/null 2>&1
	return $status
}

# runtime_start runc|crun BUNDLE: in the background, id in $CONTAINER, process in $CONTAINER_PID.
# Output goes to BUNDLE/output.
runtime_start() {
	local name=$1 bundle=$2
	new_container "$name"
	runtime "$name" create --bundle "$bundle" --pid-file "$bundle/pid" "$CONTAINER" \
		</dev/null >"$bundle/output" 2>&1 || return
	CONTAINER_PID=$(cat "$bundle/pid")
	runtime "$name" start "$CONTAINER" >>"$bundle/output" 2>&1
}

# runtime_stop runc|crun ID
runtime_stop() { runtime "$1" delete --force "$2" >/dev/null 2>&1; }

# The runtimes that are installed, for loops: for runtime in $(runtimes); do ... done
runtimes() {
	local name
	for name in runc crun; do
		! command -v $name >/dev/null || echo $name
	done
}

# --- the agent --------------------------------------------------------------------------------

# make_store [DIR]: a store in $STORE with this test's keys, made by phial itself as a person
# would. HOME and XDG_CONFIG_HOME point below WORK from then on; $IDENTITY and $TRUST are what an
# agent on the same keys needs.
make_store() {
	export HOME=$WORK/home XDG_CONFIG_HOME=$WORK/home/.config
	STORE=${1:-$WORK/store}
	mkdir -p "$XDG_CONFIG_HOME"
	"$PHIAL" init --no-passphrase --no-recovery --name tester "$STORE" >"$WORK/init.log" 2>&1 ||
		bail "phial init: $(cat "$WORK/init.log")"
	IDENTITY=$XDG_CONFIG_HOME/phial/identity
	TRUST=$XDG_CONFIG_HOME/phial/trust
}

# seal NAME VALUE [option...]: no newline is added. The value is on no command line (printf is the
# shell's own).
seal() {
	local name=$1 value=$2
	shift 2
	printf %s "$value" | "$PHIAL" seal "$name" --store "$STORE" "$@" >"$WORK/seal.log" 2>&1 ||
		bail "phial seal $name: $(cat "$WORK/seal.log")"
}

# start_agent [OPTION...]: phiald on $STORE with $IDENTITY and $TRUST, run folder in $RUN_DIR and
# state folder in $STATE_DIR, its worker as $AGENT_USER, its CDI file below $WORK; waits until it
# says READY. Its process is $AGENT_PID, its log is $WORK/agent.log.
start_agent() {
	RUN_DIR=${RUN_DIR:-$WORK/run}
	STATE_DIR=${STATE_DIR:-$WORK/state}
	AGENT_USER=${AGENT_USER:-nobody}
	rm -f "$WORK/notify" "$WORK/ready"
	start python3 "$ROOT/tests/tools/ready.py" "$WORK/notify" "$WORK/ready"
	local listener=$STARTED_PID
	within 60 test -S "$WORK/notify" || bail "no socket for READY"
	NOTIFY_SOCKET=$WORK/notify start_quietly "$WORK/agent.log" "$PHIALD" --run-dir "$RUN_DIR" \
		--state-dir "$STATE_DIR" --store "$STORE" --identity "$IDENTITY" --trust "$TRUST" \
		--worker-user "$AGENT_USER" --cdi "$WORK/cdi/phial.json" "$@"
	AGENT_PID=$STARTED_PID
	within 60 agent_is_ready_or_gone
	stop "$listener"
	if ! grep -q READY=1 "$WORK/ready" 2>/dev/null; then
		diag "$(tail -n 20 "$WORK/agent.log")"
		return 1
	fi
}

# start_quietly FILE COMMAND...: as start, with its output appended to a file
start_quietly() {
	local file=$1
	shift
	start "$@" </dev/null >>"$file" 2>&1
}

agent_is_ready_or_gone() {
	grep -q READY=1 "$WORK/ready" || ! kill -0 "$AGENT_PID"
}

# stop_agent [SIGNAL]
stop_agent() { stop "$AGENT_PID" "${1:-TERM}"; }

# --- leaks --------------------------------------------------------------------------------------

# sweep DESCRIPTION CANARY [leak-sweep option...]: passes if the bytes are nowhere. The canary
# travels on a descriptor. This shell and its parents are left out, because they hold it by right;
# files that did not change since the test began are not read. Swap is.
sweep() {
	local description=$1 value=$2 output status
	shift 2
	output=$("$BUILD/tests/tools/leak-sweep" --canaries 3 --skip-ancestors \
		--since "$TEST_BEGAN" "$@" \
		3< <(printf '%s\n' "$value") 2>&1)
	status=$?
	if [ $status -eq 0 ]; then
		ok "$description"
	else
		not_ok "$description"
		diag "$output"
	fi
	return $status
}
