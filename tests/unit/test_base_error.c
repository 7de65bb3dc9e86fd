/* SPDX-License-Identifier: ISC */
/* The error record: printable, cut to fit, errno kept. Attacks L-04 and H-03 (quoting). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <phial/error.h>

static void records_and_returns(void **state)
{
	struct phial_error err = { 0 };

	(void)state;
	errno = EBADF;
	assert_int_equal(phial_fail(&err, PHIAL_SYSTEM, ENOSPC, "open %s", "x"), PHIAL_SYSTEM);
	assert_int_equal(errno, EBADF);
	assert_int_equal(err.status, PHIAL_SYSTEM);
	assert_int_equal(err.os_error, ENOSPC);
	assert_string_equal(err.text, "open x: No space left on device");
	assert_int_equal(phial_fail_prefix(&err, "web/%s", "db"), PHIAL_SYSTEM);
	assert_string_equal(err.text, "web/db: open x: No space left on device");
	assert_int_equal(err.os_error, ENOSPC);
	assert_int_equal(phial_fail_prefix(&err, "web/db"), PHIAL_SYSTEM); /* not twice */
	assert_string_equal(err.text, "web/db: open x: No space left on device");
	(void)phial_fail_prefix(&err, "web");
	assert_string_equal(err.text, "web: web/db: open x: No space left on device");
	assert_int_equal(phial_fail(NULL, PHIAL_DENIED, 0, "x"), PHIAL_DENIED);
	assert_int_equal(phial_fail_prefix(NULL, "x"), PHIAL_SYSTEM);
}

static void H03_foreign_bytes_are_quoted(void **state)
{
	struct phial_error err = { 0 };

	(void)state;
	(void)phial_fail(&err, PHIAL_USAGE, 0, "\"%s\"", "a\nb\x1b[31m\x7f\xc3\xa9\t");
	assert_string_equal(err.text, "\"a\\x0ab\\x1b[31m\\x7f\\xc3\\xa9\\x09\"");
	(void)phial_fail_prefix(&err, "%s", "\r");
	assert_string_equal(err.text, "\\x0d: \"a\\x0ab\\x1b[31m\\x7f\\xc3\\xa9\\x09\"");
}

static void long_texts_are_cut(void **state)
{
	struct phial_error err = { 0 };
	char text[4 * PHIAL_ERROR_TEXT_BYTES];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)phial_fail(&err, PHIAL_USAGE, EIO, "%s", text);
	assert_int_equal(strlen(err.text), PHIAL_ERROR_TEXT_BYTES - 1);
	(void)phial_fail_prefix(&err, "%s", text);
	assert_int_equal(strlen(err.text), PHIAL_ERROR_TEXT_BYTES - 1);
	/* No quoted byte is cut in two. */
	memset(text, '\n', sizeof(text) - 1);
	for (size_t i = 0; i < 8; i++) {
		(void)phial_fail(&err, PHIAL_USAGE, 0, "%.*s%s", (int)i, "aaaaaaaa", text);
		size_t length = strlen(err.text);

		assert_true(length < PHIAL_ERROR_TEXT_BYTES && length > PHIAL_ERROR_TEXT_BYTES - 8);
		assert_memory_equal(err.text + length - 4, "\\x0a", 4);
	}
}

static void every_status_has_a_text(void **state)
{
	(void)state;
	for (int status = PHIAL_OK; status <= PHIAL_REVOKED; status++) {
		assert_string_not_equal(phial_status_text((enum phial_status)status),
					"unknown status");
	}
	assert_string_equal(phial_status_text((enum phial_status)(PHIAL_REVOKED + 1)),
			    "unknown status");
	assert_string_equal(phial_status_text((enum phial_status) - 1), "unknown status");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_and_returns),
		cmocka_unit_test(H03_foreign_bytes_are_quoted),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(every_status_has_a_text),
	};

	return cmocka_run_group_tests_name("base_error", tests, NULL, NULL);
}
