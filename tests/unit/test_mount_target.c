/* SPDX-License-Identifier: ISC */
/*
 * Whom the mount room enters: roots that are none (H-04), target paths, processes that are no
 * container (H-01), and a setns() that does not do its work (finding 7).
 */
/* link: -Wl,--wrap=setns */
#include "fake_container.h"

static void test_h04_roots(void **state)
{
	struct fixture *f = *state;
	struct attempt attempt;
	char link[96];

	SKIP_UNLESS_ROOT();
	make_directories(f);
	start_container(f, PLAIN);
	attempt = (struct attempt){ f->container, "/", "/tmp", true, NULL };
	assert_int_equal(attach_in_child(f, &attempt), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "host's own root"));
	attempt.rootfs = f->victim;
	assert_int_equal(attach_in_child(f, &attempt), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "not a mount point"));
	attempt.rootfs = "/nonexistent/phial";
	assert_int_equal(attach_in_child(f, &attempt), PHIAL_GONE);
	attempt.rootfs = "/proc/1/root";
	assert_int_equal(attach_in_child(f, &attempt), PHIAL_SYSTEM);
	/* A link of the engine's above the root is its own business. */
	(void)snprintf(link, sizeof(link), "%s/link", f->top);
	assert_int_equal(symlink(f->root, link), 0);
	attempt = (struct attempt){ f->container, link, "/run/secrets", false, NULL };
	assert_int_equal(attach_in_child(f, &attempt), PHIAL_OK);
	assert_attached(f, PLAIN, "/run/secrets");
	assert_host_is_clean(f);
}

static void test_h04_root_that_is_no_mount(void **state)
{
	struct fixture *f = *state;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	start_container(f, ROOT_IS_NO_MOUNT);
	assert_int_equal(attach_to(f, "/run/secrets"), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "not a mount point"));
}

static void test_target_paths(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = { "",	    "/",       "run",	 "run/secrets",	  "/run/",
					   "//run", "/run/..", "/./run", "/run//secrets", "/.." };

	SKIP_UNLESS_ROOT();
	make_directories(f);
	start_container(f, PLAIN);
	for (size_t i = 0; i < PHIAL_COUNT(bad); i++) {
		if (attach_to(f, bad[i]) != PHIAL_REFUSED) {
			fail_msg("\"%s\": %s", bad[i], f->err.text);
		}
	}
}

/* H-01, H-07: processes that are no container. */
static void test_h01_wrong_processes(void **state)
{
	struct fixture *f = *state;
	struct phial_target target = PHIAL_TARGET_NONE;
	static const pid_t none[] = { 0, 1, -1 };

	SKIP_UNLESS_ROOT();
	for (size_t i = 0; i < PHIAL_COUNT(none); i++) {
		assert_int_equal(phial_target_open(none[i], &target, &f->err), PHIAL_REFUSED);
	}
	assert_int_equal(phial_target_open(getpid(), &target, &f->err), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "on the host"));
	pid_t dead = fork();

	if (dead == 0) {
		_exit(0);
	}
	/* A zombie first, then nobody. */
	siginfo_t info;

	assert_int_equal(waitid(P_PID, (id_t)dead, &info, WEXITED | WNOWAIT), 0);
	assert_int_not_equal(phial_target_open(dead, &target, &f->err), PHIAL_OK);
	assert_int_equal(waitpid(dead, NULL, 0), dead);
	assert_int_equal(phial_target_open(dead, &target, &f->err), PHIAL_GONE);
	assert_int_equal(target.pidfd, -1);
}

static void test_target_facts(void **state)
{
	struct fixture *f = *state;
	phial_auto_target struct phial_target target = PHIAL_TARGET_NONE;
	char map[256];
	size_t length = 0;

	SKIP_UNLESS_ROOT();
	start_container(f, PIVOTED);
	assert_int_equal(phial_target_open(f->container, &target, &f->err), PHIAL_OK);
	assert_true(target.is_pivoted);
	assert_true(target.start_time > 0);
	assert_int_equal(phial_target_read_map(&target, "uid_map", map, sizeof(map), &length,
					       &f->err),
			 PHIAL_OK);
	assert_true(length > 10);
	assert_int_equal(phial_target_read_map(&target, "gid_map", map, 8, &length, &f->err),
			 PHIAL_TOO_LARGE);
	(void)kill(f->container, SIGKILL);
	(void)waitpid(f->container, NULL, 0);
	f->container = 0;
	assert_int_equal(phial_target_read_map(&target, "uid_map", map, sizeof(map), &length,
					       &f->err),
			 PHIAL_GONE);
}

/* Finding 7: a setns() that did not happen must not mount on the host. */
static void test_setns_without_effect(void **state)
{
	struct fixture *f = *state;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	start_container(f, PLAIN);
	setns_does_nothing = 1;
	assert_int_equal(attach_to(f, "/run/secrets"), PHIAL_SYSTEM);
	assert_non_null(strstr(f->err.text, "was not entered"));
	assert_host_is_clean(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_h04_roots),	 CASE(test_h04_root_that_is_no_mount),
		CASE(test_target_paths), CASE(test_h01_wrong_processes),
		CASE(test_target_facts), CASE(test_setns_without_effect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
