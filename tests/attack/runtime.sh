#!/bin/bash
# SPDX-License-Identifier: ISC
# What an image, a bundle or a caller of phial-runtime can try: links where the secrets go, texts that
# ask for a workload, ids and paths that are more than that, containers that are not one's own.
# suite-timeout: 120
# shellcheck disable=SC2034,SC2154
# shellcheck source=../e2e/_lib.sh
. "$(dirname "$0")/../e2e/_lib.sh"
need_root
need runc busybox python3

CANARY=$(canary)
make_store
seal web/db_password "$CANARY"
seal api/token other
start_agent || bail "the agent does not start"
FAKE=$ROOT/tests/tools/fake_runtime

# image [bundle option...]: a bundle with a grant of web, whose root file system is then spoilt
image() {
	B=$WORK/b$((BUNDLES++))
	busybox_bundle "$B" --run-dir "$RUN_DIR" --grant web "$@" -- sh -c 'echo STARTED; ls -LA /run/secrets'
	ROOTFS=$B/rootfs
}

# create: $B under phial-runtime around $runtime; $OUTPUT, $STATUS
create() {
	local prefix=()
	[ "$runtime" = crun ] && cgroup_is_hybrid && prefix=(without_unified)
	new_container "$runtime"
	"${prefix[@]}" "$RUNTIME" --phial-run-dir "$RUN_DIR" --phial-runtime "$runtime" \
		--root "$WORK/state-$runtime" create --bundle "$B" --pid-file "$B/pid" \
		"$CONTAINER" 2>"$B/said" >"$B/output" </dev/null
	STATUS=$?
	OUTPUT=$(cat "$B/said")
}

# does_not_start ID-AND-DESCRIPTION PATTERN
does_not_start() {
	local what=$1 before
	before=$(host_mounts)
	create
	check "$what ($runtime): refused" test "$STATUS" -ne 0
	like "$OUTPUT" "$2" "$what ($runtime): the reason"
	is "$(runtime "$runtime" state "$CONTAINER" 2>/dev/null)" "" "$what ($runtime): deleted"
	is "$(host_mounts)" "$before" "$what ($runtime): no mount is left on the host"
	within 5 no_containers || not_ok "$what ($runtime): the agent let go of it"
}

test_links() {
	image --no-target
	mkdir "$ROOTFS/run/elsewhere"
	ln -s elsewhere "$ROOTFS/run/secrets"
	does_not_start "I-01 /run/secrets is a link in the image" "symbolic link"
	image --no-target
	rmdir "$ROOTFS/run"
	ln -s /tmp "$ROOTFS/run"
	does_not_start "I-02 /run is a link in the image" "symbolic link"
	image --edit 'c["linux"]["rootfsPropagation"] = "shared"' \
		--edit 'c["mounts"][-1]["options"] = ["rbind", "ro", "rshared"]'
	does_not_start "I-05 a shared mount at the target" "shared"
}

# Labels, variables and arguments of an image ask; the operator has granted api.
test_texts() {
	B=$WORK/b$((BUNDLES++))
	busybox_bundle "$B" --run-dir "$RUN_DIR" --grant api --annotation "phial.workload=web" \
		--annotation "$RUN_DIR/workload/web=$RUN_DIR/workload/web" \
		--env "PHIAL_WORKLOAD=web" --env "LD_PRELOAD=$RUN_DIR/workload/web" -- \
		ls /run/secrets
	create
	runtime "$runtime" start "$CONTAINER" >>"$B/output" 2>&1
	within 10 test -s "$B/output"
	is "$STATUS $(cat "$B/output")" "0 token" \
		"G-01 an image's texts ask for a workload: the operator's grant counts ($runtime)"
	runtime_stop "$runtime" "$CONTAINER"
	within 5 no_containers
}

# A runtime that lies about the process: the agent and the child look for themselves.
test_lies() {
	local victim
	image
	FAKE_CREATE='echo "$PID_TEXT" >"$pid_file"'
	for PID_TEXT in $$ "$AGENT_PID" 1; do
		export FAKE_CREATE PID_TEXT
		exits 1 "X-05 a process of the host is no container" "$RUNTIME" \
			--phial-run-dir "$RUN_DIR" --phial-runtime "$FAKE" create --bundle "$B" \
			--pid-file "$B/pid" lie
		like "$OUTPUT" 'no mount namespace of its own|does not hold a process id' "... and why"
	done
	is "$(grep -c 'PHIAL\|db_password' /proc/self/mountinfo)" 0 "... nothing is mounted on the host"
	check "... and nothing is held" within 5 no_containers
}

# What is no id and no path never reaches a log or a path of the agent.
test_names() {
	local id long
	long=$(printf 'a%.0s' $(seq 200))
	mark_log
	for id in ../x a/b 'a b' 'a"b' $'a\nphiald: forged' "$long"; do
		FAKE_CREATE='echo $PPID >"$pid_file"'
		export FAKE_CREATE
		exits 1 "H-03 id \"$(tr '\n' ' ' <<<"${id:0:20}")\"" "$RUNTIME" --phial-run-dir \
			"$RUN_DIR" --phial-runtime "$FAKE" create --bundle "$B" --pid-file "$B/pid" "$id"
	done
	unlike "$(log_since)" '^phiald: forged|\.\./x' "... no line of the agent's log is forged"
	mv "$B" "$B"$'\nphiald: forged'
	exits 1 "H-03 a bundle with a line break" "$RUNTIME" --phial-run-dir "$RUN_DIR" \
		--phial-runtime "$FAKE" --log "$WORK/log.json" --log-format json create \
		--bundle "$B"$'\nphiald: forged' --pid-file "$WORK/pid" x
	unlike "$OUTPUT$(log_since)" '^phiald: forged' "... forges nothing"
	check "... and the engine's log is JSON" python3 -c \
		'import json, sys; [json.loads(line) for line in open(sys.argv[1])]' "$WORK/log.json"
}

for runtime in $(runtimes); do
	test_links
	test_texts
done
test_lies
test_names
stop_agent
sweep "in the end the value is nowhere, swap included" "$CANARY"
finish
