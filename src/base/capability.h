/* SPDX-License-Identifier: ISC */
/* Capabilities of the calling process, without a library: see capabilities(7), capset(2). */
#ifndef PHIAL_BASE_CAPABILITY_H
#define PHIAL_BASE_CAPABILITY_H

#include <stdint.h>

#include <phial/error.h>

/* The bit of one capability, e.g. PHIAL_CAPABILITY(CAP_SYS_ADMIN) from <linux/capability.h>. */
#define PHIAL_CAPABILITY(number) (UINT64_C(1) << (number))

/*
 * Keep only these capabilities, permitted and effective, and make sure that no program started
 * later can have more: the inheritable and ambient sets are emptied and no_new_privs is set.
 * Capabilities in the mask that the process does not have are left out in silence (the first
 * use of a missing one fails by itself). keep: bits; 0 drops everything. Returns PHIAL_OK or
 * PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_capabilities_keep(uint64_t keep, struct phial_error *err);

#endif
