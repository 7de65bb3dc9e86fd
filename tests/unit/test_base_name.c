/* SPDX-License-Identifier: ISC */
/* The grammar of names and patterns. Attack S-13. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <phial/sealed.h>

#include "base/cleanup.h"

#define A62 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A63 A62 "a"

static void S13_names(void **state)
{
	static const struct {
		const char *name;
		bool is_good;
	} cases[] = {
		{ "a", true },
		{ "web/db_password", true },
		{ "0/1/2/3", true },
		{ "A.b_c-d", true },
		{ "a..b", true },
		{ A63 "/" A63 "/" A63 "/12345678", true },   /* 200 bytes */
		{ A63 "/" A63 "/" A63 "/123456789", false }, /* 201 */
		{ A63 "a", false },			     /* a component of 64 */
		{ "", false },
		{ "/", false },
		{ "/a", false },
		{ "a/", false },
		{ "a//b", false },
		{ ".", false },
		{ "..", false },
		{ "a/../b", false },
		{ ".a", false },
		{ "_a", false },
		{ "-a", false },
		{ "a/.b", false },
		{ "a/-b", false },
		{ "0/1/2/3/4", false },
		{ "a b", false },
		{ "a\nb", false },
		{ "a\x1b[31m", false },
		{ "a\x7f", false },
		{ "a\xc3\xa9", false },
		{ "a\xe2\x80\xae"
		  "b",
		  false }, /* right-to-left override */
		{ "a*", false },
		{ "a\\b", false },
		{ "a:b", false },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_error err = { 0 };
		enum phial_status status = phial_name_check(cases[i].name, &err);

		if (status != (cases[i].is_good ? PHIAL_OK : PHIAL_BAD_NAME)) {
			fail_msg("\"%s\": %s", cases[i].name, err.text);
		}
		/* A message can never be cut in two or coloured by a name. */
		for (const char *c = err.text; *c != '\0'; c++) {
			assert_true(*c >= 0x20 && *c < 0x7f);
		}
	}
}

static void S13_a_name_of_a_million_bytes(void **state)
{
	static char name[1000001];

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	assert_int_equal(phial_name_check(name, NULL), PHIAL_BAD_NAME);
	assert_int_equal(phial_pattern_check(name, NULL), PHIAL_BAD_NAME);
}

static void patterns(void **state)
{
	static const struct {
		const char *pattern;
		bool is_good;
	} cases[] = {
		{ "*", true },	 { "web/*", true }, { "*/a", true },	    { "a*b*c/d*", true },
		{ "**", true },	 { "a", true },	    { "*.key", true },	    { "", false },
		{ "/*", false }, { "*/", false },   { "../*", false },	    { ".*", false },
		{ "a?", false }, { "[a]", false },  { "*/*/*/*/*", false },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		if (phial_pattern_check(cases[i].pattern, NULL) !=
		    (cases[i].is_good ? PHIAL_OK : PHIAL_BAD_NAME)) {
			fail_msg("\"%s\"", cases[i].pattern);
		}
	}
}

static void matches(void **state)
{
	static const struct {
		const char *pattern;
		const char *name;
		bool does_match;
	} cases[] = {
		{ "a", "a", true },	      { "a", "b", false },
		{ "a", "ab", false },	      { "ab", "a", false },
		{ "*", "a", true },	      { "*", "abc", true },
		{ "*", "a/b", false },	      { "web/*", "web/a", true },
		{ "web/*", "web", false },    { "web/*", "web/a/b", false },
		{ "web/*", "web2/a", false }, { "*/a", "web/a", true },
		{ "*/a", "web/b/a", false },  { "*/*", "web/a", true },
		{ "*/*", "web", false },      { "a*", "a", true },
		{ "a*c", "abc", true },	      { "a*c", "ac", true },
		{ "a*c", "abcbc", true },     { "a*c", "abcb", false },
		{ "a*b*c", "aXbYc", true },   { "a*b*c", "aXcYb", false },
		{ "*a/b", "xa/b", true },     { "*a/b", "xa/ab", false },
		{ "*b/*b", "ab/ab", true },   { "*b/*b", "ab/ba", false },
		{ "w*/x", "w/x", true },      { "w*x", "w/x", false },
		{ "**", "a", true },	      { "a**b", "ab", true },
		{ "Web/*", "web/a", false },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		if (phial_pattern_matches(cases[i].pattern, cases[i].name) != cases[i].does_match) {
			fail_msg("%s and %s", cases[i].pattern, cases[i].name);
		}
	}
}

/* Many stars against a name that almost matches: the matcher must not try all ways. */
static void a_costly_pattern_ends(void **state)
{
	static const char pattern[] = "a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b";

	(void)state;
	assert_int_equal(phial_pattern_check(pattern, NULL), PHIAL_OK);
	assert_false(phial_pattern_matches(pattern, A63));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(S13_names),
		cmocka_unit_test(S13_a_name_of_a_million_bytes),
		cmocka_unit_test(patterns),
		cmocka_unit_test(matches),
		cmocka_unit_test(a_costly_pattern_ends),
	};

	return cmocka_run_group_tests_name("base_name", tests, NULL, NULL);
}
