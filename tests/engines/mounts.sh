# SPDX-License-Identifier: ISC
# A mount namespace of a test's own, for engines that have fixed paths (/etc/cdi, /etc/subuid,
# /etc/docker) and for crun on hosts whose cgroups it refuses.
#
#	. "$ROOT/tests/engines/mounts.sh"
#	need_root
#	own_mount_namespace "$@"      # before anything is started or made
#
# shellcheck shell=bash disable=SC2154

# own_mount_namespace ARGUMENT...: the test begins again (arguments: its own) in a mount namespace
# in which what it writes to /etc goes to $WORK/etc, and crun finds no hybrid cgroups. Mounts that
# are made there are seen by nobody else, and end with the last process in it.
own_mount_namespace() {
	if [ "${PHIAL_TEST_MOUNTS:-}" != own ]; then
		rmdir "$WORK"
		PHIAL_TEST_MOUNTS=own exec unshare -m --propagation slave bash "$0" "$@"
	fi
	unset PHIAL_TEST_MOUNTS # a test that this one runs has a namespace of its own
	! cgroup_is_hybrid || umount /sys/fs/cgroup/unified || bail "cgroups stay hybrid"
	mkdir "$WORK/etc" "$WORK/etc.work"
	mount -t overlay overlay /etc \
		-o "lowerdir=/etc,upperdir=$WORK/etc,workdir=$WORK/etc.work" || bail "no overlay on /etc"
}

# own_place DIR PATH: in that namespace, DIR is at a fixed PATH. An overlay makes a place that the
# machine does not have: nothing is made on it, since others may do the same at the same time.
own_place() {
	local above=$2
	while [ ! -d "$above" ]; do above=$(dirname "$above"); done
	if [ "$above" != "$2" ]; then
		mkdir -p "$WORK/over$above" "$WORK/over.work$above"
		mount -t overlay overlay "$above" -o \
			"lowerdir=$above,upperdir=$WORK/over$above,workdir=$WORK/over.work$above" &&
			mkdir -p "$2" || bail "no place at $2"
	fi
	mount --bind "$1" "$2" || bail "no mount on $2"
}
