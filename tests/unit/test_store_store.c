/* SPDX-License-Identifier: ISC */
/* link: -Wl,--wrap=fsync,--wrap=renameat */
/*
 * A store on disk: finding, listing, reading, writing. Attacks S-13 (names), S-08 (sizes), F-05
 * (faults of writing), and links as ConfigMap volumes have them.
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
#include "store/store.h"
#include "temp_dir.h"

static int fail_fsync;
static int fail_renameat;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	errno = fail_fsync;
	return fail_fsync != 0 ? -1 : __real_fsync(fd);
}

int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	errno = fail_renameat;
	return fail_renameat != 0 ? -1 : __real_renameat(from_fd, from, to_fd, to);
}

static void make_dir(int dir_fd, const char *path)
{
	assert_int_equal(mkdirat(dir_fd, path, 0755), 0);
}

static void make_file(int dir_fd, const char *path)
{
	assert_int_equal(temp_dir_write(dir_fd, path, path, strlen(path)), 0);
}

/* --- find ----------------------------------------------------------------------------- */

static void finds_the_nearest_store_above(void **state)
{
	struct temp_dir *dir = *state;
	char path[128];
	phial_auto_free char *found = NULL;
	struct phial_error err = { 0 };

	make_dir(dir->fd, "s");
	make_dir(dir->fd, "s/a");
	make_dir(dir->fd, "s/a/b");
	(void)snprintf(path, sizeof(path), "%s/s/a/b", dir->path);
	assert_int_equal(phial_store_find(path, &found, &err), PHIAL_NOT_FOUND);
	assert_non_null(strstr(err.text, "phial init"));
	make_file(dir->fd, "s/a/.phial"); /* a file is none */
	make_dir(dir->fd, "s/.phial");
	assert_int_equal(phial_store_find(path, &found, NULL), PHIAL_OK);
	path[strlen(path) - strlen("/a/b")] = '\0';
	assert_string_equal(found, path);
	(void)snprintf(path, sizeof(path), "%s/missing", dir->path);
	assert_int_equal(phial_store_find(path, &found, NULL), PHIAL_NOT_FOUND);
}

/* --- list ----------------------------------------------------------------------------- */

static bool has_problem(const struct phial_store_names *names, const char *start, const char *part)
{
	for (size_t i = 0; i < names->problem_count; i++) {
		if (strncmp(names->problems[i], start, strlen(start)) == 0 &&
		    strstr(names->problems[i], part)) {
			return true;
		}
	}
	return false;
}

static void S13_lists_names_and_problems(void **state)
{
	static const char *const directories[] = {
		".git", ".phial", "web", "a", "a/b", "a/b/c", "a/b/c/d", "my dir", "web/d.sealed",
	};
	static const char *const files[] = {
		"top.sealed",	   "web/db.sealed",	   "web/A.b_c-9.sealed",
		"a/b/c/x.sealed",  "a/b/c/d/x.sealed",	   "my dir/x.sealed",
		".hidden.sealed",  ".git/x.sealed",	   ".phial/x.sealed",
		"web/README.md",   "web/x.sealed~",	   "web/.sealed",
		"web/-x.sealed",   "web/e\x1b[31m.sealed", "web/\xe2\x80\xae.sealed",
		"web/Case.sealed", "web/case.sealed",	   "web/CASE.sealed",
	};
	static const char *const expected[] = { "a/b/c/x", "top", "web/A.b_c-9", "web/db" };
	struct temp_dir *dir = *state;
	struct phial_store_names names = { 0 };

	for (size_t i = 0; i < PHIAL_COUNT(directories); i++) {
		make_dir(dir->fd, directories[i]);
	}
	for (size_t i = 0; i < PHIAL_COUNT(files); i++) {
		make_file(dir->fd, files[i]);
	}
	assert_int_equal(mkfifoat(dir->fd, "web/fifo.sealed", 0600), 0);
	assert_int_equal(phial_store_list(dir->fd, &names, NULL), PHIAL_OK);
	assert_int_equal(names.count, PHIAL_COUNT(expected));
	for (size_t i = 0; i < names.count; i++) {
		assert_string_equal(names.names[i], expected[i]);
	}
	assert_true(has_problem(&names, "a/b/c/d/x.sealed: ", "more than 4 components"));
	assert_true(has_problem(&names, "my dir/x.sealed: ", "only letters"));
	assert_true(has_problem(&names, "web/-x.sealed: ", "must begin with"));
	assert_true(has_problem(&names, "web/e\\x1b[31m.sealed: ", "only letters"));
	assert_true(has_problem(&names, "web/\\xe2\\x80\\xae.sealed: ", "must begin with"));
	assert_true(has_problem(&names, "web/Case: ", "only in case"));
	assert_true(has_problem(&names, "web/case: ", "only in case"));
	assert_true(has_problem(&names, "web/CASE: ", "only in case"));
	assert_true(has_problem(&names, "web/fifo.sealed: ", "not a regular file"));
	assert_true(has_problem(&names, "web/d.sealed: ", "not a regular file"));
	assert_int_equal(names.problem_count, 10);
	phial_store_names_free(&names);
	assert_null(names.names);
}

/* A volume as the kubelet makes it, and links that go astray. */
static void follows_links_inside_only(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_store_names names = { 0 };
	phial_auto_free uint8_t *buffer = NULL;
	size_t room = 0;
	size_t length = 0;

	make_dir(dir->fd, "..2026");
	make_dir(dir->fd, "..2026/web");
	make_file(dir->fd, "..2026/web/db.sealed");
	make_file(dir->fd, "..2026/top.sealed");
	assert_int_equal(symlinkat("..2026", dir->fd, "..data"), 0);
	assert_int_equal(symlinkat("..data/web", dir->fd, "web"), 0);
	assert_int_equal(symlinkat("..data/top.sealed", dir->fd, "top.sealed"), 0);
	assert_int_equal(symlinkat("/etc/passwd", dir->fd, "out.sealed"), 0);
	assert_int_equal(symlinkat("../../etc/passwd", dir->fd, "up.sealed"), 0);
	assert_int_equal(symlinkat("/proc/self/root/etc", dir->fd, "etc"), 0);
	assert_int_equal(symlinkat(".", dir->fd, "loop"), 0);
	assert_int_equal(symlinkat("missing", dir->fd, "gone.sealed"), 0);
	assert_int_equal(phial_store_list(dir->fd, &names, NULL), PHIAL_OK);
	assert_int_equal(names.count, 2);
	assert_string_equal(names.names[0], "top");
	assert_string_equal(names.names[1], "web/db");
	assert_true(has_problem(&names, "out.sealed: ", "leads out"));
	assert_true(has_problem(&names, "up.sealed: ", "leads out"));
	assert_true(has_problem(&names, "gone.sealed: ", "No such file"));
	assert_int_equal(names.problem_count, 3);
	phial_store_names_free(&names);
	assert_int_equal(phial_store_read_sealed(dir->fd, "web/db", &buffer, &room, &length, NULL),
			 PHIAL_OK);
	assert_int_equal(length, strlen("..2026/web/db.sealed"));
	assert_memory_equal(buffer, "..2026/web/db.sealed", length);
	assert_int_equal(phial_store_read_sealed(dir->fd, "out", &buffer, &room, &length, NULL),
			 PHIAL_MALFORMED);
	assert_int_equal(phial_store_read_sealed(dir->fd, "up", &buffer, &room, &length, NULL),
			 PHIAL_MALFORMED);
	assert_int_equal(phial_store_read_sealed(dir->fd, "etc/passwd", &buffer, &room, &length,
						 NULL),
			 PHIAL_MALFORMED);
}

static void an_empty_store_has_no_names(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_store_names names = { 0 };

	assert_int_equal(phial_store_list(dir->fd, &names, NULL), PHIAL_OK);
	assert_int_equal(names.count, 0);
	assert_int_equal(names.problem_count, 0);
	phial_store_names_free(&names);
}

static void a_flood_of_problems_is_summed_up(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_store_names names = { 0 };
	char path[32];

	for (int i = 0; i < 1005; i++) {
		(void)snprintf(path, sizeof(path), "-%d.sealed", i);
		make_file(dir->fd, path);
	}
	assert_int_equal(phial_store_list(dir->fd, &names, NULL), PHIAL_OK);
	assert_int_equal(names.problem_count, 1001);
	assert_string_equal(names.problems[1000], "and 5 more problems");
	phial_store_names_free(&names);
}

/* --- read ----------------------------------------------------------------------------- */

static void S08_reads_up_to_the_limit(void **state)
{
	struct temp_dir *dir = *state;
	phial_auto_free uint8_t *buffer = NULL;
	phial_auto_free uint8_t *large = calloc(1, PHIAL_SEALED_MAX_BYTES + 1);
	size_t room = 0;
	size_t length = 0;

	assert_non_null(large);
	assert_int_equal(temp_dir_write(dir->fd, "empty.sealed", "", 0), 0);
	assert_int_equal(temp_dir_write(dir->fd, "most.sealed", large, PHIAL_SEALED_MAX_BYTES), 0);
	assert_int_equal(temp_dir_write(dir->fd, "more.sealed", large, PHIAL_SEALED_MAX_BYTES + 1),
			 0);
	assert_int_equal(phial_store_read_sealed(dir->fd, "empty", &buffer, &room, &length, NULL),
			 PHIAL_OK);
	assert_int_equal(length, 0);
	assert_int_equal(phial_store_read_sealed(dir->fd, "most", &buffer, &room, &length, NULL),
			 PHIAL_OK);
	assert_int_equal(length, PHIAL_SEALED_MAX_BYTES);
	assert_int_equal(phial_store_read_sealed(dir->fd, "more", &buffer, &room, &length, NULL),
			 PHIAL_TOO_LARGE);
}

static void S13_reads_regular_files_only(void **state)
{
	struct temp_dir *dir = *state;
	phial_auto_free uint8_t *buffer = NULL;
	struct phial_error err = { 0 };
	size_t room = 0;
	size_t length = 0;

	assert_int_equal(mkfifoat(dir->fd, "fifo.sealed", 0600), 0);
	make_dir(dir->fd, "dir.sealed");
	static const struct {
		const char *name;
		enum phial_status status;
	} cases[] = {
		{ "fifo", PHIAL_MALFORMED }, { "dir", PHIAL_MALFORMED },
		{ "none", PHIAL_NOT_FOUND }, { "../x", PHIAL_BAD_NAME },
		{ "", PHIAL_BAD_NAME },	     { "/etc/passwd", PHIAL_BAD_NAME },
	};

	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		assert_int_equal(phial_store_read_sealed(dir->fd, cases[i].name, &buffer, &room,
							 &length, &err),
				 cases[i].status);
	}
}

/* --- write ---------------------------------------------------------------------------- */

static mode_t mode_of(int dir_fd, const char *path)
{
	struct stat status;

	assert_int_equal(fstatat(dir_fd, path, &status, AT_SYMLINK_NOFOLLOW), 0);
	return status.st_mode & 07777;
}

static void writes_whatever_the_umask(void **state)
{
	struct temp_dir *dir = *state;
	char bytes[16];
	mode_t old = umask(077);

	assert_int_equal(phial_store_write(dir->fd, "a/b/c.sealed", "one", 3, 0644, NULL),
			 PHIAL_OK);
	assert_int_equal(phial_store_write(dir->fd, "a/b/c.sealed", "two!", 4, 0644, NULL),
			 PHIAL_OK);
	umask(old);
	assert_int_equal(temp_dir_read(dir->fd, "a/b/c.sealed", bytes, sizeof(bytes)), 4);
	assert_memory_equal(bytes, "two!", 4);
	assert_int_equal(mode_of(dir->fd, "a/b/c.sealed"), 0644);
	assert_int_equal(mode_of(dir->fd, "a"), 0755);
	assert_int_equal(mode_of(dir->fd, "a/b"), 0755);
	assert_int_equal(phial_store_write(dir->fd, "private/x", "", 0, 0600, NULL), PHIAL_OK);
	assert_int_equal(mode_of(dir->fd, "private"), 0700);
}

static size_t count_entries(const char *path)
{
	char command[128];
	size_t count = 0;

	(void)snprintf(command, sizeof(command), "ls -A %s", path);
	FILE *list = popen(command, "re");

	assert_non_null(list);
	for (int c = fgetc(list); c != EOF; c = fgetc(list)) {
		count += c == '\n';
	}
	pclose(list);
	return count;
}

static void F05_leaves_nothing_behind(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_error err = { 0 };
	char bytes[16];

	make_file(dir->fd, "x");
	fail_fsync = EIO;
	assert_int_equal(phial_store_write(dir->fd, "x", "new", 3, 0644, &err), PHIAL_SYSTEM);
	fail_fsync = 0;
	assert_int_equal(err.os_error, EIO);
	assert_non_null(strstr(err.text, "write x"));
	fail_renameat = ENOSPC;
	assert_int_equal(phial_store_write(dir->fd, "x", "new", 3, 0644, &err), PHIAL_SYSTEM);
	fail_renameat = 0;
	assert_int_equal(temp_dir_read(dir->fd, "x", bytes, sizeof(bytes)), 1);
	assert_int_equal(count_entries(dir->path), 1);
}

static void writes_through_links_inside_only(void **state)
{
	struct temp_dir *dir = *state;
	struct stat status;

	make_dir(dir->fd, "store");
	make_dir(dir->fd, "outside");
	int store = openat(dir->fd, "store", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(store >= 0);
	assert_int_equal(symlinkat("../outside", store, "web"), 0);
	assert_int_equal(phial_store_write(store, "web/x", "", 0, 0644, NULL), PHIAL_MALFORMED);
	assert_int_equal(phial_store_write(store, "web/sub/x", "", 0, 0644, NULL), PHIAL_MALFORMED);
	assert_int_equal(fstatat(dir->fd, "outside/x", &status, 0), -1);
	make_dir(store, "real");
	assert_int_equal(symlinkat("real", store, "link"), 0);
	assert_int_equal(phial_store_write(store, "link/x", "", 0, 0644, NULL), PHIAL_OK);
	assert_int_equal(fstatat(store, "real/x", &status, 0), 0);
	/* A link in the place of the file is replaced, not followed. */
	assert_int_equal(symlinkat("../outside/y", store, "y"), 0);
	assert_int_equal(phial_store_write(store, "y", "", 0, 0644, NULL), PHIAL_OK);
	assert_int_equal(fstatat(dir->fd, "outside/y", &status, 0), -1);
	assert_int_equal(fstatat(store, "y", &status, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(status.st_mode));
	make_file(store, "file");
	assert_int_equal(phial_store_write(store, "file/x", "", 0, 0644, NULL), PHIAL_NOT_FOUND);
	close(store);
}

/* --- nearest -------------------------------------------------------------------------- */

static void the_nearest_word(void **state)
{
	static const char *const words[] = { "web", "worker", "database", "db", "" };
	static const struct {
		const char *word;
		const char *nearest;
	} cases[] = {
		{ "wbe", "web" },
		{ "wed", "web" },
		{ "we", "web" },
		{ "webb", "web" },
		{ "wokrer", "worker" },
		{ "wrkr", NULL },
		{ "dtabas", "database" },
		{ "atabsae", "database" },
		{ "d", "db" },
		{ "x", NULL },
		{ "", NULL },
		{ "completely", NULL },
		{ "bd", "db" },
		{ "dabase", "database" },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		const char *found = phial_nearest(cases[i].word, words, PHIAL_COUNT(words));

		if (cases[i].nearest) {
			assert_non_null(found);
			assert_string_equal(found, cases[i].nearest);
		} else if (found) {
			fail_msg("%s is near %s", cases[i].word, found);
		}
	}
	char huge[512];

	memset(huge, 'w', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	assert_null(phial_nearest(huge, words, PHIAL_COUNT(words)));
	const char *const one = huge;

	assert_null(phial_nearest("web", &one, 1));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, temp_dir_setup, temp_dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(finds_the_nearest_store_above),	TEST(S13_lists_names_and_problems),
		TEST(follows_links_inside_only),	TEST(an_empty_store_has_no_names),
		TEST(a_flood_of_problems_is_summed_up), TEST(S08_reads_up_to_the_limit),
		TEST(S13_reads_regular_files_only),	TEST(writes_whatever_the_umask),
		TEST(F05_leaves_nothing_behind),	TEST(writes_through_links_inside_only),
		cmocka_unit_test(the_nearest_word),
	};

	return cmocka_run_group_tests_name("store_store", tests, NULL, NULL);
}
