# SPDX-License-Identifier: ISC
# The main job on the real runtimes: a sealed secret is opened by the agent, appears in a private
# mount inside the container that was granted it, and is nowhere else, then or later.
# suite-timeout: 300
. "$(dirname "$0")/../lib.sh"
need_root
need runc crun busybox

CANARY=$(canary)
# By the shell, and not by cat as the last to run: busybox's sends the file's own pages into the pipe,
# and whoever reads it after the container's end finds them wiped.
# shellcheck disable=SC2016
SHOW='printf %s "$(cat /run/secrets/db_password)"; grep " /run/secrets " /proc/self/mountinfo | tail -n 1 >&2'

make_store
seal web/db_password "$CANARY"
start_agent || bail "the agent does not start"
HOOK_OPTIONS=(--hook "$HOOK" --hook-arg=--run-dir --hook-arg="$RUN_DIR")
GRANT=(--run-dir "$RUN_DIR" --grant web "${HOOK_OPTIONS[@]}")

# granted RUNTIME NAME [bundle option...]: the value arrives, on a mount as it should be
granted() {
	local runtime=$1 name=$2
	shift 2
	busybox_bundle "$WORK/$runtime-$name" "${GRANT[@]}" "$@" -- sh -c "$SHOW"
	is_value "$(runtime_run "$runtime" "$WORK/$runtime-$name" 2>"$WORK/said")" "$CANARY" \
		"$runtime, $name: the secret arrives"
	like "$(cat "$WORK/said")" \
		' /run/secrets ro,nosuid,nodev,noexec,[a-z,]* - (tmpfs [^ ]* rw,.*noswap|ramfs )' \
		"$runtime, $name: read-only, nothing runs from it, never swapped"
}

for runtime in $(runtimes); do
	granted "$runtime" root
	granted "$runtime" user --user 1000
	granted "$runtime" new-target --no-target
	granted "$runtime" read-only --user 1000 --read-only
	granted "$runtime" userns --userns
	granted "$runtime" userns-user --userns --user 1000

	busybox_bundle "$WORK/$runtime-none" "${HOOK_OPTIONS[@]}" -- ls -A /run/secrets
	is "$(runtime_run "$runtime" "$WORK/$runtime-none" 2>&1)" "" \
		"$runtime, no grant: nothing arrives"

	busybox_bundle "$WORK/$runtime-live" "${GRANT[@]}" --user 1000 -- sleep 600
	check "$runtime: a container keeps running" runtime_start "$runtime" "$WORK/$runtime-live"
	is_value "$(runtime "$runtime" exec "$CONTAINER" cat /run/secrets/db_password)" "$CANARY" \
		"$runtime: and reads its secret later"
	unlike "$(cat /proc/self/mountinfo)" ' /run/secrets | - (ramfs none|tmpfs none [^ ]*noswap)' \
		"$runtime: the host's mount table does not show it"
	sweep "$runtime: while it runs the value is nowhere else" "$CANARY" --no-swap
	check "$runtime: the agent counts one container" within 10 bash -c \
		"'$PHIAL' status --run-dir '$RUN_DIR' | grep -q 'containers: 1'"
	runtime_stop "$runtime" "$CONTAINER"
	check "$runtime: and none when it is gone" within 10 bash -c \
		"'$PHIAL' status --run-dir '$RUN_DIR' | grep -q 'containers: 0'"
done

stop_agent
is $? 0 "the agent ends"
sweep "in the end the value is nowhere, swap included" "$CANARY"
unlike "$(cat "$WORK/agent.log")" "$CANARY" "the agent's log does not hold it"
finish
