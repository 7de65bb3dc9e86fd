# SPDX-License-Identifier: ISC
# A Podman of a test's own: storage, state, configuration and hook folder lie below $WORK, nothing
# of the machine's is read or touched. Used after tests/lib.sh (or e2e/_lib.sh):
#
#	. "$ROOT/tests/engines/podman.sh"
#	need_root
#	need runc busybox
#	podman_setup "$@"        # before anything else is started
#	podman_image bb
#	podman_hook --run-dir "$RUN_DIR"
#	podman run --rm bb echo hi
#
# Everything is said by CONTAINERS_CONF and CONTAINERS_STORAGE_CONF, which are exported: a script
# that calls plain `podman` gets this one, too. The runtime is $CONTAINER_RUNTIME of podman_setup's
# environment or, for one command, `podman --runtime NAME`.
#
# Set here: PODMAN_DIR, PODMAN_HOOKS (the hooks.d folder), PODMAN_CONF.
#
# shellcheck shell=bash disable=SC2034,SC2154

# shellcheck source=mounts.sh
. "$(dirname "${BASH_SOURCE[0]}")/mounts.sh"

# What no configuration moves: a cache of blob names, and an empty folder.
PODMAN_FIXED=(/var/lib/containers/cache /var/lib/containers /run/containers/networks
	/run/containers)

# podman_setup ARGUMENT...: the arguments are the test's own, which begins again in a mount
# namespace of its own (mounts.sh).
podman_setup() {
	need podman
	own_mount_namespace "$@"
	PODMAN_DIR=$WORK/podman
	PODMAN_HOOKS=$PODMAN_DIR/hooks.d
	PODMAN_CONF=$PODMAN_DIR/containers.conf
	PODMAN_HAD=$(ls -d "${PODMAN_FIXED[@]}" 2>/dev/null)
	PODMAN_HAD_CGROUPS=$(podman_cgroups)
	mkdir -p "$PODMAN_HOOKS" "$PODMAN_DIR/tmp"
	chmod 0711 "$PODMAN_DIR"
	podman_write_conf
	export CONTAINERS_CONF=$PODMAN_CONF CONTAINERS_STORAGE_CONF=$PODMAN_DIR/storage.conf
	export TMPDIR=$PODMAN_DIR/tmp
	# For --userns=auto. In this namespace only.
	echo containers:2147483647:2147483648 | tee -a /etc/subuid >>/etc/subgid
	at_exit podman_end
}

# The hard limits stand in default_ulimits, because raising them needs CAP_SYS_RESOURCE, which not
# every machine gives its root. lock_type: the default is one piece of /dev/shm for all of a user.
podman_write_conf() {
	cat >"$PODMAN_CONF" <<-CONF
		[containers]
		default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
		netns = "none"
		[engine]
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		hooks_dir = ["$PODMAN_HOOKS"]
		lock_type = "file"
		runtime = "${CONTAINER_RUNTIME:-runc}"
		stop_timeout = 1
		tmp_dir = "$PODMAN_DIR/libpod"
		volume_path = "$PODMAN_DIR/volumes"
		[network]
		network_config_dir = "$PODMAN_DIR/networks"
	CONF
	cat >"$PODMAN_DIR/storage.conf" <<-CONF
		[storage]
		driver = "overlay"
		graphroot = "$PODMAN_DIR/storage"
		runroot = "$PODMAN_DIR/run"
	CONF
}

# podman_image NAME [bundle option...]: imports a busybox image; the options are bundle.py's and
# change its files (--file, --dir)
podman_image() {
	local name=$1 folder
	shift
	folder=$(mktemp -d -p "$PODMAN_DIR")
	busybox_tar "$folder/image.tar" "$@" || bail "the image $name cannot be made"
	podman import -q "$folder/image.tar" "$name" >"$folder/log" 2>&1 ||
		bail "podman import: $(cat "$folder/log")"
	rm -rf "$folder"
}

# podman_hook ARGUMENT...: a hooks.d file as `phial setup podman` writes it, for $HOOK, with these
# arguments besides (the run folder of a test's agent)
podman_hook() {
	python3 - "$HOOK" "$@" >"$PODMAN_HOOKS/50-phial.json" <<-'PYTHON'
		import json, sys
		json.dump({"version": "1.0.0",
		           "hook": {"path": sys.argv[1], "args": ["phial-hook"] + sys.argv[2:],
		                    "env": [], "timeout": 20},
		           "when": {"hasBindMounts": True}, "stages": ["createRuntime"]}, sys.stdout)
	PYTHON
}

# Processes of this Podman: what runs beside and after its commands (conmon, cleaners).
podman_processes() {
	local file
	for file in /proc/[0-9]*/cmdline; do
		grep -Fqs "$PODMAN_DIR/" "$file" || continue
		file=${file%/cmdline}
		file=${file#/proc/}
		case $(cat "/proc/$file/comm" 2>/dev/null) in
		conmon | podman | catatonit | 3) echo "$file" ;;
		esac
	done
}

# Podman's folders in the cgroup trees; another Podman may be using them.
podman_cgroups() { find /sys/fs/cgroup -maxdepth 2 -type d -name libpod_parent 2>/dev/null; }

podman_is_quiet() { [ -z "$(podman_processes)" ]; }

# All pods and containers are removed; what does not go is killed by its process id.
podman_end() {
	local folder
	podman pod rm -fa -t 0 >/dev/null 2>&1
	podman rm -fa -t 0 >/dev/null 2>&1
	if ! within 10 podman_is_quiet; then
		# shellcheck disable=SC2046
		kill -KILL $(podman_processes) 2>/dev/null
	fi
	[ -n "$PODMAN_HAD_CGROUPS" ] || podman_cgroups | while read -r folder; do
		find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null
	done
	for folder in "${PODMAN_FIXED[@]}"; do
		grep -Fxq "$folder" <<<"$PODMAN_HAD" && continue
		[ "$folder" != /var/lib/containers/cache ] || rm -f "$folder"/*
		rmdir "$folder" 2>/dev/null
	done
}
