/* SPDX-License-Identifier: ISC */
/*
 * Frames over AF_UNIX SOCK_SEQPACKET sockets: one message, checked whole, with its
 * descriptors. Knows no protocol: what a type means is hook_protocol.h's and
 * admin_protocol.h's.
 */
#include "wire/frame.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

#define LISTEN_BACKLOG 512

/* Room for exactly PHIAL_FRAME_FDS_MAX descriptors: the kernel drops what is beyond. */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(PHIAL_FRAME_FDS_MAX * sizeof(int))];
};

enum phial_status phial_frame_send(int fd, uint32_t type, const void *payload, size_t length,
				   const int *fds, size_t fd_count, struct phial_error *err)
{
	struct phial_frame_header header = { PHIAL_FRAME_MAGIC, type, (uint32_t)length };
	union control control = { .bytes = { 0 } };
	/* sendmsg() does not write to it. */
	struct iovec parts[2] = { { &header, sizeof(header) },
				  { (void *)(uintptr_t)payload, length } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = length > 0 ? 2 : 1 };

	if (length > PHIAL_FRAME_MAX_BYTES || fd_count > PHIAL_FRAME_FDS_MAX) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "a message of %zu bytes and %zu files",
				  length, fd_count);
	}
	if (fd_count > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = (unsigned int)CMSG_SPACE(fd_count * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = (unsigned int)CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, fd_count * sizeof(int));
	}
	for (;;) {
		if (sendmsg(fd, &message, MSG_NOSIGNAL) >= 0) {
			return PHIAL_OK; /* a SEQPACKET message is sent whole or not at all */
		}
		if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) {
			return phial_fail(err, PHIAL_GONE, 0,
					  "the other side closed the connection");
		}
		if (errno != EINTR) {
			return phial_fail(err, PHIAL_SYSTEM, errno, "send a message");
		}
	}
}

enum phial_status phial_frame_decode(const void *bytes, size_t length, size_t capacity,
				     uint32_t *ret_type, size_t *ret_length,
				     struct phial_error *err)
{
	struct phial_frame_header header;

	if (length < sizeof(header)) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "a message of only %zu bytes", length);
	}
	memcpy(&header, bytes, sizeof(header));
	if (header.magic != PHIAL_FRAME_MAGIC) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "a message that is not phial's");
	}
	if (header.length != length - sizeof(header)) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "a message of the wrong length");
	}
	if (header.length > capacity) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "a message that is too long");
	}
	*ret_type = header.type;
	*ret_length = header.length;
	return PHIAL_OK;
}

/*
 * Take over every descriptor that came, so that none leaks whatever else is wrong. The kernel
 * puts all of a message's into one SCM_RIGHTS record, and sends no other record unasked.
 */
static void collect_fds(struct msghdr *message, struct phial_frame *frame)
{
	const struct cmsghdr *part = CMSG_FIRSTHDR(message);

	if (!part || part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
		return;
	}
	frame->fd_count = ((size_t)part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(frame->fds, CMSG_DATA(part), frame->fd_count * sizeof(int));
}

static ssize_t receive_message(int fd, struct msghdr *message)
{
	ssize_t got;

	do {
		got = recvmsg(fd, message, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	return got;
}

enum phial_status phial_frame_receive(int fd, void *payload, size_t capacity,
				      struct phial_frame *ret_frame, struct phial_error *err)
{
	struct phial_frame_header header;
	struct phial_frame frame = { .fds = { -1, -1, -1, -1 } };
	union control control;
	struct iovec parts[2] = { { &header, sizeof(header) }, { payload, capacity } };
	struct msghdr message = { .msg_iov = parts,
				  .msg_iovlen = 2,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };
	ssize_t got = receive_message(fd, &message);

	if (got < 0 && errno == ECONNRESET) {
		got = 0; /* the peer closed with our message unread */
	} else if (got < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "receive a message");
	} else {
		collect_fds(&message, &frame);
	}
	enum phial_status status;

	if (got == 0) {
		status = phial_fail(err, PHIAL_GONE, 0, "the other side closed the connection");
	} else if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		status = phial_fail(err, PHIAL_MALFORMED, 0, "a message that is too long");
	} else {
		status = phial_frame_decode(&header, (size_t)got, capacity, &frame.type,
					    &frame.length, err);
	}
	if (status != PHIAL_OK) {
		phial_frame_close_fds(&frame);
		return status;
	}
	*ret_frame = frame;
	return PHIAL_OK;
}

void phial_frame_close_fds(struct phial_frame *frame)
{
	for (size_t i = 0; i < PHIAL_FRAME_FDS_MAX; i++) {
		phial_close_fd(&frame->fds[i]);
	}
	frame->fd_count = 0;
}

/* Fill an address; the kernel's limit of 107 bytes is a fact of unix(7). */
static enum phial_status make_address(const char *path, struct sockaddr_un *ret_address,
				      struct phial_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(path);

	if (length == 0 || length >= sizeof(address.sun_path)) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0,
				  "%s: a socket's path may have 1 to %zu bytes", path,
				  sizeof(address.sun_path) - 1);
	}
	memcpy(address.sun_path, path, length);
	*ret_address = address;
	return PHIAL_OK;
}

/* The directory part of a socket's address, in a buffer of sun_path's size. */
static void directory_of(const struct sockaddr_un *address, char directory[static 108])
{
	memcpy(directory, address->sun_path, sizeof(address->sun_path));
	char *slash = strrchr(directory, '/');

	if (!slash) {
		(void)snprintf(directory, 108, ".");
	} else if (slash == directory) {
		directory[1] = '\0';
	} else {
		*slash = '\0';
	}
}

static bool is_trusted_owner(const struct stat *status)
{
	return status->st_uid == 0 || status->st_uid == geteuid();
}

/* Only the owner may be able to put another socket in the place of this one. */
static enum phial_status check_directory(const struct sockaddr_un *address, struct phial_error *err)
{
	char directory[sizeof(address->sun_path)];
	struct stat status;

	directory_of(address, directory);
	if (stat(directory, &status) != 0) {
		enum phial_status kind = errno == ENOENT   ? PHIAL_NO_AGENT
					 : errno == EACCES ? PHIAL_DENIED
							   : PHIAL_SYSTEM;
		return phial_fail(err, kind, errno,
				  errno == ENOENT ? "no agent answers at %s" : "%s", directory);
	}
	if (!is_trusted_owner(&status) || (status.st_mode & 022) != 0) {
		return phial_fail(err, PHIAL_DENIED, 0,
				  "%s: others than root may write there; not trusted", directory);
	}
	return PHIAL_OK;
}

static enum phial_status connect_failure(const char *path, struct phial_error *err)
{
	switch (errno) {
	case ENOENT:
	case ECONNREFUSED:
	case EAGAIN: /* the time limit, with a full queue */
		return phial_fail(err, PHIAL_NO_AGENT, errno, "no agent answers at %s", path);
	case EACCES:
		return phial_fail(err, PHIAL_DENIED, errno, "connect to %s", path);
	default:
		return phial_fail(err, PHIAL_SYSTEM, errno, "connect to %s", path);
	}
}

static enum phial_status set_time_limits(int fd, unsigned int timeout_ms, struct phial_error *err)
{
	const struct timeval limit = { .tv_sec = (time_t)(timeout_ms / 1000),
				       .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000 };

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "set a socket's time limit");
	}
	return PHIAL_OK;
}

enum phial_status phial_socket_connect(const char *path, unsigned int timeout_ms, int *ret_fd,
				       struct phial_error *err)
{
	struct sockaddr_un address;
	struct stat found;
	enum phial_status status = make_address(path, &address, err);

	if (status == PHIAL_OK) {
		status = check_directory(&address, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	if (lstat(path, &found) != 0) {
		return connect_failure(path, err);
	}
	if (!S_ISSOCK(found.st_mode) || !is_trusted_owner(&found)) {
		return phial_fail(err, PHIAL_DENIED, 0, "%s: not a socket of root's", path);
	}
	phial_auto_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "socket");
	}
	status = set_time_limits(fd, timeout_ms, err);
	if (status != PHIAL_OK) {
		return status;
	}
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		return connect_failure(path, err);
	}
	*ret_fd = phial_take_fd(&fd);
	return PHIAL_OK;
}

/* Remove what lies at the address if it is a socket of ours that nobody listens on. */
static enum phial_status clear_stale(const struct sockaddr_un *address, struct phial_error *err)
{
	const char *path = address->sun_path;
	struct stat found;

	if (lstat(path, &found) != 0) {
		return errno == ENOENT ? PHIAL_OK
				       : phial_fail(err, PHIAL_SYSTEM, errno, "%s", path);
	}
	if (!S_ISSOCK(found.st_mode) || !is_trusted_owner(&found)) {
		return phial_fail(err, PHIAL_DENIED, 0,
				  "%s: not a socket of ours; look what it is and remove it", path);
	}
	phial_auto_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "socket");
	}
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	    errno != ECONNREFUSED) {
		return phial_fail(err, PHIAL_EXISTS, 0, "another agent listens at %s", path);
	}
	if (unlink(path) != 0 && errno != ENOENT) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "remove the old socket %s", path);
	}
	return PHIAL_OK;
}

enum phial_status phial_socket_listen(const char *path, int *ret_fd, struct phial_error *err)
{
	struct sockaddr_un address;
	enum phial_status status = make_address(path, &address, err);

	if (status == PHIAL_OK) {
		status = check_directory(&address, err);
	}
	if (status == PHIAL_OK) {
		status = clear_stale(&address, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	phial_auto_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "socket");
	}
	mode_t before = umask(0177);
	int failed = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	int reason = errno;

	umask(before);
	if (failed != 0) {
		return phial_fail(err, reason == EADDRINUSE ? PHIAL_EXISTS : PHIAL_SYSTEM, reason,
				  "bind to %s", path);
	}
	if (listen(fd, LISTEN_BACKLOG) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "listen at %s", path);
	}
	*ret_fd = phial_take_fd(&fd);
	return PHIAL_OK;
}

enum phial_status phial_peer_credentials(int fd, uint32_t *ret_uid, int32_t *ret_pid,
					 struct phial_error *err)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "SO_PEERCRED");
	}
	*ret_uid = peer.uid;
	*ret_pid = peer.pid;
	return PHIAL_OK;
}
