/* SPDX-License-Identifier: ISC */
/*
 * From phial-init to the command: what was inherited is given back, the terminal changes hands. Knows
 * nothing of secrets, and nothing of what happens once the command runs.
 */
#include "init/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

int phial_init_find_terminal(pid_t *ret_front)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		*ret_front = tcgetpgrp(fd);
		if (*ret_front >= 0) {
			return fd;
		}
	}
	return -1;
}

/* What the child must know of its parent. */
struct birth {
	pid_t parent;
	pid_t parent_group;
	pid_t former_group; /* of the command that this one replaces, or -1 */
	int death_signal;
	int ready_fd; /* the pipe's writing end, or -1 */
};

/*
 * In the child. Should: make it the leader of a group, and put that group in front if ours was, or
 * that of the command before.
 * Mustn't: take a terminal from a job that has it. All signals are blocked, so that no SIGTTOU
 * stops anybody.
 */
static void take_terminal(const struct birth *birth)
{
	pid_t front;
	int terminal = phial_init_find_terminal(&front);

	if (terminal < 0 && birth->parent == 1 && isatty(STDIN_FILENO)) {
		/* A terminal that is nobody's: without a session there is no job control. */
		if (setsid() >= 0) {
			(void)ioctl(STDIN_FILENO, TIOCSCTTY, 0);
		}
		return;
	}
	(void)setpgid(0, 0); /* fails for a session leader, which leads its group already */
	if (terminal >= 0 && (front == birth->parent_group || front == birth->former_group)) {
		(void)tcsetpgrp(terminal, getpid());
	}
}

int phial_init_become(const struct phial_init_job *job)
{
	char *const *command = job->options->command;

	phial_init_signals_release(&job->inherited);
	(void)execvpe(command[0], command, job->around.list);

	bool is_missing = errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG;
	struct phial_error err;

	(void)phial_fail(&err, PHIAL_SYSTEM, errno, "%s", command[0]);
	dprintf(STDERR_FILENO, "phial-init: cannot run %s%s\n", err.text,
		errno == ENOENT ? " (the command, or the interpreter or loader that it names)"
				: "");
	return is_missing ? PHIAL_INIT_EXIT_NOT_FOUND : PHIAL_INIT_EXIT_NOT_RUN;
}

/* Put the pipe where the command was told to expect it. */
static int pass_ready(int ready_fd, int wanted)
{
	return ready_fd == wanted ? fcntl(wanted, F_SETFD, 0) : dup2(ready_fd, wanted);
}

/*
 * In the child, between vfork(2) and execve(2), in the parent's memory. A parent death signal is
 * lost over fork: it is set again, lest the command outlive us where we would not have outlived
 * our parent.
 */
__attribute__((noreturn)) static void run_child(struct phial_init_job *job,
						const struct birth *birth)
{
	take_terminal(birth);
	phial_init_environment_set_pid(&job->around, birth->parent, getpid());
	if (birth->death_signal != 0) {
		(void)prctl(PR_SET_PDEATHSIG, birth->death_signal, 0, 0, 0);
		if (getppid() != birth->parent) {
			_exit(PHIAL_INIT_EXIT_OWN);
		}
	}
	if (birth->ready_fd >= 0 && pass_ready(birth->ready_fd, job->options->ready_fd) < 0) {
		dprintf(STDERR_FILENO, "phial-init: --ready-fd %d: over the limit of descriptors\n",
			job->options->ready_fd);
		_exit(PHIAL_INIT_EXIT_OWN);
	}
	_exit(phial_init_become(job));
}

enum phial_status phial_init_start(struct phial_init_job *job, pid_t *ret_pid,
				   struct phial_error *err)
{
	struct birth birth = { .parent = getpid(), .parent_group = getpgrp(), .ready_fd = -1 };
	birth.former_group = job->former > 0 ? job->former : -1;
	phial_auto_fd int ready_fd = -1;

	if (job->options->ready_fd >= 0 &&
	    phial_init_watch_expect_ready(&job->watch, &ready_fd, err) != PHIAL_OK) {
		return PHIAL_SYSTEM;
	}
	birth.ready_fd = ready_fd;
	if (prctl(PR_GET_PDEATHSIG, &birth.death_signal, 0, 0, 0) != 0) {
		birth.death_signal = 0;
	}
	/* An orphan must come to us, and not to an init further out. */
	if (birth.parent != 1 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "PR_SET_CHILD_SUBREAPER");
	}
	pid_t pid = vfork();

	if (pid == 0) {
		run_child(job, &birth);
	}
	if (pid < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "start a process");
	}
	*ret_pid = pid;
	return PHIAL_OK;
}
