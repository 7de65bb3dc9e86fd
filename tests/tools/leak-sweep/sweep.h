/* SPDX-License-Identifier: ISC */
/* What the parts of leak-sweep share. */
#ifndef PHIAL_TESTS_SWEEP_H
#define PHIAL_TESTS_SWEEP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CANARIES_MAX	 64
#define CANARY_MIN_BYTES 8
#define CANARY_MAX_BYTES 256
#define PIDS_MAX	 256
#define PATHS_MAX	 64
#define BUFFER_BYTES	 ((size_t)1 << 20)
#define PAGE_BYTES	 4096

/* Bytes to find. */
struct canary {
	unsigned char bytes[CANARY_MAX_BYTES];
	size_t length;
};

struct pid_list {
	pid_t pids[PIDS_MAX];
	size_t count;
};

struct sweep {
	struct canary canaries[CANARIES_MAX];
	size_t canary_count;
	size_t overlap_bytes; /* the longest canary but one byte, kept between two reads */
	unsigned char *buffer;
	struct pid_list holders;   /* their memory is not searched */
	struct pid_list ancestors; /* nothing of them is */
	const char *paths[PATHS_MAX];
	size_t path_count;
	int64_t since_s;
	bool no_files;
	bool no_memory;
	bool no_swap;
	unsigned int hits;
	unsigned int errors;
	unsigned int processes;
	unsigned int files;
	unsigned int reservations; /* mappings too large to be memory */
	uint64_t memory_bytes;
};

/* A stream of pieces that follow each other, so that a canary across two of them is seen. */
struct stream {
	struct sweep *sweep;
	const char *where;
	size_t kept_bytes;
	unsigned int found; /* canaries already reported here, as a count */
};

/* Say that a canary (its index) was found, and where; where must not hold it. */
void report(struct sweep *sweep, size_t canary, const char *where);

/* Say what could not be searched; the exit code will show it. */
__attribute__((format(printf, 2, 3))) void complain(struct sweep *sweep, const char *format, ...);

/* Which canary these bytes hold, or canary_count. */
size_t find_canary(const struct sweep *sweep, const void *bytes, size_t length);

/* Search bytes, and report. */
void search_bytes(struct sweep *sweep, const void *bytes, size_t length, const char *where);

/* Where the next piece of a stream may be written, and how much of it fits. */
unsigned char *stream_space(struct stream *stream, size_t *ret_length);

/* Search length bytes that were written there. One hit per place is enough. */
void stream_search(struct stream *stream, size_t length);

/* Search a descriptor to its end. Returns false if a read failed, but not with `harmless`. */
bool search_fd(struct sweep *sweep, int fd, const char *where, int harmless);

/* Search a file of /proc or /dev. One that has gone is no failure. */
void search_proc_file(struct sweep *sweep, const char *path, const char *where);

/* Search every process but this one and the ancestors. */
void search_processes(struct sweep *sweep);

/* Search the keys this process may view, and the payloads it may read. */
void search_keys(struct sweep *sweep);

/* Search swap devices and files, past the page cache. */
void search_swap(struct sweep *sweep);

/* Search a file, a folder and all below it, or a symlink's text. */
void search_path(struct sweep *sweep, const char *path);

/* Search the usual folders and that of core dumps. */
void search_usual_folders(struct sweep *sweep);

#endif
