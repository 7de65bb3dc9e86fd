# SPDX-License-Identifier: ISC
# Two parts of tests/bench/run: phial-runtime against the runtime alone, and docker run with 10
# secrets by phial, with a bind-mounted file, and without either.
#
# shellcheck shell=bash disable=SC2034,SC2154

# A runtime that does nothing shows what the wrapper adds: as much as one more empty program.
bench_runtime() {
	local empty=$PROBES/bench_empty wrap name
	echo "runtime: phial-runtime around a runtime, for a call without a grant, against the runtime alone"
	RUN_DIR=${RUN_DIR:-$WORK/run}
	mkdir -p "$WORK/bundles"
	busybox_bundle "$WORK/bundles/plain" --empty --mount "$WORK/bundles:/mnt:rbind,ro"
	wrap=("$RUNTIME" --phial-run-dir "$RUN_DIR" --phial-runtime)
	measure "$TOOLS/compare" "$(rounds 2000)" \
		-- alone "$empty" \
		-- state "${wrap[@]}" "$empty" state x \
		-- create "${wrap[@]}" "$empty" create --bundle "$WORK/bundles/plain" x
	compare_line "a command around an empty program" state alone 2
	compare_line "create around an empty program" create alone 2
	for name in $(runtimes); do
		measure "$TOOLS/compare" "$(rounds 200)" \
			-- wrapped "${wrap[@]}" "$name" --version \
			-- alone "$(command -v "$name")" --version
		compare_line "$name --version" wrapped alone
	done
}

bench_docker() {
	local name run
	need_agent
	for name in $(runtimes); do
		docker_runtime "phial-$name" "$RUNTIME" --phial-run-dir "$RUN_DIR" \
			--phial-runtime "$name"
		[ "$name" = runc ] || docker_runtime "$name" "$(command -v "$name")"
	done
	docker_start
	docker_image bb
	head -c "$BYTES" /dev/urandom >"$WORK/bundles/file"
	echo "docker: docker run of a container with 10 secrets of $BYTES bytes, against others"
	for name in $(runtimes); do
		# The driver gives no environment to what it measures.
		run=(/usr/bin/env "DOCKER_HOST=$DOCKER_HOST" "DOCKER_CONFIG=$DOCKER_CONFIG" docker run
			--rm --network none --user 1000)
		measure "$TOOLS/compare" "$(rounds 60)" \
			-- phial "${run[@]}" --runtime "phial-$name" \
			"--mount=type=bind,src=$RUN_DIR/workload/ten,dst=/run/secrets,readonly" bb true \
			-- wrapped "${run[@]}" --runtime "phial-$name" bb true \
			-- bind "${run[@]}" --runtime "$name" \
			"--mount=type=bind,src=$WORK/bundles/file,dst=/run/secret,readonly" bb true \
			-- none "${run[@]}" --runtime "$name" bb true
		compare_line "$name: phial / none" phial none
		compare_line "$name: phial / a bind-mounted file" phial bind
		compare_line "$name: phial-runtime without a grant / none" wrapped none
	done
	docker_end
}
