/* SPDX-License-Identifier: ISC */
/*
 * Appending to an audit log: durable when it returns, chained, rotated by size. What could not be
 * written is counted, and told by a gap entry as soon as writing works again. One process at a time.
 */
#ifndef PHIAL_AUDIT_WRITER_H
#define PHIAL_AUDIT_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

#include "audit/line.h"
#include "audit/verify.h"

/* The most entries of one append. */
#define PHIAL_AUDIT_BATCH_MAX 1024

struct phial_audit_writer;

/* Told of each line once it is durable. head: its own number and hash. line: with its '\n'. */
typedef void phial_audit_written_fn(void *context, const struct phial_audit_head *head,
				    struct phial_span line);

struct phial_audit_options {
	const char *host;	 /* the host's name or key; not empty */
	const char *boot;	 /* /proc/sys/kernel/random/boot_id */
	uint64_t file_max_bytes; /* a file that has reached this is rotated; from 1 */
	unsigned int files_max;	 /* older files kept beside audit.log, 1 to FILES_MAX - 1 */
	bool drops;		 /* what cannot be written is dropped: no failure is returned */
	phial_audit_written_fn *written_fn; /* or NULL */
	void *context;			    /* of it */
};

/*
 * Open a log, or begin one. dir_fd: its directory; not kept, may be closed. ret_writer: freed with
 * phial_audit_writer_close(). Goes on from the last line; a torn one is counted as lost. Returns
 * PHIAL_OK; PHIAL_TAMPERED when the last line is damaged; PHIAL_DENIED when the file may not be
 * opened or others may write it; PHIAL_USAGE for options out of range; PHIAL_SYSTEM. Reads only
 * the end: phial_audit_verify() looks at all.
 */
PHIAL_CHECKED enum phial_status phial_audit_writer_open(int dir_fd,
							const struct phial_audit_options *options,
							struct phial_audit_writer **ret_writer,
							struct phial_error *err);

/*
 * Append entries in one write and make them durable, fdatasync(2); with count 0 only what is owed
 * (a gap). Returns PHIAL_OK; PHIAL_USAGE for more than PHIAL_AUDIT_BATCH_MAX or an entry that
 * cannot be written; PHIAL_SYSTEM, PHIAL_TAMPERED, PHIAL_DENIED as of opening. On failure none of
 * the entries is in the log (if even cutting them off failed they may be, a release too many) and
 * all are counted as lost; a later call tries anew. With options.drops a failure is only counted.
 * Blocks as the disk does.
 */
PHIAL_CHECKED enum phial_status phial_audit_append(struct phial_audit_writer *writer,
						   const struct phial_audit_entry *entries,
						   size_t count, struct phial_error *err);

/* Where the chain has come to, to be kept elsewhere (verify --head). seq 0: nothing written yet. */
const struct phial_audit_head *phial_audit_writer_head(const struct phial_audit_writer *writer);

/* How many entries are lost and not yet told by a gap entry; 0 when all is well. */
uint64_t phial_audit_writer_lost(const struct phial_audit_writer *writer);

/* Why, or an empty text. Valid until the next append. */
const char *phial_audit_writer_lost_reason(const struct phial_audit_writer *writer);

/* Entries were lost before the log could be opened: a gap entry will tell. reason: copied. */
void phial_audit_writer_add_lost(struct phial_audit_writer *writer, uint64_t count,
				 const char *reason);

/* Close; everything written is durable already. May be NULL. */
void phial_audit_writer_close(struct phial_audit_writer *writer);

#endif
