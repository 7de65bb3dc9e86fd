/* SPDX-License-Identifier: ISC */
/* link: -Wl,--wrap=fdatasync,--wrap=write */
/*
 * The journal: what survives a crash, what is damage, and what a failing disk does. Attacks
 * S-04 (the marks live in it) and F-05, F-07 (faults at its system calls).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "store/journal.h"
#include "temp_dir.h"

/* errno for the next calls, 0: none fails. */
static int fail_fdatasync;
static int fail_write;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
	if (fail_fdatasync != 0) {
		errno = fail_fdatasync;
		return -1;
	}
	return __real_fdatasync(fd);
}

/* A failing write first writes a part, as a full disk does. */
ssize_t __real_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
	if (fail_write != 0 && length > 3) {
		return __real_write(fd, bytes, length / 2);
	}
	if (fail_write != 0) {
		errno = fail_write;
		return -1;
	}
	return __real_write(fd, bytes, length);
}

struct seen {
	char lines[8][64];
	size_t count;
	enum phial_status answer;
};

static enum phial_status note_line(void *context, const char *line, struct phial_error *err)
{
	struct seen *seen = context;

	assert_true(seen->count < PHIAL_COUNT(seen->lines));
	(void)snprintf(seen->lines[seen->count++], sizeof(seen->lines[0]), "%s", line);
	return seen->answer == PHIAL_OK ? PHIAL_OK : phial_fail(err, seen->answer, 0, "no");
}

static enum phial_status open_journal(int dir_fd, bool create, struct seen *seen,
				      struct phial_journal **ret, struct phial_error *err)
{
	*seen = (struct seen){ 0 };
	return phial_journal_open(dir_fd, "j", create, note_line, seen, ret, err);
}

static void make_three_lines(int dir_fd)
{
	static const char *const lines[] = { "one", "two 2", "three  3" };
	struct phial_journal *journal = NULL;
	struct seen seen;

	assert_int_equal(open_journal(dir_fd, true, &seen, &journal, NULL), PHIAL_OK);
	for (size_t i = 0; i < PHIAL_COUNT(lines); i++) {
		assert_int_equal(phial_journal_append(journal, lines[i], NULL), PHIAL_OK);
	}
	assert_int_equal(phial_journal_sync(journal, NULL), PHIAL_OK);
	phial_journal_close(journal);
}

static void assert_three_lines(const struct seen *seen)
{
	assert_int_equal(seen->count, 3);
	assert_string_equal(seen->lines[0], "one");
	assert_string_equal(seen->lines[1], "two 2");
	assert_string_equal(seen->lines[2], "three  3");
}

static void keeps_lines(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_journal *journal = NULL;
	struct seen seen;

	make_three_lines(dir->fd);
	assert_int_equal(open_journal(dir->fd, false, &seen, &journal, NULL), PHIAL_OK);
	assert_three_lines(&seen);
	assert_int_equal(phial_journal_append(journal, "four", NULL), PHIAL_OK);
	assert_int_equal(phial_journal_sync(journal, NULL), PHIAL_OK);
	phial_journal_close(journal);
	assert_int_equal(open_journal(dir->fd, false, &seen, &journal, NULL), PHIAL_OK);
	assert_int_equal(seen.count, 4);
	phial_journal_close(journal);
}

static void has_the_documented_form(void **state)
{
	struct temp_dir *dir = *state;
	char bytes[256];

	make_three_lines(dir->fd);
	ssize_t length = temp_dir_read(dir->fd, "j", bytes, sizeof(bytes));

	/* b2sum -l 256 of "0000000000000000one", and so on: docs/store.md. */
	static const char expected[] = "one cfe153b8baf99b57\n"
				       "two 2 a660dcf7bcf587b6\n"
				       "three  3 9ef5b90cf31573e6\n";

	assert_int_equal(length, sizeof(expected) - 1);
	assert_memory_equal(bytes, expected, sizeof(expected) - 1);
}

static void is_not_made_unasked(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_journal *journal = NULL;
	struct seen seen;

	assert_int_equal(open_journal(dir->fd, false, &seen, &journal, NULL), PHIAL_NOT_FOUND);
	assert_int_equal(faccessat(dir->fd, "j", F_OK, 0), -1);
}

static void drops_a_torn_tail_at_each_length(void **state)
{
	struct temp_dir *dir = *state;
	char bytes[256];

	make_three_lines(dir->fd);
	ssize_t length = temp_dir_read(dir->fd, "j", bytes, sizeof(bytes));
	size_t third = (size_t)length - strlen("three  3 0123456789abcdef\n");

	for (size_t cut = third + 1; cut < (size_t)length; cut++) {
		struct phial_journal *journal = NULL;
		struct seen seen;

		assert_int_equal(temp_dir_write(dir->fd, "j", bytes, cut), 0);
		assert_int_equal(open_journal(dir->fd, false, &seen, &journal, NULL), PHIAL_OK);
		assert_int_equal(seen.count, 2);
		assert_int_equal(phial_journal_append(journal, "three  3", NULL), PHIAL_OK);
		assert_int_equal(phial_journal_sync(journal, NULL), PHIAL_OK);
		phial_journal_close(journal);
		assert_int_equal(open_journal(dir->fd, false, &seen, &journal, NULL), PHIAL_OK);
		assert_three_lines(&seen);
		phial_journal_close(journal);
	}
}

static void S04_finds_every_flipped_bit(void **state)
{
	struct temp_dir *dir = *state;
	char bytes[256];

	make_three_lines(dir->fd);
	ssize_t length = temp_dir_read(dir->fd, "j", bytes, sizeof(bytes));

	for (size_t i = 0; i < (size_t)length * 8; i++) {
		struct phial_journal *journal = NULL;
		struct phial_error err = { 0 };
		struct seen seen;

		bytes[i / 8] = (char)(bytes[i / 8] ^ (1 << (i % 8)));
		assert_int_equal(temp_dir_write(dir->fd, "j", bytes, (size_t)length), 0);
		assert_int_equal(open_journal(dir->fd, false, &seen, &journal, &err),
				 PHIAL_TAMPERED);
		assert_non_null(strstr(err.text, "j: line "));
		bytes[i / 8] = (char)(bytes[i / 8] ^ (1 << (i % 8)));
	}
}

static void S04_finds_lines_cut_out_or_swapped(void **state)
{
	struct temp_dir *dir = *state;
	char bytes[256];
	char changed[256];

	make_three_lines(dir->fd);
	size_t length = (size_t)temp_dir_read(dir->fd, "j", bytes, sizeof(bytes));
	size_t first = (size_t)((char *)memchr(bytes, '\n', length) - bytes) + 1;
	size_t second = (size_t)((char *)memchr(bytes + first, '\n', length - first) - bytes) + 1;
	const struct {
		size_t from[3], to[3];
		const char *reason;
	} cases[] = {
		{ { first }, { length }, "line 1 " },		 /* the first is gone */
		{ { 0, second }, { first, length }, "line 2 " }, /* the second is gone */
		{ { first, 0, second }, { second, first, length }, "line 1 " }, /* swapped */
		{ { 0, 0, first }, { first, first, length }, "line 2 " },	/* doubled */
	};

	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_journal *journal = NULL;
		struct phial_error err = { 0 };
		struct seen seen;
		size_t used = 0;

		for (size_t k = 0; k < 3; k++) {
			size_t part = cases[i].to[k] - cases[i].from[k];

			memcpy(changed + used, bytes + cases[i].from[k], part);
			used += part;
		}
		assert_int_equal(temp_dir_write(dir->fd, "j", changed, used), 0);
		assert_int_equal(open_journal(dir->fd, false, &seen, &journal, &err),
				 PHIAL_TAMPERED);
		assert_non_null(strstr(err.text, cases[i].reason));
	}
}

static void F07_a_full_disk_stops_it_for_good(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_journal *journal = NULL;
	struct phial_error err = { 0 };
	struct seen seen;

	make_three_lines(dir->fd);
	assert_int_equal(open_journal(dir->fd, false, &seen, &journal, NULL), PHIAL_OK);
	assert_int_equal(phial_journal_append(journal, "four", NULL), PHIAL_OK);
	fail_write = ENOSPC;
	assert_int_equal(phial_journal_sync(journal, &err), PHIAL_SYSTEM);
	assert_int_equal(err.os_error, ENOSPC);
	fail_write = 0;
	assert_int_equal(phial_journal_sync(journal, NULL), PHIAL_SYSTEM);
	assert_int_equal(phial_journal_append(journal, "five", NULL), PHIAL_SYSTEM);
	phial_journal_close(journal);
	/* The half line that the disk still took is a torn tail. */
	assert_int_equal(open_journal(dir->fd, false, &seen, &journal, NULL), PHIAL_OK);
	assert_three_lines(&seen);
	phial_journal_close(journal);
}

static void F05_a_failed_fdatasync_stops_it_for_good(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_journal *journal = NULL;
	struct seen seen;

	make_three_lines(dir->fd);
	assert_int_equal(open_journal(dir->fd, false, &seen, &journal, NULL), PHIAL_OK);
	assert_int_equal(phial_journal_append(journal, "four", NULL), PHIAL_OK);
	fail_fdatasync = EIO;
	assert_int_equal(phial_journal_sync(journal, NULL), PHIAL_SYSTEM);
	fail_fdatasync = 0;
	assert_int_equal(phial_journal_sync(journal, NULL), PHIAL_SYSTEM);
	phial_journal_close(journal);
}

static void rewrites_atomically(void **state)
{
	static const char *const lines[] = { "a", "b" };
	struct temp_dir *dir = *state;
	struct phial_journal *journal = NULL;
	struct seen seen;

	make_three_lines(dir->fd);
	assert_int_equal(open_journal(dir->fd, false, &seen, &journal, NULL), PHIAL_OK);
	/* A rewrite that fails leaves the old content, and the journal usable. */
	fail_write = ENOSPC;
	assert_int_equal(phial_journal_rewrite(journal, lines, 2, NULL), PHIAL_SYSTEM);
	fail_write = 0;
	assert_int_equal(phial_journal_append(journal, "four", NULL), PHIAL_OK);
	assert_int_equal(phial_journal_sync(journal, NULL), PHIAL_OK);
	assert_int_equal(phial_journal_rewrite(journal, lines, 2, NULL), PHIAL_OK);
	assert_int_equal(phial_journal_append(journal, "c", NULL), PHIAL_OK);
	assert_int_equal(phial_journal_sync(journal, NULL), PHIAL_OK);
	phial_journal_close(journal);
	assert_int_equal(open_journal(dir->fd, false, &seen, &journal, NULL), PHIAL_OK);
	assert_int_equal(seen.count, 3);
	assert_string_equal(seen.lines[2], "c");
	phial_journal_close(journal);
}

static void refuses_lines_it_could_not_read_again(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_journal *journal = NULL;
	struct seen seen;
	char line[PHIAL_JOURNAL_LINE_MAX_BYTES + 2];

	assert_int_equal(open_journal(dir->fd, true, &seen, &journal, NULL), PHIAL_OK);
	memset(line, 'x', sizeof(line));
	line[PHIAL_JOURNAL_LINE_MAX_BYTES + 1] = '\0';
	assert_int_equal(phial_journal_append(journal, line, NULL), PHIAL_USAGE);
	assert_int_equal(phial_journal_append(journal, "a\nb", NULL), PHIAL_USAGE);
	assert_int_equal(phial_journal_append(journal, "", NULL), PHIAL_USAGE);
	line[PHIAL_JOURNAL_LINE_MAX_BYTES] = '\0';
	assert_int_equal(phial_journal_append(journal, line, NULL), PHIAL_OK);
	assert_int_equal(phial_journal_sync(journal, NULL), PHIAL_OK);
	phial_journal_close(journal);
	assert_int_equal(open_journal(dir->fd, false, &seen, &journal, NULL), PHIAL_OK);
	assert_int_equal(seen.count, 1);
	phial_journal_close(journal);
}

static void refuses_foreign_files(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_journal *journal = NULL;
	struct seen seen;

	make_three_lines(dir->fd);
	assert_int_equal(fchmodat(dir->fd, "j", 0620, 0), 0);
	assert_int_equal(open_journal(dir->fd, false, &seen, &journal, NULL), PHIAL_DENIED);
	assert_int_equal(renameat(dir->fd, "j", dir->fd, "k"), 0);
	assert_int_equal(symlinkat("k", dir->fd, "j"), 0);
	assert_int_equal(open_journal(dir->fd, true, &seen, &journal, NULL), PHIAL_MALFORMED);
	assert_int_equal(unlinkat(dir->fd, "j", 0), 0);
	assert_int_equal(mkfifoat(dir->fd, "j", 0600), 0);
	assert_int_equal(open_journal(dir->fd, true, &seen, &journal, NULL), PHIAL_TAMPERED);
}

static enum phial_status refuse_line(void *context, const char *line, struct phial_error *err)
{
	(void)context;
	(void)line;
	return phial_fail(err, PHIAL_REFUSED, 0, "no");
}

static void stops_where_the_reader_says(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_journal *journal = NULL;

	make_three_lines(dir->fd);
	assert_int_equal(phial_journal_open(dir->fd, "j", false, refuse_line, NULL, &journal, NULL),
			 PHIAL_REFUSED);
	assert_null(journal);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, temp_dir_setup, temp_dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keeps_lines),
		TEST(has_the_documented_form),
		TEST(is_not_made_unasked),
		TEST(drops_a_torn_tail_at_each_length),
		TEST(S04_finds_every_flipped_bit),
		TEST(S04_finds_lines_cut_out_or_swapped),
		TEST(F07_a_full_disk_stops_it_for_good),
		TEST(F05_a_failed_fdatasync_stops_it_for_good),
		TEST(rewrites_atomically),
		TEST(refuses_lines_it_could_not_read_again),
		TEST(refuses_foreign_files),
		TEST(stops_where_the_reader_says),
	};

	return cmocka_run_group_tests_name("store_journal", tests, NULL, NULL);
}
