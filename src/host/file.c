/* SPDX-License-Identifier: ISC */
/* Reading small texts of the host. Understands none of them but a number. */
#include "host/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/parse.h"

static enum phial_status open_status(int os_error)
{
	if (os_error == ENOENT || os_error == ENOTDIR || os_error == ESRCH) {
		return PHIAL_NOT_FOUND;
	}
	return os_error == EACCES || os_error == EPERM ? PHIAL_DENIED : PHIAL_SYSTEM;
}

enum phial_status phial_host_read(int dir_fd, const char *path, char **ret_text,
				  struct phial_error *err)
{
	uint8_t *bytes = NULL;
	size_t length = 0;
	struct stat found;
	/* Non-blocking: a fifo in a folder that somebody else may write to is not waited for. */
	phial_auto_fd int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstat(fd, &found) != 0) {
		return phial_fail(err, open_status(errno), errno, "%s", path);
	}
	if (!S_ISREG(found.st_mode)) {
		return phial_fail(err, PHIAL_SYSTEM, 0, "%s is not a regular file", path);
	}
	enum phial_status status = phial_read_all(fd, PHIAL_HOST_TEXT_MAX, &bytes, &length, err);

	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "%s", path);
	}
	*ret_text = (char *)bytes;
	return PHIAL_OK;
}

bool phial_host_read_number(const char *path, uint64_t *ret_number)
{
	phial_auto_free char *text = NULL;

	if (phial_host_read(AT_FDCWD, path, &text, NULL) != PHIAL_OK) {
		return false;
	}
	const struct phial_span word = { text, strcspn(text, " \t\n") };

	return phial_parse_u64(word, 0, UINT64_MAX, ret_number);
}
