/* SPDX-License-Identifier: ISC */
/*
 * Generations of files in a secrets mount: made beside the present one, swapped in by one
 * rename, wiped when they are old. Knows names, owners and modes, but no secret: the caller
 * writes the values.
 */
#include "mount/generation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <phial/sealed.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "mount/sys.h"

#define INSIDE		 (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
#define PRESENT		 "..data"
#define PRESENT_NEXT	 "..data_next"
#define LINK_BYTES	 (sizeof(PRESENT "/") + PHIAL_NAME_COMPONENT_MAX_BYTES)
#define GENERATION_BYTES 16

static void name_generation(uint32_t number, char name[static GENERATION_BYTES])
{
	(void)snprintf(name, GENERATION_BYTES, "..%u", (unsigned int)number);
}

static enum phial_status failure(struct phial_error *err, const char *what, const char *name)
{
	return phial_fail(err, PHIAL_SYSTEM, errno, "secrets mount: %s %s", what, name);
}

static enum phial_status check_file_name(const char *name, struct phial_error *err)
{
	enum phial_status status = phial_name_check(name, err);

	if (status == PHIAL_OK && strchr(name, '/')) {
		return phial_fail(err, PHIAL_BAD_NAME, 0, "\"%s\" is no file name", name);
	}
	return status;
}

enum phial_status phial_generation_begin(int mount_fd, uint32_t number, int *ret_dir_fd,
					 struct phial_error *err)
{
	char name[GENERATION_BYTES];

	name_generation(number, name);
	if (mkdirat(mount_fd, name, 0755) != 0) {
		return failure(err, "make", name);
	}
	phial_auto_fd int fd =
		sys_openat2(mount_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, INSIDE);

	/* Again, whatever the umask took away: containers' users must get through. */
	if (fd < 0 || fchmod(fd, 0755) != 0) {
		return failure(err, "open", name);
	}
	*ret_dir_fd = phial_take_fd(&fd);
	return PHIAL_OK;
}

enum phial_status phial_generation_add(int dir_fd, const char *name, uint32_t mode, uint32_t uid,
				       uint32_t gid, int *ret_fd, struct phial_error *err)
{
	enum phial_status status = check_file_name(name, err);

	if (status != PHIAL_OK) {
		return status;
	}
	phial_auto_fd int fd =
		sys_openat2(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    0600, INSIDE);

	if (fd < 0) {
		return failure(err, "make", name);
	}
	/* The mode first: afterwards the file is somebody else's. */
	if (fchmod(fd, mode & 0777) != 0 || fchown(fd, uid, gid) != 0) {
		return failure(err, "give away", name);
	}
	*ret_fd = phial_take_fd(&fd);
	return PHIAL_OK;
}

enum phial_status phial_generation_give(int mount_fd, uint32_t number, const char *name,
					uint32_t uid, uint32_t gid, struct phial_error *err)
{
	char generation[GENERATION_BYTES];
	enum phial_status status = check_file_name(name, err);

	if (status != PHIAL_OK) {
		return status;
	}
	name_generation(number, generation);
	phial_auto_fd int fd =
		sys_openat2(mount_fd, generation, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, INSIDE);

	if (fd < 0 || fchownat(fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) != 0) {
		return failure(err, "give away", name);
	}
	return PHIAL_OK;
}

/* Make `name -> ..data/name`, or find exactly that there. */
static enum phial_status link_name(int mount_fd, const char *name, struct phial_error *err)
{
	char wanted[LINK_BYTES];
	char found[LINK_BYTES];
	enum phial_status status = check_file_name(name, err);

	if (status != PHIAL_OK) {
		return status;
	}
	int length = snprintf(wanted, sizeof(wanted), PRESENT "/%s", name);

	if (symlinkat(wanted, mount_fd, name) == 0) {
		return PHIAL_OK;
	}
	if (errno != EEXIST) {
		return failure(err, "link", name);
	}
	if (readlinkat(mount_fd, name, found, sizeof(found)) != length ||
	    memcmp(found, wanted, (size_t)length) != 0) {
		errno = EEXIST;
		return failure(err, "link", name);
	}
	return PHIAL_OK;
}

static bool is_listed(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(name, names[i]) == 0) {
			return true;
		}
	}
	return false;
}

/* Open a directory below (or at, with ".") a mount, for reading its names. */
static DIR *open_names(int dir_fd, const char *name)
{
	int fd = sys_openat2(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, INSIDE);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;

	if (!directory) {
		phial_close_fd(&fd);
	}
	return directory;
}

/* Names of the last generation that the new one does not have any more. */
static enum phial_status unlink_stale(int mount_fd, const char *const *names, size_t count,
				      struct phial_error *err)
{
	DIR *directory = open_names(mount_fd, ".");
	const struct dirent *entry;
	enum phial_status status = PHIAL_OK;

	if (!directory) {
		return failure(err, "read", "its names");
	}
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] != '.' && !is_listed(entry->d_name, names, count) &&
		    unlinkat(mount_fd, entry->d_name, 0) != 0) {
			status = failure(err, "unlink", entry->d_name);
		}
	}
	closedir(directory);
	return status;
}

enum phial_status phial_generation_commit(int mount_fd, uint32_t number, const char *const *names,
					  size_t count, struct phial_error *err)
{
	char generation[GENERATION_BYTES];

	name_generation(number, generation);
	for (size_t i = 0; i < count; i++) {
		enum phial_status status = link_name(mount_fd, names[i], err);

		if (status != PHIAL_OK) {
			return status;
		}
	}
	if (symlinkat(generation, mount_fd, PRESENT) == 0) {
		return PHIAL_OK; /* the first one: nothing to replace */
	}
	if (errno != EEXIST) {
		return failure(err, "link", PRESENT);
	}
	(void)unlinkat(mount_fd, PRESENT_NEXT, 0); /* of a commit that was cut off */
	if (symlinkat(generation, mount_fd, PRESENT_NEXT) != 0 ||
	    renameat(mount_fd, PRESENT_NEXT, mount_fd, PRESENT) != 0) {
		return failure(err, "swap", PRESENT);
	}
	return unlink_stale(mount_fd, names, count, err);
}

/* Zeros over every byte, in the same pages: open files and mappings see them too. */
static enum phial_status overwrite(int dir_fd, const char *name, struct phial_error *err)
{
	static const uint8_t zeros[4096];
	struct stat found;
	phial_auto_fd int fd =
		sys_openat2(dir_fd, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0,
			    INSIDE);

	if (fd < 0 && (errno == ELOOP || errno == ENXIO)) {
		return PHIAL_OK; /* a link or a pipe: not ours, holds nothing */
	}
	if (fd < 0 || fstat(fd, &found) != 0) {
		return failure(err, "open", name);
	}
	uint64_t left = S_ISREG(found.st_mode) ? (uint64_t)found.st_size : 0;

	while (left > 0) {
		size_t part = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);

		if (phial_write_all(fd, zeros, part, NULL) != PHIAL_OK) {
			return failure(err, "overwrite", name);
		}
		left -= part;
	}
	return PHIAL_OK;
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Wipe and unlink every file of an open directory. Goes on after a failure, and reports it. */
static enum phial_status wipe_names(DIR *directory, struct phial_error *err)
{
	int fd = dirfd(directory);
	const struct dirent *entry;
	enum phial_status status = PHIAL_OK;

	while ((entry = readdir(directory))) {
		const char *name = entry->d_name;

		if (is_dot(name)) {
			continue;
		}
		if (overwrite(fd, name, err) != PHIAL_OK) {
			status = PHIAL_SYSTEM;
		}
		if (unlinkat(fd, name, 0) != 0 && errno != ENOENT) {
			status = failure(err, "unlink", name);
		}
	}
	return status;
}

static enum phial_status wipe_directory(int mount_fd, const char *name, struct phial_error *err)
{
	DIR *directory = open_names(mount_fd, name);

	if (!directory) {
		return errno == ENOENT ? PHIAL_OK : failure(err, "open", name);
	}
	enum phial_status status = wipe_names(directory, err);

	closedir(directory);
	if (unlinkat(mount_fd, name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
		return failure(err, "remove", name);
	}
	return status;
}

enum phial_status phial_generation_wipe(int mount_fd, uint32_t number, struct phial_error *err)
{
	char name[GENERATION_BYTES];

	name_generation(number, name);
	return wipe_directory(mount_fd, name, err);
}

enum phial_status phial_mount_wipe(int mount_fd, struct phial_error *err)
{
	DIR *directory = open_names(mount_fd, ".");
	const struct dirent *entry;
	enum phial_status status = PHIAL_OK;

	if (!directory) {
		return failure(err, "read", "its names");
	}
	/* No new reader from here on. */
	(void)unlinkat(mount_fd, PRESENT, 0);
	while ((entry = readdir(directory))) {
		const char *name = entry->d_name;
		struct stat found;

		if (is_dot(name) || fstatat(mount_fd, name, &found, AT_SYMLINK_NOFOLLOW) != 0) {
			continue;
		}
		enum phial_status one = S_ISDIR(found.st_mode) ? wipe_directory(mount_fd, name, err)
							       : overwrite(mount_fd, name, err);

		if (!S_ISDIR(found.st_mode) && unlinkat(mount_fd, name, 0) != 0) {
			one = failure(err, "unlink", name);
		}
		status = one != PHIAL_OK ? one : status;
	}
	closedir(directory);
	return status;
}
