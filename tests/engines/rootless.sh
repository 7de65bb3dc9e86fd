# SPDX-License-Identifier: ISC
# An ordinary user of a test's own, with subordinate ids and a rootless Podman. Its lines in
# /etc/passwd, /etc/subuid and /etc/subgid stand in a mount namespace of the test's own only.
#
#	. "$ROOT/tests/engines/rootless.sh"
#	need_root
#	rootless_setup "$@"        # before anything else is started
#	as_user podman run --rm bb echo hi
#
# Set here: ROOTLESS_UID, ROOTLESS_NAME, ROOTLESS_SUBID (the first of 65536), USER_HOME, USER_RUN
# (XDG_RUNTIME_DIR).
#
# shellcheck shell=bash disable=SC2034,SC2154

# shellcheck source=mounts.sh
. "$(dirname "${BASH_SOURCE[0]}")/mounts.sh"

# Numbers that no real user has, different in tests that run side by side: keys are counted by uid.
ROOTLESS_UID=$((1500000000 + $$))
ROOTLESS_SUBID=$((1600000000 + $$ % 1000 * 65536))
ROOTLESS_NAME=phialuser

# rootless_setup ARGUMENT...: the arguments are the test's own, which begins again in a mount
# namespace of its own (mounts.sh).
rootless_setup() {
	need podman newuidmap newgidmap setpriv
	own_mount_namespace "$@"
	USER_HOME=$WORK/user
	USER_RUN=$WORK/user-run
	mkdir "$USER_HOME" "$USER_RUN"
	chown "$ROOTLESS_UID:$ROOTLESS_UID" "$USER_HOME" "$USER_RUN"
	chmod 0700 "$USER_HOME" "$USER_RUN"
	echo "$ROOTLESS_NAME:x:$ROOTLESS_UID:$ROOTLESS_UID::$USER_HOME:/bin/sh" >>/etc/passwd
	echo "$ROOTLESS_NAME:x:$ROOTLESS_UID:" >>/etc/group
	echo "$ROOTLESS_NAME:$ROOTLESS_SUBID:65536" | tee -a /etc/subuid >>/etc/subgid
	as_user sh -c 'exec unshare -Ur true' 2>/dev/null ||
		skip_all "ordinary users get no user namespace here"
	rootless_write_conf
	at_exit rootless_end
}

# What a user has who logged in, and nothing of the test's own environment.
USER_ENVIRONMENT=()
as_user() {
	setpriv --reuid "$ROOTLESS_UID" --regid "$ROOTLESS_UID" --clear-groups --inh-caps=-all -- \
		env -i -C / PATH="$BUILD:/usr/bin:/bin:/usr/sbin:/sbin" LC_ALL=C HOME="$USER_HOME" \
		USER="$ROOTLESS_NAME" XDG_RUNTIME_DIR="$USER_RUN" TMPDIR="$USER_HOME/tmp" \
		"${USER_ENVIRONMENT[@]+"${USER_ENVIRONMENT[@]}"}" "$@"
}

# The user's own files, where Podman looks for them. Limits as in podman.sh; cgroup_manager and
# events_logger because a test's user has no session with systemd.
rootless_write_conf() {
	local folder=$USER_HOME/.config/containers
	as_user mkdir -p "$folder" "$USER_HOME/tmp"
	cat >"$folder/containers.conf" <<-CONF
		[containers]
		default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
		netns = "none"
		[engine]
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		lock_type = "file"
		runtime = "runc"
		stop_timeout = 1
	CONF
	# runroot and tmp_dir below XDG_RUNTIME_DIR, graphroot below HOME: what Podman has by itself
	cat >"$folder/storage.conf" <<-CONF
		[storage]
		driver = "overlay"
	CONF
}

# rootless_image NAME: a busybox image for the user
rootless_image() {
	busybox_bundle "$WORK/image" || bail "the image $1 cannot be made"
	tar -C "$WORK/image/rootfs" -cf "$WORK/image.tar" . && chmod 0644 "$WORK/image.tar"
	as_user podman import -q "$WORK/image.tar" "$1" >"$WORK/import.log" 2>&1 ||
		bail "podman import: $(cat "$WORK/import.log")"
	rm -rf "$WORK/image" "$WORK/image.tar"
}

# Containers first, then the process that keeps the user's namespaces.
rootless_end() {
	local pid
	as_user podman rm --all --force --time 0 >/dev/null 2>&1
	pid=$(cat "$USER_RUN/libpod/tmp/pause.pid" 2>/dev/null)
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
	[ -z "$pid" ] || within 5 is_gone "$pid"
}
