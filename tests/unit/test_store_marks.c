/* SPDX-License-Identifier: ISC */
/*
 * The marks: an old version stays refused over restarts, damage is told with how to repair it,
 * and a full disk releases nothing. Attacks S-04, S-10 (in part: versions), F-07.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "store/marks.h"
#include "temp_dir.h"

static const uint8_t digest_a[PHIAL_DIGEST_BYTES] = { 0xaa, 1 };
static const uint8_t digest_b[PHIAL_DIGEST_BYTES] = { 0xbb, 2 };

static struct phial_marks *open_marks(int dir_fd, bool is_first_start)
{
	struct phial_marks *marks = NULL;
	struct phial_error err = { 0 };

	if (phial_marks_open(dir_fd, is_first_start, &marks, &err) != PHIAL_OK) {
		fail_msg("%s", err.text);
	}
	return marks;
}

static void note(struct phial_marks *marks, const char *name, uint64_t version,
		 const uint8_t *digest)
{
	assert_int_equal(phial_marks_note(marks, name, version, digest, NULL), PHIAL_OK);
}

static void check_all(const struct phial_marks *marks)
{
	static const struct {
		const char *name;
		uint64_t version;
		const uint8_t *digest;
		enum phial_status status;
	} cases[] = {
		{ "web/db", 5, digest_b, PHIAL_OK },
		{ "web/db", 5, digest_a, PHIAL_ROLLBACK },
		{ "web/db", 4, digest_b, PHIAL_ROLLBACK },
		{ "web/db", 0, digest_b, PHIAL_ROLLBACK },
		{ "web/db", 6, digest_a, PHIAL_OK },
		{ "web/d", 1, digest_a, PHIAL_OK },
		{ ".phial/policy.json", 2, digest_a, PHIAL_OK },
		{ ".phial/policy.json", 1, digest_a, PHIAL_ROLLBACK },
		{ ".phial/policy.json", 0, digest_a, PHIAL_ROLLBACK },
		{ ".phial/signers", 0, digest_a, PHIAL_OK },
		{ ".phial/signers", 1, digest_a, PHIAL_OK },
	};

	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		assert_int_equal(phial_marks_check(marks, cases[i].name, cases[i].version,
						   cases[i].digest, NULL),
				 cases[i].status);
	}
}

static void S04_refuses_older_and_different_over_restarts(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_marks *marks = open_marks(dir->fd, true);

	note(marks, "web/db", 3, digest_a);
	note(marks, "web/db", 5, digest_b);
	note(marks, "web/db", 5, digest_b);
	note(marks, ".phial/policy.json", 2, digest_a);
	assert_int_equal(phial_marks_note(marks, "web/db", 4, digest_a, NULL), PHIAL_ROLLBACK);
	assert_int_equal(phial_marks_note(marks, "web/db", 5, digest_a, NULL), PHIAL_ROLLBACK);
	check_all(marks);
	assert_int_equal(phial_marks_sync(marks, NULL), PHIAL_OK);
	phial_marks_close(marks);
	marks = open_marks(dir->fd, false);
	check_all(marks);
	phial_marks_close(marks);
}

static void S10_refuses_what_cannot_be_marked(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_marks *marks = open_marks(dir->fd, true);

	assert_int_equal(phial_marks_note(marks, "../x", 1, digest_a, NULL), PHIAL_BAD_NAME);
	assert_int_equal(phial_marks_note(marks, ".phial/x", 1, digest_a, NULL), PHIAL_BAD_NAME);
	assert_int_equal(phial_marks_note(marks, "x", 0, digest_a, NULL), PHIAL_BAD_NAME);
	assert_int_equal(phial_marks_note(marks, "x", UINT64_MAX, digest_a, NULL), PHIAL_BAD_NAME);
	assert_int_equal(phial_marks_note(marks, "x", UINT64_C(1) << 53, digest_a, NULL), PHIAL_OK);
	phial_marks_close(marks);
}

static void unsynced_notes_are_not_there(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_marks *marks = open_marks(dir->fd, true);

	note(marks, "x", 7, digest_a);
	phial_marks_close(marks);
	marks = open_marks(dir->fd, false);
	assert_int_equal(phial_marks_check(marks, "x", 1, digest_a, NULL), PHIAL_OK);
	phial_marks_close(marks);
}

static void S04_missing_or_emptied_marks_are_refused(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_marks *marks = NULL;
	struct phial_error err = { 0 };

	assert_int_equal(phial_marks_open(dir->fd, false, &marks, &err), PHIAL_NOT_FOUND);
	assert_non_null(strstr(err.text, "docs/store.md"));
	assert_int_equal(temp_dir_write(dir->fd, PHIAL_MARKS_FILE, "", 0), 0);
	assert_int_equal(phial_marks_open(dir->fd, false, &marks, &err), PHIAL_TAMPERED);
	/* A crash at the very first start leaves an empty file. */
	phial_marks_close(open_marks(dir->fd, true));
	phial_marks_close(open_marks(dir->fd, false));
	phial_marks_close(open_marks(dir->fd, true));
}

static void S04_every_flipped_bit_is_told(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_marks *marks = open_marks(dir->fd, true);
	char bytes[1024];

	note(marks, "web/db", 3, digest_a);
	note(marks, "x", 1, digest_b);
	assert_int_equal(phial_marks_sync(marks, NULL), PHIAL_OK);
	phial_marks_close(marks);
	ssize_t length = temp_dir_read(dir->fd, PHIAL_MARKS_FILE, bytes, sizeof(bytes));

	for (size_t i = 0; i < (size_t)length * 8; i++) {
		struct phial_error err = { 0 };

		bytes[i / 8] = (char)(bytes[i / 8] ^ (1 << (i % 8)));
		assert_int_equal(temp_dir_write(dir->fd, PHIAL_MARKS_FILE, bytes, (size_t)length),
				 0);
		assert_int_equal(phial_marks_open(dir->fd, false, &marks, &err), PHIAL_TAMPERED);
		assert_non_null(strstr(err.text, "line "));
		assert_non_null(strstr(err.text, "docs/store.md"));
		bytes[i / 8] = (char)(bytes[i / 8] ^ (1 << (i % 8)));
	}
}

static void S04_a_revoked_version_never_comes_back(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_marks *marks = open_marks(dir->fd, true);

	note(marks, "web/db", 5, digest_a);
	note(marks, "x", 3, digest_b);
	assert_int_equal(phial_marks_sync(marks, NULL), PHIAL_OK);
	assert_int_equal(phial_marks_revoke(marks, "web/db", 5, NULL), PHIAL_OK);
	assert_int_equal(phial_marks_revoke(marks, "web/db", 4, NULL), PHIAL_OK);
	assert_int_equal(phial_marks_revoke(marks, "unseen", 7, NULL), PHIAL_OK);
	assert_int_equal(phial_marks_revoke(marks, "../x", 7, NULL), PHIAL_BAD_NAME);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(phial_marks_newest(marks, "web/db"), 5);
		assert_int_equal(phial_marks_newest(marks, "never"), 0);
		assert_int_equal(phial_marks_check(marks, "web/db", 5, digest_a, NULL),
				 PHIAL_REVOKED);
		assert_int_equal(phial_marks_check(marks, "web/db", 4, digest_a, NULL),
				 PHIAL_ROLLBACK);
		assert_int_equal(phial_marks_check(marks, "web/db", 6, digest_a, NULL), PHIAL_OK);
		assert_int_equal(phial_marks_check(marks, "unseen", 7, digest_a, NULL),
				 PHIAL_REVOKED);
		assert_int_equal(phial_marks_check(marks, "x", 3, digest_b, NULL), PHIAL_OK);
		phial_marks_close(marks);
		marks = open_marks(dir->fd, false);
	}
	note(marks, "web/db", 6, digest_b);
	assert_int_equal(phial_marks_sync(marks, NULL), PHIAL_OK);
	phial_marks_close(marks);
	phial_marks_close(open_marks(dir->fd, false));
}

static void many_marks_are_compacted(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_marks *marks = open_marks(dir->fd, true);
	struct stat before;
	struct stat after;

	for (uint64_t version = 1; version <= 3000; version++) {
		note(marks, "x", version, digest_a);
	}
	note(marks, "y", 9, digest_b);
	assert_int_equal(phial_marks_sync(marks, NULL), PHIAL_OK);
	phial_marks_close(marks);
	assert_int_equal(fstatat(dir->fd, PHIAL_MARKS_FILE, &before, 0), 0);
	phial_marks_close(open_marks(dir->fd, false));
	assert_int_equal(fstatat(dir->fd, PHIAL_MARKS_FILE, &after, 0), 0);
	assert_true(after.st_size < 1000);
	assert_true(before.st_size > 100000);
	marks = open_marks(dir->fd, false);
	assert_int_equal(phial_marks_check(marks, "x", 2999, digest_a, NULL), PHIAL_ROLLBACK);
	assert_int_equal(phial_marks_check(marks, "x", 3000, digest_a, NULL), PHIAL_OK);
	assert_int_equal(phial_marks_check(marks, "y", 8, digest_b, NULL), PHIAL_ROLLBACK);
	phial_marks_close(marks);
}

/* 4 KiB of disk: the sync that does not fit fails, until there is room. */
static void F07_a_full_disk_releases_nothing(void **state)
{
	struct temp_dir *dir = *state;
	char path[128];
	char name[32];

	(void)snprintf(path, sizeof(path), "%s/full", dir->path);
	assert_int_equal(mkdir(path, 0700), 0);
	if (mount("none", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=700") !=
	    0) {
		print_message("F-07: cannot mount a tmpfs of 4 KiB (not root)\n");
		skip();
	}
	int full = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct phial_marks *marks = open_marks(full, true);
	struct phial_error err = { 0 };

	for (unsigned int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "name%u", i);
		note(marks, name, 1, digest_a);
	}
	enum phial_status first = phial_marks_sync(marks, &err);
	enum phial_status second = phial_marks_sync(marks, NULL);

	assert_int_equal(mount("none", path, NULL, MS_REMOUNT, "size=64k"), 0);
	note(marks, "name100", 1, digest_a);
	enum phial_status with_room = phial_marks_sync(marks, NULL);

	phial_marks_close(marks);
	enum phial_status again = phial_marks_open(full, false, &marks, NULL);
	enum phial_status newest = PHIAL_OK;
	enum phial_status oldest = PHIAL_OK;

	if (again == PHIAL_OK) {
		newest = phial_marks_check(marks, "name100", 1, digest_b, NULL);
		oldest = phial_marks_check(marks, "name0", 1, digest_b, NULL);
		phial_marks_close(marks);
	}
	close(full);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
	assert_int_equal(first, PHIAL_SYSTEM);
	assert_int_equal(err.os_error, ENOSPC);
	assert_int_equal(second, PHIAL_SYSTEM);
	assert_int_equal(with_room, PHIAL_OK);
	assert_int_equal(again, PHIAL_OK);
	assert_int_equal(newest, PHIAL_ROLLBACK);
	assert_int_equal(oldest, PHIAL_ROLLBACK);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, temp_dir_setup, temp_dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(S04_refuses_older_and_different_over_restarts),
		TEST(S10_refuses_what_cannot_be_marked),
		TEST(unsynced_notes_are_not_there),
		TEST(S04_missing_or_emptied_marks_are_refused),
		TEST(S04_every_flipped_bit_is_told),
		TEST(S04_a_revoked_version_never_comes_back),
		TEST(many_marks_are_compacted),
		TEST(F07_a_full_disk_releases_nothing),
	};

	return cmocka_run_group_tests_name("store_marks", tests, NULL, NULL);
}
