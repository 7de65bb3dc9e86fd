/* SPDX-License-Identifier: ISC */
/* Descriptors: whole reads and writes of what is not secret, bounded. */
#ifndef PHIAL_BASE_IO_H
#define PHIAL_BASE_IO_H

#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

/*
 * Read a descriptor up to its end into new memory. fd: stays open; read from its current
 * offset. max: the most bytes accepted. ret_bytes: freed by the caller; one NUL follows
 * the bytes, so that text can be used as it is. Returns PHIAL_OK; PHIAL_TOO_LARGE if there is
 * more (nothing larger than max + 1 is ever allocated); PHIAL_SYSTEM. Blocks as read(2).
 */
PHIAL_CHECKED enum phial_status phial_read_all(int fd, size_t max, uint8_t **ret_bytes,
					       size_t *ret_length, struct phial_error *err);

/* Write all bytes. Returns PHIAL_OK or PHIAL_SYSTEM. Blocks as write(2). */
PHIAL_CHECKED enum phial_status phial_write_all(int fd, const void *bytes, size_t length,
						struct phial_error *err);

#endif
