/* SPDX-License-Identifier: ISC */
/*
 * Live containers: fillers are given their mounts, exits are noticed by pidfd, and what a
 * container leaves behind is wiped. Knows numbers and descriptors, no names and no policy.
 */
#include "agent/supervisor_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "agent/link.h"
#include "agent/log.h"
#include "base/cleanup.h"

/*
 * From a container's end to the wipe. sendfile(2) and splice(2) put a file's own pages into a
 * pipe: overwritten at once, the last words of `cat /run/secrets/x` would reach its reader as zeros.
 */
#define WIPE_DELAY_S 1

enum phial_status containers_start_filler(struct supervisor *supervisor, struct phial_error *err)
{
	phial_auto_free struct filler *filler = calloc(1, sizeof(*filler));
	phial_auto_fd int fd = -1;
	pid_t pid;

	if (!filler) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "prepare a filler");
	}
	enum phial_status status = child_fork("a filler", &pid, &fd, err);

	if (status == PHIAL_OK && pid == 0) {
		child_run_filler(supervisor, fd);
	}
	filler->watch.kind = WATCH_FILLER;
	if (status == PHIAL_OK) {
		status = supervisor_watch(supervisor, fd, &filler->watch, err);
	}
	if (status == PHIAL_OK) {
		filler->fd = phial_take_fd(&fd);
		supervisor->idle_filler = phial_take_pointer(filler);
	}
	return status;
}

void containers_prepare_filler(struct supervisor *supervisor)
{
	struct phial_error err;

	supervisor->filler_is_due = false;
	if (!supervisor->idle_filler && containers_start_filler(supervisor, &err) != PHIAL_OK) {
		phial_log("%s", err.text);
	}
}

static void free_filler(const struct supervisor *supervisor, struct filler *filler)
{
	supervisor_unwatch(supervisor, &filler->fd);
	free(filler);
}

/* Send a job to the idle filler, starting one if there is none. ret_filler: owned, has the job. */
static enum phial_status send_job(struct supervisor *supervisor, const struct container *container,
				  uint32_t type, const void *parts, size_t length,
				  struct filler **ret_filler, struct phial_error *err)
{
	enum phial_status status = PHIAL_OK;

	if (!supervisor->idle_filler) {
		status = containers_start_filler(supervisor, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	struct filler *filler = phial_take_pointer(supervisor->idle_filler);

	status = phial_frame_send(filler->fd, type, parts, length, &container->mount_fd, 1, err);
	if (status != PHIAL_OK) {
		free_filler(supervisor, filler);
		return status;
	}
	*ret_filler = filler;
	return PHIAL_OK;
}

static enum phial_status give_job(struct supervisor *supervisor, struct container *container,
				  uint32_t type, const void *parts, size_t length,
				  struct phial_error *err)
{
	struct filler *filler = NULL;
	enum phial_status status =
		send_job(supervisor, container, type, parts, length, &filler, err);

	if (status == PHIAL_GONE) { /* it died while idle, and nobody had noticed: once more */
		status = send_job(supervisor, container, type, parts, length, &filler, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	filler->container = container;
	filler->is_wiping = type == PHIAL_LINK_WIPE;
	container->filler = filler;
	return PHIAL_OK;
}

static void remove_container(struct supervisor *supervisor, struct container *container)
{
	struct container **link = &supervisor->containers;
	struct phial_link_container record = { .number = container->number };

	while (*link != container) {
		link = &(*link)->next;
	}
	*link = container->next;
	phial_reads_forget(&supervisor->reads, container->number);
	phial_close_fd(&container->exit_fd);
	phial_close_fd(&container->mount_fd);
	free(container);
	supervisor_send_event(supervisor, PHIAL_LINK_EXITED, &record, sizeof(record));
}

/* Wipe now, or as soon as the filler that works on the mount is done. */
static void wipe(struct supervisor *supervisor, struct container *container)
{
	struct phial_error err;

	container->must_wipe = true;
	if (container->filler) {
		return;
	}
	static const struct phial_link_job job;

	if (give_job(supervisor, container, PHIAL_LINK_WIPE, &job, sizeof(job), &err) != PHIAL_OK) {
		phial_log("container %llu: cannot wipe its mount, letting go of it: %s",
			  (unsigned long long)container->number, err.text);
		remove_container(supervisor, container);
	}
}

/* frame: FILL or GIVE, with pidfd and mount, which are the container's on PHIAL_OK. */
enum phial_status containers_fill(struct supervisor *supervisor, const struct phial_frame *frame,
				  const void *parts, uint64_t *ret_number, struct phial_error *err)
{
	int pidfd = frame->fds[0];
	struct container *container = calloc(1, sizeof(*container));

	if (!container) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "remember a container");
	}
	container->watch.kind = WATCH_CONTAINER;
	container->number = ++supervisor->last_number;
	container->exit_fd = pidfd;
	container->mount_fd = frame->fds[1];
	enum phial_status status = supervisor_watch(supervisor, pidfd, &container->watch, err);

	if (status == PHIAL_OK) {
		status = give_job(supervisor, container, frame->type, parts, frame->length, err);
	}
	if (status != PHIAL_OK) {
		(void)epoll_ctl(supervisor->epoll_fd, EPOLL_CTL_DEL, pidfd, NULL);
		free(container);
		return status;
	}
	container->next = supervisor->containers;
	supervisor->containers = container;
	*ret_number = container->number;
	return PHIAL_OK;
}

enum phial_status containers_hold_again(struct supervisor *supervisor, uint64_t number, int pidfd,
					int mount_fd, struct phial_error *err)
{
	struct container *container = calloc(1, sizeof(*container));

	if (!container) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "remember a container");
	}
	*container = (struct container){
		.watch.kind = WATCH_CONTAINER,
		.number = number,
		.exit_fd = pidfd,
		.mount_fd = mount_fd,
		.next = supervisor->containers,
	};
	enum phial_status status = supervisor_watch(supervisor, pidfd, &container->watch, err);

	if (status != PHIAL_OK) {
		free(container);
		return status;
	}
	supervisor->containers = container;
	return PHIAL_OK;
}

struct container *containers_find(const struct supervisor *supervisor, uint64_t number)
{
	struct container *container = supervisor->containers;

	while (container && container->number != number) {
		container = container->next;
	}
	return container;
}

enum phial_status containers_find_live(const struct supervisor *supervisor, uint64_t number,
				       struct container **ret_container, struct phial_error *err)
{
	*ret_container = containers_find(supervisor, number);
	if (!*ret_container || (*ret_container)->has_exited || (*ret_container)->must_wipe) {
		return phial_fail(err, PHIAL_GONE, 0, "the container has ended");
	}
	return PHIAL_OK;
}

enum phial_status containers_change(struct supervisor *supervisor, const struct phial_frame *frame,
				    const void *record, struct phial_error *err)
{
	const struct phial_link_job *job = record;
	struct container *container;
	enum phial_status status = containers_find_live(supervisor, job->number, &container, err);

	if (status == PHIAL_OK && container->filler) {
		status = phial_fail(err, PHIAL_EXISTS, 0, "its mount is being written to");
	}
	return status == PHIAL_OK
		       ? give_job(supervisor, container, frame->type, record, frame->length, err)
		       : status;
}

enum phial_status containers_share_mount(const struct supervisor *supervisor, uint64_t number,
					 int *ret_fd, struct phial_error *err)
{
	struct container *container;
	enum phial_status status = containers_find_live(supervisor, number, &container, err);

	if (status != PHIAL_OK) {
		return status;
	}
	*ret_fd = fcntl(container->mount_fd, F_DUPFD_CLOEXEC, 0);
	return *ret_fd >= 0 ? PHIAL_OK
			    : phial_fail(err, PHIAL_SYSTEM, errno, "share a container's mount");
}

void containers_wipe(struct supervisor *supervisor, uint64_t number)
{
	struct container *container = containers_find(supervisor, number);

	if (container && !container->must_wipe) {
		wipe(supervisor, container);
	}
}

/* Have the container's watch fire once more. Returns false if that cannot be had. */
static bool watch_timer(struct supervisor *supervisor, struct container *container)
{
	const struct itimerspec delay = { .it_value = { .tv_sec = WIPE_DELAY_S } };
	struct phial_error err;

	phial_close_fd(&container->exit_fd);
	container->exit_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	return container->exit_fd >= 0 &&
	       timerfd_settime(container->exit_fd, 0, &delay, NULL) == 0 &&
	       supervisor_watch(supervisor, container->exit_fd, &container->watch, &err) ==
		       PHIAL_OK;
}

void containers_on_exit(struct supervisor *supervisor, struct container *container)
{
	/* Both stay readable for good: look once. */
	(void)epoll_ctl(supervisor->epoll_fd, EPOLL_CTL_DEL, container->exit_fd, NULL);
	bool is_first = !container->has_exited;

	container->has_exited = true;
	if (container->must_wipe || (is_first && watch_timer(supervisor, container))) {
		return;
	}
	wipe(supervisor, container);
}

/* Take a filler's answer; a filler that died without one has failed. */
static void receive_result(struct filler *filler, struct phial_link_result *ret_result)
{
	struct phial_error err;
	struct phial_frame frame;
	enum phial_status status =
		phial_frame_receive(filler->fd, ret_result, sizeof(*ret_result), &frame, &err);

	if (status == PHIAL_OK) {
		phial_frame_close_fds(&frame);
	}
	if (status != PHIAL_OK || frame.length != sizeof(*ret_result)) {
		*ret_result = (struct phial_link_result){ .status = PHIAL_SYSTEM };
		(void)phial_fail(&err, PHIAL_SYSTEM, 0, "the filler died at its work");
		memcpy(ret_result->text, err.text, sizeof(ret_result->text));
	}
	ret_result->text[sizeof(ret_result->text) - 1] = '\0';
}

void containers_on_filler(struct supervisor *supervisor, struct filler *filler)
{
	struct container *container = filler->container;
	struct phial_link_result result;

	if (!container) { /* died while idle: the next job starts another */
		if (supervisor->idle_filler == filler) {
			supervisor->idle_filler = NULL;
		}
		free_filler(supervisor, filler);
		return;
	}
	receive_result(filler, &result);
	bool was_wiping = filler->is_wiping;

	container->filler = NULL;
	free_filler(supervisor, filler);
	if (was_wiping) {
		if (result.status != PHIAL_OK) {
			phial_log("container %llu: wiping its mount failed: %s",
				  (unsigned long long)container->number, result.text);
		}
		remove_container(supervisor, container);
	} else {
		result.number = container->number;
		reads_follow(supervisor, container);
		supervisor_send_event(supervisor, PHIAL_LINK_FILLED, &result, sizeof(result));
		if (container->must_wipe) {
			wipe(supervisor, container);
		}
	}
	supervisor->filler_is_due = supervisor->idle_filler == NULL;
}
