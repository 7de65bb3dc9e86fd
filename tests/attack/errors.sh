#!/bin/bash
# SPDX-License-Identifier: ISC
# System calls that fail: full disks, no memory, no descriptors, old kernels, a keyring that does not
# answer. What fails is said, nothing partial starts, and the next container is served. suite-timeout: 240
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need busybox python3 keyctl
need_fault

CALLS_MAX=400
EINTR=4 EIO=5 ENOMEM=12 EINVAL=22 ENOSPC=28 EROFS=30 ENOSYS=38 EDQUOT=122
EKEYEXPIRED=127 EKEYREVOKED=128 EPERM=1
ERRORS=("$ENOSPC" "$EIO" "$ENOMEM" "$EINTR" "$EDQUOT")
# x86-64
CALL_WRITE=1 CALL_FSYNC=74 CALL_FDATASYNC=75 CALL_ADD_KEY=248 CALL_KEYCTL=250 CALL_FSCONFIG=431 CALL_MEMFD_SECRET=447

make_store
make_three
start_agent || bail "the agent does not start"
attempt "before any fault"
no_complaints "a container has its secrets before any fault"
note_descriptors

# fail_at_each WHO CALLER: each call of that process fails once, with one of ERRORS in turn
fail_at_each() {
	local who=$1 caller=$2 n hit=0 starts=0 error
	for ((n = 1; n < CALLS_MAX; n++)); do
		error=${ERRORS[n % ${#ERRORS[@]}]}
		inject_child "$caller" -e "$error" -n $n
		attempt "$who, errno $error at call $n"
		[ "$HOOK_STATUS" -ne 0 ] || starts=$((starts + 1))
		was_hit || break
		hit=$((hit + 1))
		serves "$who, errno $error at call $n"
	done
	[ $hit -ge 10 ] || complain "only $hit calls were hit: this test tests nothing"
	no_complaints "F-05 $who: each of its $hit calls fails, with errno ${ERRORS[*]} in turn:" \
		"refused with a reason or complete ($starts started), and the next is served"
	check "F-05 $who: no mount is left with the agent" within 10 holds_only "$DESCRIPTORS"
}

test_hook_errors() {
	local n error hit=0 count
	exec 9>"$WORK/count"
	attempt "counting" "$FAULT" -t --
	exec 9>&-
	count=$(cat "$WORK/count")
	for ((n = 1; n <= count; n++)); do
		error=${ERRORS[n % ${#ERRORS[@]}]}
		attempt "hook, errno $error at call $n" "$FAULT" -e "$error" -n "$n" --
		[ "$HOOK_STATUS" -eq 0 ] || hit=$((hit + 1))
	done 9>/dev/null
	serves "hook with failing calls"
	[ $hit -ge 30 ] || complain "only $hit of $count failures stopped the hook"
	no_complaints "F-05 hook: each of its $count calls fails, with errno ${ERRORS[*]} in turn:" \
		"$hit refused with a reason, the rest complete"
	check "F-05 hook: no mount is left with the agent" within 10 holds_only "$DESCRIPTORS"
}

# Short writes are no errors: write(2) may do that.
test_short_writes() {
	local n hit=0
	for ((n = 1; n <= 10; n++)); do
		inject_child filler -s -o $CALL_WRITE -n $n
		attempt "filler, short write $n"
		was_hit || break
		hit=$((hit + 1))
		[ "$HOOK_STATUS" -eq 0 ] || complain "filler, short write $n: $HOOK_OUTPUT"
	done
	[ $hit -ge 3 ] || complain "only $hit writes were hit"
	no_complaints "F-05 filler: each of its $hit writes is cut short: the files are whole"
	hit=0
	for ((n = 1; n <= 5; n++)); do
		inject_child worker -s -o $CALL_WRITE -n $n
		attempt "worker, short write $n"
		was_hit && hit=$((hit + 1))
	done
	stop_agent
	start_agent || complain "the agent does not start on records with short writes"
	[ $hit -ge 1 ] || complain "no write was hit"
	no_complaints "F-05 worker: its writes are cut short: the records stay readable"
	note_descriptors
}

# F-10: the keyring fails while a filler reads, then while a worker loads.
test_keyring_errors() {
	local error
	for error in $ENOSYS $EPERM $EKEYREVOKED $EKEYEXPIRED; do
		inject_child filler -E "$error" -o $CALL_KEYCTL
		attempt "keyctl errno $error"
		was_hit || complain "keyctl errno $error: not hit"
		[ "$HOOK_STATUS" -ne 0 ] || complain "keyctl errno $error: the container started"
		serves "keyctl errno $error"
	done
	no_complaints "F-10 keyctl fails with ENOSYS, EPERM, EKEYREVOKED, EKEYEXPIRED: refused," \
		"and the next is served"
}

# The key quota is root's and this test does not lower it: the call that meets it fails instead.
test_quota() {
	local output
	seal web/q1 quota
	seal web/q2 quota
	inject -e $EDQUOT -o $CALL_ADD_KEY -p "$AGENT_PID"
	output=$("$PHIAL" reload --run-dir "$RUN_DIR" 2>&1)
	check "F-05 key quota: a key was refused" was_hit
	like "$output" "web/q1: refused.*kernel\.keys\.root_max(bytes|keys)" \
		"F-05 key quota: the secret is refused, naming the sysctl"
	is "$(status_of '[x["in_keyring"] for x in s["secrets"]]')" "[False, True, True, True, True]" \
		"F-05 key quota: the rest is served"
	"$PHIAL" reload --run-dir "$RUN_DIR" >/dev/null 2>&1
	is "$(status_of 'sum(x["in_keyring"] for x in s["secrets"])')" 5 \
		"F-05 key quota: when there is room, a reload loads it"
	rm "$STORE"/web/q?.sealed
}

# released NAME: is any of this workload in the keyring?
released() {
	status_of 'any(x["in_keyring"] for x in s["secrets"] if x["name"].startswith("'"$1"'/"))'
}

# F-07: a version whose mark is not durable is not released, and no container starts unrecorded.
test_state_directory() {
	local i
	stop_agent
	mkdir -p "$WORK/small"
	mount -t tmpfs -o size=64k small "$WORK/small"
	install -d -o nobody -m 0700 "$WORK/small/state"
	start_agent --state-dir "$WORK/small/state" || bail "the agent does not start"
	head -c 100000 /dev/zero >"$WORK/small/ballast" 2>/dev/null
	# All at once, because the agent watches: more marks than the page that is theirs holds.
	cp -a "$STORE" "$WORK/elsewhere"
	for ((i = 0; i < 60; i++)); do
		STORE=$WORK/elsewhere seal "full/s$i" "mark first"
	done
	mv "$WORK/elsewhere/full" "$STORE/full"
	rm -rf "$WORK/elsewhere"
	refuses_to_release full "No space"
	rm -f "$WORK/small/ballast"
	releases_again full
	inject -E $EROFS -o $CALL_FSYNC,$CALL_FDATASYNC -p "$(worker)"
	seal readonly/s "mark first"
	refuses_to_release readonly "Read-only"
	was_hit
	releases_again readonly
	stop_agent
	check "F-07 the small disk is let go" within 5 umount "$WORK/small"
	rm -r "$STORE/full" "$STORE/readonly"
}

# refuses_to_release WORKLOAD REASON
refuses_to_release() {
	exits 19 "F-07 disk $1: reload fails" "$PHIAL" reload --run-dir "$RUN_DIR"
	like "$OUTPUT" "nothing new is released.*marks.*$2" "F-07 disk $1: the reason is said"
	is "$(released "$1")" False "F-07 disk $1: nothing new is released"
	like "$("$PHIAL" status --run-dir "$RUN_DIR")" "PROBLEM:.*marks cannot be written.*$2" \
		"F-07 disk $1: status says so"
	new_still
	hook
	check "F-07 disk $1: no container starts unrecorded" test "$HOOK_STATUS" -ne 0
	like "$HOOK_OUTPUT" "$2" "F-07 disk $1: and says why"
	end_still
}

releases_again() {
	check "F-07 disk $1, repaired: reload" "$PHIAL" reload --run-dir "$RUN_DIR"
	is "$(released "$1")" True "F-07 disk $1, repaired: released"
	serves "disk $1"
	no_complaints "F-07 disk $1, repaired: containers start"
}

# F-06: few descriptors are refused at once. Containers up to the limit run, the next is refused, later ones are served.
test_descriptors() {
	local i running=() refused=
	exits 1 "F-06 too few descriptors: the agent does not start" prlimit --nofile=100:100 "$PHIALD" \
		--run-dir "$RUN_DIR" --state-dir "$STATE_DIR" --worker-user nobody
	like "$OUTPUT" "only 100 open files.*RLIMIT_NOFILE.*raise" "F-06 too few descriptors: says so"
	launch prlimit --nofile=352:352 "$PHIALD" --run-dir "$RUN_DIR" --state-dir "$STATE_DIR" \
		--worker-user nobody --store "$STORE" --identity "$IDENTITY" --trust "$TRUST" ||
		bail "no agent with 352 descriptors: $(tail -5 "$WORK/agent.log")"
	for ((i = 0; i < 200; i++)); do
		new_still
		running+=("$STILL")
		hook timeout 20
		if [ "$HOOK_STATUS" -ne 0 ]; then
			refused=$HOOK_OUTPUT
			break
		fi
		has_full_set || complain "container $i has less than all"
	done
	like "$refused" "[Tt]oo many open files|descriptors|agent closed" \
		"F-06 no descriptors: container $((i + 1)) is refused with a reason"
	STILL=${running[0]}
	check "F-06 no descriptors: the first container keeps its secrets" has_full_set
	for STILL in "${running[@]}"; do
		end_still
	done
	check "F-06 when they have ended, none is listed" within 10 no_containers
	serves "F-06 descriptors are back"
	no_complaints "F-06 descriptors are back: containers are served"
	stop_agent
}

# hook_without NUMBER NAME: a kernel that does not know the call: refused, with a reason
hook_without() {
	attempt "no $2" "$FAULT" -E $ENOSYS -o "$1" --
	[ "$HOOK_STATUS" -ne 0 ] || complain "no $2: the hook goes on"
} 9>/dev/null

test_old_kernel_hook() {
	start_agent || bail "the agent does not start"
	hook_without 437 openat2
	hook_without 428 open_tree
	hook_without 429 move_mount
	hook_without 430 fsopen
	hook_without 431 fsconfig
	hook_without 432 fsmount
	hook_without 434 pidfd_open
	hook_without 436 close_range
	hook_without 442 mount_setattr
	no_complaints "F-09 hook without openat2, open_tree, move_mount, fsopen, fsconfig, fsmount," \
		"pidfd_open, close_range, mount_setattr: refused"
	new_still
	hook "$FAULT" -e $EINVAL -n 1 -o 431 -- 9>/dev/null
	is "$HOOK_STATUS" 0 "F-09 no noswap: another kind of mount is used"
	check "F-09 no noswap: with all secrets" has_full_set
	is "$(status_of '[c["mount"] for c in s["containers"]]')" "['ramfs']" \
		"F-09 no noswap: it is ramfs, and status says so"
	end_still
	stop_agent
}

# agent_with FAULT-OPTION...: the agent below fault; AGENT_PID is the agent's own again
agent_with() {
	launch "$FAULT" "$@" -- "$PHIALD" --run-dir "$RUN_DIR" --state-dir "$STATE_DIR" --worker-user nobody \
		--store "$STORE" --identity "$IDENTITY" --trust "$TRUST" 9>/dev/null
	local status=$?
	LAUNCHED_PID=$AGENT_PID
	AGENT_PID=$(ps -o pid= --ppid "$LAUNCHED_PID" | head -n 1 | tr -d ' ')
	return $status
}
end_agent_with() {
	kill "$AGENT_PID" 2>/dev/null
	wait "$LAUNCHED_PID"
}

test_old_kernel_agent() {
	check "F-09 no memfd_secret: the agent runs" agent_with -E $ENOSYS -o $CALL_MEMFD_SECRET
	like "$("$PHIAL" status --run-dir "$RUN_DIR")" "WEAKER: .*no memfd_secret" \
		"F-09 no memfd_secret: status says that this is weaker"
	is "$(status_of 's["kernel"]["secret_pages"]')" locked "F-09 no memfd_secret: pages are locked"
	end_agent_with
	check "F-09 no noswap: the agent runs" agent_with -e $EINVAL -n 1 -o $CALL_FSCONFIG
	is "$(status_of 's["kernel"]["mount"]')" ramfs "F-09 no noswap: status says what mounts will be"
	end_agent_with
	refuses_to_run "no openat2" 437
	refuses_to_run "no open_tree" 428
	refuses_to_run "no mount_setattr" 442
	refuses_to_run "no seccomp" 317
	refuses_to_run "F-10 no add_key" $CALL_ADD_KEY
	refuses_to_run "F-10 no keyctl" $CALL_KEYCTL
}

# refuses_to_run WHAT NUMBER: it ends, or runs and serves nothing and says so
refuses_to_run() {
	mark_log
	if agent_with -E $ENOSYS -o "$2"; then
		is "$(status_of 'sum(x["in_keyring"] for x in s["secrets"]), s["store"]["problem"] is None')" \
			"0 False" "F-09 $1: the agent holds nothing, and status says why"
		kill "$AGENT_PID"
	else
		ok "F-09 $1: the agent refuses to run"
	fi
	wait "$LAUNCHED_PID" 2>/dev/null
	like "$(log_since)" "phiald: .*(Function not implemented|this kernel has no)" \
		"F-09 $1: the log says why"
}

# F-11: in the self-test's process every keyctl(2) succeeds with 0, so that its key of one second
# seems to live on. It is the first child, and lives for at least that second.
test_self_test() {
	start_quietly "$WORK/agent.log" "$PHIALD" --run-dir "$RUN_DIR" --state-dir "$STATE_DIR" \
		--worker-user nobody --store "$STORE" --identity "$IDENTITY" --trust "$TRUST"
	AGENT_PID=$STARTED_PID
	mark_log
	inject_child filler -E 0 -o $CALL_KEYCTL
	wait "$AGENT_PID"
	is $? 18 "F-11 a key of one second does not expire: the agent ends with 18"
	was_hit
	like "$(log_since)" "does not expire" "F-11 and the log says why"
	check "F-11 and nobody listens" test ! -e "$RUN_DIR/hook.sock"
}

fail_at_each worker worker
fail_at_each filler filler
test_hook_errors
test_short_writes
test_keyring_errors
test_quota
test_state_directory
test_descriptors
test_old_kernel_hook
test_old_kernel_agent
test_self_test
for value in a c; do
	unlike "$(cat "$WORK/agent.log")" "$(cat "$VALUES/$value")" "L-04 no value in the agent's log"
done
finish
