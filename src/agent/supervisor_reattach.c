/* SPDX-License-Identifier: ISC */
/*
 * Containers of an earlier agent: for each that the worker names, a re-attacher is forked, and
 * what it brings is held as if this agent had started the container. Believes neither of them that
 * the process or the filesystem is the one: looks for itself.
 */
#include "agent/supervisor_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/reattacher.h"
#include "base/cleanup.h"

static size_t count_at_work(const struct supervisor *supervisor)
{
	size_t count = 0;

	for (const struct reattacher *r = supervisor->reattachers; r; r = r->next) {
		count++;
	}
	return count;
}

static bool is_at_work_on(const struct supervisor *supervisor, uint64_t number)
{
	const struct reattacher *reattacher = supervisor->reattachers;

	while (reattacher && reattacher->number != number) {
		reattacher = reattacher->next;
	}
	return reattacher != NULL;
}

/*
 * Open a pidfd of the process that began then. Alive after its start time was read: no other
 * process had the number in between. Returns PHIAL_GONE when it is not there any more.
 */
static enum phial_status open_process(pid_t pid, uint64_t start_time, int *ret_fd,
				      struct phial_error *err)
{
	uint64_t found;
	phial_auto_fd int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd exit = { .fd = fd, .events = POLLIN };

	if (fd < 0) {
		return phial_fail(err, errno == ESRCH ? PHIAL_GONE : PHIAL_SYSTEM, errno,
				  "open process %d", (int)pid);
	}
	enum phial_status status = phial_target_find_start_time(pid, &found, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (found != start_time || poll(&exit, 1, 0) != 0) {
		return phial_fail(err, PHIAL_GONE, 0, "process %d is gone", (int)pid);
	}
	*ret_fd = phial_take_fd(&fd);
	return PHIAL_OK;
}

static enum phial_status check_call(const struct supervisor *supervisor,
				    const struct phial_link_reattach *call, struct phial_error *err)
{
	if (call->pid <= 1 || call->number == 0 || call->number > supervisor->last_number ||
	    memchr(call->target, '\0', sizeof(call->target)) == NULL || call->target[0] != '/') {
		return phial_fail(err, PHIAL_MALFORMED, 0, "no container's record");
	}
	if (containers_find(supervisor, call->number) || is_at_work_on(supervisor, call->number) ||
	    count_at_work(supervisor) >= PHIAL_REATTACHERS_MAX) {
		return phial_fail(err, PHIAL_EXISTS, 0, "held, or being re-attached");
	}
	return PHIAL_OK;
}

/* Of a process that is there: can it be tried at all? */
static enum phial_status check_possible(const struct supervisor *supervisor,
					const struct phial_link_reattach *call,
					struct phial_error *err)
{
	if (supervisor->options->is_user) {
		return phial_fail(err, PHIAL_UNSUPPORTED, 0,
				  "a user's agent cannot enter the namespaces of its containers");
	}
	if (call->identity.device == 0) {
		return phial_fail(err, PHIAL_UNSUPPORTED, 0,
				  "an older agent started it and did not record its filesystem");
	}
	return PHIAL_OK;
}

static enum phial_status fork_child(const struct supervisor *supervisor,
				    const struct phial_link_reattach *call, int *ret_fd,
				    struct phial_error *err)
{
	pid_t pid;
	enum phial_status status = child_fork("a re-attacher", &pid, ret_fd, err);

	if (status == PHIAL_OK && pid == 0) {
		child_run_reattacher(supervisor, *ret_fd, call);
	}
	return status;
}

static void free_reattacher(struct supervisor *supervisor, struct reattacher *reattacher)
{
	struct reattacher **link = &supervisor->reattachers;

	while (*link != reattacher) {
		link = &(*link)->next;
	}
	*link = reattacher->next;
	supervisor_unwatch(supervisor, &reattacher->fd);
	phial_close_fd(&reattacher->pidfd);
	free(reattacher);
}

enum phial_status reattachers_start(struct supervisor *supervisor,
				    const struct phial_link_reattach *call, bool *ret_is_gone,
				    struct phial_error *err)
{
	enum phial_status status = check_call(supervisor, call, err);

	if (status != PHIAL_OK) {
		return status;
	}
	struct reattacher *reattacher = calloc(1, sizeof(*reattacher));

	if (!reattacher) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "remember a re-attacher");
	}
	*reattacher = (struct reattacher){
		.watch.kind = WATCH_REATTACHER,
		.number = call->number,
		.identity = call->identity,
		.fd = -1,
		.pidfd = -1,
		.next = supervisor->reattachers,
	};
	supervisor->reattachers = reattacher;
	status = open_process(call->pid, call->start_time, &reattacher->pidfd, err);
	*ret_is_gone = status == PHIAL_GONE;
	if (status == PHIAL_OK) {
		status = check_possible(supervisor, call, err);
	}
	if (status == PHIAL_OK) {
		status = fork_child(supervisor, call, &reattacher->fd, err);
	}
	if (status == PHIAL_OK) {
		status = supervisor_watch(supervisor, reattacher->fd, &reattacher->watch, err);
	}
	if (status != PHIAL_OK) {
		free_reattacher(supervisor, reattacher);
	}
	return *ret_is_gone ? PHIAL_OK : status;
}

/* Hold what the child brought, if it is what was asked for. */
static enum phial_status hold(struct supervisor *supervisor, struct reattacher *reattacher,
			      struct phial_frame *frame, struct phial_error *err)
{
	struct phial_mount_identity found;

	if (frame->fd_count != 1) {
		return phial_fail(err, PHIAL_SYSTEM, 0, "the re-attacher brought no mount");
	}
	enum phial_status status = phial_mount_identify(frame->fds[0], &found, err);

	if (status == PHIAL_OK && !phial_mount_is_same(&found, &reattacher->identity)) {
		status = phial_fail(err, PHIAL_REFUSED, 0, "the mount is another filesystem's");
	}
	if (status == PHIAL_OK) {
		status = containers_hold_again(supervisor, reattacher->number, reattacher->pidfd,
					       frame->fds[0], err);
	}
	if (status == PHIAL_OK) { /* both are the container's now */
		reattacher->pidfd = -1;
		frame->fds[0] = -1;
	}
	return status;
}

/* What became of it; the container is held on PHIAL_OK. */
static enum phial_status take_result(struct supervisor *supervisor, struct reattacher *reattacher,
				     struct phial_error *err)
{
	struct phial_link_result result;
	struct phial_frame frame;
	enum phial_status status =
		phial_frame_receive(reattacher->fd, &result, sizeof(result), &frame, NULL);

	if (status != PHIAL_OK) {
		return phial_fail(err, PHIAL_SYSTEM, 0,
				  "the re-attacher died, or was not done in ten seconds: a "
				  "filesystem of the container may not answer");
	}
	if (frame.length != sizeof(result) || result.status > PHIAL_GONE) {
		status = phial_fail(err, PHIAL_SYSTEM, 0, "the re-attacher answered nonsense");
	} else if (result.status != PHIAL_OK) {
		result.text[sizeof(result.text) - 1] = '\0';
		status = phial_fail(err, (enum phial_status)result.status, 0, "%s", result.text);
	} else {
		status = hold(supervisor, reattacher, &frame, err);
	}
	phial_frame_close_fds(&frame);
	return status;
}

void reattachers_on_result(struct supervisor *supervisor, struct reattacher *reattacher)
{
	struct phial_error err = { .status = PHIAL_OK };
	struct phial_link_result result = { .number = reattacher->number };

	result.status = take_result(supervisor, reattacher, &err);
	memcpy(result.text, err.text, sizeof(result.text));
	free_reattacher(supervisor, reattacher);
	supervisor_send_event(supervisor, PHIAL_LINK_REATTACHED, &result, sizeof(result));
}
