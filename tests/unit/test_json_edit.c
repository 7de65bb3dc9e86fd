/* SPDX-License-Identifier: ISC */
/* Other people's documents: one member changes, every other byte stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "json/edit.h"

static const char *const deep[] = { "runtimes", "phial" };
static const char *const flat[] = { "default-runtime" };

static void same(const char *got, const char *wanted)
{
	if (strcmp(got, wanted) != 0) {
		fail_msg("got:\n%s\nwanted:\n%s", got, wanted);
	}
}

/* Each is set, gives what is wanted, and is what it was when the member is removed again. */
static void sets_and_removes(void **state)
{
	static const struct {
		const char *before;
		const char *after;
		const char *removed; /* NULL: as before */
	} cases[] = {
		{ "{}\n", "{\n    \"runtimes\": {\n        \"phial\": 1\n    }\n}\n",
		  "{\n    \"runtimes\": {}\n}\n" },
		{ "{ }", "{\n    \"runtimes\": {\n        \"phial\": 1\n    }\n}",
		  "{\n    \"runtimes\": {}\n}" },
		{ "{\"a\":18446744073709551615}",
		  "{\"a\":18446744073709551615,\"runtimes\": {\"phial\": 1}}",
		  "{\"a\":18446744073709551615,\"runtimes\": {}}" },
		{ "{\n  \"b\": 1e400,\n  \"a\": [1, {\"x\": \"}\\\"\"}]\n}\n",
		  "{\n  \"b\": 1e400,\n  \"a\": [1, {\"x\": \"}\\\"\"}],\n  \"runtimes\": {\n"
		  "    \"phial\": 1\n  }\n}\n",
		  "{\n  \"b\": 1e400,\n  \"a\": [1, {\"x\": \"}\\\"\"}],\n  \"runtimes\": {}\n}\n" },
		{ "{\n\t\"runtimes\": {\n\t\t\"o\": {\"path\": \"/o\"}\n\t},\n\t\"z\": null\n}",
		  "{\n\t\"runtimes\": {\n\t\t\"o\": {\"path\": \"/o\"},\n\t\t\"phial\": 1\n\t},\n"
		  "\t\"z\": null\n}",
		  NULL },
		{ "{\"runtimes\": {}, \"z\": true}",
		  "{\"runtimes\": {\n    \"phial\": 1\n}, \"z\": true}", NULL },
		{ "{\"runtimes\":{\"a\":{}},\"phial\":2}",
		  "{\"runtimes\":{\"a\":{},\"phial\": 1},\"phial\":2}", NULL },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		phial_auto_free char *set = NULL;
		phial_auto_free char *again = NULL;
		phial_auto_free char *removed = NULL;

		assert_int_equal(phial_json_edit_set(cases[i].before, deep, 2, "1", &set, NULL),
				 PHIAL_OK);
		same(set, cases[i].after);
		assert_int_equal(phial_json_edit_set(set, deep, 2, "1", &again, NULL), PHIAL_OK);
		same(again, set);
		assert_int_equal(phial_json_edit_remove(set, deep, 2, &removed, NULL), PHIAL_OK);
		same(removed, cases[i].removed ? cases[i].removed : cases[i].before);
	}
}

static void replaces_and_removes_anywhere(void **state)
{
	static const struct {
		const char *before;
		const char *set;
		const char *removed;
	} cases[] = {
		{ "{\"default-runtime\": \"runc\"}", "{\"default-runtime\": \"x\"}", "{}" },
		{ "{\"default-runtime\" : [1,2] , \"b\": 1}",
		  "{\"default-runtime\" : \"x\" , \"b\": 1}", "{\"b\": 1}" },
		{ "{\"a\": 1,\n \"default-runtime\":\"y\",\n \"b\": 1}",
		  "{\"a\": 1,\n \"default-runtime\":\"x\",\n \"b\": 1}", "{\"a\": 1,\n \"b\": 1}" },
		{ "{\"a\": 1, \"default-runtime\":{}}", "{\"a\": 1, \"default-runtime\":\"x\"}",
		  "{\"a\": 1}" },
		{ " {\"a\": {\"default-runtime\": 1}} ",
		  " {\"a\": {\"default-runtime\": 1},\"default-runtime\": \"x\"} ",
		  " {\"a\": {\"default-runtime\": 1}} " },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		phial_auto_free char *set = NULL;
		phial_auto_free char *removed = NULL;

		assert_int_equal(phial_json_edit_set(cases[i].before, flat, 1, "\"x\"", &set, NULL),
				 PHIAL_OK);
		same(set, cases[i].set);
		assert_int_equal(phial_json_edit_remove(cases[i].before, flat, 1, &removed, NULL),
				 PHIAL_OK);
		same(removed, cases[i].removed);
	}
}

static void refuses(void **state)
{
	static const char *const cases[] = {
		"",
		"[]",
		"\"x\"",
		"{",
		"{\"a\":1,}",
		"{\"a\":1} x",
		"{\"a\":1,\"a\":2}",
		"{\"runtimes\": []}",
		"{\"runtimes\": \"x\"}",
		"{\"runtime\\u0073\": {}}", /* it would be there twice */
		"{\"a\": 1 // comment\n}",
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		char *text = NULL;

		if (phial_json_edit_set(cases[i], deep, 2, "1", &text, NULL) != PHIAL_MALFORMED) {
			fail_msg("%s", cases[i]);
		}
		assert_null(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_and_removes),
		cmocka_unit_test(replaces_and_removes_anywhere),
		cmocka_unit_test(refuses),
	};

	return cmocka_run_group_tests_name("json_edit", tests, NULL, NULL);
}
