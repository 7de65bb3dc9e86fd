/* SPDX-License-Identifier: ISC */
/*
 * One re-attacher's life: see that the process is the recorded one and where it was, enter, take
 * the mount. Decides nothing, writes nothing, sees no secret.
 */
#include "agent/reattacher.h"

#include <string.h>

#include "base/cleanup.h"
#include "mount/mount.h"
#include "wire/frame.h"

/* A number that was given again is of a process that began later, or of another namespace. */
static enum phial_status check_process(const struct phial_target *target,
				       const struct phial_link_reattach *job,
				       struct phial_error *err)
{
	if (target->start_time != job->start_time) {
		return phial_fail(err, PHIAL_GONE, 0, "process %d is gone", (int)job->pid);
	}
	if (target->namespace_inode != job->mount_namespace) {
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "process %d has left the mount namespace it was in",
				  (int)job->pid);
	}
	return PHIAL_OK;
}

static enum phial_status take_back(const struct phial_link_reattach *job, int *ret_fd,
				   struct phial_error *err)
{
	phial_auto_target struct phial_target target = PHIAL_TARGET_NONE;
	enum phial_status status = phial_target_open(job->pid, &target, err);

	if (status == PHIAL_OK) {
		status = check_process(&target, job, err);
	}
	return status == PHIAL_OK
		       ? phial_target_recover(&target, job->target, &job->identity, ret_fd, err)
		       : status;
}

int phial_reattacher_run(int fd, const struct phial_link_reattach *job)
{
	struct phial_error err = { .status = PHIAL_OK };
	struct phial_link_result result = { .number = job->number };
	phial_auto_fd int mount_fd = -1;

	result.status = take_back(job, &mount_fd, &err);
	memcpy(result.text, err.text, sizeof(result.text));
	return phial_frame_send(fd, PHIAL_LINK_REATTACHED, &result, sizeof(result), &mount_fd,
				mount_fd >= 0 ? 1 : 0, NULL) == PHIAL_OK
		       ? 0
		       : 1;
}
