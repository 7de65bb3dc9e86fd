/* SPDX-License-Identifier: ISC */
/* Finding commands and parsing their options; nothing of an argument is echoed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "cli/cli.h"

#define CANARY "c4n4ry"

static size_t count_words(char *const words[])
{
	size_t count = 0;

	while (words[count]) {
		count++;
	}
	return count;
}

static void test_find(void **state)
{
	static const struct {
		const char *words[4];
		const char *name; /* NULL: refused */
		const char *says; /* in the refusal */
	} cases[] = {
		{ { "seal", "x" }, "seal", NULL },
		{ { "host", "add", "x" }, "host add", NULL },
		{ { "host", "ls" }, "host ls", NULL },
		{ { "ls", "host" }, "ls", NULL },
		{ { "signer", "keygen" }, "signer keygen", NULL },
		{ { "keygen" }, "keygen", NULL },
		{ { "setup" }, "setup", NULL },
		{ { "setup", "--print" }, "setup", NULL },
		{ { "setup", "podman" }, "setup podman", NULL },
		{ { NULL }, NULL, "no command" },
		{ { "host" }, NULL, "add, ls, rm" },
		{ { "host", "addd" }, NULL, "add, ls, rm" },
		{ { "seall" }, NULL, "\"seal\"" },
		{ { "SEAL" }, NULL, "no such command" },
		{ { CANARY }, NULL, "no such command" },
		{ { "" }, NULL, "no such command" },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		const struct phial_cli_command *command = NULL;
		struct phial_error err = { 0 };
		char *words[4];
		int used = 0;

		memcpy(words, cases[i].words, sizeof(words));
		enum phial_status status =
			phial_cli_find((int)count_words(words), words, &command, &used, &err);

		if (cases[i].name) {
			assert_int_equal(status, PHIAL_OK);
			assert_string_equal(command->name, cases[i].name);
			assert_int_equal(used, strchr(cases[i].name, ' ') ? 2 : 1);
		} else {
			assert_int_equal(status, PHIAL_USAGE);
			assert_non_null(strstr(err.text, cases[i].says));
			assert_null(strstr(err.text, CANARY));
		}
	}
}

static const struct phial_cli_option options[] = {
	{ "flag", 0, false, NULL, "a flag" },
	{ "value", 'v', false, "V", "a value" },
	{ "many", 'm', true, "M", "many values" },
	{ 0 },
};
static const struct phial_cli_command command = {
	.name = "test",
	.operands = "A [B]",
	.summary = "for tests",
	.options = options,
	.operands_min = 1,
	.operands_max = 2,
};

static enum phial_status parse(const char *const given[], struct phial_cli_call *call,
			       struct phial_error *err)
{
	static char *words[16];
	size_t count = 0;

	/* getopt_long() moves the words about, and the call points to them. */
	for (; given[count]; count++) {
		memcpy(&words[count], &given[count], sizeof(words[count]));
	}
	words[count] = NULL;
	return phial_cli_parse(&command, (int)count, words, call, err);
}

static void test_parse(void **state)
{
	const char *const words[] = { "test",	"a", "--value", "x", "-m",	 "1",
				      "--flag", "b", "-m",	"2", "--many=3", NULL };
	struct phial_cli_call call;

	(void)state;
	assert_int_equal(parse(words, &call, NULL), PHIAL_OK);
	assert_string_equal(call.values[0], "");
	assert_string_equal(call.values[1], "x");
	assert_int_equal(call.repeated_count, 3);
	assert_string_equal(call.repeated[0], "1");
	assert_string_equal(call.repeated[2], "3");
	assert_int_equal(call.operand_count, 2);
	assert_string_equal(phial_cli_operand(&call, 0), "a");
	assert_string_equal(phial_cli_operand(&call, 1), "b");
	assert_null(phial_cli_operand(&call, 2));
}

static void test_parse_refuses(void **state)
{
	static const struct {
		const char *words[8];
		const char *says;
	} cases[] = {
		{ { "test" }, "needs: A" },
		{ { "test", "a", "b", CANARY }, "too many" },
		{ { "test", "a", "--" CANARY }, "unknown option" },
		{ { "test", "a", "--" CANARY "=" CANARY }, "unknown option" },
		{ { "test", "a", "-" CANARY }, "unknown option" },
		{ { "test", "a", "--flag=" CANARY }, "option" },
		{ { "test", "a", "--value" }, "needs a value" },
		{ { "test", "a", "--flag", "--flag" }, "--flag is given twice" },
		{ { "test", "a", "-v", CANARY, "-v", CANARY }, "--value is given twice" },
		{ { "test", "--", "a", "--flag", CANARY }, "too many" },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_cli_call call;
		struct phial_error err = { 0 };

		assert_int_equal(parse(cases[i].words, &call, &err), PHIAL_USAGE);
		if (!strstr(err.text, cases[i].says) || strstr(err.text, CANARY)) {
			fail_msg("case %zu: %s", i, err.text);
		}
	}
}

static const struct phial_cli_option no_options[] = {
	{ 0 },
};
static const struct phial_cli_command starter = {
	.name = "start",
	.operands = "[A] -- CMD [ARG...]",
	.options = no_options,
	.operands_max = 1,
};

/* What stands behind the first "--" is the program's, whatever it looks like. */
static void test_parse_program(void **state)
{
	static const struct {
		const char *words[8];
		size_t operands;
		size_t program; /* index of its first word; 0: refused */
	} cases[] = {
		{ { "start", "--", "x" }, 0, 2 },
		{ { "start", "a", "--", "x", "--", "-y" }, 1, 3 },
		{ { "start", "--", "--" }, 0, 2 },
		{ { "start", "a" }, 0, 0 },
		{ { "start", "a", "--" }, 0, 0 },
		{ { "start", "a", "b", "--", "x" }, 0, 0 },
		{ { "start", "-x", "--", "x" }, 0, 0 },
	};

	(void)state;
	assert_false(phial_cli_takes_program(&command));
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_cli_call call;
		char *words[8];

		memcpy(words, cases[i].words, sizeof(words));
		enum phial_status status =
			phial_cli_parse(&starter, (int)count_words(words), words, &call, NULL);

		if (cases[i].program == 0) {
			assert_int_equal(status, PHIAL_USAGE);
			continue;
		}
		assert_int_equal(status, PHIAL_OK);
		assert_int_equal(call.operand_count, cases[i].operands);
		assert_ptr_equal(call.program, words + cases[i].program);
	}
}

/* The table itself: within the limits that the parser's tables have. */
static void test_table(void **state)
{
	(void)state;
	for (const struct phial_cli_command *c = phial_cli_commands; c->name; c++) {
		size_t count = 0;
		size_t repeating = 0;

		assert_non_null(c->run);
		assert_true(c->operands_min <= c->operands_max);
		for (; c->options[count].name; count++) {
			assert_non_null(c->options[count].summary);
			repeating += c->options[count].repeats;
			assert_true(!c->options[count].repeats || c->options[count].value);
		}
		assert_true(count <= PHIAL_CLI_OPTIONS_MAX);
		assert_true(repeating <= 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),	      cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_refuses), cmocka_unit_test(test_parse_program),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
