#!/bin/bash
# SPDX-License-Identifier: ISC
# A reboot with Docker: dockerd starts containers with restart policy "always" by itself, before the
# agent is there. phial-runtime waits.
# shellcheck source=_docker.sh
. "$(dirname "$0")/_docker.sh"
need_root
need runc busybox python3
docker_setup "$@"
two_secrets
start_agent || bail "the agent does not start"
docker_runtimes
docker_start
docker_image bb
runtime=phial-$(runtimes | head -n 1)
for one in web mail; do
	grant "$one"
	d_start "$one" --restart always bb sleep 600
done
sees() { docker exec "$1" sha256sum /run/secrets/db 2>&1 | cut -c-64; }
is "$(sees web)$(sees mail)" "$(sha "$FIRST")$(sha "$SECOND")" "before: two containers have their secrets"

# The power goes: dockerd, containerd, agent and containers at once, and what lay in /run.
crash() {
	local pid pids=()
	for one in web mail; do
		pid=$(docker inspect -f '{{.State.Pid}}' "$one")
		[ "$pid" -le 1 ] || pids+=("$pid")
	done
	stop "$DOCKERD_PID" KILL
	[ ${#pids[@]} -eq 0 ] || kill -KILL "${pids[@]}"
	stop_agent KILL
	containerd_stop
	containerd_kill_shims 2>/dev/null # some end meanwhile
	own_mounts | grep -E "^($DOCKER_DIR/exec|$CONTAINERD_DIR/state)/" | tac | xargs -r umount
	rm -rf "$RUN_DIR" "$DOCKER_DIR/exec" "$DOCKER_DIR/pid" "$CONTAINERD_DIR/state"
	install -d -m 700 "$RUN_DIR"
	install -d -m 755 "$RUN_DIR/workload" "$RUN_DIR/workload/web" "$RUN_DIR/workload/mail"
	# Here, because docker_start asks first, and ctr waits ten seconds for nobody.
	rm -f "$CONTAINERD_ADDRESS"
	start_quietly "$CONTAINERD_DIR/log" containerd --config "$CONTAINERD_DIR/config.toml"
	CONTAINERD_PID=$STARTED_PID
	within 30 test -S "$CONTAINERD_ADDRESS" || bail "containerd: $(tail -n 5 "$CONTAINERD_DIR/log")"
}
run_count() { docker ps -q | wc -l; }
both_run() { [ "$(run_count)" = 2 ]; }
# late_agent: phiald two seconds from now, and not waited for
late_agent() {
	start_quietly "$WORK/agent.log" sh -c 'sleep 2; exec "$@"' late "$PHIALD" --run-dir "$RUN_DIR" \
		--state-dir "$STATE_DIR" --store "$STORE" --identity "$IDENTITY" --trust "$TRUST" \
		--worker-user "$AGENT_USER"
	AGENT_PID=$STARTED_PID
}

crash
late_agent
docker_start
check "dockerd, started before the agent, starts what is always to run" within 30 both_run
is "$(sees web)$(sees mail)" "$(sha "$FIRST")$(sha "$SECOND")" "... with the secrets, each its own"

crash
docker_start
is "$(run_count)" 0 "an agent that never comes: dockerd is up, and no container runs"
like "$(docker inspect -f '{{.State.Error}}' web)" "no agent answers" "... and Docker says why"
start_agent || bail "no agent"
check "... and the next start works" docker start web mail
is "$(sees web)" "$(sha "$FIRST")" "... with the secrets"

docker rm -f web mail >/dev/null 2>&1
sweep "G3 the first secret is nowhere else" "$FIRST"
sweep "G3 nor the second" "$SECOND"
finish
