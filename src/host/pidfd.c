/* SPDX-License-Identifier: ISC */
/* From a pidfd to the number that it is of, by the kernel's own word. Opens and signals nothing. */
#include "host/pidfd.h"

#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "host/file.h"

enum phial_status phial_pidfd_find(int pidfd, pid_t *ret_pid, struct phial_error *err)
{
	static const char key[] = "\nPid:\t";
	char path[64];
	phial_auto_free char *text = NULL;
	uint64_t number;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	enum phial_status status = phial_host_read(AT_FDCWD, path, &text, err);

	if (status != PHIAL_OK) {
		return status;
	}
	const char *line = strstr(text, key);
	const char *digits = line ? line + sizeof(key) - 1 : "";
	const struct phial_span span = { digits, strcspn(digits, "\n") };

	/* 0: of a process that this /proc does not show. -1: gone. */
	if (!phial_parse_u64(span, 1, INT32_MAX, &number)) {
		return line ? phial_fail(err, PHIAL_GONE, 0, "the process is gone")
			    : phial_fail(err, PHIAL_SYSTEM, 0, "it is no pidfd");
	}
	*ret_pid = (pid_t)number;
	return PHIAL_OK;
}

bool phial_pidfd_has_ended(int pidfd)
{
	struct pollfd end = { .fd = pidfd, .events = POLLIN };

	return poll(&end, 1, 0) != 0;
}
