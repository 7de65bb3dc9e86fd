/* SPDX-License-Identifier: ISC */
/*
 * The armor of age files: base64 in lines of 64 columns between a begin and an end line
 * (strict PEM, RFC 7468 section 3). It does not look at what the lines hold.
 */
#include "crypt/encoding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "crypt/crypt.h"

/* Where the reader stands. */
struct reader {
	struct phial_span rest;
	size_t line_number;
	bool is_strict;
};

static enum phial_status refuse(const struct reader *reader, const char *why,
				struct phial_error *err)
{
	return phial_fail(err, PHIAL_MALFORMED, 0, "age armor: line %zu: %s", reader->line_number,
			  why);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Skip white space in front. */
static void skip_space(struct reader *reader)
{
	while (reader->rest.length > 0 && is_space(reader->rest.text[0])) {
		reader->line_number += reader->rest.text[0] == '\n';
		reader->rest.text++;
		reader->rest.length--;
	}
}

/* The next line without its end; the last one may lack it unless the form is strict. */
static bool read_line(struct reader *reader, struct phial_span *ret_line)
{
	bool is_complete;

	reader->line_number++;
	if (!phial_next_line(&reader->rest, ret_line, &is_complete)) {
		return false;
	}
	if (!is_complete) {
		return !reader->is_strict;
	}
	if (!reader->is_strict && ret_line->length > 0 &&
	    ret_line->text[ret_line->length - 1] == '\r') {
		ret_line->length--;
	}
	return true;
}

/* Decode the lines up to the end line. bytes: room for what the text can hold. */
static enum phial_status read_body(struct reader *reader, uint8_t *bytes, size_t *ret_length,
				   struct phial_error *err)
{
	struct phial_span line;
	bool is_last = false;
	size_t length = 0;

	while (read_line(reader, &line)) {
		size_t added = 0;

		if (phial_span_is(line, PHIAL_AGE_END_LINE)) {
			*ret_length = length;
			return PHIAL_OK;
		}
		if (is_last) {
			return refuse(reader, "text after a short line, or no end line", err);
		}
		if (line.length == 0 || line.length > PHIAL_ARMOR_COLUMNS) {
			return refuse(reader, "not 1 to 64 columns", err);
		}
		if (!phial_base64_decode(line, PHIAL_BASE64_PADDED, bytes + length,
					 PHIAL_ARMOR_LINE_BYTES, &added)) {
			return refuse(reader, "not canonical base64", err);
		}
		is_last = added < PHIAL_ARMOR_LINE_BYTES;
		length += added;
	}
	return refuse(reader, "the end line is missing", err);
}

enum phial_status phial_armor_parse(struct phial_span text, bool is_strict, uint8_t **ret_bytes,
				    size_t *ret_length, struct phial_error *err)
{
	struct reader reader = { .rest = text, .is_strict = is_strict };
	struct phial_span line = { 0 };

	if (!is_strict) {
		skip_space(&reader);
	}
	if (!read_line(&reader, &line) || !phial_span_is(line, PHIAL_AGE_BEGIN_LINE)) {
		return refuse(&reader, "not the begin line of an age file", err);
	}
	/* 4 columns hold 3 bytes at most, so this is enough for any text; never 0 bytes. */
	phial_auto_free uint8_t *bytes =
		malloc(reader.rest.length / 4 * 3 + PHIAL_ARMOR_LINE_BYTES);

	if (!bytes) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "age armor");
	}
	enum phial_status status = read_body(&reader, bytes, ret_length, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (!is_strict) {
		skip_space(&reader);
	}
	if (reader.rest.length > 0) {
		return refuse(&reader, "something follows the end line", err);
	}
	*ret_bytes = phial_take_pointer(bytes);
	return PHIAL_OK;
}

void phial_armor_format(const uint8_t *bytes, size_t length, struct phial_text *text)
{
	char line[PHIAL_BASE64_TEXT_BYTES(PHIAL_ARMOR_LINE_BYTES)];

	phial_text_add(text, "%s\n", PHIAL_AGE_BEGIN_LINE);
	for (size_t done = 0; done < length; done += PHIAL_ARMOR_LINE_BYTES) {
		size_t left = length - done;

		phial_base64_encode(bytes + done,
				    left < PHIAL_ARMOR_LINE_BYTES ? left : PHIAL_ARMOR_LINE_BYTES,
				    PHIAL_BASE64_PADDED, line, sizeof(line));
		phial_text_add(text, "%s\n", line);
	}
	phial_text_add(text, "%s\n", PHIAL_AGE_END_LINE);
}
