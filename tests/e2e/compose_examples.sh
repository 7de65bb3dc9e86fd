# SPDX-License-Identifier: ISC
# examples/compose as its page says, on a dockerd of this test's own: only paths of an installed
# phial are exchanged for those of this build.
# suite-timeout: 120
. "$(dirname "$0")/_lib.sh"
. "$ROOT/tests/engines/docker.sh"
need_root
need busybox docker-compose
EXAMPLES=$ROOT/examples/compose
docker_setup "$@"
CANARY=$(canary)

make_store
seal web/db_password "$CANARY"
start_agent || bail "the agent does not start"
docker_runtime phial "$BUILD/phial-runtime" --phial-run-dir "$RUN_DIR"
docker_start
docker_image busybox:stable

# up FILE: what the service says, and compose's own exit code in $STATUS
up() {
	mkdir -p "$WORK/compose"
	sed -e "s|/run/phial/workload|$RUN_DIR/workload|" \
		-e "s|/usr/local/libexec/phial|$BUILD|" "$EXAMPLES/$1" >"$WORK/compose/$1"
	OUTPUT=$(docker-compose --ansi never --project-name "phial$$" -f "$WORK/compose/$1" up \
		--exit-code-from web 2>&1 </dev/null)
	STATUS=$?
	docker-compose --project-name "phial$$" -f "$WORK/compose/$1" down -t 0 >/dev/null 2>&1
}

up compose.yml
is "$STATUS" 0 "compose.yml: the service ends well"
like "$OUTPUT" "$(sha "$CANARY")  /run/secrets/db_password" "compose.yml: it had its secret"
up compose.init.yml
is "$STATUS" 0 "compose.init.yml: the service ends well"
like "$OUTPUT" "$(sha "$CANARY")  /run/secrets/db_password" "compose.init.yml: it had its secret"

stop_agent
up compose.yml
unlike "$STATUS" '^0$' "without the agent the service does not start"
like "$OUTPUT" 'phial-runtime: .*agent' "and the reason is shown"
sweep "the value is nowhere" "$CANARY"
finish
