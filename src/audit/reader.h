/* SPDX-License-Identifier: ISC */
/*
 * The files of an audit log, oldest first, and their lines one by one: files of any size, memory
 * for one line.
 */
#ifndef PHIAL_AUDIT_READER_H
#define PHIAL_AUDIT_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

#include "base/cleanup.h"
#include "base/parse.h"

/* The file that is written to; older ones are ".1", ".2" and so on. */
#define PHIAL_AUDIT_FILE "audit.log"
/* The most files of one log. */
#define PHIAL_AUDIT_FILES_MAX 256

/* One open file. */
struct phial_audit_file {
	int fd;
	char *path;
	uint64_t first; /* seq of its first line, as far as one can tell; 0: no good line in it */
	uint64_t device;
	uint64_t inode;
};

/* Starts as { 0 }; freed by phial_audit_files_close(). */
struct phial_audit_files {
	struct phial_audit_file *files; /* by their first line, oldest first */
	size_t count;
};

#define phial_auto_audit_files phial_auto(phial_audit_files_close)

/*
 * Open the files of a log. paths, count: files, or directories of which audit.log, audit.log.1 and
 * so on are taken; one file named twice counts once. A rotation meanwhile does not matter.
 * Returns PHIAL_OK; PHIAL_NOT_FOUND when there is no file; PHIAL_DENIED; PHIAL_TOO_LARGE over
 * PHIAL_AUDIT_FILES_MAX; PHIAL_SYSTEM. Reads the beginning of each.
 */
PHIAL_CHECKED enum phial_status phial_audit_files_open(const char *const *paths, size_t count,
						       struct phial_audit_files *ret_files,
						       struct phial_error *err);

/* Close all and leave it empty. */
void phial_audit_files_close(struct phial_audit_files *files);

/* What a stream came to. */
enum phial_audit_found {
	PHIAL_AUDIT_LINE,     /* a line, given with its '\n' */
	PHIAL_AUDIT_TORN,     /* bytes without a '\n' at the end of the file */
	PHIAL_AUDIT_TOO_LONG, /* a line over PHIAL_AUDIT_LINE_MAX_BYTES; skipped */
	PHIAL_AUDIT_END,
};

/* A file being read. Starts as { .fd = FD }, FD being borrowed; freed by phial_audit_stream_end(). */
struct phial_audit_stream {
	int fd;
	uint64_t number; /* of the line given last, from 1 */
	char *buffer;
	size_t start; /* of what is not given yet */
	size_t end;   /* of what was read */
};

#define phial_auto_audit_stream phial_auto(phial_audit_stream_end)

/*
 * Give the next line. ret_line: valid until the next call. Returns PHIAL_OK or PHIAL_SYSTEM.
 * Blocks as read(2).
 */
PHIAL_CHECKED enum phial_status phial_audit_stream_next(struct phial_audit_stream *stream,
							enum phial_audit_found *ret_found,
							struct phial_span *ret_line,
							struct phial_error *err);

/* Free the buffer. Does not close the file. */
void phial_audit_stream_end(struct phial_audit_stream *stream);

/*
 * The number of a file's first line, as its first good line tells; 0 if it has none. fd: read from
 * its beginning, and left there. Returns PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_audit_first_seq(int fd, uint64_t *ret_first,
						      struct phial_error *err);

#endif
