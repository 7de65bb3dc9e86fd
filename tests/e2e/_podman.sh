# SPDX-License-Identifier: ISC
# For tests of Podman with a real agent: workloads web and mail, an image, the hook, the grants.
#
# shellcheck shell=bash disable=SC2034,SC2154

# shellcheck source=_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"
# shellcheck source=../engines/podman.sh
. "$ROOT/tests/engines/podman.sh"

# podman_with_agent ARGUMENT...: the arguments are the test's own. An image bb, an agent with the
# secrets $FIRST of web and $SECOND of mail, its hook for Podman.
podman_with_agent() {
	need_root
	need runc busybox python3 nsenter
	podman_setup "$@"
	two_secrets
	start_agent || bail "the agent does not start"
	podman_image bb
	podman_hook --run-dir "$RUN_DIR"
}

# What the host's mount tables, this namespace's and the first process's, show of secrets.
secret_mounts() {
	grep -hE ' - (tmpfs|ramfs) none .*mode=0?755|/workload/' /proc/self/mountinfo /proc/1/mountinfo
}

# grant WORKLOAD [DESTINATION]: the option of `podman run`
grant() { echo "--mount=type=bind,src=$RUN_DIR/workload/$1,dst=${2:-/run/secrets},ro"; }

# pod ARGUMENT...: podman on $runtime
pod() { podman --runtime "$runtime" "$@"; }

# run_pod ARGUMENT...: `podman run --rm`; $OUTPUT is what it said, $STATUS its exit code
run_pod() {
	OUTPUT=$(pod run --rm "$@" 2>&1 </dev/null)
	STATUS=$?
	OUTPUT=${OUTPUT//\\\"/\"} # runc's log escapes them
}

# arrives OWNER DESCRIPTION [podman option...]: a container of web reports the first secret
arrives() {
	local owner=$1 description=$2
	shift 2
	run_pod "$@" "$(grant web)" bb sh -c "$REPORT"
	reports_first "$owner" "$runtime, $description"
}

# start_pod NAME ARGUMENT...: `podman run -d`; its first process is $CONTAINER_PID
start_pod() {
	local name=$1
	shift
	check "$runtime: $name starts" pod run -d --name "$name" "$@"
	CONTAINER_PID=$(pod inspect -f '{{.State.Pid}}' "$name")
}

# secret_of NAME [PATH]: the hash of a container's secret, by `podman exec`
secret_of() { pod exec "$1" /bin/sha256sum "${2:-/run/secrets/db}" 2>&1 | cut -c-64; }

remove_pods() { check "$runtime: podman rm of all" pod rm -fa -t 0; }
