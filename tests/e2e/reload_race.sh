# SPDX-License-Identifier: ISC
# The store is read again while a container is starting, between the agent's verdict and the mount
# that the hook hands over: the container gets what the store has now, or does not start.
# suite-timeout: 120
. "$(dirname "$0")/../lib.sh"
need_root
need runc busybox strace
OLD=$(canary)
NEW=$(canary)

make_store
seal web/db_password "$OLD"
seal web/token "$OLD"
start_agent || bail "the agent does not start"

# The hook's second message, MOUNT, is sent two seconds late.
SLOW_HOOK=(--hook "$(command -v strace)")
for word in -qq -o /dev/null -e trace=sendmsg -e inject=sendmsg:delay_enter=2000000:when=2 \
	"$HOOK" --run-dir "$RUN_DIR"; do
	SLOW_HOOK+=("--hook-arg=$word")
done
busybox_bundle "$WORK/b" --run-dir "$RUN_DIR" --grant web "${SLOW_HOOK[@]}" -- \
	cat /run/secrets/db_password

has_verdict() { [ "$(ls "$WORK/state-runc" 2>/dev/null | wc -l)" -gt 0 ] && sleep 1; }

start_slowly() { # in the background; output in $WORK/said, and back when the verdict is out
	: >"$WORK/said"
	start_quietly "$WORK/said" bash -c \
		'runc --root "$1" run --bundle "$2" race </dev/null; runc --root "$1" delete --force race' \
		_ "$WORK/state-runc" "$WORK/b"
	SLOW=$STARTED_PID
	within 10 has_verdict
}

start_slowly
seal web/db_password "$NEW"
check "a newer version is loaded meanwhile" "$PHIAL" reload --run-dir "$RUN_DIR"
wait "$SLOW"
is_value "$(tr -d '\n' <"$WORK/said")" "$NEW" "the container gets what the store has now"

start_slowly
printf 'nonsense' >"$STORE/web/db_password.sealed"
"$PHIAL" reload --run-dir "$RUN_DIR" >/dev/null 2>&1
wait "$SLOW"
like "$(cat "$WORK/said")" 'web/db_password changed in the store' \
	"its file became bad meanwhile: the container does not start, and is told why"
unlike "$(cat "$WORK/said")" "$NEW" "... and gets nothing"
check "the agent is still there" "$PHIAL" status --run-dir "$RUN_DIR"
finish
