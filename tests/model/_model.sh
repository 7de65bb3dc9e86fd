# SPDX-License-Identifier: ISC
# For tests of models with spin: a model's claims hold, and without any line marked GUARD one of
# them does not. A test gives each mutant: the guard's words, the line's text and what stands there
# instead, and the claim that must break.
#
# shellcheck shell=bash disable=SC2034

# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need spin gcc
MODELS=$ROOT/tests/model
GUARDS=() # the words of those that were tried

# model FILE: the one that the next tests are about; keeps its text in $WORK/good.pml
model() { cp "$1" "$WORK/good.pml"; }

# compile [gcc option...]: $WORK/pan checks $WORK/model.pml
compile() {
	(cd "$WORK" && rm -f ./*.trail && spin -a model.pml && gcc -w "$@" -o pan pan.c) \
		>"$WORK/spin.log" 2>&1 || bail "spin: $(cat "$WORK/spin.log")"
}

# verdict [pan option...]: "good", or the claim that is broken, as the word behind CLAIM on the line
# of an assertion or as spin names it
verdict() {
	local output
	output=$(cd "$WORK" && ./pan -n -m100000 "$@" 2>&1)
	if grep -q 'errors: 0' <<<"$output" && ! grep -q 'max search depth too small' <<<"$output"; then
		echo good
	elif grep -q 'assertion violated' <<<"$output"; then
		broken_assertion "${!#}"
	else
		grep 'pan:1:' <<<"$output"
	fi
}

# broken_assertion CLAIM: of the assertion that fails when spin replays the trail; CLAIM if it is none
# of the model's own, but that of a formula
broken_assertion() {
	local line
	line=$(cd "$WORK" && spin -t model.pml 2>&1 |
		sed -n 's/^spin: model.pml:\([0-9]*\), Error: assertion.*/\1/p' | head -n 1)
	[ -n "$line" ] || echo "${1:-}"
	[ -z "$line" ] || sed -n "$line,\$p" "$WORK/model.pml" | sed -n 's/.*CLAIM \([a-z_]*\).*/\1/p' | head -n 1
}

# holds DESCRIPTION CC-OPTION... -- [pan option...]: the model's claims hold
holds() {
	local description=$1 options=()
	shift
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	cp "$WORK/good.pml" "$WORK/model.pml"
	compile "${options[@]}"
	is "$(verdict "$@")" good "$description"
}

# mutant GUARD SED CLAIM [pan option...]: with the line of this guard changed, the claim is broken
mutant() {
	local guard=$1 change=$2 claim=$3
	shift 3
	GUARDS+=("$guard")
	sed "/GUARD $guard \*/$change" "$WORK/good.pml" >"$WORK/model.pml"
	if [ "$(diff "$WORK/good.pml" "$WORK/model.pml" | grep -c '^>')" -ne 1 ]; then
		not_ok "without \"$guard\": one line of the model is changed"
		return
	fi
	compile -O0 -DSAFETY
	is "$(verdict "$@")" "$claim" "without \"$guard\" the claim $claim is broken"
}

# all_guards_tried: no GUARD of the model is without a mutant
all_guards_tried() {
	is "$(printf '%s\n' "${GUARDS[@]}" | sort)" \
		"$(sed -n 's,.*GUARD \(.*\) \*/.*,\1,p' "$WORK/good.pml" | sort)" \
		"each guard of the model was left out once"
}
