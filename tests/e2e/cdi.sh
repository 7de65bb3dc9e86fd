#!/bin/bash
# SPDX-License-Identifier: ISC
# Workloads as CDI devices: phial setup cdi, the file that the agent keeps, and podman run --device
# on runc and crun. suite-timeout: 300
# shellcheck source=_podman.sh
. "$(dirname "$0")/_podman.sh"
podman_with_agent "$@"
FILE=/etc/cdi/phial.json # in this test's own view of /etc

device() { echo "--device=phial.io/workload=$1"; }
# of EXPRESSION: Python on the CDI file `c`
of() { python3 -c "import json; c = json.load(open('$FILE')); print($1)"; }
reload() { "$PHIAL" reload --run-dir "$RUN_DIR" >"$WORK/reload" 2>&1; }

# device_arrives OWNER DESCRIPTION [podman option...]
device_arrives() {
	local owner=$1 description=$2
	shift 2
	run_pod "$@" bb sh -c "$REPORT"
	reports_first "$owner" "$runtime, $description"
}

# device_refused PATTERN DESCRIPTION podman-option...
device_refused() {
	local pattern=$1 description=$2
	shift 2
	mark_log
	run_pod "$@" bb sh -c "$REPORT"
	unlike "$OUTPUT" STARTED "$runtime, $description: nothing starts"
	within_log "$pattern" "$runtime, $description: the agent's log says why"
}

test_file() {
	exits 0 "setup cdi --print" "$PHIAL" setup cdi --print
	like "$OUTPUT" "would write +$FILE" "... says which file"
	check "... and makes none" test ! -e "$FILE"
	check "reload without the file" reload
	check "... makes none, too" test ! -e "$FILE"
	exits 0 "setup cdi" "$PHIAL" setup cdi --run-dir "$RUN_DIR"
	is "$(of '[d["name"] for d in c["devices"]]')" "['mail', 'web']" "... has each workload at once"
	is "$(stat -c '%a %u' "$FILE")" "644 0" "... that engines may read"
	seal 4711/db x
	check "a new workload, and reload" reload
	is "$(of '[d["name"] for d in c["devices"]]')" "['4711', 'mail', 'web']" "... is a device"
	exits 0 "setup cdi again" "$PHIAL" setup cdi --run-dir "$RUN_DIR"
	like "$OUTPUT" "^kept +$FILE" "... keeps the file"
	is "$(ls -A /etc/cdi)" phial.json "... and nothing else is there"
}

test_devices() {
	device_arrives 0:0 "a device" "$(device web)"
	device_arrives 5:6 "--read-only, --user" "$(device web)" --read-only --user 5:6
	device_arrives 33:44 "--uidmap, --user" "$(device web)" --uidmap 0:300000:65536 --user 33:44
	device_arrives 0:0 "--userns=auto" "$(device web)" --userns=auto
	device_arrives 0:0 "and the grant mount of the same workload" "$(device web)" "$(grant web)"
	# Not cat alone: see main_path.sh.
	# shellcheck disable=SC2016
	run_pod "$(device 4711)" bb sh -c 'echo "$(cat /run/secrets/db)"'
	is "$OUTPUT" x "$runtime: a workload with a digit first"
	run_pod "$(device nowhere)" bb sh -c "$REPORT"
	like "$OUTPUT" 'unresolvable CDI devices' "$runtime: an unknown device is refused by Podman"
	unlike "$OUTPUT" STARTED "$runtime: ... and nothing starts"
	device_refused 'has workload web already' "two devices" "$(device web)" "$(device mail)"
	device_refused 'differ' "a device and another's grant mount" "$(device web)" "$(grant mail)"
	device_refused 'not_privileged' "--privileged" "$(device web)" --privileged
}

test_side_by_side() {
	start_pod web "$(device web)" bb sleep 600
	start_pod mail "$(device mail)" bb sleep 600
	is "$(secret_of web)" "$(sha "$FIRST")" "$runtime: its own secret"
	is "$(secret_of mail)" "$(sha "$SECOND")" "$runtime: the other has its own"
	check "$runtime: restart" pod restart web
	is "$(secret_of web)" "$(sha "$FIRST")" "$runtime: ... brings it again"
	is "$(secret_mounts)" "" "$runtime: G2 the host's mount table, while both run"
	sweep "$runtime: G3 the first secret is nowhere else" "$FIRST" --no-swap
	sweep "$runtime: G3 nor the second" "$SECOND" --no-swap
	remove_pods
	within 10 no_containers
	check "$runtime: G7 the agent holds none of them any more" no_containers
}

stop_agent
start_agent --cdi "$FILE" || bail "the agent does not start again"
test_file
rm "$PODMAN_HOOKS/50-phial.json" # a device needs no hook file
for runtime in $(runtimes); do
	test_devices
	test_side_by_side
done
exits 0 "setup cdi --remove" "$PHIAL" setup cdi --remove
check "... removes the file" test ! -e "$FILE"
check "... and the agent" reload
check "... makes none" test ! -e "$FILE"
stop_agent
is $? 0 "the agent ends"
exits 0 "setup cdi without an agent" "$PHIAL" setup cdi --run-dir "$RUN_DIR"
like "$OUTPUT" "writes the devices when" "... says when the devices come"
start_agent --cdi "$FILE"
is "$(of 'len(c["devices"])')" 3 "... which is when it starts"
stop_agent
sweep "in the end the value is nowhere, swap included" "$FIRST"
finish
