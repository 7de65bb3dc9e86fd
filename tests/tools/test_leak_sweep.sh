# SPDX-License-Identifier: ISC
# The leak sweep finds a canary in every place where it looks, names the place, never prints the
# canary, and is silent when there is none.
# suite-timeout: 300
# alone: it begins and ends swap, which other sweeps would read
. "$(dirname "$0")/../lib.sh"
need_root
need python3 keyctl

SWEEP=$BUILD/tests/tools/leak-sweep
BEGAN=$(date +%s)

# run_sweep CANARY [option...]: output in $OUTPUT, exit code returned
run_sweep() {
	local value=$1
	shift
	OUTPUT=$("$SWEEP" --canaries 3 --skip-ancestors "$@" 3< <(printf '%s\n' "$value") 2>&1)
}

# found CANARY PATTERN DESCRIPTION [option...]: it is found, at that place, and not printed
found() {
	local value=$1 pattern=$2 description=$3 status
	shift 3
	run_sweep "$value" "$@"
	status=$?
	if [ $status -ne 1 ] || ! grep -Eq "^FOUND canary 1 in $pattern" <<<"$OUTPUT"; then
		not_ok "$description"
		diag "exit $status; no line with: $pattern" "$OUTPUT"
	elif grep -q -- "$value" <<<"$OUTPUT"; then
		not_ok "$description: the canary itself is printed"
	else
		ok "$description"
	fi
}

# holder SECONDS PYTHON: a process that reads a canary from stdin and keeps it as told
holder() {
	local value=$1 statements=$2
	start python3 -c "
import ctypes, mmap, sys, time
value = sys.stdin.buffer.readline().strip()
$statements
print('ready', flush=True)
time.sleep(600)" < <(printf '%s\n' "$value") >"$WORK/holder"
	within 10 grep -q ready "$WORK/holder"
}

MEMORY="--no-files --no-swap"
FILES="--no-memory --no-swap --since $BEGAN"

C=$(canary)
run_sweep "$C" --no-swap --since "$BEGAN"
is $? 0 "nothing is found where nothing is" || diag "$OUTPUT"
like "$OUTPUT" '[1-9][0-9]* processes' "processes were searched"

C=$(canary)
holder "$C" "pass"
# shellcheck disable=SC2086
found "$C" "memory of $STARTED_PID \(python3\)" "memory: heap of a process" $MEMORY
run_sweep "$C" $MEMORY --skip-pid "$STARTED_PID"
is $? 0 "memory: a process that is named is left out" || diag "$OUTPUT"
stop "$STARTED_PID"

C=$(canary)
holder "$C" "m = mmap.mmap(-1, 64 << 20); m[(32 << 20) - 16:(32 << 20) + 16] = value; del value"
found "$C" "memory of $STARTED_PID .*" "memory: across two pages of a large mapping" $MEMORY
stop "$STARTED_PID"

C=$(canary)
start env PHIAL_TEST_LEAK="$C" sleep 600
found "$C" "environ of $STARTED_PID" "environment of a process" $MEMORY
stop "$STARTED_PID"

C=$(canary)
start sh -c 'sleep 600 & wait' "$C"
found "$C" "cmdline of $STARTED_PID" "command line of a process" $MEMORY
pkill -P "$STARTED_PID"
stop "$STARTED_PID"

C=$(canary)
mkdir "$WORK/m"
if mount -t tmpfs "$C" "$WORK/m" 2>/dev/null; then
	found "$C" "mountinfo of " "mount table" $MEMORY --no-memory
	umount "$WORK/m"
else
	skip "mounting is not permitted" "mount table"
fi

C=$(canary)
# As root's user keyring; unlinked below.
KEY=$(keyctl add user "$C" nothing @u)
found "$C" "/proc/keys" "description of a key" $MEMORY --no-memory
keyctl unlink "$KEY" @u

C=$(canary)
KEY=$(printf %s "$C" | keyctl padd user phial-test-sweep @u)
keyctl setperm "$KEY" 0x3f3f0000
found "$C" "the payload of key $(printf %08x "$KEY")" "payload of a key" $MEMORY --no-memory
keyctl unlink "$KEY" @u

C=$(canary)
printf 'x%.0s' {1..5000} >"$WORK/file"
printf %s "$C" >>"$WORK/file"
found "$C" "$WORK/file" "file below /tmp" $FILES
rm "$WORK/file"

C=$(canary)
{ head -c $(((1 << 20) - 7)) /dev/zero; printf %s "$C"; } >"$WORK/file"
found "$C" "$WORK/file" "file: across two reads" $FILES
rm "$WORK/file"

C=$(canary)
: >"$WORK/x$C"
found "$C" "a name in $WORK" "name of a file" $FILES
rm "$WORK/x$C"

C=$(canary)
ln -s "/$C" "$WORK/link"
found "$C" "$WORK/link" "target of a symlink" $FILES
rm "$WORK/link"

C=$(canary)
printf %s "$C" >"/dev/shm/phial-test-$$"
at_exit "rm -f /dev/shm/phial-test-$$"
found "$C" "/dev/shm/phial-test-$$" "shared memory" $FILES
rm "/dev/shm/phial-test-$$"

C=$(canary)
mkdir "$ROOT/build/sweep-$$" && at_exit "rm -rf '$ROOT/build/sweep-$$'"
printf 'log: %s\n' "$C" >"$ROOT/build/sweep-$$/log"
found "$C" "$ROOT/build/sweep-$$/log" "a folder that is named" $FILES "$ROOT/build/sweep-$$"
run_sweep "$C" $FILES --no-files
is $? 0 "which is not searched when it is not named" || diag "$OUTPUT"

run_sweep "$C" $FILES --no-files "$WORK/is-not-there"
is $? 2 "a path that is not there is no success"

C=$(canary)
dd if=/dev/zero of="$WORK/swap" bs=1M count=4 status=none
chmod 600 "$WORK/swap"
mkswap -q "$WORK/swap" 2>/dev/null
# As swapping would: in the file's blocks, not in the page cache.
printf %s "$C" >"$WORK/page"
truncate -s 4096 "$WORK/page"
dd if="$WORK/page" of="$WORK/swap" bs=4096 seek=512 conv=notrunc oflag=direct status=none
rm "$WORK/page"
if swapon "$WORK/swap" 2>/dev/null; then
	at_exit "swapoff '$WORK/swap' 2>/dev/null"
	found "$C" "swap $WORK/swap" "swap" --no-files --no-memory
	swapoff "$WORK/swap"
else
	skip "swap files are not permitted here" "swap"
fi
rm -f "$WORK/swap"

C=$(canary)
if echo "phial-test $C" >/dev/kmsg 2>/dev/null; then
	found "$C" "the kernel's log" "the kernel's log" $MEMORY --no-memory
else
	skip "/dev/kmsg is not writable" "the kernel's log"
fi

exits 2 "no canary is an error" "$SWEEP"
exits 2 "a short canary is an error" bash -c "'$SWEEP' --canaries 3 3< <(echo short)"
unlike "$OUTPUT" 'short' "which does not print it"
finish
