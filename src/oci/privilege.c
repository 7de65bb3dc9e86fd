/* SPDX-License-Identifier: ISC */
/*
 * Capabilities by name, as a config has them, and by number, as /proc has them. In which namespace
 * they count is not asked here.
 */
#include "oci/privilege.h"

#include <linux/capability.h>
#include <stddef.h>
#include <string.h>

#include "base/capability.h"
#include "base/cleanup.h"

#define NAMED(number) #number, PHIAL_CAPABILITY(number)

/* With one of these a container reaches other processes, devices or the kernel. */
static const struct {
	const char *name;
	uint64_t bit;
} privileged[] = {
	{ NAMED(CAP_SYS_ADMIN) },  { NAMED(CAP_SYS_MODULE) },	{ NAMED(CAP_SYS_RAWIO) },
	{ NAMED(CAP_SYS_PTRACE) }, { NAMED(CAP_SYS_BOOT) },	{ NAMED(CAP_DAC_READ_SEARCH) },
	{ NAMED(CAP_MAC_ADMIN) },  { NAMED(CAP_MAC_OVERRIDE) }, { NAMED(CAP_BPF) },
	{ NAMED(CAP_PERFMON) },	   { NAMED(CAP_SYSLOG) },	{ NAMED(CAP_CHECKPOINT_RESTORE) },
};

/* runc passes over what is not spelt as specified; crun takes small letters and numbers, too. */
bool phial_capability_is_privileged(const char *name)
{
	static const char spelling[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";

	if (strncmp(name, "CAP_", 4) != 0 || name[strspn(name, spelling)] != '\0') {
		return true;
	}
	for (size_t i = 0; i < PHIAL_COUNT(privileged); i++) {
		if (strcmp(name, privileged[i].name) == 0) {
			return true;
		}
	}
	return false;
}

bool phial_capabilities_are_privileged(uint64_t capabilities)
{
	for (size_t i = 0; i < PHIAL_COUNT(privileged); i++) {
		if ((capabilities & privileged[i].bit) != 0) {
			return true;
		}
	}
	return false;
}
