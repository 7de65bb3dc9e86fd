/* SPDX-License-Identifier: ISC */
/* Hashes, HKDF, base64 and bech32 against their published vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/cleanup.h"
#include "crypt/age.h"
#include "crypt/encoding.h"

static size_t from_hex(const char *hex, uint8_t *bytes, size_t capacity)
{
	size_t length = 0;

	assert_int_equal(sodium_hex2bin(bytes, capacity, hex, strlen(hex), NULL, &length, NULL), 0);
	return length;
}

/* RFC 7693 gives BLAKE2b-512 only; these are of the reference program, b2sum -l 256. */
static void hashes_are_blake2b_256(void **state)
{
	char hex[PHIAL_HASH_HEX_BYTES];

	(void)state;
	phial_hash_256_hex("abc", 3, hex);
	assert_string_equal(hex,
			    "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
	phial_hash_256_hex(NULL, 0, hex);
	assert_string_equal(hex,
			    "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
}

/* RFC 5869, appendix A.1 and A.3: the first 32 bytes of the output, one block of it. */
static void hkdf_gives_rfc_5869(void **state)
{
	static const char ikm_1[] = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b";
	uint8_t ikm[80];
	uint8_t salt[80];
	uint8_t expected[32];
	uint8_t key[32];

	(void)state;
	size_t ikm_length = from_hex(ikm_1, ikm, sizeof(ikm));
	size_t salt_length = from_hex("000102030405060708090a0b0c", salt, sizeof(salt));

	from_hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf", expected, 32);
	phial_hkdf_sha256(ikm, ikm_length, salt, salt_length,
			  "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9", key);
	assert_memory_equal(key, expected, 32);
	from_hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d", expected, 32);
	phial_hkdf_sha256(ikm, ikm_length, salt, 0, "", key);
	assert_memory_equal(key, expected, 32);
}

/* libsodium 1.0.18 by itself decodes some bytes over 127. */
static void base64_is_of_its_64_characters(void **state)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char text[4] = "AAAA";

	(void)state;
	for (int c = 0; c < 256; c++) {
		uint8_t bytes[3];
		size_t length = 0;

		text[1] = (char)c;
		bool is_member = c != 0 && strchr(alphabet, c) != NULL;

		if (phial_base64_decode((struct phial_span){ text, 4 }, PHIAL_BASE64_PADDED, bytes,
					sizeof(bytes), &length) != is_member) {
			fail_msg("byte %d", c);
		}
	}
}

static void base64_has_one_form(void **state)
{
	static const struct {
		const char *text;
		enum phial_base64 variant;
		int length; /* -1: refused */
	} cases[] = {
		{ "", PHIAL_BASE64_PADDED, 0 },
		{ "Zg==", PHIAL_BASE64_PADDED, 1 },
		{ "Zm8=", PHIAL_BASE64_PADDED, 2 },
		{ "Zm9v", PHIAL_BASE64_PADDED, 3 },
		{ "Zm9v", PHIAL_BASE64_BARE, 3 },
		{ "Zg", PHIAL_BASE64_BARE, 1 },
		{ "Zg", PHIAL_BASE64_PADDED, -1 },   /* padding missing */
		{ "Zg==", PHIAL_BASE64_BARE, -1 },   /* padding where none belongs */
		{ "Zh==", PHIAL_BASE64_PADDED, -1 }, /* stray low bits */
		{ "Zm9v\n", PHIAL_BASE64_PADDED, -1 },
		{ " Zm9v", PHIAL_BASE64_PADDED, -1 },
		{ "Zm9vZ", PHIAL_BASE64_PADDED, -1 },
		{ "Zm-v", PHIAL_BASE64_PADDED, -1 }, /* another alphabet */
		{ "Zg=", PHIAL_BASE64_PADDED, -1 },
		{ "Zm9vYg==", PHIAL_BASE64_PADDED, -1 }, /* 4 bytes into room for 3 */
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		uint8_t bytes[3];
		size_t length = 0;
		bool is_right = phial_base64_decode(phial_span_of(cases[i].text), cases[i].variant,
						    bytes, sizeof(bytes), &length);

		if (is_right != (cases[i].length >= 0)) {
			fail_msg("case %zu: \"%s\"", i, cases[i].text);
		}
		if (is_right) {
			assert_int_equal(length, cases[i].length);
		}
	}
}

/* BIP 173, "Test vectors": valid and invalid Bech32 strings. */
static void bech32_follows_bip_173(void **state)
{
	static const char *const valid[] = {
		"A12UEL5L",
		"a12uel5l",
		"an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
		"abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
		"11qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqc8247j",
		"split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
		"?1ezyfcl",
	};
	static const char *const invalid[] = {
		"\x20"
		"1nwldj5",
		"\x7f"
		"1axkwrx",
		"\x80"
		"1eym55h",
		"an84characterslonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1569pvx",
		"pzry9x0s0muk",
		"1pzry9x0s0muk",
		"x1b4n0q5v",
		"li1dgmt3",
		"de1lg7wt\xff",
		"A1G7SGD8",
		"10a06t8",
		"1qzzfhee",
		"A12uEL5L",
		"",
	};
	struct phial_bech32 parts;

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(valid); i++) {
		assert_null(phial_bech32_parse(phial_span_of(valid[i]), &parts));
	}
	for (size_t i = 0; i < PHIAL_COUNT(invalid); i++) {
		if (!phial_bech32_parse(phial_span_of(invalid[i]), &parts)) {
			fail_msg("accepted: \"%s\"", invalid[i]);
		}
	}
}

static void bech32_bytes_come_back(void **state)
{
	uint8_t bytes[32];
	uint8_t again[32];
	char text[PHIAL_BECH32_MAX + 1];
	struct phial_bech32 parts;

	(void)state;
	for (size_t length = 0; length <= sizeof(bytes); length++) {
		randombytes_buf(bytes, sizeof(bytes));
		phial_bech32_format("test", bytes, length, text);
		assert_null(phial_bech32_parse(phial_span_of(text), &parts));
		assert_string_equal(parts.prefix, "test");
		assert_true(phial_bech32_bytes(&parts, again, length));
		assert_memory_equal(again, bytes, length);
		assert_false(length < sizeof(bytes) &&
			     phial_bech32_bytes(&parts, again, length + 1));
	}
}

/* Bits left over must be zero, else one key would have several texts. */
static void bech32_refuses_stray_bits(void **state)
{
	struct phial_bech32 parts = { .value_count = 2, .values = { 31, 28 } };
	uint8_t byte;

	(void)state;
	assert_true(phial_bech32_bytes(&parts, &byte, 1));
	assert_int_equal(byte, 0xff);
	parts.values[1] = 29;
	assert_false(phial_bech32_bytes(&parts, &byte, 1));
}

static void chunk_nonces_count_big_endian(void **state)
{
	static const uint8_t expected[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 1 };
	uint8_t nonce[12];

	(void)state;
	phial_age_chunk_nonce(0x0102, true, nonce);
	assert_memory_equal(nonce, expected, sizeof(nonce));
	phial_age_chunk_nonce(0x0102, false, nonce);
	assert_int_equal(nonce[11], 0);
}

static void chunks_have_the_right_length(void **state)
{
	(void)state;
	assert_int_equal(phial_age_chunks_length(0), 16);
	assert_int_equal(phial_age_chunks_length(1), 17);
	assert_int_equal(phial_age_chunks_length(65536), 65552);
	assert_int_equal(phial_age_chunks_length(65537), 65537 + 32);
}

static void wiping_and_comparing(void **state)
{
	uint8_t bytes[] = { 1, 2, 3, 4 };
	static const uint8_t zeros[4];

	(void)state;
	assert_true(phial_bytes_equal(bytes, bytes, 4));
	phial_wipe(bytes, sizeof(bytes));
	assert_true(phial_bytes_equal(bytes, zeros, 4));
	assert_int_equal(phial_random_bytes(bytes, sizeof(bytes), NULL), PHIAL_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_are_blake2b_256),
		cmocka_unit_test(hkdf_gives_rfc_5869),
		cmocka_unit_test(base64_has_one_form),
		cmocka_unit_test(base64_is_of_its_64_characters),
		cmocka_unit_test(bech32_follows_bip_173),
		cmocka_unit_test(bech32_bytes_come_back),
		cmocka_unit_test(bech32_refuses_stray_bits),
		cmocka_unit_test(chunk_nonces_count_big_endian),
		cmocka_unit_test(chunks_have_the_right_length),
		cmocka_unit_test(wiping_and_comparing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
