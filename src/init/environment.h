/* SPDX-License-Identifier: ISC */
/* The command's environment: ours, and what tells it where its secrets are. */
#ifndef PHIAL_INIT_ENVIRONMENT_H
#define PHIAL_INIT_ENVIRONMENT_H

#include <stddef.h>
#include <sys/types.h>

#include <phial/error.h>

#include "init/options.h"

#define PHIAL_INIT_PID_VARIABLES 2

/* NAME=VALUE with a secret as value: pages of its own, locked, in no core dump. */
struct phial_init_secret {
	char *text;
	size_t room;
};

struct phial_init_environment {
	char **list;	   /* NULL-terminated, for execve(2) */
	size_t count;	   /* without the NULL */
	size_t first_made; /* what stands before it was inherited */
	struct phial_init_secret *secrets;
	size_t secret_count;
	char **paths; /* entries that are no secret */
	size_t path_count;
	char pids[PHIAL_INIT_PID_VARIABLES][32]; /* see phial_init_environment_set_pid() */
};

/*
 * Take over our own environment and add to it: CREDENTIALS_DIRECTORY; with --file-env the path of
 * each file; with --env the values asked for (the process is not dumpable from then on). A variable
 * that was there is replaced. target: the directory of the secrets; NULL: add nothing.
 * ret_environment: freed with phial_init_environment_wipe(), also on failure. Returns PHIAL_OK;
 * PHIAL_NOT_FOUND for an --env without its file; PHIAL_EXISTS when two files would be one variable;
 * PHIAL_MALFORMED for a value with a NUL in it; PHIAL_TOO_LARGE for one that execve(2) does not
 * take; PHIAL_SYSTEM, also when memory cannot be locked.
 */
PHIAL_CHECKED enum phial_status
phial_init_environment_make(const struct phial_init_options *options, const char *target,
			    struct phial_init_environment *ret_environment,
			    struct phial_error *err);

/*
 * Write the command's process id where ours stands in LISTEN_PID or WATCHDOG_PID: those variables
 * are only for the process with that number. See sd_listen_fds(3), sd_watchdog_enabled(3). Cannot
 * fail, allocates nothing: for the time between vfork(2) and execve(2).
 */
void phial_init_environment_set_pid(struct phial_init_environment *environment, pid_t ours,
				    pid_t command);

/* Overwrite and unmap every value, and free the list. May be called again. */
void phial_init_environment_wipe(struct phial_init_environment *environment);

#endif
