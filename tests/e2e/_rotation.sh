# SPDX-License-Identifier: ISC
# What an engine's containers live through while they run: a rotation with its signal, an agent that
# is killed, a revocation. The engine's test gives:
#
#	launch NAME      starts one of the kinds of containers; its process is $CONTAINER_PID
#	has_inside NAME  the hash of /run/secrets/db as the engine's exec sees it
#	refused_start    tries to start one; $OUTPUT, $STATUS
#	remove_all
#
# shellcheck shell=bash disable=SC2034,SC2154

# The first process of each container: on SIGHUP it notes the hash of what it finds then.
# shellcheck disable=SC2016
APPLICATION='note() { sha256sum </run/secrets/db >/dev/shm/note; mv /dev/shm/note /dev/shm/told; }
	trap note HUP
	echo up >/dev/shm/up
	while :; do sleep 600 & wait $!; kill $! 2>/dev/null; done'

declare -A PIDS=() # by name

rotation_store() {
	FIRST=$(canary)
	make_store
	seal web/db "$FIRST"
	cat >"$STORE/.phial/policy.json" <<-'POLICY'
		{ "phial": "policy v1", "serial": 1, "workloads": {
		  "web": { "grace": "1s", "notify": "SIGHUP" } } }
	POLICY
	"$PHIAL" policy sign --store "$STORE" >"$WORK/policy.log" 2>&1 ||
		bail "phial policy sign: $(cat "$WORK/policy.log")"
	start_agent || bail "the agent does not start"
}

# put: a new value of web/db, in $VALUE
put() {
	VALUE=$(canary)
	seal web/db "$VALUE"
}
reload() { "$PHIAL" reload --run-dir "$RUN_DIR" >"$WORK/reload.log" 2>&1; }

# Of a container, from outside:
root_of() { echo "/proc/${PIDS[$1]}/root"; }
sees() { sha256sum <"$(root_of "$1")/run/secrets/db" 2>/dev/null | cut -c-64; }
has() { [ "$(sees "$1")" = "$(sha "$2")" ]; }
told() { cut -c-64 "$(root_of "$1")/dev/shm/told" 2>/dev/null; }
is_told() { [ "$(told "$1")" = "$(sha "$2")" ]; }
generations() { (cd "$(root_of "$1")/run/secrets" && ls -A | grep -cE '^\.\.[0-9]'); }
has_one_generation() { [ "$(generations "$1")" = 1 ]; }
is_up() { [ -s "$(root_of "$1")/dev/shm/up" ]; }
has_none() { [ -z "$(find "$(root_of "$1")/run/secrets/" -name db)" ]; }

launch_all() {
	local name
	for name in "$@"; do
		launch "$name" || bail "$name does not start"
		PIDS[$name]=$CONTAINER_PID
		within 20 is_up "$name"
		is "$(sees "$name")" "$(sha "$FIRST")" "$name: the first version at its start"
	done
}

# all_have DESCRIPTION: each container has $VALUE and was told
all_have() {
	local name
	for name in "${!PIDS[@]}"; do
		within 20 has "$name" "$VALUE"
		is "$(sees "$name")" "$(sha "$VALUE")" "$name: $1"
		within 20 is_told "$name" "$VALUE"
		is "$(told "$name")" "$(sha "$VALUE")" "$name: ... and the application was told"
	done
}

test_rotation() {
	local name
	put
	reload
	all_have "a new version reaches it while it runs"
	for name in "${!PIDS[@]}"; do
		is "$(has_inside "$name")" "$(sha "$VALUE")" "$name: ... the engine's exec sees it"
		within 20 has_one_generation "$name"
		is "$(generations "$name")" 1 "$name: ... nothing is left of the one before"
	done
	sweep "the first value is nowhere, the containers included" "$FIRST" --no-swap
}

test_killed_agent() {
	stop_agent KILL
	put
	start_agent || bail "no agent after kill -9"
	all_have "kill -9 of the agent: a version of meanwhile reaches it"
	put
	reload
	all_have "... and so does the next one"
}

test_revocation() {
	local name
	exits 0 "phial revoke" "$PHIAL" revoke web/db --reason stolen --run-dir "$RUN_DIR"
	like "$OUTPUT" "from ${#PIDS[@]} of ${#PIDS[@]} containers" "... names the containers"
	for name in "${!PIDS[@]}"; do
		check "$name: L-10 the file is gone, from every generation" has_none "$name"
		check "$name: ... the container runs on" kill -0 "${PIDS[$name]}"
	done
	sweep "L-10 the revoked value is nowhere" "$VALUE" --no-swap
	refused_start
	like "$OUTPUT" "revoked" "a start is refused, and the engine says why"
	unlike "$OUTPUT" STARTED "... nothing of it ran"
	put
	reload
	all_have "a newer version reaches those that lost theirs"
}

test_end() {
	remove_all
	within 20 no_containers
	check "in the end the agent holds none" no_containers
	unlike "$(cat "$WORK/agent.log")" "died|cannot be told" "... and no child of it died at its work"
	stop_agent
	is $? 0 "the agent ends"
	sweep "the last value is nowhere, swap included" "$VALUE"
}
