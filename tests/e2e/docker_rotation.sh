#!/bin/bash
# SPDX-License-Identifier: ISC
# Docker containers that run, with and without a user namespace: rotation, its signal, a killed
# agent, revocation. suite-timeout: 200
# shellcheck source=_docker.sh
. "$(dirname "$0")/_docker.sh"
# shellcheck source=_rotation.sh
. "$(dirname "$0")/_rotation.sh"
need_root
need runc crun busybox python3
docker_setup "$@"
rotation_store
docker_runtimes
grep -q '^dockremap:' /etc/passwd || useradd -r dockremap
sed -i '/^dockremap:/d' /etc/subuid /etc/subgid
echo dockremap:300000:65536 | tee -a /etc/subuid >>/etc/subgid
docker_start --userns-remap=default
docker_image bb
grant web

declare -A KINDS=([plain]="phial-runc --userns=host" [user]="phial-crun --userns=host --user 1000:1001 --read-only"
	[userns]="phial-runc")

launch() {
	local options
	read -r runtime options <<<"${KINDS[$1]}"
	# shellcheck disable=SC2086
	d_start "$1" $options bb sh -c "$APPLICATION"
}
has_inside() { docker exec "$1" sha256sum /run/secrets/db | cut -c-64; }
refused_start() {
	OUTPUT=$(d run --rm --userns=host bb echo STARTED 2>&1)
	STATUS=$?
}
remove_all() { check "docker rm of all" d_rm "${!PIDS[@]}"; }

launch_all plain user userns
is "$(stat -L -c '%u:%g %a' "$(root_of user)/run/secrets/db")" "1000:1001 400" "user: its owner and mode"
test_rotation
is "$(stat -L -c '%u:%g %a' "$(root_of user)/run/secrets/db")" "1000:1001 400" "user: ... as before"
test_killed_agent
runtime=phial-runc
test_revocation
test_end
finish
