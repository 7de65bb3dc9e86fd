#!/bin/bash
# SPDX-License-Identifier: ISC
# phial against the real age, age-keygen and minisign, both ways: bodies, signatures, and keys
# with and without a passphrase. suite-timeout: 180
. "$(dirname "$0")/../lib.sh"
need python3 age age-keygen minisign b2sum
[ -x "$PHIAL" ] || bail "no $PHIAL: run make"

export HOME=$WORK/home XDG_CONFIG_HOME=$WORK/home/config
mkdir -p "$HOME"
cd "$WORK" || exit 1
umask 077 # age -p gives its files the mode they get, and phial wants 0600
CANARY=$(canary)
PASSPHRASE="pass $CANARY"
printf '%s' "$PASSPHRASE" >passphrase

# on_terminal COMMAND...: on a terminal of its own, every prompt answered with the passphrase.
# The prompts of all three programs end in a colon or a colon and a space.
on_terminal() {
	python3 - "$PASSPHRASE" "$@" <<'PYTHON'
import os
import pty
import sys

pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
answered = 0
seen = b""
while True:
    try:
        got = os.read(fd, 4096)
    except OSError:
        break
    if not got:
        break
    seen += got
    # What is typed is not echoed, so a line that ends so is a question.
    if seen.rstrip(b" ").endswith(b":") and len(seen) > answered:
        answered = len(seen)
        os.write(fd, sys.argv[1].encode() + b"\n")
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PYTHON
}

header_of() { sed '/^-----BEGIN AGE/,$d' "$1"; }
body_of() { sed -n '/^-----BEGIN AGE/,/^-----END AGE/p' "$1"; }
signed_of() { sed '/^untrusted comment: /,$d' "$1"; }
signature_of() { sed -n '/^untrusted comment: /,$p' "$1"; }
public_of() { tail -n 1 "$1"; }
signer_line() { printf 'alice %s\n' "$1"; }

# seal SIGNER_KEY RECIPIENT OUT [OPTION...]: the value on stdin
seal() {
	local key=$1 recipient=$2 out=$3
	shift 3
	"$PHIAL" seal web/db_password --from - -s "$key" -r "$recipient" -o "$out" \
		--keep-newline "$@"
}

# --- keys in the open -------------------------------------------------------------------

age-keygen -o their.age 2>/dev/null
THEIR_AGE=$(age-keygen -y their.age)
minisign -G -W -p their.pub -s their.sec >/dev/null
check "phial keygen" "$PHIAL" keygen --no-passphrase -o our.age
check "phial signer keygen" "$PHIAL" signer keygen --no-passphrase -o our.sec
OUR_AGE=$(sed -n 's/^# public key: //p' our.age)
is "$(age-keygen -y our.age)" "$OUR_AGE" "age-keygen reads our age key and its public half"
check "minisign makes our public key again" minisign -R -s our.sec -p our.pub
OUR_SIGNER=$(public_of our.pub)
signer_line "$OUR_SIGNER" >our.signers
signer_line "$(public_of their.pub)" >their.signers

# --- our files, their programs ------------------------------------------------------------

# ours_by_them NAME VALUE_FILE: age opens the body, minisign believes the signature
ours_by_them() {
	seal our.sec "$THEIR_AGE" "$1.sealed" <"$2" >/dev/null || return 1
	body_of "$1.sealed" >"$1.age"
	signed_of "$1.sealed" >"$1.signed"
	signature_of "$1.sealed" >"$1.signed.minisig"
	age -d -i their.age "$1.age" >"$1.plain" &&
		tail -n +2 "$1.plain" | cmp - "$2" &&
		[ "$(head -n 1 "$1.plain")" = \
			"phial $(header_of "$1.sealed" | b2sum -l 256 | cut -d' ' -f1)" ] &&
		minisign -Vq -p our.pub -m "$1.signed"
}

for size in 1 31 3000 65465 65466 131072 1048576; do
	head -c "$size" /dev/urandom >value
	check "age and minisign accept our file of $size bytes" ours_by_them ours value
done
printf x >>ours.signed
exits 1 "minisign refuses our file when a byte was added" minisign -Vq -p our.pub -m ours.signed

# --- their files, our program -------------------------------------------------------------

# assemble HEADER VALUE AGE_KEY MINISIGN_KEY OUT: a sealed file without phial
assemble() {
	{
		printf 'phial %s\n' "$(b2sum -l 256 <"$1" | cut -d' ' -f1)"
		cat "$2"
	} | age -a -r "$3" >theirs.age &&
		cat "$1" theirs.age >theirs.signed &&
		minisign -S -s "$4" -m theirs.signed -t "phial sealed file v1" \
			-c "signature from phial" </dev/null >/dev/null &&
		cat theirs.signed theirs.signed.minisig >"$5"
}

write_header() {
	cat <<HEADER
phial v1
name: web/db_password
version: 1795304458123
created: 2026-11-21T22:30:00Z
signer: $1
recipient: h7 $2
HEADER
}

# theirs_by_us VALUE IDENTITY
theirs_by_us() {
	assemble header "$1" "$OUR_AGE" their.sec theirs.sealed &&
		"$PHIAL" unseal -i "$2" --signers their.signers theirs.sealed | cmp - "$1"
}

write_header "$(public_of their.pub)" "$OUR_AGE" >header
for size in 1 3000 65465 65466 1048576; do
	head -c "$size" /dev/urandom >value
	check "phial opens what age and minisign made of $size bytes" theirs_by_us value our.age
done
exits 6 "another age key does not open it" \
	"$PHIAL" unseal -i their.age --signers their.signers theirs.sealed
exits 5 "another minisign key is not believed" \
	"$PHIAL" unseal -i our.age --signers our.signers theirs.sealed

check "phial seals with minisign's key to age's key" \
	bash -c "printf %s $CANARY | '$PHIAL' seal web/db_password --from - -s their.sec \
		-r $THEIR_AGE -o mixed.sealed --keep-newline"
is "$("$PHIAL" unseal -i their.age --signers their.signers mixed.sealed)" "$CANARY" \
	"and opens it with age's key"

# --- keys with a passphrase -----------------------------------------------------------------

check "age -p encrypts a key file" on_terminal age -p -o their.locked their.age
check "age -p -a encrypts a key file in armor" on_terminal age -p -a -o their.locked.txt their.age
for file in their.locked their.locked.txt; do
	is "$("$PHIAL" unseal -i "$file" --passphrase-fd 3 --signers their.signers mixed.sealed \
		3<passphrase)" "$CANARY" "phial opens with $file"
done
exits 12 "a wrong passphrase has its own exit code" bash -c \
	"printf wrongpass | '$PHIAL' unseal -i their.locked --passphrase-fd 0 \
		--signers their.signers mixed.sealed"
unlike "$OUTPUT" "$CANARY|wrongpass" "and its message shows neither value nor passphrase"

check "phial keygen with a passphrase" \
	bash -c "'$PHIAL' keygen -o our.locked --passphrase-fd 3 3<passphrase"
on_terminal age -d -o our.unlocked our.locked >terminal.log
like "$(cat our.unlocked)" '^AGE-SECRET-KEY-1' "age -d opens our key file with the passphrase"
check "and it is a key to age-keygen" age-keygen -y our.unlocked

check "minisign -G with a passphrase" on_terminal minisign -G -p their2.pub -s their2.sec
signer_line "$(public_of their2.pub)" >their2.signers
check "phial seals with it" bash -c "printf %s $CANARY | '$PHIAL' seal web/db_password --from - \
	-s their2.sec -r $THEIR_AGE -o locked.sealed --keep-newline --passphrase-fd 3 3<passphrase"
is "$("$PHIAL" unseal -i their.age --signers their2.signers locked.sealed)" "$CANARY" \
	"and its signature is believed"

check "phial signer keygen with a passphrase" \
	bash -c "'$PHIAL' signer keygen -o our2.sec --passphrase-fd 3 3<passphrase"
echo message >message
check "minisign signs with our key and its passphrase" \
	on_terminal minisign -S -s our2.sec -m message
check "minisign makes its public key again" on_terminal minisign -R -s our2.sec -p our2.pub
check "and believes the signature" minisign -Vq -p our2.pub -m message

finish
