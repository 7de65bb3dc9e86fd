/* SPDX-License-Identifier: ISC */
/* The caller's own files below $XDG_CONFIG_HOME/phial: identity, signer.key, signer.pub, trust. */
#ifndef PHIAL_CLI_CONFIG_H
#define PHIAL_CLI_CONFIG_H

#include <phial/error.h>

#include "store/trust.h"

/*
 * The path of one of the files. name: "identity". ret_path: freed by the caller. Returns
 * PHIAL_OK; PHIAL_USAGE when neither XDG_CONFIG_HOME nor HOME names an absolute path;
 * PHIAL_SYSTEM. See the XDG Base Directory Specification. Touches no disk.
 */
PHIAL_CHECKED enum phial_status phial_cli_config_path(const char *name, char **ret_path,
						      struct phial_error *err);

/*
 * The run directory of the caller's own agent (phiald --user): $XDG_RUNTIME_DIR/phial. ret_path:
 * freed by the caller. Returns PHIAL_OK; PHIAL_USAGE when XDG_RUNTIME_DIR names no absolute path;
 * PHIAL_SYSTEM. Touches no disk.
 */
PHIAL_CHECKED enum phial_status phial_cli_user_run_dir(char **ret_path, struct phial_error *err);

/*
 * The run directory of the agent to ask. given: the value of --run-dir, or NULL: then, for anybody
 * but root, that of the caller's own agent if it is there, else root's. ret_path: freed by the
 * caller. Returns PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_cli_run_dir(const char *given, char **ret_path,
						  struct phial_error *err);

/* Make the folder (0700) and its parents. Returns PHIAL_OK, PHIAL_DENIED or PHIAL_SYSTEM. */
PHIAL_CHECKED enum phial_status phial_cli_config_make(struct phial_error *err);

/*
 * Read the pinned admin keys. Returns PHIAL_OK; PHIAL_NOT_FOUND, saying what to run, when nothing
 * is pinned yet; PHIAL_BAD_KEY, PHIAL_MALFORMED with the path; PHIAL_DENIED; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_cli_pins_read(struct phial_pins *ret_pins,
						    struct phial_error *err);

/* Pin one more admin key, durably; does nothing when it is pinned. Status as above. */
PHIAL_CHECKED enum phial_status phial_cli_pins_add(const struct phial_signer_public *key,
						   struct phial_error *err);

/*
 * The same for a pin file anywhere (`phial setup` writes /etc/phial/trust with it). A missing
 * file is made with mode 0644.
 */
PHIAL_CHECKED enum phial_status phial_cli_pins_add_to(const char *path,
						      const struct phial_signer_public *key,
						      struct phial_error *err);

/* Read a file that is not secret, at most max bytes; NUL-terminated, freed by the caller. */
PHIAL_CHECKED enum phial_status phial_cli_read_file(const char *path, size_t max,
						    uint8_t **ret_bytes, size_t *ret_length,
						    struct phial_error *err);

/*
 * Write a file that is not secret, atomically and durably, anywhere. mode: e.g. 0644. Returns
 * PHIAL_OK; PHIAL_NOT_FOUND when its folder is missing; PHIAL_DENIED; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_cli_write_file(const char *path, const void *bytes,
						     size_t length, unsigned int mode,
						     struct phial_error *err);

/*
 * Join two pieces of a path with one '/' between them. ret_path: freed by the caller. Returns
 * PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_cli_join_path(const char *folder, const char *name,
						    char **ret_path, struct phial_error *err);

/* The status for an errno of open(2): not found, denied, or system. */
enum phial_status phial_cli_open_status(int os_error);

#endif
