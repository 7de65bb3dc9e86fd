/* SPDX-License-Identifier: ISC */
/* The hook file for Podman and CRI-O, which `phial setup` writes, too. */
#ifndef PHIAL_CLI_SETUP_PODMAN_H
#define PHIAL_CLI_SETUP_PODMAN_H

#include <stdbool.h>

#include <phial/error.h>

#include "cli/setup_actions.h"
#include "host/podman.h"

#define PHIAL_SETUP_HOOK_NAME "50-phial.json"
/* The one folder that Podman and CRI-O read without being told; /etc/containers needs that. */
#define PHIAL_SETUP_PODMAN_HOOK PHIAL_PODMAN_DEFAULT_HOOKS_DIR "/" PHIAL_SETUP_HOOK_NAME

#define PHIAL_SETUP_HOOK_BYTES (2 * PHIAL_SETUP_PATH_BYTES + 512)

/*
 * Make the text of the hook file. run_dir: of the agent that the hook is to ask, or NULL for the
 * usual one. Returns PHIAL_OK; PHIAL_NOT_FOUND when there is no phial-hook beside this program;
 * PHIAL_USAGE when a path cannot stand in JSON; PHIAL_TOO_LARGE.
 */
PHIAL_CHECKED enum phial_status phial_setup_make_hook(const char *run_dir,
						      char ret_text[PHIAL_SETUP_HOOK_BYTES],
						      struct phial_error *err);

/*
 * `phial setup podman --user`: for the calling user's rootless Podman and its agent; prints what it
 * does. is_removed: take it back. Returns PHIAL_OK; PHIAL_USAGE for root, or when XDG_RUNTIME_DIR is
 * not set; what making and writing the files returns.
 */
PHIAL_CHECKED enum phial_status phial_setup_podman_user(bool only_print, bool is_removed,
							struct phial_error *err);

/*
 * Write the hook file into a folder. Returns PHIAL_OK; PHIAL_NOT_FOUND when there is no phial-hook
 * beside this program; PHIAL_USAGE when its path cannot stand in JSON; what writing files returns.
 */
PHIAL_CHECKED enum phial_status phial_setup_write_podman_hook(const struct phial_setup *setup,
							      const char *folder,
							      struct phial_error *err);

/* Does this host's Podman read the folder? If not, says so on stderr, with what to do. */
bool phial_setup_check_podman(const struct phial_setup *setup, const char *folder);

/*
 * The folder of a user's own Podman configuration: `containers` beside phial's in XDG_CONFIG_HOME.
 * ret_path: freed by the caller. Status as phial_cli_config_path(). Touches no disk.
 */
PHIAL_CHECKED enum phial_status phial_setup_find_user_containers(char **ret_path,
								 struct phial_error *err);

#endif
