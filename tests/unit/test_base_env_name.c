/* SPDX-License-Identifier: ISC */
/* The rule that makes environment variables of file names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/env_name.h"

static void follows_the_rule(void **state)
{
	static const struct {
		const char *file;
		const char *value;
		const char *path;
	} cases[] = {
		{ "db_password", "DB_PASSWORD", "DB_PASSWORD_FILE" },
		{ "tls.key", "TLS_KEY", "TLS_KEY_FILE" },
		{ "a-b", "A_B", "A_B_FILE" },
		{ "0", "_0", "_0_FILE" },
		{ "9z", "_9Z", "_9Z_FILE" },
		{ "MixedCase09", "MIXEDCASE09", "MIXEDCASE09_FILE" },
		{ "\xc3\xa4[`{@/:", "________", "_________FILE" }, /* around every range */
	};
	char name[PHIAL_ENV_NAME_BYTES];

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		phial_env_name_make(cases[i].file, PHIAL_ENV_VALUE, name);
		assert_string_equal(name, cases[i].value);
		phial_env_name_make(cases[i].file, PHIAL_ENV_PATH, name);
		assert_string_equal(name, cases[i].path);
	}
}

static void the_longest_fits_exactly(void **state)
{
	char file[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	struct {
		char name[PHIAL_ENV_NAME_BYTES];
		char guard;
	} out = { .guard = 'g' };

	(void)state;
	memset(file, '7', sizeof(file) - 1);
	file[sizeof(file) - 1] = '\0';
	phial_env_name_make(file, PHIAL_ENV_PATH, out.name);
	assert_int_equal(strlen(out.name), PHIAL_ENV_NAME_BYTES - 1);
	assert_string_equal(out.name + PHIAL_ENV_NAME_BYTES - 1 - strlen("7_FILE"), "7_FILE");
	assert_int_equal(out.guard, 'g');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_the_rule),
		cmocka_unit_test(the_longest_fits_exactly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
