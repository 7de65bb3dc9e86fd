/* SPDX-License-Identifier: ISC */
/*
 * Looks for given bytes everywhere a secret could leak to on this machine: memory, environment
 * and command line of every process, mount tables, keys, files, swap, the kernel's log.
 * It never prints what it looks for. It does not judge: the caller names who may hold it.
 *
 *	leak-sweep --canaries FD [option...] [FILE or FOLDER...]
 *
 *	--canaries FD      one canary a line, 8 to 256 bytes each, at most 64; never on argv
 *	--skip-pid PID     this process holds them by right (its memory is not read)
 *	--skip-ancestors   so do this program's parents; nothing of them is read
 *	--since SECONDS    files whose inode changed before this time (since 1970) are not read
 *	--no-files --no-memory --no-swap   leave a part out
 *
 * Without paths the folders are /tmp, /var, /run, /dev/shm and that of core dumps; paths are
 * looked at in addition. Exit code: 0 nothing found, 1 found, 2 something could not be searched.
 */
#include "sweep.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "leak-sweep: %s\n", what);
	exit(2);
}

static long parse_number(const char *text)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || number < 0) {
		die("an option wants a number");
	}
	return number;
}

static void read_canaries(struct sweep *sweep, int fd)
{
	FILE *file = fdopen(fd, "re");
	char line[CANARY_MAX_BYTES + 2];

	if (!file) {
		die("--canaries: no such descriptor");
	}
	while (fgets(line, sizeof(line), file)) {
		size_t length = strcspn(line, "\n");

		if (length < CANARY_MIN_BYTES || length > CANARY_MAX_BYTES ||
		    sweep->canary_count == CANARIES_MAX) {
			die("a canary has 8 to 256 bytes, and there are at most 64");
		}
		struct canary *canary = &sweep->canaries[sweep->canary_count++];

		memcpy(canary->bytes, line, length);
		canary->length = length;
		if (length - 1 > sweep->overlap_bytes) {
			sweep->overlap_bytes = length - 1;
		}
	}
	fclose(file);
	if (sweep->canary_count == 0) {
		die("no canary given");
	}
}

static void list_pid(struct pid_list *list, long pid)
{
	if (list->count == PIDS_MAX) {
		die("too many processes to skip");
	}
	list->pids[list->count++] = (pid_t)pid;
}

static void skip_ancestors(struct sweep *sweep)
{
	long pid = getppid();

	while (pid > 0) {
		char path[64];
		char text[512] = "";

		list_pid(&sweep->ancestors, pid);
		snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
		FILE *file = fopen(path, "re");

		if (!file || !fgets(text, sizeof(text), file)) {
			die("a parent went away");
		}
		fclose(file);
		pid = strtol(strrchr(text, ')') + 3, NULL, 10);
	}
}

enum option_code { CANARIES = 256, SKIP_PID, SKIP_ANCESTORS, SINCE, NO_FILES, NO_MEMORY, NO_SWAP };

static void take_option(struct sweep *sweep, int code)
{
	switch (code) {
	case CANARIES:
		read_canaries(sweep, (int)parse_number(optarg));
		break;
	case SKIP_PID:
		list_pid(&sweep->holders, parse_number(optarg));
		break;
	case SKIP_ANCESTORS:
		skip_ancestors(sweep);
		break;
	case SINCE:
		sweep->since_s = parse_number(optarg);
		break;
	case NO_FILES:
		sweep->no_files = true;
		break;
	case NO_MEMORY:
		sweep->no_memory = true;
		break;
	case NO_SWAP:
		sweep->no_swap = true;
		break;
	default:
		exit(2); /* getopt has said why */
	}
}

static void parse_arguments(struct sweep *sweep, int argc, char **argv)
{
	static const struct option options[] = {
		{ "canaries", required_argument, NULL, CANARIES },
		{ "skip-pid", required_argument, NULL, SKIP_PID },
		{ "skip-ancestors", no_argument, NULL, SKIP_ANCESTORS },
		{ "since", required_argument, NULL, SINCE },
		{ "no-files", no_argument, NULL, NO_FILES },
		{ "no-memory", no_argument, NULL, NO_MEMORY },
		{ "no-swap", no_argument, NULL, NO_SWAP },
		{ NULL, 0, NULL, 0 },
	};
	int code;

	while ((code = getopt_long(argc, argv, "", options, NULL)) != -1) {
		take_option(sweep, code);
	}
	if (sweep->canary_count == 0) {
		die("--canaries FD is needed");
	}
	for (int i = optind; i < argc && sweep->path_count < PATHS_MAX; i++) {
		sweep->paths[sweep->path_count++] = argv[i];
	}
}

int main(int argc, char **argv)
{
	struct sweep *sweep = calloc(1, sizeof(*sweep));

	if (!sweep || posix_memalign((void **)&sweep->buffer, PAGE_BYTES, BUFFER_BYTES)) {
		die("no memory");
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	parse_arguments(sweep, argc, argv);
	search_processes(sweep);
	search_keys(sweep);
	search_proc_file(sweep, "/dev/kmsg", "the kernel's log");
	if (!sweep->no_swap) {
		search_swap(sweep);
	}
	if (!sweep->no_files) {
		search_usual_folders(sweep);
	}
	for (size_t i = 0; i < sweep->path_count; i++) {
		search_path(sweep, sweep->paths[i]);
	}
	printf("leak-sweep: %zu canaries, %u processes, %" PRIu64
	       " MiB of memory (%u reservations left out), %u files: %u found, %u not searched\n",
	       sweep->canary_count, sweep->processes, sweep->memory_bytes >> 20,
	       sweep->reservations, sweep->files, sweep->hits, sweep->errors);
	return sweep->hits ? 1 : sweep->errors ? 2 : 0;
}
