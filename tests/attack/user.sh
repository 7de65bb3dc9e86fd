#!/bin/bash
# SPDX-License-Identifier: ISC
# Users of the host against the agent: its sockets, its processes' memory and descriptors, the programs
# run by hand. suite-timeout: 180
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need busybox python3 keyctl setpriv
need_fault

SPY=$WORK/spy # where everybody can run it
install -m 0755 "$BUILD/tests/probes/spy" "$SPY"
install -m 0755 "$PHIAL" "$WORK/phial"
install -m 0755 "$HOOK" "$WORK/phial-hook"
make_store
make_three
start_agent || bail "the agent does not start"
AGENT_UID=$(id -u nobody)

test_sockets() {
	local uid
	for uid in 1000 "$AGENT_UID"; do
		exits 15 "U-01 uid $uid asks for the status: exit 15" \
			run_as "$uid" "$WORK/phial" status --run-dir "$RUN_DIR"
		unlike "$OUTPUT" "web/" "U-01 uid $uid learns no name"
	done
	is "$(stat -c '%U %a' "$RUN_DIR" "$RUN_DIR/hook.sock" "$RUN_DIR/admin.sock" | tr '\n' ' ')" \
		"root 700 root 600 root 600 " "U-01 directory and sockets are root's alone"
	chmod 0755 "$RUN_DIR" && chmod 0666 "$RUN_DIR"/*.sock
	for uid in 1000 "$AGENT_UID"; do
		exits 17 "U-01 with the doors open, uid $uid is still sent away" \
			run_as "$uid" "$WORK/phial" status --run-dir "$RUN_DIR"
		unlike "$OUTPUT" "web/" "U-01 with the doors open, uid $uid learns no name"
	done
	chmod 0700 "$RUN_DIR" && chmod 0600 "$RUN_DIR"/*.sock
	like "$(cat "$WORK/agent.log")" "refused a client of another user" "U-01 and the log says so"
}

# X-04: none of the agent's sockets can be reached by name but the three files.
test_abstract_sockets() {
	local pid links names
	links=$(for pid in $AGENT_PID $(children | awk '{ print $1 }'); do
		readlink "/proc/$pid/fd/"* 2>/dev/null
	done | sed -n 's/^socket:\[\(.*\)\]$/\1/p')
	check "X-04 the agent's sockets are seen" test -n "$links"
	names=$(awk 'NR == FNR { ours[$1]; next } ($7 in ours) && NF > 7 { print $8 }' \
		<(echo "$links") /proc/net/unix | sort -u | tr '\n' ' ')
	is "$names" "$RUN_DIR/admin.sock $RUN_DIR/hook.sock $RUN_DIR/init.sock " \
		"X-04 no abstract socket, three paths"
}

# spies WHEN: every user on every process
spies() {
	local uid who pid got
	for who in supervisor worker filler; do
		case $who in
		supervisor) pid=$AGENT_PID ;;
		*) pid=$($who) ;;
		esac
		for uid in 1000 "$AGENT_UID"; do
			got=$(run_as "$uid" "$SPY" "$pid")
			is "$(grep -c . <<<"$got")" 15 "U-03 $1: uid $uid tries 15 ways into the $who"
			unlike "$got" "GOT" "U-03 $1: uid $uid has no way into the $who"
		done
	done
}

test_spies() {
	local same
	# The tool can fail: on an ordinary process of the same user it gets in.
	start setpriv --reuid "$AGENT_UID" --regid "$AGENT_UID" --clear-groups sleep 60
	same=$STARTED_PID
	within 5 grep -q sleep "/proc/$same/comm"
	like "$(run_as "$AGENT_UID" "$SPY" "$same")" "process_vm_readv: GOT" \
		"U-03 the same tool gets into an ordinary process of that user"
	spies "at first"
	kill -KILL "$(worker)"
	within 10 status_answers
	spies "after a worker's restart"
}

test_by_hand() {
	new_still
	HOOK_OUTPUT=$(cd "$WORK/still" && run_as 1000 "$WORK/phial-hook" --run-dir "$RUN_DIR" \
		--workload web <"$WORK/hook-state" 2>&1)
	is $? 15 "U-06 the hook as uid 1000: exit 15"
	like "$HOOK_OUTPUT" "must run as root" "U-06 the hook as uid 1000: says so"
	check "U-06 the hook as uid 1000: nothing was mounted" \
		test -z "$(ls -A "/proc/$STILL/root/run/secrets")"
	end_still
	exits 2 "U-06 the hook without a state: exit 2" "$HOOK" --run-dir "$RUN_DIR" --workload web
}

# U-06: a command line that is killed anywhere leaves the old secret or the new one.
test_killed_seal() {
	local n status value other=0 kills=0
	for ((n = 1; n < 2000; n += 5)); do
		value=value-$n
		printf %s "$value" | "$FAULT" -k -n $n -- "$PHIAL" seal web/killed --store "$STORE" \
			>/dev/null 2>&1 9>/dev/null
		status=$?
		if [ -e "$STORE/web/killed.sealed" ] && ! value=$("$PHIAL" unseal web/killed \
			--store "$STORE" 2>&1); then
			complain "killed at call $n: $value"
		fi
		[ $status -eq 137 ] || break
		kills=$((kills + 1))
	done
	[ $kills -ge 20 ] || complain "killed only $kills times"
	other=$(find "$STORE/web" -name '*.sealed' | wc -l)
	[ "$other" -eq 4 ] || complain "$other sealed files instead of 4"
	no_complaints "U-06 phial seal killed at every 5th call ($kills times): the old or the new secret"
	check "U-06 and the store is whole" "$PHIAL" verify "$STORE"
}

test_sockets
test_abstract_sockets
test_spies
test_by_hand
stop_agent
test_killed_seal
finish
