# SPDX-License-Identifier: ISC
# contrib/phial-recover opens every good vector and no bad one, and a whole store, without phial;
# so do the commands of docs/sealed-format.md. suite-timeout: 180
. "$(dirname "$0")/../lib.sh"
need python3 age minisign b2sum

VECTORS=$ROOT/tests/vectors/sealed
PYTHON=$(command -v /usr/bin/python3 || command -v python3)
recover() { "$PYTHON" "$ROOT/contrib/phial-recover" "$@"; }

# --- vectors, both back ends -----------------------------------------------------------

# vector BACKEND FILE EXPECTED SHA256: the hash of what comes out, and nothing for a bad one
vector() {
	local status
	recover --use "$1" -i "$VECTORS/keys/h7.key" --signers "$VECTORS/keys/signers" \
		"$VECTORS/$2" >"$WORK/out" 2>"$WORK/err"
	status=$?
	if [ "$3" = ok ]; then
		[ $status -eq 0 ] && [ "$(sha256sum <"$WORK/out")" = "$4  -" ]
	else
		# One clear line, and no crash of the script.
		[ $status -eq 1 ] && [ ! -s "$WORK/out" ] && [ "$(wc -l <"$WORK/err")" -eq 1 ]
	fi
}

vectors() {
	local file expected sum wrong=
	while IFS=$'\t' read -r file expected sum _; do
		case $file in
		'#'*) continue ;;
		# age itself takes whichever stanza fits; phial and the nacl way do not.
		bad/stanza-swap.sealed) [ "$1" = programs ] && continue ;;
		esac
		vector "$1" "$file" "$expected" "$sum" </dev/null || wrong="$wrong $file"
	done <"$VECTORS/manifest.tsv"
	is "$wrong" "" "vectors with $1"
}

if "$PYTHON" -c 'import nacl' 2>/dev/null; then
	WAYS="nacl programs"
	vectors nacl
else
	WAYS=programs
	skip "python3-nacl is not installed" "vectors with nacl"
fi
vectors programs

# --- a store ---------------------------------------------------------------------------

STORE=$WORK/by-hand
mkdir -p "$STORE/.phial" "$STORE/web" "$STORE/a/b/c"
cp "$VECTORS/good/newline.sealed" "$STORE/web/db_password.sealed"
cp "$VECTORS/good/name-four.sealed" "$STORE/a/b/c/d.sealed"
echo "not a secret" >"$STORE/README"
{ printf 'phial signers v1\nserial: 1\n' && cat "$VECTORS/keys/signers"; } >"$STORE/.phial/signers"
minisign -G -W -p "$WORK/admin.pub" -s "$WORK/admin.key" >/dev/null
minisign -S -s "$WORK/admin.key" -m "$STORE/.phial/signers" -t "phial signers of a store" >/dev/null
ADMIN=$(tail -n 1 "$WORK/admin.pub")

for way in $WAYS; do
	exits 0 "store with $way" \
		recover --use "$way" -i "$VECTORS/keys/h7.key" --trust "$ADMIN" -o "$WORK/$way" "$STORE"
	is "$OUTPUT" "ok   a/b/c/d v1795304458123
ok   web/db_password v1795304458123" "store with $way: the list"
	is "$(cat "$WORK/$way/web/db_password")" hunter2 "store with $way: a value"
	is "$(stat -c %a "$WORK/$way/web/db_password" "$WORK/$way/web")" "600
700" "store with $way: values are private"
	exits 1 "store with $way: nothing is overwritten" \
		recover --use "$way" -i "$VECTORS/keys/h7.key" --trust "$ADMIN" -o "$WORK/$way" "$STORE"
	exits 1 "store with $way: another admin key is not believed" \
		recover --use "$way" -i "$VECTORS/keys/h7.key" --trust \
		"$(sed -n 's/^alice //p' "$VECTORS/keys/signers")" "$STORE"
	cp "$STORE/web/db_password.sealed" "$STORE/web/other.sealed"
	exits 1 "store with $way: a misnamed file is refused" \
		recover --use "$way" -i "$VECTORS/keys/h7.key" --trust "$ADMIN" "$STORE"
	like "$OUTPUT" "FAIL web/other: says that it is web/db_password" "store with $way: and named"
	rm "$STORE/web/other.sealed"
	exits 1 "store with $way: the wrong key opens nothing" \
		recover --use "$way" -i "$VECTORS/keys/other.key" --trust "$ADMIN" "$STORE"
done

# --- the commands of docs/sealed-format.md ---------------------------------------------

F=$STORE/web/db_password.sealed
KEY=$VECTORS/keys/h7.key
is "$(sed -n '/^-----BEGIN AGE/,/^-----END AGE/p' "$F" | age -d -i "$KEY" | tail -n +2)" hunter2 \
	"age -d gives the value"
is "$(sed -n '/^-----BEGIN AGE/,/^-----END AGE/p' "$F" | age -d -i "$KEY" | head -n 1)" \
	"phial $(sed '/^-----BEGIN AGE/,$d' "$F" | b2sum -l 256 | cut -d ' ' -f 1)" \
	"b2sum gives the binding line"
sed '/^untrusted comment: /,$d' "$F" >"$WORK/signed"
sed -n '/^untrusted comment: /,$p' "$F" >"$WORK/signed.minisig"
check "minisign -V passes the signature" minisign -V -m "$WORK/signed" \
	-P "$(sed -n 's/^alice //p' "$VECTORS/keys/signers")"

# --- a store that phial itself made ----------------------------------------------------

if [ -x "$PHIAL" ]; then
	make_store
	CANARY=$(canary)
	check "phial seals" "$PHIAL" seal --store "$STORE" --from <(printf %s "$CANARY") web/api_key
	for way in $WAYS; do
		exits 0 "phial's store with $way" recover --use "$way" \
			-i "$XDG_CONFIG_HOME/phial/identity" -o "$WORK/phial-$way" "$STORE" \
			--trust "$(tail -n 1 "$XDG_CONFIG_HOME/phial/trust" | tr -d '\n')"
		is "$(cat "$WORK/phial-$way/web/api_key")" "$CANARY" "phial's store with $way: the value"
	done
else
	skip "$PHIAL is not built" "a store that phial itself made"
fi
finish
