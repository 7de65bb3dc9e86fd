/* SPDX-License-Identifier: ISC */
/* Which container a process is in, and where its limits are, by the text of /proc/PID/cgroup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/mounter.h"
#include "base/cleanup.h"

#define ID "e479b1c60fe1fe0cedbf858c4ace3899e479b1c60fe1fe0cedbf858c4ace3899"

static void test_id(void **state)
{
	static const struct {
		const char *text;
		bool is_found;
	} cases[] = {
		{ "0::/docker/" ID "\n", true },
		{ "0::/machine.slice/libpod-" ID ".scope/container\n", true },
		{ "0::/kubepods/cri-containerd-" ID ".scope\n", true },
		{ "0::/x/" ID "0\n", false }, /* 65 digits */
		{ "0::/x/" ID "x\n", false },
		{ "0::/user.slice\n", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		char id[PHIAL_CGROUP_ID_BYTES] = "";

		if (phial_cgroup_find_id(cases[i].text, id) != cases[i].is_found) {
			fail_msg("%s", cases[i].text);
		}
		assert_string_equal(id, cases[i].is_found ? ID : "");
	}
}

/* A container that makes cgroups below its own stays one; two containers are two. */
static void test_number(void **state)
{
	(void)state;
	assert_int_equal(phial_cgroup_number("0::/docker/" ID "\n"),
			 phial_cgroup_number("0::/docker/" ID "/a/b\n"));
	assert_int_not_equal(phial_cgroup_number("0::/a\n"), phial_cgroup_number("0::/b\n"));
	assert_int_not_equal(phial_cgroup_number("0::/docker/" ID "\n"),
			     phial_cgroup_number("0::/a\n"));
}

static void test_path(void **state)
{
	static const char v1[] = "9:name=systemd:/s\n5:cpu,memory:/m/x\n4:pids:/p\n0::/u\n";
	static const struct {
		const char *text;
		const char *controller;
		const char *path; /* NULL: none */
		bool is_unified;
	} cases[] = {
		{ v1, "memory", "/sys/fs/cgroup/memory/m/x", false },
		{ v1, "pids", "/sys/fs/cgroup/pids/p", false },
		{ v1, "cpuset", "/sys/fs/cgroup/u", true },
		{ v1, "mem", "/sys/fs/cgroup/u", true },
		{ "0::/a/b\n", "memory", "/sys/fs/cgroup/a/b", true },
		{ "0::/../x\n", "memory", NULL, false },
		{ "4:memory:/a/..\n", "memory", NULL, false },
		{ "nonsense\n", "memory", NULL, false },
		{ "", "memory", NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		static char path[4096];
		bool is_unified = false;
		bool is_found = phial_cgroup_find_path(cases[i].text, cases[i].controller, path,
						       &is_unified);

		if (is_found != (cases[i].path != NULL)) {
			fail_msg("case %zu: found %d", i, (int)is_found);
		}
		if (is_found) {
			assert_string_equal(path, cases[i].path);
			assert_int_equal(is_unified, cases[i].is_unified);
		}
	}
}

static void test_contains(void **state)
{
	static const struct {
		const char *own;
		const char *other;
		bool is_within;
	} cases[] = {
		{ "0::/a/b\n", "0::/a/b\n", true },
		{ "0::/a/b\n", "0::/a/b/c\n", true },
		{ "0::/a/b\n", "0::/a/bc\n", false },
		{ "0::/a/b\n", "0::/a\n", false },
		{ "0::/a/b\n", "0::/\n", false },
		{ "0::/\n", "0::/a\n", true },
		/* systemd in a container moves itself and its services below the engine's cgroup */
		{ "0::/x/libpod-" ID ".scope/init.scope\n",
		  "0::/x/libpod-" ID ".scope/system.slice/nginx.service\n", true },
		{ "0::/x/libpod-" ID ".scope/init.scope\n", "0::/x/other.scope\n", false },
		{ "0::/docker/" ID "\n", "0::/docker/" ID "0\n", false },
		{ "0::/docker/" ID "\n", "0::/docker\n", false },
		/* an engine in a container: the innermost id counts */
		{ "0::/" ID "/c/" ID "/x\n", "0::/" ID "/c/" ID "/y\n", true },
		{ "0::/" ID "/c/" ID "/x\n", "0::/" ID "/c/d\n", false },
		/* every hierarchy */
		{ "2:pids:/a\n1:name=systemd:/a\n", "2:pids:/a\n1:name=systemd:/a/b\n", true },
		{ "2:pids:/a\n1:name=systemd:/a\n", "2:pids:/a\n1:name=systemd:/b\n", false },
		{ "2:pids:/a\n1:name=systemd:/a\n", "2:pids:/b\n1:name=systemd:/a\n", false },
		{ "2:pids:/a\n", "2:cpu:/a\n", false },
		{ "2:pids:/a\n0::/\n", "2:pids:/a\n", false },
		{ "2:pids:/a\n", "2:pids:/a\n0::/\n", false },
		{ "nonsense\n", "nonsense\n", false },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		if (phial_cgroup_contains(cases[i].own, cases[i].other) != cases[i].is_within) {
			fail_msg("%s and %s", cases[i].own, cases[i].other);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_id),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_contains),
		cmocka_unit_test(test_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
