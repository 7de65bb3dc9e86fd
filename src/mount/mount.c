/* SPDX-License-Identifier: ISC */
/*
 * Making the secrets mount, and detached clones of directories. All of it stays outside every
 * mount table but the caller's own private one. Attaches nothing: that is attach.c's.
 */
#include "mount/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "mount/place.h"
#include "mount/sys.h"

#define SAFE_ATTRIBUTES (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

const char *phial_mount_kind_text(enum phial_mount_kind kind)
{
	switch (kind) {
	case PHIAL_MOUNT_TMPFS_NOSWAP:
		return "tmpfs (noswap)";
	case PHIAL_MOUNT_RAMFS:
		return "ramfs";
	default:
		return "unknown";
	}
}

/* Ask for a tmpfs that is never swapped, before any other option. */
static bool set_noswap(int fs_fd)
{
	return sys_fsconfig(fs_fd, FSCONFIG_SET_FLAG, "noswap", NULL) == 0;
}

enum phial_mount_kind phial_mount_best_kind(void)
{
	phial_auto_fd int fs_fd = sys_fsopen("tmpfs", FSOPEN_CLOEXEC);

	return fs_fd >= 0 && set_noswap(fs_fd) ? PHIAL_MOUNT_TMPFS_NOSWAP : PHIAL_MOUNT_RAMFS;
}

/* The limits, which ramfs would ignore in silence. Returns the option that failed, or NULL. */
static const char *set_tmpfs_options(int fs_fd, const struct phial_mount_options *options)
{
	char number[24];

	(void)snprintf(number, sizeof(number), "%" PRIu64, options->size_bytes);
	if (sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, "size", number) != 0) {
		return "size";
	}
	(void)snprintf(number, sizeof(number), "%" PRIu32, options->inodes);
	if (sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, "nr_inodes", number) != 0) {
		return "nr_inodes";
	}
	/* A kernel without huge pages refuses the option, and needs it as little. */
	(void)sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, "huge", "never");
	return NULL;
}

/*
 * Try one kind. Returns a mount descriptor; or -1, errno and the step that failed. The file
 * system type and every key are constants; of the request only numbers and the label go in.
 */
static int try_kind(enum phial_mount_kind kind, const struct phial_mount_options *options,
		    const char **ret_step)
{
	bool is_ramfs = kind == PHIAL_MOUNT_RAMFS;
	phial_auto_fd int fs_fd = sys_fsopen(is_ramfs ? "ramfs" : "tmpfs", FSOPEN_CLOEXEC);

	*ret_step = "fsopen";
	if (fs_fd < 0) {
		return -1;
	}
	*ret_step = "noswap";
	if (kind == PHIAL_MOUNT_TMPFS_NOSWAP && !set_noswap(fs_fd)) {
		return -1;
	}
	*ret_step = is_ramfs ? NULL : set_tmpfs_options(fs_fd, options);
	if (*ret_step) {
		return -1;
	}
	*ret_step = "mode";
	if (sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, "mode", "0755") != 0) {
		return -1;
	}
	*ret_step = "context (SELinux mount label)";
	if (options->mount_label && options->mount_label[0] != '\0' &&
	    sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, "context", options->mount_label) != 0) {
		return -1;
	}
	*ret_step = "create";
	if (sys_fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL) != 0) {
		return -1;
	}
	*ret_step = "fsmount";
	return sys_fsmount(fs_fd, FSMOUNT_CLOEXEC, SAFE_ATTRIBUTES);
}

/* Of the kinds, neither can be swapped out: a plain tmpfs could, and is no third choice. */
enum phial_status phial_mount_make(const struct phial_mount_options *options, int *ret_fd,
				   enum phial_mount_kind *ret_kind, struct phial_error *err)
{
	static const enum phial_mount_kind kinds[] = { PHIAL_MOUNT_TMPFS_NOSWAP,
						       PHIAL_MOUNT_RAMFS };

	for (size_t i = 0; i < PHIAL_COUNT(kinds); i++) {
		const char *step;
		int fd = try_kind(kinds[i], options, &step);

		if (fd >= 0) {
			*ret_fd = fd;
			*ret_kind = kinds[i];
			return PHIAL_OK;
		}
		/* Only a missing feature leads to the next kind; anything else is an error. */
		bool is_missing = (errno == EINVAL || errno == ENODEV) &&
				  strcmp(step, i == 0 ? "noswap" : "fsopen") == 0;

		if (!is_missing) {
			return phial_fail(err, PHIAL_SYSTEM, errno, "make a %s: %s",
					  phial_mount_kind_text(kinds[i]), step);
		}
	}
	return phial_fail(err, PHIAL_UNSUPPORTED, 0,
			  "neither tmpfs with noswap (Linux 6.4) nor ramfs is to be had here, and "
			  "secrets do not go into memory that can be swapped out");
}

/* Private, so that what is attached to the root here appears nowhere else. */
static enum phial_status enter_own_namespace(struct phial_error *err)
{
	const struct mount_attr private = { .propagation = MS_PRIVATE };

	if (unshare(CLONE_NEWNS) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "make a mount namespace");
	}
	if (sys_mount_setattr(AT_FDCWD, "/", 0, &private) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno,
				  errno == EINVAL ? "/ is no mount point (a chroot?)"
						  : "make / private (Linux 5.12 is needed)");
	}
	return PHIAL_OK;
}

enum phial_status phial_mount_create(const struct phial_mount_options *options, int *ret_rw_fd,
				     int *ret_ro_fd, enum phial_mount_kind *ret_kind,
				     struct phial_error *err)
{
	const unsigned int clone_flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
	const struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	phial_auto_fd int original_fd = -1;
	enum phial_mount_kind kind = PHIAL_MOUNT_TMPFS_NOSWAP;
	enum phial_status status = phial_mount_make(options, &original_fd, &kind, err);

	if (status == PHIAL_OK) {
		status = enter_own_namespace(err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	/* Before Linux 6.15 only what is attached can be cloned; the original goes no further. */
	if (sys_move_mount(original_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "attach the mount in private");
	}
	phial_auto_fd int rw_fd = sys_open_tree(original_fd, "", clone_flags);
	phial_auto_fd int ro_fd = sys_open_tree(original_fd, "", clone_flags);

	if (rw_fd < 0 || ro_fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "clone the mount");
	}
	if (sys_mount_setattr(ro_fd, "", AT_EMPTY_PATH, &read_only) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "make the clone read-only");
	}
	*ret_rw_fd = phial_take_fd(&rw_fd);
	*ret_ro_fd = phial_take_fd(&ro_fd);
	*ret_kind = kind;
	return PHIAL_OK;
}

enum phial_status phial_mount_clone_directory(const char *path, bool is_read_only, int *ret_fd,
					      struct phial_error *err)
{
	const struct mount_attr attributes = {
		.attr_set = SAFE_ATTRIBUTES | (is_read_only ? MOUNT_ATTR_RDONLY : 0),
		.propagation = MS_PRIVATE,
	};
	struct phial_place place;
	phial_auto_fd int fd = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0) {
		return phial_fail(err, errno == ENOENT ? PHIAL_NOT_FOUND : PHIAL_SYSTEM, errno,
				  "open the directory %s", path);
	}
	if (!phial_place_look(fd, "", &place)) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "%s", path);
	}
	if (!place.is_directory) {
		return phial_fail(err, PHIAL_SYSTEM, ENOTDIR, "%s", path);
	}
	if (sys_mount_setattr(fd, "", AT_EMPTY_PATH, &attributes) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "restrict the clone of %s", path);
	}
	/* A clone's descriptor is O_PATH; one that can be read and synced keeps the mount as well. */
	*ret_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "open the clone of %s", path);
	}
	return PHIAL_OK;
}
