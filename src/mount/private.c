/* SPDX-License-Identifier: ISC */
/*
 * Namespaces for one command of an ordinary user, and the secrets mount in them, at the path that
 * it has in production. Runs nothing, writes no secret, and changes nothing outside.
 */
#include "mount/private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/harden.h"
#include "base/io.h"
#include "mount/sys.h"

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef MS_SLAVE
#define MS_SLAVE (1 << 19)
#endif

#define DIRECTORY_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)
/* Where the covered directory goes in its cover. */
#define HIDDEN ".phial"

/* --- namespaces ------------------------------------------------------------------------- */

/* Switches that keep ordinary users out of user namespaces. */
static const struct {
	const char *file; /* below /proc/sys */
	const char *name;
	char off;
	const char *on;
} switches[] = {
	{ "user/max_user_namespaces", "user.max_user_namespaces", '0', "15000" },
	{ "kernel/unprivileged_userns_clone", "kernel.unprivileged_userns_clone", '0', "1" },
	{ "kernel/apparmor_restrict_unprivileged_userns",
	  "kernel.apparmor_restrict_unprivileged_userns", '1', "0" },
};

/* Is the value in a sysctl's file just this one digit? A file that is not there says no. */
static bool is_set_to(int sysctl_fd, const char *file, char digit)
{
	char text[16];
	phial_auto_fd int fd = openat(sysctl_fd, file, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd >= 0 ? read(fd, text, sizeof(text)) : -1;

	return length >= 1 && text[0] == digit && (length == 1 || text[1] == '\n');
}

enum phial_status phial_private_explain(const char *sysctl_dir, const char *step, int os_error,
					struct phial_error *err)
{
	phial_auto_fd int fd = open(sysctl_dir, DIRECTORY_FLAGS);

	for (size_t i = 0; i < PHIAL_COUNT(switches); i++) {
		if (is_set_to(fd, switches[i].file, switches[i].off)) {
			return phial_fail(err, PHIAL_UNSUPPORTED, 0,
					  "this system gives ordinary users no user namespace "
					  "(%s is %c); turn that on: sudo sysctl -w %s=%s",
					  switches[i].name, switches[i].off, switches[i].name,
					  switches[i].on);
		}
	}
	return phial_fail(err, PHIAL_UNSUPPORTED, os_error,
			  "%s for an own user namespace (in a container, its seccomp profile or "
			  "the engine may forbid it)",
			  step);
}

static int write_file(const char *path, const char *text)
{
	phial_auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

static int write_map(const char *path, unsigned int inside, unsigned int outside)
{
	char text[48];

	(void)snprintf(text, sizeof(text), "%u %u 1", inside, outside);
	return write_file(path, text);
}

enum phial_status phial_private_unshare_user(struct phial_error *err)
{
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
		return phial_private_explain("/proc/sys", "unshare", errno, err);
	}
	return PHIAL_OK;
}

enum phial_status phial_private_map_one(const struct phial_private_ids *inside,
					const struct phial_private_ids *outside,
					struct phial_error *err)
{
	/* Without "deny" nobody but root may map a group. */
	if (write_file("/proc/self/setgroups", "deny") != 0 ||
	    write_map("/proc/self/gid_map", inside->gid, outside->gid) != 0 ||
	    write_map("/proc/self/uid_map", inside->uid, outside->uid) != 0) {
		return phial_private_explain("/proc/sys", "map the user", errno, err);
	}
	return PHIAL_OK;
}

static enum phial_status make_user_namespace(struct phial_error *err)
{
	const struct phial_private_ids own = { geteuid(), getegid() };
	enum phial_status status = phial_private_unshare_user(err);

	return status == PHIAL_OK ? phial_private_map_one(&own, &own, err) : status;
}

static enum phial_status enter_user_namespace(struct phial_error *err)
{
	/* The files of a process that may not be dumped are root's, its maps among them. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "prctl PR_SET_DUMPABLE");
	}
	enum phial_status status = make_user_namespace(err);

	return status == PHIAL_OK ? phial_process_forbid_dump(err) : status;
}

enum phial_status phial_private_enter(struct phial_error *err)
{
	/* What the host mounts later still arrives; nothing goes back. */
	const struct mount_attr slave = { .propagation = MS_SLAVE };

	if (unshare(CLONE_NEWNS) != 0) {
		enum phial_status status = errno == EPERM ? enter_user_namespace(err)
							  : phial_fail(err, PHIAL_SYSTEM, errno,
								       "make a mount namespace");

		if (status != PHIAL_OK) {
			return status;
		}
	}
	if (sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &slave) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno,
				  errno == EINVAL ? "/ is no mount point (a chroot?)"
						  : "cut / off (Linux 5.12 is needed)");
	}
	return PHIAL_OK;
}

/* --- a place for the mount --------------------------------------------------------------- */

/* A target of which the last part does not exist. */
struct missing {
	const char *target;
	size_t length; /* of the part that does */
	int parent_fd;
	int cover_fd;
};

static enum phial_status target_failure(const struct missing *missing, const char *what,
					struct phial_error *err)
{
	return phial_fail(err, errno == EACCES ? PHIAL_DENIED : PHIAL_SYSTEM, errno,
			  "target %s: %s in %.*s", missing->target, what, (int)missing->length,
			  missing->target);
}

/* Find and open the last directory of the target that is there. */
static enum phial_status find_parent(struct missing *missing, struct phial_error *err)
{
	char path[PATH_MAX];

	if (strlen(missing->target) >= sizeof(path)) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "the target's path is too long");
	}
	(void)snprintf(path, sizeof(path), "%s", missing->target);
	do {
		char *slash = strrchr(path, '/');

		if (!slash || slash == path) {
			return phial_fail(err, PHIAL_REFUSED, 0,
					  "target %s: nothing of it exists here, and / cannot be "
					  "covered: make the directory once, or name another "
					  "target in policy.json",
					  missing->target);
		}
		*slash = '\0';
		missing->length = (size_t)(slash - path);
		missing->parent_fd = open(path, DIRECTORY_FLAGS);
	} while (missing->parent_fd < 0 && errno == ENOENT);
	return missing->parent_fd >= 0 ? PHIAL_OK : target_failure(missing, "look", err);
}

/* A directory for everybody, whatever the umask takes away. */
static int make_directory(int fd, const char *name)
{
	return mkdirat(fd, name, 0755) == 0 ? fchmodat(fd, name, 0755, 0) : -1;
}

/* Mount the cover over the parent, and the parent inside it. */
static enum phial_status mount_cover(struct missing *missing, struct phial_error *err)
{
	const struct phial_mount_options options = { .size_bytes = 1 << 20, .inodes = 1 << 20 };
	enum phial_mount_kind kind;
	phial_auto_fd int old_fd =
		sys_open_tree(missing->parent_fd, "",
			      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);

	if (old_fd < 0) {
		return target_failure(missing, "clone what is", err);
	}
	enum phial_status status = phial_mount_make(&options, &missing->cover_fd, &kind, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (sys_move_mount(missing->cover_fd, "", missing->parent_fd, "",
			   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0 ||
	    make_directory(missing->cover_fd, HIDDEN) != 0 ||
	    sys_move_mount(old_fd, "", missing->cover_fd, HIDDEN, MOVE_MOUNT_F_EMPTY_PATH) != 0) {
		return target_failure(missing, "mount", err);
	}
	return PHIAL_OK;
}

/* An entry that appears later has no link; one that is made anew, like a socket, is found. */
static int link_entry(int cover_fd, const char *name)
{
	char to[sizeof(HIDDEN "/") + NAME_MAX];

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, HIDDEN) == 0) {
		return 0;
	}
	(void)snprintf(to, sizeof(to), HIDDEN "/%s", name);
	return symlinkat(to, cover_fd, name);
}

static enum phial_status link_entries(const struct missing *missing, struct phial_error *err)
{
	int fd = openat(missing->cover_fd, HIDDEN, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	enum phial_status status = PHIAL_OK;

	if (!directory) {
		phial_close_fd(&fd);
		return target_failure(missing, "list what is", err);
	}
	while (status == PHIAL_OK && (entry = readdir(directory))) {
		if (link_entry(missing->cover_fd, entry->d_name) != 0) {
			status = target_failure(missing, "link what is", err);
		}
	}
	closedir(directory);
	return status;
}

/* Make the missing directories in the cover. */
static enum phial_status make_rest(const struct missing *missing, int *ret_fd,
				   struct phial_error *err)
{
	const char *rest = missing->target + missing->length;
	phial_auto_fd int fd = openat(missing->cover_fd, ".", DIRECTORY_FLAGS);

	while (fd >= 0 && *(rest += strspn(rest, "/")) != '\0') {
		char name[NAME_MAX + 1];
		size_t length = strcspn(rest, "/");

		if (length >= sizeof(name)) {
			errno = ENAMETOOLONG;
			return target_failure(missing, "make directories", err);
		}
		memcpy(name, rest, length);
		name[length] = '\0';
		rest += length;
		int next_fd =
			make_directory(fd, name) == 0 ? openat(fd, name, DIRECTORY_FLAGS) : -1;

		phial_close_fd(&fd);
		fd = next_fd;
	}
	if (fd < 0) {
		return target_failure(missing, "make directories", err);
	}
	*ret_fd = phial_take_fd(&fd);
	return PHIAL_OK;
}

static enum phial_status cover(struct missing *missing, int *ret_fd, struct phial_error *err)
{
	const struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	enum phial_status status = mount_cover(missing, err);

	if (status == PHIAL_OK) {
		status = link_entries(missing, err);
	}
	if (status == PHIAL_OK) {
		status = make_rest(missing, ret_fd, err);
	}
	/* A file that was made in the cover would be gone with it: better that making it fails. */
	if (status == PHIAL_OK &&
	    sys_mount_setattr(missing->cover_fd, "", AT_EMPTY_PATH, &read_only) != 0) {
		phial_close_fd(ret_fd);
		return target_failure(missing, "end changes", err);
	}
	return status;
}

static enum phial_status open_target(const char *target, int *ret_fd, size_t *ret_frozen_length,
				     struct phial_error *err)
{
	struct missing missing = { .target = target, .parent_fd = -1, .cover_fd = -1 };
	int fd = open(target, DIRECTORY_FLAGS);

	*ret_frozen_length = 0;
	if (fd >= 0) {
		*ret_fd = fd;
		return PHIAL_OK;
	}
	if (errno != ENOENT) {
		return phial_fail(err, errno == ENOTDIR ? PHIAL_REFUSED : PHIAL_SYSTEM, errno,
				  "target %s", target);
	}
	enum phial_status status = find_parent(&missing, err);

	if (status == PHIAL_OK) {
		bool is_writable = faccessat(missing.parent_fd, ".", W_OK, AT_EACCESS) == 0;

		status = cover(&missing, ret_fd, err);
		*ret_frozen_length = is_writable ? missing.length : 0;
	}
	phial_close_fd(&missing.parent_fd);
	phial_close_fd(&missing.cover_fd);
	return status;
}

enum phial_status phial_private_attach(const struct phial_mount_options *options,
				       const char *target, int *ret_rw_fd,
				       size_t *ret_frozen_length, struct phial_error *err)
{
	const struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	enum phial_mount_kind kind;
	phial_auto_fd int target_fd = -1;
	phial_auto_fd int mount_fd = -1;
	enum phial_status status = open_target(target, &target_fd, ret_frozen_length, err);

	if (status == PHIAL_OK) {
		status = phial_mount_make(options, &mount_fd, &kind, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	if (sys_move_mount(mount_fd, "", target_fd, "",
			   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "mount the secrets at %s", target);
	}
	/* Before Linux 6.15 only what is attached can be cloned. */
	phial_auto_fd int rw_fd =
		sys_open_tree(mount_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (rw_fd < 0 || sys_mount_setattr(mount_fd, "", AT_EMPTY_PATH, &read_only) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "make %s read-only", target);
	}
	*ret_rw_fd = phial_take_fd(&rw_fd);
	return PHIAL_OK;
}
