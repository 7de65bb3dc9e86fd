#!/bin/bash
# SPDX-License-Identifier: ISC
# F-04: whoever has a part in a rotation is killed in the middle of it, at one system call after the
# other. Readers see the old set or the new one, and the new one comes. ROTATION_STEP=1 tries every
# call of the filler, which takes two minutes longer. suite-timeout: 300
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need busybox python3
need_fault

CALLS_MAX=400
GRACE_MS=100
CANARY=$(canary)
ROUND=0

reload() { "$PHIAL" reload --run-dir "$RUN_DIR" >"$WORK/reload" 2>&1; }

# next_version: the next number of both secrets is in the store. They are made elsewhere, because
# the agent watches the store.
next_version() {
	ROUND=$((ROUND + 1))
	STORE=$WORK/staging seal web/a "$ROUND $CANARY"
	STORE=$WORK/staging seal web/c "$ROUND $CANARY"
	mv "$WORK/staging/web/a.sealed" "$STORE/web/a.sealed"
	mv "$WORK/staging/web/c.sealed" "$STORE/web/c.sealed"
}

SECRETS=
numbers() { (cd "$SECRETS" && cut -d' ' -f1 a c | tr '\n' ' ') 2>/dev/null; }
has_version() { [ "$(numbers)" = "$ROUND $ROUND " ]; }
generations() { (cd "$SECRETS" && ls -A | grep -c -E '^\.\.[0-9]'); }
is_settled() { has_version && [ "$(generations)" = 1 ]; }
is_settled_without() { is_settled || ! kill -0 "$1" 2>/dev/null; }

start_reader() {
	rm -f "$WORK/stop"
	start_quietly "$WORK/reader" python3 "$ROOT/tests/tools/read_set.py" "$SECRETS" "$WORK/stop" \
		$((GRACE_MS - 10)) a c
	READER=$STARTED_PID
}
# reader_is_well DESCRIPTION...
reader_is_well() {
	touch "$WORK/stop"
	stop "$READER" CONT
	forget "$READER"
	is "$(grep -v '^passes' "$WORK/reader" | head -n 5)" "" "$*"
	like "$(cat "$WORK/reader")" '^passes [0-9]{2,}$' "... in many passes"
}

# hit WHO N: a rotation, with WHO (a function that prints a process) killed at its Nth call. False
# when it does not make so many.
hit() {
	local who=$1 n=$2 pid
	inject_child "$who" -k -n "$n"
	pid=$INJECTED
	next_version
	reload
	within 10 is_settled_without "$pid"
	was_hit
}

# recovers WHAT: the new version comes, and nothing of an interrupted one stays
recovers() {
	within 10 status_answers || complain "$1: no answer"
	[ "$(generations)" -le 2 ] || complain "$1: $(generations) generations"
	reload
	within 20 is_settled || complain "$1: has $(numbers), wanted $ROUND, in $(generations) generations"
	[ ! -L "$SECRETS/..data_next" ] || complain "$1: an unfinished link is left"
	[ "$(head -n 1 "$SECRETS/b")" = "0 $CANARY" ] || complain "$1: the large one is damaged"
	[ "$(tr -d '\n' <"$SECRETS/.generation")" = "$(readlink "$SECRETS/..data" | tr -d .)" ] ||
		complain "$1: the counter is another generation's"
}

# kill_at_each WHO STEP
kill_at_each() {
	local who=$1 n count=0
	for ((n = 1; n < CALLS_MAX; n += $2)); do
		hit "$who" "$n" || break
		count=$((count + 1))
		recovers "$who killed at call $n"
	done
	[ $count -ge 3 ] || complain "only $count calls were hit: this test tests nothing"
	no_complaints "F-04 $who killed during a rotation, $count times: the next one brings the new set"
}

# The next agent takes the container back.
test_supervisor() {
	local n count=0
	for ((n = 1; n < 80; n += 31)); do
		inject -k -n "$n" -p "$AGENT_PID" || bail "the agent is gone"
		next_version
		reload
		within 5 is_settled_without "$AGENT_PID"
		was_hit || break
		count=$((count + 1))
		wait "$AGENT_PID" 2>/dev/null
		forget "$AGENT_PID"
		[ "$(generations)" -le 2 ] || complain "call $n: $(generations) generations"
		start_agent || bail "call $n: the next agent does not start"
		recovers "supervisor killed at call $n"
	done
	[ $count -ge 2 ] || complain "only $count calls were hit: this test tests nothing"
	no_complaints "F-04 supervisor killed during a rotation, $count times: the next agent ends it"
}

make_store
seal web/a "0 $CANARY"
{ printf '0 %s\n' "$CANARY"; head -c 90000 /dev/urandom; } >"$WORK/large"
"$PHIAL" seal web/b --from "$WORK/large" --keep-newline --store "$STORE" >"$WORK/seal.log" 2>&1 ||
	bail "$(cat "$WORK/seal.log")"
seal web/c "0 $CANARY"
rm "$WORK/large"
printf '{ "phial": "policy v1", "serial": 1, "workloads": { "web": { "grace": "%dms" } } }\n' \
	$GRACE_MS >"$STORE/.phial/policy.json"
"$PHIAL" policy sign --store "$STORE" >"$WORK/policy.log" 2>&1 || bail "$(cat "$WORK/policy.log")"
cp -a "$STORE" "$WORK/staging"
start_agent || bail "the agent does not start"
new_still
hook || bail "no secrets: $HOOK_OUTPUT"
SECRETS=/proc/$STILL/root/run/secrets
start_reader
next_version
reload
within 10 is_settled
is "$(numbers)" "1 1 " "a rotation without any fault"
kill_at_each filler "${ROTATION_STEP:-3}"
kill_at_each worker 37
kill_at_each auditor 4
test_supervisor
reader_is_well "F-04, G6: no reader saw a torn set or a missing file"
end_still
stop_agent
unlike "$(cat "$WORK/agent.log")" "$CANARY" "L-04 no value in the agent's log"
sweep "no value is anywhere in the end" "$CANARY" --no-swap
finish
