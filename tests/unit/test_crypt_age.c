/* SPDX-License-Identifier: ISC */
/* age files made and opened: every size, every flipped bit, wrong keys, limits, no residue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "crypt/age.h"
#include "crypt/encoding.h"

#define CANARY "CANARY-a-value-that-nobody-may-see"
#define CHUNK  ((size_t)65536)

/* Two identities, and room for values. */
struct fixture {
	struct phial_identities *identities[2];
	struct phial_recipient recipients[2];
	struct phial_secret *value;
	struct phial_secret *out;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	for (size_t i = 0; i < 2; i++) {
		struct phial_secret *file = NULL;

		assert_int_equal(phial_identity_generate(0, &file, &fixture->recipients[i], NULL),
				 PHIAL_OK);
		assert_int_equal(phial_identities_parse(file, NULL, &fixture->identities[i], NULL),
				 PHIAL_OK);
		phial_secret_free(file);
	}
	assert_int_equal(phial_secret_new(PHIAL_SECRET_MAX_BYTES + 1024, &fixture->value, NULL),
			 PHIAL_OK);
	assert_int_equal(phial_secret_new(PHIAL_SECRET_MAX_BYTES, &fixture->out, NULL), PHIAL_OK);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	phial_identities_free(fixture->identities[0]);
	phial_identities_free(fixture->identities[1]);
	phial_secret_free(fixture->value);
	phial_secret_free(fixture->out);
	free(fixture);
	return 0;
}

/* The whole way in, as the sealed room goes it. */
static enum phial_status open_file(const void *bytes, size_t length, enum phial_age_form form,
				   const struct phial_identities *identities,
				   struct phial_secret *out, struct phial_error *err)
{
	struct phial_age_file file = { 0 };
	struct phial_age_key key;
	enum phial_status status = phial_age_parse(bytes, length, form, &file, err);

	if (status == PHIAL_OK) {
		status = phial_age_unwrap(&file, identities, NULL, &key, err);
	}
	if (status == PHIAL_OK) {
		status = phial_age_decrypt(&file, &key, NULL, 0, out, err);
	}
	phial_age_file_free(&file);
	return status;
}

static void set_value(struct fixture *fixture, size_t length)
{
	phial_secret_set_length(fixture->value, length);
	randombytes_buf(phial_secret_bytes(fixture->value), length);
}

static char *encrypt(struct fixture *fixture, size_t count, size_t *ret_length)
{
	char *text = NULL;

	assert_int_equal(phial_age_encrypt(fixture->recipients, count, fixture->value, &text,
					   ret_length, NULL),
			 PHIAL_OK);
	assert_int_equal(strlen(text), *ret_length);
	return text;
}

static void every_size_comes_back(void **state)
{
	static const size_t sizes[] = { 0,	   1,
					31,	   CHUNK - 1,
					CHUNK,	   CHUNK + 1,
					2 * CHUNK, 2 * CHUNK + 71,
					300000,	   PHIAL_SECRET_MAX_BYTES };
	struct fixture *fixture = *state;

	for (size_t i = 0; i < PHIAL_COUNT(sizes); i++) {
		size_t length = 0;

		set_value(fixture, sizes[i]);
		char *text = encrypt(fixture, 2, &length);

		for (size_t j = 0; j < 2; j++) {
			assert_int_equal(open_file(text, length, PHIAL_AGE_STRICT_ARMOR,
						   fixture->identities[j], fixture->out, NULL),
					 PHIAL_OK);
			assert_int_equal(phial_secret_length(fixture->out), sizes[i]);
			assert_memory_equal(phial_secret_const_bytes(fixture->out),
					    phial_secret_const_bytes(fixture->value), sizes[i]);
		}
		free(text);
	}
}

/* Whatever the sizes, prefix and rest are the plaintext, and nothing else stays in out. */
static void prefixes_are_given_apart(void **state)
{
	static const size_t prefixes[] = { 0, 1, 71, 256 };
	static const size_t rests[] = {
		0,	   1,	  70,	      100,	 CHUNK - 71,
		CHUNK - 1, CHUNK, CHUNK + 10, 3 * CHUNK, PHIAL_SECRET_MAX_BYTES
	};
	struct fixture *fixture = *state;
	uint8_t prefix[256];

	for (size_t i = 0; i < PHIAL_COUNT(prefixes) * PHIAL_COUNT(rests); i++) {
		size_t prefix_length = prefixes[i % PHIAL_COUNT(prefixes)];
		size_t rest = rests[i / PHIAL_COUNT(prefixes)];
		struct phial_age_file file = { 0 };
		struct phial_age_key key;
		size_t length = 0;

		set_value(fixture, prefix_length + rest);
		phial_secret_wipe(fixture->out);
		char *text = encrypt(fixture, 1, &length);

		assert_int_equal(phial_age_parse((uint8_t *)text, length, PHIAL_AGE_STRICT_ARMOR,
						 &file, NULL),
				 PHIAL_OK);
		assert_int_equal(file.plaintext_length, prefix_length + rest);
		assert_int_equal(phial_age_unwrap(&file, fixture->identities[0], NULL, &key, NULL),
				 PHIAL_OK);
		assert_int_equal(phial_age_decrypt(&file, &key, prefix, prefix_length, fixture->out,
						   NULL),
				 PHIAL_OK);
		const uint8_t *value = phial_secret_const_bytes(fixture->value);
		const uint8_t *out = phial_secret_const_bytes(fixture->out);

		assert_int_equal(phial_secret_length(fixture->out), rest);
		assert_memory_equal(prefix, value, prefix_length);
		assert_memory_equal(out, value + prefix_length, rest);
		assert_true(sodium_is_zero(out + rest, PHIAL_SECRET_MAX_BYTES - rest));
		phial_age_file_free(&file);
		free(text);
	}
}

static void short_plaintexts_have_no_prefix(void **state)
{
	struct fixture *fixture = *state;
	struct phial_age_file file = { 0 };
	struct phial_age_key key;
	uint8_t prefix[71];
	size_t length = 0;

	set_value(fixture, 70);
	char *text = encrypt(fixture, 1, &length);

	assert_int_equal(phial_age_parse((uint8_t *)text, length, PHIAL_AGE_ANY_FORM, &file, NULL),
			 PHIAL_OK);
	assert_int_equal(phial_age_unwrap(&file, fixture->identities[0], NULL, &key, NULL),
			 PHIAL_OK);
	assert_int_equal(phial_age_decrypt(&file, &key, prefix, 71, fixture->out, NULL),
			 PHIAL_MALFORMED);
	phial_age_file_free(&file);
	free(text);
}

/* Armor off, so that every bit of the file counts. */
static uint8_t *encrypt_binary(struct fixture *fixture, size_t count, size_t *ret_length)
{
	size_t text_length = 0;
	char *text = encrypt(fixture, count, &text_length);
	uint8_t *bytes = NULL;

	assert_int_equal(phial_armor_parse((struct phial_span){ text, text_length }, true, &bytes,
					   ret_length, NULL),
			 PHIAL_OK);
	free(text);
	return bytes;
}

static void every_flipped_bit_is_refused(void **state)
{
	struct fixture *fixture = *state;
	size_t length = 0;

	phial_secret_set_length(fixture->value, 0);
	assert_int_equal(phial_secret_append(fixture->value, CANARY, strlen(CANARY), NULL),
			 PHIAL_OK);
	uint8_t *bytes = encrypt_binary(fixture, 2, &length);

	for (size_t bit = 0; bit < length * 8; bit++) {
		struct phial_error err = { 0 };

		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		phial_secret_wipe(fixture->out);
		enum phial_status status = open_file(bytes, length, PHIAL_AGE_ANY_FORM,
						     fixture->identities[0], fixture->out, &err);

		if (status == PHIAL_OK) {
			fail_msg("bit %zu of byte %zu does not matter", bit % 8, bit / 8);
		}
		assert_int_equal(err.status, status);
		assert_null(strstr(err.text, "CANARY"));
		assert_true(sodium_is_zero(phial_secret_const_bytes(fixture->out), 256));
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(open_file(bytes, length, PHIAL_AGE_ANY_FORM, fixture->identities[0],
				   fixture->out, NULL),
			 PHIAL_OK);
	free(bytes);
}

/* In the strict form a file has one text: no other byte anywhere, none more, none fewer. */
static void every_changed_armor_byte_is_refused(void **state)
{
	static const char others[] = "\n\r A/=-";
	struct fixture *fixture = *state;
	size_t length = 0;

	set_value(fixture, 40);
	char *text = encrypt(fixture, 1, &length);

	for (size_t i = 0; i < length * PHIAL_COUNT(others); i++) {
		char *at = &text[i / PHIAL_COUNT(others)];
		char was = *at;

		*at = others[i % PHIAL_COUNT(others)];
		if (*at != was &&
		    open_file(text, length, PHIAL_AGE_STRICT_ARMOR, fixture->identities[0],
			      fixture->out, NULL) == PHIAL_OK) {
			fail_msg("byte %zu may be %d", i / PHIAL_COUNT(others), *at);
		}
		*at = was;
	}
	free(text);
}

static void every_cut_is_refused(void **state)
{
	struct fixture *fixture = *state;
	size_t length = 0;

	set_value(fixture, 40);
	uint8_t *bytes = encrypt_binary(fixture, 1, &length);

	for (size_t cut = 0; cut < length; cut++) {
		assert_int_not_equal(open_file(bytes, cut, PHIAL_AGE_ANY_FORM,
					       fixture->identities[0], fixture->out, NULL),
				     PHIAL_OK);
	}
	free(bytes);
}

static void strict_armor_is_one_form(void **state)
{
	static const struct {
		const char *before;
		const char *after;
		bool is_cr; /* line ends are CRLF */
		enum phial_status any;
	} cases[] = {
		{ "\n", "", false, PHIAL_OK },	     { "", "\n", false, PHIAL_OK },
		{ "  ", " \t\n", false, PHIAL_OK },  { "", "", true, PHIAL_OK },
		{ "x", "", false, PHIAL_MALFORMED }, { "", "x", false, PHIAL_MALFORMED },
	};
	struct fixture *fixture = *state;
	size_t length = 0;

	set_value(fixture, 40);
	char *text = encrypt(fixture, 1, &length);

	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		phial_auto_text struct phial_text changed = { .max = 10000 };
		struct phial_span rest = { text, length };
		struct phial_span line;

		phial_text_add(&changed, "%s", cases[i].before);
		while (phial_next_line(&rest, &line, NULL)) {
			phial_text_add(&changed, "%.*s%s", (int)line.length, line.text,
				       cases[i].is_cr ? "\r\n" : "\n");
		}
		phial_text_add(&changed, "%s", cases[i].after);
		assert_int_equal(open_file(changed.bytes, changed.length, PHIAL_AGE_STRICT_ARMOR,
					   fixture->identities[0], fixture->out, NULL),
				 PHIAL_MALFORMED);
		assert_int_equal(open_file(changed.bytes, changed.length, PHIAL_AGE_ANY_FORM,
					   fixture->identities[0], fixture->out, NULL),
				 cases[i].any);
	}
	free(text);
}

static void hints_name_the_only_pair_tried(void **state)
{
	static const struct {
		struct phial_age_hint hint;
		enum phial_status expected;
	} cases[] = {
		{ { .stanza = 0, .identity = 0 }, PHIAL_OK },
		{ { .stanza = 1, .identity = 0 }, PHIAL_NOT_RECIPIENT },
		{ { .stanza = 2, .identity = 0 }, PHIAL_NOT_RECIPIENT },
	};
	struct fixture *fixture = *state;
	struct phial_age_file file = { 0 };
	struct phial_age_key key;
	size_t length = 0;

	set_value(fixture, 40);
	char *text = encrypt(fixture, 2, &length);

	assert_int_equal(phial_age_parse((uint8_t *)text, length, PHIAL_AGE_STRICT_ARMOR, &file,
					 NULL),
			 PHIAL_OK);
	assert_int_equal(file.stanza_count, 2);
	assert_int_equal(file.x25519_count, 2);
	assert_false(file.has_passphrase);
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		assert_int_equal(phial_age_unwrap(&file, fixture->identities[0], &cases[i].hint,
						  &key, NULL),
				 cases[i].expected);
	}
	phial_age_file_free(&file);
	free(text);
}

static void others_are_not_recipients(void **state)
{
	struct fixture *fixture = *state;
	struct phial_error err = { 0 };
	size_t length = 0;

	set_value(fixture, 40);
	phial_secret_wipe(fixture->out);
	char *text = encrypt(fixture, 1, &length);

	assert_int_equal(open_file(text, length, PHIAL_AGE_ANY_FORM, fixture->identities[1],
				   fixture->out, &err),
			 PHIAL_NOT_RECIPIENT);
	assert_int_equal(phial_secret_length(fixture->out), 0);
	free(text);
}

/* RFC 7748 and CCTV: 0, 1 and the points of order 8 lead to a secret that everybody knows. */
static void low_order_recipients_are_refused(void **state)
{
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	struct fixture *fixture = *state;

	set_value(fixture, 40);
	for (size_t i = 0; i < PHIAL_COUNT(points); i++) {
		struct phial_recipient two[2] = { fixture->recipients[0] };
		char *text = NULL;
		size_t length = 0;

		assert_int_equal(sodium_hex2bin(two[1].key, 32, points[i], 64, NULL, NULL, NULL),
				 0);
		assert_int_equal(phial_age_encrypt(two, 2, fixture->value, &text, &length, NULL),
				 PHIAL_BAD_KEY);
		assert_null(text);
	}
}

static void limits_hold(void **state)
{
	struct fixture *fixture = *state;
	struct phial_recipient *many = calloc(PHIAL_AGE_STANZAS_MAX + 1, sizeof(*many));
	char *text = NULL;
	size_t length = 0;

	assert_non_null(many);
	for (size_t i = 0; i <= PHIAL_AGE_STANZAS_MAX; i++) {
		many[i] = fixture->recipients[i % 2];
	}
	set_value(fixture, 40);
	assert_int_equal(phial_age_encrypt(many, 0, fixture->value, &text, &length, NULL),
			 PHIAL_USAGE);
	assert_int_equal(phial_age_encrypt(many, PHIAL_AGE_STANZAS_MAX + 1, fixture->value, &text,
					   &length, NULL),
			 PHIAL_USAGE);
	assert_int_equal(phial_age_encrypt(many, PHIAL_AGE_STANZAS_MAX, fixture->value, &text,
					   &length, NULL),
			 PHIAL_OK);
	assert_int_equal(open_file(text, length, PHIAL_AGE_STRICT_ARMOR, fixture->identities[1],
				   fixture->out, NULL),
			 PHIAL_OK);
	free(text);
	text = NULL;
	set_value(fixture, PHIAL_AGE_PLAINTEXT_MAX_BYTES + 1);
	assert_int_equal(phial_age_encrypt(many, 1, fixture->value, &text, &length, NULL),
			 PHIAL_TOO_LARGE);
	set_value(fixture, PHIAL_SECRET_MAX_BYTES + 1);
	text = encrypt(fixture, 1, &length);
	assert_int_equal(open_file(text, length, PHIAL_AGE_STRICT_ARMOR, fixture->identities[0],
				   fixture->out, NULL),
			 PHIAL_TOO_LARGE);
	free(text);
	free(many);
}

/* A header with one stanza repeated, and nothing right behind it. */
static enum phial_status parse_repeated(const char *stanza, size_t count, struct phial_error *err)
{
	phial_auto_text struct phial_text text = { .max = (size_t)1024 * 1024 };
	struct phial_age_file file = { 0 };

	phial_text_add(&text, "%s\n", PHIAL_AGE_VERSION_LINE);
	for (size_t i = 0; i < count; i++) {
		phial_text_add(&text, "%s", stanza);
	}
	phial_text_add(&text, "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n%32s", "");
	enum phial_status status =
		phial_age_parse((uint8_t *)text.bytes, text.length, PHIAL_AGE_ANY_FORM, &file, err);

	phial_age_file_free(&file);
	return status;
}

static void large_headers_are_refused(void **state)
{
	static const char small[] = "-> a\n\n";
	static const char large[] =
		"-> aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n\n";
	struct phial_error err = { 0 };

	(void)state;
	assert_int_equal(parse_repeated(small, 0, &err), PHIAL_MALFORMED);
	assert_int_equal(parse_repeated(small, PHIAL_AGE_STANZAS_MAX, &err), PHIAL_OK);
	assert_int_equal(parse_repeated(small, PHIAL_AGE_STANZAS_MAX + 1, &err), PHIAL_TOO_LARGE);
	assert_int_equal(parse_repeated(large, 190, &err), PHIAL_OK);
	assert_int_equal(parse_repeated(large, 220, &err), PHIAL_TOO_LARGE);
}

static void stanza_words_are_printable(void **state)
{
	static const struct {
		const char *stanza;
		enum phial_status expected;
	} cases[] = {
		{ "-> a !~\n\n", PHIAL_OK },	     { "-> \n\n", PHIAL_MALFORMED },
		{ "-> a \n\n", PHIAL_MALFORMED },    { "-> a  b\n\n", PHIAL_MALFORMED },
		{ "-> a\tb\n\n", PHIAL_MALFORMED },  { "-> a\x1b[2J\n\n", PHIAL_MALFORMED },
		{ "-> a\x7f\n\n", PHIAL_MALFORMED }, { "-> \xc3\xa9\n\n", PHIAL_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		assert_int_equal(parse_repeated(cases[i].stanza, 1, NULL), cases[i].expected);
	}
}

/* The first chunk is right and was decrypted when the last one turns out to be wrong. */
static void nothing_stays_of_a_body_broken_later(void **state)
{
	struct fixture *fixture = *state;
	struct phial_age_file file = { 0 };
	struct phial_age_key key;
	uint8_t prefix[71];
	uint8_t *out = malloc(CHUNK + 100);
	size_t length = 0;

	assert_non_null(out);
	set_value(fixture, CHUNK + 100);
	uint8_t *bytes = encrypt_binary(fixture, 1, &length);

	bytes[length - 1] ^= 1;
	phial_secret_wipe(fixture->out);
	assert_int_equal(phial_age_parse(bytes, length, PHIAL_AGE_ANY_FORM, &file, NULL), PHIAL_OK);
	assert_int_equal(phial_age_unwrap(&file, fixture->identities[0], NULL, &key, NULL),
			 PHIAL_OK);
	assert_int_equal(phial_age_decrypt(&file, &key, prefix, sizeof(prefix), fixture->out, NULL),
			 PHIAL_TAMPERED);
	assert_true(sodium_is_zero(prefix, sizeof(prefix)));
	assert_true(sodium_is_zero(phial_secret_const_bytes(fixture->out), PHIAL_SECRET_MAX_BYTES));
	assert_int_equal(phial_age_decrypt_bytes(&file, &key, out, CHUNK + 100, NULL),
			 PHIAL_TAMPERED);
	assert_true(sodium_is_zero(out, CHUNK + 100));
	phial_age_file_free(&file);
	free(bytes);
	free(out);
}

static void files_never_repeat(void **state)
{
	struct fixture *fixture = *state;
	size_t length = 0;

	set_value(fixture, 40);
	uint8_t *first = encrypt_binary(fixture, 1, &length);
	uint8_t *second = encrypt_binary(fixture, 1, &length);

	assert_memory_not_equal(first + 33, second + 33, 43);			/* the share */
	assert_memory_not_equal(first + length - 72, second + length - 72, 16); /* the nonce */
	free(first);
	free(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_comes_back),
		cmocka_unit_test(prefixes_are_given_apart),
		cmocka_unit_test(short_plaintexts_have_no_prefix),
		cmocka_unit_test(every_flipped_bit_is_refused),
		cmocka_unit_test(every_changed_armor_byte_is_refused),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(strict_armor_is_one_form),
		cmocka_unit_test(hints_name_the_only_pair_tried),
		cmocka_unit_test(others_are_not_recipients),
		cmocka_unit_test(low_order_recipients_are_refused),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(large_headers_are_refused),
		cmocka_unit_test(stanza_words_are_printable),
		cmocka_unit_test(nothing_stays_of_a_body_broken_later),
		cmocka_unit_test(files_never_repeat),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
