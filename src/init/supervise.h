/* SPDX-License-Identifier: ISC */
/* The command: become it, or start it and be its init. */
#ifndef PHIAL_INIT_SUPERVISE_H
#define PHIAL_INIT_SUPERVISE_H

#include <stdbool.h>

#include <phial/error.h>

#include "init/environment.h"
#include "init/signals.h"

/* As Docker and the shells have them. */
#define PHIAL_INIT_EXIT_OWN	    125 /* phial-init itself failed */
#define PHIAL_INIT_EXIT_NOT_RUN	    126 /* the command was found and could not be run */
#define PHIAL_INIT_EXIT_NOT_FOUND   127
#define PHIAL_INIT_EXIT_SIGNAL_BASE 128

struct phial_init_job {
	char **command;			       /* NULL-terminated */
	struct phial_init_environment *around; /* wiped once the command has it */
	struct phial_init_signals inherited;
	bool to_group;
};

/*
 * Become the command. PATH is searched as execvp(3) does. Returns only when that failed: the exit
 * code for it, after one line on stderr.
 */
int phial_init_become(const struct phial_init_job *job);

/*
 * Start the command in a process group of its own, in front of the terminal if there is one, and
 * be its init: pass signals on, reap whatever dies, until the command ends. ret_code: its exit
 * status, or 128 + the signal that ended it. Returns PHIAL_OK, or PHIAL_SYSTEM when nothing was
 * started. Blocks as long as the command runs. See wait(2), credentials(7), PR_SET_CHILD_SUBREAPER(2const).
 */
PHIAL_CHECKED enum phial_status phial_init_supervise(const struct phial_init_job *job,
						     int *ret_code, struct phial_error *err);

#endif
