/* SPDX-License-Identifier: ISC */
/*
 * Attacks on the sealed file, by their ids in docs/attacks.md: whoever may change bytes of a
 * store, or sign for some names, gets no value out of a reader. fixture_open() asserts after
 * every failure that nothing was released.
 */
#include "sealed_fixture.h"

#include <stdlib.h>

#include "base/text.h"
#include "crypt/crypt.h"
#include "sealed/header.h"
#include "sealed/sealed.h"

/* The sizes around the edges of age's 64 KiB chunks, of keyring payloads, and the limits. */
static const size_t sizes[] = {
	0,
	1,
	2,
	71,
	1024,
	32510,
	32511,
	32766,
	32767,
	65536 - 72,
	65536 - 71,
	65536 - 70,
	65535,
	65536,
	65537,
	131072,
	(size_t)1024 * 1024 - 1,
	(size_t)1024 * 1024,
};

static void s08_sizes_round_trip(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < PHIAL_COUNT(sizes); i++) {
		size_t length;

		fixture_fill(f, sizes[i]);
		phial_auto_free uint8_t *bytes = fixture_seal(f, 0, &length);
		phial_auto_free uint8_t *copy = malloc(sizes[i] + 1);

		memcpy(copy, phial_secret_bytes(f->value), sizes[i]);
		assert_int_equal(fixture_open(f, bytes, length, FIXTURE_VERIFY, 0, NULL), PHIAL_OK);
		assert_int_equal(phial_secret_length(f->value), sizes[i]);
		assert_memory_equal(phial_secret_bytes(f->value), copy, sizes[i]);
	}
}

static void s08_one_byte_too_much_is_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t *bytes = NULL;
	size_t length = 0;
	struct phial_error err;

	fixture_fill(f, PHIAL_SECRET_MAX_BYTES + 1);
	assert_int_equal(phial_seal(&f->header, f->value, f->signers[0], &bytes, &length, &err),
			 PHIAL_TOO_LARGE);
	assert_null(bytes);
}

/* S-08: lengths that lie cost no memory and no time: only what is there is looked at. */
static void s08_limits_before_allocation(void **state)
{
	struct fixture *f = *state;
	size_t length = PHIAL_SEALED_MAX_BYTES + 1;
	phial_auto_free uint8_t *large = calloc(1, length);

	memcpy(large, PHIAL_SEALED_FIRST_LINE, sizeof(PHIAL_SEALED_FIRST_LINE) - 1);
	assert_int_equal(fixture_open(f, large, length, FIXTURE_UNSIGNED, 0, NULL),
			 PHIAL_TOO_LARGE);
	/* No byte behind the first line is read for a length that can only be a lie. */
	assert_int_equal(fixture_open(f, large, SIZE_MAX, FIXTURE_UNSIGNED, 0, NULL),
			 PHIAL_TOO_LARGE);
	/* 2 MiB of header without a body. */
	assert_int_equal(fixture_open(f, large, length - 1, FIXTURE_UNSIGNED, 0, NULL),
			 PHIAL_TOO_LARGE);
}

/* A sealed file of about 1 KiB, for two recipients. */
static uint8_t *seal_small(struct fixture *f, size_t *ret_length)
{
	f->header.recipient_count = 2;
	f->header.not_after_s = 1800000000;
	fixture_fill(f, 64);
	uint8_t *bytes = fixture_seal(f, 0, ret_length);

	/* A smaller buffer makes ten thousand failures cheap to wipe. */
	phial_secret_free(f->value);
	assert_int_equal(phial_secret_new((size_t)96 * 1024, &f->value, NULL), PHIAL_OK);
	return bytes;
}

static bool is_expected_class(enum phial_status status)
{
	return status == PHIAL_MALFORMED || status == PHIAL_TAMPERED || status == PHIAL_UNTRUSTED ||
	       status == PHIAL_BAD_NAME;
}

static void s01_every_bit_flip_is_refused(void **state)
{
	struct fixture *f = *state;
	size_t length;
	phial_auto_free uint8_t *bytes = seal_small(f, &length);

	assert_in_range(length, 800, 1600);
	for (size_t bit = 0; bit < length * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		enum phial_status status = fixture_open(f, bytes, length, FIXTURE_VERIFY, 0, NULL);

		if (!is_expected_class(status)) {
			fail_msg("bit %zu: status %d", bit, (int)status);
		}
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	assert_int_equal(fixture_open(f, bytes, length, FIXTURE_VERIFY, 0, NULL), PHIAL_OK);
}

/* Without the signature, header and body still hold each other: binding line and age's tags. */
static void s01_every_bit_flip_is_refused_unsigned(void **state)
{
	struct fixture *f = *state;
	size_t length;
	phial_auto_free uint8_t *bytes = seal_small(f, &length);
	const uint8_t *end = memmem(bytes, length, PHIAL_MINISIGN_UNTRUSTED_LINE,
				    sizeof(PHIAL_MINISIGN_UNTRUSTED_LINE) - 1);
	size_t bits = (size_t)(end - bytes) * 8;

	for (size_t bit = 0; bit < bits; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		enum phial_status status =
			fixture_open(f, bytes, length, FIXTURE_UNSIGNED, 0, NULL);

		if (!is_expected_class(status) && status != PHIAL_NOT_RECIPIENT) {
			fail_msg("bit %zu: status %d", bit, (int)status);
		}
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
}

static void s02_every_truncation_is_refused(void **state)
{
	struct fixture *f = *state;
	size_t length;
	phial_auto_free uint8_t *bytes = seal_small(f, &length);

	for (size_t cut = 0; cut < length; cut++) {
		/* A copy of exactly this size lets the sanitizer see a read beyond it. */
		phial_auto_free uint8_t *part = malloc(cut + (cut == 0));

		memcpy(part, bytes, cut);
		assert_int_equal(fixture_open(f, part, cut, FIXTURE_VERIFY, 0, NULL),
				 PHIAL_MALFORMED);
		assert_int_equal(fixture_open(f, part, cut, FIXTURE_UNSIGNED, 0, NULL),
				 PHIAL_MALFORMED);
	}
}

static void s02_every_tail_is_refused(void **state)
{
	static const uint8_t fillers[] = { 0, '\n', ' ', 'A' };
	struct fixture *f = *state;
	size_t length;
	phial_auto_free uint8_t *bytes = seal_small(f, &length);
	phial_auto_free uint8_t *longer = malloc(length + 64);

	for (size_t i = 0; i < PHIAL_COUNT(fillers); i++) {
		memcpy(longer, bytes, length);
		memset(longer + length, fillers[i], 64);
		for (size_t tail = 1; tail <= 64; tail++) {
			assert_int_equal(fixture_open(f, longer, length + tail, FIXTURE_VERIFY, 0,
						      NULL),
					 PHIAL_MALFORMED);
		}
	}
}

/* Replace the first `old` by `new` of the same length. */
static void edit(uint8_t *bytes, size_t length, const char *old, const char *new)
{
	uint8_t *place = memmem(bytes, length, old, strlen(old));

	assert_non_null(place);
	assert_int_equal(strlen(old), strlen(new));
	memcpy(place, new, strlen(new));
}

static void s03_outer_name_edited(void **state)
{
	struct fixture *f = *state;
	size_t length;
	phial_auto_free uint8_t *bytes = seal_small(f, &length);

	edit(bytes, length, "name: web/db_password", "name: web/db_passw0rd");
	assert_int_equal(fixture_open(f, bytes, length, FIXTURE_VERIFY, 0, NULL), PHIAL_TAMPERED);
	assert_int_equal(fixture_open(f, bytes, length, FIXTURE_UNSIGNED, 0, NULL), PHIAL_TAMPERED);
}

/* S-03: two files' headers swapped over each other's bodies. */
static void s03_two_headers_swapped(void **state)
{
	struct fixture *f = *state;
	size_t lengths[2];
	uint8_t *files[2];

	fixture_fill(f, 20);
	files[0] = fixture_seal(f, 0, &lengths[0]);
	(void)snprintf(f->header.name, sizeof(f->header.name), "web/db_passwOrd");
	files[1] = fixture_seal(f, 0, &lengths[1]);
	assert_int_equal(lengths[0], lengths[1]);
	const uint8_t *begin = memmem(files[0], lengths[0], PHIAL_AGE_BEGIN_LINE, 8);
	size_t header_length = (size_t)(begin - files[0]);

	memcpy(files[0], files[1], header_length);
	assert_int_equal(fixture_open(f, files[0], lengths[0], FIXTURE_VERIFY, 0, NULL),
			 PHIAL_TAMPERED);
	assert_int_equal(fixture_open(f, files[0], lengths[0], FIXTURE_UNSIGNED, 0, NULL),
			 PHIAL_TAMPERED);
	free(files[0]);
	free(files[1]);
}

static void s05_wrong_recipient(void **state)
{
	struct fixture *f = *state;
	struct phial_error err;
	size_t length;

	fixture_fill(f, 20);
	phial_auto_free uint8_t *bytes = fixture_seal(f, 0, &length);

	assert_int_equal(fixture_open(f, bytes, length, FIXTURE_VERIFY, 1, &err),
			 PHIAL_NOT_RECIPIENT);
	assert_non_null(strstr(err.text, "web/db_password: sealed to h7"));
}

static void s05_each_recipient_opens(void **state)
{
	struct fixture *f = *state;
	size_t length;
	phial_auto_free uint8_t *bytes = seal_small(f, &length);

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(fixture_open(f, bytes, length, FIXTURE_VERIFY, i, NULL), PHIAL_OK);
		assert_int_equal(phial_secret_length(f->value), 64);
	}
}

/* A sealed file made by hand: header fields and body may disagree. */
struct forgery {
	struct phial_sealed_header header;
	const struct phial_recipient *body_recipients;
	size_t body_recipient_count;
	bool is_bound; /* a binding line of its own header stands in front */
	size_t signer;
};

static uint8_t *forge(struct fixture *f, const struct forgery *forgery, size_t *ret_length)
{
	char binding[PHIAL_SEALED_BINDING_BYTES];
	struct phial_text text = { .max = PHIAL_SEALED_MAX_BYTES * 4 };
	struct phial_sealed_header header = forgery->header;
	phial_auto_secret struct phial_secret *plaintext = NULL;
	phial_auto_free char *body = NULL;
	phial_auto_free char *signature = NULL;
	size_t length;

	header.signer = f->trusted[forgery->signer].key;
	phial_sealed_header_format(&header, &text);
	phial_sealed_format_binding((struct phial_span){ text.bytes, text.length }, binding);
	assert_int_equal(phial_secret_new(4096, &plaintext, NULL), PHIAL_OK);
	if (forgery->is_bound) {
		assert_int_equal(phial_secret_append(plaintext, binding, sizeof(binding), NULL),
				 PHIAL_OK);
	}
	assert_int_equal(phial_secret_append(plaintext,
					     FIXTURE_CANARY FIXTURE_CANARY FIXTURE_CANARY,
					     3 * (sizeof(FIXTURE_CANARY) - 1), NULL),
			 PHIAL_OK);
	assert_int_equal(phial_age_encrypt(forgery->body_recipients, forgery->body_recipient_count,
					   plaintext, &body, &length, NULL),
			 PHIAL_OK);
	phial_text_add_bytes(&text, body, length);
	assert_int_equal(phial_minisign_sign(f->signers[forgery->signer], (uint8_t *)text.bytes,
					     text.length, PHIAL_SEALED_TRUSTED_COMMENT, &signature,
					     NULL),
			 PHIAL_OK);
	phial_text_add_bytes(&text, signature, strlen(signature));
	assert_false(text.has_failed);
	*ret_length = text.length;
	return (uint8_t *)text.bytes;
}

static enum phial_status open_forgery(struct fixture *f, const struct forgery *forgery)
{
	size_t length;
	phial_auto_free uint8_t *bytes = forge(f, forgery, &length);

	return fixture_open(f, bytes, length, FIXTURE_VERIFY, 0, NULL);
}

static struct forgery honest(struct fixture *f)
{
	return (struct forgery){ .header = f->header,
				 .body_recipients = f->recipients,
				 .body_recipient_count = f->header.recipient_count,
				 .is_bound = true };
}

static void s05_stanzas_must_fit_the_lines(void **state)
{
	struct fixture *f = *state;

	f->header.recipient_count = 2;
	struct forgery forgery = honest(f);
	const struct phial_recipient swapped[] = { f->recipients[1], f->recipients[0] };
	const struct phial_recipient twice[] = { f->recipients[0], f->recipients[0],
						 f->recipients[0] };

	assert_int_equal(open_forgery(f, &forgery), PHIAL_OK);
	forgery.body_recipients = swapped;
	assert_int_equal(open_forgery(f, &forgery), PHIAL_TAMPERED);
	forgery.body_recipients = twice;
	forgery.body_recipient_count = 1;
	assert_int_equal(open_forgery(f, &forgery), PHIAL_MALFORMED);
	forgery.body_recipient_count = 3;
	assert_int_equal(open_forgery(f, &forgery), PHIAL_MALFORMED);
}

/* S-05: the limit of 256 and the first line beyond it; 10^5 lines end at the header's limit. */
static void s05_recipient_bombs(void **state)
{
	struct fixture *f = *state;
	size_t many = 100000;
	phial_auto_free struct phial_named_recipient *recipients =
		calloc(many, sizeof(*recipients));
	phial_auto_free struct phial_recipient *keys = calloc(256, sizeof(*keys));

	for (size_t i = 0; i < many; i++) {
		(void)snprintf(recipients[i].name, sizeof(recipients[i].name), "r%zu", i);
		recipients[i].key = f->recipients[1];
		memcpy(recipients[i].key.key, &i, sizeof(i));
		recipients[i].key.key[31] &= 0x7f;
	}
	recipients[255].key = f->recipients[0];
	f->header.recipients = recipients;
	f->header.recipient_count = 256;
	fixture_fill(f, 1);
	size_t length;
	phial_auto_free uint8_t *most = fixture_seal(f, 0, &length);

	assert_int_equal(fixture_open(f, most, length, FIXTURE_VERIFY, 0, NULL), PHIAL_OK);
	struct forgery forgery = honest(f);

	for (size_t i = 0; i < 256; i++) {
		keys[i] = recipients[i].key;
	}
	forgery.body_recipients = keys;
	forgery.header.recipient_count = 257;
	assert_int_equal(open_forgery(f, &forgery), PHIAL_TOO_LARGE);
	forgery.header.recipient_count = many;
	assert_int_equal(open_forgery(f, &forgery), PHIAL_TOO_LARGE);
}

static void s06_unsigned_is_not_opened(void **state)
{
	struct fixture *f = *state;
	struct phial_sealed *sealed = NULL;
	size_t length;

	fixture_fill(f, 5);
	phial_auto_free uint8_t *bytes = fixture_seal(f, 0, &length);

	assert_int_equal(phial_sealed_parse(bytes, length, &sealed, NULL), PHIAL_OK);
	assert_int_equal(phial_sealed_open(sealed, f->identities[0], f->value, NULL),
			 PHIAL_REFUSED);
	/* A failed verification opens nothing either. */
	assert_int_equal(phial_sealed_verify(sealed, NULL, 0, NULL, NULL), PHIAL_UNTRUSTED);
	assert_int_equal(phial_sealed_open(sealed, f->identities[0], f->value, NULL),
			 PHIAL_REFUSED);
	assert_int_equal(phial_secret_length(f->value), 0);
	phial_sealed_free(sealed);
}

static void s06_signer_outside_patterns(void **state)
{
	struct fixture *f = *state;
	const struct {
		const char *name;
		enum phial_status expected;
	} cases[] = {
		{ "web/db", PHIAL_OK },
		{ "webs/db", PHIAL_UNTRUSTED },
		{ "web", PHIAL_UNTRUSTED },
		{ "web/db/x", PHIAL_UNTRUSTED },
		{ "shared/web", PHIAL_UNTRUSTED },
		{ "Web/db", PHIAL_UNTRUSTED },
	};

	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		size_t length;

		(void)snprintf(f->header.name, sizeof(f->header.name), "%s", cases[i].name);
		fixture_fill(f, 5);
		phial_auto_free uint8_t *bytes = fixture_seal(f, 1, &length);

		assert_int_equal(fixture_open(f, bytes, length, FIXTURE_VERIFY, 0, NULL),
				 cases[i].expected);
	}
}

/* S-06: the header names one signer, another one, allowed too, signs: his is not believed. */
static void s06_signed_by_another_allowed_signer(void **state)
{
	struct fixture *f = *state;
	size_t length;
	phial_auto_free char *signature = NULL;

	fixture_fill(f, 5);
	phial_auto_free uint8_t *bytes = fixture_seal(f, 0, &length);
	uint8_t *place = memmem(bytes, length, PHIAL_MINISIGN_UNTRUSTED_LINE, 20);

	assert_int_equal(phial_minisign_sign(f->signers[1], bytes, (size_t)(place - bytes),
					     PHIAL_SEALED_TRUSTED_COMMENT, &signature, NULL),
			 PHIAL_OK);
	memcpy(place, signature, strlen(signature));
	assert_int_equal(fixture_open(f, bytes, length, FIXTURE_VERIFY, 0, NULL), PHIAL_UNTRUSTED);
}

/* S-06: a signature over a trust list or another file of the same key says nothing here. */
static void s06_signature_made_for_another_use(void **state)
{
	struct fixture *f = *state;
	size_t length;
	phial_auto_free char *signature = NULL;

	fixture_fill(f, 5);
	phial_auto_free uint8_t *bytes = fixture_seal(f, 0, &length);
	uint8_t *place = memmem(bytes, length, PHIAL_MINISIGN_UNTRUSTED_LINE, 20);

	assert_int_equal(phial_minisign_sign(f->signers[0], bytes, (size_t)(place - bytes),
					     "phial sealed file v2", &signature, NULL),
			 PHIAL_OK);
	memcpy(place, signature, strlen(signature));
	assert_int_equal(fixture_open(f, bytes, length, FIXTURE_VERIFY, 0, NULL), PHIAL_MALFORMED);
}

/*
 * S-06, re-wrap: bob may sign web/x only and cannot read alice's value. He puts her body under
 * a header of his own, for a name and a host of his choice, and signs it properly.
 */
static void s06_foreign_body_under_own_header(void **state)
{
	struct fixture *f = *state;
	struct forgery forgery = honest(f);
	struct phial_sealed_header foreign = f->header;
	size_t lengths[2];

	(void)snprintf(foreign.name, sizeof(foreign.name), "shared/api_key");
	fixture_fill(f, 90);
	f->header = foreign;
	phial_auto_free uint8_t *alices = fixture_seal(f, 0, &lengths[0]);
	const char *body = memmem(alices, lengths[0], PHIAL_AGE_BEGIN_LINE, 8);
	const char *body_end = memmem(alices, lengths[0], PHIAL_MINISIGN_UNTRUSTED_LINE, 20);

	struct phial_text text = { .max = PHIAL_SEALED_MAX_BYTES };
	phial_auto_free char *signature = NULL;

	forgery.header.signer = f->trusted[1].key;
	phial_sealed_header_format(&forgery.header, &text);
	phial_text_add_bytes(&text, body, (size_t)(body_end - body));
	assert_int_equal(phial_minisign_sign(f->signers[1], (uint8_t *)text.bytes, text.length,
					     PHIAL_SEALED_TRUSTED_COMMENT, &signature, NULL),
			 PHIAL_OK);
	phial_text_add_bytes(&text, signature, strlen(signature));
	assert_int_equal(fixture_open(f, (uint8_t *)text.bytes, text.length, FIXTURE_VERIFY, 0,
				      NULL),
			 PHIAL_TAMPERED);
	phial_text_free(&text);
}

static void s06_body_without_binding(void **state)
{
	struct fixture *f = *state;
	struct forgery forgery = honest(f);

	forgery.is_bound = false;
	assert_int_equal(open_forgery(f, &forgery), PHIAL_TAMPERED);
}

/* S-07: points that every secret key maps to zero, as recipients: nothing is sealed to them. */
static void s07_low_order_recipients(void **state)
{
	static const uint8_t points[][32] = {
		{ 0 },
		{ 1 },
		{ 0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
		  0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
		  0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00 },
		{ 0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1,
		  0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
		  0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57 },
		{ 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
		{ 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
		{ 0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
	};
	struct fixture *f = *state;

	fixture_fill(f, 5);
	for (size_t i = 0; i < PHIAL_COUNT(points); i++) {
		uint8_t *bytes = NULL;
		size_t length = 0;

		memcpy(f->named[0].key.key, points[i], 32);
		assert_int_equal(phial_seal(&f->header, f->value, f->signers[0], &bytes, &length,
					    NULL),
				 PHIAL_BAD_KEY);
		assert_null(bytes);
	}
}

/* The accidents of git have texts that say what to do. */
static void git_accidents_are_named(void **state)
{
	struct fixture *f = *state;
	struct phial_error err;
	size_t length;
	struct phial_text text = { .max = PHIAL_SEALED_MAX_BYTES };

	fixture_fill(f, 5);
	phial_auto_free uint8_t *bytes = fixture_seal(f, 0, &length);

	for (size_t i = 0; i < length; i++) {
		phial_text_add(&text, bytes[i] == '\n' ? "\r\n" : "%c", bytes[i]);
	}
	assert_int_equal(fixture_open(f, (uint8_t *)text.bytes, text.length, FIXTURE_VERIFY, 0,
				      &err),
			 PHIAL_MALFORMED);
	assert_non_null(strstr(err.text, "*.sealed -text"));
	phial_text_free(&text);
	phial_text_add(&text, "phial v1\nname: web/db_password\n<<<<<<< HEAD\nversion: 1\n=======\n"
			      "version: 2\n>>>>>>> theirs\n");
	assert_int_equal(fixture_open(f, (uint8_t *)text.bytes, text.length, FIXTURE_VERIFY, 0,
				      &err),
			 PHIAL_MALFORMED);
	assert_non_null(strstr(err.text, "line 3: a git conflict marker"));
	phial_text_free(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(s01_every_bit_flip_is_refused),
		TEST(s01_every_bit_flip_is_refused_unsigned),
		TEST(s02_every_truncation_is_refused),
		TEST(s02_every_tail_is_refused),
		TEST(s03_outer_name_edited),
		TEST(s03_two_headers_swapped),
		TEST(s05_wrong_recipient),
		TEST(s05_each_recipient_opens),
		TEST(s05_stanzas_must_fit_the_lines),
		TEST(s05_recipient_bombs),
		TEST(s06_unsigned_is_not_opened),
		TEST(s06_signer_outside_patterns),
		TEST(s06_signed_by_another_allowed_signer),
		TEST(s06_signature_made_for_another_use),
		TEST(s06_foreign_body_under_own_header),
		TEST(s06_body_without_binding),
		TEST(s07_low_order_recipients),
		TEST(s08_sizes_round_trip),
		TEST(s08_one_byte_too_much_is_refused),
		TEST(s08_limits_before_allocation),
		TEST(git_accidents_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
