/* SPDX-License-Identifier: ISC */
/*
 * A store on disk: finding it, opening it, reading its sealed files. Believes nothing that it
 * reads: signatures are the sealed and trust code's work.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "store/beneath.h"

/* First size of the read buffer: most sealed files fit. */
#define BUFFER_START_BYTES ((size_t)4096)

static bool has_trust_directory(const char *directory)
{
	char path[PATH_MAX];
	struct stat status;
	int length = snprintf(path, sizeof(path), "%s/.phial", directory);

	return length > 0 && (size_t)length < sizeof(path) && stat(path, &status) == 0 &&
	       S_ISDIR(status.st_mode);
}

enum phial_status phial_store_find(const char *start, char **ret_path, struct phial_error *err)
{
	phial_auto_free char *path = realpath(start, NULL);

	if (!path) {
		return phial_store_fail_path(err, errno, start);
	}
	for (;;) {
		if (has_trust_directory(path)) {
			*ret_path = phial_take_pointer(path);
			return PHIAL_OK;
		}
		char *slash = strrchr(path, '/');

		if (path[1] == '\0' || !slash) {
			break;
		}
		/* The root directory keeps its slash. */
		slash[slash == path ? 1 : 0] = '\0';
	}
	return phial_fail(err, PHIAL_NOT_FOUND, 0,
			  "no store at or above %s (no .phial directory); make one with "
			  "`phial init`, or name one with --store",
			  start);
}

enum phial_status phial_store_open(const char *path, int *ret_fd, struct phial_error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		return phial_store_fail_path(err, errno, path);
	}
	*ret_fd = fd;
	return PHIAL_OK;
}

/* Make room for at least size bytes. */
static enum phial_status grow(uint8_t **buffer, size_t *buffer_bytes, size_t size,
			      struct phial_error *err)
{
	if (*buffer && *buffer_bytes >= size) {
		return PHIAL_OK;
	}
	uint8_t *larger = realloc(*buffer, size);

	if (!larger) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "read");
	}
	*buffer = larger;
	*buffer_bytes = size;
	return PHIAL_OK;
}

/* Read to the end; the file may have grown since fstat(2), so the limit is counted here. */
static enum phial_status read_to_end(int fd, uint8_t **buffer, size_t *buffer_bytes,
				     size_t *ret_length, struct phial_error *err)
{
	size_t length = 0;

	for (;;) {
		if (length == *buffer_bytes) {
			enum phial_status status =
				grow(buffer, buffer_bytes, *buffer_bytes * 2, err);

			if (status != PHIAL_OK) {
				return status;
			}
		}
		ssize_t got = read(fd, *buffer + length, *buffer_bytes - length);

		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got < 0) {
			return phial_fail(err, PHIAL_SYSTEM, errno, "read");
		}
		if (got == 0) {
			*ret_length = length;
			return PHIAL_OK;
		}
		length += (size_t)got;
		if (length > PHIAL_SEALED_MAX_BYTES) {
			return phial_fail(err, PHIAL_TOO_LARGE, 0, "more than %zu bytes",
					  PHIAL_SEALED_MAX_BYTES);
		}
	}
}

static enum phial_status read_regular(int fd, uint8_t **buffer, size_t *buffer_bytes,
				      size_t *ret_length, struct phial_error *err)
{
	struct stat file;

	if (fstat(fd, &file) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "fstat");
	}
	if (!S_ISREG(file.st_mode)) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "not a regular file");
	}
	if (file.st_size > (off_t)PHIAL_SEALED_MAX_BYTES) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "more than %zu bytes",
				  PHIAL_SEALED_MAX_BYTES);
	}
	size_t wanted = (size_t)file.st_size + 1;
	enum phial_status status =
		grow(buffer, buffer_bytes,
		     wanted > BUFFER_START_BYTES ? wanted : BUFFER_START_BYTES, err);

	return status == PHIAL_OK ? read_to_end(fd, buffer, buffer_bytes, ret_length, err) : status;
}

enum phial_status phial_store_read_sealed(int store_fd, const char *name, uint8_t **buffer,
					  size_t *buffer_bytes, size_t *ret_length,
					  struct phial_error *err)
{
	char path[PHIAL_NAME_MAX_BYTES + sizeof(".sealed")];
	phial_auto_fd int fd = -1;
	enum phial_status status = phial_name_check(name, err);

	if (status != PHIAL_OK) {
		return status;
	}
	(void)snprintf(path, sizeof(path), "%s.sealed", name);
	/* O_NONBLOCK: a FIFO must not hang the reader before fstat() finds it out. */
	status = phial_store_open_beneath(store_fd, path, O_RDONLY | O_NONBLOCK, &fd, err);
	if (status != PHIAL_OK) {
		return status;
	}
	status = read_regular(fd, buffer, buffer_bytes, ret_length, err);
	if (status != PHIAL_OK) {
		(void)phial_fail_prefix(err, "%s", path);
	}
	return status;
}
