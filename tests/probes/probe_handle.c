/* SPDX-License-Identifier: ISC */
/*
 * X-05, from inside a container with CAP_DAC_READ_SEARCH: opens a file by its handle, on a mount of
 * one's own, as 2014's container escape did.
 *
 *	probe_handle name FILE          prints the file's handle
 *	probe_handle open DIR HANDLE    tries it on the file system of DIR; exit 0 if it opens
 *
 * A file system that knows no handles says so: exit 77. Static: images have no library.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SKIPPED 77

/* A header with the largest handle that there is behind it. */
union handle {
	struct file_handle head;
	unsigned char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

static int fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return errno == EOPNOTSUPP ? SKIPPED : 1;
}

static int print_handle(const char *path)
{
	union handle handle = { .head.handle_bytes = MAX_HANDLE_SZ };
	int mount_id;

	if (name_to_handle_at(AT_FDCWD, path, &handle.head, &mount_id, AT_SYMLINK_FOLLOW) != 0) {
		return fail("name_to_handle_at");
	}
	printf("%d:", handle.head.handle_type);
	for (unsigned int i = 0; i < handle.head.handle_bytes; i++) {
		printf("%02x", handle.head.f_handle[i]);
	}
	printf("\n");
	return 0;
}

static int open_handle(const char *directory, const char *text)
{
	union handle handle = { .head.handle_bytes = 0 };
	char *rest;
	unsigned int byte;

	handle.head.handle_type = (int)strtol(text, &rest, 10);
	for (rest++; handle.head.handle_bytes < MAX_HANDLE_SZ && sscanf(rest, "%2x", &byte) == 1;
	     rest += 2) {
		handle.head.f_handle[handle.head.handle_bytes++] = (unsigned char)byte;
	}
	int mount_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (mount_fd < 0 || open_by_handle_at(mount_fd, &handle.head, O_RDONLY) < 0) {
		return fail("open_by_handle_at");
	}
	printf("opened\n");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "name") == 0) {
		return print_handle(argv[2]);
	}
	if (argc == 4 && strcmp(argv[1], "open") == 0) {
		return open_handle(argv[2], argv[3]);
	}
	fprintf(stderr, "usage: probe_handle name FILE | open DIR HANDLE\n");
	return 2;
}
