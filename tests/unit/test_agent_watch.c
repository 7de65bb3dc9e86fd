/* SPDX-License-Identifier: ISC */
/* Watching a store: what counts as a change, when it is read, and what a path leads over. */
/* link: -Wl,--wrap=clock_gettime */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/expiry.h"
#include "agent/store_path.h"
#include "agent/watch.h"
#include "base/cleanup.h"
#include "temp_dir.h"

static int64_t now_ms;

int __real_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now);

int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
	if (id != CLOCK_BOOTTIME) {
		return __real_clock_gettime(id, now);
	}
	*now = (struct timespec){ .tv_sec = now_ms / 1000, .tv_nsec = now_ms % 1000 * 1000000 };
	return 0;
}

/* The reading of a store took so long. */
static void read_store(struct phial_watch *watch, int fd, int64_t took_ms, bool has_news)
{
	phial_watch_begin(watch, fd);
	now_ms += took_ms;
	phial_watch_end(watch, has_news);
}

static void change_of_its_own(struct phial_watch *watch)
{
	phial_watch_note(watch);
	phial_watch_asked(watch);
}

static void it_waits_for_quiet(void **state)
{
	struct phial_watch watch;

	(void)state;
	now_ms = 100000;
	phial_watch_open(&watch);
	assert_int_equal(phial_watch_due_ms(&watch), -1);
	phial_watch_note(&watch);
	assert_int_equal(phial_watch_due_ms(&watch), now_ms + 200);
	for (int i = 0; i < 30; i++) {
		now_ms += 100;
		phial_watch_note(&watch);
	}
	assert_int_equal(phial_watch_due_ms(&watch), 100000 + 2000); /* but not for ever */
	phial_watch_asked(&watch);
	assert_int_equal(phial_watch_due_ms(&watch), -1); /* until it comes */
	read_store(&watch, -1, 10, true);
	assert_int_equal(phial_watch_due_ms(&watch), -1);
	phial_watch_close(&watch);
}

static void pauses_grow_while_there_is_nothing_new(void **state)
{
	static const int64_t pauses_ms[] = { 250,  500,	  1000,	 2000,	4000,
					     8000, 16000, 30000, 30000, 30000 };
	struct phial_watch watch;

	(void)state;
	phial_watch_open(&watch);
	for (size_t i = 0; i < PHIAL_COUNT(pauses_ms); i++) {
		change_of_its_own(&watch);
		read_store(&watch, -1, 1, false);
		phial_watch_note(&watch);
		assert_int_equal(phial_watch_due_ms(&watch),
				 now_ms + (pauses_ms[i] > 200 ? pauses_ms[i] : 200));
	}
	/* Something new ends it; so does somebody who asks. */
	change_of_its_own(&watch);
	read_store(&watch, -1, 1, true);
	phial_watch_note(&watch);
	assert_int_equal(phial_watch_due_ms(&watch), now_ms + 200);
	change_of_its_own(&watch);
	read_store(&watch, -1, 1, false);
	read_store(&watch, -1, 1, false);
	phial_watch_note(&watch);
	assert_int_equal(phial_watch_due_ms(&watch), now_ms + 200);
	phial_watch_close(&watch);
}

static void a_long_reading_has_a_long_pause(void **state)
{
	struct phial_watch watch;

	(void)state;
	phial_watch_open(&watch);
	change_of_its_own(&watch);
	read_store(&watch, -1, 700, true);
	phial_watch_note(&watch);
	assert_int_equal(phial_watch_due_ms(&watch), now_ms + 7000);
	change_of_its_own(&watch);
	read_store(&watch, -1, 20000, true);
	phial_watch_note(&watch);
	assert_int_equal(phial_watch_due_ms(&watch), now_ms + 30000);
	phial_watch_close(&watch);
}

static bool is_change(struct phial_watch *watch, const struct temp_dir *dir, const char *name)
{
	read_store(watch, dir->fd, 0, true);
	phial_auto_fd int fd = openat(dir->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	phial_close_fd(&fd);
	phial_watch_on_events(watch);
	return phial_watch_due_ms(watch) >= 0;
}

static void names_of_others_are_no_change(void **state)
{
	static const struct {
		const char *name;
		bool is_change;
	} cases[] = {
		{ "db.sealed", true },		{ "db.sealed~", false },
		{ ".db.sealed.swp", false },	{ ".db.sealed.Xy1", false },
		{ "README.md", false },		{ "policy.json", true },
		{ "recipients.minisig", true }, { ".phial-0123.tmp", false },
	};
	const struct temp_dir *dir = *state;
	struct phial_watch watch;

	phial_watch_open(&watch);
	assert_string_equal(watch.problem, "");
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		if (is_change(&watch, dir, cases[i].name) != cases[i].is_change) {
			fail_msg("%s", cases[i].name);
		}
	}
	phial_watch_close(&watch);
}

static void a_path_is_watched_name_by_name(void **state)
{
	const struct temp_dir *dir = *state;
	struct phial_store_path watch = { .fd = -1 };
	struct phial_error err;
	char path[256];

	assert_int_equal(mkdirat(dir->fd, "one", 0700), 0);
	assert_int_equal(mkdirat(dir->fd, "two", 0700), 0);
	assert_int_equal(symlinkat("one", dir->fd, "link"), 0);
	(void)snprintf(path, sizeof(path), "%s/./link/../link//store", dir->path);
	assert_int_equal(phial_store_path_watch(&watch, path, &err), PHIAL_OK);
	assert_false(phial_store_path_has_changed(&watch));

	assert_int_equal(mkdirat(dir->fd, "one/other", 0700), 0);
	assert_false(phial_store_path_has_changed(&watch)); /* not on the way */
	assert_int_equal(mkdirat(dir->fd, "one/store", 0700), 0);
	assert_true(phial_store_path_has_changed(&watch));

	assert_int_equal(phial_store_path_watch(&watch, path, &err), PHIAL_OK);
	assert_int_equal(symlinkat("two", dir->fd, "new"), 0);
	assert_int_equal(renameat(dir->fd, "new", dir->fd, "link"), 0);
	assert_true(phial_store_path_has_changed(&watch));

	/* A loop of links ends; what is there of it is watched. */
	assert_int_equal(symlinkat("loop", dir->fd, "loop"), 0);
	(void)snprintf(path, sizeof(path), "%s/loop/store", dir->path);
	assert_int_equal(phial_store_path_watch(&watch, path, &err), PHIAL_OK);
	phial_close_fd(&watch.fd);
}

static void the_first_end_counts(void **state)
{
	(void)state;
	assert_int_equal(phial_expiry_end_s(0, 1000, 0), 0);
	assert_int_equal(phial_expiry_end_s(5000, 1000, 0), 5000);
	assert_int_equal(phial_expiry_end_s(5000, 1000, 3000), 4000);
	assert_int_equal(phial_expiry_end_s(5000, 1000, 9000), 5000);
	assert_int_equal(phial_expiry_end_s(0, 1000, 9000), 10000);
	assert_int_equal(phial_expiry_end_s(5000, 0, 10),
			 5000); /* when it was sealed is not known */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_waits_for_quiet),
		cmocka_unit_test(pauses_grow_while_there_is_nothing_new),
		cmocka_unit_test(a_long_reading_has_a_long_pause),
		cmocka_unit_test_setup_teardown(names_of_others_are_no_change, temp_dir_setup,
						temp_dir_teardown),
		cmocka_unit_test_setup_teardown(a_path_is_watched_name_by_name, temp_dir_setup,
						temp_dir_teardown),
		cmocka_unit_test(the_first_end_counts),
	};

	return cmocka_run_group_tests_name("agent_watch", tests, NULL, NULL);
}
