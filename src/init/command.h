/* SPDX-License-Identifier: ISC */
/* The command: become it, or start it as a child in front of the terminal. */
#ifndef PHIAL_INIT_COMMAND_H
#define PHIAL_INIT_COMMAND_H

#include <sys/types.h>

#include <phial/error.h>

#include "init/environment.h"
#include "init/options.h"
#include "init/signals.h"
#include "init/watch.h"

/* As Docker and the shells have them. */
#define PHIAL_INIT_EXIT_OWN	    125 /* phial-init itself failed */
#define PHIAL_INIT_EXIT_NOT_RUN	    126 /* the command was found and could not be run */
#define PHIAL_INIT_EXIT_NOT_FOUND   127
#define PHIAL_INIT_EXIT_SIGNAL_BASE 128

struct phial_init_job {
	const struct phial_init_options *options;
	const char *target;		      /* the directory of the secrets, or NULL */
	struct phial_init_environment around; /* wiped once the command has it */
	struct phial_init_signals inherited;
	struct phial_init_watch watch;
	pid_t former; /* the command that the next one replaces; 0: none */
};

/*
 * Become the command. PATH is searched as execvp(3) does. Returns only when that failed: the exit
 * code for it, after one line on stderr.
 */
int phial_init_become(const struct phial_init_job *job);

/*
 * Start the command in a process group of its own, in front of the terminal if there is one. What it
 * does until execve(2) it does in our memory. ret_pid: whose end says also that it could not be run.
 * Returns PHIAL_OK or PHIAL_SYSTEM. Blocks until it is executed. See credentials(7), vfork(2),
 * PR_SET_CHILD_SUBREAPER(2const).
 */
PHIAL_CHECKED enum phial_status phial_init_start(struct phial_init_job *job, pid_t *ret_pid,
						 struct phial_error *err);

/* The first of our three descriptors that is the controlling terminal, or -1, and its front group. */
int phial_init_find_terminal(pid_t *ret_front);

#endif
