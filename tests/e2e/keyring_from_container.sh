#!/bin/bash
# SPDX-License-Identifier: ISC
# C-01 to C-03: a ring and a key as the agent makes them, and a container that knows both serials and
# tries everything. Without the agent, so that what fails here is the kernel or the masks.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
need_root
need runc busybox keyctl

PROBE=$BUILD/tests/probes/probe_keyring
[ -x "$PROBE" ] || skip_all "the probes are not built (make probes)"
CANARY=$(canary)

# A process that holds them until its stdin ends; the value comes by a file, not as an argument.
printf %s "$CANARY" >"$WORK/value"
mkfifo "$WORK/end"
start keyctl session - bash -c '
	key=$(keyctl padd user "phial:0123456789abcdef" @s <"$1/value") &&
	ring=$(keyctl id @s) &&
	keyctl setperm "$key" 0x0b000000 && keyctl setperm "$ring" 0x0f000000 &&
	echo "$ring $key" >"$1/serials.new" && mv "$1/serials.new" "$1/serials"
	read -r _ <"$1/end"' holder "$WORK" 2>/dev/null
HOLDER=$STARTED_PID
within 10 test -s "$WORK/serials" || bail "no keyring"
read -r RING KEY <"$WORK/serials"

is_freed() { ! grep -q "^$(printf %08x "$KEY") " /proc/keys && ! keyctl print "$KEY"; }
run_probe() { runtime_run "$runtime" "$WORK/b"; }

probe() {
	local description=$1
	shift
	rm -rf "$WORK/b"
	busybox_bundle "$WORK/b" --mask-nothing --file "$PROBE:/bin/probe" "$@" "$RING" "$KEY"
	check "$runtime: $description" run_probe
}

for runtime in $(runtimes); do
	probe "C-01 as root" -- probe
	probe "C-02 with CAP_SYS_ADMIN" --cap CAP_SYS_ADMIN -- probe
	probe "C-02 as the worker's uid" -- probe --uid "$(id -u nobody)"
	probe "C-03 in a user namespace" --userns 300000 -- probe
done
check "the key is still there for its holder" kill -0 "$HOLDER"
stop "$HOLDER"
check "its end frees the key" within 5 is_freed
finish
