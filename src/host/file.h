/* SPDX-License-Identifier: ISC */
/* Small texts of /proc, /sys and /etc, whole and bounded. */
#ifndef PHIAL_HOST_FILE_H
#define PHIAL_HOST_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include <phial/error.h>

/* The longest text that is read; a mount table of thousands of mounts fits. */
#define PHIAL_HOST_TEXT_MAX ((size_t)4 * 1024 * 1024)

/*
 * Read a whole text. dir_fd: where path begins, or AT_FDCWD. ret_text: NUL-terminated, freed by
 * the caller. Returns PHIAL_OK; PHIAL_NOT_FOUND when it is not there; PHIAL_DENIED; PHIAL_TOO_LARGE;
 * PHIAL_SYSTEM. The error's text is the path and why. Blocks as read(2); a fifo or device is
 * PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_host_read(int dir_fd, const char *path, char **ret_text,
						struct phial_error *err);

/*
 * Read a text that holds one whole number, as most of /proc/sys. Returns false if it is not there,
 * not to be read, or no number from 0 to 2^64 - 1.
 */
bool phial_host_read_number(const char *path, uint64_t *ret_number);

#endif
