/* SPDX-License-Identifier: ISC */
/*
 * Verifies and opens a parsed sealed file. Whoever wants a value without a signature must
 * have said so before. Knows no clock and no marks: expiry and replay are the caller's.
 */
#include "sealed/sealed.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* How many recipients a message names before it says "and N more". */
#define RECIPIENTS_SHOWN 4

static bool may_sign(const struct phial_trusted_signer *signer, const char *name)
{
	for (size_t i = 0; i < signer->pattern_count; i++) {
		if (phial_pattern_matches(signer->patterns[i], name)) {
			return true;
		}
	}
	return signer->pattern_count == 0;
}

/* A minisign key id as minisign prints it: 16 hexadecimal digits, last byte first. */
static void format_key_id(const struct phial_signer_public *signer, char ret_text[static 17])
{
	for (size_t i = 0; i < sizeof(signer->key_id); i++) {
		(void)snprintf(ret_text + 2 * i, 3, "%02X",
			       signer->key_id[sizeof(signer->key_id) - 1 - i]);
	}
}

static enum phial_status find_signer(const struct phial_sealed_header *header,
				     const struct phial_trusted_signer *signers, size_t count,
				     const struct phial_trusted_signer **ret_signer,
				     struct phial_error *err)
{
	const struct phial_trusted_signer *known = NULL;
	char key_id[17];

	for (size_t i = 0; i < count; i++) {
		if (!phial_signer_public_equal(&signers[i].key, &header->signer)) {
			continue;
		}
		if (may_sign(&signers[i], header->name)) {
			*ret_signer = &signers[i];
			return PHIAL_OK;
		}
		known = &signers[i];
	}
	if (known) {
		return phial_fail(err, PHIAL_UNTRUSTED, 0,
				  "%s: signer %s may not seal this name (see the patterns in "
				  ".phial/signers)",
				  header->name, known->name);
	}
	format_key_id(&header->signer, key_id);
	return phial_fail(err, PHIAL_UNTRUSTED, 0,
			  "%s: sealed by key %s, which is not among the trusted signers "
			  "(phial signer ls)",
			  header->name, key_id);
}

enum phial_status phial_sealed_verify(struct phial_sealed *sealed,
				      const struct phial_trusted_signer *signers,
				      size_t signer_count,
				      const struct phial_trusted_signer **ret_signer,
				      struct phial_error *err)
{
	const struct phial_trusted_signer *signer = NULL;
	enum phial_status status =
		find_signer(&sealed->header, signers, signer_count, &signer, err);

	if (status != PHIAL_OK) {
		return status;
	}
	status = phial_minisign_verify((const uint8_t *)sealed->signed_part.text,
				       sealed->signed_part.length, sealed->signature.text,
				       sealed->signature.length, &signer->key,
				       PHIAL_SEALED_TRUSTED_COMMENT, err);
	if (status != PHIAL_OK) {
		phial_fail_prefix(err, "%s", sealed->header.name);
		return status;
	}
	sealed->may_open = true;
	if (ret_signer) {
		*ret_signer = signer;
	}
	return PHIAL_OK;
}

void phial_sealed_accept_unsigned(struct phial_sealed *sealed)
{
	sealed->may_open = true;
}

static enum phial_status not_recipient(const struct phial_sealed_header *header,
				       struct phial_error *err)
{
	phial_auto_text struct phial_text names = { .max = PHIAL_ERROR_TEXT_BYTES };
	size_t shown = header->recipient_count < RECIPIENTS_SHOWN ? header->recipient_count
								  : RECIPIENTS_SHOWN;

	for (size_t i = 0; i < shown; i++) {
		phial_text_add(&names, "%s%s", i > 0 ? ", " : "", header->recipients[i].name);
	}
	if (shown < header->recipient_count) {
		phial_text_add(&names, " and %zu more", header->recipient_count - shown);
	}
	return phial_fail(err, PHIAL_NOT_RECIPIENT, 0,
			  "%s: sealed to %s, and none of the keys at hand is one of these "
			  "(seal it again with this host among the recipients)",
			  header->name, names.bytes ? names.bytes : "others");
}

/* Find which recipient line is for which identity. */
static bool find_recipient(const struct phial_sealed_header *header,
			   const struct phial_identities *identities,
			   struct phial_age_hint *ret_hint)
{
	for (size_t i = 0; i < phial_identities_count(identities); i++) {
		struct phial_recipient mine;

		phial_identities_recipient(identities, i, &mine);
		for (size_t j = 0; j < header->recipient_count; j++) {
			if (memcmp(&header->recipients[j].key, &mine, sizeof(mine)) == 0) {
				*ret_hint = (struct phial_age_hint){ .stanza = j, .identity = i };
				return true;
			}
		}
	}
	return false;
}

/* The stanza of our own recipient line, and no other, must hold the file key for us. */
static enum phial_status unwrap_own_stanza(const struct phial_sealed *sealed,
					   const struct phial_age_file *file,
					   const struct phial_identities *identities,
					   const struct phial_age_hint *hint,
					   struct phial_age_key *ret_key, struct phial_error *err)
{
	size_t lines = sealed->header.recipient_count;

	if (file->stanza_count != lines || file->x25519_count != lines) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "the age header must have an X25519 stanza for each recipient "
				  "line and no other: %zu line(s), %zu stanza(s), %zu of X25519",
				  lines, file->stanza_count, file->x25519_count);
	}
	enum phial_status status = phial_age_unwrap(file, identities, hint, ret_key, err);

	if (status == PHIAL_NOT_RECIPIENT) {
		return phial_fail(err, PHIAL_TAMPERED, 0,
				  "recipient line %s is ours, but its stanza is not",
				  sealed->header.recipients[hint->stanza].name);
	}
	return status;
}

/*
 * Parse the body and unwrap its file key. ret_file: freed by the caller; points into sealed's
 * bytes. ret_key: wiped by the caller.
 */
static enum phial_status unwrap(const struct phial_sealed *sealed,
				const struct phial_identities *identities,
				struct phial_age_file *ret_file, struct phial_age_key *ret_key,
				struct phial_error *err)
{
	const struct phial_sealed_header *header = &sealed->header;
	phial_auto_age_file struct phial_age_file file = { 0 };
	struct phial_age_hint hint;

	if (!sealed->may_open) {
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "%s: its signature was not verified, so it is not opened",
				  header->name);
	}
	if (!find_recipient(header, identities, &hint)) {
		return not_recipient(header, err);
	}
	enum phial_status status =
		phial_age_parse((const uint8_t *)sealed->body.text, sealed->body.length,
				PHIAL_AGE_STRICT_ARMOR, &file, err);

	if (status == PHIAL_OK) {
		status = unwrap_own_stanza(sealed, &file, identities, &hint, ret_key, err);
	}
	if (status != PHIAL_OK) {
		phial_fail_prefix(err, "%s", header->name);
		return status;
	}
	*ret_file = file;
	file = (struct phial_age_file){ 0 };
	return PHIAL_OK;
}

/* Decrypt the body and check the line that binds it to this header. */
static enum phial_status decrypt(const struct phial_sealed *sealed,
				 const struct phial_age_file *file, const struct phial_age_key *key,
				 struct phial_secret *value, struct phial_error *err)
{
	char expected[PHIAL_SEALED_BINDING_BYTES];
	uint8_t found[PHIAL_SEALED_BINDING_BYTES];
	enum phial_status status = phial_age_decrypt(file, key, found, sizeof(found), value, err);

	if (status == PHIAL_OK) {
		phial_sealed_format_binding(sealed->header_bytes, expected);
		if (!phial_bytes_equal(expected, found, sizeof(expected))) {
			phial_secret_wipe(value);
			status = phial_fail(err, PHIAL_TAMPERED, 0,
					    "the body belongs to another header");
		}
	}
	/* A foreign body has no binding line: these may be bytes of its secret. */
	phial_wipe(found, sizeof(found));
	if (status != PHIAL_OK) {
		phial_fail_prefix(err, "%s", sealed->header.name);
	}
	return status;
}

enum phial_status phial_sealed_open(const struct phial_sealed *sealed,
				    const struct phial_identities *identities,
				    struct phial_secret *value, struct phial_error *err)
{
	phial_auto_age_file struct phial_age_file file = { 0 };
	struct phial_age_key key;
	enum phial_status status = unwrap(sealed, identities, &file, &key, err);

	if (status == PHIAL_OK) {
		status = decrypt(sealed, &file, &key, value, err);
		phial_wipe(&key, sizeof(key));
	}
	if (status != PHIAL_OK) {
		phial_secret_wipe(value);
	}
	return status;
}
