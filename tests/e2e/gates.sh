#!/bin/bash
# SPDX-License-Identifier: ISC
# What a policy asks of a container, met and not met, and what it says of files. Every failure is
# named at once, to the runtime and in the agent's log, and nothing starts with less than all.
# suite-timeout: 240
# shellcheck source=_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need runc busybox python3

CANARY=$(canary)
OTHER=$(canary)
GATES="non_root no_new_privileges read_only_rootfs seccomp not_privileged private_pid
	private_network user_namespace memory_limit pids_limit"
SECCOMP='c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
	"syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}]}'
MEMORY='c["linux"]["resources"]["memory"] = {"limit": 268435456}'
PIDS='c["linux"]["resources"]["pids"] = {"limit": 100}'
NEW_PRIVILEGES='c["process"]["noNewPrivileges"] = False'

# sign_policy WORKLOADS: the next serial of policy.json, with these workloads
SERIAL=0
# Signing refuses a policy that cannot be met: web/nothing is there while it looks, and late/db
# only afterwards.
sign_policy() {
	SERIAL=$((SERIAL + 1))
	rm -f "$STORE/late/db.sealed"
	seal web/nothing nothing
	printf '{ "phial": "policy v1", "serial": %d, "workloads": {\n%s\n} }\n' "$SERIAL" "$1" \
		>"$STORE/.phial/policy.json"
	"$PHIAL" policy sign --store "$STORE" >"$WORK/policy.log" 2>&1 ||
		bail "phial policy sign: $(cat "$WORK/policy.log")"
	rm "$STORE/web/nothing.sealed"
	seal late/db "$OTHER"
}

reload() { "$PHIAL" reload --run-dir "$RUN_DIR" >"$WORK/reload" 2>&1; }

gate_workloads() {
	local gate
	for gate in $GATES; do
		printf '"g-%s": { "secrets": ["web/db"], "gates": ["%s"] },\n' "$gate" "$gate"
	done
	printf '"g-all": { "secrets": ["web/db"], "gates": [%s] },\n' \
		"$(printf '"%s", ' $GATES | sed 's/, $//')"
	printf '"g-none": { "secrets": ["web/db"], "gates": [] },\n'
}

# grant WORKLOAD OPTION...: a bundle that says so when it starts, with the secret's hash
grant() {
	local workload=$1
	shift
	bundle --hook-arg=--workload --hook-arg="$workload" "$@" -- \
		sh -c 'sha256sum </run/secrets/db | cut -c-64; echo STARTED'
}

starts() {
	run
	is "$OUTPUT" "$(sha "$CANARY")
STARTED" "$runtime: $*"
}

# gate NAME MET... -- NOT-MET...: options of the bundle that meets the gate, and of one that does not
gate() {
	local name=$1 met=()
	shift
	while [ "$1" != -- ]; do
		met+=("$1")
		shift
	done
	shift
	grant "g-$name" "${met[@]+"${met[@]}"}"
	starts "gate $name, met"
	grant "g-$name" "$@"
	mark_log
	run
	refused "phial-hook: $name: .*start it" "$runtime: gate $name, not met"
	within_log "refused workload g-$name to container .*: $name: .*start it" \
		"$runtime: gate $name, not met: the agent's log says how to meet it"
}

test_each_gate() {
	gate non_root --user 1000 --
	gate no_new_privileges -- --edit "$NEW_PRIVILEGES"
	gate read_only_rootfs --read-only --
	gate seccomp --edit "$SECCOMP" --
	gate not_privileged -- --cap CAP_SYS_ADMIN
	gate private_pid -- --host-ns pid
	gate private_network -- --host-ns network
	gate user_namespace --userns 200000 --
	gate memory_limit --edit "$MEMORY" --
	gate pids_limit --edit "$PIDS" --
}

test_all_gates() {
	local name missing_here="" missing_in_log=""
	mark_log
	grant g-all --edit "$NEW_PRIVILEGES" --cap CAP_SYS_ADMIN --host-ns pid --host-ns network
	run
	refused "non_root" "$runtime: no gate met"
	within 5 log_has "g-all"
	for name in $GATES; do
		grep -q "$name: " <<<"$OUTPUT" || missing_here+=" $name"
		log_has "g-all .*: $name: " || missing_in_log+=" $name"
	done
	[ "$runtime" = crun ] || is "$missing_here" "" "$runtime: all ten are named at once on stderr"
	is "$missing_in_log" "" "$runtime: all ten are named at once in the log"
	grant g-all --user 1000 --read-only --edit "$SECCOMP" --edit "$MEMORY" --edit "$PIDS" \
		--userns 200000
	starts "all ten gates met"
	grant g-none --edit "$NEW_PRIVILEGES" --host-ns network
	starts "no gates asked for: a weak container starts"
}

test_default_gates() {
	mark_log
	grant web --cap CAP_SYS_ADMIN --host-ns pid
	run
	refused "not_privileged" "$runtime: defaults without a policy"
	within_log "workload web to .*not_privileged" "$runtime: defaults: not_privileged is named"
	within_log "workload web to .*private_pid" "$runtime: defaults: private_pid is named"
	grant web
	starts "defaults, met"
}

test_near_miss() {
	mark_log
	grant wbe
	run
	refused 'no workload "wbe", did you mean "web"\?' "$runtime: near miss"
	within_log 'no workload "wbe", did you mean "web"\?' "$runtime: near miss: in the log"
	mark_log
	grant zebra
	run
	refused 'no workload "zebra": there is no secret zebra/NAME' "$runtime: no such workload"
	within_log 'no workload "zebra"' "$runtime: no such workload: in the log"
}

# The policy's files: names, owners, modes, an optional secret that is missing, target, over.
FILES='"app": { "target": "/etc/app/secrets", "owner": "33:44", "secrets": [
	{ "name": "web/db", "file": "password", "mode": "0440" },
	{ "name": "mail/db", "file": "mail", "owner": "5:6" },
	{ "name": "web/nothing", "required": false } ] },
"strict": { "secrets": ["web/db", "web/nothing"] },
"twice": { "secrets": ["web/db", "late/*"] },
"covers": { "secrets": ["web/db"], "over": true },
"covers-not": { "secrets": ["web/db"] },
"only-optional": { "secrets": [ { "name": "web/nothing", "required": false } ] }'

test_files() {
	bundle --target /etc/app/secrets --hook-arg=--workload --hook-arg=app -- sh -c \
		'cd /etc/app/secrets && ls && stat -L -c "%n %u:%g %a" * && sha256sum password mail |
		cut -c-64; ls -A /run'
	run
	is "$OUTPUT" "mail
password
mail 5:6 400
password 33:44 440
$(sha "$CANARY")
$(sha "$OTHER")" "$runtime: policy: files, owners, modes, target; an optional one is left out"
	grant strict
	run
	refused "required secret web/nothing is not there" "$runtime: a required secret is missing"
	grant only-optional
	run
	refused "none of its secrets" "$runtime: only optional ones, and none there"
	grant twice
	run
	refused "would both be the file" "$runtime: two secrets of one file name"
	bundle --grant app --target /opt/here -- ls /opt/here/
	run
	is "$OUTPUT" "mail
password" "$runtime: a grant mount's place comes before the policy's target"
}

test_over() {
	mkdir -p "$WORK/volume"
	echo old >"$WORK/volume/old"
	grant covers-not --mount "$WORK/volume:/run/secrets:ro"
	run
	refused "something else is mounted" "$runtime: another mount at the target"
	grant covers --mount "$WORK/volume:/run/secrets:ro"
	starts "over: covers another mount"
	is "$(ls -A "$WORK/volume")" old "$runtime: over: nothing in the volume"
}

# G5: whatever is wrong with one required secret stops the container.
test_refused_secret() {
	local good=$STORE/partial/b.sealed
	seal partial/a "$OTHER"
	seal partial/b "$CANARY"
	reload
	bundle --hook-arg=--workload --hook-arg=partial -- sh -c 'ls /run/secrets/; echo STARTED'
	run
	is "$OUTPUT" "a
b
STARTED" "$runtime: both secrets of a workload"
	cp "$good" "$WORK/b.good"
	seal partial/b "$OTHER"
	cp "$good" "$WORK/b.newer"
	sed -i 's/^created: 2/created: 1/' "$good"
	reload
	is "$(status_of '[w["would_start"] for w in s["workloads"] if w["name"] == "partial"]')" \
		"[False]" "$runtime: G5 status: a restart would fail"
	mark_log
	run
	refused "partial/b .*refused" "$runtime: G5 one tampered secret of two"
	within_log "workload partial to .*partial/b .*refused" "$runtime: G5 the log names it"
	mv "$WORK/b.newer" "$good"
	reload
	run
	like "$OUTPUT" STARTED "$runtime: and it starts again when the file is repaired"
	cp "$WORK/b.good" "$good"
	reload
	run
	refused "partial/b .*refused" "$runtime: S-04 G4 an older version is no repair"
	rm "$good" "$STORE/partial/a.sealed"
	check "$runtime: a refused file that vanishes: reload" reload
	is "$(status_of '[e["state"] for e in s["secrets"] if e["name"] == "partial/b"]')" \
		"['refused']" "$runtime: and status still tells why it is refused"
}

test_expired() {
	seal "soon-$runtime/s" "$CANARY" --not-after "$(date -u -d '+3 seconds' +%Y-%m-%dT%H:%M:%SZ)"
	reload
	bundle --hook-arg=--workload --hook-arg="soon-$runtime" -- \
		sh -c 'sha256sum </run/secrets/s; echo STARTED'
	run
	like "$OUTPUT" "$(sha "$CANARY")" "$runtime: a secret that is about to expire"
	within 10 is_expired
	run
	refused "soon-$runtime/s .*expired" "$runtime: G5 an expired secret"
}
is_expired() {
	[ "$(status_of "[w['would_start'] for w in s['workloads'] if w['name'] == 'soon-$runtime']")" \
		= "[False]" ]
}

main() {
	local runtime
	make_store
	seal web/db "$CANARY"
	seal mail/db "$OTHER"
	start_agent || bail "the agent does not start"
	for runtime in $(runtimes); do
		test_default_gates # no policy yet with runc, and one that does not speak of web with crun
		sign_policy "$(gate_workloads)$FILES"
		reload || bail "$(cat "$WORK/reload")"
		test_each_gate
		test_all_gates
		test_near_miss
		test_files
		test_over
		test_refused_secret
		test_expired
	done
}

main
finish
