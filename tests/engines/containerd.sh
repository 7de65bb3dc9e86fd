# SPDX-License-Identifier: ISC
# A containerd of a test's own: images, state, socket and cgroups lie below $WORK or carry its
# name; nothing of the machine's is read or touched. Used after tests/lib.sh (or e2e/_lib.sh):
#
#	. "$ROOT/tests/engines/containerd.sh"
#	need_root
#	containerd_setup "$@"        # before anything else is started
#	containerd_start
#	containerd_image bb
#	ctr_run --rm bb $$-a echo hi
#
# Set here: CONTAINERD_DIR, CONTAINERD_ADDRESS (exported: plain `ctr` talks to this one) and
# CONTAINERD_PID.
#
# shellcheck shell=bash disable=SC2034,SC2154

# shellcheck source=mounts.sh
. "$(dirname "${BASH_SOURCE[0]}")/mounts.sh"

# containerd_setup ARGUMENT...: the arguments are the test's own, which begins again in a mount
# namespace of its own (mounts.sh).
containerd_setup() {
	need containerd ctr containerd-shim-runc-v2
	own_mount_namespace "$@"
	containerd_configure
}

containerd_configure() {
	CONTAINERD_DIR=$WORK/containerd
	mkdir -p "$CONTAINERD_DIR"
	chmod 0711 "$CONTAINERD_DIR"
	export CONTAINERD_ADDRESS=$CONTAINERD_DIR/sock
	cat >"$CONTAINERD_DIR/config.toml" <<-CONF
		version = 2
		root = "$CONTAINERD_DIR/root"
		state = "$CONTAINERD_DIR/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt",
		                    "io.containerd.internal.v1.tracing"]
		[grpc]
		address = "$CONTAINERD_ADDRESS"
		[ttrpc]
		address = "$CONTAINERD_DIR/ttrpc"
	CONF
	at_exit containerd_end
}

# containerd_start: again after containerd_stop, too
containerd_start() {
	start_quietly "$CONTAINERD_DIR/log" containerd --config "$CONTAINERD_DIR/config.toml"
	CONTAINERD_PID=$STARTED_PID
	within 60 ctr version || bail "containerd: $(tail -n 5 "$CONTAINERD_DIR/log")"
}

containerd_stop() { stop "$CONTAINERD_PID"; }

# containerd_image NAME [bundle option...]: a busybox image; the options are bundle.py's and change
# its files (--file, --dir). ctr takes no tar of a root file system, so it is wrapped here.
containerd_image() {
	local name=$1 folder
	shift
	folder=$(mktemp -d -p "$CONTAINERD_DIR")
	busybox_tar "$folder/layer.tar" "$@" || bail "the image $name cannot be made"
	python3 "$ROOT/tests/tools/oci_image.py" "$name" "$folder/layer.tar" "$folder/image.tar" ||
		bail "the image $name cannot be packed"
	ctr images import "$folder/image.tar" >"$folder/log" 2>&1 ||
		bail "ctr images import: $(cat "$folder/log")"
	rm -rf "$folder"
}

# ctr_run [option...] IMAGE ID [COMMAND...]: `ctr run` with the runtime's state and the cgroups
# below this test's name
ctr_run() {
	ctr run --runc-root "$CONTAINERD_DIR/runc" --cgroup "/phial-test-$$/c$RANDOM" "$@"
}

# Shims of this containerd and of a dockerd on it. They are nobody's children.
containerd_shims() {
	local file
	for file in /proc/[0-9]*/cmdline; do
		tr '\0' '\n' 2>/dev/null <"$file" | grep -Fxq -- "$CONTAINERD_ADDRESS" || continue
		file=${file%/cmdline}
		[ "$(cat "$file/comm" 2>/dev/null)" != containerd-shim ] || echo "${file#/proc/}"
	done
}

containerd_is_quiet() { [ -z "$(containerd_shims)" ]; }

# Tasks are killed and removed; a shim that stays is killed by its process id, and what it would
# have removed is.
containerd_end() {
	local task
	for task in $(ctr tasks ls -q 2>/dev/null); do
		ctr tasks rm -f "$task" >/dev/null 2>&1
	done
	if ! within 10 containerd_is_quiet; then
		containerd_kill_shims
	fi
	stop "${CONTAINERD_PID:-0}"
	find /sys/fs/cgroup -depth -path "*/phial-test-$$*" -type d -exec rmdir {} + 2>/dev/null
}

# A shim's container goes with its first process; its socket is named in its working directory.
containerd_kill_shims() {
	local shim child address
	for shim in $(containerd_shims); do
		address=$(cat "/proc/$shim/cwd/address" 2>/dev/null)
		for child in $(cat "/proc/$shim/task/$shim/children" 2>/dev/null); do
			kill -KILL "$child" 2>/dev/null
		done
		kill -KILL "$shim" 2>/dev/null
		case $address in
		unix:///run/containerd/s/*) rm -f "${address#unix://}" ;;
		esac
	done
}
