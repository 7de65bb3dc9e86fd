/* SPDX-License-Identifier: ISC */
/*
 * One question, asked again until somebody answers. Whoever listens at the socket is believed:
 * only the operator can mount there, and an image that plays the agent betrays itself alone.
 */
#include "init/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "init/watch.h"
#include "wire/frame.h"

#define PAUSE_MS	50
#define ANSWER_LIMIT_MS 15000 /* the agent takes ten seconds at most */

struct asking {
	uint32_t type; /* of the frame that asks */
	const void *question;
	size_t length;
	uint32_t wait_s;
	int signals_fd;
	int ended_by; /* a signal */
	struct phial_init_answer *answer;
};

/*
 * Wait for bytes at fd (-1: only for time to pass) or for a signal that wants us gone. As PID 1
 * we would never end by one: there they have no default action.
 */
static enum phial_status wait_at(struct asking *asking, int fd, int limit_ms, bool *ret_ready,
				 struct phial_error *err)
{
	struct pollfd watched[2] = { { .fd = asking->signals_fd, .events = POLLIN },
				     { .fd = fd, .events = POLLIN } };
	struct signalfd_siginfo info;

	if (poll(watched, 2, limit_ms) < 0 && errno != EINTR) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "wait for the agent");
	}
	if (watched[0].revents != 0 &&
	    read(asking->signals_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		asking->ended_by = (int)info.ssi_signo;
		return phial_fail(err, PHIAL_GONE, 0,
				  "ended by signal %d before there were secrets", asking->ended_by);
	}
	*ret_ready = watched[1].revents != 0;
	return PHIAL_OK;
}

/* Connect without waiting: a full queue is one more "not now". */
static enum phial_status connect_to_agent(int *ret_fd, struct phial_error *err)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX,
					     .sun_path = PHIAL_INIT_SOCKET_PATH };
	phial_auto_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && fd <= STDERR_FILENO) {
		/* Started without a stderr: our messages must not go to the agent. */
		int low = fd;

		fd = fcntl(low, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		close(low);
	}
	if (fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "make a socket");
	}
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		bool is_not_now = errno == ENOENT || errno == ECONNREFUSED || errno == EAGAIN;

		return phial_fail(err, is_not_now ? PHIAL_NO_AGENT : PHIAL_SYSTEM, errno,
				  "connect to " PHIAL_INIT_SOCKET_PATH);
	}
	*ret_fd = phial_take_fd(&fd);
	return PHIAL_OK;
}

static enum phial_status send_question(int fd, const struct asking *asking, struct phial_error *err)
{
	/* Where seccomp forbids it the agent's kernel has to know the caller by itself. */
	phial_auto_fd int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0U);

	return phial_frame_send(fd, asking->type, asking->question, asking->length, &pidfd,
				pidfd >= 0 ? 1 : 0, err);
}

static enum phial_status hear_answer(struct asking *asking, int fd, struct phial_error *err)
{
	static struct phial_init_answer raw; /* 8 KB */
	struct phial_frame frame;
	bool is_ready = false;
	enum phial_status status = wait_at(asking, fd, ANSWER_LIMIT_MS, &is_ready, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (!is_ready) {
		return phial_fail(
			err, PHIAL_SYSTEM, 0,
			"the agent did not answer in %d seconds; its log on the host says "
			"why",
			ANSWER_LIMIT_MS / 1000);
	}
	status = phial_frame_receive(fd, &raw, sizeof(raw), &frame, err);
	if (status != PHIAL_OK) {
		return status;
	}
	phial_frame_close_fds(&frame);
	if (frame.type != PHIAL_INIT_ANSWER) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "an answer to something else");
	}
	return phial_init_decode_answer(&raw, frame.length, asking->answer, err);
}

static enum phial_status ask_once(struct asking *asking, struct phial_error *err)
{
	phial_auto_fd int fd = -1;
	enum phial_status status = connect_to_agent(&fd, err);

	if (status == PHIAL_OK) {
		status = send_question(fd, asking, err);
	}
	if (status == PHIAL_OK) {
		status = hear_answer(asking, fd, err);
	}
	/* An end of the stream, or no answer of ours, is "not now" too. */
	if (asking->ended_by == 0 && (status == PHIAL_GONE || status == PHIAL_MALFORMED)) {
		status = PHIAL_NO_AGENT;
	}
	return status;
}

static enum phial_status ask_until(struct asking *asking, struct phial_error *err)
{
	const int64_t deadline = phial_init_now_ms() + (int64_t)asking->wait_s * 1000;

	for (;;) {
		bool is_ready;
		enum phial_status status = ask_once(asking, err);

		if (status != PHIAL_NO_AGENT) {
			return status;
		}
		if (phial_init_now_ms() >= deadline) {
			return phial_fail_prefix(
				err,
				"no agent answers (--wait %u); start phiald on the "
				"host, with this workload in its store",
				asking->wait_s);
		}
		status = wait_at(asking, -1, PAUSE_MS, &is_ready, err);
		if (status != PHIAL_OK) {
			return status;
		}
	}
}

static enum phial_status ask(struct asking *asking, int *ret_signal, struct phial_error *err)
{
	struct stat found;
	sigset_t ending;

	if (stat(PHIAL_INIT_GRANT_DIR, &found) != 0) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0,
				  "no grant is mounted at " PHIAL_INIT_GRANT_DIR
				  ": start the container with --mount "
				  "type=bind,src=/run/phial/workload/NAME,dst=" PHIAL_INIT_GRANT_DIR
				  ",readonly");
	}
	sigemptyset(&ending);
	for (const int *one = (const int[]){ SIGTERM, SIGINT, SIGHUP, SIGQUIT, 0 }; *one != 0;
	     one++) {
		sigaddset(&ending, *one);
	}
	phial_auto_fd int signals_fd = signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);

	if (signals_fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "signalfd");
	}
	asking->signals_fd = signals_fd;
	enum phial_status status = ask_until(asking, err);

	*ret_signal = asking->ended_by;
	return status;
}

enum phial_status phial_init_ask_agent(const struct phial_init_options *options,
				       struct phial_init_answer *ret_answer, int *ret_signal,
				       struct phial_error *err)
{
	const struct phial_init_ask question = {
		.version = PHIAL_INIT_VERSION,
		.flags = (options->env_count > 0 ? PHIAL_INIT_USES_ENV : 0U) |
			 (options->sets_paths ? PHIAL_INIT_USES_FILE_ENV : 0U),
		.uid = geteuid(),
		.gid = getegid(),
	};
	struct asking asking = { .type = PHIAL_INIT_ASK,
				 .question = &question,
				 .length = sizeof(question),
				 .wait_s = options->wait_s,
				 .answer = ret_answer };

	return ask(&asking, ret_signal, err);
}

enum phial_status phial_init_tell_agent(const struct phial_init_options *options,
					struct phial_init_answer *ret_answer, int *ret_signal,
					struct phial_error *err)
{
	const struct phial_init_ready question = { .version = PHIAL_INIT_VERSION };
	struct asking asking = { .type = PHIAL_INIT_READY,
				 .question = &question,
				 .length = sizeof(question),
				 .wait_s = options->wait_s,
				 .answer = ret_answer };

	return ask(&asking, ret_signal, err);
}
