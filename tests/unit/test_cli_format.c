/* SPDX-License-Identifier: ISC */
/* Times, spans and foreign text as the command line reads and prints them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/format.h"

/* 2026-11-21T22:30:00Z */
#define NOW_S INT64_C(1795300200)

static void test_not_after(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds; /* 0: refused */
	} cases[] = {
		{ "+1h", NOW_S + 3600 },
		{ "+90d", NOW_S + 90 * 86400 },
		{ "+4w", NOW_S + 28 * 86400 },
		{ "2026-11-21T22:30:01Z", NOW_S + 1 },
		{ "2026-11-22", NOW_S + 5400 },
		{ "2026-11-21T22:30:00Z", 0 }, /* now is not in the future */
		{ "2026-11-21", 0 },
		{ "1970-01-01", 0 },
		{ "+0d", 0 },
		{ "+01d", 0 },
		{ "+d", 0 },
		{ "+", 0 },
		{ "", 0 },
		{ "90d", 0 },
		{ "-90d", 0 },
		{ "+90", 0 },
		{ "+90m", 0 },
		{ "+90 d", 0 },
		{ "+90dd", 0 },
		{ "+100001d", 0 },
		{ "+18446744073709551615w", 0 },
		{ "2027-02-30", 0 },
		{ "2027-2-3", 0 },
		{ "2027-02-03T00:00:00", 0 },
		{ "2027-02-03T00:00:00+01:00", 0 },
		{ "9999-12-31T23:59:59Z", INT64_C(253402300799) },
		{ "99999-01-01", 0 },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_error err = { 0 };
		int64_t seconds = 0;
		enum phial_status status =
			phial_cli_parse_not_after(cases[i].text, NOW_S, &seconds, &err);

		if (seconds != cases[i].seconds) {
			fail_msg("\"%s\": %lld", cases[i].text, (long long)seconds);
		}
		assert_int_equal(status, cases[i].seconds == 0 ? PHIAL_USAGE : PHIAL_OK);
	}
}

static void test_span(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {
		{ 0, "0s" },
		{ 1, "1s" },
		{ -5, "5s" },
		{ 119, "119s" },
		{ 120, "2m" },
		{ 7199, "119m" },
		{ 7200, "2h" },
		{ 172799, "47h" },
		{ 172800, "2d" },
		{ 7776000, "90d" },
		{ INT64_C(253402300799), "2932896d" },
	};
	char text[PHIAL_DURATION_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		phial_format_span(cases[i].seconds, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void test_print_safe(void **state)
{
	char *shown = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&shown, &length);

	(void)state;
	assert_non_null(out);
	phial_cli_print_safe(out, "a b\n\x1b[31m\x7f\xc3\xa4~");
	assert_int_equal(fclose(out), 0);
	assert_string_equal(shown, "a b\\x0a\\x1b[31m\\x7f\\xc3\\xa4~");
	free(shown);
}

static void test_table(void **state)
{
	struct phial_cli_table table = { .columns = 2 };

	(void)state;
	for (size_t i = 0; i < 200; i++) {
		phial_cli_table_add(&table, "cell");
	}
	assert_int_equal(table.count, 200);
	phial_cli_table_free(&table);
	assert_int_equal(table.count, 0);
	assert_null(table.cells);
	assert_int_equal(table.columns, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_after),
		cmocka_unit_test(test_span),
		cmocka_unit_test(test_print_safe),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
