# SPDX-License-Identifier: ISC
# A part of tests/bench/run: podman run with 10 secrets by phial, by --secret, and without any.
#
# shellcheck shell=bash disable=SC2034,SC2154

# make_podman: an image, the hook, and ten secrets of Podman's own
make_podman() {
	local i
	podman_image bb
	podman_hook --run-dir "$RUN_DIR"
	PODMAN_SECRETS=()
	for i in 1 2 3 4 5 6 7 8 9 10; do
		head -c "$BYTES" /dev/urandom | podman secret create "s$i" - >/dev/null ||
			stop_here "podman secret create"
		PODMAN_SECRETS+=("--secret=s$i,uid=1000,mode=0400")
	done
}

bench_podman() {
	local name run
	need_agent
	make_podman
	echo "podman: podman run of a container with 10 secrets of $BYTES bytes, against others"
	for name in $(runtimes); do
		# The driver gives no environment to what it measures.
		run=(/usr/bin/env "CONTAINERS_CONF=$CONTAINERS_CONF"
			"CONTAINERS_STORAGE_CONF=$CONTAINERS_STORAGE_CONF"
			podman --runtime "$name" run --rm --user 1000)
		measure "$TOOLS/compare" "$(rounds 60)" \
			-- phial "${run[@]}" \
			"--mount=type=bind,src=$RUN_DIR/workload/ten,dst=/run/secrets,ro" bb true \
			-- secret "${run[@]}" "${PODMAN_SECRETS[@]}" bb true \
			-- bind "${run[@]}" -v "$WORK/bundles:/mnt:ro" bb true \
			-- none "${run[@]}" bb true
		compare_line "$name: phial / --secret" phial secret
		compare_line "$name: phial / none" phial none
		compare_line "$name: another bind mount / none" bind none
	done
}
