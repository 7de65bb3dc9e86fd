/* SPDX-License-Identifier: ISC */
/*
 * Frames on real sockets: what arrives is what was sent, what does not fit is refused whole and
 * leaks no descriptor; owners of sockets are checked; records of the hook protocol.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "wire/frame.h"
#include "wire/hook_protocol.h"

struct fixture {
	int ends[2];
	char directory[64];
	char path[96];
	struct phial_error err;
	uint8_t *payload;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, f->ends) != 0) {
		return -1;
	}
	f->payload = calloc(1, PHIAL_FRAME_MAX_BYTES + 16);
	(void)snprintf(f->directory, sizeof(f->directory), "/tmp/phial-frame.XXXXXX");
	if (!f->payload || !mkdtemp(f->directory)) {
		return -1;
	}
	(void)snprintf(f->path, sizeof(f->path), "%s/s", f->directory);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	phial_close_fd(&f->ends[0]);
	phial_close_fd(&f->ends[1]);
	(void)unlink(f->path);
	(void)chmod(f->directory, 0700);
	(void)rmdir(f->directory);
	free(f->payload);
	free(f);
	return 0;
}

static int count_open_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++) {
		count += fcntl(fd, F_GETFD) >= 0;
	}
	return count;
}

static void test_round_trip(void **state)
{
	struct fixture *f = *state;
	const size_t lengths[] = { 0, 1, 4096, PHIAL_FRAME_MAX_BYTES };

	for (size_t i = 0; i < PHIAL_COUNT(lengths); i++) {
		struct phial_frame frame;

		memset(f->payload, (int)(0x41 + i), lengths[i]);
		assert_int_equal(phial_frame_send(f->ends[0], 7, f->payload, lengths[i], NULL, 0,
						  &f->err),
				 PHIAL_OK);
		memset(f->payload, 0, lengths[i]);
		assert_int_equal(phial_frame_receive(f->ends[1], f->payload, PHIAL_FRAME_MAX_BYTES,
						     &frame, &f->err),
				 PHIAL_OK);
		assert_int_equal(frame.type, 7);
		assert_int_equal(frame.length, lengths[i]);
		assert_int_equal(frame.fd_count, 0);
		for (size_t at = 0; at < lengths[i]; at++) {
			assert_int_equal(f->payload[at], 0x41 + i);
		}
	}
}

static void test_descriptors_arrive_close_on_exec(void **state)
{
	struct fixture *f = *state;
	int before = count_open_fds();
	int sent[PHIAL_FRAME_FDS_MAX] = { 0, 1, 2, f->ends[0] };
	struct phial_frame frame;

	assert_int_equal(phial_frame_send(f->ends[0], 1, "x", 1, sent, 4, &f->err), PHIAL_OK);
	assert_int_equal(phial_frame_receive(f->ends[1], f->payload, 1, &frame, &f->err), PHIAL_OK);
	assert_int_equal(frame.fd_count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(fcntl(frame.fds[i], F_GETFD), FD_CLOEXEC);
	}
	phial_frame_close_fds(&frame);
	assert_int_equal(frame.fds[0], -1);
	assert_int_equal(count_open_fds(), before);
}

/* Send raw bytes with copies of fd 0, as a hostile peer would. */
static void send_raw(int socket_fd, const void *bytes, size_t length, size_t fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec part = { (void *)(uintptr_t)bytes, length };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd_count > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
	}
	assert_int_equal(sendmsg(socket_fd, &message, MSG_NOSIGNAL), (ssize_t)length);
}

static void test_wrong_messages_are_refused_and_leak_nothing(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *name;
		struct phial_frame_header header;
		size_t bytes;
		size_t fds;
	} cases[] = {
		{ "short header", { PHIAL_FRAME_MAGIC, 1, 0 }, 11, 1 },
		{ "wrong magic", { 0x41414141, 1, 4 }, 16, 1 },
		{ "length too small", { PHIAL_FRAME_MAGIC, 1, 3 }, 16, 1 },
		{ "length too large", { PHIAL_FRAME_MAGIC, 1, 5 }, 16, 1 },
		{ "length huge", { PHIAL_FRAME_MAGIC, 1, UINT32_MAX }, 16, 1 },
		{ "over capacity", { PHIAL_FRAME_MAGIC, 1, 32 }, 44, 2 },
		{ "five descriptors", { PHIAL_FRAME_MAGIC, 1, 4 }, 16, 5 },
		{ "eight descriptors", { PHIAL_FRAME_MAGIC, 1, 4 }, 16, 8 },
	};
	int before = count_open_fds();

	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		uint8_t bytes[64] = { 0 };
		struct phial_frame frame;

		memcpy(bytes, &cases[i].header, sizeof(cases[i].header));
		send_raw(f->ends[0], bytes, cases[i].bytes, cases[i].fds);
		enum phial_status status =
			phial_frame_receive(f->ends[1], f->payload, 16, &frame, &f->err);

		if (status != PHIAL_MALFORMED) {
			fail_msg("%s: %s", cases[i].name, phial_status_text(status));
		}
		assert_int_equal(count_open_fds(), before);
	}
}

static void test_sending_too_much(void **state)
{
	struct fixture *f = *state;
	const int five[5] = { 0, 0, 0, 0, 0 };

	assert_int_equal(phial_frame_send(f->ends[0], 1, f->payload, PHIAL_FRAME_MAX_BYTES + 1,
					  NULL, 0, &f->err),
			 PHIAL_TOO_LARGE);
	assert_int_equal(phial_frame_send(f->ends[0], 1, "x", 1, five, 5, &f->err),
			 PHIAL_TOO_LARGE);
}

static void test_peer_gone(void **state)
{
	struct fixture *f = *state;
	struct phial_frame frame;

	phial_close_fd(&f->ends[0]);
	assert_int_equal(phial_frame_receive(f->ends[1], f->payload, 16, &frame, &f->err),
			 PHIAL_GONE);
	assert_int_equal(phial_frame_send(f->ends[1], 1, "x", 1, NULL, 0, &f->err), PHIAL_GONE);
}

static void test_peer_gone_with_message_unread(void **state)
{
	struct fixture *f = *state;
	struct phial_frame frame;

	assert_int_equal(phial_frame_send(f->ends[1], 1, "x", 1, NULL, 0, &f->err), PHIAL_OK);
	phial_close_fd(&f->ends[0]);
	assert_int_equal(phial_frame_receive(f->ends[1], f->payload, 16, &frame, &f->err),
			 PHIAL_GONE);
}

static void test_listen_connect_and_peer(void **state)
{
	struct fixture *f = *state;
	phial_auto_fd int listener = -1;
	phial_auto_fd int client = -1;
	int second = -1;
	struct stat status;
	uint32_t uid;
	int32_t pid;
	struct phial_frame frame;

	assert_int_equal(phial_socket_connect(f->path, 1000, &client, &f->err), PHIAL_NO_AGENT);
	assert_int_equal(phial_socket_listen(f->path, &listener, &f->err), PHIAL_OK);
	assert_int_equal(stat(f->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(phial_socket_listen(f->path, &second, &f->err), PHIAL_EXISTS);
	assert_int_equal(second, -1);
	assert_int_equal(phial_socket_connect(f->path, 20, &client, &f->err), PHIAL_OK);
	assert_int_equal(phial_peer_credentials(client, &uid, &pid, &f->err), PHIAL_OK);
	assert_int_equal(uid, geteuid());
	assert_int_equal(pid, getpid());
	/* Nobody answers: the time limit ends the wait. */
	assert_int_equal(phial_frame_receive(client, f->payload, 16, &frame, &f->err),
			 PHIAL_SYSTEM);
	assert_int_equal(f->err.os_error, EAGAIN);
}

static void test_stale_socket_is_replaced(void **state)
{
	struct fixture *f = *state;
	int listener = -1;

	assert_int_equal(phial_socket_listen(f->path, &listener, &f->err), PHIAL_OK);
	phial_close_fd(&listener);
	assert_int_equal(phial_socket_connect(f->path, 20, &listener, &f->err), PHIAL_NO_AGENT);
	assert_int_equal(phial_socket_listen(f->path, &listener, &f->err), PHIAL_OK);
	phial_close_fd(&listener);
}

static void test_untrusted_places(void **state)
{
	struct fixture *f = *state;
	int fd = open(f->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	phial_close_fd(&fd);
	assert_int_equal(phial_socket_listen(f->path, &fd, &f->err), PHIAL_DENIED);
	assert_int_equal(phial_socket_connect(f->path, 20, &fd, &f->err), PHIAL_DENIED);
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(chmod(f->directory, 0777), 0);
	assert_int_equal(phial_socket_listen(f->path, &fd, &f->err), PHIAL_DENIED);
	assert_int_equal(phial_socket_connect(f->path, 20, &fd, &f->err), PHIAL_DENIED);
	memset(f->payload, 'a', 108);
	assert_int_equal(phial_socket_listen((const char *)f->payload, &fd, &f->err),
			 PHIAL_TOO_LARGE);
}

/* U-01, U-02: a socket of somebody else's in the right place. */
static void test_foreign_owner(void **state)
{
	struct fixture *f = *state;
	int fd = -1;

	if (geteuid() != 0) {
		skip();
	}
	assert_int_equal(phial_socket_listen(f->path, &fd, &f->err), PHIAL_OK);
	assert_int_equal(chown(f->path, 4242, 4242), 0);
	int other = -1;

	assert_int_equal(phial_socket_connect(f->path, 20, &other, &f->err), PHIAL_DENIED);
	assert_int_equal(phial_socket_listen(f->path, &other, &f->err), PHIAL_DENIED);
	assert_int_equal(chown(f->path, 0, 0), 0);
	assert_int_equal(chown(f->directory, 4242, 4242), 0);
	assert_int_equal(phial_socket_connect(f->path, 20, &other, &f->err), PHIAL_DENIED);
	phial_close_fd(&fd);
}

static void test_start_record(void **state)
{
	struct fixture *f = *state;
	struct phial_hook_start start = { .state_length = 3, .workload = "web" };
	struct phial_hook_start decoded;
	const uint8_t *bytes;
	size_t length = sizeof(start) + 3;

	memcpy(f->payload, &start, sizeof(start));
	memcpy(f->payload + sizeof(start), "{ }", 3);
	assert_int_equal(phial_hook_decode_start(f->payload, length, &decoded, &bytes, &f->err),
			 PHIAL_OK);
	assert_memory_equal(bytes, "{ }", 3);
	assert_string_equal(decoded.workload, "web");
	for (size_t wrong = 0; wrong < length + 4; wrong++) {
		if (wrong != length) {
			assert_int_equal(phial_hook_decode_start(f->payload, wrong, &decoded,
								 &bytes, &f->err),
					 PHIAL_MALFORMED);
		}
	}
	memset(((struct phial_hook_start *)(void *)f->payload)->workload, 'a',
	       sizeof(start.workload));
	assert_int_equal(phial_hook_decode_start(f->payload, length, &decoded, &bytes, &f->err),
			 PHIAL_MALFORMED);
}

static void test_created_record(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *name;
		struct phial_hook_created created;
		enum phial_status status;
	} cases[] = {
		{ "good", { .pid = 2, .id = "c", .bundle = "/b" }, PHIAL_OK },
		{ "pid 1", { .pid = 1, .id = "c", .bundle = "/b" }, PHIAL_MALFORMED },
		{ "negative pid", { .pid = -2, .id = "c", .bundle = "/b" }, PHIAL_MALFORMED },
		{ "no id", { .pid = 2, .bundle = "/b" }, PHIAL_MALFORMED },
		{ "no bundle", { .pid = 2, .id = "c" }, PHIAL_MALFORMED },
		{ "relative bundle", { .pid = 2, .id = "c", .bundle = "b" }, PHIAL_MALFORMED },
	};
	static struct phial_hook_created decoded;

	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		enum phial_status status =
			phial_hook_decode_created(&cases[i].created, sizeof(cases[i].created),
						  &decoded, &f->err);

		if (status != cases[i].status) {
			fail_msg("%s: %s", cases[i].name, phial_status_text(status));
		}
	}
	for (int field = 0; field < 2; field++) {
		struct phial_hook_created *endless =
			(struct phial_hook_created *)(void *)f->payload;

		*endless = cases[0].created;
		memset(field == 0 ? endless->id : endless->bundle, '/',
		       field == 0 ? sizeof(endless->id) : sizeof(endless->bundle));
		assert_int_equal(phial_hook_decode_created(f->payload, sizeof(decoded), &decoded,
							   &f->err),
				 PHIAL_MALFORMED);
	}
	for (size_t length = 0; length < sizeof(decoded); length += 97) {
		assert_int_equal(phial_hook_decode_created(&cases[0].created, length, &decoded,
							   &f->err),
				 PHIAL_MALFORMED);
	}
}

static void test_verdict_record(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *name;
		struct phial_hook_verdict verdict;
		enum phial_status status;
	} cases[] = {
		{ "go",
		  { .decision = PHIAL_HOOK_GO,
		    .pid = 7,
		    .size_bytes = 1,
		    .rootfs = "/r",
		    .target = "/t" },
		  PHIAL_OK },
		{ "no grant", { .decision = PHIAL_HOOK_NO_GRANT }, PHIAL_OK },
		{ "done", { .decision = PHIAL_HOOK_DONE }, PHIAL_OK },
		{ "refused",
		  { .decision = PHIAL_HOOK_REFUSED, .status = PHIAL_REFUSED, .text = "no" },
		  PHIAL_OK },
		{ "refused with ok",
		  { .decision = PHIAL_HOOK_REFUSED, .text = "no" },
		  PHIAL_MALFORMED },
		{ "refused without text",
		  { .decision = PHIAL_HOOK_REFUSED, .status = PHIAL_REFUSED },
		  PHIAL_MALFORMED },
		{ "refused with unknown status",
		  { .decision = PHIAL_HOOK_REFUSED, .status = 256, .text = "no" },
		  PHIAL_MALFORMED },
		{ "no decision", { .decision = 0 }, PHIAL_MALFORMED },
		{ "unknown decision", { .decision = 5 }, PHIAL_MALFORMED },
		{ "pid 1",
		  { .decision = PHIAL_HOOK_GO,
		    .pid = 1,
		    .size_bytes = 1,
		    .rootfs = "/r",
		    .target = "/t" },
		  PHIAL_MALFORMED },
		{ "no size",
		  { .decision = PHIAL_HOOK_GO, .pid = 7, .rootfs = "/r", .target = "/t" },
		  PHIAL_MALFORMED },
		{ "relative rootfs",
		  { .decision = PHIAL_HOOK_GO,
		    .pid = 7,
		    .size_bytes = 1,
		    .rootfs = "r",
		    .target = "/t" },
		  PHIAL_MALFORMED },
		{ "relative target",
		  { .decision = PHIAL_HOOK_GO,
		    .pid = 7,
		    .size_bytes = 1,
		    .rootfs = "/r",
		    .target = "t" },
		  PHIAL_MALFORMED },
	};
	static struct phial_hook_verdict decoded;

	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		enum phial_status status =
			phial_hook_decode_verdict(&cases[i].verdict, sizeof(cases[i].verdict),
						  &decoded, &f->err);

		if (status != cases[i].status) {
			fail_msg("%s: %s", cases[i].name, phial_status_text(status));
		}
	}
	memcpy(f->payload, &cases[0].verdict, sizeof(decoded));
	memset(((struct phial_hook_verdict *)(void *)f->payload)->target, '/',
	       sizeof(decoded.target));
	assert_int_equal(phial_hook_decode_verdict(f->payload, sizeof(decoded), &decoded, &f->err),
			 PHIAL_MALFORMED);
	assert_int_equal(phial_hook_decode_verdict(f->payload, sizeof(decoded) - 1, &decoded,
						   &f->err),
			 PHIAL_MALFORMED);
}

static void test_mount_and_result_records(void **state)
{
	struct fixture *f = *state;
	struct phial_hook_mount mount = { .uid_map_length = 2, .gid_map_length = 3, .kind = 1 };
	struct phial_hook_mount decoded;
	struct phial_hook_result result = { .status = PHIAL_SYSTEM, .text = "full" };
	struct phial_hook_result decoded_result;
	const char *uid_map;
	const char *gid_map;

	memcpy(f->payload, &mount, sizeof(mount));
	memcpy(f->payload + sizeof(mount), "uuggg", 5);
	for (size_t length = 0; length < sizeof(mount) + 8; length++) {
		assert_int_equal(phial_hook_decode_mount(f->payload, length, &decoded, &uid_map,
							 &gid_map, &f->err),
				 length == sizeof(mount) + 5 ? PHIAL_OK : PHIAL_MALFORMED);
	}
	assert_memory_equal(uid_map, "uu", 2);
	assert_memory_equal(gid_map, "ggg", 3);
	assert_int_equal(phial_hook_decode_result(&result, sizeof(result), &decoded_result,
						  &f->err),
			 PHIAL_OK);
	result.status = 300;
	assert_int_equal(phial_hook_decode_result(&result, sizeof(result), &decoded_result,
						  &f->err),
			 PHIAL_MALFORMED);
	result.status = PHIAL_OK;
	memset(result.text, 'x', sizeof(result.text));
	assert_int_equal(phial_hook_decode_result(&result, sizeof(result), &decoded_result,
						  &f->err),
			 PHIAL_MALFORMED);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_round_trip),
		CASE(test_descriptors_arrive_close_on_exec),
		CASE(test_wrong_messages_are_refused_and_leak_nothing),
		CASE(test_sending_too_much),
		CASE(test_peer_gone),
		CASE(test_peer_gone_with_message_unread),
		CASE(test_listen_connect_and_peer),
		CASE(test_stale_socket_is_replaced),
		CASE(test_untrusted_places),
		CASE(test_foreign_owner),
		CASE(test_start_record),
		CASE(test_created_record),
		CASE(test_verdict_record),
		CASE(test_mount_and_result_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
