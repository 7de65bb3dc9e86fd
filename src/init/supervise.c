/* SPDX-License-Identifier: ISC */
/*
 * The duties of an init: signals on to the command, orphans reaped, the terminal in the right
 * hands, the exit status out; and, if it was asked for, the command told of new secrets or started
 * again with them. Reads no /proc and no /dev.
 */
#include "init/supervise.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/harden.h"
#include "init/ready.h"
#include "init/say.h"

#define NEVER_MS INT64_C(-1)

struct child {
	pid_t pid;
	bool to_group;
	bool has_ended;
	bool stopped_as_job; /* its whole group, and we with it */
	bool has_said_no;    /* one line about signals that may not be sent is enough */
	bool is_replaced;    /* ended by us: it is started again with what job->around holds */
	bool is_outdated;    /* with newer ones since */
	bool is_dismissed;   /* somebody else told it to end: that is the end of us, too */
	int64_t kill_ms;     /* when it has had time enough to end */
	int code;
};

static void say(const char *line)
{
	phial_init_say(phial_span_of(line));
}

/*
 * What we hold open, others cannot unmount or see the end of. Only what the command is to get once
 * more when it is started again stays; and where seccomp forbids close_range(2), everything.
 */
static void let_go(const struct phial_init_job *job)
{
	const int own[] = { job->watch.signals_fd, job->watch.rotation_fd, job->watch.ready_fd };
	enum phial_status ignored;

	if (job->options->on_rotation == PHIAL_INIT_ROTATION_RESTART) {
		return;
	}
	ignored = phial_keep_descriptors(own, PHIAL_COUNT(own), NULL);
	(void)ignored;
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
	int terminal = phial_init_find_terminal(&front);

	if (terminal >= 0 && front == getpgrp()) {
		(void)tcsetpgrp(terminal, child->pid);
	}
}

/* What came of a signal to the command. Returns false if it may not be sent. */
static bool was_sent(struct child *child, long result)
{
	if (result == 0 || errno != EPERM) {
		return true;
	}
	if (!child->has_said_no) {
		child->has_said_no = true;
		say("may not signal the command: it runs as another user (use --user, or add the "
		    "capability KILL)");
	}
	return false;
}

static bool send_signal(struct child *child, int number, bool to_group)
{
	return was_sent(child, kill(to_group ? -child->pid : child->pid, number));
}

static bool wants_end(int number)
{
	return number == SIGTERM || number == SIGINT || number == SIGQUIT;
}

static void pass_on(siginfo_t *info, struct child *child)
{
	bool to_group = child->to_group;

	child->is_dismissed |= wants_end(info->si_signo);
	if (info->si_signo == SIGCONT) {
		give_terminal(child);
		to_group |= child->stopped_as_job;
		child->stopped_as_job = false;
	}
	if (info->si_code == SI_QUEUE && !to_group) { /* with its value */
		(void)was_sent(child,
			       syscall(SYS_rt_sigqueueinfo, child->pid, info->si_signo, info));
	} else {
		(void)send_signal(child, info->si_signo, to_group);
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
	int terminal = phial_init_find_terminal(&front);

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

/* --- new secrets ----------------------------------------------------------------------------- */

/* Read them for the next start. Returns false, saying why, if that cannot be: the old ones stay. */
static bool read_anew(struct phial_init_job *job)
{
	struct phial_init_environment around;
	struct phial_error err;

	if (phial_init_environment_make(job->options, job->target, &around, &err) != PHIAL_OK) {
		phial_init_environment_wipe(&around);
		(void)phial_fail_prefix(&err,
					"new secrets came that the command cannot be given: ");
		say(err.text);
		return false;
	}
	phial_init_environment_wipe(&job->around);
	job->around = around;
	return true;
}

/* Have it end, to be started again; what the next one gets is at hand before. */
static void replace(struct phial_init_job *job, struct child *child)
{
	if (child->is_dismissed) {
		say("new secrets came, but the command was told to end: it is not started again");
		return;
	}
	if (child->is_replaced) {
		child->is_outdated = true;
		return;
	}
	if (!read_anew(job)) {
		return;
	}
	if (!send_signal(child, SIGTERM, child->to_group)) {
		phial_init_environment_wipe(&job->around);
		return;
	}
	say("new secrets came: the command is started again");
	child->is_replaced = true;
	child->kill_ms = phial_init_now_ms() + (int64_t)job->options->stop_timeout_s * 1000;
}

static void on_rotation(struct phial_init_job *job, struct child *child)
{
	switch (job->options->on_rotation) {
	case PHIAL_INIT_ROTATION_SIGNAL:
		(void)send_signal(child, job->options->rotation_signal, child->to_group);
		break;
	case PHIAL_INIT_ROTATION_RESTART:
		replace(job, child);
		break;
	case PHIAL_INIT_ROTATION_NOTHING:
		break;
	}
}

static enum phial_status start(struct phial_init_job *job, struct child *child,
			       struct phial_error *err)
{
	*child = (struct child){ .to_group = job->options->to_group, .kill_ms = NEVER_MS };
	enum phial_status status = phial_init_start(job, &child->pid, err);

	phial_init_environment_wipe(&job->around);
	return status;
}

static enum phial_status start_again(struct phial_init_job *job, struct child *child,
				     struct phial_error *err)
{
	/* What it left in its group would be in the way of the next one. */
	(void)kill(-child->pid, SIGKILL);
	job->former = child->pid;
	if (phial_init_watch_has_rotated(&job->watch) || child->is_outdated) {
		(void)read_anew(job);
	}
	return start(job, child, err);
}

/* --- the loop -------------------------------------------------------------------------------- */

/* Wait, and take a signal if there is one. */
static void wait_and_pass_on(const struct phial_init_watch *watch, struct child *child)
{
	siginfo_t info;

	if (watch->signals_fd < 0) { /* nothing but signals */
		phial_init_signals_take(&info);
	} else {
		phial_init_watch_await(watch, child->kill_ms);
		if (!phial_init_signals_try(&info)) {
			return;
		}
	}
	if (!is_ours(&info)) {
		pass_on(&info, child);
	}
}

/* What came beside signals. */
static void look_around(struct phial_init_job *job, struct child *child)
{
	if (phial_init_watch_is_ready(&job->watch)) {
		phial_init_ready_tell_aside(job->options);
	}
	if (phial_init_watch_has_rotated(&job->watch)) {
		on_rotation(job, child);
	}
	if (child->kill_ms != NEVER_MS && phial_init_now_ms() >= child->kill_ms) {
		child->kill_ms = NEVER_MS;
		say("the command did not end (--stop-timeout): it is killed");
		(void)send_signal(child, SIGKILL, child->to_group);
	}
}

enum phial_status phial_init_supervise(struct phial_init_job *job, int *ret_code,
				       struct phial_error *err)
{
	struct child child;
	enum phial_status status = start(job, &child, err);

	if (status == PHIAL_OK) {
		let_go(job);
	}
	while (status == PHIAL_OK) {
		wait_and_pass_on(&job->watch, &child);
		/* Always: a flood of lower numbers would keep SIGCHLD in the queue. */
		reap(&child);
		if (!child.has_ended) {
			look_around(job, &child);
			continue;
		}
		if (!child.is_replaced || child.is_dismissed) {
			break;
		}
		status = start_again(job, &child, err);
	}
	phial_init_environment_wipe(&job->around);
	*ret_code = child.code;
	return status;
}
