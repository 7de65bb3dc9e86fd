#!/bin/bash
# SPDX-License-Identifier: ISC
# Help, manual page and completions say what the table of commands says.
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need setsid python3

exits 0 "phial --version" phial --version
for word in phial commit: compiler: flags: libsodium:; do
	like "$OUTPUT" "^$word .+" "... says ${word%:}"
done
exits 0 "phial help" phial help
help=$OUTPUT
phial help --list >"$WORK/list"
page=$(sed 's/\\&//g' "$ROOT/docs/man/phial.1")
# An operand may hold "|", but it stands before the options only in "unseal" and "policy check".
sed -i 's/NAME|FILE/NAME/; s/FILE|DIR/FILE/' "$WORK/list"
names=$(cut -f1 "$WORK/list")
while IFS='|' read -r name _ options _; do
	like "$help" "^  $name +[a-z]" "help lists $name"
	# shellcheck disable=SC2086
	exits 0 "phial help $name" phial help $name
	one=$OUTPUT
	# shellcheck disable=SC2086
	is "$(phial $name --help)" "$one" "phial $name --help says the same"
	like "$page" "^\.Cm $name\$" "the manual's synopsis has $name"
	missing=
	for option in $options; do
		option=${option%=}
		grep -q -- "$option" <<<"$one" || missing+=" help:$option"
		grep -Eq -- "(Fl |, )${option#-}( |\$)" <<<"$page" || missing+=" man:$option"
	done
	is "$missing" "" "help and manual have all options of $name"
done < <(tr "\t" "|" <"$WORK/list")
is "$(sed -n '/^.Sh SYNOPSIS/,/^.Sh DESC/p' <<<"$page" | grep -o '^\.Cm [a-z ]*' | sed 's/^.Cm //; s/ *$//' | grep -vx help)" "$names" \
	"the manual's synopsis has the commands in the same order, and no other"
table=$(sed -n 's/^\tPHIAL_[A-Z_]* = \([0-9]*\),.*/\1/p' "$ROOT/include/phial/error.h")
is "$(sed -n '/^.Sh EXIT/,/^.Sh EXAMPLES/s/^\.It \([0-9]*\)$/\1/p' <<<"$page")" "$table" \
	"the manual has every exit code"

mkdir "$WORK/completions"
exits 0 "completions are made" python3 "$ROOT/contrib/completions/generate" "$PHIAL" "$WORK/completions"
for file in phial.bash _phial phial.fish; do
	check "contrib/completions/$file is up to date" cmp "$WORK/completions/$file" "$ROOT/contrib/completions/$file"
done
# complete WORD...: what bash would offer for the last word
complete_words() {
	PATH=$(dirname "$PHIAL"):$PATH setsid -w bash -c '. "$0"
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) && _phial && echo "${COMPREPLY[*]}"' \
		"$ROOT/contrib/completions/phial.bash" "$@"
}
make_store
cd "$STORE" || exit
feed x phial seal web/db >/dev/null 2>&1
is "$(complete_words phial se)" "seal setup" "bash completes commands"
is "$(complete_words phial host '')" "add ls rm" "... second words"
is "$(complete_words phial seal --k)" "--keep-newline" "... options"
is "$(complete_words phial unseal we)" "web/db" "... names of secrets"
is "$(complete_words phial host rm te)" "tester" "... names of hosts"
for shell in zsh fish; do
	file=$([ $shell = zsh ] && echo _phial || echo phial.fish)
	if command -v $shell >/dev/null; then
		check "$shell reads its completions" $shell -n "$ROOT/contrib/completions/$file"
	else
		skip "$shell is not installed" "$shell reads its completions"
	fi
done

finish
