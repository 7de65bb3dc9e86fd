/* SPDX-License-Identifier: ISC */
/*
 * One line, one datagram, in the local form of syslog: "<PRIORITY>TAG[PID]: TEXT"; both daemons put
 * the time to it. Opens nothing after its socket, and keeps no state.
 */
#include "agent/syslog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"

enum phial_status phial_syslog_connect(const char *path, int *ret_fd, struct phial_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path)) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "%s: too long for a socket", path);
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	phial_auto_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "socket");
	}
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		bool is_nobody = errno == ENOENT || errno == ECONNREFUSED;

		return phial_fail(err, is_nobody ? PHIAL_NOT_FOUND : PHIAL_SYSTEM, errno,
				  "connect to %s", path);
	}
	*ret_fd = phial_take_fd(&fd);
	return PHIAL_OK;
}

int phial_syslog_send(int fd, struct phial_span text)
{
	static const char cut[] = " [cut]";
	char head[64];
	int head_length =
		snprintf(head, sizeof(head), "<%d>phial-audit[%d]: ", LOG_AUTHPRIV | LOG_NOTICE,
			 (int)getpid());
	bool is_cut = text.length > PHIAL_SYSLOG_TEXT_BYTES;
	struct iovec parts[] = {
		{ head, (size_t)head_length },
		{ (void *)(uintptr_t)text.text, is_cut ? PHIAL_SYSLOG_TEXT_BYTES : text.length },
		{ (void *)(uintptr_t)cut, is_cut ? sizeof(cut) - 1 : 0 },
	};
	const struct msghdr message = { .msg_iov = parts, .msg_iovlen = PHIAL_COUNT(parts) };

	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? errno : 0;
}
