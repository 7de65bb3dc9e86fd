# SPDX-License-Identifier: ISC
# What phial setup docker writes is what dockerd takes: at its start, at a reload, as the default
# runtime, and no more after --remove. Then the examples for Compose, as their README shows them.
# suite-timeout: 180
# shellcheck disable=SC2034,SC2154
. "$(dirname "$0")/_docker.sh"
need_root
need busybox docker-compose
docker_setup "$@"

CANARY=$(canary)
SHA=$(sha "$CANARY")
make_store
seal web/db_password "$CANARY"
# What setup writes names no run folder: the agent is at its usual place, in this test's mounts.
mkdir -m 0700 "$WORK/run"
own_place "$WORK/run" /run/phial
RUN_DIR=/run/phial
start_agent || bail "the agent does not start"
READ='sha256sum </run/secrets/db_password | cut -d" " -f1'
grant web

HOST=$WORK/host
DOCKER_DAEMON_JSON=$HOST/etc/docker/daemon.json
mkdir -p "$HOST/etc/docker"
cat >"$DOCKER_DAEMON_JSON" <<-'JSON'
	{
	    "log-driver": "json-file",
	    "default-ulimits": {"cpu": {"Name": "cpu", "Hard": -1, "Soft": -1}}
	}
JSON
cp "$DOCKER_DAEMON_JSON" "$WORK/before"
setup() { "$PHIAL" setup docker --root "$HOST" "$@"; }
default_runtime() { docker info -f '{{.DefaultRuntime}}'; }
default_is() { [ "$(default_runtime)" = "$1" ]; }
reload() { kill -HUP "$DOCKERD_PID"; }
plain() { docker run --rm --network none "${GRANT[@]}" bb sh -c "$READ" 2>&1 </dev/null; }

check "phial setup docker" setup
docker_start
docker_image bb
runtime=phial
is "$(d run --rm bb sh -c "$READ" 2>&1)" "$SHA" "dockerd starts with it: --runtime phial"
is "$(d run --rm bb grep cpu /proc/self/limits | tr -s ' ')" \
	"Max cpu time unlimited unlimited seconds " "and with the limits that were there"
is "$(default_runtime)" runc "the default runtime is what it was"
check "phial setup docker --default-runtime" setup --default-runtime
reload
check "a reload is enough" within 20 default_is phial
is "$(plain)" "$SHA" "a container that names no runtime has its secrets"
if command -v crun >/dev/null; then
	check "one more, around crun" setup --runtime phial-crun=crun
	reload
	runtime=phial-crun
	within 20 d run --rm bb true
	is "$(d run --rm bb sh -c "$READ" 2>&1)" "$SHA" "by arguments: --runtime phial-crun"
	check "and out again" setup --remove --runtime phial-crun
else
	skip "crun is not installed" "one more, around crun"
fi

# compose FILE: the example, with the image that is here, and phial-init of the build
compose() {
	sed "s|/usr/local/libexec/phial/phial-init|$INIT|" "$ROOT/examples/compose/$1" >"$WORK/$1"
	docker-compose --ansi never -p "phial$$" -f "$WORK/$1" up 2>&1 </dev/null
	docker-compose --ansi never -p "phial$$" -f "$WORK/$1" down >/dev/null 2>&1
}
docker tag bb busybox:stable
for file in compose.yml compose.init.yml; do
	like "$(compose $file)" "$SHA  /run/secrets/db_password" "examples/compose/$file"
done

check "phial setup docker --remove" setup --remove
check "daemon.json is what it was" cmp "$WORK/before" "$DOCKER_DAEMON_JSON"
docker_stop
docker_start
check "and the default runtime, after a restart" default_is runc
runtime=phial
exits 125 "a runtime that is registered no more" d run --rm bb true
docker_end
stop_agent
sweep "in the end the value is nowhere, swap included" "$CANARY"
finish
