#!/bin/bash
# SPDX-License-Identifier: ISC
# A container's life under Podman, on runc and crun: restart, stop and start, pods, kube play; and
# what inspect, commit, export and diff hold. suite-timeout: 300
# shellcheck source=_podman.sh
. "$(dirname "$0")/_podman.sh"
podman_with_agent "$@"
VALUE=$FIRST # of web, now

# replace_secret: seals a new value of web and lets the agent read it
replace_secret() {
	VALUE=$(canary)
	seal web/db "$VALUE"
	"$PHIAL" reload --run-dir "$RUN_DIR" >"$WORK/reload" 2>&1 || bail "$(cat "$WORK/reload")"
}

has_value() { [ "$(secret_of "$1")" = "$(sha "$VALUE")" ]; }

test_starts() {
	mark_log
	start_pod web "$(grant web)" --user 1000 bb sleep 600
	check "$runtime: it has its secret" has_value web
	replace_secret
	check "$runtime: podman restart" pod restart -t 0 web
	check "$runtime: ... brings a fresh mount, with the value of now" has_value web
	soon '[c["workload"] for c in s["containers"]]' "['web']" \
		"$runtime: ... and the agent counts one container"
	check "$runtime: podman stop" pod stop -t 0 web
	within_log "is gone, its secrets are wiped" "$runtime: ... wipes"
	within 5 no_containers
	check "$runtime: ... and the agent counts none" no_containers
	replace_secret
	check "$runtime: podman start" pod start web
	check "$runtime: ... brings the value of now" has_value web
	check "$runtime: podman kill" pod kill web
	within 5 no_containers
	check "$runtime: ... wipes, too" no_containers
	check "$runtime: podman start after that" pod start web
	check "$runtime: ... brings the secret" has_value web
	is "$(log_since | grep -c 'has workload web')" 4 "$runtime: four starts, four mounts"
}

# holds_none DESCRIPTION FILE...: none of these files contains the value of now, or another's
holds_none() {
	local description=$1
	shift
	check "$runtime: $description is made" test -s "$1"
	if grep -qaF -f <(printf '%s\n' "$VALUE" "$SECOND") "$@"; then
		not_ok "$runtime: $description holds no value"
	else
		ok "$runtime: $description holds no value"
	fi
}

# While `web` of test_starts runs.
test_outputs() {
	pod inspect web >"$WORK/inspect"
	holds_none "podman inspect" "$WORK/inspect"
	pod export web >"$WORK/export.tar"
	holds_none "podman export" "$WORK/export.tar"
	is "$(tar -tf "$WORK/export.tar" | grep -c '^run/secrets/.')" 0 "$runtime: ... nor a file for it"
	check "$runtime: podman commit" pod commit -q web committed
	pod save --format oci-dir -o "$WORK/committed-$runtime" committed >/dev/null 2>&1
	find "$WORK/committed-$runtime" -type f -exec gzip -dcfq {} + >"$WORK/committed"
	holds_none "the committed image" "$WORK/committed"
	pod diff web >"$WORK/diff" 2>&1
	unlike "$(cat "$WORK/diff")" 'run/secrets/.' "$runtime: podman diff shows no file for it"
	run_pod committed ls -A /run/secrets
	is "$OUTPUT" "" "$runtime: a container of the committed image has nothing"
	sweep "$runtime: after all this the value is nowhere else" "$VALUE" --no-swap
	check "$runtime: rmi" pod rmi -f committed
}

test_pod() {
	check "$runtime: podman pod create" pod pod create --name p
	start_pod in1 --pod p "$(grant web)" bb sleep 600
	start_pod in2 --pod p "$(grant mail)" bb sleep 600
	start_pod in3 --pod p bb sleep 600
	check "$runtime: a pod's container has its secret" has_value in1
	is "$(secret_of in2)" "$(sha "$SECOND")" "$runtime: another of the same pod has its own"
	is "$(pod exec in3 ls -A /run/secrets)" "" "$runtime: a third, without a grant, has none"
	check "$runtime: podman pod restart" pod pod restart p
	check "$runtime: ... brings fresh mounts" has_value in1
	check "$runtime: podman pod rm" pod pod rm -f -t 0 p
	within 10 no_containers
	check "$runtime: ... and they are wiped" no_containers
}

test_kube() {
	sed -e "s|/run/phial/|$RUN_DIR/|" -e 's|docker.io/library/busybox|localhost/bb:latest|' \
		"$ROOT/examples/podman/pod.yaml" >"$WORK/pod.yaml"
	check "$runtime: podman kube play" pod kube play --network none "$WORK/pod.yaml"
	check "$runtime: ... brings the secret" has_value shop-web
	check "$runtime: podman kube down" pod kube down "$WORK/pod.yaml"
	within 10 no_containers
	check "$runtime: ... wipes it" no_containers
}

for runtime in $(runtimes); do
	test_starts
	test_outputs
	remove_pods
	test_pod
	test_kube
done
stop_agent
is $? 0 "the agent ends"
sweep "in the end the value is nowhere, swap included" "$VALUE"
sweep "nor the first one" "$FIRST"
finish
