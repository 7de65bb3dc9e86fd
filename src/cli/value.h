/* SPDX-License-Identifier: ISC */
/* A value to seal, from the terminal, stdin or a file. */
#ifndef PHIAL_CLI_VALUE_H
#define PHIAL_CLI_VALUE_H

#include <stdbool.h>

#include <phial/error.h>
#include <phial/secret.h>

/* What to do with one newline at the end of a value. */
enum phial_cli_newline {
	PHIAL_CLI_NEWLINE_NOTE, /* keep it, and say so on stderr */
	PHIAL_CLI_NEWLINE_KEEP,
	PHIAL_CLI_NEWLINE_TRIM, /* "\r\n" counts as one */
};

struct phial_cli_value_options {
	const char
		*from; /* a path, "-" for stdin, NULL: the terminal if stdin is one, else stdin */
	const char *name; /* of the secret, for questions and errors */
	enum phial_cli_newline newline;
	bool may_be_empty;
	bool has_no_empty; /* the command has no --allow-empty */
};

/*
 * Read a value. ret_value: freed by the caller. Returns PHIAL_OK; PHIAL_USAGE for an empty value
 * that was not allowed, or two entries that differ; PHIAL_TOO_LARGE over 1 MiB; PHIAL_NOT_FOUND,
 * PHIAL_DENIED, PHIAL_SYSTEM. Blocks until the value is there.
 */
PHIAL_CHECKED enum phial_status phial_cli_read_value(const struct phial_cli_value_options *options,
						     struct phial_secret **ret_value,
						     struct phial_error *err);

#endif
