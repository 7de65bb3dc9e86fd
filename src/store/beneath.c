/* SPDX-License-Identifier: ISC */
/*
 * openat2(2) for the store: links may lead about inside it and never out of it. The C library
 * has no wrapper. Knows nothing of names or formats.
 */
#include "store/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel gives up with EAGAIN when directories are being renamed meanwhile. */
#define OPEN_TRIES 8

enum phial_status phial_store_fail_path(struct phial_error *err, int os_error, const char *path)
{
	switch (os_error) {
	case ENOENT:
	case ENOTDIR:
		return phial_fail(err, PHIAL_NOT_FOUND, os_error, "%s", path);
	case EACCES:
	case EPERM:
	case EROFS:
		return phial_fail(err, PHIAL_DENIED, os_error, "%s", path);
	case EXDEV:
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "%s: a symbolic link leads out of the directory", path);
	case ELOOP:
		return phial_fail(err, PHIAL_MALFORMED, 0, "%s: too many symbolic links", path);
	case ENXIO:
		return phial_fail(err, PHIAL_MALFORMED, 0, "%s: not a regular file", path);
	case ENOSYS:
		return phial_fail(err, PHIAL_UNSUPPORTED, 0,
				  "%s: this kernel has no openat2 (Linux 5.6 has)", path);
	default:
		return phial_fail(err, PHIAL_SYSTEM, os_error, "%s", path);
	}
}

enum phial_status phial_store_open_beneath(int dir_fd, const char *path, int flags, int *ret_fd,
					   struct phial_error *err)
{
	/* openat2() refuses O_NOCTTY beside O_PATH, which open() ignores. */
	int terminal = (flags & O_PATH) != 0 ? 0 : O_NOCTTY;
	struct open_how how = {
		.flags = (unsigned int)(flags | O_CLOEXEC | terminal),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd = -1;

	for (int i = 0; i < OPEN_TRIES; i++) {
		fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) {
			break;
		}
	}
	if (fd < 0) {
		return phial_store_fail_path(err, errno, path);
	}
	*ret_fd = (int)fd;
	return PHIAL_OK;
}
