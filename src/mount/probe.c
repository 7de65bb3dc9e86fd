/* SPDX-License-Identifier: ISC */
/* Trying the mount calls with arguments that every kernel refuses. Mounts nothing. */
#include "mount/probe.h"

#include <errno.h>

#include "mount/sys.h"

static bool is_known(int answer)
{
	return answer >= 0 || errno != ENOSYS;
}

void phial_mount_try_calls(struct phial_mount_calls *ret_calls)
{
	const struct mount_attr none = { .attr_set = 0 };

	/* -1 is no descriptor; and there is no file system without a name. */
	ret_calls->has_openat2 = is_known(sys_openat2(-1, "", 0, 0, 0));
	ret_calls->has_fsopen = is_known(sys_fsopen("", UINT32_MAX));
	ret_calls->has_mount_setattr = is_known(sys_mount_setattr(-1, "", 0, &none));
}
