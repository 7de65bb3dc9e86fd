/* SPDX-License-Identifier: ISC */
/*
 * Opening an age file: the file key out of a stanza, the header's MAC, the chunks. Key
 * material is on the stack and wiped. It does not parse, and it chooses no identity files.
 */
#include <sodium.h>
#include <string.h>

#include "crypt/age.h"
#include "crypt/encoding.h"
#include "crypt/identity.h"

/* A file key is believed once the header's MAC is right under it. */
static enum phial_status check_mac(const struct phial_age_file *file, struct phial_age_key *key,
				   struct phial_error *err)
{
	uint8_t mac[32];

	phial_age_header_mac(key, file->header, file->header_length, mac);
	if (sodium_memcmp(mac, file->mac, sizeof(mac)) == 0) {
		return PHIAL_OK;
	}
	sodium_memzero(key, sizeof(*key));
	return phial_fail(err, PHIAL_TAMPERED, 0, "age header: was changed after encryption");
}

/* Try one identity on one X25519 stanza: PHIAL_NOT_RECIPIENT (no text) if it is another's. */
static enum phial_status try_stanza(const struct phial_age_stanza *stanza, size_t number,
				    const struct phial_identity *identity,
				    struct phial_age_key *ret_key, struct phial_error *err)
{
	struct phial_age_exchange exchange;
	uint8_t wrapping_key[32];

	memcpy(exchange.share, stanza->share, sizeof(exchange.share));
	memcpy(exchange.recipient, identity->recipient.key, sizeof(exchange.recipient));
	if (!phial_age_wrapping_key(identity->secret, stanza->share, &exchange, wrapping_key)) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "age header: stanza %zu: the X25519 share is a low-order point",
				  number);
	}
	bool is_ours = phial_age_unwrap_key(wrapping_key, stanza->wrapped, ret_key);

	sodium_memzero(wrapping_key, sizeof(wrapping_key));
	return is_ours ? PHIAL_OK : PHIAL_NOT_RECIPIENT;
}

static enum phial_status try_identities(const struct phial_age_stanza *stanza, size_t number,
					const struct phial_identities *identities,
					const struct phial_age_hint *hint,
					struct phial_age_key *ret_key, struct phial_error *err)
{
	size_t first = hint ? hint->identity : 0;
	size_t end = hint ? hint->identity + 1 : phial_identities_count(identities);

	for (size_t i = first; i < end; i++) {
		enum phial_status status =
			try_stanza(stanza, number, phial_identities_get(identities, i), ret_key,
				   err);

		if (status != PHIAL_NOT_RECIPIENT) {
			return status;
		}
	}
	return PHIAL_NOT_RECIPIENT;
}

/* The first stanza line of a parsed header. */
static struct phial_span stanzas_of(const struct phial_age_file *file)
{
	struct phial_span rest = { (const char *)file->header, file->header_length };

	phial_span_skip(&rest, PHIAL_AGE_VERSION_LINE "\n");
	return rest;
}

enum phial_status phial_age_unwrap(const struct phial_age_file *file,
				   const struct phial_identities *identities,
				   const struct phial_age_hint *hint, struct phial_age_key *ret_key,
				   struct phial_error *err)
{
	struct phial_span rest = stanzas_of(file);
	struct phial_age_stanza stanza;

	for (size_t i = 0; i < file->stanza_count; i++) {
		enum phial_status status = phial_age_next_stanza(&rest, i + 1, &stanza, err);

		if (status != PHIAL_OK) {
			return status;
		}
		if (stanza.kind != PHIAL_AGE_STANZA_X25519 || (hint && hint->stanza != i)) {
			continue;
		}
		status = try_identities(&stanza, i + 1, identities, hint, ret_key, err);
		if (status == PHIAL_OK) {
			return check_mac(file, ret_key, err);
		}
		if (status != PHIAL_NOT_RECIPIENT) {
			return status;
		}
	}
	if (file->has_passphrase) {
		return phial_fail(err, PHIAL_NOT_RECIPIENT, 0,
				  "it is encrypted with a passphrase, not to a key");
	}
	return phial_fail(err, PHIAL_NOT_RECIPIENT, 0,
			  "none of its %zu recipients is an identity at hand", file->stanza_count);
}

enum phial_status phial_age_unwrap_passphrase(const struct phial_age_file *file,
					      const struct phial_secret *passphrase,
					      struct phial_age_key *ret_key,
					      struct phial_error *err)
{
	struct phial_span rest = stanzas_of(file);
	struct phial_age_stanza stanza;
	uint8_t wrapping_key[32];

	if (!file->has_passphrase) {
		return phial_fail(err, PHIAL_NOT_RECIPIENT, 0,
				  "it is encrypted to keys, not with a passphrase");
	}
	enum phial_status status = phial_age_next_stanza(&rest, 1, &stanza, err);

	if (status == PHIAL_OK) {
		status = phial_age_passphrase_key(passphrase, stanza.share, stanza.log_n,
						  wrapping_key, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	bool is_right = phial_age_unwrap_key(wrapping_key, stanza.wrapped, ret_key);

	sodium_memzero(wrapping_key, sizeof(wrapping_key));
	if (!is_right) {
		return phial_fail(err, PHIAL_BAD_PASSPHRASE, 0, "the passphrase is wrong");
	}
	return check_mac(file, ret_key, err);
}

/* The body's chunks, one after another. */
struct stream {
	const uint8_t *next;
	size_t left; /* bytes of the body from next on */
	uint64_t number;
	uint8_t key[32];
};

static void start_stream(const struct phial_age_file *file, const struct phial_age_key *key,
			 struct stream *stream)
{
	stream->next = file->body + PHIAL_AGE_NONCE_BYTES;
	stream->left = file->body_length - PHIAL_AGE_NONCE_BYTES;
	stream->number = 0;
	phial_age_body_key(key, file->body, stream->key);
}

/* Decrypt the next chunk into out, which has room for it. Returns its plaintext's length. */
static bool open_chunk(struct stream *stream, uint8_t *out, size_t *ret_length)
{
	uint8_t nonce[12];
	bool is_last = stream->left <= PHIAL_AGE_SEALED_CHUNK_BYTES;
	size_t length = is_last ? stream->left : PHIAL_AGE_SEALED_CHUNK_BYTES;

	phial_age_chunk_nonce(stream->number++, is_last, nonce);
	if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, stream->next, length, NULL,
						      0, nonce, stream->key) != 0) {
		return false;
	}
	stream->next += length;
	stream->left -= length;
	*ret_length = length - PHIAL_AGE_TAG_BYTES;
	return true;
}

/* Decrypt what is left of a stream. out: room for all of it. */
static bool open_rest(struct stream *stream, uint8_t *out)
{
	while (stream->left > 0) {
		size_t length = 0;

		if (!open_chunk(stream, out, &length)) {
			return false;
		}
		out += length;
	}
	return true;
}

static enum phial_status refuse_body(struct phial_error *err)
{
	return phial_fail(err, PHIAL_TAMPERED, 0,
			  "age body: was changed or cut off after encryption");
}

static enum phial_status refuse_capacity(const struct phial_age_file *file, size_t capacity,
					 struct phial_error *err)
{
	return phial_fail(err, PHIAL_TOO_LARGE, 0,
			  "age body: holds %zu bytes, but at most %zu are accepted",
			  file->plaintext_length, capacity);
}

enum phial_status phial_age_decrypt_bytes(const struct phial_age_file *file,
					  const struct phial_age_key *key, uint8_t *out,
					  size_t capacity, struct phial_error *err)
{
	struct stream stream;

	if (file->plaintext_length > capacity) {
		return refuse_capacity(file, capacity, err);
	}
	start_stream(file, key, &stream);
	bool is_right = open_rest(&stream, out);

	sodium_memzero(&stream, sizeof(stream));
	if (!is_right) {
		sodium_memzero(out, file->plaintext_length);
		return refuse_body(err);
	}
	return PHIAL_OK;
}

/*
 * The first chunk is decrypted whole at the start of out; then its head goes to the prefix and
 * the rest moves down over it, so that no buffer is needed beside out.
 */
static bool open_with_prefix(struct stream *stream, uint8_t *ret_prefix, size_t prefix_length,
			     uint8_t *out)
{
	size_t first = 0;

	if (!open_chunk(stream, out, &first)) {
		return false;
	}
	if (prefix_length == 0) {
		return open_rest(stream, out + first);
	}
	memcpy(ret_prefix, out, prefix_length);
	memmove(out, out + prefix_length, first - prefix_length);
	sodium_memzero(out + first - prefix_length, prefix_length);
	return open_rest(stream, out + first - prefix_length);
}

enum phial_status phial_age_decrypt(const struct phial_age_file *file,
				    const struct phial_age_key *key, uint8_t *ret_prefix,
				    size_t prefix_length, struct phial_secret *out,
				    struct phial_error *err)
{
	size_t capacity = phial_secret_capacity(out);
	size_t length = file->plaintext_length;
	size_t first = length < PHIAL_AGE_CHUNK_BYTES ? length : PHIAL_AGE_CHUNK_BYTES;
	struct stream stream;

	phial_secret_set_length(out, 0);
	if (length < prefix_length) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "age body: holds only %zu bytes, too short for what it must say",
				  length);
	}
	if (length - prefix_length > capacity || first > capacity) {
		return refuse_capacity(file, capacity + prefix_length, err);
	}
	start_stream(file, key, &stream);
	bool is_right =
		open_with_prefix(&stream, ret_prefix, prefix_length, phial_secret_bytes(out));

	sodium_memzero(&stream, sizeof(stream));
	if (!is_right) {
		phial_secret_wipe(out);
		if (prefix_length > 0) {
			sodium_memzero(ret_prefix, prefix_length);
		}
		return refuse_body(err);
	}
	phial_secret_set_length(out, length - prefix_length);
	return PHIAL_OK;
}

enum phial_status phial_age_open_passphrase(const uint8_t *bytes, size_t length,
					    const struct phial_secret *passphrase,
					    struct phial_secret *out, struct phial_error *err)
{
	phial_auto_age_file struct phial_age_file file = { 0 };
	struct phial_age_key key;
	enum phial_status status = phial_age_parse(bytes, length, PHIAL_AGE_ANY_FORM, &file, err);

	if (status == PHIAL_OK) {
		status = phial_age_unwrap_passphrase(&file, passphrase, &key, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	status = phial_age_decrypt(&file, &key, NULL, 0, out, err);
	sodium_memzero(&key, sizeof(key));
	return status;
}
