/* SPDX-License-Identifier: ISC */
/* link: -Wl,--wrap=mlock,--wrap=madvise,--wrap=read */
/* phial-init's command line and environment: the table of both, and what fails below them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <getopt.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "init/environment.h"
#include "init/options.h"
#include "temp_dir.h"

static bool mlock_fails;
static bool madvise_fails;
static bool read_fails;

int __real_mlock(const void *address, size_t length);
int __wrap_mlock(const void *address, size_t length);
int __wrap_mlock(const void *address, size_t length)
{
	errno = EPERM;
	return mlock_fails ? -1 : __real_mlock(address, length);
}

int __real_madvise(void *address, size_t length, int advice);
int __wrap_madvise(void *address, size_t length, int advice);
int __wrap_madvise(void *address, size_t length, int advice)
{
	errno = EINVAL;
	return madvise_fails ? -1 : __real_madvise(address, length, advice);
}

ssize_t __real_read(int fd, void *bytes, size_t length);
ssize_t __wrap_read(int fd, void *bytes, size_t length);
ssize_t __wrap_read(int fd, void *bytes, size_t length)
{
	errno = EIO;
	return read_fails ? -1 : __real_read(fd, bytes, length);
}

/* Parse these words; the options point into argv, which getopt may change. */
static void parse(const char *const *words, size_t count, char **argv,
		  struct phial_init_options *ret_options)
{
	memcpy(argv, words, count * sizeof(*words));
	argv[count] = NULL;
	optind = 0; /* begin anew */
	assert_int_equal(phial_init_options_parse((int)count, argv, ret_options, NULL), PHIAL_OK);
}

static void reads_the_command_line(void **state)
{
	static const char *const words[] = { "phial-init", "--user", "7:8",	  "--file-env",
					     "--env",	   "a",	     "--env=b.c", "--wait=9",
					     "--group",	   "--",     "cmd",	  "-g" };
	char *argv[PHIAL_COUNT(words) + 1];
	struct phial_init_options options;

	(void)state;
	parse(words, PHIAL_COUNT(words), argv, &options);
	assert_true(options.has_user && options.uid == 7 && options.gid == 8);
	assert_true(options.sets_paths && options.to_group && options.has_secrets);
	assert_false(options.may_gain || options.is_direct);
	assert_int_equal(options.wait_s, 9);
	assert_int_equal(options.env_count, 2);
	assert_string_equal(options.env_names[0], "a");
	assert_string_equal(options.env_names[1], "b.c");
	assert_string_equal(options.command[0], "cmd");
	assert_string_equal(options.command[1], "-g");
	free(options.env_names);
}

static void has_safe_defaults(void **state)
{
	static const char *const words[] = { "phial-init", "cmd" };
	char *argv[PHIAL_COUNT(words) + 1];
	struct phial_init_options options;

	(void)state;
	parse(words, PHIAL_COUNT(words), argv, &options);
	assert_true(options.has_secrets);
	assert_false(options.may_gain || options.has_user || options.sets_paths);
	assert_int_equal(options.env_count, 0);
	assert_int_equal(options.wait_s, 5);
	free(options.env_names);
}

/* Parse a line of words, cut at spaces. */
static enum phial_status parse_line(const char *line, struct phial_init_options *ret_options)
{
	static char text[256];
	char *argv[16] = { (char[]){ "phial-init" } };
	int argc = 1;

	assert_true(strlen(line) < sizeof(text));
	memcpy(text, line, strlen(line) + 1);
	for (char *rest = text; rest;) {
		argv[argc++] = strsep(&rest, " ");
	}
	optind = 0;
	return phial_init_options_parse(argc, argv, ret_options, NULL);
}

static void reads_what_becomes_of_the_command(void **state)
{
	static const struct {
		const char *line;
		enum phial_init_rotation on_rotation;
		int signal;
		uint32_t stop_timeout_s;
		int ready_fd;
		bool tells_ready;
	} cases[] = {
		{ "cmd", PHIAL_INIT_ROTATION_NOTHING, 0, 10, -1, false },
		{ "--on-rotation nothing cmd", PHIAL_INIT_ROTATION_NOTHING, 0, 10, -1, false },
		{ "--on-rotation=restart cmd", PHIAL_INIT_ROTATION_RESTART, 0, 10, -1, false },
		{ "--on-rotation=restart --stop-timeout 0 -g cmd", PHIAL_INIT_ROTATION_RESTART, 0,
		  0, -1, false },
		{ "--on-rotation=SIGHUP cmd", PHIAL_INIT_ROTATION_SIGNAL, 1, 10, -1, false },
		{ "--on-rotation=SIGRTMIN+2 cmd", PHIAL_INIT_ROTATION_SIGNAL, 36, 10, -1, false },
		{ "--ready-fd 3 cmd", PHIAL_INIT_ROTATION_NOTHING, 0, 10, 3, false },
		{ "--ready-fd=1023 cmd", PHIAL_INIT_ROTATION_NOTHING, 0, 10, 1023, false },
		{ "--ready", PHIAL_INIT_ROTATION_NOTHING, 0, 10, -1, true },
		{ "--ready --wait 0", PHIAL_INIT_ROTATION_NOTHING, 0, 10, -1, true },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_init_options options;

		if (parse_line(cases[i].line, &options) != PHIAL_OK ||
		    options.on_rotation != cases[i].on_rotation ||
		    options.rotation_signal != cases[i].signal ||
		    options.stop_timeout_s != cases[i].stop_timeout_s ||
		    options.ready_fd != cases[i].ready_fd ||
		    options.tells_ready != cases[i].tells_ready) {
			fail_msg("%s", cases[i].line);
		}
		free(options.env_names);
	}
}

static void refuses_what_makes_no_sense(void **state)
{
	static const char *const lines[] = {
		"--on-rotation",
		"--on-rotation= cmd",
		"--on-rotation=SIGKILL cmd",
		"--on-rotation=HUP cmd",
		"--on-rotation=1 cmd",
		"--on-rotation=restart --exec cmd",
		"--on-rotation=restart --no-secrets cmd",
		"--on-rotation=SIGHUP --stop-timeout=5 cmd",
		"--stop-timeout=5 cmd",
		"--on-rotation=restart --stop-timeout=3601 cmd",
		"--on-rotation=restart --stop-timeout=5s cmd",
		"--ready-fd 2 cmd",
		"--ready-fd 1024 cmd",
		"--ready-fd -1 cmd",
		"--ready-fd 3 --exec cmd",
		"--ready-fd 3 --no-secrets cmd",
		"--ready cmd",
		"--ready --env a",
		"--ready --ready-fd 3",
		"--ready --on-rotation=nothing",
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(lines); i++) {
		struct phial_init_options options;

		if (parse_line(lines[i], &options) != PHIAL_USAGE) {
			fail_msg("%s", lines[i]);
		}
	}
}

/* The environment with --env FILE, of a directory in which the file "secret" has these bytes. */
static enum phial_status make_with(const struct temp_dir *dir, struct phial_span value,
				   const char *file, struct phial_init_environment *ret_environment,
				   struct phial_error *err)
{
	const char *names[] = { file };
	const struct phial_init_options options = { .env_names = names, .env_count = 1 };

	assert_int_equal(temp_dir_write(dir->fd, "secret", value.text, value.length), 0);
	return phial_init_environment_make(&options, dir->path, ret_environment, err);
}

static void gives_the_value(void **state)
{
	struct phial_init_environment environment;
	struct phial_error err;

	assert_int_equal(make_with(*state, phial_span_of("x\ny"), "secret", &environment, &err),
			 PHIAL_OK);
	assert_int_equal(environment.secret_count, 1);
	assert_string_equal(environment.list[environment.count - 1], "SECRET=x\ny");
	assert_null(environment.list[environment.count]);
	phial_init_environment_wipe(&environment);
	assert_int_equal(environment.secret_count, 0);
	assert_int_equal(make_with(*state, phial_span_of(""), "secret", &environment, &err),
			 PHIAL_OK);
	assert_string_equal(environment.list[environment.count - 1], "SECRET=");
	phial_init_environment_wipe(&environment);
}

static void refuses_without_saying_what(void **state)
{
	static const char value[] = "hush\0hush";
	struct phial_init_environment environment;
	struct phial_error err;

	assert_int_equal(make_with(*state, (struct phial_span){ value, sizeof(value) }, "secret",
				   &environment, &err),
			 PHIAL_MALFORMED);
	assert_null(strstr(err.text, "hush"));
	phial_init_environment_wipe(&environment);
	assert_int_equal(make_with(*state, phial_span_of("x"), "other", &environment, &err),
			 PHIAL_NOT_FOUND);
	phial_init_environment_wipe(&environment);
}

static void fails_closed(void **state)
{
	bool *const faults[] = { &mlock_fails, &madvise_fails, &read_fails };
	struct phial_init_environment environment;
	struct phial_error err;

	for (size_t i = 0; i < PHIAL_COUNT(faults); i++) {
		*faults[i] = true;
		enum phial_status status =
			make_with(*state, phial_span_of("hush"), "secret", &environment, &err);

		*faults[i] = false;
		assert_int_equal(status, PHIAL_SYSTEM);
		assert_null(strstr(err.text, "hush"));
		for (size_t k = 0; k < environment.count; k++) {
			assert_null(strstr(environment.list[k], "hush"));
		}
		phial_init_environment_wipe(&environment);
	}
}

static void writes_the_commands_pid(void **state)
{
	char listen[] = "LISTEN_PID=41";
	char watchdog[] = "WATCHDOG_PID=41";
	char other[] = "LISTEN_PIDS=41";
	char *list[] = { listen, other, watchdog, NULL };
	struct phial_init_environment environment = { .list = list, .count = 3 };

	(void)state;
	phial_init_environment_set_pid(&environment, 42, 7);
	assert_ptr_equal(list[0], listen);
	phial_init_environment_set_pid(&environment, 41, 2147483647);
	assert_string_equal(list[0], "LISTEN_PID=2147483647");
	assert_ptr_equal(list[1], other);
	assert_string_equal(list[2], "WATCHDOG_PID=2147483647");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_command_line),
		cmocka_unit_test(has_safe_defaults),
		cmocka_unit_test(reads_what_becomes_of_the_command),
		cmocka_unit_test(refuses_what_makes_no_sense),
		cmocka_unit_test_setup_teardown(gives_the_value, temp_dir_setup, temp_dir_teardown),
		cmocka_unit_test_setup_teardown(refuses_without_saying_what, temp_dir_setup,
						temp_dir_teardown),
		cmocka_unit_test_setup_teardown(fails_closed, temp_dir_setup, temp_dir_teardown),
		cmocka_unit_test(writes_the_commands_pid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
