/* SPDX-License-Identifier: ISC */
/* Bounded parsing: numbers, modes, times, owners, lines, words. Attack S-10 (times, in part). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/parse.h"

static void numbers_in_one_form(void **state)
{
	static const struct {
		const char *text;
		uint64_t min, max;
		bool is_good;
		uint64_t value;
	} cases[] = {
		{ "0", 0, UINT64_MAX, true, 0 },
		{ "7", 7, 7, true, 7 },
		{ "6", 7, 7, false, 0 },
		{ "8", 7, 7, false, 0 },
		{ "18446744073709551615", 0, UINT64_MAX, true, UINT64_MAX },
		{ "18446744073709551616", 0, UINT64_MAX, false, 0 },
		{ "99999999999999999999", 0, UINT64_MAX, false, 0 },
		{ "184467440737095516150", 0, UINT64_MAX, false, 0 },
		{ "", 0, UINT64_MAX, false, 0 },
		{ "00", 0, UINT64_MAX, false, 0 },
		{ "01", 0, UINT64_MAX, false, 0 },
		{ "+1", 0, UINT64_MAX, false, 0 },
		{ "-1", 0, UINT64_MAX, false, 0 },
		{ " 1", 0, UINT64_MAX, false, 0 },
		{ "1 ", 0, UINT64_MAX, false, 0 },
		{ "0x1", 0, UINT64_MAX, false, 0 },
		{ "1e1", 0, UINT64_MAX, false, 0 },
		{ "1/", 0, UINT64_MAX, false, 0 },
		{ "1:", 0, UINT64_MAX, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		uint64_t value = 77;
		bool is_good = phial_parse_u64(phial_span_of(cases[i].text), cases[i].min,
					       cases[i].max, &value);

		if (is_good != cases[i].is_good) {
			fail_msg("\"%s\"", cases[i].text);
		}
		assert_int_equal(value, is_good ? cases[i].value : 77);
	}
	/* Only the span counts, not what follows it. */
	uint64_t value;

	assert_true(phial_parse_u64((struct phial_span){ "123", 2 }, 0, 99, &value));
	assert_int_equal(value, 12);
}

static void modes(void **state)
{
	static const struct {
		const char *text;
		bool is_good;
		uint32_t mode;
	} cases[] = {
		{ "0400", true, 0400 }, { "0000", true, 0 },  { "0777", true, 0777 },
		{ "1777", false, 0 },	{ "400", false, 0 },  { "00400", false, 0 },
		{ "0408", false, 0 },	{ "0o40", false, 0 }, { "", false, 0 },
		{ "-400", false, 0 },
	};
	uint32_t mode;

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		assert_int_equal(phial_parse_mode(phial_span_of(cases[i].text), 0777, &mode),
				 cases[i].is_good);
		if (cases[i].is_good) {
			assert_int_equal(mode, cases[i].mode);
		}
	}
	assert_false(phial_parse_mode(phial_span_of("0440"), 0400, &mode));
}

static void S10_times_in_one_form(void **state)
{
	static const struct {
		const char *text;
		bool is_good;
		int64_t seconds;
	} cases[] = {
		{ "1970-01-01T00:00:00Z", true, 0 },
		{ "2026-11-21T22:30:00Z", true, 1795300200 },
		{ "2000-02-29T23:59:59Z", true, 951868799 },
		{ "9999-12-31T23:59:59Z", true, INT64_C(253402300799) },
		{ "2026-02-29T00:00:00Z", false, 0 },
		{ "2026-02-30T00:00:00Z", false, 0 },
		{ "2026-13-01T00:00:00Z", false, 0 },
		{ "2026-00-01T00:00:00Z", false, 0 },
		{ "2026-01-00T00:00:00Z", false, 0 },
		{ "2026-01-01T24:00:00Z", false, 0 },
		{ "2026-01-01T00:60:00Z", false, 0 },
		{ "2016-12-31T23:59:60Z", false, 0 }, /* a leap second that there was */
		{ "1969-12-31T23:59:59Z", false, 0 },
		{ "2026-01-01t00:00:00Z", false, 0 },
		{ "2026-01-01T00:00:00z", false, 0 },
		{ "2026-01-01 00:00:00Z", false, 0 },
		{ "2026-01-01T00:00:00+", false, 0 },
		{ "2026-01-01T00:00:00", false, 0 },
		{ "2026-01-01T00:00:00.0Z", false, 0 },
		{ "2026-01-01T00:00:00+00:00", false, 0 },
		{ "+026-01-01T00:00:00Z", false, 0 },
		{ "10000-01-01T00:00:0Z", false, 0 },
		{ "9223372036854775807Z", false, 0 },
		{ "", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		int64_t seconds = -1;

		if (phial_parse_time(phial_span_of(cases[i].text), &seconds) != cases[i].is_good) {
			fail_msg("\"%s\"", cases[i].text);
		}
		if (cases[i].is_good) {
			char again[PHIAL_TIME_TEXT_BYTES];

			assert_int_equal(seconds, cases[i].seconds);
			phial_format_time(seconds, again);
			assert_string_equal(again, cases[i].text);
		}
	}
}

static void owners(void **state)
{
	static const struct {
		const char *text;
		bool is_good;
		uint32_t uid, gid;
	} cases[] = {
		{ "0:0", true, 0, 0 },
		{ "101:102", true, 101, 102 },
		{ "4294967294:1", true, UINT32_MAX - 1, 1 },
		{ "4294967295:1", false, 0, 0 },
		{ "1:4294967295", false, 0, 0 },
		{ "1", false, 0, 0 },
		{ "1:", false, 0, 0 },
		{ ":1", false, 0, 0 },
		{ "1:2:3", false, 0, 0 },
		{ "root:root", false, 0, 0 },
		{ "01:1", false, 0, 0 },
		{ "", false, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		uint32_t uid = 7;
		uint32_t gid = 7;

		assert_int_equal(phial_parse_owner(phial_span_of(cases[i].text), &uid, &gid),
				 cases[i].is_good);
		assert_int_equal(uid, cases[i].is_good ? cases[i].uid : 7);
		assert_int_equal(gid, cases[i].is_good ? cases[i].gid : 7);
	}
}

static void assert_span(struct phial_span span, const char *text)
{
	assert_int_equal(span.length, strlen(text));
	assert_memory_equal(span.text, text, span.length);
}

static void lines(void **state)
{
	struct phial_span rest = phial_span_of("one\n\ntwo\r\nlast");
	struct phial_span line;
	bool is_complete;

	(void)state;
	assert_true(phial_next_line(&rest, &line, &is_complete));
	assert_span(line, "one");
	assert_true(is_complete);
	assert_true(phial_next_line(&rest, &line, NULL));
	assert_span(line, "");
	assert_true(phial_next_line(&rest, &line, &is_complete));
	assert_span(line, "two\r");
	assert_true(phial_next_line(&rest, &line, &is_complete));
	assert_span(line, "last");
	assert_false(is_complete);
	assert_false(phial_next_line(&rest, &line, &is_complete));
	rest = phial_span_of("");
	assert_false(phial_next_line(&rest, &line, NULL));
	rest = phial_span_of("\n");
	assert_true(phial_next_line(&rest, &line, &is_complete));
	assert_true(is_complete);
	assert_false(phial_next_line(&rest, &line, &is_complete));
}

static void words(void **state)
{
	static const struct {
		const char *text;
		const char *words[5]; /* up to a NULL */
	} cases[] = {
		{ "one two", { "one", "two" } },
		{ "one", { "one" } },
		{ "one ", { "one", "" } },
		{ " one", { "", "one" } },
		{ "a  b", { "a", "", "b" } },
		{ "", { "" } },
		{ " ", { "", "" } },
		{ "a\tb", { "a\tb" } },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_span rest = phial_span_of(cases[i].text);
		struct phial_span word;

		for (size_t k = 0; cases[i].words[k]; k++) {
			assert_true(phial_next_word(&rest, &word));
			assert_span(word, cases[i].words[k]);
		}
		assert_false(phial_next_word(&rest, &word));
		assert_false(phial_next_word(&rest, &word));
	}
}

static void spans(void **state)
{
	struct phial_span span = phial_span_of("serial: 7");
	char text[4] = "xyz";

	(void)state;
	assert_true(phial_span_is(span, "serial: 7"));
	assert_false(phial_span_is(span, "serial: "));
	assert_false(phial_span_is(span, "serial: 77"));
	assert_false(phial_span_skip(&span, "Serial"));
	assert_true(phial_span_skip(&span, "serial: "));
	assert_span(span, "7");
	assert_false(phial_span_skip(&span, "77"));
	assert_true(phial_span_copy(span, text, sizeof(text)));
	assert_string_equal(text, "7");
	assert_true(phial_span_copy(phial_span_of("abc"), text, sizeof(text)));
	assert_false(phial_span_copy(phial_span_of("abcd"), text, sizeof(text)));
	assert_false(phial_span_copy((struct phial_span){ "a\0b", 3 }, text, sizeof(text)));
	assert_string_equal(text, "abc");
}

static void durations(void **state)
{
	static const struct {
		const char *text;
		int64_t min_ms, max_ms;
		bool is_good;
		int64_t value;
		const char *again; /* how it is written */
	} cases[] = {
		{ "0s", 0, 10, true, 0, "0s" },
		{ "0d", 0, 10, true, 0, "0s" },
		{ "250ms", 0, 1000, true, 250, "250ms" },
		{ "1000ms", 0, 1000, true, 1000, "1s" },
		{ "1001ms", 0, 1000, false, 0, NULL },
		{ "90s", 0, INT64_MAX, true, 90000, "90s" },
		{ "60m", 0, INT64_MAX, true, 3600000, "1h" },
		{ "36h", 0, INT64_MAX, true, 129600000, "36h" },
		{ "30d", 0, INT64_MAX, true, INT64_C(2592000000), "30d" },
		{ "59s", 60000, INT64_MAX, false, 0, NULL },
		{ "1m", 60000, 60000, true, 60000, "1m" },
		{ "106751991167d", 0, INT64_MAX, true, INT64_C(9223372036828800000), NULL },
		{ "106751991168d", 0, INT64_MAX, false, 0, NULL },
		{ "18446744073709551615d", 0, INT64_MAX, false, 0, NULL },
		{ "", 0, INT64_MAX, false, 0, NULL },
		{ "s", 0, INT64_MAX, false, 0, NULL },
		{ "60", 0, INT64_MAX, false, 0, NULL },
		{ "01s", 0, INT64_MAX, false, 0, NULL },
		{ "-1s", 0, INT64_MAX, false, 0, NULL },
		{ "1.5s", 0, INT64_MAX, false, 0, NULL },
		{ "1 s", 0, INT64_MAX, false, 0, NULL },
		{ "1s ", 0, INT64_MAX, false, 0, NULL },
		{ "1S", 0, INT64_MAX, false, 0, NULL },
		{ "1w", 0, INT64_MAX, false, 0, NULL },
		{ "1m30s", 0, INT64_MAX, false, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		char again[PHIAL_DURATION_TEXT_BYTES];
		int64_t value = 77;
		bool is_good = phial_parse_duration(phial_span_of(cases[i].text), cases[i].min_ms,
						    cases[i].max_ms, &value);

		if (is_good != cases[i].is_good) {
			fail_msg("\"%s\"", cases[i].text);
		}
		assert_int_equal(value, is_good ? cases[i].value : 77);
		if (cases[i].again) {
			phial_format_duration(value, again);
			assert_string_equal(again, cases[i].again);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_in_one_form),
		cmocka_unit_test(modes),
		cmocka_unit_test(S10_times_in_one_form),
		cmocka_unit_test(durations),
		cmocka_unit_test(owners),
		cmocka_unit_test(lines),
		cmocka_unit_test(words),
		cmocka_unit_test(spans),
	};

	return cmocka_run_group_tests_name("base_parse", tests, NULL, NULL);
}
