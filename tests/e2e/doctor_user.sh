#!/bin/bash
# SPDX-License-Identifier: ISC
# phial doctor by an ordinary user who has an agent of his own, and his rootless Podman's containers.
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
# shellcheck source=../engines/rootless.sh
. "$ROOT/tests/engines/rootless.sh"
need_root
need runc python3
rootless_setup "$@"
CANARY=$(canary)
RUN_DIR=$USER_RUN/phial
STORE=$USER_HOME/store
as_user phial init --no-passphrase --no-recovery --name ann "$STORE" >"$WORK/init.log" 2>&1 ||
	bail "phial init: $(cat "$WORK/init.log")"
as_user ln -s "$STORE" "$USER_HOME/.config/phial/store"
printf %s "$CANARY" | as_user phial seal web/db --store "$STORE" >"$WORK/seal.log" 2>&1 ||
	bail "phial seal: $(cat "$WORK/seal.log")"
start_quietly "$WORK/agent.log" "${AS_USER[@]}" phiald --user
within 20 as_user phial status || bail "$(cat "$WORK/agent.log")"
rootless_image bb

exits 0 "doctor, before Podman is set up" as_user phial doctor
like "$OUTPUT" "^ok +agent.up: " "the user's own agent is asked"
like "$OUTPUT" "^ok +files.identity: $USER_HOME/.config/phial/identity: mode 0[46]00" "... whose identity is his"
unlike "$OUTPUT" "/etc/phial|/var/lib/phial" "... and not the files of root's"
like "$OUTPUT" "^warn +agent.weaker: " "what is weaker than with root's agent is said"
like "$OUTPUT" "^warn +podman.hooks_folder: " "Podman has no hook of his yet"
as_user phial setup podman --user >"$WORK/setup.log" 2>&1 || bail "$(cat "$WORK/setup.log")"
exits 0 "doctor, afterwards" as_user phial doctor
like "$OUTPUT" "^ok +podman.hook_file: $USER_HOME/.config/phial/hooks.d/50-phial.json runs " "... it has one"
exits 0 "--would-start" as_user phial doctor --would-start web
chmod 644 "$USER_HOME/.config/phial/identity"
exits 1 "an identity that others may read: exit 1" as_user phial doctor
like "$OUTPUT" "^bad +files.identity: " "... and why"
chmod 600 "$USER_HOME/.config/phial/identity"

as_user podman run -d --name web "--mount=type=bind,src=$RUN_DIR/workload/web,dst=/run/secrets,ro" \
	bb sleep 600 >"$WORK/run.log" 2>&1 || bail "$(cat "$WORK/run.log")"
is "$(as_user phial status --json | python3 -c 'import json, sys
print([c["grade"] for c in json.load(sys.stdin)["containers"]])')" "['secure']" \
	"a rootless container is secure: its root is nobody's"
sweep "G3 the secret is nowhere else" "$CANARY"
finish
