/* SPDX-License-Identifier: ISC */
/* The CDI file: which workloads are devices in it, and when it is written at all. */
/* link: -Wl,--wrap=phial_program_find */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cdi.h"
#include "base/cleanup.h"
#include "base/program.h"
#include "temp_dir.h"
#include "json/json.h"

#define HOOK	"/odd \"folder\"/phial-hook"
#define RUN_DIR "/run/of\\test"

bool __wrap_phial_program_find(const char *relative, const char *name,
			       char ret_path[PHIAL_PROGRAM_PATH_BYTES]);

static bool has_hook = true;

bool __wrap_phial_program_find(const char *relative, const char *name,
			       char ret_path[PHIAL_PROGRAM_PATH_BYTES])
{
	(void)relative;
	assert_string_equal(name, "phial-hook");
	memcpy(ret_path, HOOK, sizeof(HOOK));
	return has_hook;
}

static void make_workloads(const struct temp_dir *dir, const char *const names[], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(mkdirat(dir->fd, names[i], 0755), 0);
	}
}

static enum phial_status update(const struct temp_dir *dir, const char *run_dir)
{
	struct phial_error err;
	char file[128];

	(void)snprintf(file, sizeof(file), "%s/.cdi.json", dir->path);
	return phial_cdi_update(file, dir->fd, run_dir, &err);
}

static struct phial_json *read_document(const struct temp_dir *dir)
{
	uint8_t bytes[8192];
	struct phial_json *root = NULL;
	ssize_t length = temp_dir_read(dir->fd, ".cdi.json", bytes, sizeof(bytes));

	assert_true(length > 0);
	assert_int_equal(phial_json_parse(bytes, (size_t)length, &root, NULL), PHIAL_OK);
	return root;
}

static const char *text_of(const struct phial_json *object, const char *key)
{
	return phial_json_string(phial_json_member(object, key));
}

static void test_no_file_none_made(void **state)
{
	static const char *const names[] = { "web" };
	const struct temp_dir *dir = *state;

	make_workloads(dir, names, 1);
	assert_int_equal(update(dir, "/run/phial"), PHIAL_OK);
	assert_int_equal(faccessat(dir->fd, ".cdi.json", F_OK, 0), -1);
	assert_int_equal(phial_cdi_update("/no/such/folder/f.json", dir->fd, "/run/phial", NULL),
			 PHIAL_OK);
}

static void test_one_device_for_each(void **state)
{
	static const char *const names[] = { "web", "mail", "ends.", "ends-", "ends_", ".hidden" };
	static const char *const arguments[] = { "phial-hook", "--workload", "mail" };
	const struct temp_dir *dir = *state;

	make_workloads(dir, names, PHIAL_COUNT(names));
	assert_int_equal(temp_dir_write(dir->fd, ".cdi.json", "old", 3), 0);
	assert_int_equal(update(dir, "/run/phial"), PHIAL_OK);
	phial_auto_json struct phial_json *root = read_document(dir);
	const struct phial_json *devices = phial_json_member(root, "devices");
	const struct phial_json *mail = phial_json_first(devices);

	assert_string_equal(text_of(root, "cdiVersion"), "0.3.0");
	assert_string_equal(text_of(root, "kind"), "phial.io/workload");
	assert_int_equal(phial_json_count(devices), 2);
	assert_string_equal(text_of(mail, "name"), "mail");
	assert_string_equal(text_of(phial_json_next(mail), "name"), "web");
	const struct phial_json *hook = phial_json_first(
		phial_json_member(phial_json_member(mail, "containerEdits"), "hooks"));

	assert_string_equal(text_of(hook, "hookName"), "createRuntime");
	assert_string_equal(text_of(hook, "path"), HOOK);
	assert_int_equal(phial_json_count(phial_json_member(hook, "env")), 0);
	const struct phial_json *argument = phial_json_first(phial_json_member(hook, "args"));

	for (size_t i = 0; i < PHIAL_COUNT(arguments); i++) {
		assert_string_equal(phial_json_string(argument), arguments[i]);
		argument = phial_json_next(argument);
	}
	assert_null(argument);
}

static void test_run_dir_and_digits(void **state)
{
	static const char *const names[] = { "4711" };
	const struct temp_dir *dir = *state;

	make_workloads(dir, names, 1);
	assert_int_equal(temp_dir_write(dir->fd, ".cdi.json", "old", 3), 0);
	assert_int_equal(update(dir, RUN_DIR), PHIAL_OK);
	phial_auto_json struct phial_json *root = read_document(dir);
	const struct phial_json *device = phial_json_first(phial_json_member(root, "devices"));
	const struct phial_json *hook = phial_json_first(
		phial_json_member(phial_json_member(device, "containerEdits"), "hooks"));
	const struct phial_json *argument = phial_json_first(phial_json_member(hook, "args"));

	assert_string_equal(text_of(root, "cdiVersion"), "0.5.0");
	for (size_t i = 0; i < 4; i++) {
		argument = phial_json_next(argument);
	}
	assert_string_equal(phial_json_string(argument), RUN_DIR);
}

/* Engines watch the file: it changes only when a workload comes or goes. */
static void test_same_is_left_alone(void **state)
{
	static const char *const names[] = { "web", "mail" };
	const struct temp_dir *dir = *state;
	struct stat first;
	struct stat second;

	make_workloads(dir, names, 1);
	assert_int_equal(temp_dir_write(dir->fd, ".cdi.json", "old", 3), 0);
	assert_int_equal(update(dir, "/run/phial"), PHIAL_OK);
	assert_int_equal(fstatat(dir->fd, ".cdi.json", &first, 0), 0);
	assert_int_equal(first.st_mode & 07777, 0644);
	assert_int_equal(update(dir, "/run/phial"), PHIAL_OK);
	assert_int_equal(fstatat(dir->fd, ".cdi.json", &second, 0), 0);
	assert_int_equal(second.st_ino, first.st_ino);
	make_workloads(dir, names + 1, 1);
	assert_int_equal(update(dir, "/run/phial"), PHIAL_OK);
	phial_auto_json struct phial_json *root = read_document(dir);

	assert_int_equal(phial_json_count(phial_json_member(root, "devices")), 2);
}

static void test_failures_change_nothing(void **state)
{
	const struct temp_dir *dir = *state;
	char bytes[8];

	assert_int_equal(temp_dir_write(dir->fd, ".cdi.json", "old", 3), 0);
	has_hook = false;
	assert_int_equal(update(dir, "/run/phial"), PHIAL_NOT_FOUND);
	has_hook = true;
	assert_int_equal(temp_dir_read(dir->fd, ".cdi.json", bytes, sizeof(bytes)), 3);
	assert_int_equal(unlinkat(dir->fd, ".cdi.json", 0), 0);
	assert_int_equal(symlinkat("elsewhere", dir->fd, ".cdi.json"), 0);
	assert_int_equal(update(dir, "/run/phial"), PHIAL_SYSTEM);
	assert_int_equal(unlinkat(dir->fd, ".cdi.json", 0), 0);
	assert_int_equal(mkfifoat(dir->fd, ".cdi.json", 0600), 0);
	assert_int_equal(update(dir, "/run/phial"), PHIAL_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_file_none_made, temp_dir_setup,
						temp_dir_teardown),
		cmocka_unit_test_setup_teardown(test_one_device_for_each, temp_dir_setup,
						temp_dir_teardown),
		cmocka_unit_test_setup_teardown(test_run_dir_and_digits, temp_dir_setup,
						temp_dir_teardown),
		cmocka_unit_test_setup_teardown(test_same_is_left_alone, temp_dir_setup,
						temp_dir_teardown),
		cmocka_unit_test_setup_teardown(test_failures_change_nothing, temp_dir_setup,
						temp_dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
