# SPDX-License-Identifier: ISC
# For tests of `phial run`: a person who is not root, with a store in which the working directory
# of every command is.
#
# shellcheck shell=bash disable=SC2034,SC2154

# shellcheck source=../lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
need unshare setpriv

PERSON=54321
[ "$(id -u)" -eq 0 ] || PERSON=$(id -u)

# as_person COMMAND...
as_person() {
	if [ "$(id -u)" -eq "$PERSON" ]; then
		env -C "$STORE" "$@"
	else
		run_as "$PERSON" env -C "$STORE" PATH=/usr/local/bin:/usr/bin:/bin "$@"
	fi
}

# person_run ARGUMENT...: phial run, in a session of its own so that it finds no terminal
person_run() { as_person setsid -w "$WORK/phial" run "$@"; }

# hand_over PATH...: to the person
hand_over() { [ "$(id -u)" -ne 0 ] || chown -R -h "$PERSON:$PERSON" "$@"; }

# A store, the person's keys, and the program where everybody can reach it.
person_store() {
	make_store
	cp "$PHIAL" "$WORK/phial"
	hand_over "$HOME"
	as_person unshare -U true 2>/dev/null ||
		skip_all "an ordinary user gets no user namespace here"
}

sha() { printf %s "$1" | sha256sum | cut -d' ' -f1; }

# The processes that wipe behind the commands of this test, zombies apart.
wipers() {
	local process
	for process in /proc/[0-9]*; do
		grep -qs '^phial-wipe$' "$process/comm" || continue
		grep -Eqs '^State:.Z' "$process/status" && continue
		grep -zqs -- "^$WORK/phial$" "$process/cmdline" && echo "${process##*/}"
	done
}
no_wipers() { [ -z "$(wipers)" ]; }

# policy TEXT: signed as the store's policy
policy() {
	printf '%s' "$1" >"$STORE/.phial/policy.json"
	"$PHIAL" policy sign --store "$STORE" >"$WORK/policy.log" 2>&1 || bail "$(cat "$WORK/policy.log")"
}

# sweep_if_root DESCRIPTION CANARY [option...]: only root can look into every process
sweep_if_root() {
	if [ "$(id -u)" -eq 0 ]; then
		sweep "$@"
	else
		skip "only root can look everywhere" "$1"
	fi
}
