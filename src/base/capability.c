/* SPDX-License-Identifier: ISC */
/*
 * Cutting capabilities by the raw system calls: libcap would be one more library in every
 * privileged process, for two calls. Grants nothing and raises nothing.
 */
#include "base/capability.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum phial_status phial_capabilities_keep(uint64_t keep, struct phial_error *err)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "capget");
	}
	for (unsigned int word = 0; word < 2; word++) {
		data[word].permitted &= (uint32_t)(keep >> (32 * word));
		data[word].effective = data[word].permitted;
		data[word].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "capset");
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "prctl");
	}
	return PHIAL_OK;
}
