/* SPDX-License-Identifier: ISC */
/*
 * The duties of an init: signals on to the command, orphans reaped, the terminal in the right
 * hands, the exit status out. Knows nothing of secrets; reads no /proc and no /dev.
 */
#include "init/supervise.h"

#include <errno.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
	pid_t pid;
	bool to_group;
	bool has_ended;
	bool stopped_as_job; /* its whole group, and we with it */
	bool has_said_no;    /* one line about signals that may not be sent is enough */
	int code;
};

/* The first of our three descriptors that is the controlling terminal, or -1. */
static int find_terminal(pid_t *ret_front)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		*ret_front = tcgetpgrp(fd);
		if (*ret_front >= 0) {
			return fd;
		}
	}
	return -1;
}

/*
 * In the child. Should: make it the leader of a group, and put that group in front if ours was.
 * Mustn't: take a terminal from a job that has it. All signals are blocked, so that no SIGTTOU
 * stops anybody.
 */
static void take_terminal(pid_t parent, pid_t parent_group)
{
	pid_t front;
	int terminal = find_terminal(&front);

	if (terminal < 0 && parent == 1 && isatty(STDIN_FILENO)) {
		/* A terminal that is nobody's: without a session there is no job control. */
		if (setsid() >= 0) {
			(void)ioctl(STDIN_FILENO, TIOCSCTTY, 0);
		}
		return;
	}
	(void)setpgid(0, 0); /* fails for a session leader, which leads its group already */
	if (terminal >= 0 && front == parent_group) {
		(void)tcsetpgrp(terminal, getpid());
	}
}

int phial_init_become(const struct phial_init_job *job)
{
	const char *name = job->command[0];

	phial_init_signals_release(&job->inherited);
	(void)execvpe(name, job->command, job->around->list);

	bool is_missing = errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG;
	struct phial_error err;

	(void)phial_fail(&err, PHIAL_SYSTEM, errno, "%s", name);
	dprintf(STDERR_FILENO, "phial-init: cannot run %s%s\n", err.text,
		errno == ENOENT ? " (the command, or the interpreter or loader that it names)"
				: "");
	return is_missing ? PHIAL_INIT_EXIT_NOT_FOUND : PHIAL_INIT_EXIT_NOT_RUN;
}

/*
 * In the child, between vfork(2) and execve(2), in the parent's memory. A parent death signal is
 * lost over fork: it is set again, lest the command outlive us where we would not have outlived
 * our parent.
 */
__attribute__((noreturn)) static void run_child(const struct phial_init_job *job, pid_t parent,
						pid_t parent_group, int death_signal)
{
	take_terminal(parent, parent_group);
	phial_init_environment_set_pid(job->around, parent, getpid());
	if (death_signal != 0) {
		(void)prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0);
		if (getppid() != parent) {
			_exit(PHIAL_INIT_EXIT_OWN);
		}
	}
	_exit(phial_init_become(job));
}

static enum phial_status start(const struct phial_init_job *job, struct child *child,
			       struct phial_error *err)
{
	const pid_t parent = getpid();
	const pid_t parent_group = getpgrp();
	int death_signal = 0;

	if (prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0) != 0) {
		death_signal = 0;
	}
	/* An orphan must come to us, and not to an init further out. */
	if (parent != 1 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "PR_SET_CHILD_SUBREAPER");
	}
	child->pid = vfork();
	if (child->pid == 0) {
		run_child(job, parent, parent_group, death_signal);
	}
	return child->pid > 0 ? PHIAL_OK : phial_fail(err, PHIAL_SYSTEM, errno, "start a process");
}

/* What we hold open, others cannot unmount or see the end of. */
static void let_go(void)
{
	(void)syscall(SYS_close_range, STDERR_FILENO + 1U, UINT_MAX, 0U);
	if (chdir("/") != 0) {
		return; /* then it stays busy */
	}
}

/*
 * Whether a signal is about us and nobody else: the end of a child; a line of ours that found no
 * reader; the kernel's word that our group may not use the terminal.
 */
static bool is_ours(const siginfo_t *info)
{
	switch (info->si_signo) {
	case SIGCHLD:
		return true;
	case SIGPIPE:
		return info->si_code == SI_USER && info->si_pid == getpid();
	case SIGTTIN:
	case SIGTTOU:
		return info->si_code == SI_KERNEL;
	default:
		return false;
	}
}

/* After the shell's `fg`: the group that it put in front is ours. */
static void give_terminal(const struct child *child)
{
	pid_t front;
	int terminal = find_terminal(&front);

	if (terminal >= 0 && front == getpgrp()) {
		(void)tcsetpgrp(terminal, child->pid);
	}
}

static void pass_on(siginfo_t *info, struct child *child)
{
	bool to_group = child->to_group;
	long failed;

	if (info->si_signo == SIGCONT) {
		give_terminal(child);
		to_group |= child->stopped_as_job;
		child->stopped_as_job = false;
	}
	if (info->si_code == SI_QUEUE && !to_group) { /* with its value */
		failed = syscall(SYS_rt_sigqueueinfo, child->pid, info->si_signo, info);
	} else {
		failed = kill(to_group ? -child->pid : child->pid, info->si_signo);
	}
	if (failed != 0 && errno == EPERM && !child->has_said_no) {
		child->has_said_no = true;
		dprintf(STDERR_FILENO,
			"phial-init: may not signal the command: it runs as another user (use "
			"--user, or add the capability KILL)\n");
	}
}

/*
 * The command was stopped, by ^Z or by using the terminal while our group was in front (a shell
 * may put it there after we gave it away). Below a shell the whole job stops, us too, and the
 * shell goes on. Where we lead the session nobody could ever continue it: then ^Z does nothing, as
 * for a PID 1 without an init.
 */
static void follow_stop(struct child *child, int signal_number)
{
	pid_t front;
	int terminal = find_terminal(&front);

	if (terminal < 0 || (front != child->pid && front != getpgrp())) {
		return; /* somebody's `kill -STOP`: as it was asked for */
	}
	if (front != child->pid && (signal_number == SIGTTIN || signal_number == SIGTTOU)) {
		(void)tcsetpgrp(terminal, child->pid);
		(void)kill(-child->pid, SIGCONT);
	} else if (getsid(0) != getpid() && getpid() != 1) {
		(void)tcsetpgrp(terminal, getpgrp());
		child->stopped_as_job = true;
		(void)kill(0, SIGSTOP);
	} else if (signal_number == SIGTSTP) {
		(void)kill(-child->pid, SIGCONT);
	}
}

static void reap(struct child *child)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (pid != child->pid) {
			continue;
		}
		if (WIFSTOPPED(status)) {
			follow_stop(child, WSTOPSIG(status));
			continue;
		}
		child->has_ended = true;
		child->code = WIFSIGNALED(status) ? PHIAL_INIT_EXIT_SIGNAL_BASE + WTERMSIG(status)
						  : WEXITSTATUS(status);
	}
}

enum phial_status phial_init_supervise(const struct phial_init_job *job, int *ret_code,
				       struct phial_error *err)
{
	struct child child = { .to_group = job->to_group };
	enum phial_status status = start(job, &child, err);

	phial_init_environment_wipe(job->around);
	if (status != PHIAL_OK) {
		return status;
	}
	let_go();
	while (!child.has_ended) {
		siginfo_t info;

		phial_init_signals_take(&info);
		if (!is_ours(&info)) {
			pass_on(&info, &child);
		}
		/* Always: a flood of lower numbers would keep SIGCHLD in the queue. */
		reap(&child);
	}
	*ret_code = child.code;
	return PHIAL_OK;
}
