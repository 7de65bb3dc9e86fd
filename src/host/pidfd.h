/* SPDX-License-Identifier: ISC */
/* Which process a pidfd is of. */
#ifndef PHIAL_HOST_PIDFD_H
#define PHIAL_HOST_PIDFD_H

#include <stdbool.h>
#include <sys/types.h>

#include <phial/error.h>

/*
 * The number that a pidfd is of, as the caller's /proc counts. What was read of that number before
 * this call was read of this process. pidfd: stays the caller's. Returns PHIAL_OK; PHIAL_GONE when
 * the process has ended and was waited for; PHIAL_SYSTEM. See pidfd_open(2), proc(5) on fdinfo.
 */
PHIAL_CHECKED enum phial_status phial_pidfd_find(int pidfd, pid_t *ret_pid,
						 struct phial_error *err);

/* Has its process ended? Also when nobody has waited for it yet. */
bool phial_pidfd_has_ended(int pidfd);

#endif
