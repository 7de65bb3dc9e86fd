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
 * Watch one file of a mount's present generation, if it is there. Called again for the same
 * generation, it tells again that it was read (to a new worker), or that its event was lost. number:
 * the container's. mount_fd: its rw mount, which stays the caller's. tell: called before this returns.
 * Returns PHIAL_OK, also when the mount is empty; PHIAL_BAD_NAME; PHIAL_TAMPERED if the container
 * has changed `..data`; PHIAL_SYSTEM, with the sysctl's name when inotify has no more watches.
 * Allocates. Does not wait for a directory's lock, which the container may hold. See inotify(7).
 */
PHIAL_CHECKED enum phial_status phial_reads_watch(struct phial_reads *reads, uint64_t number,
						  int mount_fd, const char *file,
						  phial_read_fn *tell, void *context,
						  struct phial_error *err);

/*
 * The same for each file of the container that is watched, or known to be read: after a rotation it
 * is the new generation's. After a failure some may be watched and others not.
 */
PHIAL_CHECKED enum phial_status phial_reads_follow(struct phial_reads *reads, uint64_t number,
						   int mount_fd, phial_read_fn *tell, void *context,
						   struct phial_error *err);

/*
 * Take what inotify has to say. Returns PHIAL_OK; PHIAL_PROBLEMS when events were lost: the caller
 * then calls phial_reads_follow() for every container of which phial_reads_holds() is true.
 * Does not block.
 */
PHIAL_CHECKED enum phial_status phial_reads_drain(struct phial_reads *reads, phial_read_fn *tell,
						  void *context);

/* Is a file of this container watched, or known to be read? */
bool phial_reads_holds(const struct phial_reads *reads, uint64_t number);

/* Watch nothing of a container any more, and forget what was read. Cannot fail. */
void phial_reads_forget(struct phial_reads *reads, uint64_t number);

#endif
