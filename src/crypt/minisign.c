/* SPDX-License-Identifier: ISC */
/*
 * minisign signatures: four lines, prehashed, with the global signature over the trusted
 * comment. Legacy signatures (not prehashed) are refused. It decides nobody's trust.
 */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/text.h"
#include "crypt/crypt.h"
#include "crypt/encoding.h"
#include "crypt/signer.h"

#define TRUSTED_PREFIX	     "trusted comment: "
#define TRUSTED_COMMENT_MAX  256
#define TRUSTED_READ_MAX     1024 /* minisign puts file names into it */
#define LEGACY_ALGORITHM     "Ed"
#define SIGNATURE_TEXT_BYTES PHIAL_BASE64_TEXT_BYTES(74)
#define GLOBAL_TEXT_BYTES    PHIAL_BASE64_TEXT_BYTES(64)

/* The second line of a signature. */
struct signature_record {
	char algorithm[2];
	uint8_t key_id[8];
	uint8_t signature[64];
};

_Static_assert(sizeof(struct signature_record) == 74, "no padding");

/* A signature text taken apart. */
struct signature_parts {
	struct signature_record record;
	struct phial_span trusted_comment;
	uint8_t global[64];
};

/* What the global signature covers: the signature and the trusted comment. */
struct global_message {
	uint8_t bytes[64 + TRUSTED_READ_MAX];
	size_t length;
};

static void make_global_message(const struct signature_record *record, struct phial_span comment,
				struct global_message *ret_message)
{
	memcpy(ret_message->bytes, record->signature, sizeof(record->signature));
	memcpy(ret_message->bytes + sizeof(record->signature), comment.text, comment.length);
	ret_message->length = sizeof(record->signature) + comment.length;
}

static bool is_printable_ascii(struct phial_span text)
{
	for (size_t i = 0; i < text.length; i++) {
		if (text.text[i] < 32 || text.text[i] > 126) {
			return false;
		}
	}
	return true;
}

enum phial_status phial_minisign_sign(const struct phial_signer *signer, const uint8_t *bytes,
				      size_t length, const char *trusted_comment,
				      char **ret_signature, struct phial_error *err)
{
	phial_auto_text struct phial_text text = { .max = 1024 };
	struct phial_span comment = { trusted_comment,
				      strnlen(trusted_comment, TRUSTED_COMMENT_MAX + 1) };
	struct signature_record record;
	struct global_message message;
	uint8_t digest[64];
	uint8_t global[64];
	char record_text[SIGNATURE_TEXT_BYTES];
	char global_text[GLOBAL_TEXT_BYTES];

	if (comment.length > TRUSTED_COMMENT_MAX || !is_printable_ascii(comment)) {
		return phial_fail(
			err, PHIAL_USAGE, 0,
			"a trusted comment is one line of at most %d printable characters",
			TRUSTED_COMMENT_MAX);
	}
	const uint8_t *key = phial_secret_const_bytes(signer->key);

	memcpy(record.algorithm, PHIAL_MINISIGN_SIGNATURE_ALGORITHM, sizeof(record.algorithm));
	memcpy(record.key_id, signer->public_key.key_id, sizeof(record.key_id));
	crypto_generichash_blake2b(digest, sizeof(digest), bytes, length, NULL, 0);
	crypto_sign_ed25519_detached(record.signature, NULL, digest, sizeof(digest), key);
	make_global_message(&record, comment, &message);
	crypto_sign_ed25519_detached(global, NULL, message.bytes, message.length, key);
	phial_base64_encode(&record, sizeof(record), PHIAL_BASE64_PADDED, record_text,
			    sizeof(record_text));
	phial_base64_encode(global, sizeof(global), PHIAL_BASE64_PADDED, global_text,
			    sizeof(global_text));
	phial_text_add(&text, "%s\n%s\n" TRUSTED_PREFIX "%s\n%s\n", PHIAL_MINISIGN_UNTRUSTED_LINE,
		       record_text, trusted_comment, global_text);
	if (text.has_failed) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "signature");
	}
	*ret_signature = phial_take_pointer(text.bytes);
	return PHIAL_OK;
}

/* Comments of others may have tabs (minisign's own do) and UTF-8; they are never printed. */
static bool is_one_line(struct phial_span text)
{
	for (size_t i = 0; i < text.length; i++) {
		unsigned char c = (unsigned char)text.text[i];

		if ((c < 32 && c != '\t') || c == 127) {
			return false;
		}
	}
	return true;
}

static enum phial_status refuse_line(size_t number, const char *why, struct phial_error *err)
{
	return phial_fail(err, PHIAL_MALFORMED, 0, "signature: line %zu: %s", number, why);
}

/* The next line, which must have its end and the prefix; a CR shows as a wrong line. */
static bool read_line(struct phial_span *rest, const char *prefix, struct phial_span *ret_line)
{
	bool is_complete;

	return phial_next_line(rest, ret_line, &is_complete) && is_complete &&
	       phial_span_skip(ret_line, prefix);
}

static enum phial_status read_signature(struct phial_span text, struct signature_parts *ret_parts,
					struct phial_error *err)
{
	struct signature_record *record = &ret_parts->record;
	struct phial_span line;

	if (!read_line(&text, PHIAL_UNTRUSTED_PREFIX, &line) || !is_one_line(line)) {
		return refuse_line(1, "not \"untrusted comment: ...\"", err);
	}
	if (!read_line(&text, "", &line) ||
	    !phial_base64_decode_exactly(line, PHIAL_BASE64_PADDED, (uint8_t *)record,
					 sizeof(*record))) {
		return refuse_line(2, "not base64 of a signature", err);
	}
	if (memcmp(record->algorithm, LEGACY_ALGORITHM, sizeof(record->algorithm)) == 0) {
		return refuse_line(2, "a legacy signature: sign again with minisign -S -H", err);
	}
	if (memcmp(record->algorithm, PHIAL_MINISIGN_SIGNATURE_ALGORITHM,
		   sizeof(record->algorithm)) != 0) {
		return refuse_line(2, "not a minisign signature", err);
	}
	if (!read_line(&text, TRUSTED_PREFIX, &ret_parts->trusted_comment) ||
	    !is_one_line(ret_parts->trusted_comment) ||
	    ret_parts->trusted_comment.length > TRUSTED_READ_MAX) {
		return refuse_line(3, "not \"trusted comment: ...\"", err);
	}
	if (!read_line(&text, "", &line) ||
	    !phial_base64_decode_exactly(line, PHIAL_BASE64_PADDED, ret_parts->global,
					 sizeof(ret_parts->global))) {
		return refuse_line(4, "not base64 of a signature", err);
	}
	if (text.length > 0) {
		return refuse_line(5, "something follows the signature", err);
	}
	return PHIAL_OK;
}

static bool is_signature_right(const struct signature_parts *parts, const uint8_t *bytes,
			       size_t length, const uint8_t key[static 32])
{
	struct global_message message;
	uint8_t digest[64];

	crypto_generichash_blake2b(digest, sizeof(digest), bytes, length, NULL, 0);
	make_global_message(&parts->record, parts->trusted_comment, &message);
	return crypto_sign_ed25519_verify_detached(parts->record.signature, digest, sizeof(digest),
						   key) == 0 &&
	       crypto_sign_ed25519_verify_detached(parts->global, message.bytes, message.length,
						   key) == 0;
}

enum phial_status phial_minisign_verify(const uint8_t *bytes, size_t length, const char *signature,
					size_t signature_length,
					const struct phial_signer_public *public_key,
					const char *trusted_comment, struct phial_error *err)
{
	struct phial_span text = { signature, signature_length };
	struct signature_parts parts;
	enum phial_status status = phial_crypt_start(err);

	if (status == PHIAL_OK) {
		status = read_signature(text, &parts, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	if (memcmp(parts.record.key_id, public_key->key_id, sizeof(public_key->key_id)) != 0) {
		return phial_fail(err, PHIAL_UNTRUSTED, 0, "signature: made with another key");
	}
	if (!is_signature_right(&parts, bytes, length, public_key->key)) {
		return phial_fail(err, PHIAL_TAMPERED, 0,
				  "signature: does not match; it was changed after signing");
	}
	/* Only after the global signature: before it, the comment is anybody's. */
	if (trusted_comment && !phial_span_is(parts.trusted_comment, trusted_comment)) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "signature: line 3: the trusted comment is not the one expected");
	}
	return PHIAL_OK;
}
