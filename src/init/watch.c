/* SPDX-License-Identifier: ISC */
/*
 * Watching, without a thread and without a timer: one poll(2) between two signals. Says what has
 * come, and does nothing about it.
 */
#include "init/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

/* The link whose replacement makes a generation the present one: mount/generation.h. */
#define PRESENT_LINK		"..data"
#define KERNEL_SIGNAL_SET_BYTES 8

int64_t phial_init_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* By a raw call: libc keeps some signals out of a set. */
static int open_signals(void)
{
	static const uint64_t all_signals = UINT64_MAX;

	return (int)syscall(SYS_signalfd4, -1, &all_signals, KERNEL_SIGNAL_SET_BYTES,
			    SFD_CLOEXEC | SFD_NONBLOCK);
}

static enum phial_status watch_rotations(const char *target, int *ret_fd, struct phial_error *err)
{
	phial_auto_fd int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd < 0 || inotify_add_watch(fd, target, IN_MOVED_TO | IN_ONLYDIR) < 0) {
		return phial_fail(
			err, PHIAL_SYSTEM, errno,
			"--on-rotation: watch %s (the host's fs.inotify.max_user_instances "
			"and max_user_watches may be too low)",
			target);
	}
	*ret_fd = phial_take_fd(&fd);
	return PHIAL_OK;
}

enum phial_status phial_init_watch_open(const struct phial_init_options *options,
					const char *target, struct phial_init_watch *ret_watch,
					struct phial_error *err)
{
	bool rotates = options->on_rotation != PHIAL_INIT_ROTATION_NOTHING;
	enum phial_status status = PHIAL_OK;

	*ret_watch = (struct phial_init_watch){ -1, -1, -1 };
	if (!rotates && options->ready_fd < 0) {
		return PHIAL_OK;
	}
	/* First: later it may be a number of our own. */
	if (options->ready_fd >= 0 && fcntl(options->ready_fd, F_GETFD) >= 0) {
		return phial_fail(
			err, PHIAL_EXISTS, 0,
			"--ready-fd %d: the caller has passed this descriptor; take another "
			"number",
			options->ready_fd);
	}
	ret_watch->signals_fd = open_signals();
	if (ret_watch->signals_fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "signalfd");
	}
	if (rotates && target) {
		status = watch_rotations(target, &ret_watch->rotation_fd, err);
	}
	return status;
}

enum phial_status phial_init_watch_expect_ready(struct phial_init_watch *watch, int *ret_fd,
						struct phial_error *err)
{
	int ends[2];

	phial_close_fd(&watch->ready_fd);
	if (pipe2(ends, O_CLOEXEC) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "make a pipe");
	}
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	watch->ready_fd = ends[0];
	*ret_fd = ends[1];
	return PHIAL_OK;
}

void phial_init_watch_await(const struct phial_init_watch *watch, int64_t until_ms)
{
	struct pollfd watched[3] = { { .fd = watch->signals_fd, .events = POLLIN },
				     { .fd = watch->rotation_fd, .events = POLLIN },
				     { .fd = watch->ready_fd, .events = POLLIN } };
	int64_t left_ms = -1;

	if (until_ms >= 0) {
		left_ms = until_ms - phial_init_now_ms();
		left_ms = left_ms < 0 ? 0 : left_ms;
	}
	(void)poll(watched, 3, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
}

/* The link, or a queue that ran over: then nobody knows what was in it. */
static bool is_rotation(const struct inotify_event *event)
{
	return (event->mask & IN_Q_OVERFLOW) != 0 ||
	       ((event->mask & IN_MOVED_TO) != 0 && event->len > 0 &&
		strcmp(event->name, PRESENT_LINK) == 0);
}

bool phial_init_watch_has_rotated(const struct phial_init_watch *watch)
{
	_Alignas(struct inotify_event) char events[4096];
	bool has_rotated = false;
	ssize_t length;

	while (watch->rotation_fd >= 0 &&
	       (length = read(watch->rotation_fd, events, sizeof(events))) > 0) {
		for (const char *at = events; at < events + length;) {
			const struct inotify_event *event = (const void *)at;

			has_rotated |= is_rotation(event);
			at += sizeof(*event) + event->len;
		}
	}
	return has_rotated;
}

bool phial_init_watch_is_ready(struct phial_init_watch *watch)
{
	char bytes[256];
	ssize_t length;

	while (watch->ready_fd >= 0 &&
	       ((length = read(watch->ready_fd, bytes, sizeof(bytes))) >= 0 || errno != EAGAIN)) {
		bool is_ready = length > 0 && memchr(bytes, '\n', (size_t)length);

		if (length <= 0 || is_ready) {
			phial_close_fd(&watch->ready_fd);
		}
		if (is_ready) {
			return true;
		}
	}
	return false;
}
