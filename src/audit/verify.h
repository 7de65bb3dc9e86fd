/* SPDX-License-Identifier: ISC */
/* Checking the chain of an audit log: each line's form, number and hash, and the files' joins. */
#ifndef PHIAL_AUDIT_VERIFY_H
#define PHIAL_AUDIT_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include <phial/error.h>

#include "audit/reader.h"
#include "crypt/crypt.h"

/* Where the chain has come to: the number and the hash of its last line. */
struct phial_audit_head {
	uint64_t seq; /* 0: no line yet */
	char hash[PHIAL_HASH_HEX_BYTES];
};

/* Parse "SEQ:HASH", as verify prints it. Returns false for anything else. */
bool phial_audit_head_parse(const char *text, struct phial_audit_head *ret_head);

/*
 * The same in a line of the copy in syslog: the word after "head", whatever stands before and behind.
 * Returns false if there is none.
 */
bool phial_audit_head_find(const char *line, struct phial_audit_head *ret_head);

/* One thing that is wrong. */
struct phial_audit_problem {
	const char *path;
	uint64_t line;	  /* from 1; 0: the whole file, or the log */
	bool is_torn;	  /* only the last line is not whole, as after a crash */
	const char *text; /* one line, printable ASCII */
};

typedef void phial_audit_problem_fn(void *context, const struct phial_audit_problem *problem);

/* What a log holds. */
struct phial_audit_summary {
	uint64_t entries;
	uint64_t first; /* number of its first entry, 0 if there is none */
	struct phial_audit_head head;
	uint64_t lost;	   /* what its gap entries say was never written */
	uint64_t problems; /* all, torn included */
	uint64_t torn;
};

/*
 * Check all lines of a log. files: as phial_audit_files_open() made them; read to their end. kept:
 * a head that was kept elsewhere, which the log must still hold, or NULL. problem_fn: called for
 * each problem, in order. Returns PHIAL_OK when all was read, with problems or without;
 * PHIAL_SYSTEM. Memory does not grow with the log. Blocks as read(2); if the last line is not
 * whole, up to a tenth of a second more, because it may be just being
 * written.
 */
PHIAL_CHECKED enum phial_status
phial_audit_verify(const struct phial_audit_files *files, const struct phial_audit_head *kept,
		   phial_audit_problem_fn *problem_fn, void *context,
		   struct phial_audit_summary *ret_summary, struct phial_error *err);

#endif
