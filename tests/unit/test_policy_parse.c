/* SPDX-License-Identifier: ISC */
/* policy.json: what it may say, and every problem named with its line at once (S-09, S-13). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

static enum phial_status parse(const char *text, struct phial_policy *ret,
			       struct phial_text *problems, struct phial_error *err)
{
	return phial_policy_parse((const uint8_t *)text, strlen(text), ret, problems, err);
}

static void reads_a_whole_policy(void **state)
{
	static const char text[] =
		"{\"phial\":\"policy v1\",\"serial\":7,\"workloads\":{\n"
		"\"web\":{\"secrets\":[{\"name\":\"shared/tls.key\",\"file\":\"key\","
		"\"owner\":\"101:102\",\"mode\":\"0440\",\"required\":false},\"web/*\"],"
		"\"target\":\"/etc/secrets\",\"owner\":\"5:6\",\"size\":65536,"
		"\"gates\":[\"non_root\",\"seccomp\"],\"over\":true},\n"
		"\"db\":{}}}";
	struct phial_policy policy = { 0 };

	(void)state;
	assert_int_equal(parse(text, &policy, NULL, NULL), PHIAL_OK);
	assert_int_equal(policy.serial, 7);
	assert_int_equal(policy.workload_count, 2);
	const struct phial_workload *web = phial_policy_find(&policy, "web");

	assert_non_null(web);
	assert_string_equal(phial_workload_target(web), "/etc/secrets");
	assert_int_equal(web->owner_uid, 5);
	assert_int_equal(web->owner_gid, 6);
	assert_int_equal(web->size_bytes, 65536);
	assert_int_equal(phial_workload_gates(web), PHIAL_GATE_NON_ROOT | PHIAL_GATE_SECCOMP);
	assert_true(web->may_mount_over);
	assert_int_equal(web->rule_count, 2);
	assert_string_equal(web->rules[0].pattern, "shared/tls.key");
	assert_string_equal(web->rules[0].file, "key");
	assert_int_equal(web->rules[0].mode, 0440);
	assert_int_equal(web->rules[0].owner_uid, 101);
	assert_int_equal(web->rules[0].owner_gid, 102);
	assert_false(web->rules[0].is_required);
	assert_string_equal(web->rules[1].pattern, "web/*");
	assert_null(web->rules[1].file);
	assert_int_equal(web->rules[1].mode, PHIAL_MODE_UNSET);
	assert_int_equal(web->rules[1].owner_uid, PHIAL_ID_UNSET);
	assert_true(web->rules[1].is_required);
	const struct phial_workload *db = phial_policy_find(&policy, "db");

	assert_non_null(db);
	assert_int_equal(db->rule_count, 0);
	assert_string_equal(phial_workload_target(db), PHIAL_DEFAULT_TARGET);
	assert_int_equal(phial_workload_gates(db), PHIAL_DEFAULT_GATES);
	assert_null(phial_policy_find(&policy, "we"));
	phial_policy_free(&policy);
}

static void no_file_is_the_empty_policy(void **state)
{
	struct phial_policy policy = { .serial = 9 };

	(void)state;
	assert_int_equal(phial_policy_parse(NULL, 0, &policy, NULL, NULL), PHIAL_OK);
	assert_int_equal(policy.serial, 0);
	assert_null(phial_policy_find(&policy, "web"));
	assert_string_equal(phial_workload_target(NULL), PHIAL_DEFAULT_TARGET);
	assert_int_equal(phial_workload_gates(NULL), PHIAL_DEFAULT_GATES);
}

#define HEAD "{\"phial\":\"policy v1\",\"serial\":1,\"workloads\":{\"w\":"

static void names_each_problem(void **state)
{
	static const struct {
		const char *text;
		const char *problem;
	} cases[] = {
		{ "", "line 1: the document ends" },
		{ "[]", "an object is expected" },
		{ "{\"serial\":1,\"workloads\":{}}", "\"phial\" must be" },
		{ "{\"phial\":\"policy v2\",\"serial\":1,\"workloads\":{}}", "\"phial\" must be" },
		{ "{\"phial\":\"policy v1\",\"serial\":0,\"workloads\":{}}", "\"serial\"" },
		{ "{\"phial\":\"policy v1\",\"serial\":1e3,\"workloads\":{}}", "\"serial\"" },
		{ "{\"phial\":\"policy v1\",\"serial\":1}", "\"workloads\" is missing" },
		{ "{\"phial\":\"policy v1\",\"serial\":1,\"workloads\":[]}",
		  "object of workloads" },
		{ "{\"phial\":\"policy v1\",\"serial\":1,\"workload\":{},\"workloads\":{}}",
		  "unknown key \"workload\", did you mean \"workloads\"?" },
		{ "{\"phial\":\"policy v1\",\"serial\":1,\"workloads\":{\"a/b\":{}}}", "'/'" },
		{ "{\"phial\":\"policy v1\",\"serial\":1,\"workloads\":{\"..\":{}}}",
		  "begin with" },
		{ "{\"phial\":\"policy v1\",\"serial\":1,\"workloads\":{\"a\":{},\"a\":{}}}",
		  "the same key" },
		{ HEAD "[]}}", "an object is expected" },
		{ HEAD "{\"Target\":\"/a\"}}}",
		  "unknown key \"Target\", did you mean \"target\"?" },
		{ HEAD "{\"secrets\":\"web/*\"}}}", "a list of secrets" },
		{ HEAD "{\"secrets\":[]}}}", "an empty list" },
		{ HEAD "{\"secrets\":[7]}}}", "a name, a pattern or an object" },
		{ HEAD "{\"secrets\":[\"../x\"]}}}", "not a name pattern" },
		{ HEAD "{\"secrets\":[{}]}}}", "needs a \"name\"" },
		{ HEAD "{\"secrets\":[{\"name\":7}]}}}", "needs a \"name\"" },
		{ HEAD "{\"secrets\":[{\"name\":\"a\",\"files\":\"b\"}]}}}",
		  "unknown key \"files\"" },
		{ HEAD "{\"secrets\":[{\"name\":\"a\",\"file\":\"b/c\"}]}}}", "file must be" },
		{ HEAD "{\"secrets\":[{\"name\":\"a\",\"file\":\"..\"}]}}}", "file must be" },
		{ HEAD "{\"secrets\":[{\"name\":\"a/*\",\"file\":\"b\"}]}}}", "cannot share" },
		{ HEAD "{\"secrets\":[{\"name\":\"a\",\"mode\":\"400\"}]}}}", "mode must be" },
		{ HEAD "{\"secrets\":[{\"name\":\"a\",\"mode\":256}]}}}", "mode must be" },
		{ HEAD "{\"secrets\":[{\"name\":\"a\",\"mode\":\"04755\"}]}}}", "mode must be" },
		{ HEAD "{\"secrets\":[{\"name\":\"a\",\"owner\":\"root\"}]}}}", "owner must be" },
		{ HEAD "{\"secrets\":[{\"name\":\"a\",\"owner\":\"1:4294967295\"}]}}}",
		  "owner must be" },
		{ HEAD "{\"secrets\":[{\"name\":\"a\",\"required\":\"no\"}]}}}",
		  "required must be true or false" },
		{ HEAD "{\"secrets\":[\"a/*\",{\"name\":\"a/b\",\"mode\":\"0444\"}]}}}",
		  "\"a/b\" is taken by \"a/*\" before it" },
		{ HEAD "{\"secrets\":[\"a/b\",\"a/b\"]}}}", "\"a/b\" is taken by \"a/b\"" },
		{ HEAD "{\"target\":\"run\"}}}", "absolute path" },
		{ HEAD "{\"target\":\"/\"}}}", "absolute path" },
		{ HEAD "{\"target\":\"/run/\"}}}", "component" },
		{ HEAD "{\"target\":\"/run/../etc\"}}}", "component" },
		{ HEAD "{\"target\":\"//run\"}}}", "component" },
		{ HEAD "{\"target\":\"/a\\nb\"}}}", "printable" },
		{ HEAD "{\"target\":\"/proc/1\"}}}", "/proc, /sys or /dev" },
		{ HEAD "{\"target\":\"/dev\"}}}", "/proc, /sys or /dev" },
		{ HEAD "{\"target\":7}}}", "target must be a string" },
		{ HEAD "{\"size\":0}}}", "size must be" },
		{ HEAD "{\"size\":\"64k\"}}}", "size must be" },
		{ HEAD "{\"size\":18446744073709551615}}}", "size must be" },
		{ HEAD "{\"gates\":\"non_root\"}}}", "a list of gates" },
		{ HEAD "{\"gates\":[\"root\"]}}}", "unknown gate \"root\"" },
		{ HEAD "{\"gates\":[1]}}}", "unknown gate" },
		{ HEAD "{\"gates\":[\"seccomp\",\"seccomp\"]}}}", "stands twice" },
		{ HEAD "{\"over\":1}}}", "over must be true or false" },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		phial_auto_text struct phial_text problems = { .max = 65536 };
		struct phial_policy policy = { 0 };
		struct phial_error err = { 0 };

		assert_int_equal(parse(cases[i].text, &policy, &problems, &err), PHIAL_MALFORMED);
		if (!problems.bytes || !strstr(problems.bytes, cases[i].problem) ||
		    !strstr(err.text, cases[i].problem)) {
			fail_msg("%s: %s / %s", cases[i].text, problems.bytes, err.text);
		}
		assert_null(policy.workloads);
	}
}

static void lists_all_problems_with_their_lines(void **state)
{
	static const char text[] = "{\n"
				   " \"phial\": \"policy v1\",\n"
				   " \"serial\": 0,\n"
				   " \"workloads\": {\n"
				   "  \"web\": {\n"
				   "   \"gate\": [],\n"
				   "   \"secrets\": [\n"
				   "    \"web/*\",\n"
				   "    \"-x\"\n"
				   "   ],\n"
				   "   \"over\": null\n"
				   "  }\n"
				   " }\n"
				   "}\n";
	phial_auto_text struct phial_text problems = { .max = 65536 };
	struct phial_policy policy = { 0 };
	struct phial_error err = { 0 };

	(void)state;
	assert_int_equal(parse(text, &policy, &problems, &err), PHIAL_MALFORMED);
	assert_string_equal(
		problems.bytes,
		"line 3: \"serial\" must be a number from 1 that grows with each change\n"
		"line 6: unknown key \"gate\", did you mean \"gates\"?\n"
		"line 9: \"-x\" is not a name pattern: a component must begin with a "
		"letter or a digit\n"
		"line 11: over must be true or false\n");
	assert_non_null(strstr(err.text, "policy.json: line 3: "));
	assert_non_null(strstr(err.text, "and 3 more"));
	assert_int_equal(parse(text, &policy, NULL, NULL), PHIAL_MALFORMED);
}

/* A file full of problems: the caller's limit is an answer, not a crash. */
static void too_many_problems_to_list(void **state)
{
	phial_auto_text struct phial_text problems = { .max = 40 };
	struct phial_policy policy = { 0 };

	(void)state;
	assert_int_equal(parse("{\"phial\":1}", &policy, &problems, NULL), PHIAL_SYSTEM);
	assert_null(policy.workloads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_whole_policy),
		cmocka_unit_test(no_file_is_the_empty_policy),
		cmocka_unit_test(names_each_problem),
		cmocka_unit_test(lists_all_problems_with_their_lines),
		cmocka_unit_test(too_many_problems_to_list),
	};

	return cmocka_run_group_tests_name("policy_parse", tests, NULL, NULL);
}
