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

#endif
