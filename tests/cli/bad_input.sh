#!/bin/bash
# SPDX-License-Identifier: ISC
# Every bad input that the command line can meet: one clear line, its exit code, nothing changed.
# suite-timeout: 300
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need age age-keygen minisign setsid
own_store
RW=$(tail -1 "$OWN/signer.pub")
AGE=$(age-keygen -y "$OWN/identity")
exits 0 "a good secret" feed value phial seal web/db
cp web/db.sealed "$WORK/good.sealed"

# --- the command line itself
refuses 2 "no command given" "no command" phial
refuses 2 'did you mean "seal"' "a mistyped command" phial sael
refuses 2 "add, ls, rm" "half a command" phial host
refuses 2 "needs: NAME" "a missing operand" phial seal
CANARY=$(canary)
refuses 2 "a value is never given as an argument" "L-03: a value in argv" phial seal web/db "$CANARY"
refuses 2 "unknown option" "L-03: a value behind an unknown option" phial seal web/db "--value=$CANARY"
for words in "seal web/db $CANARY" "seal web/db --value=$CANARY" "seal web/db -$CANARY" "$CANARY" \
	"unseal web/db $CANARY" "seal web/db --mode $CANARY" "seal web/db --owner $CANARY" \
	"seal web/db --not-after $CANARY" "host add $CANARY" "signer add x $CANARY" \
	"join --trust $CANARY" "keygen --passphrase-fd $CANARY"; do
	# shellcheck disable=SC2086
	unlike "$(phial $words 2>&1 </dev/null)" "$CANARY" "L-03: not echoed: phial ${words//$CANARY/VALUE}"
done
refuses 2 "given twice" "an option twice" feed x phial seal a --mode 0400 --mode 0440
refuses 2 "needs a value" "an option without its value" phial seal a --mode
refuses 2 "exclude each other" "options that exclude each other" feed x phial seal a --trim-newline --keep-newline
refuses 2 "belong together" "-r without -o" feed x phial seal a -r "$AGE"
refuses 2 "four octal digits" "a mode that is none" feed x phial seal a --mode 999
refuses 2 "four octal digits" "a mode with setuid" feed x phial seal a --mode 4755
refuses 2 "UID:GID" "an owner by name" feed x phial seal a --owner root:root
for time in tomorrow 90d +0d +1y 2020-01-01 2027-02-30 +999999999w ""; do
	refuses 2 "--not-after" "an expiry that is none or past: '$time'" feed x phial seal a --not-after "$time"
done

# --- values
refuses 2 "is empty" "an empty value" phial seal a
head -c 1048577 /dev/zero >"$WORK/large"
refuses 10 "more than 1048576 bytes" "a value over 1 MiB from a file" phial seal a --from "$WORK/large"
refuses 10 "more than 1048576 bytes" "... and from stdin" sh -c 'exec setsid -w "$0" seal a <"$1"' "$PHIAL" "$WORK/large"
refuses 14 "no-such-file" "a value file that is missing" phial seal a --from "$WORK/no-such-file"
refuses 1 "directory" "a value file that is a folder" phial seal a --from "$WORK"

# --- names
for name in "" / /a a/ a//b ../a a/../b .hidden a/.b 'a b' 'a*' $'a\nb' $'a\e[31mb' "a:b" a/b/c/d/e \
	"$(printf 'a%.0s' {1..64})" ä; do
	refuses 9 "not a secret name" "a name against the grammar: $(printf %q "$name")" feed x phial seal "$name"
done
like "$(phial seal $'a\e[31mb' 2>&1 </dev/null)" '\\x1b' "L-06: control characters of a name are shown as \\xNN"
refuses 9 "only in case" "a name that differs only in case" feed x phial seal WEB/db
refuses 14 'did you mean "web/db"' "a mistyped name" phial unseal web/dbb
refuses 14 "no secret" "a name that is nowhere" phial unseal nowhere
refuses 14 "No such file" "a file that is nowhere" phial unseal ./nowhere.sealed
refuses 14 "no store at or above" "no store" sh -c 'cd / && exec setsid -w "$0" ls' "$PHIAL"

# --- keys
typo=${AGE%?}$([ "${AGE: -1}" = q ] && echo p || echo q)
refuses 11 "checksum" "a recipient with a typo" phial host add h7 "$typo"
unlike "$(phial host add h7 "$typo" 2>&1)" "$typo" "... is not echoed"
refuses 11 "key of h7" "a signer key as recipient" phial host add h7 "$RW"
refuses 11 "key of bob" "a recipient as signer key" phial signer add bob "$AGE"
refuses 11 "-r number 1" "-r with a typo" feed x phial seal a -r "$typo" -o "$WORK/o"
refuses 13 "" "a host that is there" phial host add tester "$(age-keygen 2>/dev/null | age-keygen -y)"
refuses 13 "" "a key that is there" phial host add other "$AGE"
refuses 9 "component" "a host name against the grammar" phial host add a/b "$AGE"
refuses 9 "pattern" "a pattern against the grammar" phial host add h7 "$(age-keygen 2>/dev/null | age-keygen -y)" '../*'
refuses 14 'did you mean "tester"' "a mistyped host" phial host rm testr
refuses 14 "" "a signer that is not there" phial signer rm nobody
refuses 11 "signer.key.*not an age key" "wrong key file: a signer's as identity" phial unseal web/db -i "$OWN/signer.key"
refuses 11 "signer.key|identity" "wrong key file: an identity as signer's" feed x phial seal a -s "$OWN/identity"
printf 'password=%s\n' "$CANARY" >"$WORK/odd" && chmod 600 "$WORK/odd"
refuses 11 "odd.*line 1" "wrong key file: something else" phial unseal web/db -i "$WORK/odd"
unlike "$(phial unseal web/db -i "$WORK/odd" 2>&1)" "$CANARY" "... whose text is not echoed"
refuses 14 "phial keygen" "no key of one's own" env XDG_CONFIG_HOME="$WORK/nokeys" sh -c \
	'mkdir -p "$XDG_CONFIG_HOME/phial" && cp "$1" "$XDG_CONFIG_HOME/phial/" && exec setsid -w "$0" unseal web/db' \
	"$PHIAL" "$OWN/trust"
cp "$OWN/identity" "$WORK/open-key" && chmod 640 "$WORK/open-key"
refuses 15 "chmod 600" "a key file that others may read" phial unseal web/db -i "$WORK/open-key"
age-keygen -o "$WORK/stranger" 2>/dev/null
refuses 6 "web/db" "an identity that it is not sealed to" phial unseal web/db -i "$WORK/stranger"

# --- sealed files
# bad STATUS PATTERN DESCRIPTION: what web/db.sealed is now; unseal, inspect's exit and verify agree
bad() {
	refuses "$1" "$2" "$3" phial unseal web/db
	exits 19 "... verify lists it: $3" phial verify
	like "$OUTPUT" "^web/db: " "... by name"
	unlike "$OUTPUT" "web/db: web/db: " "... once"
	cp "$WORK/good.sealed" web/db.sealed
}
echo "not a sealed file" >web/db.sealed
bad 3 "web/db: not a sealed file" "not a sealed file"
head -c 200 "$WORK/good.sealed" >web/db.sealed
bad 3 "web/db: " "truncated in the header"
head -c -30 "$WORK/good.sealed" >web/db.sealed
bad 3 "web/db: " "truncated in the signature"
sed 's/$/\r/' "$WORK/good.sealed" >web/db.sealed
bad 3 "CRLF.*gitattributes" "CRLF by a git setting"
{ sed -n 1,2p "$WORK/good.sealed"; echo '<<<<<<< HEAD'; sed -n '3,$p' "$WORK/good.sealed"; } >web/db.sealed
bad 3 "line 3.*conflict" "a git conflict marker"
sed 's/^created: .*/created: 2020-01-01T00:00:00Z/' "$WORK/good.sealed" >web/db.sealed
bad 4 "web/db: " "a changed header field"
phial inspect web/db.sealed >"$WORK/inspected"
# One byte of each 40 is flipped; all of it is done by tests/vectors, here only the exit code's class.
size=$(stat -c %s "$WORK/good.sealed")
opened=0
for ((offset = 0; offset < size; offset += 40)); do
	cp "$WORK/good.sealed" web/db.sealed
	byte=$(od -An -tu1 -j $offset -N 1 "$WORK/good.sealed")
	printf "\\x$(printf %x $((byte ^ 1)))" | dd of=web/db.sealed bs=1 seek=$offset conv=notrunc status=none
	output=$(phial unseal web/db 2>/dev/null)
	status=$?
	case $status in
	3 | 4 | 5 | 6 | 9 | 10 | 11) [ -z "$output" ] || opened=$((opened + 1)) ;;
	*) opened=$((opened + 1)) && diag "offset $offset: exit $status" ;;
	esac
done
is $opened 0 "flipped anywhere: refused with a documented class, and no byte is written"
cp "$WORK/good.sealed" web/db.sealed
mkdir x && cp "$WORK/good.sealed" x/moved.sealed
refuses 9 "sealed as web/db" "a file under another name" phial unseal x/moved
exits 19 "... verify lists it" phial verify
rm -r x
mkfifo web/pipe.sealed
refuses 3 "web/pipe" "a FIFO in the store" timeout 20 setsid -w "$PHIAL" unseal web/pipe
rm web/pipe.sealed
ln -s "$WORK/good.sealed" web/out.sealed
refuses 3 "web/out" "a link out of the store" phial unseal web/out
rm web/out.sealed
minisign -G -W -s "$WORK/eve.key" -p "$WORK/eve.pub" >/dev/null
phial seal web/db -r "$AGE" -s "$WORK/eve.key" -o "$WORK/eve.sealed" >/dev/null <<<evil
cp "$WORK/eve.sealed" web/db.sealed
bad 5 "web/db: " "signed by an unknown signer"
soon=$(($(date +%s) + 2))
feed brief phial seal web/db --not-after "$(date -u -d "@$soon" +%Y-%m-%dT%H:%M:%SZ)" >/dev/null 2>&1
is_past() { [ "$(date +%s)" -ge "$soon" ]; }
within 30 is_past
like "$(phial ls)" "^web/db .* EXPIRED " "ls shows what is expired"
bad 7 "web/db: expired at" "an expired secret"
cp "$WORK/good.sealed" web/db.sealed
echo broken >web/db.sealed
exits 0 "a broken file can be sealed over" feed anew phial seal web/db
like "$OUTPUT" "warning: replaces a file that cannot be used" "... with a warning"
exits 13 "-o does not overwrite what is no sealed file" feed x phial seal a -r "$AGE" -o "$WORK/odd"
is "$(cat "$WORK/odd")" "password=$CANARY" "... really"

# --- the signed files of the store
echo "eve $(tail -1 "$WORK/eve.pub")" >>.phial/signers
refuses 4 "signers" "a changed .phial/signers" phial unseal web/db
refuses 4 "signers" "... refuses sealing, too" feed x phial seal web/db
phial_restore() { sed -i '$d' .phial/signers; }
phial_restore
cp .phial/signers .phial/signers.minisig "$WORK/"
minisign -S -s "$WORK/eve.key" -m .phial/signers -x .phial/signers.minisig >/dev/null
refuses 5 "signers" ".phial/signers signed by somebody else" phial unseal web/db
cp "$WORK/signers.minisig" .phial/
rm .phial/recipients.minisig
exits 5 "a signature that is missing" phial ls
like "$OUTPUT" "recipients" "... is named"
phial_other=$WORK/other-admin
mkdir -p "$phial_other/phial"
cp "$WORK/eve.key" "$phial_other/phial/signer.key"
cp "$OWN/trust" "$phial_other/phial/trust"
cd "$WORK" && rm -rf "$STORE" && phial init --no-recovery "$STORE" >/dev/null 2>&1
cd "$STORE" || exit
refuses 5 "no admin key" "host add by somebody who is no admin" env XDG_CONFIG_HOME="$phial_other" \
	setsid -w "$PHIAL" host add h7 "$(age-keygen -y "$WORK/stranger")"

# --- a full disk, a closed stdout
exits 1 "ls to a full device" sh -c 'exec "$0" ls >/dev/full' "$PHIAL"
feed value phial seal web/db >/dev/null
exits 1 "unseal to a full device" sh -c 'exec "$0" unseal web/db >/dev/full' "$PHIAL"
if [ "$(id -u)" -eq 0 ] && mkdir "$WORK/small" && mount -t tmpfs -o size=64k tmpfs "$WORK/small" 2>/dev/null; then
	own=$STORE
	STORE=$WORK/small/s
	exits 0 "a store on a small disk" phial init --no-recovery "$STORE"
	cd "$STORE" || exit
	exits 0 "... with a secret" feed one phial seal web/db
	dd if=/dev/zero of="$WORK/small/filler" bs=1k status=none 2>/dev/null
	refuses 1 "No space left" "store on a full disk: seal over a secret" feed two phial seal web/db
	is "$(phial unseal web/db)" one "... leaves the old one whole"
	refuses 1 "No space left" "store on a full disk: a new secret" feed two phial seal other
	refuses 1 "No space left" "store on a full disk: host add" phial host add h7 "$(age-keygen -y "$WORK/stranger")"
	exits 0 "... after all that the store is whole" phial verify
	exits 1 "init on a full disk" phial init --no-recovery "$WORK/small/t"
	check "... leaves nothing" test ! -e "$WORK/small/t"
	cd / && umount "$WORK/small"
	STORE=$own
	cd "$STORE" || exit
else
	skip "no root, or no mounts" "store on a full disk"
fi

# --- U-06: signals in between leave no partial file
head -c 500000 /dev/urandom >"$WORK/half"
# hit SIGNAL: forty times, at another moment each; counts what lies beside the sealed files then
hit() {
	local i pid
	for ((i = 0; i < 40; i++)); do
		"$PHIAL" seal web/db --from "$WORK/half" --not-after "+$((i + 1))h" </dev/null >/dev/null 2>&1 &
		pid=$!
		sleep "0.0$(printf %02d $((i / 2)))"
		kill "-$1" $pid
		wait $pid
	done 2>/dev/null
	PARTIAL=$(find . -type f ! -name '*.sealed' ! -path './.phial/*' ! -name .gitattributes | wc -l)
}
hit TERM
is "$PARTIAL" 0 "U-06: SIGTERM in between leaves no temporary file"
exits 0 "... and the store whole" phial verify
hit KILL
diag "SIGKILL left $PARTIAL temporary files, which the agent and verify pass over"
exits 0 "U-06: after SIGKILL in between the store is whole" phial verify
exits 0 "... and sealing goes on" feed again phial seal web/db

# --- the agent
refuses 17 "agent" "status without an agent" phial status --run-dir "$WORK/norun"
refuses 17 "agent" "reload without an agent" phial reload --run-dir "$WORK/norun"
mkdir -m 700 "$WORK/run"
touch "$WORK/run/admin.sock"
refuses 15 "socket" "something that is no socket" phial status --run-dir "$WORK/run"
rm "$WORK/run/admin.sock"
python3 -c 'import socket,sys; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).bind(sys.argv[1])' "$WORK/run/admin.sock"
refuses 17 "agent" "a socket on which nobody listens" phial status --run-dir "$WORK/run"
if [ "$(id -u)" -eq 0 ]; then
	chown 65534 "$WORK/run/admin.sock"
	refuses 15 "root" "a socket of a foreign owner" phial status --run-dir "$WORK/run"
	chown 0 "$WORK/run/admin.sock" && chown 65534 "$WORK/run"
	refuses 15 "owner|root|belong" "a run folder of a foreign owner" phial status --run-dir "$WORK/run"
else
	skip "not root" "a socket of a foreign owner"
fi

finish
