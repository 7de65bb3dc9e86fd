/* SPDX-License-Identifier: ISC */
/*
 * The single actions of `phial setup` and its subcommands: each looks whether it is done already,
 * does it or (with --print) only says so, and prints one line.
 */
#ifndef PHIAL_CLI_SETUP_ACTIONS_H
#define PHIAL_CLI_SETUP_ACTIONS_H

#include <spawn.h>
#include <stdbool.h>
#include <sys/types.h>

#include <phial/error.h>

#include "cli/cli.h"

#define PHIAL_SETUP_PATH_BYTES 4096

/* All paths that actions take are those of the host that is set up; root stands before them. */
struct phial_setup {
	char root[PHIAL_SETUP_PATH_BYTES]; /* "" for this host, else a folder, no '/' at its end */
	bool only_print;
};

/* The options that every setup command has. */
#define PHIAL_SETUP_PRINT_OPTION                                       \
	{                                                              \
		"print", 0, false, NULL, "show every step and do none" \
	}
#define PHIAL_SETUP_ROOT_OPTION                                                        \
	{                                                                              \
		"root", 0, false, "DIR", "all paths below this folder (images, tests)" \
	}

/*
 * Begin: who may, and where things are. root: the value of --root, or NULL. Returns PHIAL_OK;
 * PHIAL_DENIED for anybody but root, unless only_print; PHIAL_NOT_FOUND when root is not there.
 */
PHIAL_CHECKED enum phial_status phial_setup_begin(const struct phial_cli_call *call,
						  const char *root, bool only_print,
						  struct phial_setup *ret_setup,
						  struct phial_error *err);

/*
 * The path of something below root. Returns PHIAL_OK, or PHIAL_TOO_LARGE when it does not fit.
 */
PHIAL_CHECKED enum phial_status phial_setup_path(const struct phial_setup *setup, const char *path,
						 char ret_path[PHIAL_SETUP_PATH_BYTES],
						 struct phial_error *err);

/* Print "VERB path-or-text", the verb with "would" before it when only printing. */
void phial_setup_say(const struct phial_setup *setup, const char *verb, const char *text);

/* True if something is there (a dangling link counts). */
bool phial_setup_exists(const struct phial_setup *setup, const char *path);

/*
 * Make a folder (and those above it, 0755), or correct mode and owner of one that is there. uid, gid: (uid_t)-1 leaves them.
 * Returns PHIAL_OK, PHIAL_EXISTS when something else is there, PHIAL_DENIED, PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_setup_folder(const struct phial_setup *setup,
						   const char *path, mode_t mode, uid_t uid,
						   gid_t gid, struct phial_error *err);

/* Write a text file (0644, or as the one that is there), making its folders (0755), unless it says this already. */
PHIAL_CHECKED enum phial_status phial_setup_file(const struct phial_setup *setup, const char *path,
						 const char *text, struct phial_error *err);

/* Make a symbolic link, or turn one that is there. PHIAL_EXISTS when something else is there. */
PHIAL_CHECKED enum phial_status phial_setup_link(const struct phial_setup *setup, const char *path,
						 const char *target, struct phial_error *err);

/* Remove a file or link, or an empty folder; nothing there is good, too. */
PHIAL_CHECKED enum phial_status phial_setup_remove(const struct phial_setup *setup,
						   const char *path, struct phial_error *err);

/*
 * Start a program, found along PATH, with a clean environment. argv: ends with NULL, at most 15.
 * actions: for its descriptors, or NULL. Returns PHIAL_OK; PHIAL_NOT_FOUND when there is none;
 * PHIAL_SYSTEM. See posix_spawn(3).
 */
PHIAL_CHECKED enum phial_status phial_setup_spawn(const char *const argv[],
						  const posix_spawn_file_actions_t *actions,
						  pid_t *ret_child, struct phial_error *err);

/*
 * Run a program, as phial_setup_spawn() starts it, and wait for it. argv: ends with NULL. Returns PHIAL_OK when it exits 0; PHIAL_NOT_FOUND when there is none;
 * PHIAL_SYSTEM with its exit code.
 */
PHIAL_CHECKED enum phial_status phial_setup_run(const struct phial_setup *setup,
						const char *const argv[], struct phial_error *err);

#endif
