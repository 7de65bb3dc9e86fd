#!/bin/bash
# SPDX-License-Identifier: ISC
# phial policy check and sign.
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need setsid minisign
own_store
feed x phial seal web/db >/dev/null 2>&1
feed x phial seal shared/tls >/dev/null 2>&1

exits 14 "no policy" phial policy check
like "$OUTPUT" "convention is enough" "... is fine, and says so"
good='{"phial": "policy v1", "serial": 1, "workloads": {"web": {"secrets": ["web/*", "shared/tls"]}}}'
echo "$good" >.phial/policy.json
exits 0 "a good policy" phial policy check
like "$OUTPUT" "good, serial 1" "... with its serial"
like "$OUTPUT" "^web: 2 files in /run/secrets" "... and what each workload would get"
exits 0 "a FILE, outside the store" phial policy check "$STORE/.phial/policy.json"
exits 0 "a DIR" phial policy check "$STORE"
check "an unsigned policy makes the store refused" test "$(phial ls >/dev/null 2>&1; echo $?)" -ne 0
exits 0 "policy sign" phial policy sign
check "minisign verifies it" minisign -V -P "$(tail -1 "$OWN/signer.pub")" -m .phial/policy.json
exits 0 "... and the store is believed again" phial ls

cat >.phial/policy.json <<'END'
{
  "phial": "policy v1",
  "serial": 2,
  "workload": {},
  "workloads": {
    "web": { "secrets": ["web/*"], "gates": ["non_rot"] },
    "we b": {}
  }
}
END
exits 19 "a policy with several problems" phial policy check
like "$OUTPUT" "line 4.*workload" "... an unknown key, with its line"
like "$OUTPUT" "line 6.*gate" "... an unknown gate, with its line"
like "$OUTPUT" "line 7" "... a bad name, with its line"
before=$(snapshot .)
exits 19 "... is not signed" phial policy sign
is "$(snapshot .)" "$before" "... nothing is changed"
echo '{"phial": "policy v1", "serial": 2, "serial": 3, "workloads": {}}' >.phial/policy.json
exits 19 "a policy with duplicate keys" phial policy check
like "$OUTPUT" "line 1" "... with the line"
echo '{"phial": "policy v1", "serial": 2, "workloads": {"web": {"secrets": ["web/dbb"]}}}' >.phial/policy.json
exits 19 "a policy whose secret is not there" phial policy check
like "$OUTPUT" "web/dbb" "... by name"
exits 14 "a file that is missing" phial policy check "$WORK/none.json"

finish
