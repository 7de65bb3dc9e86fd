/* SPDX-License-Identifier: ISC */
/*
 * The children of the supervisor, from fork() to their sandbox. Each keeps only the descriptors it
 * is given; what fails here ends the child with a line in the log.
 */
#include "agent/supervisor_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/auditor.h"
#include "agent/filler.h"
#include "agent/log.h"
#include "agent/notifier.h"
#include "agent/reattacher.h"
#include "agent/syslog.h"
#include "agent/worker.h"
#include "base/cleanup.h"
#include "base/harden.h"
#include "base/secret.h"
#include "keyring/keyring.h"

/* What deals with a container ends by SIGALRM after so long, whatever that does to it. */
#define CHILD_LIMIT_S	10
#define REATTACHER_NICE 10
/* The audit log: a gigabyte at most. */
#define AUDIT_FILE_BYTES (UINT64_C(64) * 1024 * 1024)
#define AUDIT_FILES	 15

/* Signals go back to what a fresh process has, and the child ends with its parent. */
static enum phial_status begin(const int *keep, size_t count, struct phial_error *err)
{
	sigset_t none;

	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) != 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, 0, "start a child");
	}
	return phial_keep_descriptors(keep, count, err);
}

static void end_badly(const char *what, const struct phial_error *err) __attribute__((noreturn));

static void end_badly(const char *what, const struct phial_error *err)
{
	phial_log("%s: %s", what, err->text);
	_exit((int)err->status);
}

enum phial_status child_fork(const char *what, pid_t *ret_pid, int *ret_fd, struct phial_error *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "socketpair for %s", what);
	}
	pid_t pid = fork();
	int reason = errno;

	close(pair[pid == 0 ? 0 : 1]);
	if (pid < 0) {
		close(pair[0]);
		return phial_fail(err, PHIAL_SYSTEM, reason, "fork %s", what);
	}
	*ret_pid = pid;
	*ret_fd = pair[pid == 0 ? 1 : 0];
	return PHIAL_OK;
}

void child_run_filler(const struct supervisor *supervisor, int fd)
{
	struct phial_error err;
	struct phial_secret *payload = NULL;
	enum phial_status status = begin(&fd, 1, &err);

	if (status == PHIAL_OK) {
		status = phial_secret_new(PHIAL_KEY_PAYLOAD_MAX, &payload, &err);
	}
	if (status == PHIAL_OK) {
		status = phial_sandbox_filler(&supervisor->filters.filler, supervisor->empty_dir,
					      &err);
	}
	if (status != PHIAL_OK) {
		end_badly("filler", &err);
	}
	int result = phial_filler_run(fd, payload);

	phial_secret_free(payload);
	_exit(result);
}

/*
 * A client that waits has two descriptors, and poll(2) counts every place against the limit. The
 * others of the worker are callers with two each, mounters, and its own.
 */
static size_t find_clients_max(void)
{
	const rlim_t others = PHIAL_CALLERS_MAX * 2 + PHIAL_MOUNTERS_MAX + 32;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
	    limit.rlim_cur >= others + PHIAL_CLIENTS_MAX * 2) {
		return PHIAL_CLIENTS_MAX;
	}
	return limit.rlim_cur > others + 2 ? (size_t)(limit.rlim_cur - others) / 2 : 1;
}

void child_run_worker(const struct supervisor *supervisor, int call_fd, int event_fd, int audit_fd)
{
	struct phial_error err;
	const int keep[] = { call_fd,
			     event_fd,
			     supervisor->hook_fd,
			     supervisor->admin_fd,
			     supervisor->init_fd,
			     audit_fd,
			     supervisor->state_fd };
	const struct phial_worker_start start = {
		.call_fd = call_fd,
		.event_fd = event_fd,
		.hook_fd = supervisor->hook_fd,
		.admin_fd = supervisor->admin_fd,
		.init_fd = supervisor->init_fd,
		.audit_fd = audit_fd,
		.state_fd = supervisor->state_fd,
		.ring = supervisor->ring,
		.identity_serial = supervisor->identity_serial,
		.pages = supervisor->pages,
		.options = supervisor->options,
		.host_key = supervisor->host_key,
		.boot_id = supervisor->boot_id,
		.began = supervisor->began,
		.mount_kind = supervisor->mount_kind,
		.restarts = supervisor->worker_restarts,
		.clients_max = find_clients_max(),
	};
	enum phial_status status = begin(keep, PHIAL_COUNT(keep), &err);

	if (status == PHIAL_OK) {
		status = phial_sandbox_worker(&supervisor->filters.worker, supervisor->empty_dir,
					      supervisor->options, &err);
	}
	if (status != PHIAL_OK) {
		end_badly("worker", &err);
	}
	_exit((int)phial_worker_run(&start));
}

/* Should: end with its worker. Mustn't: reach a key, a secret's page, or any file but the log. */
void child_run_auditor(const struct supervisor *supervisor, int fd)
{
	struct phial_error err;
	const int keep[] = { fd, supervisor->audit_fd };
	struct phial_auditor_start start = {
		.fd = fd,
		.dir_fd = supervisor->audit_fd,
		.copy_fd = -1,
		.copies = supervisor->options->audit_copy != NULL,
		.log = {
			.host = supervisor->host_key,
			.boot = supervisor->boot_id,
			.file_max_bytes = AUDIT_FILE_BYTES,
			.files_max = AUDIT_FILES,
			.drops = supervisor->options->audit_drops,
		},
	};
	int32_t ring;
	enum phial_status status = begin(keep, PHIAL_COUNT(keep), &err);

	if (status == PHIAL_OK) {
		status = phial_keyring_join(&ring, &err);
	}
	/* The log is whole without its copy: that there is none is told, and nothing is refused. */
	if (status == PHIAL_OK && start.copies &&
	    phial_syslog_connect(supervisor->options->audit_copy, &start.copy_fd, &err) !=
		    PHIAL_OK) {
		phial_log("the audit log is not copied to syslog: %s", err.text);
	}
	if (status == PHIAL_OK) {
		(void)munmap(supervisor->pages.bytes, supervisor->pages.length);
		(void)prctl(PR_SET_NAME, "phial-auditor", 0, 0, 0);
		status = phial_sandbox_worker(&supervisor->filters.auditor, supervisor->empty_dir,
					      supervisor->options, &err);
	}
	if (status != PHIAL_OK) {
		end_badly("auditor", &err);
	}
	_exit((int)phial_auditor_run(&start));
}

/* What enters a container. A ring of its own: what it opens and hands on must not keep the agent's
 * alive. */
static enum phial_status become_mounter(const struct supervisor *supervisor,
					struct phial_error *err)
{
	int32_t ring;
	enum phial_status status = phial_keyring_join(&ring, err);

	if (status != PHIAL_OK) {
		return status;
	}
	(void)munmap(supervisor->pages.bytes, supervisor->pages.length);
	(void)alarm(CHILD_LIMIT_S);
	return phial_sandbox_mounter(&supervisor->filters.mounter, err);
}

void child_run_mounter(const struct supervisor *supervisor, int fd,
		       const struct phial_mounter_job *job)
{
	struct phial_error err;
	const int keep[] = { fd, job->pidfd, job->workload_fd };

	(void)prctl(PR_SET_NAME, "phial-mounter", 0, 0, 0);
	enum phial_status status = begin(keep, PHIAL_COUNT(keep), &err);

	if (status == PHIAL_OK) {
		status = become_mounter(supervisor, &err);
	}
	if (status != PHIAL_OK) {
		end_badly("mounter", &err);
	}
	_exit(phial_mounter_run(fd, job));
}

void child_run_notifier(const struct supervisor *supervisor, int fd,
			const struct phial_notice *notice)
{
	struct phial_error err;
	const int keep[] = { fd, notice->pidfd };
	int32_t ring;
	enum phial_status status = begin(keep, PHIAL_COUNT(keep), &err);

	/* It reads what containers may have a say in: nothing of the agent is left in it. */
	if (status == PHIAL_OK) {
		status = phial_keyring_join(&ring, &err);
	}
	if (status == PHIAL_OK) {
		(void)munmap(supervisor->pages.bytes, supervisor->pages.length);
		(void)prctl(PR_SET_NAME, "phial-notifier", 0, 0, 0);
		(void)alarm(CHILD_LIMIT_S);
		status = phial_sandbox_notifier(&supervisor->filters.notifier, &err);
	}
	if (status != PHIAL_OK) {
		end_badly("notifier", &err);
	}
	_exit(phial_notifier_run(fd, notice));
}

/* Should: let containers that start go first. */
void child_run_reattacher(const struct supervisor *supervisor, int fd,
			  const struct phial_link_reattach *job)
{
	struct phial_error err;
	enum phial_status status = begin(&fd, 1, &err);

	(void)prctl(PR_SET_NAME, "phial-reattach", 0, 0, 0);
	(void)setpriority(PRIO_PROCESS, 0, REATTACHER_NICE);
	if (status == PHIAL_OK) {
		status = become_mounter(supervisor, &err);
	}
	if (status != PHIAL_OK) {
		end_badly("re-attacher", &err);
	}
	_exit(phial_reattacher_run(fd, job));
}

void child_run_self_test(const struct supervisor *supervisor)
{
	struct phial_error err;
	enum phial_status status = begin(NULL, 0, &err);

	if (status == PHIAL_OK) {
		status = phial_keyring_self_test(supervisor->ring, &err);
	}
	if (status != PHIAL_OK) {
		end_badly("self-test of the keyring failed", &err);
	}
	_exit(0);
}
