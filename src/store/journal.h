/* SPDX-License-Identifier: ISC */
/*
 * An append-only file of checksummed text lines: the marks and the container records of the
 * agent live in two of them. A line is its text, one space, and 16 hex digits: the start of
 * BLAKE2b-256 over the 16 digits of the previous line (zeros for the first) and the text. So a
 * changed, cut-out or reordered line is found. A torn last line (no '\n') is what a crash
 * leaves and is dropped; any other damage is PHIAL_TAMPERED. Lines missing at the end are not
 * seen, and the checksum has no key: it is for accidents, not for an attacker who may write
 * the file. One process at a time.
 */
#ifndef PHIAL_STORE_JOURNAL_H
#define PHIAL_STORE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#include <phial/error.h>

/* The most bytes of one line's text, and of a whole journal. */
#define PHIAL_JOURNAL_LINE_MAX_BYTES ((size_t)512 * 1024)
#define PHIAL_JOURNAL_MAX_BYTES	     ((size_t)256 * 1024 * 1024)

struct phial_journal;

/* Called for each good line in order. Anything but PHIAL_OK stops the reading. */
typedef enum phial_status phial_journal_line_fn(void *context, const char *line,
						struct phial_error *err);

/*
 * Open name below dir_fd and read it. dir_fd: not kept, may be closed. name: at most 63 bytes, no
 * '/'. create: make it, empty and mode 0600, when it is missing. line_fn: given each line's text
 * without its checksum, NUL-terminated, valid during the call. ret_journal: freed with
 * phial_journal_close(). Returns PHIAL_OK; PHIAL_NOT_FOUND; PHIAL_TAMPERED with the line
 * number; PHIAL_DENIED when it may not be opened or others may write it; what line_fn returned;
 * PHIAL_TOO_LARGE; PHIAL_SYSTEM. Cuts a torn last line off the file.
 */
PHIAL_CHECKED enum phial_status phial_journal_open(int dir_fd, const char *name, bool create,
						   phial_journal_line_fn *line_fn, void *context,
						   struct phial_journal **ret_journal,
						   struct phial_error *err);

/*
 * Append a line: text of 1 to PHIAL_JOURNAL_LINE_MAX_BYTES without '\n'. It may be kept in memory
 * until phial_journal_sync(), which alone makes it durable. Returns PHIAL_OK, PHIAL_USAGE,
 * PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_journal_append(struct phial_journal *journal,
						     const char *line, struct phial_error *err);

/*
 * Hand what was appended to the kernel, which keeps it when this process dies, but not when the host
 * does. Returns PHIAL_OK; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_journal_flush(struct phial_journal *journal,
						    struct phial_error *err);

/*
 * Write what was appended and make it durable, fdatasync(2). Returns PHIAL_OK or PHIAL_SYSTEM. A
 * failed append or sync makes every later call fail: what the file holds is then unknown until
 * phial_journal_rewrite() replaces it, or it is opened again.
 */
PHIAL_CHECKED enum phial_status phial_journal_sync(struct phial_journal *journal,
						   struct phial_error *err);

/*
 * Replace the whole content, lines not yet synced included, by these lines atomically and
 * durably (temporary file, fsync, rename), for compaction and after a failure. Returns PHIAL_OK; PHIAL_USAGE
 * for a bad line; PHIAL_DENIED; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_journal_rewrite(struct phial_journal *journal,
						      const char *const *lines, size_t count,
						      struct phial_error *err);

/* Whether an append or a sync failed and nothing has put that right since. */
bool phial_journal_has_failed(const struct phial_journal *journal);

/* Close, without a sync. May be NULL. */
void phial_journal_close(struct phial_journal *journal);

#endif
