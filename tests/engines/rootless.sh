# SPDX-License-Identifier: ISC
# An ordinary user of a test's own, with subordinate ids, a rootless Podman and phial's programs.
# Its lines in /etc/passwd, /etc/subuid and /etc/subgid stand in a mount namespace of the test's own.
#
#	. "$ROOT/tests/engines/rootless.sh"
#	need_root
#	rootless_setup "$@"        # before anything else is started
#	rootless_image bb
#	as_user podman run --rm bb echo hi
#
# Set here: ROOTLESS_UID, ROOTLESS_NAME, USER_HOME, USER_RUN (XDG_RUNTIME_DIR), AS_USER (the words
# before a command of the user).
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
	need podman busybox newuidmap newgidmap setpriv
	own_mount_namespace "$@"
	USER_HOME=$WORK/user
	USER_RUN=$WORK/user-run
	AS_USER=(setpriv --reuid "$ROOTLESS_UID" --regid "$ROOTLESS_UID" --clear-groups
		--inh-caps=-all -- env -i -C / PATH="$WORK/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
		LC_ALL=C HOME="$USER_HOME" USER="$ROOTLESS_NAME" XDG_RUNTIME_DIR="$USER_RUN"
		TMPDIR="$USER_HOME/tmp")
	mkdir "$USER_HOME" "$USER_RUN" "$WORK/bin"
	chown "$ROOTLESS_UID:$ROOTLESS_UID" "$USER_HOME" "$USER_RUN"
	chmod 0700 "$USER_HOME" "$USER_RUN"
	# The build may lie where only its owner gets.
	install -m 755 "$PHIAL" "$PHIALD" "$HOOK" "$WORK/bin"
	echo "$ROOTLESS_NAME:x:$ROOTLESS_UID:$ROOTLESS_UID::$USER_HOME:/bin/sh" >>/etc/passwd
	echo "$ROOTLESS_NAME:x:$ROOTLESS_UID:" >>/etc/group
	rootless_add_subids
	as_user unshare -Ur true 2>/dev/null || skip_all "ordinary users get no user namespace here"
	rootless_write_conf
	at_exit rootless_end
}

rootless_add_subids() {
	echo "$ROOTLESS_NAME:$ROOTLESS_SUBID:65536" | tee -a /etc/subuid >>/etc/subgid
}

rootless_remove_subids() { sed -i "/^$ROOTLESS_NAME:/d" /etc/subuid /etc/subgid; }

as_user() { "${AS_USER[@]}" "$@"; }

# The user's own files, where Podman looks for them. Limits as in podman.sh; cgroup_manager and
# events_logger because a test's user has no session with systemd. Storage and state lie below HOME
# and XDG_RUNTIME_DIR by themselves.
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
	printf '[storage]\ndriver = "overlay"\n' >"$folder/storage.conf"
}

# rootless_image NAME: a busybox image for the user
rootless_image() {
	busybox_tar "$WORK/image.tar" || bail "the image $1 cannot be made"
	chmod 0644 "$WORK/image.tar"
	as_user podman import -q "$WORK/image.tar" "$1" >"$WORK/import.log" 2>&1 ||
		bail "podman import: $(cat "$WORK/import.log")"
	rm "$WORK/image.tar"
}

# What runs under the user's or its subordinate ids.
rootless_processes() {
	local folder uid
	for folder in /proc/[0-9]*; do
		uid=$(stat -c %u "$folder" 2>/dev/null) || continue
		if [ "$uid" -eq "$ROOTLESS_UID" ] || { [ "$uid" -ge "$ROOTLESS_SUBID" ] &&
			[ "$uid" -lt $((ROOTLESS_SUBID + 65536)) ]; }; then
			[ "$(awk '$1 == "State:" { print $2 }' "$folder/status" 2>/dev/null)" = Z ] ||
				echo "${folder#/proc/}"
		fi
	done
}

rootless_is_quiet() { [ -z "$(rootless_processes)" ]; }

# Containers first; then the process that keeps the user's namespaces, and what else is left: all
# of this user's are the test's.
rootless_end() {
	local pid
	as_user podman rm --all --force --time 0 >/dev/null 2>&1
	for pid in $(rootless_processes); do
		kill -KILL "$pid" 2>/dev/null
	done
	within 5 rootless_is_quiet
}
