/* SPDX-License-Identifier: ISC */
/* The parts of `phial run`: its environment, and starting the command. */
#ifndef PHIAL_CLI_RUN_H
#define PHIAL_CLI_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include <phial/error.h>
#include <phial/secret.h>

#include "cli/cli.h"
#include "policy/policy.h"

/* One variable: "NAME=text", the one or the other. */
struct phial_cli_variable {
	char *plain;
	struct phial_secret *secret; /* ends with a NUL */
};

/* What the command's environment gets beside the caller's. Starts with the first three set. */
struct phial_cli_environment {
	const char *directory;	  /* of the files */
	bool has_paths;		  /* --file-env */
	const char *const *asked; /* the file names of --env */
	size_t asked_count;
	struct phial_cli_variable *variables;
	size_t count;
	const char **strings; /* for execve(2) */
};

#define phial_auto_cli_environment phial_auto(phial_cli_environment_free)

/*
 * Can the variables that are asked for be made of these files? Returns PHIAL_OK; PHIAL_NOT_FOUND
 * when --env names no file among them; PHIAL_REFUSED when two would have one name; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status
phial_cli_environment_check(const struct phial_cli_environment *environment,
			    const struct phial_grant_file *files, size_t count,
			    struct phial_error *err);

/*
 * Add what is asked for of one file. value: copied into secret memory if its value is. Returns
 * PHIAL_OK; PHIAL_REFUSED for a value with a NUL; PHIAL_TOO_LARGE over what the kernel takes for
 * one variable; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_cli_environment_add(struct phial_cli_environment *environment,
							  const char *file,
							  const struct phial_secret *value,
							  struct phial_error *err);

/*
 * The caller's environment with the added variables in place of those of the same name, for
 * execve(2). ret_strings: owned by environment. Returns PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status
phial_cli_environment_make(struct phial_cli_environment *environment, char *const **ret_strings,
			   struct phial_error *err);

/* Wipe and free what it holds. */
void phial_cli_environment_free(struct phial_cli_environment *environment);

/*
 * Start a process that wipes the mount a second after the calling process, and the program that
 * it becomes, has ended, however it ended. It is nobody's child, in a session of its own, deaf to signals, and
 * keeps no descriptor but mount_fd. Call it before anything secret is in memory. Returns PHIAL_OK
 * or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_cli_start_wiper(int mount_fd, struct phial_error *err);

/*
 * Become the program. Never returns: prints why and ends the process with 127 when the program is
 * not found and with 126 when it cannot be executed, as env(1) does.
 */
_Noreturn void phial_cli_become(const struct phial_cli_call *call, char *const *strings);

#endif
