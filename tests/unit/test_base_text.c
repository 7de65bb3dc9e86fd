/* SPDX-License-Identifier: ISC */
/* Text that grows up to a limit, and whole reads of descriptors up to theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/text.h"
#include "temp_dir.h"

static void grows(void **state)
{
	phial_auto_text struct phial_text text = { .max = 100000 };

	(void)state;
	assert_null(text.bytes);
	for (int i = 0; i < 10000; i++) {
		phial_text_add(&text, "%d", i % 10);
	}
	phial_text_add_bytes(&text, "a\0b", 3);
	phial_text_add_bytes(&text, NULL, 0);
	phial_text_add(&text, "%s", "");
	assert_false(text.has_failed);
	assert_int_equal(text.length, 10003);
	assert_memory_equal(text.bytes, "0123456789012", 13);
	assert_memory_equal(text.bytes + 10000, "a\0b", 4);
	phial_text_free(&text);
	assert_null(text.bytes);
	assert_int_equal(text.max, 100000);
	phial_text_add(&text, "again");
	assert_string_equal(text.bytes, "again");
}

static void stops_at_its_limit_for_good(void **state)
{
	phial_auto_text struct phial_text text = { .max = 5 };

	(void)state;
	phial_text_add(&text, "12345");
	assert_false(text.has_failed);
	phial_text_add(&text, "6");
	assert_true(text.has_failed);
	assert_string_equal(text.bytes, "12345");
	phial_text_add(&text, "%s", "");
	assert_true(text.has_failed);
	phial_text_free(&text);
	assert_false(text.has_failed);
}

static void reads_whole_files_up_to_a_limit(void **state)
{
	static const size_t lengths[] = { 0, 1, 4095, 4096, 4097, 99999, 100000 };
	struct temp_dir *dir = *state;
	phial_auto_free char *bytes = malloc(100001);

	assert_non_null(bytes);
	memset(bytes, 'x', 100001);
	for (size_t i = 0; i < PHIAL_COUNT(lengths); i++) {
		phial_auto_free uint8_t *found = NULL;
		size_t length = 0;

		assert_int_equal(temp_dir_write(dir->fd, "f", bytes, lengths[i]), 0);
		int fd = openat(dir->fd, "f", O_RDONLY | O_CLOEXEC);

		assert_int_equal(phial_read_all(fd, 100000, &found, &length, NULL), PHIAL_OK);
		close(fd);
		assert_int_equal(length, lengths[i]);
		assert_memory_equal(found, bytes, length);
		assert_int_equal(found[length], 0);
	}
	uint8_t *found = NULL;
	size_t length = 0;

	assert_int_equal(temp_dir_write(dir->fd, "f", bytes, 100001), 0);
	int fd = openat(dir->fd, "f", O_RDONLY | O_CLOEXEC);

	assert_int_equal(phial_read_all(fd, 100000, &found, &length, NULL), PHIAL_TOO_LARGE);
	close(fd);
	assert_null(found);
	assert_int_equal(phial_read_all(-1, 10, &found, &length, NULL), PHIAL_SYSTEM);
}

static void reads_what_has_no_size(void **state)
{
	phial_auto_free uint8_t *found = NULL;
	size_t length = 0;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(phial_read_all(fd, 65536, &found, &length, NULL), PHIAL_OK);
	close(fd);
	assert_int_equal(strlen((char *)found), length);
	assert_memory_equal(found, "Name:", 5);
	fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	uint8_t *none = NULL;

	assert_int_equal(phial_read_all(fd, 65536, &none, &length, NULL), PHIAL_TOO_LARGE);
	assert_int_equal(phial_read_all(fd, 10, &none, &length, NULL), PHIAL_TOO_LARGE);
	close(fd);
	assert_null(none);
}

static void writes_everything_or_says_so(void **state)
{
	struct temp_dir *dir = *state;
	char bytes[8];
	int fd = openat(dir->fd, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct phial_error err = { 0 };

	assert_int_equal(phial_write_all(fd, "hello", 5, NULL), PHIAL_OK);
	assert_int_equal(phial_write_all(fd, NULL, 0, NULL), PHIAL_OK);
	close(fd);
	assert_int_equal(temp_dir_read(dir->fd, "f", bytes, sizeof(bytes)), 5);
	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_int_equal(phial_write_all(fd, "x", 1, &err), PHIAL_SYSTEM);
	assert_non_null(strstr(err.text, "No space left"));
	close(fd);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, temp_dir_setup, temp_dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows),
		cmocka_unit_test(stops_at_its_limit_for_good),
		TEST(reads_whole_files_up_to_a_limit),
		cmocka_unit_test(reads_what_has_no_size),
		TEST(writes_everything_or_says_so),
	};

	return cmocka_run_group_tests_name("base_text", tests, NULL, NULL);
}
