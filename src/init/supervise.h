/* SPDX-License-Identifier: ISC */
/* Being the init of the command. */
#ifndef PHIAL_INIT_SUPERVISE_H
#define PHIAL_INIT_SUPERVISE_H

#include <phial/error.h>

#include "init/command.h"

/*
 * Start the command and be its init: pass signals on, reap whatever dies, until the command ends.
 * With --on-rotation=restart it is started again when its secrets were rotated, unless somebody
 * told it to end; with --ready-fd the agent is told when it is ready. job: watched already.
 * ret_code: the exit status of the last one, or 128 + the signal that ended it. Returns PHIAL_OK,
 * or PHIAL_SYSTEM when it could not be started. Blocks as long as the command runs. See wait(2).
 */
PHIAL_CHECKED enum phial_status phial_init_supervise(struct phial_init_job *job, int *ret_code,
						     struct phial_error *err);

#endif
