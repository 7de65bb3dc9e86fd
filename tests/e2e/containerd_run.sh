# SPDX-License-Identifier: ISC
# containerd with phial-runtime by its runtime options: the whole life of a container with and
# without a grant, and the reason of a refusal.
# suite-timeout: 300
# shellcheck shell=bash disable=SC2034,SC2154
. "$(dirname "$0")/_lib.sh"
# shellcheck source=../engines/containerd.sh
. "$ROOT/tests/engines/containerd.sh"
need_root
need busybox
containerd_setup "$@"

CANARY=$(canary)
SHA=$(sha "$CANARY")
make_store
seal web/db_password "$CANARY"
seal api/token other
# containerd gives its BinaryName no arguments: the agent is at its usual place, in this test's
# mount namespace.
mkdir -m 0700 "$WORK/run"
own_place "$WORK/run" /run/phial
RUN_DIR=/run/phial
start_agent || bail "the agent does not start"
ln -s "$RUNTIME" "$WORK/phial-runtime-crun"
containerd_start
containerd_image bb
READ='sha256sum </run/secrets/db_password | cut -d" " -f1'
NUMBER=0

# c OPTION... IMAGE ID [COMMAND...]: `ctr run` with $wrapper and $GRANT
c() {
	ctr_run --runc-binary "$wrapper" "${GRANT[@]}" "$@" </dev/null
}
grant() { GRANT=(--mount "type=bind,src=$RUN_DIR/workload/$1,dst=/run/secrets,options=rbind:ro"); }
new_id() { ID=phial-test-$$-$((NUMBER++)); }

test_run() {
	grant web
	new_id
	is "$(c --rm bb "$ID" sh -c "$READ" 2>&1)" "$SHA" "$wrapper: ctr run"
	is "$(c --rm --read-only bb "$ID" sh -c "$READ" 2>&1)" "$SHA" "$wrapper: read-only"
	is "$(python3 "$ROOT/tests/tools/on_terminal.py" ctr run --runc-root "$CONTAINERD_DIR/runc" \
		--cgroup "/phial-test-$$/t" --runc-binary "$wrapper" "${GRANT[@]}" --rm -t bb "$ID" \
		sh -c "test -t 0 && $READ")" "$SHA" "$wrapper: on a terminal"
}

test_life() {
	local other
	grant web
	new_id
	check "$wrapper: ctr run -d" c -d bb "$ID" sleep 600
	is "$(ctr task exec --exec-id e1 "$ID" sh -c "$READ" </dev/null)" "$SHA" \
		"$wrapper: task exec sees the secret"
	other=$ID
	GRANT=()
	new_id
	check "$wrapper: a container without a grant beside it" c -d bb "$ID" sleep 600
	is "$(ctr task exec --exec-id e1 "$ID" ls -A /run </dev/null)" "" \
		"$wrapper: has no secrets"
	soon '[c["id"] for c in s["containers"]]' "['$other']" \
		"$wrapper: the agent knows the one with a grant"
	sweep "$wrapper: the value is nowhere else" "$CANARY" --no-swap
	ctr task rm -f "$ID" >/dev/null 2>&1
	ctr container rm "$ID" >/dev/null 2>&1
	ctr task kill -s KILL "$other"
	ctr task rm -f "$other" >/dev/null 2>&1
	check "$wrapper: a task that was killed has left the agent" within 10 no_containers
	check "$wrapper: its container starts again" ctr task start -d "$other"
	is "$(ctr task exec --exec-id e2 "$other" sh -c "$READ" </dev/null)" "$SHA" \
		"$wrapper: with its secrets"
	ctr task rm -f "$other" >/dev/null 2>&1
	ctr container rm "$other" >/dev/null 2>&1
	check "$wrapper: and leaves again" within 10 no_containers
}

test_refusal() {
	grant web
	new_id
	OUTPUT=$(c --rm --cap-add CAP_SYS_ADMIN bb "$ID" echo STARTED 2>&1)
	STATUS=$?
	check "$wrapper: a refusal is a failure" test "$STATUS" -ne 0
	like "$OUTPUT" 'phial-runtime: .*SYS_ADMIN' "$wrapper: ctr says why"
	unlike "$OUTPUT" STARTED "$wrapper: nothing of the container ran"
	is "$(ls "$CONTAINERD_DIR/runc/default" 2>/dev/null)" "" \
		"$wrapper: the real runtime has deleted it"
	ctr container rm "$ID" >/dev/null 2>&1
}

# Bare runc and the wrapper: same output, same exit code.
test_without_grant() {
	local bare wrapped
	GRANT=()
	new_id
	bare=$(ctr_run --rm bb "$ID" sh -c 'echo a; echo b >&2; exit 37' 2>"$WORK/err" </dev/null
		echo "exit $?"; cat "$WORK/err")
	wrapped=$(c --rm bb "$ID" sh -c 'echo a; echo b >&2; exit 37' 2>"$WORK/err"
		echo "exit $?"; cat "$WORK/err")
	is "$wrapped" "$bare" "$wrapper: no grant: output and exit code"
	bare=$(ctr_run --rm bb "$ID" /no/such 2>&1 </dev/null; echo $?)
	wrapped=$(c --rm bb "$ID" /no/such 2>&1; echo $?)
	ctr container rm "$ID" >/dev/null 2>&1
	is "$wrapped" "$bare" "$wrapper: no grant: a failure in its own words"
}

wrapper=$RUNTIME
test_run
test_life
test_refusal
test_without_grant
if command -v crun >/dev/null; then
	wrapper=$WORK/phial-runtime-crun
	test_run
	test_life
	test_refusal
else
	skip "crun is not installed" "crun, chosen by the name of the program"
fi
containerd_end
stop_agent
sweep "in the end the value is nowhere, swap included" "$CANARY"
finish
