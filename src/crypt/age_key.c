/* SPDX-License-Identifier: ISC */
/*
 * The keys of an age file and how they are made from each other: HKDF, X25519, scrypt, the
 * wrapping of the file key, the header's MAC. It knows no text and no lengths of files.
 */
#include "crypt/age.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

static void hmac_sha256(const uint8_t *key, size_t key_length, struct phial_span first,
			struct phial_span second, uint8_t ret_mac[static 32])
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, key, key_length);
	crypto_auth_hmacsha256_update(&state, (const uint8_t *)first.text, first.length);
	crypto_auth_hmacsha256_update(&state, (const uint8_t *)second.text, second.length);
	crypto_auth_hmacsha256_final(&state, ret_mac);
	sodium_memzero(&state, sizeof(state));
}

void phial_hkdf_sha256(const uint8_t *input, size_t input_length, const uint8_t *salt,
		       size_t salt_length, const char *info, uint8_t ret_key[static 32])
{
	uint8_t extracted[32];

	hmac_sha256(salt, salt_length, (struct phial_span){ (const char *)input, input_length },
		    phial_span_of(""), extracted);
	/* 32 bytes are one block of the expansion: HMAC(extracted, info || 0x01). */
	hmac_sha256(extracted, sizeof(extracted), phial_span_of(info), phial_span_of("\x01"),
		    ret_key);
	sodium_memzero(extracted, sizeof(extracted));
}

void phial_age_header_mac(const struct phial_age_key *key, const void *header, size_t length,
			  uint8_t ret_mac[static 32])
{
	static const uint8_t no_salt[1];
	uint8_t mac_key[32];

	phial_hkdf_sha256(key->b, sizeof(key->b), no_salt, 0, "header", mac_key);
	hmac_sha256(mac_key, sizeof(mac_key), (struct phial_span){ header, length },
		    phial_span_of(""), ret_mac);
	sodium_memzero(mac_key, sizeof(mac_key));
}

bool phial_age_wrapping_key(const uint8_t secret[static 32], const uint8_t peer[static 32],
			    const struct phial_age_exchange *exchange, uint8_t ret_key[static 32])
{
	uint8_t shared[32];

	/* Fails for the points of low order, whose result everybody knows. */
	if (crypto_scalarmult_curve25519(shared, secret, peer) != 0) {
		return false;
	}
	phial_hkdf_sha256(shared, sizeof(shared), (const uint8_t *)exchange, sizeof(*exchange),
			  PHIAL_AGE_X25519_INFO, ret_key);
	sodium_memzero(shared, sizeof(shared));
	return true;
}

enum phial_status phial_age_passphrase_key(const struct phial_secret *passphrase,
					   const uint8_t salt[static PHIAL_AGE_SALT_BYTES],
					   unsigned int log_n, uint8_t ret_key[static 32],
					   struct phial_error *err)
{
	static const char label[] = PHIAL_AGE_SCRYPT_INFO;
	uint8_t labelled[sizeof(label) - 1 + PHIAL_AGE_SALT_BYTES];

	memcpy(labelled, label, sizeof(label) - 1);
	memcpy(labelled + sizeof(label) - 1, salt, PHIAL_AGE_SALT_BYTES);
	if (crypto_pwhash_scryptsalsa208sha256_ll(phial_secret_const_bytes(passphrase),
						  phial_secret_length(passphrase), labelled,
						  sizeof(labelled), UINT64_C(1) << log_n, 8, 1,
						  ret_key, 32) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "scrypt needs %lu MiB of memory",
				  (1UL << log_n) / 1024);
	}
	return PHIAL_OK;
}

void phial_age_wrap(const uint8_t wrapping_key[static 32], const struct phial_age_key *key,
		    uint8_t ret_wrapped[static 32])
{
	static const uint8_t zero_nonce[12];

	crypto_aead_chacha20poly1305_ietf_encrypt(ret_wrapped, NULL, key->b, sizeof(key->b), NULL,
						  0, NULL, zero_nonce, wrapping_key);
}

bool phial_age_unwrap_key(const uint8_t wrapping_key[static 32], const uint8_t wrapped[static 32],
			  struct phial_age_key *ret_key)
{
	static const uint8_t zero_nonce[12];

	return crypto_aead_chacha20poly1305_ietf_decrypt(ret_key->b, NULL, NULL, wrapped, 32, NULL,
							 0, zero_nonce, wrapping_key) == 0;
}

void phial_age_body_key(const struct phial_age_key *key,
			const uint8_t nonce[static PHIAL_AGE_NONCE_BYTES],
			uint8_t ret_key[static 32])
{
	phial_hkdf_sha256(key->b, sizeof(key->b), nonce, PHIAL_AGE_NONCE_BYTES, "payload", ret_key);
}

void phial_age_chunk_nonce(uint64_t number, bool is_last, uint8_t ret_nonce[static 12])
{
	memset(ret_nonce, 0, 12);
	for (size_t i = 0; i < sizeof(number); i++) {
		ret_nonce[10 - i] = (uint8_t)(number >> (8 * i));
	}
	ret_nonce[11] = is_last;
}

size_t phial_age_chunks_length(size_t plaintext_length)
{
	size_t chunks = (plaintext_length + PHIAL_AGE_CHUNK_BYTES - 1) / PHIAL_AGE_CHUNK_BYTES;

	return plaintext_length + (chunks > 0 ? chunks : 1) * PHIAL_AGE_TAG_BYTES;
}
