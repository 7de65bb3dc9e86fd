/* SPDX-License-Identifier: ISC */
/*
 * Telling one filesystem in memory from another: an agent that comes after the one that made it
 * must not write into any other. Trusts nothing that a container can choose.
 */
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "mount/mount.h"

enum phial_status phial_mount_identify(int fd, struct phial_mount_identity *ret_identity,
				       struct phial_error *err)
{
	struct stat root;
	struct statfs found;

	if (fstat(fd, &root) != 0 || fstatfs(fd, &found) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "look at the secrets mount");
	}
	if (!S_ISDIR(root.st_mode) ||
	    (found.f_type != TMPFS_MAGIC && found.f_type != RAMFS_MAGIC)) {
		return phial_fail(err, PHIAL_REFUSED, 0, "the mount for the secrets is no memory");
	}
	_Static_assert(sizeof(found.f_fsid) == sizeof(ret_identity->fsid), "f_fsid is 64 bits");
	ret_identity->device = root.st_dev;
	ret_identity->inode = root.st_ino;
	memcpy(&ret_identity->fsid, &found.f_fsid, sizeof(ret_identity->fsid));
	return PHIAL_OK;
}

bool phial_mount_is_same(const struct phial_mount_identity *a, const struct phial_mount_identity *b)
{
	return a->device != 0 && a->device == b->device && a->fsid == b->fsid &&
	       a->inode == b->inode;
}
