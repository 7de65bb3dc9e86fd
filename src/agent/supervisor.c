/* SPDX-License-Identifier: ISC */
/*
 * The supervisor: starts everything in the one right order, then waits. Serves the worker's calls
 * (supervisor_calls.c) and watches containers (supervisor_containers.c). Decides nothing about
 * secrets.
 */
#include "agent/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/link.h"
#include "agent/log.h"
#include "agent/notify.h"
#include "agent/supervisor_internal.h"
#include "agent/supervisor_start.h"
#include "base/cleanup.h"
#include "keyring/keyring.h"

/* A worker that dies sooner than this after its start is started again only after a pause. */
#define WORKER_QUICK_DEATH_MS 1000
#define WORKER_PAUSE_MS	      500
/* After a filler's end the next one is forked once nothing has happened for so long: at once, it
 * would take the processor from the hook that waits for this one's answer. */
#define FILLER_PAUSE_MS 5
/* How soon events that a busy worker had no room for are tried again. */
#define EVENT_RETRY_MS 20
/* How long the end waits for the auditor's last entry. */
#define AUDITOR_END_MS 2000

static int64_t now_ms(void)
{
	return phial_clock_read().boot_ms;
}

void supervisor_unwatch(const struct supervisor *supervisor, int *fd)
{
	/* A child that was forked meanwhile has it too, so that closing it would not be enough. */
	(void)epoll_ctl(supervisor->epoll_fd, EPOLL_CTL_DEL, *fd, NULL);
	phial_close_fd(fd);
}

enum phial_status supervisor_watch(struct supervisor *supervisor, int fd, struct watch *watch,
				   struct phial_error *err)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = watch };

	if (epoll_ctl(supervisor->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "epoll_ctl");
	}
	return PHIAL_OK;
}

/* --- the worker ------------------------------------------------------------------------- */

/* ret_fd: the end of the worker that comes next. */
static enum phial_status start_auditor(struct supervisor *supervisor, int *ret_fd,
				       struct phial_error *err)
{
	pid_t pid;
	enum phial_status status = child_fork("an auditor", &pid, ret_fd, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (pid == 0) {
		child_run_auditor(supervisor, *ret_fd);
	}
	/* A disk that is slow must not make the worker wait. */
	(void)fcntl(*ret_fd, F_SETFL, O_NONBLOCK);
	supervisor->auditor_pid = pid;
	return PHIAL_OK;
}

static enum phial_status start_worker(struct supervisor *supervisor, struct phial_error *err)
{
	phial_auto_fd int audit_fd = -1;
	int calls[2];
	int events[2];
	enum phial_status status = start_auditor(supervisor, &audit_fd, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, calls) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "socketpair");
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, events) != 0) {
		close(calls[0]);
		close(calls[1]);
		return phial_fail(err, PHIAL_SYSTEM, errno, "socketpair");
	}
	pid_t pid = fork();

	if (pid == 0) {
		child_run_worker(supervisor, calls[1], events[1], audit_fd);
	}
	int reason = errno;

	close(calls[1]);
	close(events[1]);
	if (pid < 0) {
		close(calls[0]);
		close(events[0]);
		return phial_fail(err, PHIAL_SYSTEM, reason, "fork a worker");
	}
	/* The worker may itself be waiting, or never read: the supervisor waits for none of it. */
	(void)fcntl(calls[0], F_SETFL, O_NONBLOCK);
	(void)fcntl(events[0], F_SETFL, O_NONBLOCK);
	supervisor->call_fd = calls[0];
	supervisor->event_fd = events[0];
	supervisor->worker_pid = pid;
	supervisor->worker_started_ms = now_ms();
	supervisor->worker_is_due = false;
	return supervisor_watch(supervisor, supervisor->call_fd, &supervisor->call_watch, err);
}

/* Tell a new worker what it needs: the containers held, the store, and whether to serve. */
static void brief_worker(struct supervisor *supervisor)
{
	for (struct container *c = supervisor->containers; c; c = c->next) {
		struct phial_link_container record = { .number = c->number };

		supervisor_send_event(supervisor, PHIAL_LINK_LIVE, &record, sizeof(record));
	}
	supervisor_send_store(supervisor);
	if (supervisor->self_test_pid == 0) {
		supervisor_send_event(supervisor, PHIAL_LINK_ACCEPT, NULL, 0);
	}
}

static void restart_worker(struct supervisor *supervisor)
{
	struct phial_error err;

	supervisor->worker_restarts++;
	supervisor->worker_is_due = false;
	if (start_worker(supervisor, &err) != PHIAL_OK) {
		phial_log("%s", err.text);
		/* An auditor without a worker ends, and then both are tried again. */
		supervisor->worker_is_due = supervisor->auditor_pid == 0;
		return;
	}
	brief_worker(supervisor);
}

/* One has ended: the other ends, too, and then both begin anew. Two auditors never write at once. */
static void restart_both(struct supervisor *supervisor)
{
	if (supervisor->is_stopping || supervisor->worker_pid > 0 || supervisor->auditor_pid > 0) {
		return;
	}
	if (now_ms() - supervisor->worker_started_ms < WORKER_QUICK_DEATH_MS) {
		supervisor->worker_is_due = true; /* after the pause of the event loop */
		return;
	}
	restart_worker(supervisor);
}

static void on_auditor_death(struct supervisor *supervisor)
{
	supervisor->auditor_pid = 0;
	if (supervisor->worker_pid > 0 && !supervisor->is_stopping) {
		phial_log("the auditor ended before its worker; starting both anew");
		kill(supervisor->worker_pid, SIGKILL);
	}
	restart_both(supervisor);
}

static void on_worker_death(struct supervisor *supervisor, int wait_status)
{
	supervisor->worker_pid = 0;
	phial_close_fd(&supervisor->call_fd);
	supervisor_drop_events(supervisor);
	phial_close_fd(&supervisor->event_fd);
	/* What it was putting on its way into the kernel is nobody's any more. */
	explicit_bzero(supervisor->pages.bytes, supervisor->pages.length);
	if (supervisor->is_stopping) {
		return;
	}
	if (WIFSIGNALED(wait_status)) {
		phial_log("the worker was killed by signal %d; starting another",
			  WTERMSIG(wait_status));
	} else {
		phial_log("the worker ended with status %d; starting another",
			  WEXITSTATUS(wait_status));
	}
	restart_both(supervisor);
}

/* --- signals ---------------------------------------------------------------------------- */

void supervisor_become_ready(struct supervisor *supervisor)
{
	if (supervisor->is_loaded && supervisor->self_test_pid == 0) {
		phial_notify("READY=1");
	}
}

static void on_self_test_end(struct supervisor *supervisor, int wait_status)
{
	supervisor->self_test_pid = 0;
	if (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != 0) {
		supervisor->fatal_status = phial_fail(
			supervisor->err, PHIAL_UNSUPPORTED, 0,
			"the kernel keyring does not protect keys here; refusing to hold secrets");
		supervisor->is_stopping = true;
		return;
	}
	supervisor_send_event(supervisor, PHIAL_LINK_ACCEPT, NULL, 0);
	supervisor_become_ready(supervisor);
}

static void reap_children(struct supervisor *supervisor)
{
	int wait_status;
	pid_t pid;

	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
		if (pid == supervisor->worker_pid) {
			on_worker_death(supervisor, wait_status);
		} else if (pid == supervisor->auditor_pid) {
			on_auditor_death(supervisor);
		} else if (pid == supervisor->self_test_pid) {
			on_self_test_end(supervisor, wait_status);
		} else {
			(void)mounters_forget(supervisor, pid);
		} /* a filler's, notifier's or re-attacher's end shows on its socket */
	}
}

static void on_signal(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;

	if (read(supervisor->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info)) {
		return;
	}
	switch (info.ssi_signo) {
	case SIGCHLD:
		reap_children(supervisor);
		break;
	case SIGHUP:
		supervisor_send_store(supervisor);
		break;
	default: /* SIGTERM, SIGINT */
		supervisor->is_stopping = true;
	}
}

/* --- the loop --------------------------------------------------------------------------- */

/* Without it a store that is put in the place of another is read when somebody asks for it. */
static void watch_store(struct supervisor *supervisor)
{
	struct phial_error err;
	enum phial_status status =
		phial_store_path_watch(&supervisor->store_path, supervisor->options->store, &err);

	if (status == PHIAL_OK) {
		supervisor->store_watch.kind = WATCH_STORE;
		status = supervisor_watch(supervisor, supervisor->store_path.fd,
					  &supervisor->store_watch, &err);
	}
	if (status != PHIAL_OK) {
		phial_log("another directory in the place of the store is not noticed "
			  "(\"phial reload\" reads it): %s",
			  err.text);
	}
}

static void on_event(struct supervisor *supervisor, struct watch *watch)
{
	switch (watch->kind) {
	case WATCH_SIGNAL:
		on_signal(supervisor);
		break;
	case WATCH_CALL:
		if (supervisor->call_fd >= 0 && !supervisor_answer_call(supervisor)) {
			/* It is gone, or as good as: SIGCHLD tells, and does the rest. */
			phial_close_fd(&supervisor->call_fd);
			kill(supervisor->worker_pid, SIGKILL);
		}
		break;
	case WATCH_FILLER:
		containers_on_filler(supervisor, (struct filler *)watch);
		break;
	case WATCH_READS:
		reads_on_event(supervisor);
		break;
	case WATCH_CONTAINER:
		containers_on_exit(supervisor, (struct container *)watch);
		break;
	case WATCH_STORE:
		if (phial_store_path_has_changed(&supervisor->store_path)) {
			watch_store(supervisor);
			supervisor_send_event(supervisor, PHIAL_LINK_MOVED, NULL, 0);
		}
		break;
	case WATCH_NOTIFIER:
		notifiers_on_told(supervisor, (struct notifier *)watch);
		break;
	case WATCH_REATTACHER:
		reattachers_on_result(supervisor, (struct reattacher *)watch);
		break;
	}
}

/* How long to wait for an event: for good, unless something is to be tried again. */
static int loop_timeout_ms(const struct supervisor *supervisor)
{
	if (supervisor->worker_is_due) {
		return WORKER_PAUSE_MS;
	}
	if (supervisor->filler_is_due) {
		return FILLER_PAUSE_MS;
	}
	return supervisor->first_event ? EVENT_RETRY_MS : -1;
}

static void start_what_is_due(struct supervisor *supervisor)
{
	if (supervisor->worker_is_due) {
		restart_worker(supervisor);
	} else if (supervisor->filler_is_due) {
		containers_prepare_filler(supervisor);
	}
}

static enum phial_status run_loop(struct supervisor *supervisor, struct phial_error *err)
{
	while (!supervisor->is_stopping) {
		/* One at a time: handling one may free what another would point to. */
		struct epoll_event event;
		int count =
			epoll_wait(supervisor->epoll_fd, &event, 1, loop_timeout_ms(supervisor));

		if (count < 0 && errno != EINTR) {
			return phial_fail(err, PHIAL_SYSTEM, errno, "epoll_wait");
		}
		if (count == 0) {
			start_what_is_due(supervisor);
		}
		if (count == 1) {
			on_event(supervisor, event.data.ptr);
		}
		supervisor_flush_events(supervisor);
	}
	return supervisor->fatal_status;
}

static enum phial_status watch_signals(struct supervisor *supervisor, struct phial_error *err)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "set up signals");
	}
	supervisor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	supervisor->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (supervisor->epoll_fd < 0 || supervisor->signal_fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "watch signals");
	}
	supervisor->signal_watch.kind = WATCH_SIGNAL;
	supervisor->call_watch.kind = WATCH_CALL;
	supervisor->reads_watch.kind = WATCH_READS;
	return supervisor_watch(supervisor, supervisor->signal_fd, &supervisor->signal_watch, err);
}

static enum phial_status start_children(struct supervisor *supervisor, struct phial_error *err)
{
	supervisor->self_test_pid = fork();
	if (supervisor->self_test_pid == 0) {
		child_run_self_test(supervisor);
	}
	if (supervisor->self_test_pid < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "fork the self-test");
	}
	enum phial_status status = containers_start_filler(supervisor, err);

	watch_store(supervisor);
	if (status == PHIAL_OK) {
		status = start_worker(supervisor, err);
	}
	if (status == PHIAL_OK) {
		brief_worker(supervisor);
	}
	return status;
}

/* It writes what it has and that the worker ended; a disk that hangs is not waited for. */
static void await_auditor(const struct supervisor *supervisor)
{
	int64_t until_ms = now_ms() + AUDITOR_END_MS;

	while (supervisor->auditor_pid > 0 && now_ms() < until_ms &&
	       waitpid(supervisor->auditor_pid, NULL, WNOHANG) == 0) {
		(void)poll(NULL, 0, 1);
	}
}

/* Keys first: whatever goes wrong afterwards, nothing is left. */
static void stop(struct supervisor *supervisor)
{
	struct phial_error err;

	phial_notify("STOPPING=1");
	if (supervisor->ring != 0 && phial_keyring_clear(supervisor->ring, &err) != PHIAL_OK) {
		phial_log("cannot clear the ring: %s", err.text);
	}
	if (supervisor->worker_pid > 0) {
		kill(supervisor->worker_pid, SIGKILL);
	}
	await_auditor(supervisor);
	if (supervisor->self_test_pid > 0) {
		kill(supervisor->self_test_pid, SIGKILL);
	}
	supervisor_remove_metrics(supervisor);
	supervisor_remove_sockets(supervisor);
}

enum phial_status phial_supervisor_run(const struct phial_agent_options *options,
				       struct phial_error *err)
{
	struct supervisor supervisor = {
		.options = options,
		.began = phial_clock_read(),
		.lock_fd = -1,
		.run_fd = -1,
		.workload_fd = -1,
		.boot_fd = -1,
		.hook_fd = -1,
		.admin_fd = -1,
		.init_fd = -1,
		.state_fd = -1,
		.audit_fd = -1,
		.call_fd = -1,
		.store_path = { .fd = -1 },
		.answer_fd = -1,
		.event_fd = -1,
		.reads = { .fd = -1 },
		.err = err,
	};
	/* No number is given twice in one boot, not even by the next agent. */
	supervisor.last_number = (uint64_t)now_ms() * 1000000;
	enum phial_status status = supervisor_prepare(&supervisor, err);

	if (status == PHIAL_OK) {
		status = watch_signals(&supervisor, err);
	}
	if (status == PHIAL_OK) {
		status = supervisor_take_ring(&supervisor, err);
	}
	if (status == PHIAL_OK) {
		status = start_children(&supervisor, err);
	}
	if (status == PHIAL_OK) {
		status = run_loop(&supervisor, err);
	}
	stop(&supervisor);
	return status;
}
