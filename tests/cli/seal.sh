#!/bin/bash
# SPDX-License-Identifier: ISC
# seal, unseal, inspect, verify, ls, host and signer lists, as they are meant to be used.
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need age age-keygen minisign setsid python3
own_store

field() { python3 -c 'import json,sys; d=json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"; }

# --- values
VALUE=$(canary)
exits 0 "seal from stdin" feed "$VALUE" phial seal web/db_password
like "$OUTPUT" "^sealed web/db_password.sealed version [0-9]+ to tester\$" "... says path, version and to whom"
is "$(phial unseal web/db_password)" "$VALUE" "unseal gives the value"
unlike "$(cat web/db_password.sealed)" "$VALUE" "the sealed file does not hold the value"
is "$(stat -c %a web/db_password.sealed)" 644 "a sealed file may be read by all: it is safe to publish"
is "$(stat -c %a web)" 755 "... and so may its folder"
head -c 300 /dev/urandom >"$WORK/bin"
exits 0 "seal --from FILE, any bytes" phial seal bin --from "$WORK/bin"
phial unseal bin >"$WORK/bin.out"
check "... come back exactly" cmp "$WORK/bin" "$WORK/bin.out"
exits 0 "seal --from -" feed x phial seal dash --from -
head -c 1048576 /dev/urandom >"$WORK/max"
exits 0 "1 MiB is sealed" phial seal max --from "$WORK/max"
phial unseal max | cmp - "$WORK/max" && ok "... and opened" || not_ok "... and opened"
exits 0 "--allow-empty" feed "" phial seal none --allow-empty
is "$(phial unseal none | wc -c)" 0 "... is empty"

# --- newlines
exits 0 "a value with a newline" feed $'abc\n' phial seal nl
like "$OUTPUT" "ends in a newline, which is kept" "... is kept and spoken of"
is "$(phial unseal nl | wc -c)" 4 "... really"
exits 0 "--keep-newline" feed $'abd\n' phial seal nl --keep-newline
unlike "$OUTPUT" newline "... is silent"
exits 0 "--trim-newline" feed $'abc\r\n' phial seal nl --trim-newline
is "$(phial unseal nl | wc -c)" 3 "... drops CR LF"
exits 0 "--trim-newline drops one only" feed $'a\n\n' phial seal nl --trim-newline
is "$(phial unseal nl | wc -c)" 2 "... really"

# --- unchanged, versions, fields
before=$(sha256sum web/db_password.sealed)
exits 0 "an unchanged value" feed "$VALUE" phial seal web/db_password
like "$OUTPUT" "unchanged, not sealed anew" "... is not sealed anew"
is "$(sha256sum web/db_password.sealed)" "$before" "... the file stays"
v1=$(phial inspect --json web/db_password.sealed | field "d['files'][0]['version']")
exits 0 "another value, with fields" feed other phial seal web/db_password --mode 0440 --owner 999:998 --not-after +90d
v2=$(phial inspect --json web/db_password.sealed | field "d['files'][0]['version']")
check "has a larger version" test "$v2" -gt "$v1"
text=$(phial inspect web/db_password.sealed)
like "$text" "^mode: +0440" "inspect shows the mode"
like "$text" "^owner: +999:998" "... the owner"
like "$text" "^not-after: +2[0-9]{3}-" "... the expiry"
like "$text" "^signature: +matches" "... that the signature matches"
exits 0 "mode and owner are inherited" feed third phial seal web/db_password
like "$OUTPUT" "mode 0440 is kept" "... which is said"
like "$OUTPUT" "this one has none" "... and that the expiry is not"
like "$(phial inspect web/db_password.sealed)" "^mode: +0440" "... really"
exits 0 "'default' ends that" feed third phial seal web/db_password --mode default --owner default
unlike "$(phial inspect web/db_password.sealed)" "^(mode|owner|not-after)" "... really"
for time in 2099-01-01 2099-01-01T12:30:00Z +12h +4w; do
	exits 0 "--not-after $time" feed "$time" phial seal timed --not-after $time
done
cp web/db_password.sealed "$WORK/copy.sealed"
exits 0 "inspect of two files" phial inspect web/db_password.sealed "$WORK/copy.sealed"
is "$(grep -c '^file:' <<<"$OUTPUT")" 2 "... names both"
is "$(cd / && env -i "$PHIAL" inspect "$WORK/copy.sealed" | head -1)" "name:       web/db_password" "inspect needs no key and no store"

# --- ls
text=$(phial ls)
like "$text" "^NAME +VERSION +AGE +EXPIRY +SIGNER +RECIPIENTS" "ls has a heading"
like "$text" "^web/db_password +[0-9]+ +[0-9]+s +never +tester +tester\$" "... and a line for each"
is "$(phial ls --json | field "[s['signer_name'] for s in d['secrets'] if s['name'] == 'nl'][0]")" tester "ls --json"
is "$(cd web && phial ls | wc -l)" "$(phial ls | wc -l)" "the store is found from below"
is "$(cd / && phial ls --store "$STORE/web" | wc -l)" "$(phial ls | wc -l)" "... and by --store"

# --- verify, hosts
exits 0 "verify" phial verify
like "$OUTPUT" "all good" "... says so"
age-keygen -o "$WORK/h7" 2>/dev/null
H7=$(age-keygen -y "$WORK/h7")
exits 0 "host add" phial host add h7 "$H7" 'web/*'
like "$OUTPUT" "h7 may now open web/\*" "... says what it may"
like "$OUTPUT" "^  web/db_password" "... and what must be sealed anew"
exits 19 "verify finds recipient drift" phial verify
like "$OUTPUT" "^web/db_password: not sealed to h7" "... by name"
is "$(phial verify --json 2>/dev/null | field "[d['ok'], d['problems'][0]['name']]")" \
	"[False, 'web/db_password']" "verify --json"
reseal() { phial unseal web/db_password | phial seal --keep-newline web/db_password; }
exits 0 "seal anew as the hint says" reseal
exits 0 "... and the drift is gone" phial verify
is "$(phial verify --json | field "[d['ok'], d['problems']]")" "[True, []]" "... as JSON, too"
is "$(phial unseal -i "$WORK/h7" web/db_password)" third "the host opens it"
exits 6 "... and nothing outside its patterns" phial unseal -i "$WORK/h7" nl
like "$(phial host ls)" "^h7 +$H7 +web/\*" "host ls"
is "$(phial host ls --json | field "d['hosts'][-1]['patterns']")" "['web/*']" "host ls --json"
before=$(snapshot .)
exits 0 "host rm --dry-run" phial host rm h7 --dry-run
like "$OUTPUT" "^  web/db_password" "... says what is still sealed to it"
is "$(snapshot .)" "$before" "... and changes nothing"
exits 0 "host rm" phial host rm h7
exits 19 "verify finds who should not be a recipient" phial verify
like "$OUTPUT" "sealed to h7, who may not open it" "... by name"
exits 0 "seal anew without it" reseal
exits 0 "... and all is good" phial verify

# --- signers
minisign -G -W -s "$WORK/bob.key" -p "$WORK/bob.pub" >/dev/null
BOB=$(tail -1 "$WORK/bob.pub")
refuses 5 "not in .phial/signers" "a stranger's key does not seal here" feed x phial seal web/new -s "$WORK/bob.key"
exits 0 "signer add" phial signer add bob "$BOB" 'web/*'
exits 0 "... after which it does" feed x phial seal web/new -s "$WORK/bob.key"
refuses 5 "patterns of signer bob" "... but not outside its patterns" feed x phial seal new -s "$WORK/bob.key"
like "$(phial signer ls)" "^bob +${BOB//+/\\+} +web/\*" "signer ls"
exits 0 "signer rm --dry-run" phial signer rm bob --dry-run
like "$OUTPUT" "^  web/new" "... says what would be refused"
exits 0 "signer rm" phial signer rm bob
exits 19 "... and verify says what is refused now" phial verify
like "$OUTPUT" "^web/new: " "... by name"
exits 5 "unseal refuses it, too" phial unseal web/new
rm web/new.sealed

# --- without a store
cd "$WORK" || exit
exits 0 "seal -r -s -o, without a store" feed alone phial seal x/y -r "$H7" -s "$WORK/bob.key" -o "$WORK/out.sealed"
exits 14 "unseal of a file outside a store wants to be told whom to believe" phial unseal -i "$WORK/h7" "$WORK/out.sealed"
like "$OUTPUT" "--signers FILE" "... and says how"
echo "bob $BOB" >"$WORK/believed"
is "$(phial unseal -i "$WORK/h7" --signers "$WORK/believed" "$WORK/out.sealed")" alone "unseal --signers"
echo "bob $BOB other/*" >"$WORK/believed"
exits 5 "... by their patterns" phial unseal -i "$WORK/h7" --signers "$WORK/believed" "$WORK/out.sealed"
exits 5 "... and nobody else" phial unseal -i "$WORK/h7" --signers "$STORE/.phial/signers" "$WORK/out.sealed"
exits 0 "unseal --insecure-unsigned" phial unseal -i "$WORK/h7" --insecure-unsigned "$WORK/out.sealed"
like "$OUTPUT" "warning: nobody's signature" "... warns"
is "$(cd / && phial unseal "$STORE/web/db_password.sealed")" third "a FILE in a store is believed by that store"

# --- the name of a file instead of a secret's
refuses 9 'without "\.sealed"' "seal NAME.sealed" feed x phial seal web/db_password.sealed

# --- as an ordinary user
if [ "$(id -u)" -eq 0 ]; then
	mkdir -m 777 "$WORK/nobody"
	cp "$PHIAL" "$WORK/nobody/phial" && chmod 755 "$WORK/nobody/phial"
	as_nobody() { run_as 65534 env -i HOME="$WORK/nobody" setsid -w "$WORK/nobody/phial" "$@"; }
	exits 0 "init as an ordinary user" as_nobody init --no-passphrase --no-recovery "$WORK/nobody/s"
	exits 0 "seal as an ordinary user" feed mine as_nobody seal a --store "$WORK/nobody/s"
	is "$(as_nobody unseal a --store "$WORK/nobody/s")" mine "unseal as an ordinary user"
	exits 15 "a store that one may not write" feed x as_nobody seal a -r "$H7" -s "$WORK/nobody/.config/phial/signer.key" -o "$STORE/a"
else
	skip "not root" "as an ordinary user"
fi

finish
