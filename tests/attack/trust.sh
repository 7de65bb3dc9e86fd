#!/bin/bash
# SPDX-License-Identifier: ISC
# What a worker leaves to the next one, a signer who was revoked or who may sign some names only, a
# client that does not let go, and records that are longer than usual.
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need busybox python3 keyctl gcc
need_fault

RUN_DIR=$WORK/run
STATE_DIR=$WORK/state
make_store
make_three
reload() { "$PHIAL" reload --run-dir "$RUN_DIR" >"$WORK/reload.log" 2>&1; }
state_of() { status_of '[x["state"] for x in s["secrets"] if x["name"] == "'"$1"'"]'; }
version_of() { status_of '[x["version"] for x in s["secrets"] if x["name"] == "'"$1"'"][0]'; }

quietly() { "$@" >"$WORK/quietly" 2>&1 || bail "$*: $(cat "$WORK/quietly")"; }

new_worker() {
	local old
	old=$(worker)
	kill -KILL "$old"
	within 10 are_gone "$old"
	within 10 status_answers || bail "no worker follows"
}

# A new worker that cannot read the policy must not take the empty one for it.
test_policy_of_a_new_worker() {
	printf '{ "phial": "policy v1", "serial": 1, "workloads": {
		"web": { "gates": ["memory_limit"] } } }\n' >"$STORE/.phial/policy.json"
	quietly "$PHIAL" policy sign --store "$STORE"
	start_agent || bail "the agent does not start"
	new_still
	hook
	like "$HOOK_OUTPUT" "memory_limit" "a gate of the policy refuses"
	cp -a "$STORE/.phial/policy.json" "$WORK/policy.json"
	echo >>"$STORE/.phial/policy.json"
	new_worker
	end_still
	new_still
	hook
	check "S-04 policy damaged, worker killed: the container is still refused" \
		test "$HOOK_STATUS" -ne 0
	cp -a "$WORK/policy.json" "$STORE/.phial/policy.json"
	check "policy mended: reload" reload
	end_still
	new_still
	hook
	like "$HOOK_OUTPUT" "memory_limit" "policy mended: its gate refuses"
	end_still
	stop_agent
	rm "$STORE/.phial/policy.json" "$STORE/.phial/policy.json.minisig"
	rm -rf "$STATE_DIR"
}

# A file that is away or damaged while its signer is revoked comes back afterwards.
test_revoked_signer() {
	local bob=$WORK/bob
	quietly "$PHIAL" signer keygen --no-passphrase -o "$bob"
	quietly "$PHIAL" signer add bob "$(grep ^RW "$bob.pub")" --store "$STORE"
	seal web/bob bobs --signer "$bob"
	start_agent || bail "the agent does not start"
	is "$(state_of web/bob)" "['loaded']" "bob's secret is loaded"
	cp -a "$STORE/web/bob.sealed" "$WORK/bob.sealed"
	echo >>"$STORE/web/bob.sealed"
	quietly "$PHIAL" signer rm bob --store "$STORE"
	reload
	is "$(state_of web/bob)" "['refused']" "damaged: refused"
	cp -a "$WORK/bob.sealed" "$STORE/web/bob.sealed"
	reload
	is "$(state_of web/bob)" "['refused']" "S-04 S-06 his file comes back: still refused"
	rm "$STORE/web/bob.sealed"
	stop_agent
}

# A worker that dies between taking a version into the ring and making its mark durable.
test_mark_of_a_dead_workers_version() {
	start_agent || bail "the agent does not start"
	cp -a "$STATE_DIR/marks" "$WORK/marks"
	seal web/a newer
	reload
	cp -a "$WORK/marks" "$STATE_DIR/marks"
	new_worker
	check "S-04 the next worker makes the mark" \
		grep -q "^web/a $(version_of web/a) " "$STATE_DIR/marks"
	stop_agent
}

# G7: who keeps what the agent gave to him must not keep its ring.
test_client_that_holds_on() {
	local keys holder
	start_agent || bail "the agent does not start"
	read -ra keys <<<"$(ring_of "$AGENT_PID")"
	cat >"$WORK/hold.py" <<-'PYTHON'
		import array, os, socket, struct, sys, time
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		s.connect(sys.argv[1])
		fds = array.array("i", [os.memfd_create("document")])
		s.sendmsg([struct.pack("<III", 0x314c4850, 1, 0)],
			[(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
		answer = s.recvmsg(65536, 65536)
		print("holds", len(answer[0]), len(answer[1]), flush=True)
		time.sleep(60)
	PYTHON
	start_quietly "$WORK/holder" python3 "$WORK/hold.py" "$RUN_DIR/admin.sock"
	holder=$STARTED_PID
	within 5 grep -q holds "$WORK/holder" || bail "no answer: $(cat "$WORK/holder")"
	stop_agent KILL
	check "G7 a client of status keeps what it has: no key is left" \
		within 10 keys_are gone "${keys[@]}"
	stop "$holder" KILL
}

# S-10: a signer for one name cannot move the host's clock day by day.
test_clock_ratchet() {
	local hour
	start_agent || bail "the agent does not start"
	for hour in 23 46; do
		with_clock $((hour * 3600)) seal "other/h$hour" x
	done
	reload
	is "$(state_of other/h46)" "['refused']" "S-10 made two days from now: refused, whoever came before"
	stop_agent
	rm -r "$STORE/other" "$STATE_DIR"
}

# A record that can be written can be read.
test_long_target() {
	start_agent || bail "the agent does not start"
	new_still
	python3 - "$WORK/still/config.json" "$RUN_DIR" <<-'PYTHON'
		import json, sys
		config = json.load(open(sys.argv[1]))
		config["mounts"].append({"destination": "/" + "/".join(["\u00e9" * 120] * 5),
			"type": "bind", "source": sys.argv[2] + "/workload/web", "options": ["bind", "ro"]})
		json.dump(config, open(sys.argv[1], "w"))
	PYTHON
	hook
	end_still
	stop_agent
	check "a long target: the next agent starts" start_agent
	stop_agent
	rm -rf "$WORK/still" "$STATE_DIR"
}

# The record of a workload of many files is one long line.
test_many_files() {
	local i
	for ((i = 0; i < 320; i++)); do seal web/file_number_$i x; done
	start_agent || bail "the agent does not start"
	new_still
	hook
	is "$HOOK_STATUS" 0 "a workload of 320 files"
	end_still
	stop_agent
	rm "$STORE"/web/file_number_*
}

main() {
	test_policy_of_a_new_worker
	test_revoked_signer
	test_mark_of_a_dead_workers_version
	test_client_that_holds_on
	test_clock_ratchet
	test_long_target
	test_many_files
}

main
finish
