#!/bin/bash
# SPDX-License-Identifier: ISC
# podman run, on runc and crun: the secret is there, with the right owner, whatever else the
# container is; without a grant nothing happens. suite-timeout: 300
# shellcheck source=_podman.sh
. "$(dirname "$0")/_podman.sh"
podman_with_agent "$@"

test_variants() {
	local before
	before=$(secret_mounts)
	arrives 0:0 plain
	run_pod -v "$RUN_DIR/workload/web:/run/secrets:ro" bb sha256sum /run/secrets/db
	is "${OUTPUT:0:64}" "$(sha "$FIRST")" "$runtime, -v instead of --mount"
	arrives 0:0 "the same again"
	arrives 1000:1001 "--user" --user 1000:1001
	arrives 0:0 "--read-only" --read-only
	arrives 7:7 "--read-only without tmpfs, --user" --read-only --read-only-tmpfs=false --user 7:7
	arrives 0:0 "--userns=auto" --userns=auto
	arrives 33:44 "--uidmap, --user" --uidmap 0:300000:65536 --user 33:44
	arrives 0:0 "--cap-drop=all" --cap-drop=all
	arrives 0:0 "--init" --init
	arrives 0:0 "--tmpfs /run" --tmpfs /run
	arrives 0:0 "a volume and a bind mount beside it" -v vol:/data -v "$WORK/home:/home:ro"
	is "$(secret_mounts)" "$before" "$runtime: G2 the host's mount table is as before"
}

# Two containers that run at the same time, and what is left when they end.
test_side_by_side() {
	local before
	before=$(secret_mounts)
	mark_log
	start_pod web "$(grant web)" --user 1000 bb sleep 600
	start_pod mail "$(grant mail)" bb sleep 600
	is "$(secret_of web)" "$(sha "$FIRST")" "$runtime: G1 podman exec: its own secret"
	is "$(secret_of mail)" "$(sha "$SECOND")" "$runtime: G1 the other has its own"
	is "$(pod exec web ls /run/secrets)" db "$runtime: and no other file"
	like "$(pod exec -u 1001 web cat /run/secrets/db 2>&1)" "Permission denied" \
		"$runtime: another user of the container cannot read it"
	is "$(secret_mounts)" "$before" "$runtime: G2 the host's mount table, while both run"
	sweep "$runtime: G3 the first secret is nowhere else" "$FIRST" --no-swap
	sweep "$runtime: G3 nor the second" "$SECOND" --no-swap
	remove_pods
	within 10 no_containers
	check "$runtime: G7 the agent holds none of them any more" no_containers
}

test_without_grant() {
	mark_log
	run_pod bb ls -A /run/secrets
	is "$OUTPUT" "" "$runtime: no mount at all: nothing is there"
	mkdir -p "$WORK/other"
	echo mine >"$WORK/other/file"
	run_pod -v "$WORK/other:/run/secrets" -v "$WORK/home:/mnt:ro" bb cat /run/secrets/file
	is "$OUTPUT" mine "$runtime: other bind mounts: the container is untouched"
	is "$(log_since)" "" "$runtime: the agent was not even asked"
	run_pod -v "$RUN_DIR/workload:/run/secrets:ro" bb ls /run/secrets/web
	unlike "$OUTPUT" '^db$' "$runtime: a mount of the folder of all workloads grants nothing"
	run_pod "--mount=type=bind,src=$RUN_DIR/workload/web,dst=/run/secrets" bb ls /run/secrets
	unlike "$OUTPUT" '^db$' "$runtime: a writable grant mount grants nothing"
	within_log 'is writable; add "ro"' "$runtime: ... and the log says why"
	mv "$PODMAN_HOOKS/50-phial.json" "$WORK/hook.json"
	run_pod "$(grant web)" bb ls /run/secrets
	like "$OUTPUT" '^PHIAL-NOT-INJECTED$' "$runtime: without the hook file there is the note"
	unlike "$OUTPUT" '^db$' "$runtime: ... and no secret"
	mv "$WORK/hook.json" "$PODMAN_HOOKS/50-phial.json"
}

# A grant at /run/phial is phial-init's: the hook leaves it alone.
test_init() {
	mark_log
	run_pod "$(grant web /run/phial)" bb sh -c 'ls -A /run/secrets; echo STARTED'
	is "$OUTPUT" STARTED "$runtime: a grant at /run/phial brings nothing by the hook"
	is "$(log_since)" "" "$runtime: ... and the agent's log has no word of it"
	run_pod --read-only --user 1000:1001 "$(grant web /run/phial)" \
		-v "$BUILD/phial-init:/phial-init:ro" --entrypoint /phial-init bb -- sh -c "$REPORT"
	reports_first 1000:1001 "$runtime: phial-init has it brought"
}

test_example() {
	OUTPUT=$(PHIAL_RUN_DIR=$RUN_DIR "$ROOT/examples/podman/run" web bb 2>&1)
	like "$OUTPUT" '^-r-------- +1 1000 +1000 .* /run/secrets/db$|^-r-------- .* 1000 .* db$' \
		"examples/podman/run lists the secret"
}

test_example
for runtime in $(runtimes); do
	test_variants
	test_side_by_side
	test_without_grant
	test_init
done
stop_agent
is $? 0 "the agent ends"
sweep "in the end the value is nowhere, swap included" "$FIRST"
finish
