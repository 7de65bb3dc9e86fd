/* SPDX-License-Identifier: ISC */
/* Opening things below a directory and nowhere else. Private to the store room. */
#ifndef PHIAL_STORE_BENEATH_H
#define PHIAL_STORE_BENEATH_H

#include <phial/error.h>

/*
 * Open path below dir_fd; symbolic links are followed while they stay below it. flags: of
 * open(2), no O_CREAT; close-on-exec is added. ret_fd: owned by the caller. Returns PHIAL_OK;
 * PHIAL_NOT_FOUND; PHIAL_MALFORMED for a link that leaves the directory or a loop of links;
 * PHIAL_DENIED; PHIAL_UNSUPPORTED; PHIAL_SYSTEM. Blocks as open(2) does: add O_NONBLOCK where a
 * FIFO may lie. See openat2(2) RESOLVE_BENEATH.
 */
PHIAL_CHECKED enum phial_status phial_store_open_beneath(int dir_fd, const char *path, int flags,
							 int *ret_fd, struct phial_error *err);

/* Record a failed system call on a path with the status that its errno stands for. */
enum phial_status phial_store_fail_path(struct phial_error *err, int os_error, const char *path);

#endif
