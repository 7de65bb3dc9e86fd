#!/bin/bash
# SPDX-License-Identifier: ISC
# Grades of real containers, in status and doctor, and containers that phial was not asked for.
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need runc busybox python3 nsenter
CANARY=$(canary)
make_store
seal web/db "$CANARY"
echo '{ "phial": "policy v1", "serial": 1, "workloads": {
	"free": { "secrets": ["web/db"], "gates": [] } } }' >"$STORE/.phial/policy.json"
"$PHIAL" policy sign --store "$STORE" >"$WORK/sign.log" 2>&1 || bail "$(cat "$WORK/sign.log")"
start_agent || bail "no agent"
SECCOMP='c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
	"syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}]}'

# grade: of $CONTAINER_PID, by status
grade() { status_of "[c['grade'] for c in s['containers'] if c['pid'] == $CONTAINER_PID]"; }
reasons() { status_of "'; '.join(w for c in s['containers'] if c['pid'] == $CONTAINER_PID for w in c['why'])"; }
doctor() { "$PHIAL" doctor --run-dir "$RUN_DIR" "$@" 2>&1; }
# graded GRADE REASON DESCRIPTION [bundle option...]: start, look, stop
graded() {
	local want=$1 reason=$2 description=$3
	shift 3
	bundle "$@" -- sleep 600
	start_container || return
	within 10 grep -qx sleep "/proc/$CONTAINER_PID/comm" # before that it has no filter yet
	is "$(grade)" "['$want']" "$runtime: $description: $want"
	like "$(reasons)" "$reason" "$runtime: ... and why"
	runtime_stop "$runtime" "$CONTAINER"
	within 5 no_containers
}

for runtime in $(runtimes); do
	graded secure '^$' "an ordinary user, a filter" --user 1000 --grant web --edit "$SECCOMP"
	graded secure '^$' "root of a user namespace, whatever it may do there" --userns --grant free \
		--cap CAP_SYS_ADMIN --edit "$SECCOMP"
	graded weak "host's root.*user namespace.*; it has no seccomp filter" "root, no filter" --grant web
	graded insecure CAP_SYS_ADMIN "CAP_SYS_ADMIN" --user 1000 --grant free --cap CAP_SYS_ADMIN \
		--edit "$SECCOMP" --edit 'c["process"]["noNewPrivileges"] = False'
	graded insecure "a capability that reaches" "CAP_SYS_PTRACE" --grant free --cap CAP_SYS_PTRACE
	graded insecure "host's process namespace" "the host's processes" --user 1000 --grant free \
		--host-ns pid --edit "$SECCOMP"
done

runtime=runc
bundle --user 1000 --grant web --edit "$SECCOMP" -- sleep 600
start_container
GOOD=$CONTAINER
exits 0 "status for people" "$PHIAL" status --run-dir "$RUN_DIR"
like "$OUTPUT" "^  $CONTAINER: web, secure, pid $CONTAINER_PID, /run/secrets " "... has the grade"
inside umount /run/secrets
is "$(grade)" "['weak']" "secrets that were unmounted: weak"
like "$(reasons)" "not where they were put" "... and why"
runtime_stop runc "$GOOD"
within 5 no_containers

# As the images of databases do: begin as root, step down.
printf 'root:x:0:0::/:/bin/sh\ndb:x:70:70::/:/bin/sh\n' >"$WORK/passwd"
bundle --grant web --cap CAP_SETUID --cap CAP_SETGID --file "$WORK/passwd:/etc/passwd" -- \
	su db -c "exec sleep 600"
start_container
within 10 grep -q '^Uid:.70' "/proc/$CONTAINER_PID/status"
OUTPUT=$(doctor)
like "$OUTPUT" "^warn +container\.$CONTAINER: its program runs as uid 70 now, and its secrets belong to uid 0" \
	"a program that stepped down cannot read what root was given"
like "$OUTPUT" '^ +do: give the workload an "owner" in .phial/policy.json' "... and what helps"
runtime_stop runc "$CONTAINER"
within 5 no_containers

# A container that phial-init gave a value to as a variable.
bundle --user 1000 --mount "$RUN_DIR/workload/web:/run/phial:ro" --dir /run/phial --file "$INIT:/phial-init" \
	--edit "$SECCOMP" -- /phial-init --env db -- sleep 600
start_container
is_weak() { [ "$(grade)" = "['weak']" ]; }
if within 10 is_weak; then
	ok "phial-init --env: weak"
else
	not_ok "phial-init --env: weak"
	diag "$(cat "$B/output")" "$(status_json)"
fi
like "$(reasons)" "a secret is in its environment" "... and why"
OUTPUT=$(doctor)
like "$OUTPUT" "^ok +grant.open: " "... its grant lies open, and was used"
runtime_stop runc "$CONTAINER"
within 5 no_containers

# --- an engine without phial's hook ------------------------------------------------------------
busybox_bundle "$WORK/bare" --user 1000 --run-dir "$RUN_DIR" --grant web -- sleep 600
runtime_start runc "$WORK/bare" || bail "$(cat "$WORK/bare/output")"
BARE=$CONTAINER
exits 1 "a container whose engine has no hook: a promise is broken" "$PHIAL" doctor --run-dir "$RUN_DIR"
like "$OUTPUT" "^bad +grant.open: process $CONTAINER_PID sees PHIAL-NOT-INJECTED at /run/secrets.*workload web" \
	"... the process, the place, the workload"
like "$OUTPUT" "^ +do: start it again with the hook" "... and what to do"
is "$(doctor --json | head -n 1 | python3 -c 'import json, sys; print(json.load(sys.stdin)["ok"])')" False \
	"... and --json says so"
stop_agent
like "$(doctor)" "^bad +grant.open: process $CONTAINER_PID " "... without an agent, too"
start_agent || bail "no agent"
runtime_stop runc "$BARE"
busybox_bundle "$WORK/waits" --user 1000 --mount "$RUN_DIR/workload/web:/run/phial:ro" --dir /run/phial -- sleep 600
runtime_start runc "$WORK/waits" || bail "$(cat "$WORK/waits/output")"
like "$(doctor)" "^warn +grant.open: process $CONTAINER_PID has workload web at /run/phial, and phial-init has not asked" \
	"a grant for phial-init that was not used is a warning"
runtime_stop runc "$CONTAINER"
like "$(doctor)" "^ok +grant.open: " "none is left"

sweep "G3 the secret is nowhere" "$CANARY"
finish
