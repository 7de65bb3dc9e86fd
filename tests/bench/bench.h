/* SPDX-License-Identifier: ISC */
/*
 * What the benchmarks share: the clock, programs run and timed, medians. Each benchmark prints
 * lines of the form "NAME MEDIAN P10 P90 N" (microseconds), which tests/bench/run reads.
 */
#ifndef PHIAL_TESTS_BENCH_H
#define PHIAL_TESTS_BENCH_H

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/parse.h"

#define BENCH_ROUNDS_MAX 100000

/* One thing that is measured. */
struct bench_series {
	const char *name;
	uint64_t *ns; /* room for the rounds */
	size_t count;
};

static inline _Noreturn void bench_fail(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, errno != 0 ? strerror(errno) : "failed");
	exit(1);
}

static inline uint64_t bench_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline size_t bench_parse_number(const char *text, uint64_t max)
{
	uint64_t number;

	errno = EINVAL;
	if (!phial_parse_u64(phial_span_of(text), 1, max, &number)) {
		bench_fail(text);
	}
	return (size_t)number;
}

static inline void bench_series_start(struct bench_series *series, const char *name, size_t rounds)
{
	*series = (struct bench_series){ .name = name };
	series->ns = calloc(rounds, sizeof(*series->ns));
	if (!series->ns) {
		bench_fail("memory");
	}
}

/* Put the numbers 0 to count - 1 into a random order. */
static inline void bench_shuffle(size_t *order, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t random;

		if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
			bench_fail("getrandom");
		}
		size_t j = random % (i + 1);

		order[i] = order[j];
		order[j] = i;
	}
}

static inline int bench_compare_ns(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a;
	uint64_t right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static inline void bench_series_print(struct bench_series *series)
{
	size_t count = series->count;

	qsort(series->ns, count, sizeof(*series->ns), bench_compare_ns);
	printf("%s %.1f %.1f %.1f %zu\n", series->name, (double)series->ns[count / 2] / 1e3,
	       (double)series->ns[count / 10] / 1e3, (double)series->ns[count * 9 / 10] / 1e3,
	       count);
	free(series->ns);
}

/*
 * Run a program to its end and return how long that took, from before it was started until it
 * was waited for. stdin_fd: its standard input, or -1. directory: where it runs, or NULL. Its
 * output goes nowhere. Ends the benchmark if it fails.
 */
static inline uint64_t bench_run(char *const argv[], int stdin_fd, const char *directory)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *const environment[] = { path, NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int wait_status;

	posix_spawn_file_actions_init(&actions);
	if (stdin_fd >= 0) {
		posix_spawn_file_actions_adddup2(&actions, stdin_fd, STDIN_FILENO);
	} else {
		posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	}
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (directory) {
		posix_spawn_file_actions_addchdir_np(&actions, directory);
	}
	uint64_t start = bench_now_ns();

	errno = posix_spawn(&pid, argv[0], &actions, NULL, argv, environment);
	if (errno != 0 || waitpid(pid, &wait_status, 0) != pid) {
		bench_fail(argv[0]);
	}
	uint64_t taken = bench_now_ns() - start;

	posix_spawn_file_actions_destroy(&actions);
	if (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != 0) {
		errno = 0;
		bench_fail(argv[0]);
	}
	return taken;
}

#endif
