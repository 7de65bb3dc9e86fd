/* SPDX-License-Identifier: ISC */
/*
 * A real secrets mount for each test, seen through both of its clones, and generations in it. Tests
 * of it need root; each skips itself.
 */
#ifndef PHIAL_TESTS_GENERATION_FIXTURE_H
#define PHIAL_TESTS_GENERATION_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "mount/generation.h"
#include "mount/mount.h"

#define CANARY "b1946ac92492d2347c6235b4d2611184"

struct fixture {
	int rw_fd;
	int ro_fd;
	struct phial_error err;
};

static inline int generation_setup_sized(void **state, uint64_t size_bytes, uint32_t inodes)
{
	const struct phial_mount_options options = { .size_bytes = size_bytes, .inodes = inodes };
	struct fixture *f = calloc(1, sizeof(*f));
	enum phial_mount_kind kind;

	if (!f) {
		return -1;
	}
	f->rw_fd = -1;
	f->ro_fd = -1;
	*state = f;
	if (geteuid() != 0) {
		return 0; /* each test skips itself */
	}
	return phial_mount_create(&options, &f->rw_fd, &f->ro_fd, &kind, &f->err) != PHIAL_OK;
}

static inline int generation_setup(void **state)
{
	return generation_setup_sized(state, 1 << 20, 64);
}

static inline int generation_teardown(void **state)
{
	struct fixture *f = *state;

	phial_close_fd(&f->rw_fd);
	phial_close_fd(&f->ro_fd);
	free(f);
	return 0;
}

#define SKIP_UNLESS_ROOT()      \
	do {                    \
		if (geteuid())  \
			skip(); \
	} while (0)

static inline void must(struct fixture *f, enum phial_status status)
{
	if (status != PHIAL_OK) {
		fail_msg("%s", f->err.text);
	}
}

static inline void add_generation(struct fixture *f, uint32_t number, const char *const *names,
				  size_t count, const char *value)
{
	phial_auto_fd int dir_fd = -1;

	must(f, phial_generation_begin(f->rw_fd, number, &dir_fd, &f->err));
	for (size_t i = 0; i < count; i++) {
		phial_auto_fd int fd = -1;

		must(f, phial_generation_add(dir_fd, names[i], 0400, 4242, 4343, &fd, &f->err));
		assert_int_equal(write(fd, value, strlen(value)), (ssize_t)strlen(value));
	}
	must(f, phial_generation_commit(f->rw_fd, number, names, count, &f->err));
}

static inline void assert_content(struct fixture *f, const char *path, const char *expected)
{
	char found[64] = { 0 };
	phial_auto_fd int fd = openat(f->ro_fd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		fail_msg("%s: %s", path, strerror(errno));
	}
	assert_true(read(fd, found, sizeof(found) - 1) >= 0);
	assert_string_equal(found, expected);
}

static inline void assert_missing(struct fixture *f, const char *path)
{
	struct stat found;

	assert_int_equal(fstatat(f->ro_fd, path, &found, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(errno, ENOENT);
}

static const char *const both[] = { "db_password", "api.key" };

#endif
