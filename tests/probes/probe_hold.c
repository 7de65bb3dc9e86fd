/* SPDX-License-Identifier: ISC */
/*
 * C-08, a process that holds a secret file when its container ends: opens and maps it, says so, and
 * waits until the agent has wiped it. Never a SIGBUS, and zeros in both.
 *
 *	probe_hold FILE
 *
 * Prints "held", then "zeros"; exit 1 if neither comes within ten seconds. Static.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TRIES	 200
#define PAUSE_NS 50000000L

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static bool is_zero(const volatile unsigned char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (bytes[i] != 0) {
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	const struct timespec pause = { 0, PAUSE_NS };
	unsigned char buffer[65536];
	struct stat found;
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0 || fstat(fd, &found) != 0 || (size_t)found.st_size > sizeof(buffer)) {
		fail("probe_hold FILE");
	}
	size_t length = (size_t)found.st_size;
	const unsigned char *map = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED || is_zero(map, length)) {
		fail("map");
	}
	printf("held\n");
	fflush(stdout);
	for (int i = 0; i < TRIES; i++) {
		if (is_zero(map, length) && pread(fd, buffer, length, 0) == (ssize_t)length &&
		    is_zero(buffer, length)) {
			printf("zeros\n");
			return 0;
		}
		(void)nanosleep(&pause, NULL);
	}
	printf("still there\n");
	return 1;
}
