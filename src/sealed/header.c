/* SPDX-License-Identifier: ISC */
/*
 * The header of a sealed file, both ways. One table gives the order of the fields; each
 * field's parser accepts one spelling. Believes nothing: signatures are another file's job.
 */
#include "sealed/header.h"

#include <inttypes.h>
#include <string.h>

#define VERSION_MAX (UINT64_C(1) << 53)
#define TIME_MAX    INT64_C(253402300799) /* 9999-12-31T23:59:59Z */
#define MODE_MAX    0777U

/* What one pass over a header carries along. */
struct header_reader {
	struct phial_sealed_header *header;
	struct phial_named_recipient *recipients;
	size_t capacity;
	size_t line; /* counted from 1 */
	struct phial_error *err;
};

/* True if text is one component of the name grammar. */
static bool is_component(const char *text)
{
	return !strchr(text, '/') && phial_name_check(text, NULL) == PHIAL_OK;
}

/* The place of an earlier recipient with the same name or key, or the count. */
static size_t find_twin(const struct phial_named_recipient *recipients, size_t count,
			const struct phial_named_recipient *candidate)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(recipients[i].name, candidate->name) == 0 ||
		    memcmp(&recipients[i].key, &candidate->key, sizeof(candidate->key)) == 0) {
			return i;
		}
	}
	return count;
}

static enum phial_status malformed(const struct header_reader *reader, const char *what)
{
	return phial_fail(reader->err, PHIAL_MALFORMED, 0, "line %zu: %s", reader->line, what);
}

static enum phial_status parse_name(struct header_reader *reader, struct phial_span value)
{
	char *name = reader->header->name;

	if (!phial_span_copy(value, name, PHIAL_NAME_MAX_BYTES + 1)) {
		return phial_fail(reader->err, PHIAL_BAD_NAME, 0,
				  "line %zu: the name is longer than %d bytes or has a NUL in it",
				  reader->line, PHIAL_NAME_MAX_BYTES);
	}
	enum phial_status status = phial_name_check(name, reader->err);

	if (status != PHIAL_OK) {
		phial_fail_prefix(reader->err, "line %zu", reader->line);
	}
	return status;
}

static enum phial_status parse_version(struct header_reader *reader, struct phial_span value)
{
	if (!phial_parse_u64(value, 1, VERSION_MAX, &reader->header->version)) {
		return malformed(reader, "version must be a number from 1 to 2^53");
	}
	return PHIAL_OK;
}

static enum phial_status parse_created(struct header_reader *reader, struct phial_span value)
{
	if (!phial_parse_time(value, &reader->header->created_s)) {
		return malformed(reader, "created must be a time like 2026-11-21T22:30:00Z");
	}
	return PHIAL_OK;
}

static enum phial_status parse_not_after(struct header_reader *reader, struct phial_span value)
{
	if (!phial_parse_time(value, &reader->header->not_after_s) ||
	    reader->header->not_after_s == 0) {
		return malformed(reader, "not-after must be a time like 2026-11-21T22:30:00Z");
	}
	return PHIAL_OK;
}

static enum phial_status parse_mode(struct header_reader *reader, struct phial_span value)
{
	if (!phial_parse_mode(value, MODE_MAX, &reader->header->mode)) {
		return malformed(reader, "mode must be four octal digits, 0000 to 0777");
	}
	return PHIAL_OK;
}

static enum phial_status parse_owner(struct header_reader *reader, struct phial_span value)
{
	if (!phial_parse_owner(value, &reader->header->owner_uid, &reader->header->owner_gid)) {
		return malformed(reader, "owner must be UID:GID in decimal");
	}
	return PHIAL_OK;
}

/* Keys are formatted again and compared: base64 and bech32 have more than one spelling. */
static enum phial_status parse_signer(struct header_reader *reader, struct phial_span value)
{
	char text[PHIAL_SIGNER_TEXT_BYTES];
	char again[PHIAL_SIGNER_TEXT_BYTES];
	struct phial_signer_public *signer = &reader->header->signer;

	if (!phial_span_copy(value, text, sizeof(text)) ||
	    phial_signer_public_parse(text, signer, NULL) != PHIAL_OK) {
		return malformed(reader, "signer is not a minisign public key");
	}
	phial_signer_public_format(signer, again);
	if (strcmp(text, again) != 0) {
		return malformed(reader, "signer is not in its canonical form");
	}
	return PHIAL_OK;
}

static enum phial_status parse_recipient_key(struct header_reader *reader, struct phial_span value,
					     struct phial_recipient *ret_key)
{
	char text[PHIAL_RECIPIENT_TEXT_BYTES];
	char again[PHIAL_RECIPIENT_TEXT_BYTES];

	if (!phial_span_copy(value, text, sizeof(text)) ||
	    phial_recipient_parse(text, ret_key, NULL) != PHIAL_OK) {
		return malformed(reader, "recipient is not an age X25519 key, or has a typo");
	}
	phial_recipient_format(ret_key, again);
	if (strcmp(text, again) != 0) {
		return malformed(reader, "recipient is not in its canonical form");
	}
	return PHIAL_OK;
}

static enum phial_status parse_recipient(struct header_reader *reader, struct phial_span value)
{
	struct phial_sealed_header *header = reader->header;
	struct phial_span name;

	if (header->recipient_count == PHIAL_RECIPIENTS_MAX ||
	    header->recipient_count == reader->capacity) {
		return phial_fail(reader->err, PHIAL_TOO_LARGE, 0,
				  "line %zu: more than %d recipients", reader->line,
				  PHIAL_RECIPIENTS_MAX);
	}
	struct phial_named_recipient *recipient = &reader->recipients[header->recipient_count];

	if (!phial_next_word(&value, &name) || !value.text) {
		return malformed(reader, "recipient must be a name, a space and a key");
	}
	if (!phial_span_copy(name, recipient->name, sizeof(recipient->name)) ||
	    !is_component(recipient->name)) {
		return malformed(reader, "a recipient's name must be one component, without '/'");
	}
	enum phial_status status = parse_recipient_key(reader, value, &recipient->key);

	if (status != PHIAL_OK) {
		return status;
	}
	if (find_twin(reader->recipients, header->recipient_count, recipient) !=
	    header->recipient_count) {
		return malformed(reader, "a recipient's name or key stands there twice");
	}
	header->recipient_count++;
	return PHIAL_OK;
}

/* The fields in their order. */
static const struct header_field {
	const char *prefix;
	enum phial_status (*parse)(struct header_reader *reader, struct phial_span value);
	bool is_optional;
	bool may_repeat;
} fields[] = {
	{ "name: ", parse_name, false, false },
	{ "version: ", parse_version, false, false },
	{ "created: ", parse_created, false, false },
	{ "signer: ", parse_signer, false, false },
	{ "recipient: ", parse_recipient, false, true },
	{ "not-after: ", parse_not_after, true, false },
	{ "mode: ", parse_mode, true, false },
	{ "owner: ", parse_owner, true, false },
};

/* Parse the lines of one field off rest: none, one or many, as the field allows. */
static enum phial_status parse_field(struct header_reader *reader, const struct header_field *field,
				     struct phial_span *rest)
{
	size_t count = 0;

	while (count == 0 || field->may_repeat) {
		struct phial_span after = *rest;
		struct phial_span value;

		if (!phial_next_line(&after, &value, NULL) ||
		    !phial_span_skip(&value, field->prefix)) {
			break;
		}
		enum phial_status status = field->parse(reader, value);

		if (status != PHIAL_OK) {
			return status;
		}
		*rest = after;
		reader->line++;
		count++;
	}
	if (count == 0 && !field->is_optional) {
		return phial_fail(reader->err, PHIAL_MALFORMED, 0,
				  "line %zu: \"%s\" is expected here", reader->line, field->prefix);
	}
	return PHIAL_OK;
}

enum phial_status phial_sealed_header_parse(struct phial_span bytes,
					    struct phial_named_recipient *recipients,
					    size_t capacity, struct phial_sealed_header *ret_header,
					    struct phial_error *err)
{
	struct header_reader reader = {
		.header = ret_header,
		.recipients = recipients,
		.capacity = capacity,
		.line = 1,
		.err = err,
	};

	*ret_header = (struct phial_sealed_header){
		.mode = PHIAL_MODE_UNSET,
		.owner_uid = PHIAL_ID_UNSET,
		.owner_gid = PHIAL_ID_UNSET,
		.recipients = recipients,
	};
	if (!phial_span_skip(&bytes, PHIAL_SEALED_FIRST_LINE)) {
		return malformed(&reader, "not a phial sealed file");
	}
	reader.line++;
	for (size_t i = 0; i < PHIAL_COUNT(fields); i++) {
		enum phial_status status = parse_field(&reader, &fields[i], &bytes);

		if (status != PHIAL_OK) {
			return status;
		}
	}
	if (bytes.length > 0) {
		return malformed(&reader, "an unknown field, or one out of order or twice");
	}
	return PHIAL_OK;
}

static enum phial_status check_recipients(const struct phial_sealed_header *header,
					  struct phial_error *err)
{
	const struct phial_named_recipient *recipients = header->recipients;

	if (header->recipient_count == 0) {
		return phial_fail(err, PHIAL_USAGE, 0, "nobody to seal to: no recipient");
	}
	if (header->recipient_count > PHIAL_RECIPIENTS_MAX) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "%zu recipients, at most %d are allowed",
				  header->recipient_count, PHIAL_RECIPIENTS_MAX);
	}
	for (size_t i = 0; i < header->recipient_count; i++) {
		size_t twin = find_twin(recipients, i, &recipients[i]);

		if (!is_component(recipients[i].name)) {
			return phial_fail(err, PHIAL_BAD_NAME, 0,
					  "\"%.63s\" is not a recipient's name: one component of "
					  "letters, digits, '.', '_' and '-'",
					  recipients[i].name);
		}
		if (twin != i) {
			return phial_fail(err, PHIAL_USAGE, 0,
					  "recipients %s and %s have the same name or key",
					  recipients[twin].name, recipients[i].name);
		}
	}
	return PHIAL_OK;
}

enum phial_status phial_sealed_header_check(const struct phial_sealed_header *header,
					    struct phial_error *err)
{
	enum phial_status status = phial_name_check(header->name, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (header->version < 1 || header->version > VERSION_MAX) {
		return phial_fail(err, PHIAL_USAGE, 0, "version must be from 1 to 2^53");
	}
	if (header->created_s < 0 || header->created_s > TIME_MAX) {
		return phial_fail(err, PHIAL_USAGE, 0, "created must lie in 1970 to 9999");
	}
	if (header->not_after_s < 0 || header->not_after_s > TIME_MAX) {
		return phial_fail(err, PHIAL_USAGE, 0, "not-after must lie in 1970 to 9999");
	}
	if (header->mode > MODE_MAX && header->mode != PHIAL_MODE_UNSET) {
		return phial_fail(err, PHIAL_USAGE, 0, "mode must be from 0000 to 0777");
	}
	if ((header->owner_uid == PHIAL_ID_UNSET) != (header->owner_gid == PHIAL_ID_UNSET)) {
		return phial_fail(err, PHIAL_USAGE, 0, "owner needs both a UID and a GID");
	}
	return check_recipients(header, err);
}

void phial_sealed_header_format(const struct phial_sealed_header *header, struct phial_text *text)
{
	char time[PHIAL_TIME_TEXT_BYTES];
	char signer[PHIAL_SIGNER_TEXT_BYTES];
	char key[PHIAL_RECIPIENT_TEXT_BYTES];

	phial_format_time(header->created_s, time);
	phial_signer_public_format(&header->signer, signer);
	phial_text_add(text,
		       PHIAL_SEALED_FIRST_LINE "name: %s\nversion: %" PRIu64 "\n"
					       "created: %s\nsigner: %s\n",
		       header->name, header->version, time, signer);
	for (size_t i = 0; i < header->recipient_count; i++) {
		phial_recipient_format(&header->recipients[i].key, key);
		phial_text_add(text, "recipient: %s %s\n", header->recipients[i].name, key);
	}
	if (header->not_after_s != 0) {
		phial_format_time(header->not_after_s, time);
		phial_text_add(text, "not-after: %s\n", time);
	}
	if (header->mode != PHIAL_MODE_UNSET) {
		phial_text_add(text, "mode: %04o\n", header->mode);
	}
	if (header->owner_uid != PHIAL_ID_UNSET) {
		phial_text_add(text, "owner: %" PRIu32 ":%" PRIu32 "\n", header->owner_uid,
			       header->owner_gid);
	}
}
