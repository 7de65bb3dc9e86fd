/* SPDX-License-Identifier: ISC */
/* Podman's hook folders from the text of containers.conf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "host/podman.h"

static void test_set(void **state)
{
	struct phial_podman_hooks hooks = { .count = 0 };

	(void)state;
	assert_true(phial_podman_parse_hooks("# x\n[containers]\nhooks_dir = [\"/no\"]\n[engine]\n"
					     "  hooks_dir = [ \"/a/\", # one\n '/b c',\n]\nx = 1\n",
					     &hooks));
	assert_int_equal(hooks.count, 2);
	assert_string_equal(hooks.folders[0], "/a");
	assert_string_equal(hooks.folders[1], "/b c");
	assert_true(phial_podman_reads(&hooks, "/a"));
	assert_false(phial_podman_reads(&hooks, "/c"));
	assert_true(phial_podman_parse_hooks("[engine]\nhooks_dir=[]\n", &hooks));
	assert_int_equal(hooks.count, 0);
}

static void test_not_set(void **state)
{
	static const char *const texts[] = {
		"",
		"[engine]\n#hooks_dir = [\"/a\"]\n",
		"hooks_dir = [\"/a\"]\n",
		"[network]\nhooks_dir = [\"/a\"]\n",
		"[engine.runtimes]\nhooks_dir = [\"/a\"]\n",
		"[engine]\nhooks_dir = \"/a\"\n",
		"[engine]\nhooks_dir = [\"/a\n",
		"[engine]\nhooks_dir",
		"[engine]\nhooks_dir = [/a]\n",
	};
	struct phial_podman_hooks hooks = { .count = 7 };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_false(phial_podman_parse_hooks(texts[i], &hooks));
		assert_int_equal(hooks.count, 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_not_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
