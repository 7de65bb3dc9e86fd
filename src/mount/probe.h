/* SPDX-License-Identifier: ISC */
/* Which of the mount calls does this kernel know? Tried, without any effect. */
#ifndef PHIAL_MOUNT_PROBE_H
#define PHIAL_MOUNT_PROBE_H

#include <stdbool.h>

struct phial_mount_calls {
	bool has_openat2;	/* Linux 5.6 */
	bool has_fsopen;	/* 5.2, with fsmount, open_tree and move_mount */
	bool has_mount_setattr; /* 5.12 */
};

/*
 * Call each with arguments that it refuses: a kernel that lacks it answers ENOSYS. So does a seccomp
 * filter of the caller's, which is as good. Needs no privilege. See openat2(2), mount_setattr(2).
 */
void phial_mount_try_calls(struct phial_mount_calls *ret_calls);

#endif
