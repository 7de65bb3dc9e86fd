/* SPDX-License-Identifier: ISC */
/* Texts of /proc about swap and keys, as the kernel writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "host/kernel.h"
#include "mount/probe.h"

static void key_users(void **state)
{
	struct phial_span rest = phial_span_of("    0:    11 10/10 3/1000000 24999999/25000000\n"
					       "odd\n"
					       "65534:     3 3/3 100/200 30/20000\n");
	struct phial_key_user user;

	(void)state;
	assert_true(phial_key_users_next(&rest, &user));
	assert_int_equal(user.uid, 0);
	assert_int_equal(user.keys, 3);
	assert_int_equal(user.keys_max, 1000000);
	assert_int_equal(user.bytes_max, 25000000);
	assert_int_equal(phial_key_user_percent(&user), 99);
	assert_true(phial_key_users_next(&rest, &user));
	assert_int_equal(user.uid, 65534);
	assert_int_equal(phial_key_user_percent(&user), 50);
	assert_false(phial_key_users_next(&rest, &user));
	user.keys = 200;
	assert_int_equal(phial_key_user_percent(&user), 100);
	user.keys_max = 0;
	assert_int_equal(phial_key_user_percent(&user), 100);
}

static void swaps(void **state)
{
	struct phial_span rest =
		phial_span_of("Filename\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
			      "/dev/sda2                               partition\t97654\t0\t-2\n"
			      "/swap\\040file file 1 0 -3\n");
	char path[256];

	(void)state;
	assert_true(phial_swaps_next(&rest, path));
	assert_string_equal(path, "/dev/sda2");
	assert_true(phial_swaps_next(&rest, path));
	assert_string_equal(path, "/swap\\040file");
	assert_false(phial_swaps_next(&rest, path));
	assert_int_equal(phial_swap_kind("/nowhere/swap"), PHIAL_SWAP_PLAIN);
}

static void this_kernel(void **state)
{
	struct phial_kernel kernel;
	struct phial_mount_calls calls;

	(void)state;
	phial_kernel_try(&kernel);
	assert_true(kernel.major >= 5);
	assert_true(strlen(kernel.release) > 0);
	assert_true(kernel.has_pidfd);
	phial_mount_try_calls(&calls);
	assert_true(calls.has_openat2);
	assert_true(calls.has_fsopen);
	assert_true(calls.has_mount_setattr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_users),
		cmocka_unit_test(swaps),
		cmocka_unit_test(this_kernel),
	};

	return cmocka_run_group_tests_name("host_kernel", tests, NULL, NULL);
}
