/* SPDX-License-Identifier: ISC */
/*
 * The layout in a real mount: what a reader finds after each step, rotation (G6), and wiping as
 * those see it who hold a file open or mapped (r18).
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "generation_fixture.h"
#include "mount/generation.h"
#include "mount/mount.h"

static void test_first_generation(void **state)
{
	struct fixture *f = *state;
	struct stat found;
	char link[64] = { 0 };
	mode_t before;

	SKIP_UNLESS_ROOT();
	before = umask(077);
	add_generation(f, 1, both, 2, CANARY);
	umask(before);
	assert_content(f, "db_password", CANARY);
	assert_content(f, "api.key", CANARY);
	assert_int_equal(fstatat(f->ro_fd, "db_password", &found, 0), 0);
	assert_int_equal(found.st_mode, S_IFREG | 0400);
	assert_int_equal(found.st_uid, 4242);
	assert_int_equal(found.st_gid, 4343);
	assert_int_equal(fstatat(f->ro_fd, "..1", &found, 0), 0);
	assert_int_equal(found.st_mode, S_IFDIR | 0755);
	assert_int_equal(found.st_uid, 0);
	assert_true(readlinkat(f->ro_fd, "db_password", link, sizeof(link) - 1) > 0);
	assert_string_equal(link, "..data/db_password");
	memset(link, 0, sizeof(link));
	assert_true(readlinkat(f->ro_fd, "..data", link, sizeof(link) - 1) > 0);
	assert_string_equal(link, "..1");
}

/* Files of the writer's own, given away before they are the present generation. */
static void test_give(void **state)
{
	struct fixture *f = *state;
	phial_auto_fd int dir_fd = -1;
	struct stat found;

	SKIP_UNLESS_ROOT();
	must(f, phial_generation_begin(f->rw_fd, 1, &dir_fd, &f->err));
	for (size_t i = 0; i < 2; i++) {
		phial_auto_fd int fd = -1;

		must(f, phial_generation_add(dir_fd, both[i], 0440, 0, 0, &fd, &f->err));
		must(f, phial_generation_give(f->rw_fd, 1, both[i], 4242, 4343, &f->err));
	}
	assert_int_equal(phial_generation_give(f->rw_fd, 1, "none", 1, 1, &f->err), PHIAL_SYSTEM);
	assert_int_equal(phial_generation_give(f->rw_fd, 2, both[0], 1, 1, &f->err), PHIAL_SYSTEM);
	assert_int_equal(phial_generation_give(f->rw_fd, 1, "..", 1, 1, &f->err), PHIAL_BAD_NAME);
	assert_int_equal(phial_generation_give(f->rw_fd, 1, "a/b", 1, 1, &f->err), PHIAL_BAD_NAME);
	/* A link that leads elsewhere is itself given away. */
	assert_int_equal(symlinkat("/etc/passwd", dir_fd, "link"), 0);
	must(f, phial_generation_give(f->rw_fd, 1, "link", 4242, 4343, &f->err));
	assert_int_equal(stat("/etc/passwd", &found), 0);
	assert_int_equal(found.st_uid, 0);
	must(f, phial_generation_commit(f->rw_fd, 1, both, 2, &f->err));
	assert_int_equal(fstatat(f->ro_fd, "api.key", &found, 0), 0);
	assert_int_equal(found.st_mode, S_IFREG | 0440);
	assert_int_equal(found.st_uid, 4242);
	assert_int_equal(found.st_gid, 4343);
}

/* G6: a reader that pinned the directory sees the old set until it is wiped. */
static void test_rotation(void **state)
{
	struct fixture *f = *state;
	const char *const other[] = { "db_password", "new" };
	char value[8] = { 0 };

	SKIP_UNLESS_ROOT();
	add_generation(f, 1, both, 2, "old");
	phial_auto_fd int pinned = openat(f->ro_fd, "..data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	add_generation(f, 2, other, 2, "new");
	assert_content(f, "db_password", "new");
	assert_content(f, "new", "new");
	assert_missing(f, "api.key");
	phial_auto_fd int fd = openat(pinned, "api.key", O_RDONLY | O_CLOEXEC);

	assert_int_equal(read(fd, value, sizeof(value)), 3);
	assert_string_equal(value, "old");
	must(f, phial_generation_wipe(f->rw_fd, 1, &f->err));
	assert_missing(f, "..1");
	assert_content(f, "db_password", "new");
	must(f, phial_generation_wipe(f->rw_fd, 1, &f->err));
}

/* F-04: a commit that was cut off before its rename leaves nothing that stops the next. */
static void test_interrupted_commit(void **state)
{
	struct fixture *f = *state;

	SKIP_UNLESS_ROOT();
	add_generation(f, 1, both, 2, "old");
	assert_int_equal(symlinkat("..7", f->rw_fd, "..data_next"), 0);
	add_generation(f, 2, both, 2, "new");
	assert_content(f, "api.key", "new");
	assert_missing(f, "..data_next");
}

static void test_r18_wipe_shows_zeros(void **state)
{
	struct fixture *f = *state;
	const char *const names[] = { "a" };
	static const char zeros[sizeof(CANARY)];
	char found[64] = { 0 };
	struct stat after;

	SKIP_UNLESS_ROOT();
	add_generation(f, 1, names, 1, CANARY);
	phial_auto_fd int fd = openat(f->ro_fd, "a", O_RDONLY | O_CLOEXEC);
	const char *mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(mapped, MAP_FAILED);
	assert_memory_equal(mapped, CANARY, strlen(CANARY));
	must(f, phial_mount_wipe(f->rw_fd, &f->err));
	assert_memory_equal(mapped, zeros, strlen(CANARY));
	assert_int_equal(pread(fd, found, sizeof(found), 0), (ssize_t)strlen(CANARY));
	assert_memory_equal(found, zeros, strlen(CANARY));
	assert_int_equal(fstat(fd, &after), 0);
	assert_int_equal(after.st_nlink, 0);
	assert_missing(f, "a");
	assert_missing(f, "..data");
	assert_missing(f, "..1");
	assert_int_equal(munmap((void *)(uintptr_t)mapped, 4096), 0);
}

/* More than one block, and more names than one getdents(2) of a small buffer. */
static void test_wipe_large(void **state)
{
	struct fixture *f = *state;
	static char value[10001];
	char found[16];
	phial_auto_fd int dir_fd = -1;
	phial_auto_fd int fd = -1;

	SKIP_UNLESS_ROOT();
	memset(value, 'x', sizeof(value));
	must(f, phial_generation_begin(f->rw_fd, 1, &dir_fd, &f->err));
	must(f, phial_generation_add(dir_fd, "big", 0400, 1, 1, &fd, &f->err));
	assert_int_equal(write(fd, value, sizeof(value)), sizeof(value));
	phial_auto_fd int reader = openat(f->ro_fd, "..1/big", O_RDONLY | O_CLOEXEC);

	must(f, phial_generation_wipe(f->rw_fd, 1, &f->err));
	for (off_t at = 0; at < (off_t)sizeof(value); at += 16) {
		ssize_t got = pread(reader, found, sizeof(found), at);

		for (ssize_t i = 0; i < got; i++) {
			assert_int_equal(found[i], 0);
		}
	}
}

/* h7: what a container may have planted leads nowhere. */
static void test_h7_planted_links(void **state)
{
	struct fixture *f = *state;
	char outside[] = "/tmp/phial-planted.XXXXXX";
	char value[8] = { 0 };
	phial_auto_fd int dir_fd = -1;
	phial_auto_fd int fd = -1;

	SKIP_UNLESS_ROOT();
	int outside_fd = mkstemp(outside);

	assert_int_equal(write(outside_fd, "keep", 4), 4);
	assert_int_equal(symlinkat(outside, f->rw_fd, "planted"), 0);
	assert_int_equal(symlinkat("/tmp", f->rw_fd, "..1"), 0);
	enum phial_status begin = phial_generation_begin(f->rw_fd, 1, &dir_fd, &f->err);
	enum phial_status second = phial_generation_begin(f->rw_fd, 2, &dir_fd, &f->err);
	int planted = symlinkat(outside, dir_fd, "a");
	enum phial_status add = phial_generation_add(dir_fd, "a", 0400, 0, 0, &fd, &f->err);
	const char *const names[] = { "planted" };
	enum phial_status commit = phial_generation_commit(f->rw_fd, 2, names, 1, &f->err);
	enum phial_status wipe = phial_mount_wipe(f->rw_fd, &f->err);
	ssize_t got = pread(outside_fd, value, sizeof(value), 0);

	phial_close_fd(&outside_fd);
	(void)unlink(outside);
	assert_int_equal(begin, PHIAL_SYSTEM);
	assert_int_equal(second, PHIAL_OK);
	assert_int_equal(planted, 0);
	assert_int_equal(add, PHIAL_SYSTEM);
	assert_int_equal(commit, PHIAL_SYSTEM);
	assert_int_equal(wipe, PHIAL_OK);
	assert_int_equal(got, 4);
	assert_string_equal(value, "keep");
	assert_missing(f, "planted");
}

static void test_names_are_checked(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = { "", ".", "..", "..data", "a/b", "/a", "a\n", ".hidden" };
	phial_auto_fd int dir_fd = -1;

	SKIP_UNLESS_ROOT();
	must(f, phial_generation_begin(f->rw_fd, 1, &dir_fd, &f->err));
	for (size_t i = 0; i < PHIAL_COUNT(bad); i++) {
		int fd = -1;

		assert_int_equal(phial_generation_add(dir_fd, bad[i], 0400, 0, 0, &fd, &f->err),
				 PHIAL_BAD_NAME);
		assert_int_equal(fd, -1);
		assert_int_equal(phial_generation_commit(f->rw_fd, 1, &bad[i], 1, &f->err),
				 PHIAL_BAD_NAME);
	}
}

/* F-05: a full mount fails before the swap; what was there stays. */
static void test_f05_full_mount(void **state)
{
	struct fixture *f = *state;
	phial_auto_fd int dir_fd = -1;
	int failed = 0;

	SKIP_UNLESS_ROOT();
	add_generation(f, 1, both, 2, "old");
	must(f, phial_generation_begin(f->rw_fd, 2, &dir_fd, &f->err));
	for (int i = 0; i < 100 && !failed; i++) {
		char name[16];
		phial_auto_fd int fd = -1;

		(void)snprintf(name, sizeof(name), "f%d", i);
		failed = phial_generation_add(dir_fd, name, 0400, 0, 0, &fd, &f->err) != PHIAL_OK;
	}
	if (!failed) {
		skip(); /* ramfs: the filler counts instead */
	}
	assert_non_null(strstr(f->err.text, "No space left"));
	assert_content(f, "db_password", "old");
	must(f, phial_generation_wipe(f->rw_fd, 2, &f->err));
	assert_content(f, "db_password", "old");
}

#define CASE(function) \
	cmocka_unit_test_setup_teardown(function, generation_setup, generation_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_first_generation),
		CASE(test_rotation),
		CASE(test_give),
		CASE(test_interrupted_commit),
		CASE(test_r18_wipe_shows_zeros),
		CASE(test_wipe_large),
		CASE(test_h7_planted_links),
		CASE(test_names_are_checked),
		CASE(test_f05_full_mount),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
