/* SPDX-License-Identifier: ISC */
/* Headers: what a writer may give, what is parsed, and that both give the same bytes. */
#include "sealed_fixture.h"

#include <stdlib.h>

#include "sealed/header.h"

/* S-13: names that a sealer may not give. */
static const char *const bad_names[] = {
	"",
	".",
	"..",
	"web/..",
	"../web",
	"/web",
	"web/",
	"web//db",
	"a/b/c/d/e",
	"-web",
	"_web",
	".web",
	"web db",
	"web\tdb",
	"web\ndb",
	"web\x01",
	"web\x7f",
	"web\xe2\x80\xae", /* right-to-left override */
	"web\xe2\x81\xa6", /* left-to-right isolate */
	"w\xd0\xb5"
	"b", /* Cyrillic e */
	"web\xc0\xaf"
	"db", /* overlong slash */
	"web\\db",
	"web:db",
	"web*",
};

static void s13_bad_names_are_refused(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < PHIAL_COUNT(bad_names); i++) {
		uint8_t *bytes = NULL;
		size_t length = 0;

		(void)snprintf(f->header.name, sizeof(f->header.name), "%s", bad_names[i]);
		fixture_fill(f, 8);
		assert_int_equal(phial_seal(&f->header, f->value, f->signers[0], &bytes, &length,
					    NULL),
				 PHIAL_BAD_NAME);
		assert_null(bytes);
	}
}

/* A component or a whole name of one byte too many, and of exactly as many as allowed. */
static void s13_lengths(void **state)
{
	struct fixture *f = *state;
	size_t length;

	for (size_t extra = 0; extra < 2; extra++) {
		memset(f->header.name, 'n', sizeof(f->header.name));
		f->header.name[63 + extra] = '\0';
		assert_int_equal(phial_sealed_header_check(&f->header, NULL),
				 extra ? PHIAL_BAD_NAME : PHIAL_OK);
	}
	memset(f->header.name, 'n', 200);
	f->header.name[200] = '\0';
	f->header.name[63] = f->header.name[127] = f->header.name[191] = '/';
	fixture_fill(f, 1);
	phial_auto_free uint8_t *bytes = fixture_seal(f, 0, &length);

	assert_int_equal(fixture_open(f, bytes, length, FIXTURE_VERIFY, 0, NULL), PHIAL_OK);
}

/* S-13: an error shows a hostile name in printable ASCII only. */
static void s13_errors_are_printable(void **state)
{
	struct fixture *f = *state;
	struct phial_error err;

	(void)snprintf(f->header.name, sizeof(f->header.name), "web\x1b[31m\xe2\x80\xae");
	assert_int_equal(phial_sealed_header_check(&f->header, &err), PHIAL_BAD_NAME);
	for (const char *c = err.text; *c; c++) {
		assert_in_range(*c, 0x20, 0x7e);
	}
}

/* S-13: names that differ only in case are two names, and each is kept as it was given. */
static void s13_case_is_kept(void **state)
{
	struct fixture *f = *state;
	const char *const names[] = { "web/Key", "web/key" };

	for (size_t i = 0; i < 2; i++) {
		size_t length;
		struct phial_sealed *sealed = NULL;

		(void)snprintf(f->header.name, sizeof(f->header.name), "%s", names[i]);
		fixture_fill(f, 1);
		phial_auto_free uint8_t *bytes = fixture_seal(f, 0, &length);

		assert_int_equal(phial_sealed_parse(bytes, length, &sealed, NULL), PHIAL_OK);
		assert_string_equal(phial_sealed_get_header(sealed)->name, names[i]);
		phial_sealed_free(sealed);
	}
}

static void set_version_0(struct phial_sealed_header *h)
{
	h->version = 0;
}

static void set_version_over(struct phial_sealed_header *h)
{
	h->version = (UINT64_C(1) << 53) + 1;
}

static void set_created_before(struct phial_sealed_header *h)
{
	h->created_s = -1;
}

static void set_created_beyond(struct phial_sealed_header *h)
{
	h->created_s = INT64_C(253402300800);
}

static void set_not_after_before(struct phial_sealed_header *h)
{
	h->not_after_s = -1;
}

static void set_not_after_beyond(struct phial_sealed_header *h)
{
	h->not_after_s = INT64_MAX;
}

static void set_mode_over(struct phial_sealed_header *h)
{
	h->mode = 01777;
}

static void set_owner_half(struct phial_sealed_header *h)
{
	h->owner_uid = 0;
}

static void set_no_recipient(struct phial_sealed_header *h)
{
	h->recipient_count = 0;
}

static const struct {
	const char *what;
	void (*change)(struct phial_sealed_header *header);
} bad_fields[] = {
	{ "version 0", set_version_0 },
	{ "version over 2^53", set_version_over },
	{ "created before 1970", set_created_before },
	{ "created beyond 9999", set_created_beyond },
	{ "not-after before 1970", set_not_after_before },
	{ "not-after beyond 9999", set_not_after_beyond },
	{ "mode with sticky bit", set_mode_over },
	{ "owner without group", set_owner_half },
	{ "no recipient", set_no_recipient },
};

static void fields_out_of_range_are_refused(void **state)
{
	struct fixture *f = *state;
	const struct phial_sealed_header good = f->header;

	assert_int_equal(phial_sealed_header_check(&good, NULL), PHIAL_OK);
	for (size_t i = 0; i < PHIAL_COUNT(bad_fields); i++) {
		f->header = good;
		bad_fields[i].change(&f->header);
		if (phial_sealed_header_check(&f->header, NULL) != PHIAL_USAGE) {
			fail_msg("%s was let through", bad_fields[i].what);
		}
	}
}

static void recipients_must_differ(void **state)
{
	struct fixture *f = *state;

	f->header.recipient_count = 2;
	assert_int_equal(phial_sealed_header_check(&f->header, NULL), PHIAL_OK);
	(void)snprintf(f->named[1].name, sizeof(f->named[1].name), "h7");
	assert_int_equal(phial_sealed_header_check(&f->header, NULL), PHIAL_USAGE);
	(void)snprintf(f->named[1].name, sizeof(f->named[1].name), "h8");
	f->named[1].key = f->named[0].key;
	assert_int_equal(phial_sealed_header_check(&f->header, NULL), PHIAL_USAGE);
	f->named[1].key = f->recipients[1];
	(void)snprintf(f->named[1].name, sizeof(f->named[1].name), "h/8");
	assert_int_equal(phial_sealed_header_check(&f->header, NULL), PHIAL_BAD_NAME);
}

static void every_field_comes_back(void **state)
{
	struct fixture *f = *state;
	struct phial_sealed *sealed = NULL;
	size_t length;

	f->header.recipient_count = 2;
	f->header.not_after_s = INT64_C(253402300799);
	f->header.mode = 0;
	f->header.owner_uid = 0;
	f->header.owner_gid = UINT32_MAX - 1;
	fixture_fill(f, 3);
	phial_auto_free uint8_t *bytes = fixture_seal(f, 1, &length);

	assert_int_equal(phial_sealed_parse(bytes, length, &sealed, NULL), PHIAL_OK);
	const struct phial_sealed_header *header = phial_sealed_get_header(sealed);

	assert_string_equal(header->name, f->header.name);
	assert_int_equal(header->version, f->header.version);
	assert_int_equal(header->created_s, f->header.created_s);
	assert_int_equal(header->not_after_s, f->header.not_after_s);
	assert_int_equal(header->mode, 0);
	assert_int_equal(header->owner_uid, 0);
	assert_int_equal(header->owner_gid, UINT32_MAX - 1);
	assert_true(phial_signer_public_equal(&header->signer, &f->trusted[1].key));
	assert_int_equal(header->recipient_count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(header->recipients[i].name, f->named[i].name);
		assert_memory_equal(&header->recipients[i].key, &f->named[i].key, 32);
	}
	phial_sealed_free(sealed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(s13_bad_names_are_refused),       TEST(s13_lengths),
		TEST(s13_errors_are_printable),	       TEST(s13_case_is_kept),
		TEST(fields_out_of_range_are_refused), TEST(recipients_must_differ),
		TEST(every_field_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
