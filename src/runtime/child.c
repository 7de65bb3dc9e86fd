/* SPDX-License-Identifier: ISC */
/*
 * The engine started the real runtime, as far as the real runtime can tell: same descriptors,
 * environment, signals and exit code. Knows nothing of containers.
 */
#include "runtime/child.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

#define CANNOT_EXECUTE 127 /* as shells say it */

extern char **environ;

/* All but those that the kernel raises for a fault: blocked, they would kill the process anyway. */
static void fill_signals(sigset_t *set)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };

	sigfillset(set);
	for (size_t i = 0; i < PHIAL_COUNT(faults); i++) {
		sigdelset(set, faults[i]);
	}
}

enum phial_status phial_runtime_take_signals(struct phial_runtime_signals *ret_before,
					     struct phial_error *err)
{
	const struct sigaction usual = { .sa_handler = SIG_DFL };
	sigset_t all;

	fill_signals(&all);
	if (sigprocmask(SIG_SETMASK, &all, &ret_before->mask) != 0 ||
	    sigaction(SIGCHLD, &usual, &ret_before->on_child) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "take over the signals");
	}
	return PHIAL_OK;
}

static int place_stdio(const struct phial_runtime_stdio *stdio)
{
	for (int fd = 0; fd < 3; fd++) {
		if (stdio->fds[fd] >= 0 && dup2(stdio->fds[fd], fd) < 0) {
			return -1;
		}
	}
	return 0;
}

pid_t phial_runtime_fork(const struct phial_runtime_signals *before,
			 const struct phial_runtime_stdio *stdio)
{
	pid_t wrapper = getpid();
	pid_t child = fork();

	if (child != 0) {
		return child;
	}
	/* The second look: the wrapper may have died before the first. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != wrapper ||
	    place_stdio(stdio) != 0 || sigaction(SIGCHLD, &before->on_child, NULL) != 0 ||
	    sigprocmask(SIG_SETMASK, &before->mask, NULL) != 0) {
		_exit(CANNOT_EXECUTE);
	}
	return 0;
}

pid_t phial_runtime_spawn(const struct phial_runtime_signals *before,
			  const struct phial_runtime_stdio *stdio, const char *path, char **argv)
{
	pid_t child = phial_runtime_fork(before, stdio);

	if (child == 0) {
		execve(path, argv, environ);
		dprintf(STDERR_FILENO, "phial-runtime: run %s: %s\n", path, strerror(errno));
		_exit(CANNOT_EXECUTE);
	}
	return child;
}

static time_t now_s(void)
{
	struct timespec now = { 0, 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec;
}

/* A signal from a terminal goes to the whole process group: the child has it already. */
static bool is_sent(const siginfo_t *info)
{
	return info->si_code <= 0;
}

int phial_runtime_wait(pid_t child, unsigned int limit_s)
{
	const time_t end = now_s() + (time_t)limit_s;
	sigset_t all;
	int status = 0;

	fill_signals(&all);
	for (;;) {
		const struct timespec pause = { 1, 0 };
		siginfo_t info = { 0 };
		pid_t ended = waitpid(child, &status, WNOHANG);

		if (ended == child || (ended < 0 && errno != EINTR)) {
			return status;
		}
		if (limit_s > 0 && now_s() > end) {
			(void)kill(child, SIGKILL);
		}
		int number = sigtimedwait(&all, &info, &pause);

		if (number > 0 && number != SIGCHLD && limit_s == 0 && is_sent(&info)) {
			(void)kill(child, number);
		}
	}
}

_Noreturn void phial_runtime_end_as(int wait_status)
{
	if (WIFSIGNALED(wait_status)) {
		const struct sigaction usual = { .sa_handler = SIG_DFL };
		int number = WTERMSIG(wait_status);
		sigset_t one;

		sigemptyset(&one);
		sigaddset(&one, number);
		(void)sigaction(number, &usual, NULL);
		(void)raise(number);
		(void)sigprocmask(SIG_UNBLOCK, &one, NULL);
		_exit(128 + number); /* a stop signal, or one that this process ignores */
	}
	_exit(WEXITSTATUS(wait_status));
}
