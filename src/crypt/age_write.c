/* SPDX-License-Identifier: ISC */
/*
 * Writing age files: to X25519 recipients, or to a passphrase for key files. Always armored.
 * Every file gets a new file key, so a nonce is never used twice. It reads nothing back.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"
#include "crypt/age.h"
#include "crypt/encoding.h"

/* Base64 text of 32 bytes, with its NUL. */
#define KEY_TEXT_BYTES PHIAL_BASE64_TEXT_BYTES(32)

/* age itself makes 16-byte salts and this is the least work that phial accepts to make. */
#define LOG_N_MIN 10

/* Make a stanza's ephemeral share and wrap the file key to a recipient. */
static bool wrap_to_recipient(const struct phial_age_key *key,
			      const struct phial_recipient *recipient, uint8_t ret_share[static 32],
			      uint8_t ret_wrapped[static 32])
{
	struct phial_age_exchange exchange;
	uint8_t ephemeral[32];
	uint8_t wrapping_key[32];

	randombytes_buf(ephemeral, sizeof(ephemeral));
	crypto_scalarmult_curve25519_base(exchange.share, ephemeral);
	memcpy(exchange.recipient, recipient->key, sizeof(exchange.recipient));
	bool is_sound = phial_age_wrapping_key(ephemeral, recipient->key, &exchange, wrapping_key);

	if (is_sound) {
		phial_age_wrap(wrapping_key, key, ret_wrapped);
		memcpy(ret_share, exchange.share, sizeof(exchange.share));
	}
	sodium_memzero(ephemeral, sizeof(ephemeral));
	sodium_memzero(wrapping_key, sizeof(wrapping_key));
	return is_sound;
}

static enum phial_status add_recipient(const struct phial_age_key *key,
				       const struct phial_recipient *recipient,
				       struct phial_text *header, struct phial_error *err)
{
	uint8_t share[32];
	uint8_t wrapped[32];
	char share_text[KEY_TEXT_BYTES];
	char wrapped_text[KEY_TEXT_BYTES];

	if (!wrap_to_recipient(key, recipient, share, wrapped)) {
		return phial_fail(err, PHIAL_BAD_KEY, 0,
				  "a recipient's key is a low-order point that anyone can open");
	}
	phial_base64_encode(share, sizeof(share), PHIAL_BASE64_BARE, share_text,
			    sizeof(share_text));
	phial_base64_encode(wrapped, sizeof(wrapped), PHIAL_BASE64_BARE, wrapped_text,
			    sizeof(wrapped_text));
	phial_text_add(header, "-> X25519 %s\n%s\n", share_text, wrapped_text);
	return PHIAL_OK;
}

/* Encrypt in chunks. out: room for phial_age_chunks_length(). */
static void write_chunks(const uint8_t body_key[static 32], const struct phial_secret *plaintext,
			 uint8_t *out)
{
	const uint8_t *next = phial_secret_const_bytes(plaintext);
	size_t left = phial_secret_length(plaintext);
	uint64_t number = 0;
	bool is_last;

	do {
		uint8_t nonce[12];
		size_t length = left < PHIAL_AGE_CHUNK_BYTES ? left : PHIAL_AGE_CHUNK_BYTES;

		is_last = length == left;
		phial_age_chunk_nonce(number++, is_last, nonce);
		crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, next, length, NULL, 0, NULL,
							  nonce, body_key);
		next += length;
		left -= length;
		out += length + PHIAL_AGE_TAG_BYTES;
	} while (!is_last);
}

/* The whole file without armor: a header that still lacks its MAC, the body behind it. */
static enum phial_status write_binary(const struct phial_age_key *key, struct phial_text *header,
				      const struct phial_secret *plaintext, uint8_t **ret_bytes,
				      size_t *ret_length, struct phial_error *err)
{
	uint8_t mac[32];
	char mac_text[KEY_TEXT_BYTES];
	uint8_t body_key[32];

	phial_text_add(header, "---");
	if (header->has_failed) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "age header");
	}
	phial_age_header_mac(key, header->bytes, header->length, mac);
	phial_base64_encode(mac, sizeof(mac), PHIAL_BASE64_BARE, mac_text, sizeof(mac_text));
	phial_text_add(header, " %s\n", mac_text);
	size_t length = header->length + PHIAL_AGE_NONCE_BYTES +
			phial_age_chunks_length(phial_secret_length(plaintext));
	uint8_t *bytes = header->has_failed ? NULL : malloc(length);

	if (!bytes) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "age file");
	}
	uint8_t *nonce = bytes + header->length;

	memcpy(bytes, header->bytes, header->length);
	randombytes_buf(nonce, PHIAL_AGE_NONCE_BYTES);
	phial_age_body_key(key, nonce, body_key);
	write_chunks(body_key, plaintext, nonce + PHIAL_AGE_NONCE_BYTES);
	sodium_memzero(body_key, sizeof(body_key));
	*ret_bytes = bytes;
	*ret_length = length;
	return PHIAL_OK;
}

/* Finish a header that still lacks its MAC, and put the armored file into text. */
static enum phial_status write_file(const struct phial_age_key *key, struct phial_text *header,
				    const struct phial_secret *plaintext, struct phial_text *text,
				    struct phial_error *err)
{
	phial_auto_free uint8_t *bytes = NULL;
	size_t length = 0;
	enum phial_status status = write_binary(key, header, plaintext, &bytes, &length, err);

	if (status != PHIAL_OK) {
		return status;
	}
	phial_armor_format(bytes, length, text);
	if (text->has_failed) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "age armor");
	}
	return PHIAL_OK;
}

static enum phial_status check_plaintext(const struct phial_secret *plaintext,
					 struct phial_error *err)
{
	if (phial_secret_length(plaintext) > PHIAL_AGE_PLAINTEXT_MAX_BYTES) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "more than %zu bytes to encrypt",
				  PHIAL_AGE_PLAINTEXT_MAX_BYTES);
	}
	return phial_crypt_start(err);
}

/* Armor adds a third, line ends, and its two lines. */
#define TEXT_MAX_BYTES (2 * (PHIAL_AGE_HEADER_MAX_BYTES + PHIAL_AGE_PLAINTEXT_MAX_BYTES))

enum phial_status phial_age_encrypt(const struct phial_recipient *recipients, size_t count,
				    const struct phial_secret *plaintext, char **ret_text,
				    size_t *ret_length, struct phial_error *err)
{
	phial_auto_text struct phial_text header = { .max = PHIAL_AGE_HEADER_MAX_BYTES };
	phial_auto_text struct phial_text text = { .max = TEXT_MAX_BYTES };
	struct phial_age_key key;
	enum phial_status status = check_plaintext(plaintext, err);

	if (count == 0 || count > PHIAL_AGE_STANZAS_MAX) {
		return phial_fail(err, PHIAL_USAGE, 0, "%zu recipients, not 1 to %d", count,
				  PHIAL_AGE_STANZAS_MAX);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	randombytes_buf(&key, sizeof(key));
	phial_text_add(&header, "%s\n", PHIAL_AGE_VERSION_LINE);
	for (size_t i = 0; i < count && status == PHIAL_OK; i++) {
		status = add_recipient(&key, &recipients[i], &header, err);
	}
	if (status == PHIAL_OK) {
		status = write_file(&key, &header, plaintext, &text, err);
	}
	sodium_memzero(&key, sizeof(key));
	if (status == PHIAL_OK) {
		*ret_length = text.length;
		*ret_text = phial_take_pointer(text.bytes);
	}
	return status;
}

/* The header of a passphrase-encrypted file, without its MAC. */
static enum phial_status start_passphrase_header(const struct phial_age_key *key,
						 const struct phial_secret *passphrase,
						 unsigned int log_n, struct phial_text *header,
						 struct phial_error *err)
{
	uint8_t salt[PHIAL_AGE_SALT_BYTES];
	uint8_t wrapped[32];
	uint8_t wrapping_key[32];
	char salt_text[KEY_TEXT_BYTES];
	char wrapped_text[KEY_TEXT_BYTES];

	randombytes_buf(salt, sizeof(salt));
	enum phial_status status =
		phial_age_passphrase_key(passphrase, salt, log_n, wrapping_key, err);

	if (status != PHIAL_OK) {
		return status;
	}
	phial_age_wrap(wrapping_key, key, wrapped);
	sodium_memzero(wrapping_key, sizeof(wrapping_key));
	phial_base64_encode(salt, sizeof(salt), PHIAL_BASE64_BARE, salt_text, sizeof(salt_text));
	phial_base64_encode(wrapped, sizeof(wrapped), PHIAL_BASE64_BARE, wrapped_text,
			    sizeof(wrapped_text));
	phial_text_add(header, "%s\n-> scrypt %s %u\n%s\n", PHIAL_AGE_VERSION_LINE, salt_text,
		       log_n, wrapped_text);
	return PHIAL_OK;
}

enum phial_status phial_passphrase_encrypt(const struct phial_secret *plaintext,
					   const struct phial_secret *passphrase,
					   unsigned int log_n, struct phial_secret **ret_file,
					   struct phial_error *err)
{
	phial_auto_text struct phial_text header = { .max = PHIAL_AGE_HEADER_MAX_BYTES };
	phial_auto_text struct phial_text text = { .max = TEXT_MAX_BYTES };
	phial_auto_secret struct phial_secret *file = NULL;
	struct phial_age_key key;
	enum phial_status status = check_plaintext(plaintext, err);

	if (log_n < LOG_N_MIN || log_n > PHIAL_AGE_LOG_N_MAX) {
		return phial_fail(err, PHIAL_USAGE, 0, "scrypt work factor %u, not %d to %d", log_n,
				  LOG_N_MIN, PHIAL_AGE_LOG_N_MAX);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	randombytes_buf(&key, sizeof(key));
	status = start_passphrase_header(&key, passphrase, log_n, &header, err);
	if (status == PHIAL_OK) {
		status = write_file(&key, &header, plaintext, &text, err);
	}
	sodium_memzero(&key, sizeof(key));
	if (status == PHIAL_OK) {
		status = phial_secret_new(text.length, &file, err);
	}
	if (status == PHIAL_OK) {
		status = phial_secret_append(file, text.bytes, text.length, err);
	}
	if (status == PHIAL_OK) {
		*ret_file = phial_take_pointer(file);
	}
	return status;
}
