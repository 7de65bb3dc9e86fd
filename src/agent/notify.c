/* SPDX-License-Identifier: ISC */
/* One datagram to the service manager. libsystemd would be a large library for this. */
#include "agent/notify.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "base/cleanup.h"

void phial_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char text[128];
	struct timespec now;

	if (!path || (path[0] != '/' && path[0] != '@') ||
	    strlen(path) >= sizeof(address.sun_path)) {
		return;
	}
	memcpy(address.sun_path, path, strlen(path));
	socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));

	if (path[0] == '@') {
		address.sun_path[0] = '\0';
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	int written = snprintf(text, sizeof(text), "%s\nMONOTONIC_USEC=%" PRIu64 "\n", state,
			       (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	phial_auto_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && written > 0) {
		(void)sendto(fd, text, (size_t)written, MSG_NOSIGNAL | MSG_DONTWAIT,
			     (const struct sockaddr *)&address, length);
	}
}
