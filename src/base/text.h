/* SPDX-License-Identifier: ISC */
/* Text that grows, up to a limit. For what is not secret. */
#ifndef PHIAL_BASE_TEXT_H
#define PHIAL_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <phial/error.h>

#include "base/cleanup.h"

/*
 * Starts as `struct phial_text text = { .max = N };` and is freed by phial_text_free(). A
 * failed append (limit, memory) sets has_failed and keeps it, so that a caller may append
 * many times and look once.
 */
struct phial_text {
	char *bytes; /* NUL-terminated, or NULL while empty */
	size_t length;
	size_t room;
	size_t max; /* the most bytes, without the NUL */
	bool has_failed;
};

#define phial_auto_text phial_auto(phial_text_free)

/* Append formatted text. Sets text->has_failed when it does not fit. */
void phial_text_add(struct phial_text *text, const char *format, ...) PHIAL_PRINTF(2, 3);

/* Append length bytes as they are. */
void phial_text_add_bytes(struct phial_text *text, const void *bytes, size_t length);

/* Free what it holds and leave it empty. Keeps errno. */
void phial_text_free(struct phial_text *text);

#endif
