/* SPDX-License-Identifier: ISC */
/*
 * phial-init's socket, and mounters: forked when a worker asks for one, with one end of a socket pair, and forgotten when
 * they end. Believes the worker only that somebody asks: the mounter looks for itself.
 */
#include "agent/supervisor_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "host/file.h"
#include "wire/hook_protocol.h"
#include "wire/init_protocol.h"

/*
 * The one socket that all phial-inits connect to, under another name: it listens since before the
 * ring was joined, and its credentials pin nothing.
 */
enum phial_status mounters_link_socket(const struct supervisor *supervisor, int dir_fd,
				       struct phial_error *err)
{
	static const char temporary[] = "." PHIAL_INIT_SOCKET_NAME;
	struct stat listening;
	struct stat linked;

	if (fstatat(supervisor->run_fd, PHIAL_INIT_LISTEN_NAME, &listening, AT_SYMLINK_NOFOLLOW) ==
		    0 &&
	    fstatat(dir_fd, PHIAL_INIT_SOCKET_NAME, &linked, AT_SYMLINK_NOFOLLOW) == 0 &&
	    listening.st_dev == linked.st_dev && listening.st_ino == linked.st_ino) {
		return PHIAL_OK; /* renameat() would leave both names of one file */
	}
	if ((unlinkat(dir_fd, temporary, 0) != 0 && errno != ENOENT) ||
	    linkat(supervisor->run_fd, PHIAL_INIT_LISTEN_NAME, dir_fd, temporary, 0) != 0 ||
	    renameat(dir_fd, temporary, dir_fd, PHIAL_INIT_SOCKET_NAME) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "link the socket for phial-init");
	}
	return PHIAL_OK;
}

enum phial_status mounters_start(struct supervisor *supervisor, pid_t pid, int pidfd, int *ret_fd,
				 struct phial_error *err)
{
	pid_t *slot = NULL;

	for (size_t i = 0; i < PHIAL_MOUNTERS_MAX; i++) {
		slot = supervisor->mounter_pids[i] == 0 ? &supervisor->mounter_pids[i] : slot;
	}
	if (!slot) {
		return phial_fail(err, PHIAL_EXISTS, 0, "%d mounters are at work already",
				  PHIAL_MOUNTERS_MAX);
	}
	pid_t child;
	phial_auto_fd int fd = -1;
	enum phial_status status = child_fork("a mounter", &child, &fd, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (child == 0) {
		const struct phial_mounter_job job = { pid, pidfd, supervisor->workload_fd };

		child_run_mounter(supervisor, fd, &job);
	}
	*slot = child;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "start a mounter");
	}
	*ret_fd = phial_take_fd(&fd);
	return PHIAL_OK;
}

bool mounters_forget(struct supervisor *supervisor, pid_t pid)
{
	for (size_t i = 0; i < PHIAL_MOUNTERS_MAX; i++) {
		if (supervisor->mounter_pids[i] == pid) {
			supervisor->mounter_pids[i] = 0;
			return true;
		}
	}
	return false;
}

enum phial_status mounters_find_peer(pid_t pid, uint64_t *ret_number, struct phial_error *err)
{
	char path[64];
	phial_auto_free char *text = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	enum phial_status status = phial_host_read(AT_FDCWD, path, &text, err);

	if (status == PHIAL_OK) {
		*ret_number = phial_cgroup_number(text);
	}
	return status;
}
