/* SPDX-License-Identifier: ISC */
/*
 * Takes a sealed file apart: header, body, signature, each in its one form. Needs no key and
 * decodes no base64 of body or signature; that waits until a trusted signer is named.
 * Explains the two accidents that git causes.
 */
#include "sealed/sealed.h"

#include <string.h>

#include "sealed/header.h"

#define BEGIN_LINE PHIAL_AGE_BEGIN_LINE "\n"
#define END_LINE   PHIAL_AGE_END_LINE "\n"

#define ARMOR_LINE_BYTES 64

/* The four lines of a signature have constant lengths: base64 of 74 and of 64 bytes. */
#define UNTRUSTED_LINE	 PHIAL_MINISIGN_UNTRUSTED_LINE "\n"
#define TRUSTED_LINE	 "trusted comment: " PHIAL_SEALED_TRUSTED_COMMENT "\n"
#define SIGNATURE_BASE64 100
#define GLOBAL_BASE64	 88
#define TEXT_BYTES(text) (sizeof(text) - 1)
#define SIGNATURE_BYTES                                                                 \
	(TEXT_BYTES(UNTRUSTED_LINE) + SIGNATURE_BASE64 + 1 + TEXT_BYTES(TRUSTED_LINE) + \
	 GLOBAL_BASE64 + 1)

static size_t count_lines(struct phial_span text)
{
	struct phial_span line;
	size_t count = 0;

	while (phial_next_line(&text, &line, NULL)) {
		count++;
	}
	return count;
}

static enum phial_status cut_off(struct phial_error *err)
{
	return phial_fail(err, PHIAL_MALFORMED, 0,
			  "the sealed file is cut off: get the whole file again");
}

/* The first line tells what else a file may be. */
static enum phial_status not_sealed(struct phial_span file, struct phial_error *err)
{
	if (file.length == 0) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "not a sealed file: it is empty");
	}
	if (phial_span_skip(&file, "phial v")) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "line 1: not the format \"phial v1\": a newer phial may have "
				  "written it");
	}
	if (phial_age_looks_like((const uint8_t *)file.text, file.length)) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "not a sealed file: it is an age file, open it with age -d");
	}
	return phial_fail(err, PHIAL_MALFORMED, 0,
			  "not a sealed file: it does not begin with \"phial v1\"");
}

/* Split at the age body's first line, which ends the header. */
static enum phial_status find_header(struct phial_span file, struct phial_span *ret_header,
				     struct phial_error *err)
{
	size_t window = PHIAL_SEALED_HEADER_MAX_BYTES + TEXT_BYTES(BEGIN_LINE);
	struct phial_span first = file;

	if (!phial_span_skip(&first, PHIAL_SEALED_FIRST_LINE)) {
		return not_sealed(file, err);
	}
	const char *end = memmem(file.text, file.length < window ? file.length : window,
				 "\n" BEGIN_LINE, TEXT_BYTES("\n" BEGIN_LINE));

	if (!end && file.length >= window) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "the header is larger than %zu bytes",
				  PHIAL_SEALED_HEADER_MAX_BYTES);
	}
	if (!end) {
		return cut_off(err);
	}
	*ret_header = (struct phial_span){ file.text, (size_t)(end + 1 - file.text) };
	return PHIAL_OK;
}

/*
 * True if text is printable ASCII. Base64 decoders are not to be relied on for that:
 * libsodium 1.0.18 takes some bytes above 0x7f for letters.
 */
static bool is_printable(const char *text, size_t length)
{
	bool all = true;

	for (size_t i = 0; i < length; i++) {
		all = all & (text[i] >= 0x20) & (text[i] < 0x7f);
	}
	return all;
}

/* Take off a line of `length` characters, as a signature has them. */
static bool next_base64(struct phial_span *rest, size_t length)
{
	struct phial_span line;

	return phial_next_line(rest, &line, NULL) && line.length == length &&
	       is_printable(line.text, line.length);
}

/* Cut the signature's four lines off the end of rest. */
static enum phial_status split_signature(struct phial_span *rest, struct phial_span *ret_signature,
					 struct phial_error *err)
{
	if (rest->length < SIGNATURE_BYTES) {
		return cut_off(err);
	}
	rest->length -= SIGNATURE_BYTES;
	struct phial_span left = { rest->text + rest->length, SIGNATURE_BYTES };

	*ret_signature = left;
	if (!phial_span_skip(&left, UNTRUSTED_LINE) || !next_base64(&left, SIGNATURE_BASE64) ||
	    !phial_span_skip(&left, TRUSTED_LINE) || !next_base64(&left, GLOBAL_BASE64)) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "the file does not end with the four lines of a phial "
				  "signature: it is cut off, has a tail, or was signed by other "
				  "means");
	}
	return PHIAL_OK;
}

/*
 * Check the outer form of the body: armor lines, and full lines of 64 between them. That the
 * lines hold canonical base64 is seen when the body is opened.
 */
static enum phial_status check_body(struct phial_span body, size_t line, struct phial_error *err)
{
	size_t frame = TEXT_BYTES(BEGIN_LINE) + TEXT_BYTES(END_LINE);

	if (body.length < frame || memcmp(body.text + body.length - TEXT_BYTES(END_LINE), END_LINE,
					  TEXT_BYTES(END_LINE)) != 0) {
		return cut_off(err);
	}
	const char *text = body.text + TEXT_BYTES(BEGIN_LINE);
	size_t left = body.length - frame;

	while (left > 0) {
		size_t length = left <= ARMOR_LINE_BYTES ? left - 1 : ARMOR_LINE_BYTES;

		line++;
		if (length == 0 || text[length] != '\n' || !is_printable(text, length)) {
			return phial_fail(err, PHIAL_MALFORMED, 0,
					  "line %zu: not a line of 64 base64 characters", line);
		}
		text += length + 1;
		left -= length + 1;
	}
	return PHIAL_OK;
}

/* Split into the three parts and check the form of body and signature. */
static enum phial_status split(struct phial_span file, struct phial_sealed *ret_parts,
			       struct phial_error *err)
{
	enum phial_status status = find_header(file, &ret_parts->header_bytes, err);

	if (status != PHIAL_OK) {
		return status;
	}
	size_t header_length = ret_parts->header_bytes.length;
	struct phial_span rest = { file.text + header_length, file.length - header_length };

	status = split_signature(&rest, &ret_parts->signature, err);
	if (status != PHIAL_OK) {
		return status;
	}
	ret_parts->body = rest;
	ret_parts->signed_part = (struct phial_span){ file.text, header_length + rest.length };
	return check_body(rest, count_lines(ret_parts->header_bytes) + 1, err);
}

static enum phial_status parse(struct phial_span file, struct phial_sealed **ret_sealed,
			       struct phial_error *err)
{
	struct phial_sealed parts = { .may_open = false };
	enum phial_status status = split(file, &parts, err);

	if (status != PHIAL_OK) {
		return status;
	}
	/* One allocation: no header has more recipients than lines. */
	size_t lines = count_lines(parts.header_bytes);
	size_t capacity = lines < PHIAL_RECIPIENTS_MAX ? lines : PHIAL_RECIPIENTS_MAX;
	phial_auto_sealed struct phial_sealed *sealed =
		malloc(sizeof(*sealed) + capacity * sizeof(sealed->recipients[0]));

	if (!sealed) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "memory for a sealed file");
	}
	*sealed = parts;
	status = phial_sealed_header_parse(sealed->header_bytes, sealed->recipients, capacity,
					   &sealed->header, err);
	if (status != PHIAL_OK) {
		return status;
	}
	*ret_sealed = phial_take_pointer(sealed);
	return PHIAL_OK;
}

/* True if a line is one of those that git writes around the sides of a conflict. */
static bool is_conflict_marker(struct phial_span line)
{
	return phial_span_skip(&line, "<<<<<<<") || phial_span_skip(&line, "|||||||") ||
	       phial_span_is(line, "=======") || phial_span_skip(&line, ">>>>>>>");
}

/* After a failure: say what git did, if git did it; else leave the failure as it is. */
static enum phial_status explain(struct phial_span file, enum phial_status status,
				 struct phial_error *err)
{
	struct phial_span rest = file;
	struct phial_span line;
	bool has_cr = false;

	for (size_t number = 1; phial_next_line(&rest, &line, NULL); number++) {
		if (is_conflict_marker(line)) {
			return phial_fail(err, PHIAL_MALFORMED, 0,
					  "line %zu: a git conflict marker: take one side whole "
					  "(git checkout --ours or --theirs), or seal the value "
					  "again",
					  number);
		}
		has_cr = has_cr || (line.length > 0 && line.text[line.length - 1] == '\r');
	}
	if (has_cr) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "git converted line ends (CRLF): add '*.sealed -text' to "
				  ".gitattributes and check out the file again");
	}
	return status;
}

enum phial_status phial_sealed_parse(const uint8_t *bytes, size_t length,
				     struct phial_sealed **ret_sealed, struct phial_error *err)
{
	struct phial_span file = { (const char *)bytes, length };

	if (length > PHIAL_SEALED_MAX_BYTES) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0,
				  "not a sealed file: larger than %zu bytes",
				  PHIAL_SEALED_MAX_BYTES);
	}
	enum phial_status status = parse(file, ret_sealed, err);

	if (status == PHIAL_MALFORMED || status == PHIAL_BAD_NAME) {
		return explain(file, status, err);
	}
	return status;
}

void phial_sealed_free(struct phial_sealed *sealed)
{
	phial_free_pointer(&sealed);
}

const struct phial_sealed_header *phial_sealed_get_header(const struct phial_sealed *sealed)
{
	return &sealed->header;
}
