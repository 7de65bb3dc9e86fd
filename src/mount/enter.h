/* SPDX-License-Identifier: ISC */
/* The one way into a container's mount namespace. Inside the mount room only. */
#ifndef PHIAL_MOUNT_ENTER_H
#define PHIAL_MOUNT_ENTER_H

#include <phial/error.h>

#include "mount/mount.h"

/*
 * Enter the target's mount namespace for good, and see that it is the one. The root directory of
 * the caller is then that namespace's. Returns PHIAL_OK or PHIAL_SYSTEM. See setns(2).
 */
PHIAL_CHECKED enum phial_status phial_target_enter(const struct phial_target *target,
						   struct phial_error *err);

/*
 * Read one of a target's mount tables from its beginning. fd: mountinfo_fd or own_mountinfo_fd.
 * ret_text: freed by the caller. Returns PHIAL_OK; PHIAL_TOO_LARGE over 16 MiB; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_target_read_mountinfo(int fd, uint8_t **ret_text,
							    size_t *ret_length,
							    struct phial_error *err);

/*
 * True if a file system in memory is the container's only: not mounted anywhere that the caller saw
 * before it entered. device: as st_dev. False also if that cannot be told.
 */
bool phial_target_has_to_itself(const struct phial_target *target, uint64_t device);

#endif
