#!/bin/bash
# SPDX-License-Identifier: ISC
# The agent's audit log on real containers: what stands in it when a container runs, when it is
# refused, when agent, worker or auditor die, when the disk is full, and what goes to syslog (G5, F-05,
# F-07).
# suite-timeout: 120
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need runc busybox python3

CANARY=$(canary)
NEWER=$(canary)
make_store
seal web/db "$CANARY"
seal web/key "$CANARY"
VERSION=$("$PHIAL" ls --json --store "$STORE" |
	python3 -c 'import json, sys; print(json.load(sys.stdin)["secrets"][0]["version"])')
RUN_DIR=$WORK/run STATE_DIR=$WORK/state AGENT_USER=nobody
LOG=$STATE_DIR/audit
runtime=$(runtimes | head -n 1)

audit() { "$PHIAL" audit "$@" "$LOG"; }
# entries [OPTION...]: kind, container, decision of each entry
entries() {
	"$PHIAL" audit log --json "$@" "$LOG" | python3 -c 'import json, sys
for line in sys.stdin:
    e = json.loads(line)
    print(e["kind"], e.get("container", "-"), e.get("decision", "-"), e.get("reason", ""))'
}
has_entry() { entries | grep -Eq -- "$1"; }
good() { exits 0 "$1: the chain is whole" audit verify; }
worker() { pgrep -x -P "$AGENT_PID" -u "$AGENT_USER" phiald; }
auditor() { pgrep -x -P "$AGENT_PID" phial-auditor; }
restarts() { [ "$(status_of 's["agent"]["worker_restarts"]')" = "$1" ]; }

start_agent || bail "the agent does not start"
bundle --grant web -- sh -c 'sha256sum </run/secrets/db | cut -c-64'

test_release() {
	run
	is "$OUTPUT" "$(sha "$CANARY")" "a container has its secret"
	like "$(entries)" "^start - - the agent started" "the log has the agent's start"
	like "$(entries --secret web/db --version "$VERSION")" "^release phial-test-[^ ]* allowed" \
		"who has had this version? this container"
	like "$(audit log --workload web)" "workload=web .*door=hook uid=0 pid=[0-9]+ web/db@$VERSION web/key@" \
		"... with all that it got"
	good "a release"
	is "$(status_of 'bool(s["audit"]["head"]["seq"])')" True "status knows the head"
	HEAD=$(status_of '"%(seq)d:%(hash)s" % s["audit"]["head"]')
	exits 0 "... which the log has" audit verify --head "$HEAD"
}

test_refusal() {
	local granted=$B
	bundle --grant web --host-ns pid -- true
	run
	B=$granted
	within 5 has_entry '^refusal .* refused '
	like "$(entries)" "^refusal phial-test-[^ ]* refused .*private_pid" \
		"a refusal stands in the log, with its reason"
	"$PHIAL" reload --run-dir "$RUN_DIR" >/dev/null
	within 5 has_entry '^admin - allowed reload'
	like "$(audit log)" " admin allowed uid=0 pid=[0-9]+: reload$" "an admin's command, too"
	good "a refusal"
}

# What happens to a container that runs: in the log before it happens, and by whose command.
test_changes() {
	local granted=$B newer
	bundle --grant web -- sleep 1000
	start_container || return
	seal web/db "$NEWER"
	"$PHIAL" reload --run-dir "$RUN_DIR" >/dev/null
	within 10 has_entry "^rotation $CONTAINER allowed"
	newer=$(status_of '[s["version"] for s in s["secrets"] if s["name"] == "web/db"][0]')
	is "$(audit log --secret web/db --version "$newer" | grep -o 'container=.*' | cut -d' ' -f1)" \
		"container=$CONTAINER" "a rotation: who has had the new version? this container"
	unlike "$(audit log --container "$CONTAINER" | grep ' rotation ')" "web/key" \
		"... and what it had before is not told again"
	printf %s "$NEWER" | "$PHIAL" override web/key --from - --ttl 1h --reason "vault is down" \
		--run-dir "$RUN_DIR" >"$WORK/override.log" 2>&1
	like "$(audit log)" " override allowed uid=0 pid=[0-9]+ web/key@[0-9]+: vault is down$" \
		"an override: who, which, why"
	within 10 has_rotated_twice
	"$PHIAL" override web/key --end --run-dir "$RUN_DIR" >>"$WORK/override.log" 2>&1
	like "$(audit log)" " admin allowed uid=0 pid=[0-9]+: override web/key --end$" \
		"... its end by hand"
	like "$(audit log)" " override allowed web/key@[0-9]+: the override is over: " "... as such, too"
	"$PHIAL" revoke web/none --run-dir "$RUN_DIR" >/dev/null 2>&1
	within 5 refusal_is_written
	like "$(audit log)" " revocation refused uid=0 pid=[0-9]+: .*web/none" "a revocation that is refused"
	"$PHIAL" revoke web/key --container "$CONTAINER" --reason stolen --run-dir "$RUN_DIR" \
		>"$WORK/revoke.log" 2>&1
	like "$(audit log)" " revocation allowed container=$CONTAINER uid=0 pid=[0-9]+ web/key@[0-9]+: stolen" \
		"a revocation, for one container"
	like "$(audit log --container "$CONTAINER")" \
		" revocation allowed workload=web .*door=hook web/key@[0-9]+: " \
		"... and what that container lost"
	runtime_stop "$runtime" "$CONTAINER"
	within 10 no_containers
	good "changes"
	B=$granted
}
has_rotated_twice() { [ "$(entries | grep -c "^rotation $CONTAINER allowed")" -ge 2 ]; }
refusal_is_written() { audit log | grep -q " revocation refused "; }

test_walls() {
	local status
	status=$(cat "/proc/$(auditor)/status")
	like "$status" "^Uid:.$(id -u nobody).$(id -u nobody).$(id -u nobody)." "the auditor: not root"
	like "$status" "^CapEff:.0000000000000000$" "... no capability"
	like "$status" "^NoNewPrivs:.1$" "... and none to be had"
	like "$status" "^Seccomp:.2$" "... seccomp"
	is "$(stat -c '%a %U' "$LOG" "$LOG/audit.log" | tr '\n' ' ')" "700 nobody 600 nobody " \
		"the log can be read by nobody else"
}

test_deaths() {
	local before
	kill -KILL "$(worker)"
	within 10 restarts 1
	within 10 has_entry "the worker started again"
	like "$(entries)" "^stop - - the worker ended" "a worker's end stands in the log"
	before=$(worker)
	kill -KILL "$(auditor)"
	within 10 restarts 2
	check "without an auditor no worker goes on" test "$(worker)" != "$before"
	run
	is "$OUTPUT" "$(sha "$NEWER")" "... and both begin anew"
	good "deaths"
}

# fill_disk [OPTION...]: an agent whose log lies on a file system of 64 KiB, which is full
fill_disk() {
	mount -t tmpfs -o size=64k,mode=0700,uid="$(id -u nobody)" none "$LOG"
	start_agent "$@" || bail "the agent does not start on a small disk"
	within 10 has_entry "^start"
	head -c 100000 /dev/zero >"$LOG/filler" 2>/dev/null
}

# A disk without room refuses.
test_full_disk() {
	stop_agent
	check "the agent's end stands in the log" has_entry "^stop - - the worker ended"
	fill_disk
	# The page that the log has begun takes some more entries.
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		mark_log
		run
		! log_has "cannot be audited" || break
	done
	like "$(log_since)" "its release cannot be audited: audit.log: .*No space left on device" \
		"F-07 a full disk refuses a release, and the log says why"
	unlike "$OUTPUT" "$(sha "$NEWER")" "... the container does not run"
	like "$(status_of 's["audit"]["problem"]')" "No space left" "... status says so"
	like "$("$PHIAL" doctor --run-dir "$RUN_DIR" 2>&1)" "agent.audit: .*no container gets secrets" \
		"... and doctor"
	rm "$LOG/filler"
	run
	is "$OUTPUT" "$(sha "$NEWER")" "with room again a container starts"
	like "$(entries)" "^gap .*No space left on device" "... and the log says that entries are missing"
	good "a full disk"
	stop_agent
	umount "$LOG"
}

# ... or not, by the operator's word: then status, log and chain say what is missing.
test_full_disk_drop() {
	fill_disk --audit=drop
	like "$("$PHIAL" status --run-dir "$RUN_DIR")" "^WEAKER: .*--audit=drop" "drop: status warns"
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		run
		is "$OUTPUT" "$(sha "$NEWER")" "drop: a container starts, whatever the disk"
		! within 1 is_losing || break
	done
	within_log "cannot be written, releases go on without an entry .--audit=drop.: .*No space" \
		"drop: the log says what happens"
	like "$("$PHIAL" status --run-dir "$RUN_DIR")" \
		"^PROBLEM: .*released without an entry in the audit log .[1-9].*No space left" \
		"... and status, with how many"
	rm "$LOG/filler"
	run
	within 10 has_entry "^gap .*No space left on device"
	like "$(entries)" "^gap .*No space left on device" "... and in the end the audit log"
	check "status has nothing more to complain of" test "$(status_of 's["audit"]["problem"]')" = None
	good "drop"
	stop_agent
	umount "$LOG"
}
is_losing() { [ "$(status_of 's["audit"]["lost"]')" -gt 0 ]; }

# The copy: each line in syslog with the head that it is; a syslog that ends is counted, not waited for.
test_copy() {
	local line
	start python3 "$ROOT/tests/tools/syslogd.py" "$WORK/devlog" "$WORK/syslog"
	local daemon=$STARTED_PID
	within 10 test -S "$WORK/devlog" || bail "no syslog"
	start_agent --audit-copy="$WORK/devlog" || bail "the agent does not start"
	run
	within 10 grep -q '"kind":"release"' "$WORK/syslog"
	line=$(grep '"kind":"release"' "$WORK/syslog" | tail -n 1)
	like "$line" "^<85>phial-audit\\[[0-9]+\\]: head [0-9]+:[0-9a-f]{64} \\{\"seq\":" \
		"each entry goes to syslog, with its head"
	exits 0 "... with which the log can be checked" audit verify --head "$line"
	is "$(grep -o '{.*' <<<"$line")" "$(grep -F "$(grep -o '"seq":[0-9]*,' <<<"$line")" "$LOG/audit.log")" \
		"... and it is the entry"
	stop "$daemon"
	rm -f "$WORK/devlog"
	run
	is "$OUTPUT" "$(sha "$NEWER")" "without a syslog containers start"
	within_log "audit entries do not go to syslog: " "... the log says so"
	within 5 copy_is_lost
	like "$("$PHIAL" status --run-dir "$RUN_DIR")" "^PROBLEM: .*[1-9] audit entr(y|ies) did not go to" \
		"... and status, with how many"
	good "without a syslog"
	stop_agent
	start_agent --audit-copy="$WORK/devlog" || bail "no agent without a syslog"
	run
	is "$OUTPUT" "$(sha "$NEWER")" "a syslog that was never there: containers start"
	within 5 copy_is_lost
	is "$(status_of 's["audit"]["copy"]["lost"] > 0')" True "... and what it did not get is counted"
	stop_agent
}
copy_is_lost() { [ "$(status_of 's["audit"]["copy"]["lost"]')" -gt 0 ]; }

# A file of 64 MiB is full: the next entry begins another, and the chain goes on.
test_rotation() {
	rm -f "$LOG"/audit.log*
	python3 "$ROOT/tests/tools/audit_log.py" "$LOG" 2500 2500 web/db 1024 >/dev/null
	chown nobody "$LOG/audit.log"
	chmod 600 "$LOG/audit.log"
	check "a log of 64 MiB" test "$(stat -c %s "$LOG/audit.log")" -gt 67108864
	start_agent || bail "the agent does not start on a large log"
	run
	is "$OUTPUT" "$(sha "$NEWER")" "a container starts while the log is rotated"
	check "the large file is the older one now" test -s "$LOG/audit.log.1" -a \
		"$(stat -c %s "$LOG/audit.log")" -lt 10000
	local new
	new=$("$PHIAL" audit log "$LOG/audit.log" 2>&1)
	like "$(sed -n 1p <<<"$new")" " rotate$" "the new one begins with a rotate entry"
	like "$new" " release allowed workload=web" "... and has the release"
	good "a rotation"
	stop_agent
}

# What others did to the log while no agent ran stops releases, not the agent.
test_damaged() {
	echo nonsense >>"$LOG/audit.log"
	start_agent || bail "the agent does not start on a damaged log"
	run
	unlike "$OUTPUT" "$(sha "$NEWER")" "a damaged log: nothing is released"
	within_log "its last line is damaged; see phial audit verify" "... and the log says what to do"
	rm "$LOG"/audit.log*
	run
	is "$OUTPUT" "$(sha "$NEWER")" "... once it was moved away all is well"
	good "a new log"
	stop_agent
}

test_release
test_refusal
test_changes
test_walls
test_deaths
test_full_disk
mark_log
test_full_disk_drop
test_copy
mark_log
test_damaged
test_rotation
sweep "the values are nowhere" "$CANARY"
sweep "... the newer one neither" "$NEWER"
finish
