/* SPDX-License-Identifier: ISC */
/* The one question asked of mountinfo: is this mount shared? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "mount/place.h"

static const char table[] =
	"21 98 0:20 / /proc rw,relatime shared:5 - proc proc rw\n"
	"98 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
	"99 98 0:30 / /a rw - tmpfs tmpfs rw\n"
	"100 98 0:31 / /b rw master:7 - tmpfs tmpfs rw\n"
	"101 98 0:32 / /c rw master:7 shared:8 - tmpfs tmpfs rw\n"
	"102 98 0:33 / /d\\040shared:1 rw propagate_from:3 master:2 - tmpfs shared:9 rw\n"
	"103 98 0:34 / /e rw unbindable - tmpfs tmpfs rw\n"
	"9 98 0:35 / /f rw - tmpfs tmpfs rw";

static void test_find(void **state)
{
	static const struct {
		uint64_t id;
		bool is_found;
		bool is_shared;
	} cases[] = {
		{ 21, true, true },   { 98, true, true },  { 99, true, false },
		{ 100, true, false }, { 101, true, true }, { 102, true, false },
		{ 103, true, false }, { 9, true, false },  { 1, false, false },
		{ 10, false, false }, { 2, false, false },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		bool is_shared = false;

		if (phial_mountinfo_find(table, strlen(table), cases[i].id, &is_shared) !=
			    cases[i].is_found ||
		    is_shared != cases[i].is_shared) {
			fail_msg("mount %d", (int)cases[i].id);
		}
	}
}

/* A line that ends too early counts as shared: the careful answer. */
static void test_cut_lines(void **state)
{
	static const char line[] = "7 1 0:5 / /x rw master:1 - tmpfs";
	const size_t dash = (size_t)(strstr(line, " - ") - line) + 2;

	(void)state;
	for (size_t length = 2; length < sizeof(line); length++) {
		bool is_shared;

		assert_true(phial_mountinfo_find(line, length, 7, &is_shared));
		assert_int_equal(is_shared, length < dash);
	}
	bool is_shared;

	assert_false(phial_mountinfo_find("", 0, 7, &is_shared));
	assert_false(phial_mountinfo_find("\n\n \n", 4, 7, &is_shared));
	assert_false(phial_mountinfo_find("07 1 0:5", 8, 7, &is_shared));
}

static void test_has_device(void **state)
{
	static const char cut[] = "21 98";

	(void)state;
	assert_true(phial_mountinfo_has_device(table, strlen(table), makedev(0, 30)));
	assert_true(phial_mountinfo_has_device(table, strlen(table), makedev(254, 1)));
	assert_true(phial_mountinfo_has_device(table, strlen(table), makedev(0, 35)));
	assert_false(phial_mountinfo_has_device(table, strlen(table), makedev(0, 36)));
	assert_false(phial_mountinfo_has_device(table, strlen(table), makedev(30, 0)));
	assert_false(phial_mountinfo_has_device("", 0, makedev(0, 36)));
	/* The careful answer. */
	assert_true(phial_mountinfo_has_device(cut, strlen(cut), makedev(0, 36)));
	assert_true(phial_mountinfo_has_device("1 2 x:1 / / rw\n", 15, makedev(0, 36)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_cut_lines),
		cmocka_unit_test(test_has_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
