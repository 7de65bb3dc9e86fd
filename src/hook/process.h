/* SPDX-License-Identifier: ISC */
/* The hook as a process: what it undoes of its runtime's, and what it may do. */
#ifndef PHIAL_HOOK_PROCESS_H
#define PHIAL_HOOK_PROCESS_H

#include <phial/error.h>

/*
 * First of all: signals as usual, a limit of ten seconds, enough descriptors, no output into
 * regular files, nothing inherited, no dumps. Returns PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_hook_reset_process(struct phial_error *err);

/* Keep the capabilities that entering and mounting need. Returns PHIAL_OK or PHIAL_SYSTEM. */
PHIAL_CHECKED enum phial_status phial_hook_cut_capabilities(struct phial_error *err);

#endif
