#!/bin/bash
# SPDX-License-Identifier: ISC
# phial revoke on live containers: gone from the keyring and from them, never loaded again, over
# restarts of worker and agent; for one workload, one container (S-04, L-10).
# suite-timeout: 180
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need runc busybox python3

RUN_DIR=$WORK/run STATE_DIR=$WORK/state AGENT_USER=nobody
FIRST=$(canary) SECOND=$(canary) OTHER=$(canary)
make_store
seal web/db "$FIRST"
seal web/key "$OTHER"
seal shared/tls "$SECOND"
ALL=("$FIRST" "$SECOND" "$OTHER")
cat >"$STORE/.phial/policy.json" <<'POLICY'
{"phial": "policy v1", "serial": 1, "workloads": {
  "web": {"grace": "1s", "secrets": ["web/*", {"name": "shared/tls", "required": false}]},
  "mail": {"grace": "1s", "secrets": ["shared/tls"]}}}
POLICY
"$PHIAL" policy sign --store "$STORE" >"$WORK/sign.log" 2>&1 || bail "$(cat "$WORK/sign.log")"

revoke() { "$PHIAL" revoke "$@" --run-dir "$RUN_DIR"; }
# version NAME: of the store's file
version() {
	"$PHIAL" ls --json --store "$STORE" |
		python3 -c 'import json, sys
print(*[s["version"] for s in json.load(sys.stdin)["secrets"] if s["name"] == sys.argv[1]])' "$1"
}
file_is_gone() { ! inside test -e "/run/secrets/$1"; }
hash_is() { [ "$(inside sha256sum "/run/secrets/$1" | cut -c-64)" = "$2" ]; }
worker() { pgrep -x -P "$AGENT_PID" -u "$AGENT_USER" phiald; }
restarts() { [ "$(status_of 's["agent"]["worker_restarts"]')" = "$1" ]; }
state() { status_of "[s['state'] + ' ' + s.get('class', '') for s in s['secrets'] if s['name'] == '$1']"; }
in_ring() { status_of "[s['in_keyring'] for s in s['secrets'] if s['name'] == '$1'][0]"; }

reload() { "$PHIAL" reload --run-dir "$RUN_DIR" >"$WORK/reload.log" 2>&1; }
# new_value NAME VARIABLE: sealed, and loaded
new_value() {
	printf -v "$2" %s "$(canary)"
	ALL+=("${!2}")
	seal "$1" "${!2}"
	reload
}

start_agent || bail "the agent does not start"

test_all() {
	local version stale newer
	bundle --grant web -- sleep 1000
	start_container || return
	check "$runtime: a container has the secret" hash_is db "$(sha "$FIRST")"
	version=$(version web/db)
	exits 0 "$runtime: it is revoked" revoke web/db --reason "laptop stolen"
	like "$OUTPUT" "^web/db up to version $version is revoked" "... and the answer says so"
	like "$OUTPUT" "gone from the keyring and from 1 of 1 containers" "... and from where"
	like "$OUTPUT" "next: seal a new value: phial seal web/db" "... and what to do next"
	check "L-10 $runtime: the file is gone" file_is_gone db
	check "... another one is not" hash_is key "$(sha "$OTHER")"
	is "$(in_ring web/db)" False "L-10 $runtime: the key is gone"
	like "$(state web/db)" "refused revoked" "status says that it is revoked"
	sweep "L-10 $runtime: nothing of it is left" "$FIRST"
	exits 0 "$runtime: revoking it again changes nothing" revoke web/db
	like "$OUTPUT" "was revoked already" "... and says so"
	bundle --grant web -- echo STARTED
	run
	refused "revoked on [^ ]*Z \(laptop stolen\).*phial seal web/db" "$runtime: a start"
	reload
	like "$(state web/db)" "refused revoked" "S-04 $runtime: the store's file is not loaded again"
	cp "$STORE/web/db.sealed" "$WORK/old.sealed"
	new_value web/db newer
	within 10 hash_is db "$(sha "$newer")"
	check "$runtime: a newer version comes into the container" hash_is db "$(sha "$newer")"
	stale=$(version web/db)
	cp "$WORK/old.sealed" "$STORE/web/db.sealed"
	reload
	like "$(state web/db)" "refused revoked" "S-04 $runtime: the old file put back is refused"
	check "... and the container keeps the newer one" hash_is db "$(sha "$newer")"
	is "$(status_of '[x["version"] for x in s["secrets"] if x["name"] == "web/db"][0]')" "$stale" \
		"... which stays loaded"
	kill -KILL "$(worker)"
	within 20 restarts "$1" || not_ok "the worker does not come back"
	like "$(state web/db)" "refused revoked" "S-04 $runtime: ... nor by the next worker"
	runtime_stop "$runtime" "$CONTAINER"
	within 5 no_containers
	new_value web/db FIRST
}

# Two containers of two workloads have one secret, and only one of them loses it.
test_workload() {
	local web web_pid
	bundle --grant web -- sleep 1000
	start_container || return
	web=$CONTAINER web_pid=$CONTAINER_PID
	bundle --grant mail -- sleep 1000
	start_container || return
	exits 0 "$runtime: revoked for one workload" revoke shared/tls --workload web --reason "not web's"
	like "$OUTPUT" "for workload web is revoked" "... the answer names it"
	like "$OUTPUT" "gone from 1 of 1 containers" "... and one container"
	check "$runtime: the other workload keeps it" hash_is tls "$(sha "$SECOND")"
	CONTAINER_PID=$web_pid
	check "$runtime: this one's is gone" file_is_gone tls
	check "... and nothing else" hash_is key "$(sha "$OTHER")"
	like "$(state shared/tls)" "loaded" "$runtime: it stays loaded"
	runtime_stop "$runtime" "$web"
	bundle --grant web -- sh -c 'ls /run/secrets; echo STARTED'
	run
	like "$OUTPUT" "STARTED" "$runtime: what is optional is no reason not to start"
	unlike "$OUTPUT" "tls" "... but it is left out"
	runtime_stop "$runtime" "$CONTAINER"
	within 5 no_containers
	new_value shared/tls SECOND
}

test_container() {
	local first first_pid
	bundle --grant mail -- sleep 1000
	start_container || return
	first=$CONTAINER first_pid=$CONTAINER_PID
	bundle --grant mail -- sleep 1000
	start_container || return
	exits 0 "$runtime: revoked for one container" revoke shared/tls --container "$first"
	like "$OUTPUT" "for container $first is revoked" "... the answer names it"
	exits 0 "... asked again" revoke shared/tls --container "$first"
	like "$OUTPUT" "for container $first was revoked already" "... it is no failure"
	exits 14 "... but of what it never had it is" revoke web/key --container "$first"
	check "$runtime: the other one keeps it" hash_is tls "$(sha "$SECOND")"
	CONTAINER_PID=$first_pid
	check "$runtime: this one's is gone" file_is_gone tls
	runtime_stop "$runtime" "$first"
	within 5 status_is 'len(s["containers"])' 1
	runtime "$runtime" create --bundle "$B" --pid-file "$B/pid" "$first" </dev/null \
		>"$B/output" 2>&1 && runtime_stop "$runtime" "$first"
	within_log "$first: shared/tls v[0-9]+ revoked .*for container $first" \
		"X-07 $runtime: a container of the same id is refused"
	runtime_stop "$runtime" "$CONTAINER"
	within 5 no_containers
	new_value shared/tls SECOND
}

# What was there when the agent died is revoked when the next one comes.
test_restart() {
	exits 0 "a workload's, for the agent's restart" revoke web/key --workload web
	exits 0 "one for all" revoke shared/tls --reason "over a restart"
	stop_agent KILL
	start_agent || bail "the agent does not start again"
	like "$(state shared/tls)" "refused revoked" "S-04 over a restart of the agent: not loaded"
	exits 0 "phial revocations" "$PHIAL" revocations --run-dir "$RUN_DIR"
	like "$OUTPUT" "shared/tls up to version [0-9]+: over a restart" "... lists it"
	like "$OUTPUT" "web/key up to version [0-9]+ for workload web" "... and the workload's"
	bundle --grant web -- echo STARTED
	run
	refused "web/key v[0-9]+ revoked .*for workload web" "a workload's revocation after the restart"
	like "$("$PHIAL" audit log --json "$STATE_DIR/audit" | grep '"kind":"revocation"' | tail -n 1)" \
		'shared/tls.*over a restart' "the audit log has it"
}

# The worker is killed while it revokes: what was written down is done by the next one, and what was
# not has not begun.
test_killed() {
	local round delay pid value=$FIRST
	bundle --grant web -- sleep 1000
	start_container || return
	for round in 1 2 3 4; do
		delay=0.00$((round * 2))
		new_value web/db value
		within 40 hash_is db "$(sha "$value")" || not_ok "round $round: no new version"
		pid=$(worker)
		revoke web/db >"$WORK/revoke.log" 2>&1 &
		sleep "$delay"
		kill -KILL "$pid"
		wait $!
		within 20 has_other_worker "$pid" || not_ok "round $round: no next worker"
		within 20 is_whole "$value"
		check "F-01 a worker that is killed while it revokes, $delay s: all of it, or nothing" \
			is_whole "$value"
	done
	runtime_stop "$runtime" "$CONTAINER"
	within 5 no_containers
}
has_other_worker() { pid_now=$(worker) && [ "$pid_now" != "$1" ] && status_json >"$WORK/status.json"; }
# is_whole VALUE: in the ring and the container, or in neither
is_whole() {
	case "$(in_ring web/db) $(state web/db)" in
	"True "*loaded*) hash_is db "$(sha "$1")" ;;
	"False "*revoked*) file_is_gone db ;;
	*) false ;;
	esac
}

mark_log
number=0
for runtime in $(runtimes); do
	test_all $((++number))
	test_workload
	test_container
done
runtime=runc
test_killed
test_restart
exits 14 "a name that was never seen" revoke web/bd
like "$OUTPUT" 'ever seen here, did you mean "web/db"' "... with a near miss"
exits 0 "... but by number, for what may come" revoke yet/unseen --version 5
like "$OUTPUT" "never seen it" "... saying that it is not known"
exits 2 "a version of next year" revoke web/db --version 9000000000000
exits 14 "a workload that is none" revoke web/db --workload wbe
exits 14 "a container that is none" revoke web/db --container nothing
stop_agent
sweep "L-10: none of them is left anywhere" "$(printf '%s\n' "${ALL[@]}")"
finish
