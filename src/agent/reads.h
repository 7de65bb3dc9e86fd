/* SPDX-License-Identifier: ISC */
/*
 * Which files in secrets mounts have been read: the first close after an open without writing
 * (KERNEL-FACTS: readers by mmap(2) never raise IN_ACCESS). One inotify instance; each file is
 * watched once, so that a container that opens and closes one in a loop is heard once.
 */
#ifndef PHIAL_AGENT_READS_H
#define PHIAL_AGENT_READS_H

#include <stdbool.h>
#include <stdint.h>

#include <phial/error.h>

struct phial_read_file;

struct phial_reads {
	int fd; /* inotify, non-blocking, close-on-exec; -1: nothing was ever watched */
	struct phial_read_file *first;
};

/* One file has been read. file: one component, checked, at most 63 bytes. */
typedef void phial_read_fn(void *context, uint64_t number, const char *file);

/*
 * Watch the files of a mount's present generation. Called again for the same generation, it tells
 * again of those that were read (to a new worker), and of those whose event was lost; for another
 * one it forgets what came before. number: the container's. mount_fd: its rw mount, which stays the
 * caller's. tell: called before this returns, for each file that was read already. Returns PHIAL_OK,
 * also when the mount is empty; PHIAL_TAMPERED if the container has changed `..data`;
 * PHIAL_SYSTEM, with the sysctl's name when inotify has no more watches: some files may then be
 * watched and others not. Allocates. See inotify(7).
 */
PHIAL_CHECKED enum phial_status phial_reads_watch(struct phial_reads *reads, uint64_t number,
						  int mount_fd, phial_read_fn *tell, void *context,
						  struct phial_error *err);

/*
 * Take what inotify has to say. Returns PHIAL_OK; PHIAL_PROBLEMS when events were lost: the caller
 * then calls phial_reads_watch() for every container of which phial_reads_holds() is true.
 * Does not block.
 */
PHIAL_CHECKED enum phial_status phial_reads_drain(struct phial_reads *reads, phial_read_fn *tell,
						  void *context);

/* Is a file of this container watched, or known to be read? */
bool phial_reads_holds(const struct phial_reads *reads, uint64_t number);

/* Watch nothing of a container any more, and forget what was read. Cannot fail. */
void phial_reads_forget(struct phial_reads *reads, uint64_t number);

#endif
