/* SPDX-License-Identifier: ISC */
/* A directory of its own for each test, removed with all that is in it. */
#ifndef PHIAL_TESTS_TEMP_DIR_H
#define PHIAL_TESTS_TEMP_DIR_H

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct temp_dir {
	char path[64];
	int fd;
};

static inline int temp_dir_remove_entry(const char *path, const struct stat *status, int type,
					struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

/* cmocka setup and teardown: *state is a struct temp_dir. */
static inline int temp_dir_setup(void **state)
{
	struct temp_dir *dir = calloc(1, sizeof(*dir));

	if (!dir) {
		return -1;
	}
	(void)snprintf(dir->path, sizeof(dir->path), "/tmp/phial-test.XXXXXX");
	if (!mkdtemp(dir->path)) {
		free(dir);
		return -1;
	}
	dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = dir;
	return dir->fd < 0 ? -1 : 0;
}

static inline int temp_dir_teardown(void **state)
{
	struct temp_dir *dir = *state;

	close(dir->fd);
	(void)nftw(dir->path, temp_dir_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(dir);
	return 0;
}

/* Write a whole file below a directory. Returns 0 or -1. */
static inline int temp_dir_write(int dir_fd, const char *path, const void *bytes, size_t length)
{
	int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0) {
		return -1;
	}
	ssize_t wrote = write(fd, bytes, length);

	close(fd);
	return wrote == (ssize_t)length ? 0 : -1;
}

/* Read a whole small file below a directory. Returns its length or -1. */
static inline ssize_t temp_dir_read(int dir_fd, const char *path, void *bytes, size_t room)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		return -1;
	}
	ssize_t got = read(fd, bytes, room);

	close(fd);
	return got;
}

#endif
