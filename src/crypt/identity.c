/* SPDX-License-Identifier: ISC */
/*
 * age X25519 keys: their texts, and key files with or without a passphrase. It reads bytes, not
 * paths, and never quotes what it refuses.
 */
#include "crypt/identity.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "base/secret.h"
#include "crypt/crypt.h"
#include "crypt/encoding.h"

#define RECIPIENT_PREFIX "age"
#define IDENTITY_PREFIX	 "AGE-SECRET-KEY-"
/* "AGE-SECRET-KEY-1", 58 characters. */
#define IDENTITY_TEXT_LENGTH 74

struct phial_identities {
	struct phial_secret *memory; /* an array of struct phial_identity */
	size_t count;
};

enum phial_status phial_recipient_parse(const char *text, struct phial_recipient *ret_recipient,
					struct phial_error *err)
{
	struct phial_span span = { text, strnlen(text, PHIAL_BECH32_MAX + 1) };
	struct phial_bech32 parts;

	if (strncmp(text, IDENTITY_PREFIX, strlen(IDENTITY_PREFIX)) == 0) {
		return phial_fail(err, PHIAL_BAD_KEY, 0,
				  "this is a secret key; a recipient is its public half, age1...");
	}
	if (strncmp(text, "age1", 4) != 0 || strncmp(text, "age1pq1", 7) == 0) {
		return phial_fail(err, PHIAL_BAD_KEY, 0, "not an age X25519 recipient (age1...)");
	}
	const char *problem = phial_bech32_parse(span, &parts);

	if (problem) {
		return phial_fail(err, PHIAL_BAD_KEY, 0, "not an age recipient: %s", problem);
	}
	if (strcmp(parts.prefix, RECIPIENT_PREFIX) != 0 ||
	    !phial_bech32_bytes(&parts, ret_recipient->key, sizeof(ret_recipient->key))) {
		return phial_fail(err, PHIAL_BAD_KEY, 0, "not an age X25519 recipient (age1...)");
	}
	return PHIAL_OK;
}

void phial_recipient_format(const struct phial_recipient *recipient,
			    char ret_text[PHIAL_RECIPIENT_TEXT_BYTES])
{
	char text[PHIAL_BECH32_MAX + 1];

	phial_bech32_format(RECIPIENT_PREFIX, recipient->key, sizeof(recipient->key), text);
	assert(strlen(text) == PHIAL_RECIPIENT_TEXT_BYTES - 1);
	memcpy(ret_text, text, PHIAL_RECIPIENT_TEXT_BYTES);
}

/* Compute the public half. Every 32 bytes are a secret key, so this cannot fail. */
static void complete_identity(struct phial_identity *identity)
{
	crypto_scalarmult_curve25519_base(identity->recipient.key, identity->secret);
}

/* "AGE-SECRET-KEY-1...", which is bech32 in upper case, with a newline. */
static enum phial_status add_identity_line(struct phial_secret *file,
					   const struct phial_identity *identity,
					   struct phial_error *err)
{
	char text[PHIAL_BECH32_MAX + 1];

	phial_bech32_format("age-secret-key-", identity->secret, sizeof(identity->secret), text);
	for (char *c = text; *c; c++) {
		*c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
	}
	assert(strlen(text) == IDENTITY_TEXT_LENGTH);
	text[IDENTITY_TEXT_LENGTH] = '\n';
	enum phial_status status = phial_secret_append(file, text, IDENTITY_TEXT_LENGTH + 1, err);

	sodium_memzero(text, sizeof(text));
	return status;
}

enum phial_status phial_identity_generate(int64_t created_s, struct phial_secret **ret_file,
					  struct phial_recipient *ret_recipient,
					  struct phial_error *err)
{
	phial_auto_secret struct phial_secret *file = NULL;
	phial_auto_text struct phial_text comments = { .max = 256 };
	struct phial_identity identity;
	char recipient_text[PHIAL_RECIPIENT_TEXT_BYTES];
	char created[PHIAL_TIME_TEXT_BYTES];
	enum phial_status status = phial_secret_new(512, &file, err);

	if (status != PHIAL_OK) {
		return status;
	}
	randombytes_buf(identity.secret, sizeof(identity.secret));
	complete_identity(&identity);
	phial_recipient_format(&identity.recipient, recipient_text);
	phial_format_time(created_s, created);
	phial_text_add(&comments, "# created: %s\n# public key: %s\n", created, recipient_text);
	status = comments.has_failed
			 ? phial_fail(err, PHIAL_SYSTEM, ENOMEM, "key file")
			 : phial_secret_append(file, comments.bytes, comments.length, err);
	if (status == PHIAL_OK) {
		status = add_identity_line(file, &identity, err);
	}
	if (status == PHIAL_OK) {
		*ret_file = phial_take_pointer(file);
		*ret_recipient = identity.recipient;
	}
	sodium_memzero(&identity, sizeof(identity));
	return status;
}

static struct phial_span span_of_secret(const struct phial_secret *secret)
{
	return (struct phial_span){ (const char *)phial_secret_const_bytes(secret),
				    phial_secret_length(secret) };
}

bool phial_identities_need_passphrase(const struct phial_secret *file)
{
	return phial_age_looks_like(phial_secret_const_bytes(file), phial_secret_length(file));
}

/* What is wrong with the line of an identity, or NULL. Never quotes it. */
static const char *parse_identity(struct phial_span line, struct phial_identity *ret_identity)
{
	struct phial_bech32 parts;
	struct phial_span rest = line;

	if (phial_span_skip(&rest, "age1")) {
		return "a recipient's public key, not a secret key";
	}
	if (!phial_span_skip(&rest, IDENTITY_PREFIX "1")) {
		return "not of the form AGE-SECRET-KEY-1...";
	}
	const char *problem = phial_bech32_parse(line, &parts);

	if (!problem &&
	    (strcmp(parts.prefix, IDENTITY_PREFIX) != 0 ||
	     !phial_bech32_bytes(&parts, ret_identity->secret, sizeof(ret_identity->secret)))) {
		problem = "not a key of 32 bytes";
	}
	sodium_memzero(&parts, sizeof(parts));
	return problem;
}

static struct phial_identity *identity_at(struct phial_identities *identities, size_t index)
{
	void *bytes = phial_secret_bytes(identities->memory);

	return (struct phial_identity *)bytes + index;
}

/* Parse the lines of a key file in the open. */
static enum phial_status read_lines(struct phial_span text, struct phial_identities *identities,
				    struct phial_error *err)
{
	struct phial_span line;

	for (size_t number = 1; phial_next_line(&text, &line, NULL); number++) {
		if (line.length > 0 && line.text[line.length - 1] == '\r') {
			line.length--;
		}
		if (line.length == 0 || line.text[0] == '#') {
			continue;
		}
		if (identities->count == PHIAL_IDENTITIES_MAX) {
			return phial_fail(err, PHIAL_BAD_KEY, 0, "more than %d keys in one file",
					  PHIAL_IDENTITIES_MAX);
		}
		struct phial_identity *identity = identity_at(identities, identities->count);
		const char *problem = parse_identity(line, identity);

		if (problem) {
			return phial_fail(err, PHIAL_BAD_KEY, 0, "line %zu is not an age key: %s",
					  number, problem);
		}
		complete_identity(identity);
		identities->count++;
	}
	if (identities->count == 0) {
		return phial_fail(err, PHIAL_BAD_KEY, 0,
				  "no age key in it (a line AGE-SECRET-KEY-1...)");
	}
	return PHIAL_OK;
}

/* Make identities from the text of a key file in the open. */
static enum phial_status read_identities(struct phial_span text,
					 struct phial_identities **ret_identities,
					 struct phial_error *err)
{
	struct phial_identities *identities = calloc(1, sizeof(*identities));

	if (!identities) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "age keys");
	}
	enum phial_status status =
		phial_secret_new(PHIAL_IDENTITIES_MAX * sizeof(struct phial_identity),
				 &identities->memory, err);

	if (status == PHIAL_OK) {
		status = read_lines(text, identities, err);
	}
	if (status != PHIAL_OK) {
		phial_identities_free(identities);
		return status;
	}
	*ret_identities = identities;
	return PHIAL_OK;
}

enum phial_status phial_identities_parse(const struct phial_secret *file,
					 const struct phial_secret *passphrase,
					 struct phial_identities **ret_identities,
					 struct phial_error *err)
{
	phial_auto_secret struct phial_secret *opened = NULL;

	if (phial_secret_length(file) > PHIAL_KEY_FILE_MAX_BYTES) {
		return phial_fail(err, PHIAL_BAD_KEY, 0, "a key file has at most 64 KiB");
	}
	if (!phial_identities_need_passphrase(file)) {
		return read_identities(span_of_secret(file), ret_identities, err);
	}
	if (!passphrase) {
		return phial_fail(err, PHIAL_BAD_PASSPHRASE, 0,
				  "the key file is encrypted and needs its passphrase");
	}
	enum phial_status status = phial_secret_new(PHIAL_KEY_FILE_MAX_BYTES, &opened, err);

	if (status == PHIAL_OK) {
		status = phial_age_open_passphrase(phial_secret_const_bytes(file),
						   phial_secret_length(file), passphrase, opened,
						   err);
	}
	if (status == PHIAL_NOT_RECIPIENT) {
		return phial_fail(err, PHIAL_BAD_KEY, 0,
				  "a file encrypted to keys, not a key file with a passphrase");
	}
	if (status == PHIAL_OK) {
		status = read_identities(span_of_secret(opened), ret_identities, err);
	}
	return status;
}

void phial_identities_free(struct phial_identities *identities)
{
	if (identities) {
		phial_secret_free(identities->memory);
		phial_free_pointer(&identities);
	}
}

size_t phial_identities_count(const struct phial_identities *identities)
{
	return identities->count;
}

const struct phial_identity *phial_identities_get(const struct phial_identities *identities,
						  size_t index)
{
	const void *bytes = phial_secret_const_bytes(identities->memory);

	assert(index < identities->count);
	return (const struct phial_identity *)bytes + index;
}

void phial_identities_recipient(const struct phial_identities *identities, size_t index,
				struct phial_recipient *ret_recipient)
{
	*ret_recipient = phial_identities_get(identities, index)->recipient;
}
