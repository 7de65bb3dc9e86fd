#!/bin/bash
# SPDX-License-Identifier: ISC
# phial policy check and sign.
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need setsid minisign python3
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

# told EXPRESSION: of the first line of the last output, as JSON in d, its workloads by name in w
told() {
	head -1 <<<"$OUTPUT" | python3 -c "import json, sys
d = json.load(sys.stdin)
w = {each['name']: each for each in d['workloads']}
print(json.dumps($1, separators=(',', ':')))"
}

# The life of secrets, in words and as JSON.
exits 0 "... checked again" phial policy check
like "$OUTPUT" "kept as long as the container runs" "what holds without a word"
like "$OUTPUT" "the versions before go after 30s; nobody is told" "... of a rotation"
like "$OUTPUT" "expiry: when the secret says so; warnings from 7d before" "... of expiry"
cat >.phial/policy.json <<'END'
{ "phial": "policy v1", "serial": 2, "workloads": {
  "web": {"keep": "12h", "grace": "0s", "ttl": "1d", "notify": {"signal": "SIGHUP", "process": "nginx"}},
  "shared": {"keep": "until-ready", "linger": "250ms", "warn_before": "0s"},
  "job": {"secrets": ["web/*"], "keep": "until-read", "ttl": "90d"},
  "app": {"secrets": ["web/db"], "keep": "until-ready", "notify": null}
} }
END
exits 19 "null is no value" phial policy check
sed -i 's/, "notify": null//' .phial/policy.json
exits 0 "a policy about the life of secrets" phial policy check
like "$OUTPUT" "kept for 12h after the start" "... a time"
like "$OUTPUT" 'go at once; each process "nginx" gets SIGHUP' "... no grace, and who is told"
like "$OUTPUT" "1d after sealing.*warnings from 6h before" "... a short ttl warns later"
like "$OUTPUT" "says that it is ready .*all files then go after 250ms" "... until-ready"
like "$OUTPUT" "says that it is ready .*all files then go at once" "... without lingering"
like "$OUTPUT" "until they are read; from its first close on each file goes after 5s" "... until-read"
like "$OUTPUT" "; no warnings" "... no warnings"
exits 0 "... as JSON" phial policy check --json
is "$(told "[d['serial'], d['problems'], len(w)]")" "[2,[],4]" "... whole"
is "$(told "w['web']")" \
	'{"name":"web","target":"/run/secrets","files":1,"keep":"time","keep_ms":43200000,'\
'"linger_ms":0,"grace_ms":0,"ttl_s":86400,"warn_before_s":21600,'\
'"notify":{"signal":"SIGHUP","process":"nginx"}}' "... each key of a workload"
is "$(told "[w['job'][key] for key in ('keep', 'linger_ms', 'notify')]")" \
	'["until-read",5000,null]' "... and of one without notice"
cp .phial/policy.json "$WORK/outside.json"
exits 0 "a FILE outside of a store" phial policy check --json "$WORK/outside.json"
is "$(told "['files' in w['web'], w['web']['keep_ms']]")" '[false,43200000]' \
	"... its secrets are not known, their life is"
cat >.phial/policy.json <<'END'
{ "phial": "policy v1", "serial": 2, "workloads": {
  "web": {"keep": "until-read", "notify": "SIGHUP"},
  "job": {"linger": "5s",
          "grace": "2m", "keep": "1m"},
  "app": {"grace": "1w", "ttl": 7}
} }
END
exits 19 "a life that cannot be had" phial policy check
like "$OUTPUT" "line 2: notify cannot be had with keep .until-read" "... is refused with its reason"
like "$OUTPUT" "line 3: linger has a meaning only with" "... for each workload"
like "$OUTPUT" "line 4: grace cannot be longer than keep" "... for each key"
like "$OUTPUT" "line 5: ttl must be a string with a whole number" "... with the form that is wanted"
exits 19 "... as JSON" phial policy check --json
is "$(told "[len(d['problems']), w]")" "[5,{}]" "... lists the problems"
rm .phial/policy.json*
feed x phial seal web/tls.key >/dev/null 2>&1
feed x phial seal job/token >/dev/null 2>&1
feed x phial seal migrate/password >/dev/null 2>&1
cp "$ROOT/examples/policy/policy.json" .phial/policy.json
exits 0 "examples/policy" phial policy check
like "$OUTPUT" "^web: 2 files" "... finds its secrets"
like "$OUTPUT" "gets SIGHUP" "... and says who is told"
like "$OUTPUT" "kept for 1m after the start" "... how long they are kept"
like "$OUTPUT" "until they are read" "... and what goes when it is read"

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
exits 0 "... is signed all the same, or none could ever be sealed" phial policy sign
like "$OUTPUT" "note: its containers would be refused now: .*web/dbb" "... with a note"
echo '{"phial": "policy v1", "serial": 2, "workloads": {"new": {}}}' >.phial/policy.json
exits 19 "a workload without secrets" phial policy check
exits 0 "... can be signed" phial policy sign
exits 0 "... and its first secret sealed" feed x phial seal new/first
exits 0 "... for which it is good" phial policy check
exits 14 "a file that is missing" phial policy check "$WORK/none.json"

finish
