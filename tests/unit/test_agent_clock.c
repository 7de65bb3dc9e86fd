/* SPDX-License-Identifier: ISC */
/* The agent's time, while somebody plays with the host's clock. */
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

#include "agent/clock.h"
#include "base/cleanup.h"

#define HOUR_S INT64_C(3600)
#define DAY_S  (24 * HOUR_S)
#define YEAR_S (365 * DAY_S)
/* 2026-11-22T00:00:00Z */
#define TODAY_S INT64_C(1795305600)

/* The clocks of this test, in seconds. */
static int64_t wall_s;
static int64_t boot_s;

int __real_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now);

int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
	if (id != CLOCK_REALTIME && id != CLOCK_BOOTTIME) {
		return __real_clock_gettime(id, now);
	}
	*now = (struct timespec){ .tv_sec = id == CLOCK_REALTIME ? wall_s : boot_s };
	return 0;
}

static void pass(int64_t seconds)
{
	wall_s += seconds;
	boot_s += seconds;
}

struct fixture {
	char directory[64];
	int fd;
	struct phial_clock clock;
	struct phial_error err;
};

/* A worker begins: after another, or of an agent that began just now. */
static void begin(struct fixture *f, const struct phial_clock_point *began)
{
	const struct phial_clock_point now = phial_clock_read();

	phial_close_fd(&f->clock.alarm_fd);
	phial_close_fd(&f->clock.change_fd);
	assert_int_equal(phial_clock_open(f->fd, began ? began : &now, &f->clock, &f->err),
			 PHIAL_OK);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f) {
		return -1;
	}
	wall_s = TODAY_S;
	boot_s = 1000;
	f->clock.alarm_fd = -1;
	f->clock.change_fd = -1;
	(void)snprintf(f->directory, sizeof(f->directory), "/tmp/phial-clock.XXXXXX");
	if (!mkdtemp(f->directory)) {
		return -1;
	}
	f->fd = open(f->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return f->fd < 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	phial_close_fd(&f->clock.alarm_fd);
	phial_close_fd(&f->clock.change_fd);
	(void)unlinkat(f->fd, PHIAL_CLOCK_FILE, 0);
	(void)unlinkat(f->fd, "containers", 0);
	close(f->fd);
	(void)rmdir(f->directory);
	free(f);
	return 0;
}

static void write_file(const struct fixture *f, const char *name, const char *text)
{
	phial_auto_fd int fd = openat(f->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void time_passes(void **state)
{
	struct fixture *f = *state;

	begin(f, NULL);
	assert_int_equal(phial_clock_now_s(&f->clock), TODAY_S);
	pass(YEAR_S);
	assert_int_equal(phial_clock_now_s(&f->clock), TODAY_S + YEAR_S);
	assert_int_equal(phial_clock_ahead_s(&f->clock), 0);
}

static void S10_set_back_time_goes_on(void **state)
{
	struct fixture *f = *state;

	begin(f, NULL);
	pass(DAY_S);
	(void)phial_clock_look(&f->clock);
	wall_s -= 10 * YEAR_S;
	(void)phial_clock_look(&f->clock);
	assert_int_equal(phial_clock_now_s(&f->clock), TODAY_S + DAY_S);
	pass(5 * DAY_S);
	(void)phial_clock_look(&f->clock);
	assert_int_equal(phial_clock_now_s(&f->clock), TODAY_S + 6 * DAY_S);
	assert_int_equal(phial_clock_ahead_s(&f->clock), 10 * YEAR_S);
}

static void S10_set_back_before_any_look(void **state)
{
	struct fixture *f = *state;
	const struct phial_clock_point began = phial_clock_read();

	/* The worker begins after the step; the supervisor was there before it. */
	pass(DAY_S);
	wall_s -= YEAR_S;
	begin(f, &began);
	assert_int_equal(phial_clock_now_s(&f->clock), TODAY_S + DAY_S);
}

static void S10_set_forward_and_back(void **state)
{
	struct fixture *f = *state;

	begin(f, NULL);
	wall_s += 3 * YEAR_S;
	assert_true(phial_clock_look(&f->clock));
	wall_s -= 3 * YEAR_S;
	(void)phial_clock_look(&f->clock);
	pass(10);
	assert_int_equal(phial_clock_now_s(&f->clock), TODAY_S + 3 * YEAR_S + 10);

	/* The next worker knows, and the next agent, after a boot. */
	begin(f, NULL);
	assert_int_equal(phial_clock_now_s(&f->clock), TODAY_S + 3 * YEAR_S);
	boot_s = 5;
	begin(f, NULL);
	pass(10);
	assert_int_equal(phial_clock_now_s(&f->clock), TODAY_S + 3 * YEAR_S + 10);
}

static void S10_set_back_while_no_agent_runs(void **state)
{
	struct fixture *f = *state;

	begin(f, NULL);
	pass(2 * HOUR_S);
	(void)phial_clock_look(&f->clock); /* writes the file, once an hour */
	wall_s -= YEAR_S;
	boot_s = 5;
	begin(f, NULL);
	assert_int_equal(phial_clock_now_s(&f->clock), TODAY_S + 2 * HOUR_S);
	pass(YEAR_S);
	assert_int_equal(phial_clock_now_s(&f->clock), TODAY_S + 2 * HOUR_S + YEAR_S);
}

static void wrong_once_is_repaired(void **state)
{
	struct fixture *f = *state;

	wall_s += 50 * YEAR_S;
	begin(f, NULL);
	wall_s -= 50 * YEAR_S;
	begin(f, NULL);
	assert_int_equal(phial_clock_ahead_s(&f->clock), 50 * YEAR_S);

	/* date +%s >clock */
	write_file(f, PHIAL_CLOCK_FILE, "1795305600\n");
	begin(f, NULL);
	assert_int_equal(phial_clock_now_s(&f->clock), TODAY_S);
	assert_int_equal(phial_clock_ahead_s(&f->clock), 0);
}

static void a_file_that_says_nothing(void **state)
{
	static const char *const texts[] = { "", "soon\n", "-1\n", "253402300800\n", "1 \n" };
	const struct timespec written[2] = { { .tv_sec = TODAY_S + DAY_S },
					     { .tv_sec = TODAY_S + DAY_S } };
	struct fixture *f = *state;

	write_file(f, "containers", "");
	assert_int_equal(utimensat(f->fd, "containers", written, 0), 0);
	for (size_t i = 0; i < PHIAL_COUNT(texts); i++) {
		write_file(f, PHIAL_CLOCK_FILE, texts[i]);
		begin(f, NULL);
		assert_int_equal(phial_clock_now_s(&f->clock), TODAY_S + DAY_S);
	}
	assert_int_equal(unlinkat(f->fd, PHIAL_CLOCK_FILE, 0), 0);
	begin(f, NULL);
	assert_int_equal(phial_clock_now_s(&f->clock), TODAY_S + DAY_S);
}

static void files_of_the_store_tell_the_time(void **state)
{
	struct fixture *f = *state;

	begin(f, NULL);
	phial_clock_raise(&f->clock, TODAY_S + HOUR_S);
	phial_clock_raise(&f->clock, TODAY_S);
	assert_int_equal(phial_clock_now_s(&f->clock), TODAY_S + HOUR_S);
	assert_int_equal(phial_clock_own_s(&f->clock), TODAY_S);
	/* Not for the next agent: a file's maker may be wrong. */
	phial_clock_save(&f->clock);
	begin(f, NULL);
	assert_int_equal(phial_clock_now_s(&f->clock), TODAY_S);
}

static void alarms_are_of_boot_time(void **state)
{
	struct fixture *f = *state;

	begin(f, NULL);
	assert_int_equal(phial_clock_boot_ms(&f->clock, TODAY_S + 60), (1000 + 60) * 1000);
	assert_true(phial_clock_boot_ms(&f->clock, TODAY_S - 60) <= 1000 * 1000);
	wall_s -= YEAR_S;
	assert_int_equal(phial_clock_boot_ms(&f->clock, TODAY_S + 60), (1000 + 60) * 1000);
	phial_clock_raise(&f->clock, TODAY_S + 60);
	assert_int_equal(phial_clock_boot_ms(&f->clock, TODAY_S + 60), 1000 * 1000);
}

static void the_sooner_of_two(void **state)
{
	static const int64_t cases[][3] = {
		{ -1, -1, -1 }, { 5, -1, 5 }, { -1, 5, 5 }, { 5, 7, 5 },
		{ 7, 5, 5 },	{ 0, 5, 0 },  { 5, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		assert_int_equal(phial_clock_sooner(cases[i][0], cases[i][1]), cases[i][2]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(time_passes, setup, teardown),
		cmocka_unit_test_setup_teardown(S10_set_back_time_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(S10_set_back_before_any_look, setup, teardown),
		cmocka_unit_test_setup_teardown(S10_set_forward_and_back, setup, teardown),
		cmocka_unit_test_setup_teardown(S10_set_back_while_no_agent_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_once_is_repaired, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_says_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(files_of_the_store_tell_the_time, setup, teardown),
		cmocka_unit_test_setup_teardown(alarms_are_of_boot_time, setup, teardown),
		cmocka_unit_test(the_sooner_of_two),
	};

	return cmocka_run_group_tests_name("agent_clock", tests, NULL, NULL);
}
