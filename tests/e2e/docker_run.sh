# SPDX-License-Identifier: ISC
# Docker with phial-runtime around runc and crun: one mount is the grant, whatever else the container
# is; its whole life; and that nothing of Docker's holds a value.
# suite-timeout: 300
. "$(dirname "$0")/_docker.sh"
need_root
need busybox
docker_setup "$@"

CANARY=$(canary)
OTHER=$(canary)
SHA=$(sha "$CANARY")
make_store
seal web/db_password "$CANARY"
seal api/token "$OTHER"
start_agent || bail "the agent does not start"
docker_runtimes
docker_start
docker_image bb
READ='sha256sum </run/secrets/db_password | cut -d" " -f1'

# arrives NAME [docker option...]
arrives() {
	local name=$1
	shift
	is "$(d run --rm "$@" bb sh -c "$READ" 2>&1)" "$SHA" "$runtime: $name"
}

test_options() {
	grant web
	arrives "--mount type=bind,...,readonly"
	arrives "--user" --user 1000:1000
	arrives "--read-only" --read-only --user 1000
	arrives "--init" --init
	arrives "--cap-drop ALL, no new privileges" --cap-drop ALL --security-opt no-new-privileges
	arrives "--ulimit with the largest number there is" --ulimit cpu=-1:-1
	arrives "--tmpfs /run below the grant" --tmpfs /run
	GRANT=(-v "$RUN_DIR/workload/web:/run/secrets:ro")
	arrives "-v ...:ro"
	GRANT=(-v "$RUN_DIR/workload/web:/etc/a/new/place:ro")
	is "$(d run --rm bb sh -c 'sha256sum </etc/a/new/place/db_password | cut -d" " -f1')" \
		"$SHA" "$runtime: another place, which the image does not have"
	grant web
	like "$(d run --rm bb grep ' /run/secrets ' /proc/self/mountinfo | tail -n 1)" \
		' /run/secrets ro,nosuid,nodev,noexec,[a-z,]* - (tmpfs [^ ]* rw,.*noswap|ramfs )' \
		"$runtime: read-only, nothing runs from it, never swapped"
}

test_life() {
	local first
	grant web
	d create --name life bb sh -c "$READ; sleep 600" >/dev/null
	check "$runtime: create, then start" docker start life
	d_look life
	first=$CONTAINER_PID
	is "$(docker exec life sh -c "$READ")" "$SHA" "$runtime: exec sees the secret"
	is "$(docker exec --user 1000 life cat /run/secrets/db_password 2>&1)" \
		"cat: can't open '/run/secrets/db_password': Permission denied" \
		"$runtime: another user of the container does not"
	check "$runtime: restart" docker restart -t 0 life
	d_look life
	check "$runtime: it is another process" test "$CONTAINER_PID" != "$first"
	is "$(docker exec life sh -c "$READ")" "$SHA" "$runtime: after a restart it is there again"
	docker stop -t 0 life >/dev/null
	check "$runtime: a stopped container has left the agent" within 10 no_containers
	docker start life >/dev/null
	is "$(docker exec life sh -c "$READ")" "$SHA" "$runtime: stop and start, too"
	docker pause life >/dev/null
	docker unpause life >/dev/null
	is "$(docker exec life sh -c "$READ")" "$SHA" "$runtime: pause and unpause leave it"
	is "$(docker logs life 2>&1 | sort -u)" "$SHA" "$runtime: each start had it from the first line"
}

# What Docker stores and shows of a running container. `life` runs.
test_traces() {
	local folder=$WORK/traces-$runtime
	mkdir "$folder"
	docker inspect life >"$folder/inspect"
	docker diff life >"$folder/diff"
	docker commit life "traces-$runtime" >/dev/null
	docker save "traces-$runtime" >"$folder/commit"
	docker export life >"$folder/export"
	docker top life >"$folder/top"
	docker cp life:/run/secrets - >"$folder/cp" 2>"$folder/cp.log"
	check "$runtime: inspect, commit, export, top and cp hold something" test -s "$folder/inspect" \
		-a -s "$folder/commit" -a -s "$folder/export" -a -s "$folder/top" -a -s "$folder/cp"
	is "$(grep -lra "$CANARY" "$folder")" "" "$runtime: and no value, nor does diff"
	like "$(tar -tf "$folder/cp")" PHIAL-NOT-INJECTED \
		"$runtime: cp copies the directory below the secrets"
	unlike "$(cat /proc/self/mountinfo)" ' /run/secrets | - (ramfs none|tmpfs none [^ ]*noswap)' \
		"$runtime: the host's mount table does not show the secrets"
	sweep "$runtime: while it runs the value is nowhere else" "$CANARY" --no-swap
	docker rmi -f "traces-$runtime" >/dev/null
	rm -rf "$folder"
	d_rm life
}

test_side_by_side() {
	grant web
	d_start web bb sleep 600 || return
	grant api
	d_start api --user 1000 bb sleep 600 || return
	is "$(docker exec web ls /run/secrets) $(docker exec api ls /run/secrets)" \
		"db_password token" "$runtime: each of two containers has its own"
	is "$(docker exec api sha256sum /run/secrets/token)" "$(sha "$OTHER")  /run/secrets/token" \
		"$runtime: the second's value is right"
	soon 'sorted(c["workload"] for c in s["containers"])' "['api', 'web']" \
		"$runtime: the agent knows both"
	d_rm web api
}

# A container that fails once is started again by Docker, with its secrets.
test_restart_policy() {
	grant web
	d_start again --restart on-failure:3 bb sh -c \
		"$READ; [ -e /once ] && exec sleep 600; touch /once; exit 7" || return
	within 20 ran_twice
	is "$(docker logs again 2>/dev/null)" "$SHA
$SHA" "$runtime: a restart by policy has the secrets, too"
	d_rm again
}
ran_twice() { [ "$(docker logs again 2>/dev/null | wc -l)" -ge 2 ]; }

test_refusals() {
	grant web
	OUTPUT=$(d run --rm --cap-add SYS_ADMIN bb echo STARTED 2>&1)
	STATUS=$?
	refused_by_docker '.*SYS_ADMIN' "a privileged container"
	OUTPUT=$(d run --rm --cap-add SYS_ADMIN --pid host bb echo STARTED 2>&1)
	STATUS=$?
	refused_by_docker '.*SYS_ADMIN.*; .*pid' "two gates at once"
	GRANT=(-v "$RUN_DIR/workload/web:/run/secrets")
	OUTPUT=$(d run --rm bb echo STARTED 2>&1)
	STATUS=$?
	refused_by_docker '.*is writable' "a grant that is not read-only"
	grant web
	d create --name refused --pid host bb echo STARTED >/dev/null
	docker start refused >/dev/null 2>&1
	is "$(find "$DOCKER_DIR/exec/runtime-$runtime" "$DOCKER_DIR/exec/runtime-runc" -mindepth 2 \
		-type d 2>/dev/null)" "" "$runtime: the real runtime has deleted it"
	d_rm refused
	check "$runtime: the agent holds nothing of refused containers" within 10 no_containers
}

test_without_agent() {
	grant web
	stop_agent
	OUTPUT=$(d run --rm bb echo STARTED 2>&1)
	STATUS=$?
	refused_by_docker 'no agent answers at' "no agent"
	GRANT=()
	is "$(d run --rm bb echo hi 2>&1)" hi "$runtime: without a grant no agent is asked"
	start_agent || bail "the agent does not start again"
}

# What an engine gives that was not told of phial-runtime.
test_bare() {
	local runtime=runc
	grant web
	like "$(d run --rm bb ls -A /run/secrets)" '^PHIAL-NOT-INJECTED$' \
		"bare runc: the granted directory says that nothing was injected"
}

test_clients() {
	local client
	runtime=phial-runc
	grant web
	for client in $(docker_clients); do
		is "$("$client" run --rm --runtime "$runtime" --network none "${GRANT[@]}" bb \
			sh -c "$READ" 2>&1)" "$SHA" "$("$client" --version)"
	done
}

for runtime in $(runtimes); do
	runtime=phial-$runtime
	test_options
	test_life
	test_traces
	test_side_by_side
	test_restart_policy
	test_refusals
	test_without_agent
done
test_bare
test_clients
docker_end
stop_agent
sweep "in the end the value is nowhere, swap included" "$CANARY"
sweep "nor is the other" "$OTHER" --no-swap
finish
