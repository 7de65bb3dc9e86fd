/* SPDX-License-Identifier: ISC */
/*
 * Inside libphial: hashes, the age file (https://age-encryption.org/v1, C2SP age.md) and the
 * minisign texts. Keys themselves are public: <phial/keys.h>. The only room, with base's
 * secret memory, that includes sodium.h.
 *
 * An age file is parsed first (no key needed, nothing authenticated), then its file key is
 * unwrapped (which authenticates the header), then its body is decrypted. Nothing here touches
 * disk; only the scrypt calls take noticeable time.
 */
#ifndef PHIAL_CRYPT_CRYPT_H
#define PHIAL_CRYPT_CRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>
#include <phial/keys.h>
#include <phial/secret.h>

#include "base/cleanup.h"

#define PHIAL_HASH_BYTES     32
#define PHIAL_HASH_HEX_BYTES 65 /* with its NUL */

#define PHIAL_AGE_BEGIN_LINE "-----BEGIN AGE ENCRYPTED FILE-----"
#define PHIAL_AGE_END_LINE   "-----END AGE ENCRYPTED FILE-----"

/* Limits, checked before anything is allocated. */
#define PHIAL_AGE_STANZAS_MAX	   256
#define PHIAL_AGE_HEADER_MAX_BYTES ((size_t)64 * 1024)
/* A secret value, and room for what is put in front of it (phial_age_decrypt()'s prefix). */
#define PHIAL_AGE_PREFIX_MAX_BYTES    ((size_t)256)
#define PHIAL_AGE_PLAINTEXT_MAX_BYTES (PHIAL_SECRET_MAX_BYTES + PHIAL_AGE_PREFIX_MAX_BYTES)
/* 2^20 is what age-made files stay below (18) and costs 1 GiB, as minisign's keys do. */
#define PHIAL_AGE_LOG_N_MAX 20

/* The first line of every signature that phial makes. */
#define PHIAL_MINISIGN_UNTRUSTED_LINE "untrusted comment: signature from phial"

/* --- hashes, random bytes, wiping -------------------------------------------------- */

/* BLAKE2b-256 without a key (RFC 7693). bytes: may be NULL if length is 0. */
void phial_hash_256(const void *bytes, size_t length, uint8_t ret_hash[static PHIAL_HASH_BYTES]);

/* The same as 64 lower-case hexadecimal digits and a NUL. */
void phial_hash_256_hex(const void *bytes, size_t length,
			char ret_hex[static PHIAL_HASH_HEX_BYTES]);

/* Overwrite with zeros, never optimised away. */
void phial_wipe(void *bytes, size_t length);

/* True if two byte strings of one length are equal, in time that does not depend on them. */
bool phial_bytes_equal(const void *a, const void *b, size_t length);

/* Fill with bytes of the kernel's generator. Returns PHIAL_OK or PHIAL_SYSTEM. See getrandom(2). */
PHIAL_CHECKED enum phial_status phial_random_bytes(void *ret_bytes, size_t length,
						   struct phial_error *err);

/* --- age files --------------------------------------------------------------------- */

enum phial_age_form {
	/* Armored or binary, as the age program takes it: CRLF and outer white space are fine. */
	PHIAL_AGE_ANY_FORM,
	/* Armored in the one form that phial writes: LF, nothing around, one LF at the end. */
	PHIAL_AGE_STRICT_ARMOR,
};

/* A parsed age file: where its parts lie. Starts as { 0 }; freed by phial_age_file_free(). */
struct phial_age_file {
	uint8_t *owned;	       /* the bytes under an armor, else NULL and all is borrowed */
	const uint8_t *header; /* from "age-encryption.org/v1" to "---", what the MAC covers */
	size_t header_length;
	uint8_t mac[32];
	const uint8_t *body; /* nonce and chunks */
	size_t body_length;
	size_t plaintext_length; /* bytes that the body's length says it holds */
	size_t stanza_count;	 /* 1 to PHIAL_AGE_STANZAS_MAX */
	size_t x25519_count;	 /* how many of them are X25519 stanzas; well formed */
	bool has_passphrase;	 /* the one stanza is a scrypt stanza; well formed */
};

#define phial_auto_age_file phial_auto(phial_age_file_free)

/* The key of one file, wrapped in each of its stanzas. On the stack: wipe it after use. */
struct phial_age_key {
	uint8_t b[16];
};

/* Which stanza is for which identity, when the caller knows: only these are tried. */
struct phial_age_hint {
	size_t stanza;	 /* counted from 0 over all stanzas */
	size_t identity; /* index into the identities */
};

/*
 * Encrypt to X25519 recipients, armored. recipients, count: 1 to 256; one stanza each, in this
 * order. plaintext: 0 to PHIAL_AGE_PLAINTEXT_MAX_BYTES. ret_text: the armored file, '\n'
 * after its last line and a NUL after that; freed by the caller with free(). ret_length:
 * without the NUL. Returns PHIAL_OK; PHIAL_USAGE for a count out of range; PHIAL_BAD_KEY for a
 * low-order recipient; PHIAL_TOO_LARGE; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_age_encrypt(const struct phial_recipient *recipients,
						  size_t count,
						  const struct phial_secret *plaintext,
						  char **ret_text, size_t *ret_length,
						  struct phial_error *err);

/*
 * Parse strictly, without any key. bytes: borrowed, must outlive ret_file. ret_file: on success
 * the caller frees it with phial_age_file_free(). Texts of failures begin with "age armor:",
 * "age header:" or "age body:". Returns PHIAL_OK; PHIAL_MALFORMED; PHIAL_TOO_LARGE (header,
 * stanzas, scrypt work factor); PHIAL_SYSTEM. Allocates at most length bytes, for armor only.
 */
PHIAL_CHECKED enum phial_status phial_age_parse(const uint8_t *bytes, size_t length,
						enum phial_age_form form,
						struct phial_age_file *ret_file,
						struct phial_error *err);

/* Free what it owns and leave it empty. */
void phial_age_file_free(struct phial_age_file *file);

/* True if the bytes begin as an age file does, armored or binary (white space may lead). */
bool phial_age_looks_like(const uint8_t *bytes, size_t length);

/*
 * Find the file key with an identity and check the header's MAC. hint: NULL tries every X25519
 * stanza with every identity; else just one pair (one X25519 operation). ret_key: wiped by
 * the caller. Returns PHIAL_OK; PHIAL_NOT_RECIPIENT; PHIAL_TAMPERED for a wrong MAC;
 * PHIAL_MALFORMED for a low-order share. Allocates nothing.
 */
PHIAL_CHECKED enum phial_status phial_age_unwrap(const struct phial_age_file *file,
						 const struct phial_identities *identities,
						 const struct phial_age_hint *hint,
						 struct phial_age_key *ret_key,
						 struct phial_error *err);

/*
 * The same with a passphrase. Returns also PHIAL_BAD_PASSPHRASE when it is wrong, and
 * PHIAL_NOT_RECIPIENT when the file is not passphrase-encrypted; PHIAL_SYSTEM when scrypt finds
 * no memory. Takes 2^log_n KiB of memory; a second at 18.
 */
PHIAL_CHECKED enum phial_status phial_age_unwrap_passphrase(const struct phial_age_file *file,
							    const struct phial_secret *passphrase,
							    struct phial_age_key *ret_key,
							    struct phial_error *err);

/*
 * Decrypt the body with its file key, into memory the caller keeps secret. out, capacity: at
 * least file->plaintext_length bytes. On failure out is wiped, so nothing is released before
 * the last chunk is authenticated. Returns PHIAL_OK; PHIAL_TAMPERED; PHIAL_TOO_LARGE for
 * want of capacity. Allocates nothing.
 */
PHIAL_CHECKED enum phial_status phial_age_decrypt_bytes(const struct phial_age_file *file,
							const struct phial_age_key *key,
							uint8_t *out, size_t capacity,
							struct phial_error *err);

/*
 * Decrypt the body, giving its first bytes apart. ret_prefix, prefix_length: where the first
 * bytes go, 0 (then ret_prefix may be NULL) to PHIAL_AGE_PREFIX_MAX_BYTES. out: the rest, replaced;
 * wiped on failure, as is ret_prefix. Its capacity must hold the rest and, as scratch, the
 * first 64 KiB chunk together with the prefix; PHIAL_SECRET_MAX_BYTES always holds any
 * value. Returns as phial_age_decrypt_bytes(), and PHIAL_MALFORMED if the plaintext is shorter
 * than the prefix. Allocates nothing.
 */
PHIAL_CHECKED enum phial_status phial_age_decrypt(const struct phial_age_file *file,
						  const struct phial_age_key *key,
						  uint8_t *ret_prefix, size_t prefix_length,
						  struct phial_secret *out,
						  struct phial_error *err);

/*
 * phial_age_unwrap_passphrase() and phial_age_decrypt() in one, for a whole file in any form,
 * of which nothing is known. out: replaced. Returns as they and phial_age_parse() do.
 */
PHIAL_CHECKED enum phial_status phial_age_open_passphrase(const uint8_t *bytes, size_t length,
							  const struct phial_secret *passphrase,
							  struct phial_secret *out,
							  struct phial_error *err);

#endif
