/* SPDX-License-Identifier: ISC */
/*
 * Entering a mount namespace, checked. What is done there is attach.c's and recover.c's; opens
 * nothing of /proc, which is the container's afterwards.
 */
#include "mount/enter.h"

#include <errno.h>
#include <sched.h>

#include "mount/place.h"

/* A setns() whose failure goes unseen would mount the secrets on the host. */
enum phial_status phial_target_enter(const struct phial_target *target, struct phial_error *err)
{
	struct phial_place now;

	if (setns(target->namespace_fd, CLONE_NEWNS) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno,
				  "enter the mount namespace of process %d", (int)target->pid);
	}
	if (!phial_place_look(target->own_namespaces_fd, "mnt", &now) ||
	    now.inode != target->namespace_inode) {
		return phial_fail(err, PHIAL_SYSTEM, 0,
				  "the mount namespace of process %d was not entered",
				  (int)target->pid);
	}
	return PHIAL_OK;
}
