/* SPDX-License-Identifier: ISC */
/*
 * Where a value comes from, and the newline at its end, which is the most repeated support
 * question of every tool of this kind. Bytes move by read(2) into secret memory only.
 */
#include "cli/value.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "cli/keyfile.h"
#include "cli/terminal.h"

static enum phial_status ask_value(const char *name, struct phial_secret **ret_value,
				   struct phial_error *err)
{
	char prompt[256];

	(void)snprintf(prompt, sizeof(prompt), "Value of %.200s (not shown): ", name);
	return phial_cli_ask_twice(prompt, "The same again: ", ret_value, err);
}

static enum phial_status read_stdin(struct phial_secret **ret_value, struct phial_error *err)
{
	phial_auto_secret struct phial_secret *value = NULL;
	enum phial_status status = phial_secret_new(PHIAL_SECRET_MAX_BYTES, &value, err);

	if (status == PHIAL_OK) {
		status = phial_secret_read_fd(value, STDIN_FILENO, err);
	}
	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "the value on stdin");
	}
	*ret_value = phial_take_pointer(value);
	return PHIAL_OK;
}

static void treat_newline(struct phial_secret *value, enum phial_cli_newline choice)
{
	const uint8_t *bytes = phial_secret_const_bytes(value);
	size_t length = phial_secret_length(value);

	if (length == 0 || bytes[length - 1] != '\n' || choice == PHIAL_CLI_NEWLINE_KEEP) {
		return;
	}
	if (choice == PHIAL_CLI_NEWLINE_NOTE) {
		fprintf(stderr, "phial: note: the value ends in a newline, which is kept "
				"(--trim-newline drops it, --keep-newline ends this note)\n");
		return;
	}
	length--;
	if (length > 0 && bytes[length - 1] == '\r') {
		length--;
	}
	phial_secret_set_length(value, length);
}

enum phial_status phial_cli_read_value(const struct phial_cli_value_options *options,
				       struct phial_secret **ret_value, struct phial_error *err)
{
	bool wants_stdin = !options->from || strcmp(options->from, "-") == 0;
	phial_auto_secret struct phial_secret *value = NULL;
	enum phial_status status;

	if (!wants_stdin) {
		status = phial_cli_read_secret(options->from, PHIAL_SECRET_MAX_BYTES, false, &value,
					       err);
	} else if (isatty(STDIN_FILENO)) {
		status = ask_value(options->name, &value, err);
	} else {
		status = read_stdin(&value, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	treat_newline(value, options->newline);
	if (phial_secret_length(value) == 0 && !options->may_be_empty) {
		return phial_fail(err, PHIAL_USAGE, 0, "the value of %s is empty%s", options->name,
				  options->has_no_empty ? ""
							: "; if that is meant, give --allow-empty");
	}
	*ret_value = phial_take_pointer(value);
	return PHIAL_OK;
}
