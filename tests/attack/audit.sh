#!/bin/bash
# SPDX-License-Identifier: ISC
# Whoever is killed, and when: what a container has seen stands in the audit log, and the log is whole
# (F-01, F-02 for the log). suite-timeout: 240
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need busybox python3 keyctl
need_fault

CALLS_MAX=200 # more than any of them makes
SEEN=()       # containers that had a byte of a secret, whatever their hook said

make_store
make_three
start_agent || bail "the agent does not start"
LOG=$STATE_DIR/audit

# start_one WHAT: a container for a hook, and whether it has seen something
start_one() {
	new_still
	hook timeout 20
	[ "$HOOK_STATUS" -ne 124 ] || complain "$1: the hook hangs"
	has_nothing || SEEN+=("still-$STILLS")
	[ "$HOOK_STATUS" -ne 0 ] || has_full_set || complain "$1: started with less than all"
	end_still
	forget "$STILL"
}

# serves_again WHAT: a container starts, as soon as there is a new worker
serves_again() {
	local tries
	for ((tries = 0; tries < 3; tries++)); do
		start_one "$1"
		[ "$HOOK_STATUS" -ne 0 ] || return
	done
	complain "$1: no container starts any more"
}

# missing: the containers of $SEEN of whose release the log knows nothing
missing() {
	"$PHIAL" audit log --json "$LOG" >"$WORK/entries" 2>&1
	python3 - "$WORK/entries" "${SEEN[@]}" <<-'PYTHON'
		import json, sys
		entries = [json.loads(line) for line in open(sys.argv[1])]
		had = {e["container"] for e in entries if e["kind"] == "release" and len(e["secrets"]) == 3}
		print(" ".join(sorted(set(sys.argv[2:]) - had)))
	PYTHON
}

# log_is_whole WHO: when all is over. Entries of before that are only torn are covered by the next.
log_is_whole() {
	is "$(missing)" "" "$1: the ${#SEEN[@]} containers that saw a secret are in the audit log"
	exits 0 "$1: its chain is whole" "$PHIAL" audit verify "$LOG"
}

# kill_child WHO STEP: at its first call, and at every STEPth after that
kill_child() {
	local who=$1 step=$2 n hit=0
	for ((n = 1; n < CALLS_MAX; n += step)); do
		inject_child "$who" -k -n $n
		start_one "$who killed at call $n"
		was_hit || break
		hit=$((hit + 1))
		within 10 status_answers || complain "$who killed at call $n: no answer afterwards"
		serves_again "$who killed at call $n"
	done
	[ $hit -ge 5 ] || complain "only $hit calls were hit: this test tests nothing"
	[ "$n" -lt $CALLS_MAX ] || complain "more than $CALLS_MAX calls"
	no_complaints "F-01 $who killed at $hit of its calls: containers fail or have all"
	log_is_whole "F-01 $who"
}

kill_supervisor() {
	local n killed=0
	for ((n = 1; n < CALLS_MAX; n += 6)); do
		inject -k -n $n -p "$AGENT_PID" || bail "the agent is gone"
		start_one "supervisor killed at call $n"
		was_hit || break
		killed=$((killed + 1))
		wait "$AGENT_PID" 2>/dev/null
		forget "$AGENT_PID"
		start_agent || bail "call $n: the next agent does not start"
		serves_again "supervisor killed at call $n"
	done
	[ $killed -ge 3 ] || complain "only $killed calls were hit: this test tests nothing"
	no_complaints "F-02 supervisor killed at $killed of its calls"
	log_is_whole "F-02 supervisor"
}

start_one "before any fault"
is "${SEEN[*]}" "still-$STILLS" "a container sees its secrets before any fault"
is "$(missing)" "" "... and is in the log"
SEEN+=(still-none)
is "$(missing)" "still-none" "... as one is not that was never started"
SEEN=("${SEEN[@]:0:1}")
kill_child auditor 1
kill_child worker 6
kill_supervisor
stop_agent
finish
