/* SPDX-License-Identifier: ISC */
/*
 * How files in a secrets mount end: zeros over them in place, so that those who hold one open or
 * mapped see zeros too, then unlinked. Knows nothing of when, or why; makes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <phial/secret.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "mount/generation.h"
#include "mount/generation_internal.h"

#define INSIDE PHIAL_GENERATION_INSIDE

/*
 * Zeros over every byte, in the same pages. No secret is longer than PHIAL_SECRET_MAX_BYTES: a
 * file that is was stretched by the container, and to fill it would take the host's memory.
 */
static enum phial_status overwrite(int dir_fd, const char *name, struct phial_error *err)
{
	static const uint8_t zeros[4096];
	struct stat found;
	phial_auto_fd int fd =
		sys_openat2(dir_fd, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0,
			    INSIDE);

	if (fd < 0 && errno == ENOENT) {
		return PHIAL_OK;
	}
	if (fd < 0 && fstatat(dir_fd, name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !S_ISREG(found.st_mode)) {
		return PHIAL_OK; /* a link, a pipe, a device: not ours, holds nothing */
	}
	if (fd < 0 || fstat(fd, &found) != 0) {
		return phial_generation_fail(err, "open", name);
	}
	size_t left = S_ISREG(found.st_mode) ? (size_t)found.st_size : 0;

	left = left < PHIAL_SECRET_MAX_BYTES ? left : PHIAL_SECRET_MAX_BYTES;
	while (left > 0) {
		size_t part = left < sizeof(zeros) ? left : sizeof(zeros);

		if (phial_write_all(fd, zeros, part, NULL) != PHIAL_OK) {
			return phial_generation_fail(err, "overwrite", name);
		}
		left -= part;
	}
	return PHIAL_OK;
}

/*
 * Wipe and unlink one file, or whatever is there by its name. What the caller may not overwrite
 * stays for one who may: unlinked, its bytes would live on with whoever holds it open.
 */
static enum phial_status wipe_file(int dir_fd, const char *name, struct phial_error *err)
{
	struct phial_error own;
	enum phial_status status = overwrite(dir_fd, name, err ? err : &own);

	if (status != PHIAL_OK && (err ? err : &own)->os_error == EACCES) {
		return status;
	}
	if (unlinkat(dir_fd, name, 0) != 0 && errno != ENOENT) {
		return phial_generation_fail(err, "unlink", name);
	}
	return status;
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static enum phial_status wipe_directory(int mount_fd, const char *name, struct phial_error *err)
{
	DIR *directory = phial_generation_open_names(mount_fd, name);
	const struct dirent *entry;
	enum phial_status status = PHIAL_OK;

	if (!directory) {
		return errno == ENOENT ? PHIAL_OK : phial_generation_fail(err, "open", name);
	}
	while ((entry = readdir(directory))) {
		if (!is_dot(entry->d_name) &&
		    wipe_file(dirfd(directory), entry->d_name, err) != PHIAL_OK) {
			status = PHIAL_SYSTEM;
		}
	}
	closedir(directory);
	if (unlinkat(mount_fd, name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
		return phial_generation_fail(err, "remove", name);
	}
	return status;
}

/* Wipe whatever has this name in the mount itself. */
static enum phial_status wipe_entry(int mount_fd, const char *name, struct phial_error *err)
{
	struct stat found;

	if (fstatat(mount_fd, name, &found, AT_SYMLINK_NOFOLLOW) != 0) {
		return errno == ENOENT ? PHIAL_OK : phial_generation_fail(err, "look at", name);
	}
	return S_ISDIR(found.st_mode) ? wipe_directory(mount_fd, name, err)
				      : wipe_file(mount_fd, name, err);
}

enum phial_status phial_generation_wipe(int mount_fd, uint32_t number, struct phial_error *err)
{
	char name[PHIAL_GENERATION_NAME_BYTES];

	phial_generation_format_name(number, name);
	return wipe_directory(mount_fd, name, err);
}

enum phial_status phial_generation_wipe_old(int mount_fd, struct phial_error *err)
{
	uint32_t present = 0;
	uint32_t number;
	const struct dirent *entry;
	enum phial_status status = phial_generation_find_present(mount_fd, &present, err);

	if (status != PHIAL_OK) {
		return status;
	}
	DIR *directory = phial_generation_open_names(mount_fd, ".");

	if (!directory) {
		return phial_generation_fail(err, "read", "its names");
	}
	while ((entry = readdir(directory))) {
		if (phial_generation_parse_name(entry->d_name, &number) && number != present &&
		    wipe_entry(mount_fd, entry->d_name, err) != PHIAL_OK) {
			status = PHIAL_SYSTEM;
		}
	}
	closedir(directory);
	return status;
}

static enum phial_status remove_from(int mount_fd, const char *generation, const char *const *names,
				     size_t count, struct phial_error *err)
{
	enum phial_status status = PHIAL_OK;
	phial_auto_fd int dir_fd =
		sys_openat2(mount_fd, generation, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, INSIDE);

	if (dir_fd < 0) {
		/* A file or a link by such a name is nobody's generation. */
		bool is_none = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;

		return is_none ? PHIAL_OK : phial_generation_fail(err, "open", generation);
	}
	for (size_t i = 0; i < count; i++) {
		if (wipe_file(dir_fd, names[i], err) != PHIAL_OK) {
			status = PHIAL_SYSTEM;
		}
	}
	return status;
}

/* The links to the files: no new reader finds them from here on. */
static enum phial_status unlink_names(int mount_fd, const char *const *names, size_t count,
				      struct phial_error *err)
{
	enum phial_status status = PHIAL_OK;

	for (size_t i = 0; i < count; i++) {
		if (unlinkat(mount_fd, names[i], 0) != 0 && errno != ENOENT) {
			status = phial_generation_fail(err, "unlink", names[i]);
		}
	}
	return status;
}

enum phial_status phial_generation_remove(int mount_fd, const char *const *names, size_t count,
					  struct phial_error *err)
{
	uint32_t number;
	const struct dirent *entry;
	enum phial_status status = PHIAL_OK;

	for (size_t i = 0; status == PHIAL_OK && i < count; i++) {
		status = phial_generation_check_file(names[i], err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	status = unlink_names(mount_fd, names, count, err);
	DIR *directory = phial_generation_open_names(mount_fd, ".");

	if (!directory) {
		return phial_generation_fail(err, "read", "its names");
	}
	while ((entry = readdir(directory))) {
		if (phial_generation_parse_name(entry->d_name, &number) &&
		    remove_from(mount_fd, entry->d_name, names, count, err) != PHIAL_OK) {
			status = PHIAL_SYSTEM;
		}
	}
	closedir(directory);
	return status;
}

enum phial_status phial_mount_wipe(int mount_fd, struct phial_error *err)
{
	DIR *directory = phial_generation_open_names(mount_fd, ".");
	const struct dirent *entry;
	enum phial_status status = PHIAL_OK;

	if (!directory) {
		return phial_generation_fail(err, "read", "its names");
	}
	/* No new reader from here on. */
	(void)unlinkat(mount_fd, PHIAL_GENERATION_PRESENT, 0);
	while ((entry = readdir(directory))) {
		if (!is_dot(entry->d_name) &&
		    wipe_entry(mount_fd, entry->d_name, err) != PHIAL_OK) {
			status = PHIAL_SYSTEM;
		}
	}
	closedir(directory);
	return status;
}
