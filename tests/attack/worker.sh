#!/bin/bash
# SPDX-License-Identifier: ISC
# A worker that an attacker has taken over: it is made to call what it never would. Each such call ends
# it, another takes its place, and its directory descriptors lead nowhere. suite-timeout: 180
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need busybox python3 keyctl
need_fault

make_store
make_three
start_agent || bail "the agent does not start"

# x86-64: name and number, then arguments where they matter
FORBIDDEN="unshare=272,0x20000 setns=308 mount=165 umount2=166 open_tree=428 move_mount=429
	fsopen=430 fsmount=432 mount_setattr=442 pivot_root=155 chroot=161
	ptrace=101 process_vm_readv=310 process_vm_writev=311 pidfd_getfd=438 pidfd_open=434 kill=62
	execve=59 execveat=322 fork=57 vfork=58 clone=56 clone3=435
	socket=41 connect=42 bind=49 listen=50 socketpair=53
	keyctl_session_to_parent=250,18 keyctl_join=250,1 keyctl_link=250,8 keyctl_setperm=250,5
	keyctl_chown=250,4 keyctl_clear=250,7 add_key=248 request_key=249
	setuid=105 setresuid=117 capset=126 prctl=157 seccomp=317 personality=135
	bpf=321 perf_event_open=298 userfaultfd=323 io_uring_setup=425 open=2 mkdirat=258 mknodat=259
	linkat=265 symlinkat=266 name_to_handle_at=303 open_by_handle_at=304 init_module=175"

# The first worker waits; a later one is born half a second after the last one's death.
test_forbidden_calls() {
	local entry name number returned before after count=0
	for entry in $FORBIDDEN; do
		name=${entry%%=*}
		number=${entry#*=}
		number=${number%%,*}
		within 10 status_answers
		before=$(worker)
		"$FAULT" -p "$before" -c "${entry#*=}" >"$WORK/forbidden"
		returned=$(cut -d' ' -f1 "$WORK/forbidden")
		# When seccomp kills, the register holds the call's own number again.
		[ "${returned:-$number}" -eq "$number" ] || complain "$name: returned $returned"
		within 5 is_gone "$before" || complain "$name: the worker lives on"
		count=$((count + 1))
	done
	after=$(grep -c "worker was killed by signal 31; starting another" "$WORK/agent.log")
	[ "$after" -eq $count ] || complain "$after of $count deaths were by SIGSYS"
	no_complaints "C-12 each of $count calls ends the worker by SIGSYS, before it is made"
	within 10 status_answers
	is "$(status_of 's["agent"]["worker_restarts"]')" "$count" "C-12 status counts the restarts"
	serves "C-12"
	no_complaints "C-12 after all that, a container has its secrets"
}

# opens DIRECTORY-FD PATH: what openat(2) gives the worker
opens() { "$FAULT" -p "$(worker)" -m "$2" -c "257,$1,mem,0x80000" | cut -d' ' -f1; }

test_paths() {
	local fd path result directories=0
	is "$(stat -L -c '%a %U' "/proc/$(worker)/root")" "555 root" "C-12 the worker's root is read-only"
	is "$(ls -A "/proc/$(worker)/root/")" "" "C-12 and empty"
	for fd in -100 $(ls "/proc/$(worker)/fd"); do
		for path in /etc/passwd ../../../../../../../../etc/passwd "$STORE" /proc/self/root; do
			result=$(opens "$fd" "$path")
			[ "$result" -lt 0 ] || complain "descriptor $fd, $path: opened as $result"
			[ "$result" -ne -20 ] || break # not a directory
		done
		[ "$result" -eq -20 ] || directories=$((directories + 1))
	done
	[ $directories -ge 2 ] || complain "no directory was tried"
	no_complaints "C-12 none of its $directories directories leads out"
	result=$(opens -100 .)
	check "C-12 the same tool opens what is there" test "$result" -ge 0
}

# What a worker may ask of the supervisor is tried in tests/unit/test_agent_calls.c.
test_identity() {
	local status
	status=$(cat "/proc/$(worker)/status")
	like "$status" "^Uid:.$(id -u nobody).$(id -u nobody).$(id -u nobody)." "C-12 worker: its own uid"
	like "$status" "^CapEff:.0000000000000000$" "C-12 worker: no capability"
	like "$status" "^NoNewPrivs:.1$" "C-12 worker: and none to be had"
	like "$status" "^Seccomp:.2$" "C-12 worker: seccomp"
	status=$(cat "/proc/$(filler)/status")
	like "$status" "^CapEff:.000000000000000b$" "C-12 filler: CHOWN, DAC_OVERRIDE, FOWNER"
	like "$status" "^NoNewPrivs:.1$" "C-12 filler: and no more to be had"
	like "$status" "^Seccomp:.2$" "C-12 filler: seccomp"
	status=$(cat "/proc/$AGENT_PID/status")
	unlike "$status" "^CapEff:.000001ffffffffff$" "C-12 supervisor: not all of root's capabilities"
	like "$status" "^NoNewPrivs:.1$" "C-12 supervisor: and no more to be had"
}

test_identity
test_paths
test_forbidden_calls
stop_agent
finish
