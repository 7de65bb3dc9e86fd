# SPDX-License-Identifier: ISC
# phial-init under Docker with its own runtime and default seccomp profile, as the manual shows it: no
# hook, no wrapper. Its life there, what the engine keeps of it, and tini's part without secrets.
# suite-timeout: 240
. "$(dirname "$0")/_lib.sh"
. "$ROOT/tests/engines/docker.sh"
need_root
need runc busybox python3
docker_setup "$@"
two_secrets
start_agent || bail "the agent does not start"
docker_start
docker_image bb
docker_image with-init --file "$INIT:/phial-init"
docker_image scratch --empty --file "$BUILD/tests/probes/init_probe:/init_probe"

# d WORKLOAD [docker option...] IMAGE -- [phial-init option... --] COMMAND...: `docker run`, $OUTPUT
d() {
	local workload=$1
	shift
	OUTPUT=$(docker run --network none \
		--mount "type=bind,src=$RUN_DIR/workload/$workload,dst=/run/phial,readonly" \
		--mount "type=bind,src=$INIT,dst=/phial-init,readonly" --entrypoint /phial-init \
		"$@" 2>&1 </dev/null)
	STATUS=$?
}

# arrives DESCRIPTION [docker option...]
arrives() {
	local description=$1
	shift
	d web --rm "$@" bb -- sha256sum /run/secrets/db
	is "${OUTPUT%% *}" "$(sha "$FIRST")" "docker, $description"
}

test_options() {
	arrives "default seccomp profile, default capabilities"
	arrives "--user, --cap-drop=all, --read-only" --user 1000:1000 --cap-drop=all --read-only
	arrives "--cap-drop=all as root" --cap-drop=all
	arrives "no-new-privileges" --security-opt no-new-privileges
	arrives "--init in front of it" --init
	arrives "a small limit of memory, and of processes" --memory 8m --pids-limit 8
	d web --rm bb --user 1000:1001 --file-env -- sh -c \
		'stat -L -c "%u:%g %a" "$DB_FILE"; sha256sum <"$DB_FILE"'
	is "$(cut -c-64 <<<"$OUTPUT")" "1000:1001 400
$(sha "$FIRST")" "docker, phial-init's own --user with Docker's capabilities"
	# It says only where, because dockerd keeps what a container prints; --env has read the value.
	d web --rm --user 4321 --cap-drop=all --read-only scratch --env db --file-env -- \
		/init_probe state DB_FILE
	is "$(grep ^DB_FILE <<<"$OUTPUT")" "DB_FILE=/run/secrets/db" "docker, FROM scratch, any uid"
	OUTPUT=$(docker run --rm --network none --entrypoint /phial-init \
		--mount "type=bind,src=$RUN_DIR/workload/web,dst=/run/phial,readonly" with-init \
		-- sha256sum /run/secrets/db </dev/null 2>&1)
	is "${OUTPUT%% *}" "$(sha "$FIRST")" "docker, phial-init copied into the image"
}

test_refusals() {
	d web --rm --privileged bb -- echo STARTED
	if grep -q "operation not permitted" <<<"$OUTPUT"; then
		skip "this machine's root may not start privileged containers" "docker --privileged"
	else
		is "$STATUS" 125 "docker --privileged: refused with 125"
		like "$OUTPUT" "^phial-init: .*not_privileged" "docker --privileged: the gate is named"
	fi
	d web --rm --pid host bb -- echo STARTED
	is "$STATUS" 125 "docker --pid host: refused with 125"
	like "$OUTPUT" "^phial-init: .*private_pid" "docker --pid host: the gate is named"
	unlike "$OUTPUT" "^STARTED" "docker: nothing was started"
	d web --rm bb -- no-such-command
	is "$STATUS" 127 "docker: 127 for a command that is not there"
	d web --rm bb -- /etc
	is "$STATUS" 126 "docker: 126 for one that cannot be run"
	d web --rm bb -- sh -c 'kill -USR1 $$'
	is "$STATUS" 138 "docker: 128 + the signal"
}

# report NAME: what the container says of its secrets
report() { docker exec "$1" sh -c 'sha256sum /run/secrets/*; id -u' 2>&1 </dev/null; }

has_secrets() { [ "$(docker exec "$1" ls /run/secrets 2>/dev/null </dev/null)" = db ]; }

test_life() {
	local name
	d web -d --name web --user 1000 --restart on-failure:1 bb -- sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
	d mail -d --name mail --user 1001 --cap-drop=all --read-only bb -- sleep 1000
	for name in web mail; do
		check "docker: $name has its secrets" within 20 has_secrets $name
	done
	is "$(report web)" "$(sha "$FIRST")  /run/secrets/db
1000" "docker, side by side: web has its own"
	is "$(report mail)" "$(sha "$SECOND")  /run/secrets/db
1001" "docker, side by side: mail has its own"
	for name in inspect diff export; do
		is "$(docker $name web | grep -acF -f <(printf '%s\n' "$FIRST"))" 0 \
			"docker $name shows no value"
	done
	docker commit web committed >/dev/null
	is "$(docker run --rm --network none --entrypoint ls committed /run/secrets </dev/null 2>&1)" "" \
		"docker commit keeps an empty folder"
	docker stop web >/dev/null
	is "$(docker inspect -f '{{.State.ExitCode}}' web)" 3 \
		"docker stop: SIGTERM reaches the command, and its status comes back"
	docker start web >/dev/null
	check "docker start: the secrets are there again" within 20 has_secrets web
	docker restart -t 1 mail >/dev/null
	check "docker restart: and there" within 20 has_secrets mail
	docker rm -f web mail >/dev/null
	check "docker rm: the agent holds nothing" within 20 no_containers
	docker rmi -f committed >/dev/null
}

# On a terminal, through the engine: script(1) gives docker's client one.
test_terminal() {
	command -v script >/dev/null || {
		skip "script is not installed" "docker run -t: job control"
		return
	}
	OUTPUT=$(script -qec "docker run --rm -it --network none --entrypoint /phial-init \
		-v $INIT:/phial-init:ro bb --no-secrets -- sh -c 'echo job; sh -ic exit 2>&1; tty'" \
		/dev/null </dev/null | tr -d '\r')
	like "$OUTPUT" "^/dev/" "docker run -t: the command has the terminal"
	unlike "$OUTPUT" "job control turned off" "docker run -t: and job control"
}

# The image of examples/init, run as its page shows; the image's name and the paths are this test's.
test_example() {
	local folder=$WORK/example command
	mkdir "$folder"
	cp "$ROOT/examples/init/Containerfile" "$INIT" "$folder"
	docker tag bb busybox:stable
	seal web/db_password "$FIRST"
	check "example: the secret is loaded" "$PHIAL" reload --run-dir "$RUN_DIR"
	check "example: the image is built" env DOCKER_BUILDKIT=0 docker build \
		-f "$folder/Containerfile" -t web-example "$folder"
	command=$(sed -n '/^docker run/,/[^\\]$/p' "$ROOT/examples/init/README.md" |
		sed "s|/run/phial/workload|$RUN_DIR/workload|; s|readonly web\$|readonly web-example|")
	OUTPUT=$(bash -c "$command" 2>&1 </dev/null)
	is "${OUTPUT%% *}" "$(sha "$FIRST")" "example: docker run as its page shows it"
}

test_options
test_refusals
test_life
test_terminal
test_example
is "$(host_mounts | grep -v " $DOCKER_DIR")" "" "the host's mount table shows nothing"
stop_agent
sweep "the values are nowhere" "$FIRST"
sweep "nor the other's" "$SECOND"
finish
