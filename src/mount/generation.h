/* SPDX-License-Identifier: ISC */
/*
 * The layout inside a secrets mount, as Kubernetes' AtomicWriter has it: directories `..1`,
 * `..2`, ... hold the files of one generation each, `..data` links to the present one, and
 * `name` links to `..data/name`. `.generation` (0444, for everybody) holds the present number and
 * a newline. A reader that pins the directory never sees a torn set. What is found in the mount is
 * untrusted: every step is by openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS. Used by the
 * filler, and by the worker of a user's agent.
 *
 * A rotation: phial_generation_next(), _begin(), for each file _add() and its bytes or _carry(),
 * _commit(); and when the grace is over, _wipe_old(). Whoever dies in between leaves what the next one wipes.
 */
#ifndef PHIAL_MOUNT_GENERATION_H
#define PHIAL_MOUNT_GENERATION_H

#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

/* The number of the first generation of a fresh mount. */
#define PHIAL_GENERATION_FIRST 1

/*
 * Find the present generation and the number of the next one, and wipe what is neither: the old
 * one that nobody needs any more, and one whose maker died. ret_present: 0 if there is none.
 * ret_next: for phial_generation_begin(). Returns PHIAL_OK; PHIAL_TAMPERED if `..data` is anything
 * but a link to a generation that is there; PHIAL_TOO_LARGE after 2^32 - 1 generations;
 * PHIAL_SYSTEM, also when something could not be wiped (the rest is).
 */
PHIAL_CHECKED enum phial_status phial_generation_next(int mount_fd, uint32_t *ret_present,
						      uint32_t *ret_next, struct phial_error *err);

/*
 * Open the present generation, for reading its names. ret_present: its number. ret_dir_fd: closed
 * by the caller. Returns PHIAL_OK; PHIAL_NOT_FOUND if there is none; PHIAL_TAMPERED as
 * phial_generation_next() does; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_generation_open(int mount_fd, uint32_t *ret_present,
						      int *ret_dir_fd, struct phial_error *err);

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
 * Copy a file of the present generation into a new one, with its owner and mode, inside the kernel:
 * no byte of it comes into the caller's memory. present: as phial_generation_next() found it. name:
 * one component, checked. dir_fd: of phial_generation_begin(). The file is opened for writing too,
 * so that an inotify watch does not take this for a reader. Returns PHIAL_OK; PHIAL_BAD_NAME;
 * PHIAL_NOT_FOUND if the present generation has no such file; PHIAL_TAMPERED if it is no regular
 * file, or becomes shorter meanwhile; PHIAL_TOO_LARGE over PHIAL_SECRET_MAX_BYTES; PHIAL_SYSTEM.
 * See sendfile(2), inotify(7).
 */
PHIAL_CHECKED enum phial_status phial_generation_carry(int mount_fd, uint32_t present,
						       const char *name, int dir_fd,
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
 * Make the generation the present one: links for names (made where missing), its counter file,
 * then `..data` swapped by rename(2). What follows the swap cannot undo it and does not fail it:
 * links that lead nowhere now go, and the files of the generation before are touched, which an
 * inotify watch on such a file sees (IN_ATTRIB). Returns PHIAL_OK; PHIAL_BAD_NAME;
 * PHIAL_TAMPERED as phial_generation_next() does; PHIAL_SYSTEM; after a failure the old generation
 * is still the present one. See utimensat(2).
 */
PHIAL_CHECKED enum phial_status phial_generation_commit(int mount_fd, uint32_t number,
							const char *const *names, size_t count,
							struct phial_error *err);

/*
 * Wipe and remove one generation: overwrite in place, unlink, never truncate (a truncated mapping
 * would kill its reader). Of a file as much is overwritten as a secret is long at most. Missing is
 * fine. PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_generation_wipe(int mount_fd, uint32_t number,
						      struct phial_error *err);

/*
 * Wipe and remove every generation but the present one (all, if there is no present one). Goes on
 * after a failure. Returns PHIAL_OK; PHIAL_TAMPERED as phial_generation_next() does; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_generation_wipe_old(int mount_fd, struct phial_error *err);

/*
 * Take files from every generation: first the links, so that no new reader finds one, then each is
 * overwritten and unlinked. names: one component each, all checked before anything is done.
 * Missing is fine. Goes on after a failure. Returns PHIAL_OK; PHIAL_BAD_NAME; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_generation_remove(int mount_fd, const char *const *names,
							size_t count, struct phial_error *err);

/* Wipe and remove everything in a mount, generations and links. PHIAL_OK or PHIAL_SYSTEM. */
PHIAL_CHECKED enum phial_status phial_mount_wipe(int mount_fd, struct phial_error *err);

#endif
