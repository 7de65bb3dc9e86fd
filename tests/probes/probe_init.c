/* SPDX-License-Identifier: ISC */
/*
 * What a hostile container may do to the socket of its grant, one way each. Static: it runs in any
 * container, as any user.
 *
 *	probe_init [-s SOCKET] ask		ask once; prints the answer, exits with its status
 *	probe_init [-s SOCKET] wait		ask until there is an answer, 20 seconds at most
 *	probe_init [-s SOCKET] garbage		frames that are none; exits 0 if all are hung up on
 *	probe_init [-s SOCKET] foreign		as ask, with the pidfd of another process
 *	probe_init [-s SOCKET] passed		connects, ends, and lets its child ask
 *	probe_init [-s SOCKET] leave N		connects, asks and ends, N times
 *	probe_init [-s SOCKET] silent		connects and says nothing, as often as it can, for good
 *	probe_init [-s SOCKET] loris		sends what is too short, one byte at a time, for good
 *	probe_init [-s SOCKET] deaf		asks and never reads, as often as it can, for good
 *	probe_init [-s SOCKET] ready		says READY and never reads, as often as it can, for good
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAGIC	   UINT32_C(0x314c4850)
#define TYPE_ASK   UINT32_C(256)
#define TYPE_READY UINT32_C(258)
#define WAIT_TRIES 400
#define HELD_MAX   900
#define NOT_NOW	   99

/* As src/wire/frame.h and init_protocol.h have them, written again: a probe believes no header. */
struct ask {
	uint32_t magic;
	uint32_t type;
	uint32_t length;
	uint32_t version;
	uint32_t flags;
	uint32_t uid;
	uint32_t gid;
	uint8_t reserved[48];
};

static struct {
	uint32_t magic;
	uint32_t type;
	uint32_t length;
	uint32_t version;
	uint32_t status;
	uint32_t is_done;
	uint8_t reserved[52];
	char target[4096];
	char text[4096];
} answer;

static const char *path = "/run/phial/agent.sock";
static const struct timespec pause_50_ms = { 0, 50000000 };

static int dial(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval limit = { 12, 0 };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0) {
		int reason = errno;

		close(fd);
		errno = reason;
		return -1;
	}
	return fd;
}

static struct ask make_ask(void)
{
	return (struct ask){ MAGIC, TYPE_ASK, 64, 1, 0, (uint32_t)getuid(), (uint32_t)getgid(),
			     { 0 } };
}

/* Send bytes, with a pidfd of this process if pid is not 0. */
static int send_bytes(int fd, const void *bytes, size_t length, pid_t pid)
{
	struct iovec part = { (void *)(uintptr_t)bytes, length };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = { 0 } };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	int pidfd = pid != 0 ? (int)syscall(SYS_pidfd_open, pid, 0U) : -1;

	if (pidfd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &pidfd, sizeof(int));
	}
	ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);

	if (pidfd >= 0) {
		close(pidfd);
	}
	return sent < 0 ? -1 : 0;
}

/* Returns the status, or NOT_NOW. */
static int hear(int fd)
{
	ssize_t got = recv(fd, &answer, sizeof(answer), 0);

	close(fd);
	if (got != (ssize_t)sizeof(answer)) {
		return NOT_NOW;
	}
	printf("%s%s%s\n", answer.status == 0 ? answer.target : answer.text,
	       answer.status == 0 ? " " : "",
	       answer.status != 0 ? ""
	       : answer.is_done	  ? "done"
				  : "new");
	fflush(stdout);
	return (int)answer.status;
}

static int ask_with(pid_t pid)
{
	struct ask ask = make_ask();
	int fd = dial();

	if (fd < 0) {
		return NOT_NOW;
	}
	if (send_bytes(fd, &ask, sizeof(ask), pid) != 0) {
		close(fd);
		return NOT_NOW;
	}
	return hear(fd);
}

static int wait_for_answer(void)
{
	int status = NOT_NOW;

	for (int i = 0; i < WAIT_TRIES && status == NOT_NOW; i++) {
		status = ask_with(getpid());
		if (status == NOT_NOW) {
			nanosleep(&pause_50_ms, NULL);
		}
	}
	return status;
}

/* Each of these must be hung up on, or be refused in words. */
static int send_garbage(void)
{
	static uint8_t large[65536];
	static const size_t lengths[] = { 1, 4, 11, 12, 13, 75, 77, 4096, 65536 };
	int taken = 0;

	for (size_t kind = 0; kind < 8 * sizeof(lengths) / sizeof(lengths[0]); kind++) {
		struct ask ask = make_ask();
		size_t length = lengths[kind / 8];
		int fd = dial();

		memset(large, (int)(kind * 37), sizeof(large));
		ask.type = kind % 8 == 1 ? 1 : kind % 8 == 2 ? 257 : kind % 8 == 3 ? 512 : TYPE_ASK;
		ask.length = kind % 8 == 4 ? 0xffffffff : (uint32_t)length - 12;
		ask.version = kind % 8 == 5 ? 7 : 1;
		ask.uid = kind % 8 == 6 ? 0xffffffff : ask.uid;
		memcpy(large, &ask, length < sizeof(ask) ? length : sizeof(ask));
		if (kind % 8 == 7) { /* no name: another container's */
			(void)snprintf((char *)large + 12, sizeof(large) - 12, "../other");
		}
		if (fd < 0 || send_bytes(fd, large, length, kind % 2 ? getpid() : 0) != 0) {
			close(fd);
			continue;
		}
		taken += hear(fd) == 0;
	}
	return taken;
}

static int pass_on(void)
{
	struct ask ask = make_ask();
	int fd = dial();
	pid_t connector = getpid();

	if (fd < 0) {
		return NOT_NOW;
	}
	if (fork() != 0) {
		_exit(0);
	}
	while (getppid() == connector) {
		nanosleep(&pause_50_ms, NULL);
	}
	return send_bytes(fd, &ask, sizeof(ask), getpid()) == 0 ? hear(fd) : NOT_NOW;
}

static int leave(int times)
{
	for (int i = 0; i < times; i++) {
		pid_t child = fork();

		if (child == 0) {
			struct ask ask = make_ask();
			int fd = dial();

			(void)send_bytes(fd, &ask, sizeof(ask), getpid());
			_exit(0);
		}
		(void)waitpid(child, NULL, 0);
	}
	return 0;
}

/* For good: what is to be sent on each connection, and how many are held. */
static void flood(const void *bytes, size_t length)
{
	static int held[HELD_MAX];
	const struct rlimit limit = { 1024, 1024 };

	(void)setrlimit(RLIMIT_NOFILE, &limit);
	puts("flooding");
	fflush(stdout);
	for (size_t i = 0;; i = (i + 1) % HELD_MAX) {
		if (held[i] > 0) {
			close(held[i]);
		}
		held[i] = dial();
		if (held[i] >= 0 && length > 0) {
			(void)send_bytes(held[i], bytes, length,
					 length == sizeof(struct ask) ? getpid() : 0);
		}
	}
}

int main(int argc, char **argv)
{
	struct ask ask = make_ask();

	signal(SIGPIPE, SIG_IGN);
	if (argc > 3 && strcmp(argv[1], "-s") == 0) {
		path = argv[2];
		argv += 2;
		argc -= 2;
	}
	const char *mode = argc > 1 ? argv[1] : "";

	if (strcmp(mode, "ask") == 0) {
		return ask_with(getpid());
	}
	if (strcmp(mode, "wait") == 0) {
		return wait_for_answer();
	}
	if (strcmp(mode, "garbage") == 0) {
		return send_garbage();
	}
	if (strcmp(mode, "foreign") == 0) {
		return ask_with(getppid());
	}
	if (strcmp(mode, "passed") == 0) {
		return pass_on();
	}
	if (strcmp(mode, "leave") == 0 && argc == 3) {
		return leave((int)strtol(argv[2], NULL, 10));
	}
	if (strcmp(mode, "silent") == 0) {
		flood(NULL, 0);
	}
	if (strcmp(mode, "loris") == 0) {
		flood("P", 1);
	}
	if (strcmp(mode, "deaf") == 0) {
		flood(&ask, sizeof(ask));
	}
	if (strcmp(mode, "ready") == 0) {
		ask.type = TYPE_READY; /* of the same length, with nothing but the version */
		ask.uid = 0;
		ask.gid = 0;
		flood(&ask, sizeof(ask));
	}
	fprintf(stderr, "probe_init: see its source\n");
	return 2;
}
