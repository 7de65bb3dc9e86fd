# SPDX-License-Identifier: ISC
# For tests with real containers and a real agent: bundles with our hook, and what came of them.
#
# shellcheck shell=bash disable=SC2034,SC2154

# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# sha TEXT: what `sha256sum <file` prints in a container for a file of this text. Tests compare
# hashes: a value that a container printed would lie in files and pipes for the sweep to find.
sha() { printf %s "$1" | sha256sum | cut -d' ' -f1; }

# two_secrets: a store with the secret $FIRST of workload web and $SECOND of mail, each named db
two_secrets() {
	FIRST=$(canary)
	SECOND=$(canary)
	make_store
	seal web/db "$FIRST"
	seal mail/db "$SECOND"
}

# What a container says of its secret: owner and mode, hash, its mount.
# shellcheck disable=SC2016
REPORT='stat -L -c "owner %u:%g %a" /run/secrets/db
	sha256sum </run/secrets/db
	grep " /run/secrets " /proc/self/mountinfo | tail -n 1
	echo STARTED'
MOUNT_FLAGS='ro,nosuid,nodev,noexec[^ ]* - (tmpfs [^ ]+ [^ ]*noswap|ramfs)'

# reports_first OWNER DESCRIPTION...: $OUTPUT is $REPORT of $FIRST, a file of that user's
reports_first() {
	local owner=$1
	shift
	is "$(sed -n '1p;2p' <<<"$OUTPUT" | cut -c-64)" "owner $owner 400
$(sha "$FIRST")" "$*: owner, mode and content"
	like "$(sed -n 3p <<<"$OUTPUT")" "$MOUNT_FLAGS" "$*: flags of the mount"
	unlike "$OUTPUT" "shared:" "$*: the mount is private"
}

# bundle [option...] [-- COMMAND...]: a new bundle in $B with the hook for this test's agent;
# the options are those of bundle.py.
bundle() {
	local number=$((BUNDLES++))
	B=$WORK/bundle$number
	busybox_bundle "$B" --run-dir "$RUN_DIR" --hook "$HOOK" --hook-arg=--run-dir \
		--hook-arg="$RUN_DIR" "$@"
}
BUNDLES=0

# run: $B under $runtime; $OUTPUT is what the container and the runtime said, $STATUS the exit code
run() {
	OUTPUT=$(runtime_run "$runtime" "$B" 2>&1)
	STATUS=$?
	OUTPUT=${OUTPUT//\\\"/\"} # runc's log escapes them
}

# start_container: $B under $runtime, left running; $CONTAINER, $CONTAINER_PID
start_container() {
	runtime_start "$runtime" "$B" && return
	not_ok "$runtime: the container starts"
	diag "$(cat "$B/output")"
	return 1
}

# inside COMMAND...: what a process of the host sees in the mounts of $CONTAINER_PID
inside() { nsenter -t "$CONTAINER_PID" -m -- "$@"; }

# The agent's log since `mark_log`.
mark_log() { LOG_MARK=$(wc -l <"$WORK/agent.log"); }
log_since() { tail -n +$((LOG_MARK + 1)) "$WORK/agent.log"; }
log_has() { log_since | grep -Eq -- "$1"; }

# within_log PATTERN DESCRIPTION...
within_log() {
	local pattern=$1
	shift
	if within 5 log_has "$pattern"; then
		ok "$*"
	else
		not_ok "$*"
		diag "the log does not match: $pattern" "$(log_since)"
	fi
}

status_json() { "$PHIAL" status --json --run-dir "$RUN_DIR"; }
# status_of EXPRESSION: Python on the status document `s`
status_of() { status_json | python3 -c "import json, sys; s = json.load(sys.stdin); print($1)"; }
# soon EXPRESSION VALUE DESCRIPTION: passes once the status document says so; what has ended stays
# in it until it is wiped, a second later
soon() {
	within 5 status_is "$1" "$2"
	is "$(status_of "$1")" "$2" "$3"
}
status_is() { [ "$(status_of "$1")" = "$2" ]; }
no_containers() { [ "$(status_of 'len(s["containers"])')" = 0 ]; }

# refused PATTERN DESCRIPTION...: after `run`: nothing of the container ran, and the agent's log
# says why; so does the runtime's stderr where it shows a hook's (crun gives hooks /dev/null)
refused() {
	local pattern=$1
	shift
	if [ "$STATUS" -eq 0 ] || grep -q STARTED <<<"$OUTPUT"; then
		not_ok "$*: the container does not start"
		diag "$OUTPUT"
	else
		ok "$*: the container does not start"
	fi
	[ "$runtime" = crun ] || like "$OUTPUT" "$pattern" "$*: the reason is on the runtime's stderr"
}
