# SPDX-License-Identifier: ISC
# Docker with phial-runtime where hosts differ: user namespaces for all containers, compose, a
# terminal; and what a container without a grant must not notice.
# suite-timeout: 300
. "$(dirname "$0")/_docker.sh"
need_root
need busybox docker-compose python3
docker_setup "$@"

CANARY=$(canary)
SHA=$(sha "$CANARY")
make_store
seal web/db_password "$CANARY"
start_agent || bail "the agent does not start"
docker_runtimes
READ='sha256sum </run/secrets/db_password | cut -d" " -f1'

# both DESCRIPTION [docker option...] IMAGE COMMAND...: bare runc and phial-runtime around it give
# the same output and exit code
both() {
	local description=$1 bare wrapped
	shift
	GRANT=()
	runtime=runc
	bare=$(d run --rm "$@" 2>"$WORK/err"; echo "exit $?"; cat "$WORK/err")
	runtime=phial-runc
	wrapped=$(d run --rm "$@" 2>"$WORK/err"; echo "exit $?"; cat "$WORK/err")
	is "$wrapped" "$bare" "no grant: $description"
}

test_without_grant() {
	both "output on both streams" bb sh -c 'echo out; echo err >&2'
	both "exit code" bb sh -c 'exit 37'
	both "killed by a signal" bb sh -c 'kill -9 $$'
	both "a program that is not there" bb /no/such/program
	both "a folder as program" bb /etc
	both "a mount that cannot be made" -v /etc/passwd:/etc bb true
	both "--init" --init bb sh -c 'cat /proc/1/comm'
	both "limits" --ulimit nofile=100:200 bb sh -c 'ulimit -n; ulimit -Hn'
	both "open files" bb sh -c 'ls /proc/self/fd'
	both "environment" --hostname h bb env
	both "a bind mount of something else" -v "$WORK/store:/run/secrets:ro" bb ls -A /run/secrets
	both "a terminal" -t bb sh -c 'tty; stty size </dev/tty'
}

test_signals() {
	local name
	GRANT=()
	for runtime in runc phial-runc; do
		d run -d --name "signals-$runtime" --init bb sh -c \
			'trap "exit 42" TERM; while :; do sleep 0.1; done' >/dev/null
	done
	for name in signals-runc signals-phial-runc; do
		docker stop -t 20 "$name" >/dev/null
		is "$(docker inspect -f '{{.State.ExitCode}}' "$name")" 42 "$name: docker stop"
		docker start "$name" >/dev/null
		docker kill -s KILL "$name" >/dev/null
		is "$(docker wait "$name")" 137 "$name: docker kill"
	done
	d_rm signals-runc signals-phial-runc
}

test_terminal() {
	grant web
	runtime=phial-runc
	is "$(python3 "$ROOT/tests/tools/on_terminal.py" docker run --rm -it --runtime "$runtime" \
		--network none "${GRANT[@]}" bb sh -c "test -t 0 && $READ")" "$SHA" \
		"docker run -it: a terminal, and the secret"
}

compose() { docker-compose --ansi never --project-name "phial$$" --file "$WORK/compose.yml" "$@"; }

test_compose() {
	cat >"$WORK/compose.yml" <<-YML
		version: "2.4"
		services:
		  web:
		    image: bb
		    runtime: phial-runc
		    network_mode: none
		    read_only: true
		    user: "1000"
		    command: sh -c '$READ; exec sleep 600'
		    volumes:
		      - type: bind
		        source: $RUN_DIR/workload/web
		        target: /run/secrets
		        read_only: true
		  other:
		    image: bb
		    runtime: phial-runc
		    network_mode: none
		    command: ls -A /run/secrets
	YML
	check "compose up" compose up -d
	within 20 compose_has_said
	like "$(compose logs web 2>&1)" "$SHA" "compose: the service has its secret"
	unlike "$(compose logs other 2>&1)" 'db_password' "compose: the other service has none"
	check "compose restart" compose restart -t 0 web
	within 20 compose_has_said
	is "$(compose exec -T web sh -c "$READ")" "$SHA" "compose: after a restart, too"
	check "compose down" compose down -t 0
	check "and nothing is left at the agent" within 10 no_containers
}
compose_has_said() { compose logs web 2>&1 | grep -q "$SHA"; }

test_user_namespaces() {
	useradd -r dockremap && sed -i '/^dockremap:/d' /etc/subuid /etc/subgid
	echo dockremap:300000:65536 | tee -a /etc/subuid >>/etc/subgid
	docker_stop
	docker_start --userns-remap=default
	docker_image bb
	grant web
	for runtime in $(runtimes); do
		runtime=phial-$runtime
		is "$(d run --rm bb sh -c "$READ; cat /proc/self/uid_map | tr -s ' '")" "$SHA
 0 300000 65536" "$runtime: --userns-remap"
		is "$(d run --rm --user 1000 --read-only bb sh -c "$READ")" "$SHA" \
			"$runtime: --userns-remap, another user, read-only"
	done
	sweep "user namespaces: the value is nowhere else" "$CANARY" --no-swap
}

docker_start
docker_image bb
test_without_grant
test_signals
test_terminal
test_compose
test_user_namespaces
docker_end
stop_agent
sweep "in the end the value is nowhere, swap included" "$CANARY"
finish
