/* SPDX-License-Identifier: ISC */
/*
 * Attaching one mount in a container's mount namespace. Below the container's
 * root everything is the image author's: it is walked one component at a time, through
 * descriptors only, following no link. Makes no file system and reads no file of the image.
 */
#include "mount/mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "base/parse.h"
#include "mount/enter.h"
#include "mount/place.h"
#include "mount/sys.h"

#define COMPONENT_BYTES 256
#define DIRECTORY_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)
#define INSIDE		(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

/* What the walk carries from step to step. */
struct walk {
	const struct phial_target *target;
	const char *path; /* the target, for messages */
	uint64_t root_mount_id;
	int fd; /* the directory reached */
};

/*
 * The container's root. Before the runtime's pivot_root() it lies at its path on the host, which
 * is the engine's and may hold links; it must be a mount's root, and not the host's.
 */
static enum phial_status open_root(const struct phial_target *target, const char *rootfs,
				   struct walk *walk, struct phial_error *err)
{
	const char *path = target->is_pivoted ? "/" : rootfs;
	struct phial_place root;
	struct phial_place top;

	walk->fd = sys_openat2(AT_FDCWD, path, DIRECTORY_FLAGS, 0, RESOLVE_NO_MAGICLINKS);
	if (walk->fd < 0) {
		return phial_fail(err, errno == ENOENT ? PHIAL_GONE : PHIAL_SYSTEM, errno,
				  "open the container's root %s", path);
	}
	if (!phial_place_look(walk->fd, "", &root) || !phial_place_look(AT_FDCWD, "/", &top)) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "look at the container's root %s",
				  path);
	}
	if (!root.is_mount_root) {
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "the container's root %s is not a mount point", path);
	}
	if (!target->is_pivoted && root.mount_id == top.mount_id) {
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "the container's root %s is the host's own root", path);
	}
	if (target->is_pivoted) {
		struct phial_place its;

		/* One that has changed its root meant other paths than those that are mounted at. */
		if (!phial_place_look(target->process_fd, "root", &its)) {
			return phial_fail(err, errno == ENOENT ? PHIAL_GONE : PHIAL_SYSTEM, errno,
					  "look at the root of process %d", (int)target->pid);
		}
		if (its.mount_id != root.mount_id || !phial_place_is_same_file(&its, &root)) {
			return phial_fail(
				err, PHIAL_REFUSED, 0,
				"process %d has another root than its container (a chroot)",
				(int)target->pid);
		}
	}
	walk->root_mount_id = root.mount_id;
	return PHIAL_OK;
}

static enum phial_status step_failure(const struct walk *walk, const char *name,
				      struct phial_error *err)
{
	switch (errno) {
	case ELOOP:
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "target %s: \"%s\" is a symbolic link in the image", walk->path,
				  name);
	case ENOTDIR:
		return phial_fail(err, PHIAL_REFUSED, 0, "target %s: \"%s\" is not a directory",
				  walk->path, name);
	case EXDEV:
		return phial_fail(err, PHIAL_REFUSED, 0, "target %s: \"%s\" leads outside",
				  walk->path, name);
	default:
		return phial_fail(err, PHIAL_SYSTEM, errno, "target %s: \"%s\"", walk->path, name);
	}
}

static bool is_memory(int fd, bool *ret_is_read_only)
{
	struct statfs found;

	if (fstatfs(fd, &found) != 0) {
		return false;
	}
	*ret_is_read_only = ((uint64_t)found.f_flags & ST_RDONLY) != 0;
	return found.f_type == TMPFS_MAGIC || found.f_type == RAMFS_MAGIC;
}

/*
 * True for a tmpfs that nobody has mounted on the host: engines give containers with a read-only
 * root one on /run. Asked of memory only, because elsewhere a device number may not say it.
 */
static bool is_container_memory(const struct walk *walk, const struct phial_place *place,
				bool *ret_is_read_only)
{
	return is_memory(walk->fd, ret_is_read_only) &&
	       phial_target_has_to_itself(walk->target, place->device);
}

/*
 * What engines themselves do for their mount points before they make a root read-only: the flag is
 * the mount's, not the file system's, and a clone of the mount has its own. Not before the pivot:
 * what is read-only then was made so on the host.
 */
static int make_on_read_only_mount(int dir_fd, const char *name)
{
	const struct mount_attr writable = { .attr_clr = MOUNT_ATTR_RDONLY };
	phial_auto_fd int clone_fd =
		sys_open_tree(dir_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (clone_fd < 0 || sys_mount_setattr(clone_fd, "", AT_EMPTY_PATH, &writable) != 0) {
		errno = EROFS;
		return -1;
	}
	return mkdirat(clone_fd, name, 0755);
}

/* Make a missing directory, but only where nothing is the host's. */
static enum phial_status make_directory(const struct walk *walk, const char *name,
					struct phial_error *err)
{
	struct phial_place place;
	bool is_read_only;

	if (!phial_place_look(walk->fd, "", &place)) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "target %s", walk->path);
	}
	if (place.mount_id != walk->root_mount_id &&
	    !is_container_memory(walk, &place, &is_read_only)) {
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "target %s: \"%s\" does not exist and lies on a volume; make it "
				  "there, or grant by a bind mount on the target",
				  walk->path, name);
	}
	mode_t before = umask(0);
	int failed = mkdirat(walk->fd, name, 0755);

	if (failed != 0 && errno == EROFS && walk->target->is_pivoted) {
		failed = make_on_read_only_mount(walk->fd, name);
	}
	umask(before);
	if (failed != 0 && errno == EROFS) {
		return phial_fail(
			err, PHIAL_REFUSED, 0,
			"target %s: \"%s\" does not exist on a read-only file system; make "
			"it in the image, mount a tmpfs there, or grant by a bind mount on "
			"the target",
			walk->path, name);
	}
	if (failed != 0 && errno != EEXIST) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "target %s: make \"%s\" in the image",
				  walk->path, name);
	}
	return PHIAL_OK;
}

/* One component down. Whoever swaps it meanwhile gains nothing: only the descriptor counts. */
static enum phial_status step_into(struct walk *walk, const char *name, struct phial_error *err)
{
	int fd = sys_openat2(walk->fd, name, DIRECTORY_FLAGS, 0, INSIDE);

	if (fd < 0 && errno == ENOENT) {
		enum phial_status status = make_directory(walk, name, err);

		if (status != PHIAL_OK) {
			return status;
		}
		fd = sys_openat2(walk->fd, name, DIRECTORY_FLAGS, 0, INSIDE);
	}
	if (fd < 0) {
		return step_failure(walk, name, err);
	}
	phial_close_fd(&walk->fd);
	walk->fd = fd;
	return PHIAL_OK;
}

static enum phial_status walk_to_target(struct walk *walk, struct phial_error *err)
{
	const char *next = walk->path;

	if (next[0] != '/' || next[1] == '\0') {
		return phial_fail(err, PHIAL_REFUSED, 0, "target \"%s\" is not a path below /",
				  walk->path);
	}
	while (*next != '\0') {
		char name[COMPONENT_BYTES];
		struct phial_span part = { next + 1, strcspn(next + 1, "/") };

		if (part.length == 0 || phial_span_is(part, ".") || phial_span_is(part, "..") ||
		    !phial_span_copy(part, name, sizeof(name))) {
			return phial_fail(err, PHIAL_REFUSED, 0,
					  "target \"%s\" is not a normalised path", walk->path);
		}
		enum phial_status status = step_into(walk, name, err);

		if (status != PHIAL_OK) {
			return status;
		}
		next += 1 + part.length;
	}
	return PHIAL_OK;
}

static enum phial_status check_empty(const struct walk *walk, struct phial_error *err)
{
	int fd = openat(walk->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;

	if (!directory) {
		int reason = errno;

		phial_close_fd(&fd);
		return phial_fail(err, PHIAL_SYSTEM, reason, "target %s", walk->path);
	}
	/* "." and ".." and one more are enough to know. */
	int names = 0;

	while (names < 3 && readdir(directory)) {
		names++;
	}
	closedir(directory);
	if (names > 2) {
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "target %s is not empty: its files would be hidden (policy "
				  "\"over\" allows that)",
				  walk->path);
	}
	return PHIAL_OK;
}

/* Anything mounted on a shared mount would appear on the host, and stay there. */
static enum phial_status check_not_shared(const struct walk *walk, uint64_t mount_id,
					  struct phial_error *err)
{
	phial_auto_free uint8_t *text = NULL;
	size_t length;
	bool is_shared;

	enum phial_status status =
		phial_target_read_mountinfo(walk->target->mountinfo_fd, &text, &length, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (!phial_mountinfo_find((const char *)text, length, mount_id, &is_shared)) {
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "target %s: its mount is not in the container's mount table",
				  walk->path);
	}
	if (is_shared) {
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "target %s lies on a shared mount: the secrets would appear on "
				  "the host; use private or slave propagation",
				  walk->path);
	}
	return PHIAL_OK;
}

/* What secrets leave behind that were wiped: nothing is in it, and nobody could put anything. */
static bool is_spent(const struct walk *walk, const struct phial_place *place)
{
	bool is_read_only = false;

	return is_container_memory(walk, place, &is_read_only) && is_read_only &&
	       check_empty(walk, NULL) == PHIAL_OK;
}

static enum phial_status check_target(const struct walk *walk,
				      const struct phial_attach_options *options,
				      struct phial_error *err)
{
	const struct phial_place grant = { .device = options->grant_device,
					   .inode = options->grant_inode };
	struct phial_place place;

	if (!phial_place_look(walk->fd, "", &place)) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "look at target %s", walk->path);
	}
	bool is_grant =
		place.is_mount_root && grant.inode != 0 && phial_place_is_same_file(&place, &grant);
	enum phial_status status = PHIAL_OK;

	if (!options->may_over && !is_grant && !(place.is_mount_root && is_spent(walk, &place))) {
		status = place.is_mount_root
				 ? phial_fail(err, PHIAL_REFUSED, 0,
					      "target %s: something else is mounted there (policy "
					      "\"over\" allows to hide it)",
					      walk->path)
				 : check_empty(walk, err);
	}
	if (status == PHIAL_OK) {
		status = check_not_shared(walk, place.mount_id, err);
	}
	return status;
}

enum phial_status phial_target_attach(const struct phial_target *target, int mount_fd,
				      const struct phial_attach_options *options,
				      struct phial_error *err)
{
	struct walk walk = { .target = target, .path = options->path, .fd = -1 };
	enum phial_status status = phial_target_enter(target, err);

	if (status == PHIAL_OK) {
		status = open_root(target, options->rootfs, &walk, err);
	}
	if (status == PHIAL_OK) {
		status = walk_to_target(&walk, err);
	}
	if (status == PHIAL_OK) {
		status = check_target(&walk, options, err);
	}
	if (status == PHIAL_OK &&
	    sys_move_mount(mount_fd, "", walk.fd, "",
			   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
		/* ENOENT: the directory was removed after it was opened. */
		status = phial_fail(err, errno == ENOENT ? PHIAL_REFUSED : PHIAL_SYSTEM, errno,
				    "attach the secrets at %s", walk.path);
	}
	phial_close_fd(&walk.fd);
	return status;
}
