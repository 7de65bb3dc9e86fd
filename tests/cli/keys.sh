#!/bin/bash
# SPDX-License-Identifier: ISC
# init, join, keygen, signer keygen: modes, no overwriting, passphrases, no key made silently.
# suite-timeout: 300
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need age age-keygen minisign setsid

mode() { stat -c %a "$1"; }

# --- keygen
exits 2 "keygen without a terminal and without a word on the passphrase makes nothing" phial keygen
check "... not even a folder" test ! -e "$OWN"
exits 0 "keygen --no-passphrase" phial keygen --no-passphrase
is "$(mode "$OWN/identity")" 600 "the identity is 0600"
is "$(mode "$OWN")" 700 "the folder is 0700"
is "$(tail -1 <<<"$OUTPUT")" "$(age-keygen -y "$OWN/identity")" "age-keygen reads it and agrees on the public half"
before=$(sha256sum "$OWN/identity")
exits 13 "keygen overwrites nothing" phial keygen --no-passphrase
is "$(sha256sum "$OWN/identity")" "$before" "... really"
ln -s /nonexistent "$WORK/dangling"
exits 13 "keygen follows no dangling link" phial keygen --no-passphrase -o "$WORK/dangling"
exits 14 "keygen into a folder that is missing" phial keygen --no-passphrase -o "$WORK/no/key"
with_passphrase() { phial "$@" --passphrase-fd 3 3<<<"correct horse"; }
exits 0 "keygen --passphrase-fd" with_passphrase keygen -o "$WORK/locked"
check "... writes what age takes for an encrypted file" grep -q "BEGIN AGE ENCRYPTED FILE" "$WORK/locked"
exits 2 "--passphrase-fd with something that is no number" phial keygen --passphrase-fd "correct horse" -o "$WORK/x"
unlike "$OUTPUT" horse "... does not echo it"
exits 2 "--passphrase-fd and --no-passphrase" phial keygen --no-passphrase --passphrase-fd 0 -o "$WORK/x"
empty_passphrase() { phial keygen --passphrase-fd 3 -o "$WORK/x" 3</dev/null; }
exits 2 "an empty passphrase from a descriptor" empty_passphrase
check "... makes no file" test ! -e "$WORK/x"

# --- signer keygen
exits 2 "signer keygen without a word on the passphrase" phial signer keygen
exits 0 "signer keygen --no-passphrase" phial signer keygen --no-passphrase
is "$(mode "$OWN/signer.key")" 600 "the signer key is 0600"
is "$(tail -1 <<<"$OUTPUT")" "$(tail -1 "$OWN/signer.pub")" "signer.pub holds the key that was printed"
echo data >"$WORK/data"
check "minisign signs with it" minisign -S -s "$OWN/signer.key" -m "$WORK/data" -W
check "minisign verifies it" minisign -V -p "$OWN/signer.pub" -m "$WORK/data"
exits 13 "signer keygen overwrites nothing" phial signer keygen --no-passphrase
rm "$OWN/signer.key"
exits 13 "signer keygen does not overwrite a public half either" phial signer keygen --no-passphrase
check "... and leaves no secret half" test ! -e "$OWN/signer.key"
rm -r "$OWN"

# --- init
exits 2 "init without a terminal and without --recovery" phial init "$WORK/s"
exits 2 "init without a word on the passphrase" phial init --no-recovery "$WORK/s"
check "... leaves no folder" test ! -e "$WORK/s"
exits 2 "init --recovery and --no-recovery" phial init --no-passphrase --no-recovery --recovery "$WORK/r" "$WORK/s"
touch "$WORK/r"
exits 13 "init does not overwrite a file by --recovery" phial init --no-passphrase --recovery "$WORK/r" "$WORK/s"
check "... and leaves no store" test ! -e "$WORK/s"
rm "$WORK/r"
exits 9 "init --name against the grammar" phial init --no-passphrase --no-recovery --name a/b "$WORK/s"
exits 0 "init" phial init --no-passphrase --recovery "$WORK/r" --name me "$WORK/s"
RW=$(tail -1 "$OWN/signer.pub")
like "$OUTPUT" "phial setup --trust ${RW//+/\\+}" "init says what to run on the host"
is "$(mode "$WORK/r")" 600 "the recovery key is 0600"
is "$(cat "$OWN/trust")" "$RW" "my signer key is pinned as admin key"
like "$(cat "$WORK/s/.phial/recipients")" "^recovery $(age-keygen -y "$WORK/r")\$" "the recovery key is a recipient"
like "$(cat "$WORK/s/.phial/recipients")" "^me $(age-keygen -y "$OWN/identity")\$" "so am I"
for file in recipients signers; do
	check "minisign verifies .phial/$file" minisign -V -P "$RW" -m "$WORK/s/.phial/$file"
done
like "$(cat "$WORK/s/.gitattributes")" '^\*\.sealed -text diff=phial merge=phial$' ".gitattributes"
exits 13 "init over a store" phial init --no-passphrase --no-recovery "$WORK/s"
check "... changes nothing" phial verify "$WORK/s"
printf '*.txt text' >"$WORK/ga"
mkdir "$WORK/s2" && cp "$WORK/ga" "$WORK/s2/.gitattributes"
exits 0 "init --no-recovery in a folder that is there, with keys that are there" phial init --no-recovery "$WORK/s2"
like "$OUTPUT" "warning: no recovery key" "... warns"
is "$(grep -c . "$WORK/s2/.gitattributes")" 3 "... and keeps the .gitattributes that was there"
is "$(wc -l <"$OWN/trust")" 1 "the same admin key is pinned once"
cp "$OWN/identity" "$WORK/mine"
exits 0 "the recovery key opens what I seal" feed value phial seal --store "$WORK/s" a
is "$(phial unseal --store "$WORK/s" -i "$WORK/r" a)" value "... with its value"

# --- init with locked keys, and keys of the other programs
export XDG_CONFIG_HOME=$WORK/locked-config
exits 0 "init --passphrase-fd" with_passphrase init --no-recovery "$WORK/s3"
check "the identity is encrypted" grep -q "BEGIN AGE" "$XDG_CONFIG_HOME/phial/identity"
sealed_with() { printf v | phial seal --store "$WORK/s3" --passphrase-fd 3 "$@"; }
exits 12 "sealing with a locked signer key needs its passphrase" feed v phial seal --store "$WORK/s3" b
right() { sealed_with b 3<<<"correct horse"; }
wrong() { sealed_with c 3<<<"correct hors"; }
exits 0 "... which --passphrase-fd gives" right
exits 12 "a wrong passphrase" wrong
unlike "$OUTPUT" hors "... is not echoed"
check "... and nothing is written" test ! -e "$WORK/s3/c.sealed"
exits 12 "unsealing with a locked identity" phial unseal --store "$WORK/s3" b
exits 0 "... and with its passphrase" with_passphrase unseal --store "$WORK/s3" b
is "$OUTPUT" v "... the value"
export XDG_CONFIG_HOME=$WORK/foreign-config
mkdir -p "$XDG_CONFIG_HOME/phial"
age-keygen -o "$XDG_CONFIG_HOME/phial/identity" 2>/dev/null
minisign -G -W -s "$XDG_CONFIG_HOME/phial/signer.key" -p "$XDG_CONFIG_HOME/phial/signer.pub" >/dev/null
exits 0 "init with keys that age-keygen and minisign made" phial init --no-recovery "$WORK/s4"
exits 0 "... which seal" feed v phial seal --store "$WORK/s4" d
is "$(phial unseal --store "$WORK/s4" d)" v "... and open"

# --- join
export XDG_CONFIG_HOME=$WORK/other-config
exits 14 "a store is not believed before it is joined" phial ls --store "$WORK/s"
like "$OUTPUT" "phial join --trust" "... which says what to run"
exits 2 "join without --trust" phial join "$WORK/s"
exits 11 "join with a typo in the key" phial join "$WORK/s" --trust "${RW%?}"
OTHER=$(tail -1 "$WORK/foreign-config/phial/signer.pub")
exits 5 "join with a key that did not sign the store" phial join "$WORK/s" --trust "$OTHER"
check "... pins nothing" test ! -e "$XDG_CONFIG_HOME/phial/trust"
exits 0 "join with the admin key" phial join "$WORK/s" --trust "$RW"
check "... after which the store is believed" phial ls --store "$WORK/s"
echo "garbage" >>"$XDG_CONFIG_HOME/phial/trust"
exits 11 "a broken pin file" phial ls --store "$WORK/s"
like "$OUTPUT" "trust.*2" "... is named with the line"
unset XDG_CONFIG_HOME HOME
exits 2 "without HOME and XDG_CONFIG_HOME" phial keygen --no-passphrase

finish
