/* SPDX-License-Identifier: ISC */
/*
 * The layout inside a secrets mount, as Kubernetes' AtomicWriter has it: directories `..1`,
 * `..2`, ... hold the files of one generation each, `..data` links to the present one, and
 * `name` links to `..data/name`. A reader that pins the directory never sees a torn set. What is
 * found in the mount is untrusted: every step is by openat2(2) with RESOLVE_BENEATH and
 * RESOLVE_NO_SYMLINKS. Used by the filler, and by the worker of a user's agent.
 */
#ifndef PHIAL_MOUNT_GENERATION_H
#define PHIAL_MOUNT_GENERATION_H

#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

/* The number of the first generation of a fresh mount. */
#define PHIAL_GENERATION_FIRST 1

/*
 * Begin generation number (1 and up) in a mount: makes its directory. ret_dir_fd: for
 * phial_generation_add(). Returns PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_generation_begin(int mount_fd, uint32_t number,
						       int *ret_dir_fd, struct phial_error *err);

/*
 * Create a file in it: owner and mode as the host sees them. ret_fd: open for writing; the caller
 * writes the value and closes it. name: one component, checked. PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_generation_add(int dir_fd, const char *name, uint32_t mode,
						     uint32_t uid, uint32_t gid, int *ret_fd,
						     struct phial_error *err);

/*
 * Give a file of a generation that is not yet the present one to its owner, as the caller's user
 * namespace counts. name: one component, checked. Needs CAP_CHOWN. PHIAL_OK; PHIAL_BAD_NAME;
 * PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_generation_give(int mount_fd, uint32_t number,
						      const char *name, uint32_t uid, uint32_t gid,
						      struct phial_error *err);

/*
 * Make the generation the present one: links for names (made where missing), then `..data`
 * swapped by rename(2). Returns PHIAL_OK or PHIAL_SYSTEM (the old generation then stays).
 */
PHIAL_CHECKED enum phial_status phial_generation_commit(int mount_fd, uint32_t number,
							const char *const *names, size_t count,
							struct phial_error *err);

/*
 * Wipe and remove one generation: overwrite in place, unlink, never truncate (a truncated mapping
 * would kill its reader). Missing is fine. PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_generation_wipe(int mount_fd, uint32_t number,
						      struct phial_error *err);

/* Wipe and remove everything in a mount, generations and links. */
PHIAL_CHECKED enum phial_status phial_mount_wipe(int mount_fd, struct phial_error *err);

#endif
