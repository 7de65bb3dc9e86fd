#!/bin/bash
# SPDX-License-Identifier: ISC
# Every process of the main path is killed at each of its system calls while a container is given its
# secrets: the container fails or has the full set, and nothing is left over. suite-timeout: 240
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need busybox python3 keyctl
need_fault

CALLS_MAX=400 # more than any of them makes

# The host's mount table, without what other tests do.
mounts() { host_mounts | awk -v work="$WORK" '!/\/phial-test\./ || index($0, work)'; }

make_store
make_three
start_agent || bail "the agent does not start"
attempt "before any fault"
no_complaints "a container has its secrets before any fault"
MOUNTS=$(mounts)
note_descriptors

# kill_at_each WHO CALLER: kills what `CALLER` prints at its first call, its second, ...
kill_at_each() {
	local who=$1 caller=$2 n=1 hit=0 starts=0
	while [ $n -lt $CALLS_MAX ]; do
		inject_child "$caller" -k -n $n
		attempt "$who killed at call $n"
		[ "$HOOK_STATUS" -ne 0 ] || starts=$((starts + 1))
		was_hit || break
		hit=$((hit + 1))
		within 10 status_answers || complain "$who killed at call $n: no answer afterwards"
		serves "$who killed at call $n"
		n=$((n + 1))
	done
	[ $hit -ge 10 ] || complain "only $hit calls were hit: this test tests nothing"
	[ $n -lt $CALLS_MAX ] || complain "more than $CALLS_MAX calls"
	no_complaints "F-01 $who killed at each of its $hit calls: the container fails or has all" \
		"($starts started)"
	nothing_is_left "F-01 $who"
}

# nothing_is_left ID: when all containers are gone
nothing_is_left() {
	if within 10 holds_only "$DESCRIPTORS"; then
		ok "$1: no mount and no container is left with the agent"
	else
		not_ok "$1: no mount and no container is left with the agent"
		diag "descriptors: $(descriptors), before: $DESCRIPTORS" "$(status_json)"
	fi
	is "$(mounts)" "$MOUNTS" "$1: the host's mount table is as before"
}

test_worker() {
	local keys
	keys=$(ring_of "$AGENT_PID")
	kill_at_each worker worker
	is "$(ring_of "$AGENT_PID")" "$keys" "F-01 worker: the same keys are in the ring"
}

test_filler() { kill_at_each filler filler; }

test_hook() {
	local n hit=0
	for ((n = 1; n < CALLS_MAX; n++)); do
		attempt "hook killed at call $n" "$FAULT" -k -n $n --
		[ "$HOOK_STATUS" -eq 137 ] || break
		hit=$((hit + 1))
	done 9>/dev/null
	[ $hit -ge 50 ] || complain "only $hit calls were hit: this test tests nothing"
	serves "hook killed at each call"
	no_complaints "F-03 hook killed at each of its $hit calls"
	nothing_is_left "F-03 hook"
}

# Each kill needs a new agent, whose self-test takes a second: every second call.
test_supervisor() {
	local n keys children killed=0
	for ((n = 1; n < CALLS_MAX; n += 2)); do
		read -ra keys <<<"$(ring_of "$AGENT_PID")"
		children=$(children | awk '{ print $1 }')
		inject -k -n $n -p "$AGENT_PID" || bail "the agent is gone"
		attempt "supervisor killed at call $n"
		was_hit || break
		killed=$((killed + 1))
		wait "$AGENT_PID" 2>/dev/null
		forget "$AGENT_PID"
		# shellcheck disable=SC2086
		within 5 are_gone $children || complain "call $n: a process is left"
		within 10 keys_are gone "${keys[@]}" || complain "call $n: a key is left"
		start_agent || bail "call $n: the next agent does not start"
		serves "supervisor killed at call $n"
	done
	[ $killed -ge 5 ] || complain "only $killed calls were hit: this test tests nothing"
	no_complaints "F-02 supervisor killed at every 2nd call ($killed): no key, no process is left," \
		"the next agent serves"
	note_descriptors
	nothing_is_left "F-02 supervisor"
}

test_worker
test_filler
test_hook
test_supervisor
stop_agent
for value in a c; do
	unlike "$(cat "$WORK/agent.log")" "$(cat "$VALUES/$value")" "L-04 no value in the agent's log"
done
finish
