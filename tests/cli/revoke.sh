#!/bin/bash
# SPDX-License-Identifier: ISC
# phial revoke, revocations and override, asked of an agent without containers: what is refused, what is
# printed, and as JSON.
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need setsid python3
own_store
RUN_DIR=$WORK/run
VALUE=$(canary)
feed "$VALUE" phial seal web/db >/dev/null
feed "$VALUE" phial seal web/key >/dev/null
asked() { phial "$@" --run-dir "$RUN_DIR"; }
key() { python3 -c 'import json, sys; print(json.loads(sys.argv[1])[sys.argv[2]])' "$OUTPUT" "$1"; }

refuses 17 "start phiald" "without an agent: revoke" asked revoke web/db
refuses 17 "start phiald" "... revocations" asked revocations
refuses 17 "start phiald" "... override" asked override web/db --end
start_agent --worker-user nobody || bail "no agent"

refuses 2 "exclude each other" "workload and container" \
	asked revoke web/db --workload web --container c
refuses 2 "takes a version" "a version that is none" asked revoke web/db --version 1.2
refuses 9 "name" "a bad name" asked revoke ../db
refuses 14 'did you mean "web/db"' "a mistyped name" asked revoke web/bd
refuses 14 "no workload" "a workload that is none" asked revoke web/db --workload wbe
refuses 14 "no container" "a container that is none" asked revoke web/db --container c1
refuses 2 "1 to 255 bytes" "an empty reason" asked revoke web/db --reason ""
exits 0 "no revocations yet" asked revocations
is "$OUTPUT" "" "... nothing is listed"

exits 0 "revoke --json" asked revoke web/db --reason $'it \e[2J "leaked"\n' --json
is "$(key scope) $(key was_loaded) $(key was_revoked) $(key done) $(key containers)" \
	"all True False True []" "... says what it did"
is "$(key reason)" 'it \x1b[2J "leaked"\x0a' "... with a reason that is printable"
exits 0 "revoke for a workload" asked revoke web/key --workload web
exits 0 "revocations" asked revocations
is "$(wc -l <<<"$OUTPUT")" 2 "... one line each"
like "$OUTPUT" 'web/db up to version [0-9]+: it .x1b' "... with the reason"
like "$OUTPUT" "web/key up to version [0-9]+ for workload web\$" "... and for whom"
exits 0 "revocations --json" asked revocations --json
check "... is JSON" python3 -c 'import json, sys
r = json.loads(sys.argv[1])["revocations"]
assert [x["scope"] for x in r] == ["all", "workload"] and r[1]["where"] == "web", r' "$OUTPUT"
exits 0 "status says why" asked status
like "$OUTPUT" "web/db: refused .*revoked on .*phial seal web/db" "... and what to do"

exits 0 "an override" feed "$VALUE" phial override web/db --run-dir "$RUN_DIR" --ttl 90m --json
check "... as JSON" python3 -c 'import json, sys
d = json.loads(sys.argv[1])
assert d["name"] == "web/db" and d["until"] and d["done"] and d["version"] > 1e12, d' "$OUTPUT"
exits 0 "... is among the revocations, with its end to come" asked revocations
like "$OUTPUT" "OVERRIDE of web/db, version [0-9]+" "... by name"
exits 0 "... and ends" asked override web/db --end
like "$OUTPUT" "nothing good in its place" "... with nothing in its place"
mkdir -m 755 "$WORK/bin" && install -m 755 "$PHIAL" "$WORK/bin/phial"
exits 15 "by an ordinary user" run_as 65534 "$WORK/bin/phial" revoke web/key --run-dir "$RUN_DIR"
stop_agent
sweep "the value is nowhere" "$VALUE"
finish
