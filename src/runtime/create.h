/* SPDX-License-Identifier: ISC */
/* Creating a container that may have a grant. */
#ifndef PHIAL_RUNTIME_CREATE_H
#define PHIAL_RUNTIME_CREATE_H

#include "base/text.h"
#include "runtime/arguments.h"

/*
 * Run the real runtime's create, have the secrets attached, and take the container back if that
 * fails. path: the real runtime's. config_fd: the bundle's config, which the agent reads. problems:
 * what to report, one a line, empty unless it was phial that failed. Ends the process if the
 * runtime's own create fails, as that ended. Returns the wrapper's exit code.
 */
int phial_runtime_create(struct phial_runtime_call *call, const char *path, int config_fd,
			 struct phial_text *problems);

#endif
