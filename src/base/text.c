/* SPDX-License-Identifier: ISC */
/* Text that grows by doubling, up to its limit. Not for secrets: it does not wipe. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Make room for length more bytes and a NUL. */
static bool reserve(struct phial_text *text, size_t length)
{
	if (text->has_failed || length > text->max - text->length) {
		text->has_failed = true;
		return false;
	}
	size_t needed = text->length + length + 1;

	if (needed <= text->room) {
		return true;
	}
	size_t room = text->room < 128 ? 128 : text->room * 2;

	if (room < needed) {
		room = needed;
	}
	char *larger = realloc(text->bytes, room);

	if (!larger) {
		text->has_failed = true;
		return false;
	}
	text->bytes = larger;
	text->room = room;
	return true;
}

void phial_text_add_bytes(struct phial_text *text, const void *bytes, size_t length)
{
	if (!reserve(text, length)) {
		return;
	}
	if (length > 0) {
		memcpy(text->bytes + text->length, bytes, length);
	}
	text->length += length;
	text->bytes[text->length] = '\0';
}

void phial_text_add(struct phial_text *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0 || !reserve(text, (size_t)length)) {
		text->has_failed = true;
		return;
	}
	va_start(args, format);
	(void)vsnprintf(text->bytes + text->length, (size_t)length + 1, format, args);
	va_end(args);
	text->length += (size_t)length;
}

void phial_text_free(struct phial_text *text)
{
	phial_free_pointer(&text->bytes);
	*text = (struct phial_text){ .max = text->max };
}
