#!/bin/bash
# SPDX-License-Identifier: ISC
# phial status and phial reload, asked of a real agent.
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need setsid age-keygen
own_store
IDENTITY=$WORK/host-key
TRUST=$OWN/trust
RUN_DIR=$WORK/run
age-keygen -o "$IDENTITY" 2>/dev/null
HOST=$(age-keygen -y "$IDENTITY")
phial host add h1 "$HOST" >/dev/null
for name in web/a web/b db/x; do
	feed "of $name" phial seal $name >/dev/null
done
echo broken >web/c.sealed
start_agent --worker-user nobody || bail "no agent"

exits 0 "status" phial status --run-dir "$RUN_DIR"
like "$OUTPUT" "^secrets: +3 loaded, 1 refused" "counts"
like "$OUTPUT" "^  web/c: refused .*not a sealed file" "... names what is refused, and why"
like "$OUTPUT" "^  db: not running, would start with 1 file\$" "... workloads that would start"
like "$OUTPUT" "^  web: not running, would be REFUSED" "... and that would not"
is "$(grep -E '^  (web|db):' <<<"$OUTPUT" | head -1 | cut -c3-5)" web "worst first"
like "$OUTPUT" "$HOST" "the host's key"
like "$OUTPUT" "recipients 2, signers 1, policy 0" "the store's serials"
exits 0 "status --json" phial status --json --run-dir "$RUN_DIR"
check "... is JSON" python3 -c 'import json,sys; json.loads(sys.argv[1])' "$OUTPUT"
unlike "$OUTPUT" "of web/a" "... without values"
rm web/c.sealed
exits 0 "reload" phial reload --run-dir "$RUN_DIR"
like "$OUTPUT" "3 loaded, 0 refused" "... says what is loaded now"
cp -r "$STORE" "$WORK/backup"
for name in web/a web/b db/x; do
	feed "newer $name" phial seal $name >/dev/null
done
phial reload --run-dir "$RUN_DIR" >/dev/null
cp -r "$WORK/backup/." "$STORE"
phial reload --run-dir "$RUN_DIR" >/dev/null
phial reload --run-dir "$RUN_DIR" >/dev/null
is "$(grep -c "the store is older than what this host has seen: 3 secrets refused, e.g. db/x: .*git pull" \
	"$WORK/agent.log")" 1 "S-04 a store that was set back: the log says so once"
is "$(grep -c "refused .*is older than" "$WORK/agent.log")" 0 "... and not for each secret"
exits 0 "... status" phial status --run-dir "$RUN_DIR"
like "$OUTPUT" "^WARNING: +the store is older .*phial revert db/x --to [0-9]+" "... says what to do"
like "$OUTPUT" "^  web/a: refused .*is older than .*phial revert web/a --to" "... and has the details"
mkdir -m 755 "$WORK/bin" && install -m 755 "$PHIAL" "$WORK/bin/phial"
exits 15 "status by an ordinary user" run_as 65534 "$WORK/bin/phial" status --run-dir "$RUN_DIR"
like "$OUTPUT" "only root may ask" "... says why"
stop_agent
exits 17 "status after the agent stopped" phial status --run-dir "$RUN_DIR"

finish
