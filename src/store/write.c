/* SPDX-License-Identifier: ISC */
/*
 * Atomic and durable writing below a directory. Not for secrets: what is written here is
 * meant to be published.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/parse.h"
#include "crypt/crypt.h"
#include "store/beneath.h"

/* A leading dot: phial_store_list() passes over it if a crash leaves one behind. */
#define TEMPORARY_FORMAT ".phial-%016" PRIx64 ".tmp"
#define PATH_BYTES	 1024

/* A directory may be entered by those who may read the files in it. */
static mode_t directory_mode(unsigned int mode)
{
	return (mode_t)(mode | ((mode & 0444) >> 2));
}

/*
 * Make one directory if it is missing, with a mode that umask does not change, and make its
 * name durable. parent: path of the directory it lies in.
 */
static enum phial_status make_directory(int dir_fd, const char *path, const char *parent,
					unsigned int mode, struct phial_error *err)
{
	phial_auto_fd int made = -1;
	phial_auto_fd int above = -1;

	if (mkdirat(dir_fd, path, directory_mode(mode)) != 0) {
		return errno == EEXIST ? PHIAL_OK : phial_store_fail_path(err, errno, path);
	}
	enum phial_status status =
		phial_store_open_beneath(dir_fd, path, O_RDONLY | O_DIRECTORY, &made, err);

	if (status == PHIAL_OK) {
		status = phial_store_open_beneath(dir_fd, parent, O_RDONLY | O_DIRECTORY, &above,
						  err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	if (fchmod(made, directory_mode(mode)) != 0 || fsync(above) != 0) {
		return phial_store_fail_path(err, errno, path);
	}
	return PHIAL_OK;
}

/* Open the directory that a path's last component lies in, making what is missing. */
static enum phial_status open_parent(int dir_fd, const char *relative, unsigned int mode,
				     int *ret_fd, struct phial_error *err)
{
	char path[PATH_BYTES];
	char parent[PATH_BYTES] = ".";

	if (!phial_span_copy(phial_span_of(relative), path, sizeof(path))) {
		return phial_fail(err, PHIAL_USAGE, 0, "a path of %zu bytes", strlen(relative));
	}
	for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		phial_auto_fd int fd = -1;

		*slash = '\0';
		/* Looked at first: the path may be a link, which mkdirat(2) calls existing. */
		enum phial_status status =
			phial_store_open_beneath(dir_fd, path, O_PATH | O_DIRECTORY, &fd, err);

		if (status == PHIAL_NOT_FOUND) {
			status = make_directory(dir_fd, path, parent, mode, err);
		}
		if (status != PHIAL_OK) {
			return status;
		}
		memcpy(parent, path, (size_t)(slash - path) + 1);
		*slash = '/';
	}
	return phial_store_open_beneath(dir_fd, parent, O_RDONLY | O_DIRECTORY, ret_fd, err);
}

/* Write, make durable, and give the mode whatever the umask is. */
static enum phial_status fill(int fd, const void *bytes, size_t length, unsigned int mode,
			      struct phial_error *err)
{
	enum phial_status status = phial_write_all(fd, bytes, length, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (fchmod(fd, (mode_t)mode) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "fchmod");
	}
	if (fsync(fd) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "fsync");
	}
	return PHIAL_OK;
}

/* Write the temporary file and put it in the place of name, both in one directory. */
static enum phial_status replace(int parent_fd, const char *name, const void *bytes, size_t length,
				 unsigned int mode, struct phial_error *err)
{
	char temporary[64];
	uint64_t random;
	phial_auto_fd int fd = -1;
	enum phial_status status = phial_random_bytes(&random, sizeof(random), err);

	if (status != PHIAL_OK) {
		return status;
	}
	(void)snprintf(temporary, sizeof(temporary), TEMPORARY_FORMAT, random);
	fd = openat(parent_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	if (fd < 0) {
		return phial_store_fail_path(err, errno, "make a temporary file");
	}
	status = fill(fd, bytes, length, mode, err);
	if (status == PHIAL_OK && renameat(parent_fd, temporary, parent_fd, name) != 0) {
		status = phial_store_fail_path(err, errno, "rename a temporary file");
	}
	if (status != PHIAL_OK) {
		(void)unlinkat(parent_fd, temporary, 0);
		return status;
	}
	if (fsync(parent_fd) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "fsync of its directory");
	}
	return PHIAL_OK;
}

enum phial_status phial_store_write(int dir_fd, const char *relative, const void *bytes,
				    size_t length, unsigned int mode, struct phial_error *err)
{
	phial_auto_fd int parent_fd = -1;
	const char *slash = strrchr(relative, '/');
	enum phial_status status = open_parent(dir_fd, relative, mode, &parent_fd, err);

	if (status == PHIAL_OK) {
		status = replace(parent_fd, slash ? slash + 1 : relative, bytes, length, mode, err);
	}
	if (status != PHIAL_OK) {
		(void)phial_fail_prefix(err, "write %s", relative);
	}
	return status;
}
