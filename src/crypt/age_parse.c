/* SPDX-License-Identifier: ISC */
/*
 * The structure of an age file: armor, header, stanzas, the body's length. Strict, so that a
 * file has one form. It uses no key and authenticates nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "crypt/age.h"
#include "crypt/encoding.h"

#define STANZA_COLUMNS	  64
#define STANZA_LINE_BYTES 48

/* The first line and the body of a stanza, before anybody asks what kind it is. */
struct raw_stanza {
	struct phial_span arguments; /* behind the type, words between single spaces */
	struct phial_span type;
	uint8_t body[STANZA_LINE_BYTES]; /* its first line's bytes: more is never needed */
	size_t body_length;		 /* of the whole body */
};

static enum phial_status refuse_stanza(size_t number, const char *why, struct phial_error *err)
{
	return phial_fail(err, PHIAL_MALFORMED, 0, "age header: stanza %zu: %s", number, why);
}

static bool are_printable_words(struct phial_span words)
{
	struct phial_span word;

	while (phial_next_word(&words, &word)) {
		if (word.length == 0) {
			return false;
		}
		for (size_t i = 0; i < word.length; i++) {
			if (word.text[i] < 33 || word.text[i] > 126) {
				return false;
			}
		}
	}
	return true;
}

/* Read body lines up to and with the one that is shorter than 64 columns. */
static bool read_stanza_body(struct phial_span *rest, struct raw_stanza *stanza)
{
	uint8_t bytes[STANZA_LINE_BYTES];
	struct phial_span line;
	bool is_complete;

	stanza->body_length = 0;
	while (phial_next_line(rest, &line, &is_complete) && is_complete) {
		size_t length = 0;

		if (line.length > STANZA_COLUMNS ||
		    !phial_base64_decode(line, PHIAL_BASE64_BARE, bytes, sizeof(bytes), &length)) {
			return false;
		}
		if (stanza->body_length == 0) {
			memcpy(stanza->body, bytes, length);
		}
		stanza->body_length += length;
		if (line.length < STANZA_COLUMNS) {
			return true;
		}
	}
	return false;
}

static enum phial_status read_raw_stanza(struct phial_span *rest, size_t number,
					 struct raw_stanza *stanza, struct phial_error *err)
{
	struct phial_span line;
	bool is_complete;

	if (!phial_next_line(rest, &line, &is_complete) || !is_complete ||
	    !phial_span_skip(&line, "-> ")) {
		return refuse_stanza(number, "does not begin with \"-> \"", err);
	}
	if (!are_printable_words(line)) {
		return refuse_stanza(number, "arguments are not words of printable ASCII", err);
	}
	phial_next_word(&line, &stanza->type);
	stanza->arguments = line;
	if (!read_stanza_body(rest, stanza)) {
		return refuse_stanza(number,
				     "the body is not canonical base64 in lines of 64 columns, "
				     "the last of them shorter",
				     err);
	}
	return PHIAL_OK;
}

static bool decode_x25519(struct raw_stanza *raw, struct phial_age_stanza *stanza)
{
	struct phial_span share;

	return phial_next_word(&raw->arguments, &share) && !raw->arguments.text &&
	       phial_base64_decode_exactly(share, PHIAL_BASE64_BARE, stanza->share, 32);
}

static bool decode_scrypt(struct raw_stanza *raw, struct phial_age_stanza *stanza,
			  uint64_t *ret_log_n)
{
	struct phial_span salt;
	struct phial_span factor;

	return phial_next_word(&raw->arguments, &salt) &&
	       phial_next_word(&raw->arguments, &factor) && !raw->arguments.text &&
	       phial_base64_decode_exactly(salt, PHIAL_BASE64_BARE, stanza->share,
					   PHIAL_AGE_SALT_BYTES) &&
	       phial_parse_u64(factor, 1, UINT64_MAX, ret_log_n);
}

enum phial_status phial_age_next_stanza(struct phial_span *rest, size_t number,
					struct phial_age_stanza *ret_stanza,
					struct phial_error *err)
{
	struct raw_stanza raw = { 0 };
	uint64_t log_n = 0;
	enum phial_status status = read_raw_stanza(rest, number, &raw, err);

	if (status != PHIAL_OK) {
		return status;
	}
	ret_stanza->kind = PHIAL_AGE_STANZA_OTHER;
	if (phial_span_is(raw.type, "X25519")) {
		if (!decode_x25519(&raw, ret_stanza)) {
			return refuse_stanza(number, "not one X25519 share of 32 bytes", err);
		}
		ret_stanza->kind = PHIAL_AGE_STANZA_X25519;
	} else if (phial_span_is(raw.type, "scrypt")) {
		if (!decode_scrypt(&raw, ret_stanza, &log_n)) {
			return refuse_stanza(number, "not a salt of 16 bytes and a work factor",
					     err);
		}
		ret_stanza->kind = PHIAL_AGE_STANZA_SCRYPT;
	} else {
		return PHIAL_OK;
	}
	if (raw.body_length != sizeof(ret_stanza->wrapped)) {
		return refuse_stanza(number, "the wrapped file key is not 32 bytes", err);
	}
	if (log_n > PHIAL_AGE_LOG_N_MAX) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0,
				  "age header: stanza %zu: scrypt work factor over %d", number,
				  PHIAL_AGE_LOG_N_MAX);
	}
	ret_stanza->log_n = (unsigned int)log_n;
	memcpy(ret_stanza->wrapped, raw.body, sizeof(ret_stanza->wrapped));
	return PHIAL_OK;
}

/* Read all stanzas, up to the line that begins with "---". */
static enum phial_status read_stanzas(struct phial_span *rest, struct phial_age_file *file,
				      struct phial_error *err)
{
	struct phial_age_stanza stanza;

	while (rest->length < 3 || memcmp(rest->text, "---", 3) != 0) {
		if (file->stanza_count == PHIAL_AGE_STANZAS_MAX) {
			return phial_fail(err, PHIAL_TOO_LARGE, 0,
					  "age header: more than %d recipients",
					  PHIAL_AGE_STANZAS_MAX);
		}
		enum phial_status status =
			phial_age_next_stanza(rest, file->stanza_count + 1, &stanza, err);

		if (status != PHIAL_OK) {
			return status;
		}
		file->stanza_count++;
		file->x25519_count += stanza.kind == PHIAL_AGE_STANZA_X25519;
		file->has_passphrase |= stanza.kind == PHIAL_AGE_STANZA_SCRYPT;
	}
	if (file->stanza_count == 0) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "age header: no recipient");
	}
	/* A file that a passphrase opens is also proof of who made it, so it stands alone. */
	if (file->has_passphrase && file->stanza_count > 1) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "age header: a scrypt stanza must be the only one");
	}
	return PHIAL_OK;
}

/* Read the header off rest, which is then at the body. */
static enum phial_status read_header(struct phial_span *rest, struct phial_age_file *file,
				     struct phial_error *err)
{
	const char *start = rest->text;
	struct phial_span line;
	bool is_complete;

	if (!phial_next_line(rest, &line, &is_complete) || !is_complete ||
	    !phial_span_is(line, PHIAL_AGE_VERSION_LINE)) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "age header: not an age v1 file");
	}
	enum phial_status status = read_stanzas(rest, file, err);

	if (status != PHIAL_OK) {
		return status;
	}
	file->header = (const uint8_t *)start;
	file->header_length = (size_t)(rest->text + 3 - start);
	if (!phial_next_line(rest, &line, &is_complete) || !is_complete ||
	    !phial_span_skip(&line, "--- ") ||
	    !phial_base64_decode_exactly(line, PHIAL_BASE64_BARE, file->mac, sizeof(file->mac))) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "age header: the last line is not \"---\" and a MAC");
	}
	return PHIAL_OK;
}

/* How much plaintext the body holds, if its length can be that of a body at all. */
static enum phial_status measure_body(struct phial_age_file *file, struct phial_error *err)
{
	if (file->body_length < PHIAL_AGE_NONCE_BYTES) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "age header: cut off before the body's nonce");
	}
	size_t length = file->body_length - PHIAL_AGE_NONCE_BYTES;
	size_t chunks = (length + PHIAL_AGE_SEALED_CHUNK_BYTES - 1) / PHIAL_AGE_SEALED_CHUNK_BYTES;
	size_t last = chunks > 0 ? length - (chunks - 1) * PHIAL_AGE_SEALED_CHUNK_BYTES : 0;

	/* Only a whole plaintext that is empty has an empty last chunk. */
	if (last < PHIAL_AGE_TAG_BYTES || (chunks > 1 && last == PHIAL_AGE_TAG_BYTES)) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "age body: cut off within a chunk");
	}
	file->plaintext_length = length - chunks * PHIAL_AGE_TAG_BYTES;
	return PHIAL_OK;
}

static enum phial_status parse_binary(struct phial_span bytes, struct phial_age_file *file,
				      struct phial_error *err)
{
	struct phial_span rest = bytes;

	if (rest.length > PHIAL_AGE_HEADER_MAX_BYTES) {
		rest.length = PHIAL_AGE_HEADER_MAX_BYTES;
	}
	enum phial_status status = read_header(&rest, file, err);

	/* The reader then stands at the limit, not at what is wrong. */
	if (status != PHIAL_OK && rest.length == 0 && bytes.length > PHIAL_AGE_HEADER_MAX_BYTES) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "age header: more than 64 KiB");
	}
	if (status != PHIAL_OK) {
		return status;
	}
	file->body = (const uint8_t *)rest.text;
	file->body_length = bytes.length - (size_t)(rest.text - bytes.text);
	return measure_body(file, err);
}

/* Of any version, so that a later one is told from an armor that is broken. */
static bool is_binary(struct phial_span text)
{
	return phial_span_skip(&text, "age-encryption.org/");
}

bool phial_age_looks_like(const uint8_t *bytes, size_t length)
{
	struct phial_span text = { (const char *)bytes, length };

	if (is_binary(text)) {
		return true;
	}
	while (text.length > 0 && memchr(" \t\r\n", text.text[0], 4)) {
		text.text++;
		text.length--;
	}
	return phial_span_skip(&text, PHIAL_AGE_BEGIN_LINE);
}

enum phial_status phial_age_parse(const uint8_t *bytes, size_t length, enum phial_age_form form,
				  struct phial_age_file *ret_file, struct phial_error *err)
{
	struct phial_age_file file = { 0 };
	struct phial_span binary = { (const char *)bytes, length };
	enum phial_status status;

	if (form == PHIAL_AGE_STRICT_ARMOR || (length > 0 && !is_binary(binary))) {
		status = phial_armor_parse(binary, form == PHIAL_AGE_STRICT_ARMOR, &file.owned,
					   &binary.length, err);
		if (status != PHIAL_OK) {
			return status;
		}
		binary.text = (const char *)file.owned;
	}
	status = parse_binary(binary, &file, err);
	if (status != PHIAL_OK) {
		phial_age_file_free(&file);
		return status;
	}
	*ret_file = file;
	return PHIAL_OK;
}

void phial_age_file_free(struct phial_age_file *file)
{
	phial_free_pointer(&file->owned);
	*file = (struct phial_age_file){ 0 };
}
