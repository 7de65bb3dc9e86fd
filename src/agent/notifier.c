/* SPDX-License-Identifier: ISC */
/*
 * Finds the processes that one notice is for, and signals them. Decides neither whether nor which
 * signal: the worker does, and the supervisor checks what it asks. Enters nothing, sees no secret.
 */
#include "agent/notifier.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/mounter.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "host/container.h"
#include "host/file.h"
#include "host/pidfd.h"

/* The container as its own process shows it; what a process must have in common to be told. */
struct scope {
	pid_t pid;
	int process_fd; /* /proc/PID */
	uint64_t pid_namespace;
	char *cgroup;
};

static void close_scope(struct scope *scope)
{
	phial_close_fd(&scope->process_fd);
	free(scope->cgroup);
}

static enum phial_status say_gone(struct phial_error *err)
{
	return phial_fail(err, PHIAL_GONE, 0, "its process has ended");
}

/* --- the container -------------------------------------------------------------------------- */

static enum phial_status open_process(pid_t pid, int *ret_fd, struct phial_error *err)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	*ret_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd >= 0 ? PHIAL_OK : say_gone(err);
}

/* 0: it has none any more, or may not be looked at. */
static uint64_t find_pid_namespace(int process_fd)
{
	struct stat found;

	return fstatat(process_fd, "ns/pid", &found, 0) == 0 ? found.st_ino : 0;
}

/*
 * Look at the container by its process, all of it before the pidfd says that the process was alive
 * the while: until then its number was its own.
 */
static enum phial_status open_scope(int pidfd, struct scope *ret_scope, struct phial_error *err)
{
	enum phial_status status = phial_pidfd_find(pidfd, &ret_scope->pid, err);

	if (status == PHIAL_OK) {
		status = open_process(ret_scope->pid, &ret_scope->process_fd, err);
	}
	if (status == PHIAL_OK) {
		ret_scope->pid_namespace = find_pid_namespace(ret_scope->process_fd);
		status = phial_host_read(ret_scope->process_fd, "cgroup", &ret_scope->cgroup, err);
	}
	if (phial_pidfd_has_ended(pidfd)) {
		return say_gone(err);
	}
	if (status == PHIAL_OK && ret_scope->pid_namespace == 0) {
		status = phial_fail(err, PHIAL_SYSTEM, 0, "cannot look at its process");
	}
	return status;
}

/*
 * Between an engine's "create" and "start" the process is still the runtime, waiting in the
 * container: a signal would end it, and the command will read the new values anyway. A program of
 * the container is a file on one of the container's mounts; the runtime's is not.
 */
static bool has_begun(const struct scope *scope)
{
	phial_auto_free char *mounts = NULL;
	struct phial_mount_line line;
	struct statx program;

	return statx(scope->process_fd, "exe", 0, STATX_MNT_ID, &program) == 0 &&
	       (program.stx_mask & STATX_MNT_ID) != 0 &&
	       phial_host_read(scope->process_fd, "mountinfo", &mounts, NULL) == PHIAL_OK &&
	       phial_mountinfo_find_line(mounts, program.stx_mnt_id, &line);
}

/* --- signals -------------------------------------------------------------------------------- */

static bool send_signal(int pidfd, int number)
{
	return syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0U) == 0;
}

static enum phial_status tell_first(const struct phial_notice *notice, const struct scope *scope,
				    uint32_t *ret_count, struct phial_error *err)
{
	if (!has_begun(scope)) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0,
				  "its command has not begun yet, and will find the new secrets");
	}
	if (!send_signal(notice->pidfd, notice->signal_number)) {
		return errno == ESRCH ? say_gone(err)
				      : phial_fail(err, PHIAL_SYSTEM, errno, "signal its process");
	}
	*ret_count = 1;
	return PHIAL_OK;
}

/* The whole name, with the newline that ends it: a name may have newlines in it, too. */
static bool has_name(int process_fd, const char *name)
{
	phial_auto_free char *text = NULL;
	size_t length = strlen(name);

	return phial_host_read(process_fd, "comm", &text, NULL) == PHIAL_OK &&
	       strlen(text) == length + 1 && memcmp(text, name, length) == 0 &&
	       text[length] == '\n';
}

static bool is_within(int process_fd, const struct scope *scope)
{
	phial_auto_free char *cgroup = NULL;

	return find_pid_namespace(process_fd) == scope->pid_namespace &&
	       phial_host_read(process_fd, "cgroup", &cgroup, NULL) == PHIAL_OK &&
	       phial_cgroup_contains(scope->cgroup, cgroup);
}

/*
 * Hold one process by pidfd if it is meant. Its name is looked at first, because that leaves nearly
 * nobody; everything again once it is held. What is read through its directory in /proc after that
 * is of the same process: the directory of one that has ended has no files. -1: not meant.
 */
static int hold(pid_t pid, const char *name, const struct scope *scope)
{
	phial_auto_fd int process_fd = -1;

	if (open_process(pid, &process_fd, NULL) != PHIAL_OK || !has_name(process_fd, name) ||
	    !is_within(process_fd, scope)) {
		return -1;
	}
	phial_auto_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0U);

	return pidfd >= 0 && has_name(process_fd, name) && is_within(process_fd, scope)
		       ? phial_take_fd(&pidfd)
		       : -1;
}

static void close_directory(DIR **directory)
{
	if (*directory) {
		(void)closedir(*directory);
	}
}

static enum phial_status tell_named(const struct phial_notice *notice, const struct scope *scope,
				    uint32_t *ret_count, struct phial_error *err)
{
	phial_auto(close_directory) DIR *processes = opendir("/proc");
	const struct dirent *entry;
	uint64_t pid;

	if (!processes) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "open /proc");
	}
	while ((entry = readdir(processes))) {
		if (!phial_parse_u64(phial_span_of(entry->d_name), 2, INT32_MAX, &pid)) {
			continue;
		}
		phial_auto_fd int pidfd = hold((pid_t)pid, notice->process, scope);

		if (pidfd >= 0 && *ret_count == PHIAL_NOTIFIER_PROCESSES_MAX) {
			return phial_fail(err, PHIAL_TOO_LARGE, 0,
					  "there are more than %d processes of that name: the "
					  "others were not told",
					  PHIAL_NOTIFIER_PROCESSES_MAX);
		}
		*ret_count += pidfd >= 0 && send_signal(pidfd, notice->signal_number);
	}
	return *ret_count > 0 ? PHIAL_OK
			      : phial_fail(err, PHIAL_NOT_FOUND, 0, "no process of that name");
}

/* Other containers and the host itself may be in the same namespace: then only names are left. */
static enum phial_status check_apart(const struct scope *scope, struct phial_error *err)
{
	phial_auto_fd int own_fd = -1;
	enum phial_status status = open_process(getpid(), &own_fd, err);

	if (status == PHIAL_OK && find_pid_namespace(own_fd) == scope->pid_namespace) {
		status = phial_fail(err, PHIAL_REFUSED, 0,
				    "it shares the host's process namespace, where a name says "
				    "nothing: let notify be a signal alone");
	}
	return status;
}

enum phial_status phial_notifier_tell(const struct phial_notice *notice, uint32_t *ret_count,
				      struct phial_error *err)
{
	phial_auto(close_scope) struct scope scope = { .process_fd = -1 };
	enum phial_status status = open_scope(notice->pidfd, &scope, err);

	*ret_count = 0;
	if (status != PHIAL_OK) {
		return status;
	}
	if (notice->process[0] == '\0') {
		return tell_first(notice, &scope, ret_count, err);
	}
	status = check_apart(&scope, err);
	return status == PHIAL_OK ? tell_named(notice, &scope, ret_count, err) : status;
}

int phial_notifier_run(int fd, const struct phial_notice *notice)
{
	struct phial_link_told told = { .status = PHIAL_OK };
	struct phial_error err = { .status = PHIAL_OK };

	told.status = phial_notifier_tell(notice, &told.count, &err);
	memcpy(told.text, err.text, sizeof(told.text));
	return phial_frame_send(fd, PHIAL_LINK_TOLD, &told, sizeof(told), NULL, 0, NULL) == PHIAL_OK
		       ? 0
		       : 1;
}
