/* SPDX-License-Identifier: ISC */
/* What the operator wrote behind phial-init. */
#ifndef PHIAL_INIT_OPTIONS_H
#define PHIAL_INIT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

/* What becomes of the command when its secrets have changed. */
enum phial_init_rotation {
	PHIAL_INIT_ROTATION_NOTHING = 0,
	PHIAL_INIT_ROTATION_SIGNAL,
	PHIAL_INIT_ROTATION_RESTART,
};

struct phial_init_options {
	bool wants_help;
	bool wants_version;
	bool has_secrets;	/* not --no-secrets */
	bool is_direct;		/* --exec: become the command, supervise nothing */
	bool to_group;		/* -g: signals go to the command's process group */
	bool may_gain;		/* --no-new-privs=off */
	bool has_user;		/* --user */
	bool sets_paths;	/* --file-env */
	const char **env_names; /* --env: file names of secrets, in the order given */
	size_t env_count;
	uint32_t uid; /* with has_user */
	uint32_t gid;
	uint32_t wait_s;  /* --wait, 0 to 3600 */
	bool tells_ready; /* --ready: tell the agent, and nothing else */
	int ready_fd;	  /* --ready-fd, 3 to 1023, or -1 */
	enum phial_init_rotation on_rotation;
	int rotation_signal;	 /* with PHIAL_INIT_ROTATION_SIGNAL */
	bool has_stop_timeout;	 /* --stop-timeout */
	uint32_t stop_timeout_s; /* 0 to 3600 */
	char **command;		 /* NULL-terminated; empty with help, version and tells_ready */
};

/*
 * Read the command line up to "--" or the first word that is no option. argv: kept, the options
 * point into it. ret_options: env_names is freed by the caller. Returns PHIAL_OK; PHIAL_USAGE with
 * what is wrong; PHIAL_BAD_NAME for an --env that cannot be a secret's file; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_init_options_parse(int argc, char **argv,
							 struct phial_init_options *ret_options,
							 struct phial_error *err);

#endif
