/* SPDX-License-Identifier: ISC */
/* Trying kernel features, and the texts of /proc about swap and keys. Judges nothing. */
#include "host/kernel.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "host/file.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

static bool try_pidfd(void)
{
	phial_auto_fd int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	return fd >= 0;
}

static bool try_memfd_secret(void)
{
	phial_auto_fd int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);

	return fd >= 0;
}

static bool try_peer_pidfd(void)
{
	phial_auto_fd int pidfd = -1;
	socklen_t length = sizeof(pidfd);
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		return false;
	}
	bool is_known = getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) == 0;

	close(pair[0]);
	close(pair[1]);
	return is_known;
}

void phial_kernel_try(struct phial_kernel *ret_kernel)
{
	struct phial_kernel kernel = { .release = "" };
	struct utsname name;

	if (uname(&name) == 0) {
		char *end;

		(void)snprintf(kernel.release, sizeof(kernel.release), "%.64s", name.release);
		kernel.major = (unsigned int)strtoul(name.release, &end, 10);
		kernel.minor = *end == '.' ? (unsigned int)strtoul(end + 1, NULL, 10) : 0;
	}
	kernel.has_pidfd = try_pidfd();
	kernel.has_peer_pidfd = try_peer_pidfd();
	kernel.has_memfd_secret = try_memfd_secret();
	*ret_kernel = kernel;
}

bool phial_swaps_next(struct phial_span *rest, char ret_path[256])
{
	struct phial_span line;

	while (phial_next_line(rest, &line, NULL)) {
		struct phial_span path = { line.text, 0 };

		while (path.length < line.length &&
		       !isspace((unsigned char)path.text[path.length])) {
			path.length++;
		}
		/* The heading does not begin with a slash. */
		if (path.length > 0 && path.text[0] == '/' &&
		    phial_span_copy(path, ret_path, 256)) {
			return true;
		}
	}
	return false;
}

enum phial_swap_kind phial_swap_kind(const char *path)
{
	phial_auto_free char *real = realpath(path, NULL);
	const char *name = real ? strrchr(real, '/') + 1 : "";
	char uuid_path[300];
	phial_auto_free char *uuid = NULL;

	if (strncmp(name, "zram", 4) == 0) {
		return PHIAL_SWAP_MEMORY;
	}
	(void)snprintf(uuid_path, sizeof(uuid_path), "/sys/block/%.200s/dm/uuid", name);
	if (phial_host_read(AT_FDCWD, uuid_path, &uuid, NULL) == PHIAL_OK &&
	    strncmp(uuid, "CRYPT-", 6) == 0) {
		return PHIAL_SWAP_ENCRYPTED;
	}
	return PHIAL_SWAP_PLAIN;
}

/* One number, with the byte that must follow it. Moves *at behind that. */
static bool take_number(const char **at, char follows, uint64_t *ret_number)
{
	char *end;

	*at += strspn(*at, " ");
	if (!isdigit((unsigned char)**at)) {
		return false;
	}
	*ret_number = strtoull(*at, &end, 10);
	if (follows != '\0' && *end != follows) {
		return false;
	}
	*at = follows != '\0' ? end + 1 : end;
	return true;
}

/* "    0:    11 10/10 3/1000000 56/25000000": usage, keys/instantiated, quota of keys, of bytes */
static bool parse_key_user(const char *at, struct phial_key_user *ret_user)
{
	struct phial_key_user user;
	uint64_t uid;
	uint64_t ignored;

	if (!take_number(&at, ':', &uid) || !take_number(&at, ' ', &ignored) ||
	    !take_number(&at, '/', &ignored) || !take_number(&at, ' ', &ignored) ||
	    !take_number(&at, '/', &user.keys) || !take_number(&at, ' ', &user.keys_max) ||
	    !take_number(&at, '/', &user.bytes) || !take_number(&at, '\0', &user.bytes_max)) {
		return false;
	}
	user.uid = (uint32_t)uid;
	*ret_user = user;
	return true;
}

bool phial_key_users_next(struct phial_span *rest, struct phial_key_user *ret_user)
{
	struct phial_span line;
	char text[256];

	while (phial_next_line(rest, &line, NULL)) {
		if (phial_span_copy(line, text, sizeof(text)) && parse_key_user(text, ret_user)) {
			return true;
		}
	}
	return false;
}

static unsigned int percent(uint64_t used, uint64_t max)
{
	if (max == 0 || used >= max) {
		return 100;
	}
	return used > UINT64_MAX / 100 ? 99 : (unsigned int)(used * 100 / max);
}

unsigned int phial_key_user_percent(const struct phial_key_user *user)
{
	unsigned int keys = percent(user->keys, user->keys_max);
	unsigned int bytes = percent(user->bytes, user->bytes_max);

	return keys > bytes ? keys : bytes;
}
