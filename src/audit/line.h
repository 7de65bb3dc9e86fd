/* SPDX-License-Identifier: ISC */
/*
 * One line of the audit log: a JSON object on a line of its own, in its one form (docs/audit.md).
 * "prev" is the hash of the line before it, so that changing or cutting out a line is found.
 */
#ifndef PHIAL_AUDIT_LINE_H
#define PHIAL_AUDIT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

#include "base/parse.h"
#include "base/text.h"
#include "crypt/crypt.h"
#include "json/json.h"

/* The longest line with its '\n': 1024 secrets with the longest names, and the texts. */
#define PHIAL_AUDIT_LINE_MAX_BYTES ((size_t)384 * 1024)
#define PHIAL_AUDIT_SECRETS_MAX	   1024
/* The longest of the texts below; a longer one is cut. */
#define PHIAL_AUDIT_TEXT_MAX_BYTES 512
/* Numbers are below this, so that every JSON reader takes them; a version may also be this. */
#define PHIAL_AUDIT_NUMBER_LIMIT (INT64_C(1) << 53)
/* Bytes of "2026-11-21T22:30:00.123Z" with its NUL. */
#define PHIAL_AUDIT_TIME_BYTES 25
/* Stands for "prev" of the first line of all. */
#define PHIAL_AUDIT_NO_HASH "0000000000000000000000000000000000000000000000000000000000000000"

/* What happened. */
enum phial_audit_kind {
	PHIAL_AUDIT_START,
	PHIAL_AUDIT_RELEASE,
	PHIAL_AUDIT_REFUSAL,
	PHIAL_AUDIT_ROTATION,
	PHIAL_AUDIT_EXPIRY,
	PHIAL_AUDIT_REVOCATION,
	PHIAL_AUDIT_OVERRIDE,
	PHIAL_AUDIT_ADMIN,
	PHIAL_AUDIT_STOP,
	PHIAL_AUDIT_GAP,    /* entries are missing here: `lost` of them */
	PHIAL_AUDIT_ROTATE, /* the first entry of a file that follows another one */
	PHIAL_AUDIT_KINDS,
};

/* By which door the container came. */
enum phial_audit_door {
	PHIAL_AUDIT_NO_DOOR,
	PHIAL_AUDIT_HOOK,
	PHIAL_AUDIT_RUNTIME,
	PHIAL_AUDIT_INIT,
	PHIAL_AUDIT_RUN,
	PHIAL_AUDIT_CDI,
	PHIAL_AUDIT_DOORS,
};

enum phial_audit_decision {
	PHIAL_AUDIT_NO_DECISION,
	PHIAL_AUDIT_ALLOWED,
	PHIAL_AUDIT_REFUSED,
	PHIAL_AUDIT_DECISIONS,
};

/* Which version of which secret; never its value. */
struct phial_audit_secret {
	const char *name;
	uint64_t version; /* 1 to 2^53 */
};

/*
 * What an entry says. Every text may be NULL (not known) and is borrowed; one that is no printable
 * ASCII is written with '?' in it.
 */
struct phial_audit_entry {
	enum phial_audit_kind kind;
	const char *container;
	const char *workload;
	const char *image;
	enum phial_audit_door door;
	bool has_uid;
	uint32_t uid; /* of the peer */
	uint32_t pid; /* of the peer; 0: not known */
	const struct phial_audit_secret *secrets;
	size_t secret_count; /* up to PHIAL_AUDIT_SECRETS_MAX */
	enum phial_audit_decision decision;
	const char *reason;
	uint64_t lost;	/* of a gap: how many entries, from 1 */
	uint64_t first; /* of a rotate: the number of the oldest entry that was kept, from 1 */
};

/* An entry and its place in the chain. */
struct phial_audit_line {
	uint64_t seq;	 /* from 1, without gaps */
	int64_t time_ms; /* since 1970, UTC */
	const char *boot;
	const char *host;
	struct phial_audit_entry entry;
	char prev[PHIAL_HASH_HEX_BYTES];
	struct phial_json *root;	    /* what the texts of a parsed line lie in */
	struct phial_audit_secret *secrets; /* of a parsed line */
};

#define phial_auto_audit_line phial_auto(phial_audit_line_free)

/*
 * Append a line and its '\n' to a text. Returns PHIAL_OK; PHIAL_USAGE for numbers, kinds or
 * counts out of their range; PHIAL_SYSTEM when there is no memory, or text is full. On failure
 * text holds what it held.
 */
PHIAL_CHECKED enum phial_status phial_audit_line_format(const struct phial_audit_line *line,
							struct phial_text *text,
							struct phial_error *err);

/*
 * Parse a line, strictly: only what phial_audit_line_format() writes is accepted. text: without
 * its '\n'. ret_line: freed with phial_audit_line_free(); untouched on failure. Returns PHIAL_OK,
 * PHIAL_MALFORMED with the reason and no quote, PHIAL_TOO_LARGE, PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_audit_line_parse(struct phial_span text,
						       struct phial_audit_line *ret_line,
						       struct phial_error *err);

/* Free what a parsed line owns and leave it empty. */
void phial_audit_line_free(struct phial_audit_line *line);

/* The hash of a line, its '\n' included: what the next one has as "prev". line: such bytes. */
void phial_audit_line_hash(struct phial_span line, char ret_hex[static PHIAL_HASH_HEX_BYTES]);

/* The words of the format for a kind, a door (NULL for none) and a decision (NULL for none). */
const char *phial_audit_kind_text(enum phial_audit_kind kind);
const char *phial_audit_door_text(enum phial_audit_door door);
const char *phial_audit_decision_text(enum phial_audit_decision decision);

/* Write "2026-11-21T22:30:00.123Z". time_ms: 0 to the end of year 9999 (asserted). */
void phial_audit_time_format(int64_t time_ms, char ret_text[static PHIAL_AUDIT_TIME_BYTES]);

#endif
