/* SPDX-License-Identifier: ISC */
/*
 * Marks: for each name the lowest version that may still be loaded and the digest of the
 * newest one seen, so that an old or a second, different file of the same version is refused
 * (promise G4). A journal (store/journal.h) in the agent's state directory. The serials of the
 * trust files are marked too, under the names ".phial/recipients" and so on, and that the file of
 * the revocations was made. A digest of zeros is no file's: the version was revoked.
 */
#ifndef PHIAL_STORE_MARKS_H
#define PHIAL_STORE_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

#define PHIAL_DIGEST_BYTES 32

/* The file's name in the state directory. */
#define PHIAL_MARKS_FILE "marks"

struct phial_marks;

/*
 * Open the marks below a state directory. state_fd: not kept, may be closed. is_first_start:
 * make them when they are missing (otherwise that is PHIAL_NOT_FOUND: somebody removed them).
 * ret_marks: freed with phial_marks_close(). Returns PHIAL_OK; PHIAL_NOT_FOUND;
 * PHIAL_TAMPERED when they are corrupt, with the line and how to repair; PHIAL_DENIED;
 * PHIAL_SYSTEM. May write the file anew, shorter.
 */
PHIAL_CHECKED enum phial_status phial_marks_open(int state_fd, bool is_first_start,
						 struct phial_marks **ret_marks,
						 struct phial_error *err);

/* Close, without a sync. marks: may be NULL. */
void phial_marks_close(struct phial_marks *marks);

/*
 * May this version with this digest (BLAKE2b-256 of the whole sealed file) be loaded? name:
 * a secret's, or ".phial/FILE" for a trust file, whose version is its serial; version 0 asks for
 * a file that is missing. Returns PHIAL_OK; PHIAL_ROLLBACK when it is older than the mark, or equal
 * and different. Does not block or touch the disk.
 */
PHIAL_CHECKED enum phial_status phial_marks_check(const struct phial_marks *marks, const char *name,
						  uint64_t version,
						  const uint8_t digest[static PHIAL_DIGEST_BYTES],
						  struct phial_error *err);

/* Is this version the newest seen? */
bool phial_marks_has(const struct phial_marks *marks, const char *name, uint64_t version);

/*
 * Remember a version as the newest seen (does nothing when it is already). Not durable until
 * phial_marks_sync(), which must succeed before the version is released to anybody. Returns
 * PHIAL_OK; PHIAL_ROLLBACK as phial_marks_check(); PHIAL_BAD_NAME; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_marks_note(struct phial_marks *marks, const char *name,
						 uint64_t version,
						 const uint8_t digest[static PHIAL_DIGEST_BYTES],
						 struct phial_error *err);

/* The newest version of a name that was seen or revoked here; 0: none. */
uint64_t phial_marks_newest(const struct phial_marks *marks, const char *name);

/*
 * Never again this version of a name or one below it, whatever is in the file. version: 1 to 2^53.
 * Writes all marks anew, durably. Returns PHIAL_OK; PHIAL_BAD_NAME; PHIAL_SYSTEM when they could not
 * be written: it then counts until the process ends, and phial_marks_sync() tries again.
 */
PHIAL_CHECKED enum phial_status phial_marks_revoke(struct phial_marks *marks, const char *name,
						   uint64_t version, struct phial_error *err);

/*
 * Make all notes durable. Returns PHIAL_OK or PHIAL_SYSTEM (disk full, read-only): after that no
 * new version may be released until a later call, which writes all marks anew, succeeds. Blocks as
 * fdatasync(2).
 */
PHIAL_CHECKED enum phial_status phial_marks_sync(struct phial_marks *marks,
						 struct phial_error *err);

#endif
