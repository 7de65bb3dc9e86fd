#!/bin/bash
# SPDX-License-Identifier: ISC
# An agent that comes after a killed, stopped or replaced one holds the containers that still run:
# secrets rotate in them again and are wiped at their end; what ended meanwhile is forgotten.
# suite-timeout: 180
. "$(dirname "$0")/_lib.sh"
need_root
need runc busybox python3 nsenter

two_secrets
# A held container begins with a grace time: there may be an old generation.
printf '{ "phial": "policy v1", "serial": 1, "workloads": { "web": { "grace": "200ms" } } }\n' \
	>"$STORE/.phial/policy.json"
"$PHIAL" policy sign --store "$STORE" >"$WORK/policy.log" 2>&1 || bail "$(cat "$WORK/policy.log")"
start_agent || bail "the agent does not start"

# Hashes of what a process reads there, and whether that is a value.
sees() { sha256sum <"/proc/$1/root/run/secrets/db" 2>/dev/null | cut -c-64; }
has() { [ "$(sees "$1")" = "$(sha "$2")" ]; }

state_of() { status_of '[c["state"] for c in s["containers"] if c["pid"] == '"$1"']'; }
is_held() { [ "$(state_of "$1")" = "['running']" ]; }
# held PID DESCRIPTION...
held() {
	within 15 is_held "$1"
	is "$(state_of "$1")" "['running']" "${@:2}"
}

# put NAME: a new value is in the store, and the agent has read it; the value is in $VALUE
put() {
	VALUE=$(canary)
	seal "$1" "$VALUE"
	"$PHIAL" reload --run-dir "$RUN_DIR" >"$WORK/reload.log" 2>&1 || bail "$(cat "$WORK/reload.log")"
}

# rotates PID DESCRIPTION...: a new value of web/db arrives there
rotates() {
	put web/db
	FIRST=$VALUE
	within 15 has "$1" "$FIRST"
	is "$(sees "$1")" "$(sha "$FIRST")" "${*:2}: a new value arrives"
}

# wiped PID DESCRIPTION...: the container $CONTAINER ends; who has its file open sees zeros, and the
# agent knows it no more
wiped() {
	local pid=$1 text
	shift
	exec 9<"/proc/$pid/root/run/secrets/db"
	text=$(tr -d '\0' <&9 | wc -c)
	is "$text" 32 "$*: its file holds the value until the end"
	runtime_stop "$runtime" "$CONTAINER"
	check "$*: then it is forgotten" within 10 is_unknown "$pid"
	text=$(python3 -c 'import os; print(len(os.pread(9, 4096, 0).replace(b"\0", b"")))' 9<&9)
	is "$text" 0 "$*: and who has it open sees zeros"
	exec 9<&-
}
is_unknown() { [ "$(state_of "$1")" = "[]" ]; }

test_next_agent() {
	local signal
	bundle --user 1000 --grant web -- sleep 600
	start_container || return
	for signal in KILL TERM; do
		stop_agent $signal
		is "$(sees "$CONTAINER_PID")" "$(sha "$FIRST")" "$runtime SIG$signal: no agent: it keeps its secrets"
		start_agent || bail "the next agent does not start"
		held "$CONTAINER_PID" "$runtime SIG$signal: the next agent holds it"
		rotates "$CONTAINER_PID" "$runtime SIG$signal"
		like "$(grep ' /run/secrets ' "/proc/$CONTAINER_PID/mountinfo")" "$MOUNT_FLAGS" \
			"$runtime SIG$signal: its own mount stays read-only"
		is "$(host_mounts)" "" "$runtime SIG$signal: nothing is mounted on the host"
	done
	wiped "$CONTAINER_PID" "$runtime: held again"
}

# launch NAME OPTION...: a container that stays; its process is ${PIDS[NAME]}, its id ${IDS[NAME]}
declare -A PIDS IDS
launch() {
	local name=$1
	shift
	bundle "$@" -- sleep 600
	start_container || bail "no container"
	PIDS[$name]=$CONTAINER_PID
	IDS[$name]=$CONTAINER
}

# phial-init's container has no hook.
launch_init() {
	B=$WORK/bundle$((BUNDLES++))
	busybox_bundle "$B" --run-dir "$RUN_DIR" --target /run/phial --grant web --dir /run/secrets \
		--file "$INIT:/phial-init" --user 1000 -- /phial-init -- sleep 600
	start_container || bail "no container"
	PIDS[phial-init]=$CONTAINER_PID
	IDS[phial-init]=$CONTAINER
	check "$runtime, phial-init: it has its secrets" within 15 has "$CONTAINER_PID" "$FIRST"
	within 10 is_held "$CONTAINER_PID"
}

# What containers are made of, one that stands still, and one that ends while no agent looks.
test_kinds() {
	local kind
	PIDS=() IDS=()
	launch "user namespace" --grant web --userns
	launch "user in a user namespace" --grant web --userns --user 1000
	launch "read-only root" --grant web --read-only
	launch paused --grant web
	launch_init
	runtime "$runtime" pause "${IDS[paused]}" >"$WORK/pause.log" 2>&1 ||
		skip "$runtime cannot pause here" "$runtime, paused: it is held again"
	launch ended --grant web
	stop_agent KILL
	runtime_stop "$runtime" "${IDS[ended]}"
	mark_log
	start_agent || bail "the next agent does not start"
	within_log "${IDS[ended]}: it ended while no agent looked" \
		"$runtime: what ended without an agent is forgotten"
	is "$(state_of "${PIDS[ended]}")" "[]" "$runtime: ... and not listed"
	unset 'PIDS[ended]' 'IDS[ended]'
	for kind in "${!PIDS[@]}"; do
		held "${PIDS[$kind]}" "$runtime, $kind: it is held again"
	done
	put web/db
	FIRST=$VALUE
	for kind in "${!PIDS[@]}"; do
		within 15 has "${PIDS[$kind]}" "$FIRST"
		is "$(sees "${PIDS[$kind]}")" "$(sha "$FIRST")" "$runtime, $kind: a new value arrives"
	done
	runtime "$runtime" resume "${IDS[paused]}" >>"$WORK/pause.log" 2>&1
	CONTAINER=${IDS[phial-init]}
	wiped "${PIDS[phial-init]}" "$runtime, phial-init"
	unset 'IDS[phial-init]'
	for kind in "${!IDS[@]}"; do
		runtime_stop "$runtime" "${IDS[$kind]}"
	done
	check "$runtime: all of them are forgotten" within 10 no_containers
}

# F-01: a worker that dies leaves every container as it is, held again or not yet.
test_worker_dies() {
	local round pids=()
	for round in 1 2 3 4 5 6; do
		bundle --grant web -- sleep 600
		start_container || return
		pids+=("$CONTAINER_PID")
	done
	for round in 1 2 3; do
		stop_agent KILL
		start_agent || bail "the next agent does not start"
		kill -KILL "$(pgrep -P "$AGENT_PID" -u "$AGENT_USER" -x phiald)"
	done
	for round in "${pids[@]}"; do
		held "$round" "$runtime: F-01 held, whatever the worker was doing"
		is "$(sees "$round")" "$(sha "$FIRST")" "$runtime: F-01 and nothing was taken from it"
	done
	rotates "${pids[5]}" "$runtime: F-01"
	for round in "${CONTAINERS[@]: -6}"; do
		runtime_stop "$runtime" "${round#* }"
	done
	check "$runtime: F-01 all are forgotten" within 10 no_containers
}

for runtime in $(runtimes); do
	test_next_agent
	test_kinds
done
runtime=runc
test_worker_dies
stop_agent
is $? 0 "the agent stops"
sweep "G3 the last value is nowhere" "$FIRST"
sweep "G3 nor is the other" "$SECOND"
finish
