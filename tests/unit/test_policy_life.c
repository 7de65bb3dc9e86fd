/* SPDX-License-Identifier: ISC */
/* policy.json: the life of secrets, what each key may say, and what cannot be had together. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/signal_name.h"
#include "policy/policy.h"

#define DAY_S INT64_C(86400)

/* Parse a policy whose only workload "w" has this entry. */
static enum phial_status parse(const char *entry, struct phial_policy *ret,
			       struct phial_text *problems)
{
	phial_auto_text struct phial_text text = { .max = 65536 };

	phial_text_add(&text, "{\"phial\":\"policy v1\",\"serial\":1,\"workloads\":{\"w\":%s}}",
		       entry);
	assert_false(text.has_failed);
	return phial_policy_parse((const uint8_t *)text.bytes, text.length, ret, problems, NULL);
}

/* The life of a good entry. */
static struct phial_life life_of(const char *entry)
{
	phial_auto_text struct phial_text problems = { .max = 65536 };
	struct phial_policy policy = { 0 };
	enum phial_status status = parse(entry, &policy, &problems);

	if (status != PHIAL_OK) {
		fail_msg("%s: %s", entry, problems.bytes);
	}
	struct phial_life life = *phial_workload_life(phial_policy_find(&policy, "w"));

	phial_policy_free(&policy);
	return life;
}

static void the_convention(void **state)
{
	struct phial_life written = life_of("{}");
	const struct phial_life *life = phial_workload_life(NULL);

	(void)state;
	assert_int_equal(life->keep, PHIAL_KEEP_FOREVER);
	assert_int_equal(life->keep_ms, 0);
	assert_int_equal(life->linger_ms, 0);
	assert_int_equal(life->grace_ms, 30000);
	assert_int_equal(life->ttl_s, 0);
	assert_int_equal(life->warn_before_s, 7 * DAY_S);
	assert_int_equal(life->notify_signal, 0);
	assert_string_equal(life->notify_process, "");
	assert_int_equal(written.keep, life->keep);
	assert_int_equal(written.grace_ms, life->grace_ms);
	assert_int_equal(written.warn_before_s, life->warn_before_s);
	assert_int_equal(written.notify_signal, life->notify_signal);
}

static void keep_and_linger(void **state)
{
	static const struct {
		const char *entry;
		enum phial_keep keep;
		int64_t keep_ms, linger_ms;
	} cases[] = {
		{ "{\"keep\":\"forever\"}", PHIAL_KEEP_FOREVER, 0, 0 },
		{ "{\"keep\":\"60s\"}", PHIAL_KEEP_TIME, 60000, 0 },
		{ "{\"keep\":\"1s\"}", PHIAL_KEEP_TIME, 1000, 0 },
		{ "{\"keep\":\"until-ready\"}", PHIAL_KEEP_UNTIL_READY, 0, 0 },
		{ "{\"keep\":\"until-ready\",\"linger\":\"250ms\"}", PHIAL_KEEP_UNTIL_READY, 0,
		  250 },
		{ "{\"keep\":\"until-read\"}", PHIAL_KEEP_UNTIL_READ, 0, 5000 },
		{ "{\"linger\":\"0s\",\"keep\":\"until-read\"}", PHIAL_KEEP_UNTIL_READ, 0, 0 },
		{ "{\"keep\":\"until-read\",\"linger\":\"1d\"}", PHIAL_KEEP_UNTIL_READ, 0,
		  DAY_S * 1000 },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_life life = life_of(cases[i].entry);

		assert_int_equal(life.keep, cases[i].keep);
		assert_int_equal(life.keep_ms, cases[i].keep_ms);
		assert_int_equal(life.linger_ms, cases[i].linger_ms);
	}
}

static void grace_and_ttl(void **state)
{
	struct phial_life life = life_of("{\"grace\":\"0s\",\"ttl\":\"30d\"}");

	(void)state;
	assert_int_equal(life.grace_ms, 0);
	assert_int_equal(life.ttl_s, 30 * DAY_S);
	assert_int_equal(life.warn_before_s, 7 * DAY_S);
	/* Only a grace that somebody wrote can contradict; and a short ttl warns late. */
	life = life_of("{\"keep\":\"5s\",\"ttl\":\"1m\"}");
	assert_int_equal(life.grace_ms, 30000);
	assert_int_equal(life.warn_before_s, 15);
	life = life_of("{\"keep\":\"1h\",\"grace\":\"1h\",\"ttl\":\"1h\","
		       "\"warn_before\":\"1h\"}");
	assert_int_equal(life.grace_ms, 3600000);
	assert_int_equal(life.warn_before_s, 3600);
	/* Without a ttl it is about the secrets' own end. */
	assert_int_equal(life_of("{\"warn_before\":\"90d\"}").warn_before_s, 90 * DAY_S);
	assert_int_equal(life_of("{\"warn_before\":\"0s\"}").warn_before_s, 0);
}

static void notify(void **state)
{
	static const struct {
		const char *entry;
		int signal;
		const char *process;
	} cases[] = {
		{ "{\"notify\":\"SIGHUP\"}", SIGHUP, "" },
		{ "{\"notify\":{\"signal\":\"SIGUSR2\"}}", SIGUSR2, "" },
		{ "{\"notify\":{\"process\":\"nginx\",\"signal\":\"SIGWINCH\"}}", SIGWINCH,
		  "nginx" },
		{ "{\"notify\":{\"signal\":\"SIGHUP\",\"process\":\"exactly15bytes!\"}}", SIGHUP,
		  "exactly15bytes!" },
		{ "{\"notify\":{\"signal\":\"SIGHUP\",\"process\":\"tmux: server\"}}", SIGHUP,
		  "tmux: server" },
		{ "{\"notify\":\"SIGRTMIN+3\",\"keep\":\"1h\"}", 37, "" },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_life life = life_of(cases[i].entry);

		assert_int_equal(life.notify_signal, cases[i].signal);
		assert_string_equal(life.notify_process, cases[i].process);
	}
}

static void signals_by_name(void **state)
{
	static const struct {
		const char *name;
		int number;
	} cases[] = {
		{ "SIGHUP", 1 },       { "SIGINT", 2 },	     { "SIGQUIT", 3 },
		{ "SIGUSR1", 10 },     { "SIGUSR2", 12 },    { "SIGTERM", 15 },
		{ "SIGCONT", 18 },     { "SIGWINCH", 28 },   { "SIGRTMIN+0", 34 },
		{ "SIGRTMIN+30", 64 }, { "SIGRTMIN+31", 0 }, { "SIGRTMIN", 0 },
		{ "SIGRTMIN+", 0 },    { "SIGRTMIN+-1", 0 }, { "SIGRTMIN+01", 0 },
		{ "SIGRTMAX", 0 },     { "SIGKILL", 0 },     { "SIGSTOP", 0 },
		{ "SIGSEGV", 0 },      { "SIGCHLD", 0 },     { "HUP", 0 },
		{ "sighup", 0 },       { "1", 0 },	     { "", 0 },
	};
	char name[PHIAL_SIGNAL_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		assert_int_equal(phial_signal_parse(cases[i].name), cases[i].number);
		if (cases[i].number != 0) {
			phial_signal_format(cases[i].number, name);
			assert_string_equal(name, cases[i].name);
		}
	}
	phial_signal_format(9, name);
	assert_string_equal(name, "9");
}

#define TIME_WANTED "must be a string with a whole number and ms, s, m, h or d"

static void names_each_problem(void **state)
{
	static const struct {
		const char *entry;
		const char *problem;
	} cases[] = {
		{ "{\"keep\":\"until-redy\"}", "keep must be \"forever\"" },
		{ "{\"keep\":60}", "keep must be" },
		{ "{\"keep\":\"60\"}", "keep must be" },
		{ "{\"keep\":\"0s\"}", "from \"1s\" to \"3650d\"" },
		{ "{\"keep\":\"999ms\"}", "keep must be" },
		{ "{\"keep\":\"3651d\"}", "keep must be" },
		{ "{\"keep\":null}", "keep must be" },
		{ "{\"grace\":30}", "grace " TIME_WANTED ", from \"0s\" to \"1h\"" },
		{ "{\"grace\":\"61m\"}", "grace " TIME_WANTED },
		{ "{\"linger\":\"25h\",\"keep\":\"until-read\"}",
		  "linger " TIME_WANTED ", from \"0s\" to \"1d\"" },
		{ "{\"ttl\":\"59s\"}", "ttl " TIME_WANTED ", from \"1m\" to \"3650d\"" },
		{ "{\"ttl\":\"60001ms\"}", "ttl must be whole seconds" },
		{ "{\"warn_before\":\"1ms\"}", "warn_before must be whole seconds" },
		{ "{\"warn_before\":\"-1s\"}", "warn_before " TIME_WANTED },
		{ "{\"warn-before\":\"1s\"}", "did you mean \"warn_before\"?" },
		{ "{\"notify\":\"SIGKILL\"}", "no program can answer SIGKILL" },
		{ "{\"notify\":{\"signal\":\"SIGSTOP\"}}", "no program can answer SIGSTOP" },
		{ "{\"notify\":\"HUP\"}", "a signal is SIGHUP" },
		{ "{\"notify\":1}", "a signal or {\"signal\", \"process\"} is expected" },
		{ "{\"notify\":{}}", "a signal is SIGHUP" },
		{ "{\"notify\":{\"process\":\"nginx\"}}", "a signal is SIGHUP" },
		{ "{\"notify\":{\"signal\":\"SIGHUP\",\"proces\":\"x\"}}",
		  "did you mean \"process\"?" },
		{ "{\"notify\":{\"signal\":\"SIGHUP\",\"process\":\"\"}}", "process must be" },
		{ "{\"notify\":{\"signal\":\"SIGHUP\",\"process\":\"sixteen-bytes-xx\"}}",
		  "process must be" },
		{ "{\"notify\":{\"signal\":\"SIGHUP\",\"process\":\"a\\nb\"}}", "process must be" },
		{ "{\"notify\":{\"signal\":\"SIGHUP\",\"process\":7}}", "process must be" },
		{ "{\"linger\":\"5s\"}", "linger has a meaning only with keep" },
		{ "{\"linger\":\"5s\",\"keep\":\"60s\"}", "linger has a meaning only with keep" },
		{ "{\"keep\":\"until-ready\",\"notify\":\"SIGHUP\"}",
		  "notify cannot be had with keep \"until-ready\"" },
		{ "{\"keep\":\"until-read\",\"notify\":\"SIGHUP\"}",
		  "notify cannot be had with keep \"until-read\"" },
		{ "{\"keep\":\"10s\",\"grace\":\"11s\"}",
		  "grace cannot be longer than keep (\"10s\")" },
		{ "{\"ttl\":\"1m\",\"grace\":\"2m\"}", "grace cannot be longer than ttl (\"1m\")" },
		{ "{\"ttl\":\"3d\",\"warn_before\":\"4d\"}",
		  "warn_before cannot be longer than ttl (\"3d\")" },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		phial_auto_text struct phial_text problems = { .max = 65536 };
		struct phial_policy policy = { 0 };

		assert_int_equal(parse(cases[i].entry, &policy, &problems), PHIAL_MALFORMED);
		if (!problems.bytes || !strstr(problems.bytes, cases[i].problem)) {
			fail_msg("%s: %s", cases[i].entry, problems.bytes);
		}
		assert_null(policy.workloads);
	}
}

static void lists_all_problems_with_their_lines(void **state)
{
	phial_auto_text struct phial_text problems = { .max = 65536 };
	struct phial_policy policy = { 0 };

	(void)state;
	assert_int_equal(parse("{\n\"grace\":\"2h\",\n\"keep\":1,\n\"ttl\":\"1s\",\n"
			       "\"notify\":\"HUP\"}",
			       &policy, &problems),
			 PHIAL_MALFORMED);
	assert_non_null(strstr(problems.bytes, "line 2: grace"));
	assert_non_null(strstr(problems.bytes, "line 3: keep"));
	assert_non_null(strstr(problems.bytes, "line 4: ttl"));
	assert_non_null(strstr(problems.bytes, "line 5: a signal"));
	phial_text_free(&problems);
	problems.has_failed = false;
	assert_int_equal(parse("{\"keep\":\"1m\",\n\"grace\":\"2m\",\n\"linger\":\"1s\"}", &policy,
			       &problems),
			 PHIAL_MALFORMED);
	assert_non_null(strstr(problems.bytes, "line 2: grace cannot"));
	assert_non_null(strstr(problems.bytes, "line 3: linger has"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_convention),
		cmocka_unit_test(keep_and_linger),
		cmocka_unit_test(grace_and_ttl),
		cmocka_unit_test(notify),
		cmocka_unit_test(signals_by_name),
		cmocka_unit_test(names_each_problem),
		cmocka_unit_test(lists_all_problems_with_their_lines),
	};

	return cmocka_run_group_tests_name("policy_life", tests, NULL, NULL);
}
