/* SPDX-License-Identifier: ISC */
/*
 * What /etc/subuid gives to whom, and where a user's agent has its files. The namespace itself is
 * tests/e2e/rootless.sh's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "agent/options.h"
#include "agent/user.h"
#include "base/cleanup.h"
#include "base/text.h"

static struct phial_subids parse(const char *text)
{
	struct phial_subids subids;

	phial_subids_parse(phial_span_of(text), "ann", 1000, &subids);
	return subids;
}

static void finds_own_ranges_in_order(void **state)
{
	const struct phial_subids subids = parse("bob:100000:65536\n"
						 "ann:300000:65536\n"
						 "anna:1:1\n"
						 "1000:165536:10\n"
						 "10000:5:5\n"
						 "ann:7:1");

	(void)state;
	assert_int_equal(subids.count, 3);
	assert_int_equal(subids.ranges[0].first, 300000);
	assert_int_equal(subids.ranges[0].count, 65536);
	assert_int_equal(subids.ranges[1].first, 165536);
	assert_int_equal(subids.ranges[1].count, 10);
	assert_int_equal(subids.ranges[2].first, 7);
	assert_int_equal(subids.ranges[2].count, 1);
}

static void passes_over_what_is_no_range(void **state)
{
	static const char *const cases[] = {
		"",
		"\n",
		"ann",
		"ann:",
		"ann::",
		"ann:1",
		"ann:1:",
		"ann:0:65536", /* root */
		"ann:1:0",
		"ann:1:-1",
		"ann:1: 1",
		"ann:1:1:1",
		"ann:x:1",
		"ann:4294967295:1",
		"ann:4294967290:6",
		" ann:1:1",
		"#ann:1:1",
		":1:1",
		"01000:1:1",
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		if (parse(cases[i]).count != 0) {
			fail_msg("taken: \"%s\"", cases[i]);
		}
	}
	assert_int_equal(parse("ann:4294967290:5").count, 1);
}

static void stops_at_the_last_that_fits(void **state)
{
	phial_auto_text struct phial_text text = { .max = 4096 };

	(void)state;
	for (int i = 1; i <= PHIAL_SUBIDS_MAX + 3; i++) {
		phial_text_add(&text, "ann:%d:1\n", i * 10);
	}
	const struct phial_subids subids = parse(text.bytes);

	assert_int_equal(subids.count, PHIAL_SUBIDS_MAX);
	assert_int_equal(subids.ranges[PHIAL_SUBIDS_MAX - 1].first, PHIAL_SUBIDS_MAX * 10);
}

/* The command line of a user's agent; needs a uid that has a name, and is not root's. */
static enum phial_status parse_options(const char *more, struct phial_agent_options *ret_options)
{
	char program[] = "phiald";
	char user[] = "--user";
	static char option[64]; /* options point into it */
	char *argv[] = { program, user, option, NULL };

	(void)snprintf(option, sizeof(option), "%s", *more == '\0' ? "--help" : more);
	optind = 1;
	return phial_agent_options_parse(*more == '\0' ? 2 : 3, argv, ret_options, NULL);
}

static void paths_are_the_users(void **state)
{
	struct phial_agent_options options;
	const uid_t before = geteuid();

	(void)state;
	if (before == 0 && seteuid(1) != 0) {
		skip();
	}
	assert_int_equal(setenv("HOME", "/h", 1), 0);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", "/r", 1), 0);
	assert_int_equal(setenv("XDG_STATE_HOME", "relative", 1), 0);
	assert_int_equal(setenv("XDG_CONFIG_HOME", "/c", 1), 0);
	assert_int_equal(setenv("PHIAL_STORE", "/s", 1), 0);
	enum phial_status status = parse_options("", &options);
	enum phial_status with_worker = parse_options("--worker-user=nobody", &options);

	assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
	enum phial_status without_run_dir = parse_options("", &options);

	status = status == PHIAL_OK ? parse_options("--run-dir=/x", &options) : status;
	assert_int_equal(seteuid(before), 0);
	if (status == PHIAL_NOT_FOUND) {
		skip(); /* nobody has this uid here */
	}
	assert_int_equal(status, PHIAL_OK);
	assert_true(options.is_user);
	assert_string_equal(options.store, "/s");
	assert_string_equal(options.identity, "/c/phial/identity");
	assert_string_equal(options.trust, "/c/phial/trust");
	assert_string_equal(options.state_dir, "/h/.local/state/phial");
	assert_string_equal(options.run_dir, "/x");
	assert_int_equal(with_worker, PHIAL_USAGE);
	assert_int_equal(without_run_dir, PHIAL_USAGE);
}

static void root_has_no_agent_of_a_user(void **state)
{
	struct phial_agent_options options;

	(void)state;
	if (geteuid() != 0) {
		skip();
	}
	assert_int_equal(parse_options("", &options), PHIAL_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_own_ranges_in_order),
		cmocka_unit_test(passes_over_what_is_no_range),
		cmocka_unit_test(stops_at_the_last_that_fits),
		cmocka_unit_test(paths_are_the_users),
		cmocka_unit_test(root_has_no_agent_of_a_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
