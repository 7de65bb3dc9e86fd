/* SPDX-License-Identifier: ISC */
/* What an injecting program undoes of its runtime's process state, and what it may do. */
#ifndef PHIAL_INJECT_PROCESS_H
#define PHIAL_INJECT_PROCESS_H

#include <phial/error.h>

/*
 * First of all: signals as usual, a limit of ten seconds, enough descriptors, no output into
 * regular files, nothing inherited, no dumps. name: of the program, for the message when time
 * runs out; kept. Returns PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_inject_reset_process(const char *name,
							   struct phial_error *err);

/* Keep the capabilities that entering and mounting need. Returns PHIAL_OK or PHIAL_SYSTEM. */
PHIAL_CHECKED enum phial_status phial_inject_cut_capabilities(struct phial_error *err);

#endif
