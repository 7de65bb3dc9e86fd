/* SPDX-License-Identifier: ISC */
/*
 * Generations one after the other: their counter, what is carried, what is wiped, taken away and
 * noticed, and what a container that can write into its mount may have planted there.
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
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "generation_fixture.h"
#include "mount/generation.h"
#include "mount/mount.h"

static void assert_next(struct fixture *f, uint32_t present, uint32_t next)
{
	uint32_t found_present = 77;
	uint32_t found_next = 77;

	must(f, phial_generation_next(f->rw_fd, &found_present, &found_next, &f->err));
	assert_int_equal(found_present, present);
	assert_int_equal(found_next, next);
}

static void test_next_and_counter(void **state)
{
	struct fixture *f = *state;
	struct stat found;
	mode_t before;

	SKIP_UNLESS_ROOT();
	assert_next(f, 0, PHIAL_GENERATION_FIRST);
	before = umask(077);
	add_generation(f, 1, both, 2, "one");
	umask(before);
	assert_content(f, ".generation", "1\n");
	assert_int_equal(fstatat(f->ro_fd, ".generation", &found, 0), 0);
	assert_int_equal(found.st_mode, S_IFREG | 0444);
	assert_next(f, 1, 2);
	add_generation(f, 2, both, 2, "two");
	assert_content(f, ".generation", "2\n");
	/* The number is a file of its generation: who pins the old one reads the old number. */
	assert_content(f, "..1/.generation", "1\n");
	assert_content(f, "..1/api.key", "one");
	must(f, phial_generation_wipe_old(f->rw_fd, &f->err));
	assert_missing(f, "..1");
	assert_content(f, "api.key", "two");
	must(f, phial_generation_wipe_old(f->rw_fd, &f->err));
	assert_content(f, ".generation", "2\n");
	assert_next(f, 2, 3);
}

/* F-04: whoever died while it made a generation left one that nobody will ever finish. */
static void test_f04_leftovers(void **state)
{
	struct fixture *f = *state;
	phial_auto_fd int dir_fd = -1;
	phial_auto_fd int fd = -1;
	char found[64] = { 0 };

	SKIP_UNLESS_ROOT();
	add_generation(f, 1, both, 2, "one");
	add_generation(f, 2, both, 2, "two");
	must(f, phial_generation_begin(f->rw_fd, 3, &dir_fd, &f->err));
	must(f, phial_generation_add(dir_fd, "half", 0400, 1, 1, &fd, &f->err));
	assert_int_equal(write(fd, CANARY, sizeof(CANARY)), sizeof(CANARY));
	phial_auto_fd int held = openat(f->ro_fd, "..3/half", O_RDONLY | O_CLOEXEC);

	assert_next(f, 2, 3);
	assert_missing(f, "..1");
	assert_missing(f, "..3");
	assert_content(f, "api.key", "two");
	assert_int_equal(pread(held, found, sizeof(CANARY), 0), sizeof(CANARY));
	assert_int_equal(found[0], 0);
	assert_memory_equal(found, found + 1, sizeof(CANARY) - 1);
	add_generation(f, 3, both, 2, "three");
	assert_content(f, ".generation", "3\n");
}

/* The kinds of all events that wait. */
static uint32_t drain(int inotify_fd)
{
	union {
		struct inotify_event first;
		char bytes[4096];
	} events;
	uint32_t all = 0;
	ssize_t length;

	while ((length = read(inotify_fd, &events, sizeof(events))) > 0) {
		for (ssize_t at = 0; at < length;) {
			struct inotify_event event;

			memcpy(&event, events.bytes + at, sizeof(event));
			all |= event.mask;
			at += (ssize_t)(sizeof(event) + event.len);
		}
	}
	return all;
}

static int watch(int dir_fd, const char *name, uint32_t mask)
{
	char path[64];
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir_fd, name);
	assert_true(inotify_add_watch(fd, path, mask) > 0);
	return fd;
}

/* A watch on the file sees the swap at once, and later the wipe; one on the directory too. */
static void test_watchers(void **state)
{
	struct fixture *f = *state;

	SKIP_UNLESS_ROOT();
	add_generation(f, 1, both, 2, "one");
	phial_auto_fd int file = watch(f->ro_fd, "api.key", IN_ALL_EVENTS);
	phial_auto_fd int directory = watch(f->ro_fd, ".", IN_MOVED_TO);

	add_generation(f, 2, both, 2, "two");
	assert_int_equal(drain(file), IN_ATTRIB);
	assert_int_equal(drain(directory), IN_MOVED_TO);
	must(f, phial_generation_wipe_old(f->rw_fd, &f->err));
	assert_int_equal(drain(file) & (IN_MODIFY | IN_DELETE_SELF), IN_MODIFY | IN_DELETE_SELF);
}

static void test_carry(void **state)
{
	struct fixture *f = *state;
	static char value[100001];
	static char found[sizeof(value)];
	struct stat status;
	phial_auto_fd int first = -1;
	phial_auto_fd int second = -1;
	phial_auto_fd int fd = -1;

	SKIP_UNLESS_ROOT();
	memset(value, 'v', sizeof(value));
	must(f, phial_generation_begin(f->rw_fd, 1, &first, &f->err));
	must(f, phial_generation_add(first, "big", 0440, 4242, 4343, &fd, &f->err));
	assert_int_equal(write(fd, value, sizeof(value)), sizeof(value));
	phial_close_fd(&fd);
	must(f, phial_generation_add(first, "empty", 0400, 7, 8, &fd, &f->err));
	must(f, phial_generation_begin(f->rw_fd, 2, &second, &f->err));
	phial_auto_fd int reads = watch(f->ro_fd, "..1", IN_CLOSE_NOWRITE | IN_ACCESS);

	must(f, phial_generation_carry(f->rw_fd, 1, "big", second, &f->err));
	must(f, phial_generation_carry(f->rw_fd, 1, "empty", second, &f->err));
	/* What the filler does is no reader's close; a real one is seen. */
	assert_int_equal(drain(reads) & IN_CLOSE_NOWRITE, 0);
	phial_auto_fd int copy = openat(f->ro_fd, "..2/big", O_RDONLY | O_CLOEXEC);

	assert_int_equal(fstat(copy, &status), 0);
	assert_int_equal(status.st_mode, S_IFREG | 0440);
	assert_int_equal(status.st_uid, 4242);
	assert_int_equal(status.st_gid, 4343);
	assert_int_equal(status.st_size, sizeof(value));
	assert_int_equal(read(copy, found, sizeof(found)), sizeof(found));
	assert_memory_equal(found, value, sizeof(value));
	assert_int_equal(fstatat(f->ro_fd, "..2/empty", &status, 0), 0);
	assert_int_equal(status.st_size, 0);
	phial_close_fd(&copy);
	copy = openat(f->ro_fd, "..1/big", O_RDONLY | O_CLOEXEC);
	phial_close_fd(&copy);
	assert_int_equal(drain(reads) & IN_CLOSE_NOWRITE, IN_CLOSE_NOWRITE);
}

static void test_carry_refuses(void **state)
{
	struct fixture *f = *state;
	phial_auto_fd int first = -1;
	phial_auto_fd int second = -1;
	phial_auto_fd int fd = -1;
	static const struct {
		const char *name;
		enum phial_status status;
	} cases[] = {
		{ "fifo", PHIAL_TAMPERED },   { "directory", PHIAL_TAMPERED },
		{ "link", PHIAL_TAMPERED },   { "long", PHIAL_TOO_LARGE },
		{ "none", PHIAL_NOT_FOUND },  { "..", PHIAL_BAD_NAME },
		{ "a/b", PHIAL_BAD_NAME },    { ".generation", PHIAL_BAD_NAME },
		{ "socket", PHIAL_TAMPERED }, { "device", PHIAL_SYSTEM },
	};

	SKIP_UNLESS_ROOT();
	must(f, phial_generation_begin(f->rw_fd, 1, &first, &f->err));
	must(f, phial_generation_begin(f->rw_fd, 2, &second, &f->err));
	assert_int_equal(mkfifoat(first, "fifo", 0666), 0);
	assert_int_equal(mkdirat(first, "directory", 0777), 0);
	assert_int_equal(symlinkat("/etc/passwd", first, "link"), 0);
	assert_int_equal(mknodat(first, "socket", S_IFSOCK | 0666, 0), 0);
	assert_int_equal(mknodat(first, "device", S_IFCHR | 0666, 0x103), 0);
	must(f, phial_generation_add(first, "long", 0400, 7, 8, &fd, &f->err));
	assert_int_equal(ftruncate(fd, (1 << 20) + 1), 0);
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		assert_int_equal(phial_generation_carry(f->rw_fd, 1, cases[i].name, second,
							&f->err),
				 cases[i].status);
	}
	assert_int_equal(phial_generation_carry(f->rw_fd, 9, "long", second, &f->err),
			 PHIAL_SYSTEM);
	assert_int_equal(unlinkat(f->rw_fd, "..2", AT_REMOVEDIR), 0); /* nothing was made there */
}

static void test_remove(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = { "db_password", "../db_password" };
	const char *const three[] = { "db_password", "api.key", "stays" };
	char found[8] = "xxxxxxx";

	SKIP_UNLESS_ROOT();
	add_generation(f, 1, three, 3, "one");
	add_generation(f, 2, three, 3, "two");
	phial_auto_fd int held = openat(f->ro_fd, "..1/api.key", O_RDONLY | O_CLOEXEC);
	phial_auto_fd int held_now = openat(f->ro_fd, "api.key", O_RDONLY | O_CLOEXEC);

	/* All names are looked at before the first goes. */
	assert_int_equal(phial_generation_remove(f->rw_fd, bad, 2, &f->err), PHIAL_BAD_NAME);
	assert_content(f, "db_password", "two");
	must(f, phial_generation_remove(f->rw_fd, both, 2, &f->err));
	assert_missing(f, "db_password");
	assert_missing(f, "..1/db_password");
	assert_missing(f, "..2/api.key");
	assert_content(f, "stays", "two");
	assert_content(f, "..1/stays", "one");
	assert_content(f, ".generation", "2\n");
	assert_int_equal(pread(held, found, sizeof(found), 0), 3);
	assert_memory_equal(found, "\0\0\0x", 4);
	assert_int_equal(pread(held_now, found, sizeof(found), 0), 3);
	assert_memory_equal(found, "\0\0\0x", 4);
	must(f, phial_generation_remove(f->rw_fd, both, 2, &f->err));
	must(f, phial_generation_remove(f->rw_fd, both, 0, &f->err));
	/* A later generation may have them again. */
	assert_next(f, 2, 3);
	add_generation(f, 3, both, 2, "three");
	assert_content(f, "db_password", "three");
	assert_missing(f, "stays");
}

/* `..data` as a container that may write might leave it: nothing is done on its word. */
static void test_h7_hostile_present(void **state)
{
	struct fixture *f = *state;
	static const char *const targets[] = {
		"/etc",
		"..99999999999",
		"..4294967296",
		"..0",
		"..01",
		"..5",
		"../..1",
		".",
		"..",
		"..data",
		"..1/",
		"db",
		"..-1",
		"..1x",
		"..999999999999999999999999999999999999999",
	};
	uint32_t present = 77;
	uint32_t next = 77;

	SKIP_UNLESS_ROOT();
	add_generation(f, 1, both, 2, "one");
	for (size_t i = 0; i < PHIAL_COUNT(targets); i++) {
		assert_int_equal(unlinkat(f->rw_fd, "..data", 0), 0);
		assert_int_equal(symlinkat(targets[i], f->rw_fd, "..data"), 0);
		assert_int_equal(phial_generation_next(f->rw_fd, &present, &next, &f->err),
				 PHIAL_TAMPERED);
		assert_int_equal(phial_generation_wipe_old(f->rw_fd, &f->err), PHIAL_TAMPERED);
		assert_non_null(strstr(f->err.text, "start the container anew"));
	}
	assert_int_equal(unlinkat(f->rw_fd, "..data", 0), 0);
	assert_int_equal(mkdirat(f->rw_fd, "..data", 0755), 0);
	assert_int_equal(phial_generation_next(f->rw_fd, &present, &next, &f->err), PHIAL_TAMPERED);
	assert_int_equal(present, 77);
	assert_int_equal(next, 77);
	assert_content(f, "..1/api.key", "one");
	/* Taking files away and wiping all need no `..data`. */
	must(f, phial_generation_remove(f->rw_fd, both, 1, &f->err));
	assert_missing(f, "..1/db_password");
	must(f, phial_mount_wipe(f->rw_fd, &f->err));
	assert_missing(f, "..1");
	assert_missing(f, "..data");
}

/* What has a generation's name and is none goes; what has another name stays. */
static void test_h7_hostile_generations(void **state)
{
	struct fixture *f = *state;
	char outside[] = "/tmp/phial-planted.XXXXXX";
	char value[8] = { 0 };
	uint32_t present;
	uint32_t next;

	SKIP_UNLESS_ROOT();
	int outside_fd = mkstemp(outside);

	assert_int_equal(write(outside_fd, "keep", 4), 4);
	add_generation(f, 5, both, 2, "five");
	assert_int_equal(mknodat(f->rw_fd, "..7", S_IFREG | 0600, 0), 0);
	assert_int_equal(mkfifoat(f->rw_fd, "..8", 0600), 0);
	assert_int_equal(symlinkat(outside, f->rw_fd, "..9"), 0);
	assert_int_equal(symlinkat("/tmp", f->rw_fd, "..10"), 0);
	assert_int_equal(mkdirat(f->rw_fd, "..4294967295", 0700), 0);
	assert_int_equal(mkdirat(f->rw_fd, "..4294967296", 0700), 0);
	assert_int_equal(mkdirat(f->rw_fd, "..007", 0700), 0);
	enum phial_status removed = phial_generation_remove(f->rw_fd, both, 1, &f->err);
	enum phial_status status = phial_generation_next(f->rw_fd, &present, &next, &f->err);
	ssize_t got = pread(outside_fd, value, sizeof(value), 0);

	phial_close_fd(&outside_fd);
	(void)unlink(outside);
	must(f, removed);
	must(f, status);
	assert_int_equal(got, 4);
	assert_string_equal(value, "keep");
	assert_int_equal(present, 5);
	assert_int_equal(next, 6);
	assert_missing(f, "..7");
	assert_missing(f, "..8");
	assert_missing(f, "..9");
	assert_missing(f, "..10");
	assert_missing(f, "..4294967295");
	assert_int_equal(unlinkat(f->rw_fd, "..4294967296", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(f->rw_fd, "..007", AT_REMOVEDIR), 0);
	assert_content(f, "api.key", "five");
}

static void test_last_number(void **state)
{
	struct fixture *f = *state;
	uint32_t present = 77;
	uint32_t next = 77;

	SKIP_UNLESS_ROOT();
	add_generation(f, UINT32_MAX - 1, both, 2, "last but one");
	assert_content(f, ".generation", "4294967294\n");
	assert_next(f, UINT32_MAX - 1, UINT32_MAX);
	add_generation(f, UINT32_MAX, both, 2, "last");
	assert_int_equal(phial_generation_next(f->rw_fd, &present, &next, &f->err),
			 PHIAL_TOO_LARGE);
	assert_int_equal(next, 77);
	assert_content(f, "api.key", "last");
	/* It is refused before anything is wiped. */
	assert_content(f, "..4294967294/api.key", "last but one");
}

/* Each file of an old generation may have become something else. */
static void test_h7_replaced_files(void **state)
{
	struct fixture *f = *state;

	SKIP_UNLESS_ROOT();
	add_generation(f, 1, both, 2, "one");
	phial_auto_fd int dir_fd = openat(f->rw_fd, "..1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(unlinkat(dir_fd, "api.key", 0), 0);
	assert_int_equal(mkfifoat(dir_fd, "api.key", 0600), 0);
	assert_int_equal(unlinkat(dir_fd, "db_password", 0), 0);
	assert_int_equal(mkdirat(dir_fd, "db_password", 0700), 0);
	assert_int_equal(mknodat(dir_fd, "device", S_IFCHR | 0666, 0x103), 0);
	add_generation(f, 2, both, 2, "two");
	/* A directory holds none of our bytes, and is not ours to walk: reported, the rest done. */
	assert_int_equal(phial_generation_remove(f->rw_fd, both, 2, &f->err), PHIAL_SYSTEM);
	assert_missing(f, "..1/api.key");
	assert_missing(f, "..2/api.key");
	assert_missing(f, "..2/db_password");
	assert_int_equal(phial_generation_wipe_old(f->rw_fd, &f->err), PHIAL_SYSTEM);
	assert_missing(f, "..1/device");
	assert_int_equal(unlinkat(dir_fd, "db_password", AT_REMOVEDIR), 0);
	must(f, phial_generation_wipe_old(f->rw_fd, &f->err));
	assert_missing(f, "..1");
}

/* The owner of a file may have stretched it: to fill the hole would take the host's memory. */
static void test_h7_stretched_file(void **state)
{
	struct fixture *f = *state;
	struct stat after;

	SKIP_UNLESS_ROOT();
	add_generation(f, 1, both, 1, CANARY);
	phial_auto_fd int fd = openat(f->rw_fd, "..1/db_password", O_RDWR | O_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
	add_generation(f, 2, both, 1, "two");
	/* Whether a mount of a MiB has room for the zeros is not the point; that it ends is. */
	enum phial_status status = phial_generation_wipe_old(f->rw_fd, &f->err);
	char found[sizeof(CANARY)] = { 0 };

	assert_true(status == PHIAL_OK || strstr(f->err.text, "No space left") != NULL);
	assert_int_equal(fstat(fd, &after), 0);
	assert_int_equal(after.st_nlink, 0);
	assert_in_range(after.st_blocks, 0, 2 * 1024 * 1024 / 512);
	assert_int_equal(pread(fd, found, sizeof(found), 0), sizeof(found));
	assert_memory_equal(found, (char[sizeof(CANARY)]){ 0 }, sizeof(found));
	assert_missing(f, "..1");
}

/* A commit that cannot put its links in place leaves the present generation as it was. */
static void test_h7_commit_refuses(void **state)
{
	struct fixture *f = *state;
	phial_auto_fd int dir_fd = -1;

	SKIP_UNLESS_ROOT();
	add_generation(f, 1, both, 2, "one");
	assert_int_equal(unlinkat(f->rw_fd, ".generation", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", f->rw_fd, ".generation"), 0);
	must(f, phial_generation_begin(f->rw_fd, 2, &dir_fd, &f->err));
	assert_int_equal(phial_generation_commit(f->rw_fd, 2, both, 2, &f->err), PHIAL_SYSTEM);
	assert_content(f, "api.key", "one");
	/* Its maker begins again, with what is there now. */
	assert_int_equal(unlinkat(f->rw_fd, ".generation", 0), 0);
	assert_next(f, 1, 2);
	add_generation(f, 2, both, 2, "two");
	assert_content(f, "api.key", "two");
	assert_content(f, ".generation", "2\n");
}

/* F-05: the error says what to do. */
static void test_f05_full_says_so(void **state)
{
	struct fixture *f = *state;
	static char value[700 * 1024];
	const char *const names[] = { "big" };
	phial_auto_fd int first = -1;
	phial_auto_fd int second = -1;
	phial_auto_fd int fd = -1;

	SKIP_UNLESS_ROOT();
	memset(value, 'v', sizeof(value));
	must(f, phial_generation_begin(f->rw_fd, 1, &first, &f->err));
	must(f, phial_generation_add(first, "big", 0400, 7, 8, &fd, &f->err));
	assert_int_equal(write(fd, value, sizeof(value)), sizeof(value));
	must(f, phial_generation_commit(f->rw_fd, 1, names, 1, &f->err));
	must(f, phial_generation_begin(f->rw_fd, 2, &second, &f->err));
	if (phial_generation_carry(f->rw_fd, 1, "big", second, &f->err) == PHIAL_OK) {
		skip(); /* ramfs has no limit */
	}
	assert_non_null(
		strstr(f->err.text, "\"size\" in policy.json and start the container anew"));
	assert_non_null(strstr(f->err.text, "No space left"));
	assert_next(f, 1, 2);
	assert_missing(f, "..2");
}

static int setup_many(void **state)
{
	return generation_setup_sized(state, 16 << 20, 10000);
}

static void test_thousands_of_names(void **state)
{
	struct fixture *f = *state;
	char name[32];
	phial_auto_fd int dir_fd = -1;

	SKIP_UNLESS_ROOT();
	add_generation(f, 1, both, 2, "one");
	must(f, phial_generation_begin(f->rw_fd, 2, &dir_fd, &f->err));
	for (int i = 0; i < 3000; i++) {
		phial_auto_fd int fd = -1;

		(void)snprintf(name, sizeof(name), "s%d", i);
		must(f, phial_generation_add(dir_fd, name, 0400, 1, 1, &fd, &f->err));
		(void)snprintf(name, sizeof(name), "..%d", 100 + i);
		assert_int_equal(mkdirat(f->rw_fd, name, 0700), 0);
	}
	assert_next(f, 1, 2);
	assert_missing(f, "..2");
	for (int i = 0; i < 3000; i++) {
		(void)snprintf(name, sizeof(name), "..%d", 100 + i);
		assert_missing(f, name);
	}
	assert_content(f, "api.key", "one");
}

#define CASE(function) \
	cmocka_unit_test_setup_teardown(function, generation_setup, generation_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_next_and_counter),
		CASE(test_f04_leftovers),
		CASE(test_watchers),
		CASE(test_carry),
		CASE(test_carry_refuses),
		CASE(test_remove),
		CASE(test_h7_hostile_present),
		CASE(test_h7_hostile_generations),
		CASE(test_last_number),
		CASE(test_h7_replaced_files),
		CASE(test_h7_stretched_file),
		CASE(test_h7_commit_refuses),
		CASE(test_f05_full_says_so),
		cmocka_unit_test_setup_teardown(test_thousands_of_names, setup_many,
						generation_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
