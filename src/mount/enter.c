/* SPDX-License-Identifier: ISC */
/*
 * Entering a mount namespace, checked, and the mount tables of both sides. What is done there is
 * attach.c's and recover.c's; opens nothing of /proc, which is the container's afterwards.
 */
#include "mount/enter.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "base/io.h"
#include "mount/place.h"

#define MOUNTINFO_MAX_BYTES ((size_t)16 * 1024 * 1024)

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

enum phial_status phial_target_read_mountinfo(int fd, uint8_t **ret_text, size_t *ret_length,
					      struct phial_error *err)
{
	if (lseek(fd, 0, SEEK_SET) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "read a mount table");
	}
	enum phial_status status =
		phial_read_all(fd, MOUNTINFO_MAX_BYTES, ret_text, ret_length, err);

	return status == PHIAL_OK ? PHIAL_OK : phial_fail_prefix(err, "mount table");
}

bool phial_target_has_to_itself(const struct phial_target *target, uint64_t device)
{
	phial_auto_free uint8_t *text = NULL;
	size_t length = 0;

	return phial_target_read_mountinfo(target->own_mountinfo_fd, &text, &length, NULL) ==
		       PHIAL_OK &&
	       !phial_mountinfo_has_device((const char *)text, length, device);
}
