/* SPDX-License-Identifier: ISC */
/*
 * An append-only file of checksummed text lines: the marks and the container records of the
 * agent live in two of them. A line is its text, one space, and 16 hex digits of BLAKE2b over
 * the previous line's checksum and the text, so that a changed, cut-out or reordered line is
 * found. A torn last line (no '\n') is what a crash leaves and is dropped; any other damage is
 * PHIAL_TAMPERED.
 */
#ifndef PHIAL_STORE_JOURNAL_H
#define PHIAL_STORE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#include <phial/error.h>

struct phial_journal;

/* Called for each good line in order. Anything but PHIAL_OK stops the reading. */
typedef enum phial_status phial_journal_line_fn(void *context, const char *line,
						struct phial_error *err);

/*
 * Open name below dir_fd and read it. create: make it when it is missing. ret_journal: freed
 * with phial_journal_close(). Returns PHIAL_OK; PHIAL_NOT_FOUND; PHIAL_TAMPERED with the line
 * number; what line_fn returned; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_journal_open(int dir_fd, const char *name, bool create,
						   phial_journal_line_fn *line_fn, void *context,
						   struct phial_journal **ret_journal,
						   struct phial_error *err);

/* Append a line (no '\n' in it); durable only after phial_journal_sync(). */
PHIAL_CHECKED enum phial_status phial_journal_append(struct phial_journal *journal,
						     const char *line, struct phial_error *err);

/* fdatasync(2). A failed append or sync makes every later call fail. */
PHIAL_CHECKED enum phial_status phial_journal_sync(struct phial_journal *journal,
						   struct phial_error *err);

/*
 * Replace the whole content by these lines atomically (temporary file, fsync, rename), for
 * compaction at start.
 */
PHIAL_CHECKED enum phial_status phial_journal_rewrite(struct phial_journal *journal,
						      const char *const *lines, size_t count,
						      struct phial_error *err);

/* Close. May be NULL. */
void phial_journal_close(struct phial_journal *journal);

#endif
