/* SPDX-License-Identifier: ISC */
/*
 * Taking a secrets mount back from a running container, by its path there: a writable clone, if
 * what is mounted there is still the one filesystem that it was. Mounts nothing, changes nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "mount/enter.h"
#include "mount/generation_internal.h"
#include "mount/mount.h"
#include "mount/place.h"
#include "mount/sys.h"

#define DIRECTORY_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)

static enum phial_status find_failure(const char *path, struct phial_error *err)
{
	switch (errno) {
	case ENOENT:
		return phial_fail(err, PHIAL_REFUSED, 0, "%s is not there any more", path);
	case ELOOP:
		return phial_fail(err, PHIAL_REFUSED, 0, "a symbolic link is in the way to %s",
				  path);
	case ENOTDIR:
		return phial_fail(err, PHIAL_REFUSED, 0, "%s is no directory any more", path);
	default:
		return phial_fail(err, PHIAL_SYSTEM, errno, "open %s of the container", path);
	}
}

/*
 * Open the target in the namespace that was entered. From the namespace's root, as when it was
 * attached; the container's process may have another one by now.
 */
static enum phial_status open_target(const char *path, int *ret_fd, struct phial_error *err)
{
	struct phial_place place;
	phial_auto_fd int root_fd = open("/", DIRECTORY_FLAGS);

	if (root_fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "open the container's root");
	}
	phial_auto_fd int fd =
		sys_openat2(root_fd, path, DIRECTORY_FLAGS, 0,
			    RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);

	if (fd < 0) {
		return find_failure(path, err);
	}
	if (!phial_place_look(fd, "", &place)) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "look at %s of the container", path);
	}
	if (!place.is_mount_root) {
		return phial_fail(err, PHIAL_REFUSED, 0, "nothing is mounted at %s any more", path);
	}
	*ret_fd = phial_take_fd(&fd);
	return PHIAL_OK;
}

/*
 * Its own filesystem and no other. Device and inode numbers of a ramfs are given again; but no
 * container's user can own a root directory as the agent does.
 */
static enum phial_status check_identity(int fd, const char *path,
					const struct phial_mount_identity *identity,
					struct phial_error *err)
{
	struct phial_mount_identity found;
	struct stat root;
	enum phial_status status = phial_mount_identify(fd, &found, err);

	if (status == PHIAL_SYSTEM) {
		return status;
	}
	if (status != PHIAL_OK || !phial_mount_is_same(&found, identity)) {
		return phial_fail(err, PHIAL_REFUSED, 0, "another filesystem is mounted at %s",
				  path);
	}
	if (fstat(fd, &root) != 0 || root.st_uid != geteuid() ||
	    (root.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		return phial_fail(err, PHIAL_REFUSED, 0, "the directory %s is not the agent's",
				  path);
	}
	return PHIAL_OK;
}

/* A directory "..12", or a link. */
static bool is_ours(const struct dirent *entry)
{
	uint32_t number;

	return entry->d_type == DT_LNK || strcmp(entry->d_name, ".") == 0 ||
	       strcmp(entry->d_name, "..") == 0 ||
	       (entry->d_type == DT_DIR && phial_generation_parse_name(entry->d_name, &number));
}

/*
 * Who asks may be a worker that was taken over, and the record its own: a service's /run or a
 * container's /dev, which are root's and in memory, too, must not be written to, or wiped. What
 * phial has made holds generations and links, and nothing else (generation.h).
 */
static enum phial_status check_layout(int fd, const char *path, struct phial_error *err)
{
	DIR *directory = phial_generation_open_names(fd, ".");
	const struct dirent *entry = NULL;

	if (!directory) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "read %s", path);
	}
	do {
		errno = 0;
		entry = readdir(directory);
	} while (entry && is_ours(entry));
	bool has_failed = !entry && errno != 0;
	bool is_foreign = entry != NULL;

	closedir(directory);
	if (has_failed) {
		return phial_fail(err, PHIAL_SYSTEM, 0, "read %s", path);
	}
	return is_foreign ? phial_fail(err, PHIAL_REFUSED, 0, "%s holds files of others", path)
			  : PHIAL_OK;
}

/* What a clone must be before anything is written through it: writable, and no way out of it. */
static enum phial_status check_clone(int fd, const char *path, struct phial_error *err)
{
	struct phial_place root;
	struct phial_place above;
	struct statfs found;

	if (fstatfs(fd, &found) != 0 || ((uint64_t)found.f_flags & ST_RDONLY) != 0) {
		return phial_fail(err, PHIAL_REFUSED, 0, "the filesystem at %s is read-only", path);
	}
	if (!phial_place_look(fd, "", &root) || !phial_place_look(fd, "..", &above) ||
	    root.mount_id != above.mount_id || !phial_place_is_same_file(&root, &above)) {
		return phial_fail(err, PHIAL_REFUSED, 0, "the clone of %s has a way out", path);
	}
	return PHIAL_OK;
}

static enum phial_status clone_target(int fd, const char *path,
				      const struct phial_mount_identity *identity, int *ret_fd,
				      struct phial_error *err)
{
	const struct mount_attr writable = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
		.attr_clr = MOUNT_ATTR_RDONLY,
		.propagation = MS_PRIVATE,
	};
	phial_auto_fd int clone_fd =
		sys_open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (clone_fd < 0 || sys_mount_setattr(clone_fd, "", AT_EMPTY_PATH, &writable) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "clone the mount at %s", path);
	}
	enum phial_status status = check_identity(clone_fd, path, identity, err);

	if (status == PHIAL_OK) {
		status = check_clone(clone_fd, path, err);
	}
	if (status == PHIAL_OK) {
		status = check_layout(clone_fd, path, err);
	}
	if (status == PHIAL_OK) {
		*ret_fd = phial_take_fd(&clone_fd);
	}
	return status;
}

enum phial_status phial_target_recover(const struct phial_target *target, const char *path,
				       const struct phial_mount_identity *identity, int *ret_fd,
				       struct phial_error *err)
{
	phial_auto_fd int fd = -1;
	enum phial_status status = phial_target_enter(target, err);

	if (status == PHIAL_OK) {
		status = open_target(path, &fd, err);
	}
	if (status == PHIAL_OK) {
		status = check_identity(fd, path, identity, err);
	}
	if (status == PHIAL_OK && !phial_target_has_to_itself(target, identity->device)) {
		status = phial_fail(err, PHIAL_REFUSED, 0,
				    "the filesystem at %s is mounted on the host", path);
	}
	return status == PHIAL_OK ? clone_target(fd, path, identity, ret_fd, err) : status;
}
