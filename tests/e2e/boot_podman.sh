#!/bin/bash
# SPDX-License-Identifier: ISC
# A reboot with Podman: containers with restart policy "always" are started as
# podman-restart.service does, before the agent is there.
# shellcheck source=_podman.sh
. "$(dirname "$0")/_podman.sh"
podman_with_agent "$@"
# start --all and the policy are of one Podman, whichever runtime it has.
runtime=$(runtimes | head -n 1)
for one in web mail; do
	pod run -d --restart always --name "$one" "$(grant "$one")" bb sleep 600 >"$WORK/log" 2>&1 ||
		bail "$(cat "$WORK/log")"
done
pod create --name other "$(grant web)" bb sleep 600 >/dev/null
sees() { pod exec "$1" sha256sum /run/secrets/db 2>&1 | cut -c-64; }
is "$(sees web)$(sees mail)" "$(sha "$FIRST")$(sha "$SECOND")" "before: two containers have their secrets"

# The power goes: agent and containers at once, and what lay in /run.
crash() {
	stop_agent KILL
	pod kill --all >/dev/null 2>&1
	within 30 nothing_runs || bail "containers still run"
	rm -rf "$RUN_DIR"
	install -d -m 700 "$RUN_DIR"
	install -d -m 755 "$RUN_DIR/workload" "$RUN_DIR/workload/web" "$RUN_DIR/workload/mail"
}
nothing_runs() { [ -z "$(pod ps -q)" ]; }
restart_all() { pod start --all --filter restart-policy=always; }

crash
start_quietly "$WORK/start.log" restart_all
podman_pid=$STARTED_PID
sleep 2 # not for speed: so that the first hook really is there before the agent
check "Podman, started before the agent, waits for it" kill -0 "$podman_pid"
start_agent || bail "no agent"
wait "$podman_pid"
is "$?" 0 "... and starts what is always to run"
is "$(sees web)$(sees mail)" "$(sha "$FIRST")$(sha "$SECOND")" "... with the secrets, each its own"
is "$(pod ps --format '{{.Names}}' | sort | paste -sd,)" mail,web "... and nothing else"

crash
exits 125 "an agent that never comes: Podman ends" timeout 60 podman --runtime "$runtime" start --all \
	--filter restart-policy=always
is "$(pod ps -q)" "" "... no container runs"
start_agent || bail "no agent"
check "... and the next start works" restart_all
is "$(sees web)" "$(sha "$FIRST")" "... with the secrets"

sweep "G3 the first secret is nowhere else" "$FIRST"
sweep "G3 nor the second" "$SECOND"
finish
