/* SPDX-License-Identifier: ISC */
/* Inside crypt: the parts of an age file, shared by reading and writing. Nothing blocks. */
#ifndef PHIAL_CRYPT_AGE_H
#define PHIAL_CRYPT_AGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

#include "base/parse.h"
#include "crypt/crypt.h"

#define PHIAL_AGE_VERSION_LINE	     "age-encryption.org/v1"
#define PHIAL_AGE_X25519_INFO	     "age-encryption.org/v1/X25519"
#define PHIAL_AGE_SCRYPT_INFO	     "age-encryption.org/v1/scrypt"
#define PHIAL_AGE_NONCE_BYTES	     16
#define PHIAL_AGE_SALT_BYTES	     16
#define PHIAL_AGE_TAG_BYTES	     16
#define PHIAL_AGE_CHUNK_BYTES	     ((size_t)64 * 1024)
#define PHIAL_AGE_SEALED_CHUNK_BYTES (PHIAL_AGE_CHUNK_BYTES + PHIAL_AGE_TAG_BYTES)

enum phial_age_stanza_kind {
	PHIAL_AGE_STANZA_OTHER, /* skipped, as the format asks */
	PHIAL_AGE_STANZA_X25519,
	PHIAL_AGE_STANZA_SCRYPT,
};

/* One stanza, decoded if its kind is known. */
struct phial_age_stanza {
	enum phial_age_stanza_kind kind;
	uint8_t share[32];   /* X25519: the ephemeral share; scrypt: 16 bytes of salt */
	unsigned int log_n;  /* scrypt: 1 to PHIAL_AGE_LOG_N_MAX */
	uint8_t wrapped[32]; /* the file key and its tag */
};

/*
 * Take the next stanza off the header. rest: at its "->" line. number: counted from 1, for the
 * failure's text. Returns PHIAL_OK; PHIAL_MALFORMED; PHIAL_TOO_LARGE (scrypt work factor).
 */
PHIAL_CHECKED enum phial_status phial_age_next_stanza(struct phial_span *rest, size_t number,
						      struct phial_age_stanza *ret_stanza,
						      struct phial_error *err);

/* HKDF-SHA256 to 32 bytes (RFC 5869). Neither input is kept. */
void phial_hkdf_sha256(const uint8_t *input, size_t input_length, const uint8_t *salt,
		       size_t salt_length, const char *info, uint8_t ret_key[static 32]);

/* The MAC of a header (from its first byte to "---") under a file key. */
void phial_age_header_mac(const struct phial_age_key *key, const void *header, size_t length,
			  uint8_t ret_mac[static 32]);

/* The two X25519 keys that go into the salt of the wrapping key. */
struct phial_age_exchange {
	uint8_t share[32];
	uint8_t recipient[32];
};

/*
 * The key that wraps the file key in an X25519 stanza. secret: the ephemeral key when writing,
 * the identity when reading. peer: the other side's public key. Returns false, with nothing
 * set, when peer is a low-order point.
 */
PHIAL_CHECKED bool phial_age_wrapping_key(const uint8_t secret[static 32],
					  const uint8_t peer[static 32],
					  const struct phial_age_exchange *exchange,
					  uint8_t ret_key[static 32]);

/*
 * The key that a passphrase gives. log_n: 1 to PHIAL_AGE_LOG_N_MAX. Returns PHIAL_OK or
 * PHIAL_SYSTEM (no memory). Takes 2^log_n KiB.
 */
PHIAL_CHECKED enum phial_status
phial_age_passphrase_key(const struct phial_secret *passphrase,
			 const uint8_t salt[static PHIAL_AGE_SALT_BYTES], unsigned int log_n,
			 uint8_t ret_key[static 32], struct phial_error *err);

/* Wrap a file key with a wrapping key that is used once (so its nonce is zero). */
void phial_age_wrap(const uint8_t wrapping_key[static 32], const struct phial_age_key *key,
		    uint8_t ret_wrapped[static 32]);

/* Undo phial_age_wrap(). Returns false if the wrapping key is another one. */
PHIAL_CHECKED bool phial_age_unwrap_key(const uint8_t wrapping_key[static 32],
					const uint8_t wrapped[static 32],
					struct phial_age_key *ret_key);

/* The key of the body: from the file key and the nonce in front of the chunks. */
void phial_age_body_key(const struct phial_age_key *key,
			const uint8_t nonce[static PHIAL_AGE_NONCE_BYTES],
			uint8_t ret_key[static 32]);

/* The nonce of a chunk: its number, big-endian in 11 bytes, and 1 if it is the last. */
void phial_age_chunk_nonce(uint64_t number, bool is_last, uint8_t ret_nonce[static 12]);

/* Bytes of the chunks that hold a plaintext: at least one chunk, a tag in each. */
size_t phial_age_chunks_length(size_t plaintext_length);

#endif
