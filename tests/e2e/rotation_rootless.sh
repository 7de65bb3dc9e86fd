#!/bin/bash
# SPDX-License-Identifier: ISC
# Rotation by an ordinary user's agent: its worker writes the files, and cannot touch those that were
# given to the container's user. suite-timeout: 120
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
# shellcheck source=../engines/rootless.sh
. "$ROOT/tests/engines/rootless.sh"
need_root
need runc python3 nsenter
rootless_setup "$@"

RUN_DIR=$USER_RUN/phial
STORE=$USER_HOME/store
CONFIG=$USER_HOME/.config
runtime=runc

# put NAME: a new value, which is in $VALUE
put() {
	VALUE=$(canary)
	printf %s "$VALUE" | as_user phial seal "$1" --store "$STORE" >"$WORK/seal.log" 2>&1 ||
		bail "phial seal $1: $(cat "$WORK/seal.log")"
}
reload() { as_user phial reload >"$WORK/reload" 2>&1; }
status_json() { as_user phial status --json; }

pod() { as_user podman --runtime "$runtime" "$@"; }
sees() { sha256sum <"/proc/$PID/root/run/secrets/$1" 2>/dev/null | cut -c-64; }
has() { [ "$(sees "$1")" = "$(sha "$2")" ]; }
has_soon() { # FILE VALUE DESCRIPTION...
	within 20 has "$1" "$2"
	is "$(sees "$1")" "$(sha "$2")" "${*:3}"
}
generations() { (cd "/proc/$PID/root/run/secrets" && ls -A | grep -c -E '^\.\.[0-9]'); }
has_one_generation() { [ "$(generations)" = 1 ]; }

as_user mkdir -p "$CONFIG/phial"
rootless_image bb
as_user phial init --no-passphrase --no-recovery --name ann "$STORE" >"$WORK/init.log" 2>&1 ||
	bail "phial init: $(cat "$WORK/init.log")"
as_user ln -s "$STORE" "$CONFIG/phial/store"
put web/db
put web/key
KEY=$VALUE
printf '{ "phial": "policy v1", "serial": 1, "workloads": { "web": { "grace": "2s" } } }\n' |
	as_user tee "$STORE/.phial/policy.json" >/dev/null
as_user phial policy sign --store "$STORE" >"$WORK/policy.log" 2>&1 || bail "$(cat "$WORK/policy.log")"
as_user phial setup podman --user >"$WORK/setup.log" 2>&1 || bail "$(cat "$WORK/setup.log")"
start_quietly "$WORK/agent.log" "${AS_USER[@]}" phiald --user
AGENT_PID=$STARTED_PID
within 20 as_user phial status || bail "no agent: $(cat "$WORK/agent.log")"

check "a container starts" pod run -d --name web --user 1000 \
	--mount=type=bind,src="$RUN_DIR/workload/web",dst=/run/secrets,ro bb sleep 600
PID=$(pod inspect -f '{{.State.Pid}}' web)
exec 7<"/proc/$PID/root/run/secrets/db"
put web/db
reload
has_soon db "$VALUE" "a new version reaches it"
is "$(sees key)" "$(sha "$KEY")" "... the other secret is as it was"
is "$(pod exec web stat -L -c '%u:%g %a' /run/secrets/db)" "1000:0 400" "... owner and mode, too"
put web/db # within the grace time of the one before
reload
has_soon db "$VALUE" "one within the grace time comes after it"
within 20 has_one_generation
check "... and in the end there is one generation" has_one_generation
is "$(tr -d '\0' <&7 | wc -c)" 0 "... who holds the first version open reads zeros"
exec 7<&-
rm "$STORE/web/key.sealed"
put web/db
reload
has_soon db "$VALUE" "a secret that left the store, while another one is new"
is "$(sees key)" "$(sha "$KEY")" "... stays as it is"
is "$(status_of '[c["problem"] for c in s["containers"]]')" "[None]" "status has no problem"
pod rm -fa -t 0 >/dev/null 2>&1
stop "$AGENT_PID"
sweep "in the end the last value is nowhere" "$VALUE" --no-swap
finish
