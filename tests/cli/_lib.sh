# SPDX-License-Identifier: ISC
# For the tests of the command line: a person with a home of his own, without a terminal.
#
# shellcheck shell=bash

# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

export HOME=$WORK/home
unset XDG_CONFIG_HOME
OWN=$HOME/.config/phial
mkdir -p "$HOME"

# phial ARGUMENT...: in a session of its own, so that it finds no terminal whoever runs the test
phial() { setsid -w "$PHIAL" "$@"; }

# feed TEXT COMMAND...: the text on its stdin
feed() {
	local text=$1
	shift
	printf '%s' "$text" | "$@"
}

# own_store: a store in $STORE, which becomes the working directory
own_store() {
	make_store
	OWN=$XDG_CONFIG_HOME/phial
	cd "$STORE" || bail "no store"
}

# snapshot DIR: names, modes and contents of all files, to see that nothing changed
snapshot() { (cd "$1" && find . -printf '%p %m %l\n' -type f -exec sha256sum {} + | sort); }

# refuses STATUS PATTERN DESCRIPTION COMMAND...: exits so, with one line that matches, and nothing
# in the store changes
refuses() {
	local want=$1 pattern=$2 description=$3 before got output
	shift 3
	before=$(snapshot "$STORE")
	output=$("$@" 2>&1 </dev/null)
	got=$?
	if [ "$got" -ne "$want" ] || ! grep -Eq -- "$pattern" <<<"$output" ||
		[ "$(wc -l <<<"$output")" -ne 1 ]; then
		not_ok "$description"
		diag "exit $got, wanted $want, one line like: $pattern" "$output"
	elif [ "$(snapshot "$STORE")" != "$before" ]; then
		not_ok "$description (the store was changed)"
	else
		ok "$description"
	fi
}
