/* SPDX-License-Identifier: ISC */
/*
 * Hashes, random bytes, wiping and base64, as libsodium gives them, under names that the
 * other rooms may use. Nothing here knows a file format.
 */
#include "crypt/crypt.h"

#include <assert.h>
#include <sodium.h>

#include "crypt/encoding.h"

enum phial_status phial_crypt_start(struct phial_error *err)
{
	if (sodium_init() < 0) {
		return phial_fail(err, PHIAL_SYSTEM, 0, "libsodium cannot start");
	}
	return PHIAL_OK;
}

void phial_hash_256(const void *bytes, size_t length, uint8_t ret_hash[static PHIAL_HASH_BYTES])
{
	crypto_generichash_blake2b(ret_hash, PHIAL_HASH_BYTES, bytes, length, NULL, 0);
}

void phial_hash_256_hex(const void *bytes, size_t length, char ret_hex[static PHIAL_HASH_HEX_BYTES])
{
	uint8_t hash[PHIAL_HASH_BYTES];

	phial_hash_256(bytes, length, hash);
	sodium_bin2hex(ret_hex, PHIAL_HASH_HEX_BYTES, hash, sizeof(hash));
}

void phial_wipe(void *bytes, size_t length)
{
	sodium_memzero(bytes, length);
}

bool phial_bytes_equal(const void *a, const void *b, size_t length)
{
	return sodium_memcmp(a, b, length) == 0;
}

enum phial_status phial_random_bytes(void *ret_bytes, size_t length, struct phial_error *err)
{
	enum phial_status status = phial_crypt_start(err);

	if (status == PHIAL_OK) {
		randombytes_buf(ret_bytes, length);
	}
	return status;
}

static int sodium_variant(enum phial_base64 variant)
{
	return variant == PHIAL_BASE64_PADDED ? sodium_base64_VARIANT_ORIGINAL
					      : sodium_base64_VARIANT_ORIGINAL_NO_PADDING;
}

/*
 * libsodium 1.0.18 takes a byte over 127, as a signed char, for '+' or '/': it would give a file
 * a second form. So they are refused before it sees them.
 */
static bool is_ascii(struct phial_span text)
{
	unsigned char all = 0;

	for (size_t i = 0; i < text.length; i++) {
		all |= (unsigned char)text.text[i];
	}
	return all < 128;
}

bool phial_base64_decode(struct phial_span text, enum phial_base64 variant, uint8_t *ret_bytes,
			 size_t capacity, size_t *ret_length)
{
	/* Without an end pointer libsodium wants every byte used, and no stray low bits. */
	return is_ascii(text) &&
	       sodium_base642bin(ret_bytes, capacity, text.text, text.length, NULL, ret_length,
				 NULL, sodium_variant(variant)) == 0;
}

bool phial_base64_decode_exactly(struct phial_span text, enum phial_base64 variant,
				 uint8_t *ret_bytes, size_t expected)
{
	size_t length = 0;

	return phial_base64_decode(text, variant, ret_bytes, expected, &length) &&
	       length == expected;
}

void phial_base64_encode(const void *bytes, size_t length, enum phial_base64 variant,
			 char *ret_text, size_t text_bytes)
{
	assert(text_bytes >= sodium_base64_encoded_len(length, sodium_variant(variant)));
	sodium_bin2base64(ret_text, text_bytes, bytes, length, sodium_variant(variant));
}
