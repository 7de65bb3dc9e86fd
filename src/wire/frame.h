/* SPDX-License-Identifier: ISC */
/*
 * Frames: one message each on an AF_UNIX SOCK_SEQPACKET socket, with descriptors beside it.
 * Sizes are fixed before anything is read; what does not fit is refused whole. Written for
 * glibc and musl: phial-hook links it. See unix(7), docs/agent-protocol.md.
 */
#ifndef PHIAL_WIRE_FRAME_H
#define PHIAL_WIRE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

#define PHIAL_FRAME_MAGIC     UINT32_C(0x314c4850) /* "PHL1" */
#define PHIAL_FRAME_MAX_BYTES ((size_t)96 * 1024)  /* payload */
#define PHIAL_FRAME_FDS_MAX   4

struct phial_frame_header {
	uint32_t magic;
	uint32_t type;
	uint32_t length; /* of the payload, in bytes */
};

/* A received frame. The caller owns the descriptors (close-on-exec; unused ones are -1). */
struct phial_frame {
	uint32_t type;
	size_t length;
	size_t fd_count;
	int fds[PHIAL_FRAME_FDS_MAX];
};

/*
 * Send one frame. fds: stay the caller's. Returns PHIAL_OK; PHIAL_GONE when the peer closed
 * (no SIGPIPE); PHIAL_TOO_LARGE; PHIAL_SYSTEM. Blocks as sendmsg(2) does on that socket.
 */
PHIAL_CHECKED enum phial_status phial_frame_send(int fd, uint32_t type, const void *payload,
						 size_t length, const int *fds, size_t fd_count,
						 struct phial_error *err);

/*
 * Receive one frame. payload, capacity: where to put the payload. Returns PHIAL_OK; PHIAL_GONE at
 * the end of the stream; PHIAL_MALFORMED for a wrong header, a payload over capacity, or more
 * descriptors than PHIAL_FRAME_FDS_MAX (all of them are closed then); PHIAL_SYSTEM, with
 * os_error EAGAIN when a time limit set by SO_RCVTIMEO ran out. Blocks as recvmsg(2).
 */
PHIAL_CHECKED enum phial_status phial_frame_receive(int fd, void *payload, size_t capacity,
						    struct phial_frame *ret_frame,
						    struct phial_error *err);

/*
 * Check the header of a received message: what phial_frame_receive() and the fuzzer share.
 * bytes: at least the header, if the message is that long. length: of the whole message.
 * capacity: the longest payload accepted. Returns PHIAL_OK and sets type and payload length, or
 * PHIAL_MALFORMED. Pure.
 */
PHIAL_CHECKED enum phial_status phial_frame_decode(const void *bytes, size_t length,
						   size_t capacity, uint32_t *ret_type,
						   size_t *ret_length, struct phial_error *err);

/* Close what descriptors a received frame still holds. */
void phial_frame_close_fds(struct phial_frame *frame);

/*
 * Connect to a SOCK_SEQPACKET socket at path, whose directory and which itself must belong to
 * root or the caller (the directory writable by nobody else). timeout_ms: also the limit of later sends and receives. Returns PHIAL_OK;
 * PHIAL_NO_AGENT when nobody listens; PHIAL_DENIED for a foreign owner; PHIAL_TOO_LARGE for a path
 * over 107 bytes; PHIAL_SYSTEM. Blocks up to timeout_ms.
 */
PHIAL_CHECKED enum phial_status phial_socket_connect(const char *path, unsigned int timeout_ms,
						     int *ret_fd, struct phial_error *err);

/*
 * Bind and listen at path (mode 0600), whose directory must belong to root or the caller
 * and be writable by nobody else. A socket that nobody listens on any more is replaced. Sets the
 * umask for a moment: not for threads. Returns PHIAL_OK; PHIAL_EXISTS when another agent
 * answers there; PHIAL_DENIED for a foreign owner or something that is no socket; PHIAL_NO_AGENT
 * when the directory is missing; PHIAL_TOO_LARGE for a path over 107 bytes; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_socket_listen(const char *path, int *ret_fd,
						    struct phial_error *err);

/* The uid and pid of a connected peer, as the kernel recorded them at connect(2) (SO_PEERCRED). PHIAL_SYSTEM
 * when fd is no socket. */
PHIAL_CHECKED enum phial_status phial_peer_credentials(int fd, uint32_t *ret_uid, int32_t *ret_pid,
						       struct phial_error *err);

#endif
