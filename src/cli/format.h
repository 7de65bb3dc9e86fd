/* SPDX-License-Identifier: ISC */
/* Times, tables and foreign text for people. */
#ifndef PHIAL_CLI_FORMAT_H
#define PHIAL_CLI_FORMAT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <phial/error.h>
#include <phial/sealed.h>

#include "json/json.h"

#define PHIAL_CLI_OWNER_TEXT_BYTES 24
#define PHIAL_CLI_COLUMNS_MAX	   8

/* Now, in milliseconds and in seconds since 1970. */
uint64_t phial_cli_now_ms(void);
int64_t phial_cli_now_s(void);

/*
 * Parse --not-after: "2027-02-19T00:00:00Z", "2027-02-19" (its beginning, UTC), or "+90d", "+12h",
 * "+4w" from now. now_s: seconds since 1970. Returns PHIAL_OK, or PHIAL_USAGE for anything else
 * and for a time that is not in the future.
 */
PHIAL_CHECKED enum phial_status phial_cli_parse_not_after(const char *text, int64_t now_s,
							  int64_t *ret_seconds,
							  struct phial_error *err);

/*
 * Parse --since: a date or a time as above, or "-90d", "-12h", "-4w" before now. now_s: seconds since
 * 1970. Returns PHIAL_OK, or PHIAL_USAGE for anything else.
 */
PHIAL_CHECKED enum phial_status phial_cli_parse_since(const char *text, int64_t now_s,
						      int64_t *ret_seconds,
						      struct phial_error *err);

/* Print text of others with everything but printable ASCII as \xNN. */
void phial_cli_print_safe(FILE *out, const char *text);

/* A table of texts, printed with columns as wide as needed. Starts zeroed but for columns. */
struct phial_cli_table {
	size_t columns; /* 1 to PHIAL_CLI_COLUMNS_MAX */
	char **cells;	/* row by row, owned */
	size_t count;
	size_t room;
};

#define phial_auto_table phial_auto(phial_cli_table_free)

/* Add the next cell (copied). Without memory the table stays as it is and prints short. */
void phial_cli_table_add(struct phial_cli_table *table, const char *text);

/* Print all rows to stdout, the first one being the heading. */
void phial_cli_table_print(const struct phial_cli_table *table);

/* Free what it holds and leave it empty. */
void phial_cli_table_free(struct phial_cli_table *table);

/* Print a built document and a newline to stdout. Returns PHIAL_OK or PHIAL_SYSTEM. */
PHIAL_CHECKED enum phial_status phial_cli_print_json(const struct phial_json *root,
						     struct phial_error *err);

/* Add what a header says to a JSON object: name, version, created, not_after, mode, owner, ... */
void phial_cli_json_header(struct phial_json *object, const struct phial_sealed_header *header);

#endif
