/* SPDX-License-Identifier: ISC */
/*
 * Asking with echo off, after readpassphrase(3) of OpenBSD: signals are only noted while
 * echo is off, the terminal is put back, and then they take their course. Never uses stdio.
 */
#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/io.h"
#include "base/secret.h"

/* The last two come from the terminal itself, while it is used, and from nowhere else. */
static const int watched_signals[] = { SIGHUP,	SIGINT,	 SIGQUIT, SIGTERM,
				       SIGTSTP, SIGALRM, SIGTTIN, SIGTTOU };
#define BLOCKED_SIGNALS (PHIAL_COUNT(watched_signals) - 2)

/* What was before a question, to be put back. */
struct watch {
	struct sigaction actions[PHIAL_COUNT(watched_signals)];
	sigset_t mask;
};

/* A handler can reach nothing but a file-scope variable; set by one function at a time. */
static volatile sig_atomic_t noted_signal;

static void note_signal(int number)
{
	noted_signal = number;
}

bool phial_cli_has_terminal(void)
{
	phial_auto_fd int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	return fd >= 0;
}

static enum phial_status open_terminal(int *ret_fd, struct phial_error *err)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd < 0) {
		return phial_fail(err, PHIAL_USAGE, 0, "there is no terminal to ask on");
	}
	*ret_fd = fd;
	return PHIAL_OK;
}

/*
 * Read one byte. Signals are let in only while ppoll(2) waits: one that came just before a plain
 * read(2) would be noted, and the read would wait all the same.
 */
static ssize_t read_byte(int fd, uint8_t *byte, const sigset_t *mask)
{
	struct pollfd terminal = { .fd = fd, .events = POLLIN };

	return ppoll(&terminal, 1, NULL, mask) < 0 ? -1 : read(fd, byte, 1);
}

/*
 * Read up to a newline. One byte at a time, so that nothing beyond the line is taken from the
 * terminal. Returns PHIAL_GONE when a signal came in between.
 */
static enum phial_status read_line(int fd, const struct watch *watch, struct phial_secret *into,
				   struct phial_error *err)
{
	phial_secret_wipe(into);
	for (;;) {
		size_t length = phial_secret_length(into);
		ssize_t got = read_byte(fd, phial_secret_bytes(into) + length, &watch->mask);

		if (got < 0 && errno == EINTR && noted_signal == 0) {
			continue;
		}
		if (noted_signal != 0) {
			phial_secret_wipe(into);
			return PHIAL_GONE;
		}
		if (got < 0) {
			return phial_fail(err, PHIAL_SYSTEM, errno, "read from the terminal");
		}
		if (got == 0) {
			phial_secret_wipe(into);
			return phial_fail(err, PHIAL_USAGE, 0, "nothing was typed");
		}
		if (phial_secret_bytes(into)[length] == '\n') {
			phial_secret_bytes(into)[length] = 0;
			return PHIAL_OK;
		}
		if (length == PHIAL_CLI_LINE_MAX_BYTES) {
			phial_secret_wipe(into);
			(void)tcflush(fd, TCIFLUSH);
			return phial_fail(err, PHIAL_TOO_LARGE, 0,
					  "more than %zu bytes cannot be typed in one line: use a "
					  "file or a pipe",
					  PHIAL_CLI_LINE_MAX_BYTES);
		}
		phial_secret_set_length(into, length + 1);
	}
}

/* Ask once, with signals noted and echo off. PHIAL_GONE: a signal came. */
static enum phial_status ask_with_echo_off(int fd, const struct watch *watch, const char *prompt,
					   struct phial_secret *into, struct phial_error *err)
{
	struct termios before;
	struct termios quiet;

	if (tcgetattr(fd, &before) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "terminal settings");
	}
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	quiet.c_lflag |= ICANON;
	/* TCSAFLUSH: what was typed before the question is not the answer. */
	if (tcsetattr(fd, TCSAFLUSH, &quiet) != 0) {
		return noted_signal != 0 ? PHIAL_GONE
					 : phial_fail(err, PHIAL_SYSTEM, errno, "turn echo off");
	}
	enum phial_status status = phial_write_all(fd, prompt, strlen(prompt), err);

	if (status == PHIAL_OK) {
		status = read_line(fd, watch, into, err);
	}
	while (tcsetattr(fd, TCSAFLUSH, &before) != 0 && errno == EINTR &&
	       noted_signal != SIGTTOU) {
	}
	enum phial_status newline = phial_write_all(fd, "\n", 1, NULL);

	(void)newline; /* for looks only */
	return status;
}

static void watch_signals(struct watch *ret_watch)
{
	struct sigaction action = { .sa_handler = note_signal };
	sigset_t blocked;

	noted_signal = 0;
	sigemptyset(&action.sa_mask);
	sigemptyset(&blocked);
	for (size_t i = 0; i < BLOCKED_SIGNALS; i++) {
		sigaddset(&blocked, watched_signals[i]);
	}
	sigprocmask(SIG_BLOCK, &blocked, &ret_watch->mask);
	for (size_t i = 0; i < PHIAL_COUNT(watched_signals); i++) {
		sigaction(watched_signals[i], &action, &ret_watch->actions[i]);
		/* What the caller chose to ignore stays ignored (nohup). */
		if (ret_watch->actions[i].sa_handler == SIG_IGN) {
			sigaction(watched_signals[i], &ret_watch->actions[i], NULL);
		}
	}
}

/* Actions first: what was held back then does what it would have done. */
static void unwatch_signals(const struct watch *watch)
{
	for (size_t i = 0; i < PHIAL_COUNT(watched_signals); i++) {
		sigaction(watched_signals[i], &watch->actions[i], NULL);
	}
	sigprocmask(SIG_SETMASK, &watch->mask, NULL);
}

enum phial_status phial_cli_ask(const char *prompt, struct phial_secret *into,
				struct phial_error *err)
{
	struct watch watch;
	phial_auto_fd int fd = -1;
	enum phial_status status = open_terminal(&fd, err);

	if (status != PHIAL_OK) {
		return status;
	}
	for (;;) {
		watch_signals(&watch);
		status = ask_with_echo_off(fd, &watch, prompt, into, err);
		unwatch_signals(&watch);
		if (noted_signal == 0) {
			return status;
		}
		phial_secret_wipe(into);
		int number = noted_signal;

		/* Ends the process, or stops it; after a stop the question is asked again. */
		kill(getpid(), number);
		if (number != SIGTSTP && number != SIGTTIN && number != SIGTTOU) {
			return phial_fail(err, PHIAL_SYSTEM, EINTR, "read from the terminal");
		}
	}
}

enum phial_status phial_cli_ask_twice(const char *prompt, const char *again,
				      struct phial_secret **ret_secret, struct phial_error *err)
{
	phial_auto_secret struct phial_secret *first = NULL;
	phial_auto_secret struct phial_secret *second = NULL;
	enum phial_status status = phial_secret_new(PHIAL_CLI_LINE_MAX_BYTES + 2, &first, err);

	if (status == PHIAL_OK) {
		status = phial_secret_new(PHIAL_CLI_LINE_MAX_BYTES + 2, &second, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_ask(prompt, first, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_ask(again, second, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	if (!phial_secret_equal(first, second)) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "the two entries differ, nothing was changed");
	}
	*ret_secret = phial_take_pointer(first);
	return PHIAL_OK;
}

enum phial_status phial_cli_show(const struct phial_secret *secret, struct phial_error *err)
{
	phial_auto_fd int fd = -1;
	enum phial_status status = open_terminal(&fd, err);

	return status == PHIAL_OK ? phial_secret_write_fd(secret, fd, err) : status;
}
