#!/bin/bash
# SPDX-License-Identifier: ISC
# What gets nothing under Podman, on runc and crun: images that ask, containers that miss a gate,
# secrets that are not there, two grants in one container; and how the reason is told.
# suite-timeout: 300
# shellcheck source=_podman.sh
. "$(dirname "$0")/_podman.sh"
podman_with_agent "$@"

# refused_pod PATTERN DESCRIPTION [podman option...]: nothing of it starts; the reason is in the
# agent's log, and on stderr where the runtime shows it
refused_pod() {
	local pattern=$1 description=$2
	shift 2
	mark_log
	run_pod "$@" bb sh -c "$REPORT"
	is "$STATUS" 126 "$runtime, $description: podman run exits 126"
	unlike "$OUTPUT" STARTED "$runtime, $description: it did not start"
	within_log "$pattern" "$runtime, $description: the agent's log says why"
	if [ "$runtime" = runc ]; then
		like "$OUTPUT" "$pattern" "$runtime, $description: so does stderr"
	else # crun gives hooks /dev/null, Podman shows what crun says
		like "$OUTPUT" 'phial-hook. \(exit code: [0-9]+\)' \
			"$runtime, $description: stderr has the exit code"
	fi
	check "$runtime, $description: no container is left" test -z "$(pod ps -aq)"
}

test_refusals() {
	refused_pod 'not_privileged' "--privileged" --privileged "$(grant web)"
	refused_pod 'private_pid' "--pid=host" --pid=host "$(grant web)"
	refused_pod 'two|more than one|another' "two grants" "$(grant web)" "$(grant mail /run/mail)"
	refused_pod 'writable; add "ro"' "a writable grant mount" \
		"--mount=type=bind,src=$RUN_DIR/workload/web,dst=/run/secrets"
	refused_pod 'must be exactly' "a folder below the grant" \
		"--mount=type=bind,src=$RUN_DIR/workload/web/sub,dst=/run/secrets,ro"
}

test_unknown_workload() {
	run_pod "$(grant nowhere)" bb sh -c "$REPORT"
	is "$STATUS" 125 "$runtime: a workload that is not there: podman run exits 125"
	like "$OUTPUT" 'workload/nowhere: no such file' "$runtime: ... Podman itself says why"
}

# The secret of mail is damaged while the agent runs: a reload keeps what was good, a new agent has
# nothing to give.
test_missing() {
	stop_agent
	mv "$STORE/mail/db.sealed" "$WORK/db.sealed"
	tr 'A-Z' 'B-ZA' <"$WORK/db.sealed" >"$STORE/mail/db.sealed"
	start_agent || bail "the agent does not start again"
	refused_pod 'mail/db' "a required secret that is damaged" "$(grant mail)"
	arrives 0:0 "the other workload meanwhile"
	mv "$WORK/db.sealed" "$STORE/mail/db.sealed"
	"$PHIAL" reload --run-dir "$RUN_DIR" >"$WORK/reload" 2>&1 || bail "$(cat "$WORK/reload")"
	run_pod "$(grant mail)" bb sh -c "$REPORT"
	is "$STATUS" 0 "$runtime: repaired and reloaded, it starts"
}

test_no_agent() {
	stop_agent
	run_pod "$(grant web)" bb sh -c "$REPORT"
	is "$STATUS" 126 "$runtime: no agent: podman run exits 126"
	unlike "$OUTPUT" STARTED "$runtime: ... and nothing started"
	run_pod -v "$WORK/home:/mnt:ro" bb echo STARTED
	is "$OUTPUT" STARTED "$runtime: a container without a grant does not miss the agent"
	start_agent || bail "the agent does not start again"
}

# I-12: everything by which an image can ask. Podman copies its annotations into the config.
make_asking_image() {
	local word=$RUN_DIR/workload/web
	mkdir "$WORK/build"
	cat >"$WORK/build/Containerfile" <<-FILE
		FROM bb
		LABEL phial.workload=web io.phial.workload=web phial.io/workload=web
		ENV PHIAL_WORKLOAD=web PHIAL_RUN_DIR=$RUN_DIR LD_PRELOAD=/evil.so
		VOLUME $word
		VOLUME /run/secrets
	FILE
	check "an image that asks for everything is built" podman build -q --network none \
		--annotation phial.workload=web --annotation phial.io/workload=web \
		--annotation "run.oci.hooks.stderr=$WORK/hooks-stderr" \
		--annotation "run.oci.hooks.stdout=$WORK/hooks-stdout" \
		--annotation "org.phial.mount=$word:/run/secrets:ro" -t asks "$WORK/build"
}

test_image_asks() {
	within 5 no_containers # the last one's end is in the log
	mark_log
	run_pod asks sh -c 'ls -A /run/secrets; echo STARTED'
	is "$OUTPUT" STARTED "$runtime: I-12 an image that asks gets nothing"
	is "$(log_since)" "" "$runtime: I-12 the agent was not even asked"
	run_pod --label phial.workload=web --annotation phial.workload=web -e PHIAL_WORKLOAD=web bb \
		sh -c 'ls -A /run/secrets; echo STARTED'
	is "$OUTPUT" STARTED "$runtime: U-05 nor does an operator's label, annotation or variable grant"
	run_pod "$(grant web)" asks sh -c "$REPORT"
	like "$OUTPUT" STARTED "$runtime: such an image starts with a grant"
	run_pod "$(grant mail)" asks sha256sum /run/secrets/db
	is "${OUTPUT:0:64}" "$(sha "$SECOND")" "$runtime: I-12 and gets what the grant says, not what it says"
	refused_pod . "a refused container of it" --privileged "$(grant web)"
	is "$(cat "$WORK"/hooks-std* 2>/dev/null)" "" \
		"$runtime: I-12 nothing was written to the files that its annotations name"
}

# RHEL and Fedora mount a folder of the host over /run/secrets in every container.
test_mounts_conf() {
	mkdir -p /etc/containers "$WORK/rhel"
	echo subscription >"$WORK/rhel/rhsm"
	echo "$WORK/rhel:/run/secrets" >/etc/containers/mounts.conf
	run_pod bb cat /run/secrets/rhsm
	is "$OUTPUT" subscription "$runtime: mounts.conf: a container without a grant has its mount"
	arrives 0:0 "mounts.conf and a grant at the same place"
	run_pod "$(grant web /run/phial-secrets)" bb sha256sum /run/phial-secrets/db
	is "${OUTPUT:0:64}" "$(sha "$FIRST")" "$runtime: mounts.conf and a grant elsewhere"
	rm /etc/containers/mounts.conf
}

mkdir -p "$RUN_DIR/workload/web/sub"
make_asking_image
for runtime in $(runtimes); do
	test_refusals
	test_unknown_workload
	test_image_asks
	test_mounts_conf
	test_missing
	test_no_agent
done
stop_agent
is $? 0 "the agent ends"
sweep "in the end the value is nowhere, swap included" "$FIRST"
sweep "nor the other one" "$SECOND"
finish
