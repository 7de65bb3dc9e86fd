#!/bin/bash
# SPDX-License-Identifier: ISC
# Podman containers that run: rotation, its signal, a killed agent, revocation.
# suite-timeout: 200
# shellcheck source=_podman.sh
. "$(dirname "$0")/_podman.sh"
# shellcheck source=_rotation.sh
. "$(dirname "$0")/_rotation.sh"
need_root
need runc crun busybox python3
podman_setup "$@"
rotation_store
podman_image bb
podman_hook --run-dir "$RUN_DIR"

declare -A KINDS=([plain]="runc" [user]="crun --user 1000:1001 --read-only" [userns]="runc --userns=auto")

launch() {
	local options
	read -r runtime options <<<"${KINDS[$1]}"
	# shellcheck disable=SC2086
	pod run -d --name "$1" $options "$(grant web)" bb sh -c "$APPLICATION" >"$WORK/pod.log" 2>&1 ||
		{ diag "$(cat "$WORK/pod.log")" && return 1; }
	CONTAINER_PID=$(pod inspect -f '{{.State.Pid}}' "$1")
}
has_inside() { secret_of "$1"; }
refused_start() { run_pod "$(grant web)" bb echo STARTED; }
remove_all() { remove_pods; }

runtime=runc
launch_all plain user userns
is "$(stat -L -c '%u:%g %a' "$(root_of user)/run/secrets/db")" "1000:1001 400" "user: its owner and mode"
test_rotation
is "$(stat -L -c '%u:%g %a' "$(root_of user)/run/secrets/db")" "1000:1001 400" "user: ... as before"
test_killed_agent
runtime=runc
test_revocation
test_end
finish
