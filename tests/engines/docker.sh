# SPDX-License-Identifier: ISC
# A dockerd of a test's own on a containerd of its own: data, state, configuration, sockets and the
# client's folder lie below $WORK; no bridge, no packet filter, nothing of the machine's is read or
# touched. Used after tests/lib.sh (or e2e/_lib.sh):
#
#	. "$ROOT/tests/engines/docker.sh"
#	need_root
#	docker_setup "$@"            # before anything else is started
#	docker_runtime phial "$BUILD/phial-runtime" --phial-run-dir "$RUN_DIR"
#	docker_start [dockerd option...]
#	docker_image bb
#	docker run --rm --network none bb echo hi
#
# DOCKER_HOST and DOCKER_CONFIG are exported: a plain `docker`, old or new, and docker-compose talk
# to this dockerd. Set here: DOCKER_DIR, DOCKER_DAEMON_JSON (dockerd's configuration), DOCKERD_PID.
#
# shellcheck shell=bash disable=SC2034,SC2154

# shellcheck source=containerd.sh
. "$(dirname "${BASH_SOURCE[0]}")/containerd.sh"

# docker_setup ARGUMENT...: the arguments are the test's own, which begins again in a mount
# namespace of its own (mounts.sh): what dockerd writes to /etc/docker goes to $WORK/etc.
docker_setup() {
	need dockerd docker containerd containerd-shim-runc-v2
	own_mount_namespace "$@"
	docker_configure
}

docker_configure() {
	containerd_configure
	DOCKER_DIR=$WORK/docker
	DOCKER_DAEMON_JSON=$DOCKER_DIR/daemon.json
	mkdir -p "$DOCKER_DIR/client" "$DOCKER_DIR/tmp"
	chmod 0711 "$DOCKER_DIR"
	echo '{}' >"$DOCKER_DAEMON_JSON"
	export DOCKER_HOST=unix://$DOCKER_DIR/sock DOCKER_CONFIG=$DOCKER_DIR/client
	at_exit docker_end
}

# docker_runtime NAME PATH [ARGUMENT...]: one more runtime in dockerd's configuration
docker_runtime() {
	python3 - "$DOCKER_DAEMON_JSON" "$@" <<-'PYTHON'
		import json, sys
		path, name, program, *arguments = sys.argv[1:]
		config = json.load(open(path))
		runtime = {"path": program, **({"runtimeArgs": arguments} if arguments else {})}
		config.setdefault("runtimes", {})[name] = runtime
		json.dump(config, open(path, "w"))
	PYTHON
}

# docker_start [dockerd option...]: again after docker_stop, too
docker_start() {
	ctr version >/dev/null 2>&1 || containerd_start
	TMPDIR=$DOCKER_DIR/tmp start_quietly "$DOCKER_DIR/log" dockerd \
		--config-file "$DOCKER_DAEMON_JSON" --data-root "$DOCKER_DIR/data" \
		--exec-root "$DOCKER_DIR/exec" --pidfile "$DOCKER_DIR/pid" --host "$DOCKER_HOST" \
		--containerd "$CONTAINERD_ADDRESS" --cgroup-parent "/phial-test-$$" \
		--exec-opt native.cgroupdriver=cgroupfs --bridge=none --iptables=false \
		--ip6tables=false --ip-forward=false --ip-masq=false --userland-proxy=false "$@"
	DOCKERD_PID=$STARTED_PID
	within 60 docker_answers_or_is_gone
	docker info >/dev/null 2>&1 || bail "dockerd: $(tail -n 5 "$DOCKER_DIR/log")"
}

docker_answers_or_is_gone() { docker info || ! kill -0 "$DOCKERD_PID"; }

docker_stop() { stop "$DOCKERD_PID"; }

# docker_image NAME [bundle option...]: imports a busybox image; the options are bundle.py's and
# change its files (--file, --dir)
docker_image() {
	local name=$1 folder
	shift
	folder=$(mktemp -d -p "$DOCKER_DIR")
	busybox_tar "$folder/image.tar" "$@" || bail "the image $name cannot be made"
	docker import "$folder/image.tar" "$name" >"$folder/log" 2>&1 ||
		bail "docker import: $(cat "$folder/log")"
	rm -rf "$folder"
}

# The clients that are installed, one path a line: a fresh Debian has an old one, many hosts a newer.
docker_clients() { type -ap docker | xargs -r -n 1 readlink -f | sort -u; }

# All containers are removed, then dockerd ends; containerd_end does the rest.
docker_end() {
	# shellcheck disable=SC2046
	docker rm -fv $(docker ps -aq 2>/dev/null) >/dev/null 2>&1
	stop "${DOCKERD_PID:-0}"
}
