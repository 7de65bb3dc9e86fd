/* SPDX-License-Identifier: ISC */
/* A bundle's config.json, before anybody is asked about it: open it, and could it hold a grant? */
#ifndef PHIAL_INJECT_CONFIG_H
#define PHIAL_INJECT_CONFIG_H

#include <stdbool.h>

#include <phial/error.h>

/* The longest run directory that a program takes as its argument. */
#define PHIAL_INJECT_RUN_DIR_MAX_BYTES 200

/*
 * Open a config for reading. path: a regular file, links in its last component are not followed.
 * ret_fd: close-on-exec, the caller's. Returns PHIAL_OK; PHIAL_REFUSED, with os_error, when it
 * cannot be opened or is no regular file.
 */
PHIAL_CHECKED enum phial_status phial_inject_open_config(const char *path, int *ret_fd,
							 struct phial_error *err);

/*
 * Could the config hold a bind mount of a directory below RUN_DIR/workload? config_fd: read from
 * its beginning, and rewound. run_dir: at most PHIAL_INJECT_RUN_DIR_MAX_BYTES. True also for a file
 * over 16 MiB: nobody knows what is in there, and the agent will refuse it. Returns PHIAL_OK or
 * PHIAL_SYSTEM. Reads the whole file.
 */
PHIAL_CHECKED enum phial_status phial_inject_config_may_grant(int config_fd, const char *run_dir,
							      bool *ret_may_grant,
							      struct phial_error *err);

#endif
