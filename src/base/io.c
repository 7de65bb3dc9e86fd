/* SPDX-License-Identifier: ISC */
/* Whole reads and writes. Not for secrets: those use struct phial_secret. */
#include "base/io.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Start with what fstat() says, so that ordinary files need one read; in /proc it says 0. */
static size_t first_guess(int fd, size_t max)
{
	struct stat status;

	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
	    (uintmax_t)status.st_size < max) {
		return (size_t)status.st_size + 1;
	}
	return max < 4096 ? max + 1 : 4096;
}

enum phial_status phial_read_all(int fd, size_t max, uint8_t **ret_bytes, size_t *ret_length,
				 struct phial_error *err)
{
	size_t room = first_guess(fd, max);
	size_t length = 0;
	phial_auto_free uint8_t *bytes = malloc(room + 1);

	if (!bytes) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "read");
	}
	for (;;) {
		ssize_t got = read(fd, bytes + length, room - length);

		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got < 0) {
			return phial_fail(err, PHIAL_SYSTEM, errno, "read");
		}
		if (got == 0) {
			break;
		}
		length += (size_t)got;
		if (length > max) {
			return phial_fail(err, PHIAL_TOO_LARGE, 0, "more than %zu bytes", max);
		}
		if (length == room) {
			room = room > max / 2 ? max + 1 : room * 2;
			uint8_t *larger = realloc(bytes, room + 1);

			if (!larger) {
				return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "read");
			}
			bytes = larger;
		}
	}
	bytes[length] = 0;
	*ret_bytes = phial_take_pointer(bytes);
	*ret_length = length;
	return PHIAL_OK;
}

enum phial_status phial_write_all(int fd, const void *bytes, size_t length, struct phial_error *err)
{
	const uint8_t *next = bytes;

	while (length > 0) {
		ssize_t wrote = write(fd, next, length);

		if (wrote < 0 && errno == EINTR) {
			continue;
		}
		if (wrote <= 0) {
			return phial_fail(err, PHIAL_SYSTEM, wrote < 0 ? errno : EIO, "write");
		}
		next += wrote;
		length -= (size_t)wrote;
	}
	return PHIAL_OK;
}
