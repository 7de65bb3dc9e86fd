# SPDX-License-Identifier: ISC
# For tests of phial-runtime under a dockerd of their own: containers with a grant, and what became
# of them.
#
# shellcheck shell=bash disable=SC2034,SC2154

# shellcheck source=_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"
# shellcheck source=../engines/docker.sh
. "$ROOT/tests/engines/docker.sh"

# docker_runtimes: phial around each runtime that is here, as "phial-runc" and "phial-crun"
docker_runtimes() {
	local name
	for name in $(runtimes); do
		docker_runtime "phial-$name" "$RUNTIME" --phial-run-dir "$RUN_DIR" \
			--phial-runtime "$name"
	done
}

# grant WORKLOAD: the options of a container that is granted it
grant() { GRANT=(--mount "type=bind,src=$RUN_DIR/workload/$1,dst=/run/secrets,readonly"); }

# d RUN-OR-CREATE [option...] IMAGE [COMMAND...]: with $runtime, without a network, with $GRANT
d() {
	local command=$1
	shift
	docker "$command" --runtime "$runtime" --network none "${GRANT[@]}" "$@" </dev/null
}

# d_start NAME [option...] IMAGE [COMMAND...]: in the background, pid in $CONTAINER_PID
d_start() {
	local name=$1
	shift
	d run -d --name "$name" "$@" >"$WORK/d.log" 2>&1 || {
		not_ok "$runtime: $name starts"
		diag "$(cat "$WORK/d.log")"
		return 1
	}
	d_look "$name"
}

d_look() {
	CONTAINER=$(docker inspect -f '{{.Id}}' "$1")
	CONTAINER_PID=$(docker inspect -f '{{.State.Pid}}' "$1")
}

# d_rm NAME...: gone, and known to the agent to be gone
d_rm() { docker rm -f "$@" >/dev/null 2>&1; }

# refused_by_docker PATTERN DESCRIPTION... after OUTPUT and STATUS are set: docker shows our reason,
# nothing of the container ran, and its runtime knows it no more
refused_by_docker() {
	local pattern=$1
	shift
	if [ "$STATUS" -ne 0 ] && ! grep -q STARTED <<<"$OUTPUT"; then
		ok "$runtime: $*: the container does not start"
	else
		not_ok "$runtime: $*: the container does not start"
		diag "$OUTPUT"
	fi
	like "$(grep 'Error response\|docker: ' <<<"$OUTPUT")" "phial-runtime: $pattern" \
		"$runtime: $*: docker itself says why"
}
