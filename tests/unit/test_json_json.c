/* SPDX-License-Identifier: ISC */
/*
 * The json room: what it accepts, what it refuses and on which line, and what it prints.
 * Attack S-09 (bombs, duplicates, surrogates, byte order mark) is here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "json/json.h"

static enum phial_status parse(const char *text, struct phial_json **ret, struct phial_error *err)
{
	return phial_json_parse((const uint8_t *)text, strlen(text), ret, err);
}

static void accepts_every_kind(void **state)
{
	static const struct {
		const char *text;
		enum phial_json_type type;
	} cases[] = {
		{ "null", PHIAL_JSON_NULL },
		{ " true\n", PHIAL_JSON_BOOL },
		{ "-0.5e+3", PHIAL_JSON_NUMBER },
		{ "18446744073709551615", PHIAL_JSON_NUMBER },
		{ "\"\\u00e9\"", PHIAL_JSON_STRING },
		{ "[1, [2, []]]", PHIAL_JSON_ARRAY },
		{ "{\"a\": {}}", PHIAL_JSON_OBJECT },
		{ "\"\\ud83d\\ude00\"", PHIAL_JSON_STRING },
		{ "\"\xf0\x9f\x98\x80\"", PHIAL_JSON_STRING },
		{ "{\"a\":1,\"A\":2}", PHIAL_JSON_OBJECT },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		phial_auto_json struct phial_json *root = NULL;

		assert_int_equal(parse(cases[i].text, &root, NULL), PHIAL_OK);
		assert_int_equal(phial_json_type(root), cases[i].type);
	}
}

static void S09_refuses_what_is_not_strict(void **state)
{
	static const struct {
		const char *text;
		const char *reason;
	} cases[] = {
		{ "", "line 1: the document ends too early" },
		{ "\n\n", "line 3: the document ends too early" },
		{ "{\"a\":1}x", "line 1: more bytes" },
		{ "{}\n{}", "line 2: more bytes" },
		{ "{\"a\":1,\n\"a\":2}", "line 2: the same key" },
		{ "{\"a\":1,\"\\u0061\":2}", "line 1: the same key" },
		{ "[{\"x\":{\"k\":1,\"j\":2,\n\n\"k\":1}}]", "line 3: the same key" },
		{ "\xef\xbb\xbf{}", "byte order mark" },
		{ "\"\\u0000\"", "NUL" },
		{ "\"\\ud800\"", "half a surrogate" },
		{ "\"\\ud800\\u0041\"", "half a surrogate" },
		{ "\"\\udc00\"", "half a surrogate" },
		{ "\"\xed\xa0\x80\"", "not UTF-8" },
		{ "\"\xc0\xaf\"", "not UTF-8" },
		{ "\"\xf4\x90\x80\x80\"", "not UTF-8" },
		{ "\"\xe2\x82", "not UTF-8" },
		{ "\"\xff\"", "not UTF-8" },
		{ "\"a\nb\"", "control character" },
		{ "\"a", "does not end" },
		{ "\"\\x\"", "unknown escape" },
		{ "\"\\u12g4\"", "four hexadecimal" },
		{ "NaN", "not a JSON value" },
		{ "Infinity", "not a JSON value" },
		{ "-", "not a JSON number" },
		{ "01", "begins with 0" },
		{ "1.", "not a JSON number" },
		{ "1e", "not a JSON number" },
		{ "+1", "not a JSON value" },
		{ ".5", "not a JSON value" },
		{ "'a'", "not a JSON value" },
		{ "{a:1}", "double quotes" },
		{ "{\"a\" 1}", "':'" },
		{ "{\"a\":1,}", "double quotes" },
		{ "[1,]", "not a JSON value" },
		{ "[1 2]", "',' or ']'" },
		{ "{\"a\":1 \"b\":2}", "',' or '}'" },
		{ "[1", "',' or ']'" },
		{ "tru", "not a JSON value" },
		{ "/* c */ 1", "not a JSON value" },
		{ "1234567890123456789012345678901234567890123456789012345678901234", "too long" },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_json *root = NULL;
		struct phial_error err = { 0 };

		assert_int_equal(parse(cases[i].text, &root, &err), PHIAL_MALFORMED);
		if (!strstr(err.text, cases[i].reason)) {
			fail_msg("%s: \"%s\"", cases[i].text, err.text);
		}
		assert_null(root);
	}
}

static void S09_refuses_a_raw_nul(void **state)
{
	struct phial_json *root = NULL;

	(void)state;
	assert_int_equal(phial_json_parse((const uint8_t *)"{}\0", 3, &root, NULL),
			 PHIAL_MALFORMED);
	assert_int_equal(phial_json_parse((const uint8_t *)"\"a\0b\"", 5, &root, NULL),
			 PHIAL_MALFORMED);
}

/* before, then count times middle (with a running number if it has %zu's place), then after */
static void assert_bomb_refused(const char *before, const char *middle, size_t count,
				const char *reason)
{
	phial_auto_text struct phial_text text = { .max = 64 * 1024 * 1024 };
	struct phial_json *root = NULL;
	struct phial_error err = { 0 };

	phial_text_add(&text, "%s", before);
	for (size_t i = 0; i < count; i++) {
		phial_text_add(&text, "%s", middle);
	}
	assert_false(text.has_failed);
	assert_int_equal(parse(text.bytes, &root, &err), PHIAL_MALFORMED);
	assert_non_null(strstr(err.text, reason));
}

static void S09_refuses_bombs(void **state)
{
	(void)state;
	assert_bomb_refused("", "[", 100000, "nested too deep");
	assert_bomb_refused("", "{\"a\":", 100000, "nested too deep");
	assert_bomb_refused("{\"a\":1", ",\"a\":1", 1000000, "too many values");
	assert_bomb_refused("[1", ",1", 1000000, "too many values");
}

static void depth_is_counted_exactly(void **state)
{
	char text[2 * PHIAL_JSON_MAX_DEPTH + 3] = { 0 };
	struct phial_json *root = NULL;

	(void)state;
	memset(text, '[', PHIAL_JSON_MAX_DEPTH);
	memset(text + PHIAL_JSON_MAX_DEPTH, ']', PHIAL_JSON_MAX_DEPTH);
	assert_int_equal(parse(text, &root, NULL), PHIAL_OK);
	phial_json_free(root);
	root = NULL;
	memset(text, '[', PHIAL_JSON_MAX_DEPTH + 1);
	memset(text + PHIAL_JSON_MAX_DEPTH + 1, ']', PHIAL_JSON_MAX_DEPTH + 1);
	assert_int_equal(parse(text, &root, NULL), PHIAL_MALFORMED);
}

static void reads_members_by_exact_key(void **state)
{
	phial_auto_json struct phial_json *root = NULL;
	bool flag = false;

	(void)state;
	assert_int_equal(parse("{\"a\":\"x\",\n\"B\":true,\n\n \"c\":[1,\n2]}", &root, NULL),
			 PHIAL_OK);
	assert_string_equal(phial_json_string(phial_json_member(root, "a")), "x");
	assert_null(phial_json_member(root, "b"));
	assert_null(phial_json_member(root, "A"));
	assert_true(phial_json_bool(phial_json_member(root, "B"), &flag));
	assert_true(flag);
	const struct phial_json *list = phial_json_member(root, "c");

	assert_int_equal(phial_json_count(list), 2);
	assert_int_equal(phial_json_line(list), 4);
	assert_string_equal(phial_json_key(list), "c");
	const struct phial_json *second = phial_json_next(phial_json_first(list));

	assert_int_equal(phial_json_line(second), 5);
	assert_null(phial_json_key(second));
	assert_null(phial_json_next(second));
	assert_null(phial_json_string(list));
	assert_null(phial_json_member(list, "a"));
	assert_null(phial_json_member(NULL, "a"));
	assert_int_equal(phial_json_count(NULL), 0);
}

static void integers_are_whole_and_exact(void **state)
{
	static const struct {
		const char *text;
		bool is_good;
		int64_t value;
	} cases[] = {
		{ "0", true, 0 },
		{ "-1", true, -1 },
		{ "9007199254740991", true, INT64_C(9007199254740991) },
		{ "9007199254740993", false, 0 },
		{ "18446744073709551615", false, 0 },
		{ "1e400", false, 0 },
		{ "1.0", false, 0 },
		{ "1e3", false, 0 },
		{ "\"1\"", false, 0 },
		{ "true", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		phial_auto_json struct phial_json *root = NULL;
		int64_t value = 77;

		assert_int_equal(parse(cases[i].text, &root, NULL), PHIAL_OK);
		assert_int_equal(phial_json_integer(root, INT64_MIN, INT64_MAX, &value),
				 cases[i].is_good);
		assert_int_equal(value, cases[i].is_good ? cases[i].value : 77);
	}
	phial_auto_json struct phial_json *root = NULL;
	int64_t value;

	assert_int_equal(parse("5", &root, NULL), PHIAL_OK);
	assert_false(phial_json_integer(root, 6, 9, &value));
	assert_false(phial_json_integer(root, 1, 4, &value));
	assert_true(phial_json_integer(root, 5, 5, &value));
}

static void builds_and_prints(void **state)
{
	phial_auto_json struct phial_json *root = phial_json_new_object();
	struct phial_json *list = phial_json_add_array(root, "list");
	struct phial_json *inner = phial_json_add_object(list, NULL);
	phial_auto_free char *text = NULL;

	(void)state;
	phial_json_add_string(inner, "s", "a\"b\n\xff\xc3\xa9");
	phial_json_add_integer(inner, "big", INT64_C(1000000000000000));
	phial_json_add_integer(inner, "less", -1);
	phial_json_add_bool(inner, "yes", true);
	phial_json_add_null(list, NULL);
	assert_int_equal(phial_json_print(root, &text, NULL), PHIAL_OK);
	assert_string_equal(text,
			    "{\"list\":[{\"s\":\"a\\\"b\\n?\xc3\xa9\",\"big\":1000000000000000,"
			    "\"less\":-1,\"yes\":true},null]}");
	phial_auto_json struct phial_json *again = NULL;

	assert_int_equal(parse(text, &again, NULL), PHIAL_OK);
}

static void copies_what_was_parsed(void **state)
{
	static const char document[] =
		"{\"a\":{\"n\":1000000000000000,\"f\":0.5,\"l\":[-7,\"x\"]}}";
	phial_auto_json struct phial_json *parsed = NULL;
	phial_auto_json struct phial_json *root = phial_json_new_object();
	phial_auto_free char *text = NULL;

	(void)state;
	assert_int_equal(parse(document, &parsed, NULL), PHIAL_OK);
	const struct phial_json *inner = phial_json_member(parsed, "a");
	struct phial_json *list = phial_json_add_array(root, "b");

	phial_json_add_copy(list, NULL, phial_json_member(inner, "l"));
	phial_json_add_copy(root, "c", inner);
	phial_json_add_copy(root, "d", NULL);
	assert_int_equal(phial_json_print(root, &text, NULL), PHIAL_OK);
	assert_string_equal(text, "{\"b\":[[-7,\"x\"]],\"c\":{\"n\":1000000000000000,\"f\":0.5,"
				  "\"l\":[-7,\"x\"]},\"d\":null}");
	phial_auto_json struct phial_json *again = NULL;

	assert_int_equal(parse(text, &again, NULL), PHIAL_OK);
	phial_json_add_copy(NULL, "e", inner);
}

static void printing_nothing_fails(void **state)
{
	char *text = NULL;

	(void)state;
	phial_json_add_string(NULL, "a", "b");
	assert_null(phial_json_add_object(NULL, "a"));
	assert_int_equal(phial_json_print(NULL, &text, NULL), PHIAL_SYSTEM);
	assert_null(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_every_kind),
		cmocka_unit_test(S09_refuses_what_is_not_strict),
		cmocka_unit_test(S09_refuses_a_raw_nul),
		cmocka_unit_test(S09_refuses_bombs),
		cmocka_unit_test(depth_is_counted_exactly),
		cmocka_unit_test(reads_members_by_exact_key),
		cmocka_unit_test(integers_are_whole_and_exact),
		cmocka_unit_test(builds_and_prints),
		cmocka_unit_test(copies_what_was_parsed),
		cmocka_unit_test(printing_nothing_fails),
	};

	return cmocka_run_group_tests_name("json_json", tests, NULL, NULL);
}
