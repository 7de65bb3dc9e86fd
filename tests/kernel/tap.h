/* SPDX-License-Identifier: ISC */
/* TAP for programs that show one kernel's behaviour; each line names the fact's id. */
#ifndef PHIAL_TESTS_KERNEL_TAP_H
#define PHIAL_TESTS_KERNEL_TAP_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int tap_count;
static int tap_failures;

/* One fact: it holds here, or it does not (errno is shown, as most facts are system calls). */
static inline void tap(bool holds, const char *fact)
{
	int reason = errno;

	tap_count++;
	tap_failures += !holds;
	printf("%sok %d - %s\n", holds ? "" : "not ", tap_count, fact);
	if (!holds) {
		printf("# errno may say why: %s\n", strerror(reason));
	}
	(void)fflush(stdout);
}

/* One fact that could not be tried. */
static inline void tap_skip(const char *reason, const char *fact)
{
	tap_count++;
	printf("ok %d - %s # SKIP %s\n", tap_count, fact, reason);
	(void)fflush(stdout);
}

static inline int tap_end(void)
{
	printf("1..%d\n", tap_count);
	return tap_failures != 0;
}

static inline int tap_skip_all(const char *reason)
{
	printf("1..0 # SKIP %s\n", reason);
	return 0;
}

/* Run a function in a child and return what it returned (0 to 255), or -1. */
static inline int tap_in_child(int (*function)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		_exit(function());
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
		return -1;
	}
	return WEXITSTATUS(status);
}

#endif
