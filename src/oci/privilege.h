/* SPDX-License-Identifier: ISC */
/* Which capabilities make a container privileged: one list, for the gate and for the grade. */
#ifndef PHIAL_OCI_PRIVILEGE_H
#define PHIAL_OCI_PRIVILEGE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Is a capability of this name ("CAP_SYS_ADMIN") one of them, as a runtime may read it? True also
 * for a name that is not spelt as the specification spells it. Pure.
 */
bool phial_capability_is_privileged(const char *name);

/* Is one of them, CAP_SYS_ADMIN among them, in a set of bits? See PHIAL_CAPABILITY(). Pure. */
bool phial_capabilities_are_privileged(uint64_t capabilities);

#endif
