/* SPDX-License-Identifier: ISC */
/*
 * Runs several commands in turn, in a random order each round, and prints how long each took.
 *
 *	compare ROUNDS -- NAME PROGRAM [ARGUMENT...] -- NAME PROGRAM [ARGUMENT...] ...
 *
 * It knows nothing of what they do, and stops at the first that fails.
 */
#include "bench.h"

#define COMMANDS_MAX 16

int main(int argc, char **argv)
{
	struct bench_series series[COMMANDS_MAX];
	char **commands[COMMANDS_MAX];
	size_t order[COMMANDS_MAX];
	size_t count = 0;

	errno = EINVAL;
	if (argc < 5) {
		bench_fail("usage: compare ROUNDS -- NAME PROGRAM [ARGUMENT...] -- ...");
	}
	size_t rounds = bench_parse_number(argv[1], BENCH_ROUNDS_MAX);

	for (int i = 2; i + 2 < argc; i++) {
		if (strcmp(argv[i], "--") != 0) {
			continue;
		}
		if (count == COMMANDS_MAX) {
			bench_fail("too many commands");
		}
		argv[i] = NULL; /* ends the command before */
		bench_series_start(&series[count], argv[i + 1], rounds);
		commands[count++] = &argv[i + 2];
	}
	for (size_t round = 0; round < rounds; round++) {
		bench_shuffle(order, count);
		for (size_t i = 0; i < count; i++) {
			struct bench_series *one = &series[order[i]];

			one->ns[one->count++] = bench_run(commands[order[i]], -1, NULL);
		}
	}
	for (size_t i = 0; i < count; i++) {
		bench_series_print(&series[i]);
	}
	return 0;
}
