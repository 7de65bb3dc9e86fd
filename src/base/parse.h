/* SPDX-License-Identifier: ISC */
/* Bounded parsing of numbers, times and text lines. Nothing here allocates or blocks. */
#ifndef PHIAL_BASE_PARSE_H
#define PHIAL_BASE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

/* Bytes of "2026-11-21T22:30:00Z" with its NUL. */
#define PHIAL_TIME_TEXT_BYTES 21

/* A piece of text inside somebody else's buffer; not NUL-terminated. */
struct phial_span {
	const char *text;
	size_t length;
};

/*
 * Parse a decimal number in its one canonical form: digits only, no sign, no leading
 * zero, the whole span. min, max: inclusive. Returns true and sets *ret_value, or false.
 */
bool phial_parse_u64(struct phial_span span, uint64_t min, uint64_t max, uint64_t *ret_value);

/* The same for octal digits with one leading zero ("0400"), for file modes up to max. */
bool phial_parse_mode(struct phial_span span, uint32_t max, uint32_t *ret_mode);

/*
 * Parse "2026-11-21T22:30:00Z" exactly (RFC 3339, UTC, whole seconds, years 1970 to 9999;
 * second 60 is refused). ret_seconds: since 1970. Returns false for anything else.
 */
bool phial_parse_time(struct phial_span span, int64_t *ret_seconds);

/* Write such a time with its NUL. seconds: 0 to year 9999 (asserted). */
void phial_format_time(int64_t seconds, char ret_text[PHIAL_TIME_TEXT_BYTES]);

/* Bytes of the longest "NUMBERms" with its NUL. */
#define PHIAL_DURATION_TEXT_BYTES 24

/*
 * Parse a length of time: a number in its one form and "ms", "s", "m", "h" or "d" right behind it, as
 * "250ms" or "30d". min_ms, max_ms: inclusive, not negative. Returns true and sets *ret_ms, or false.
 */
bool phial_parse_duration(struct phial_span span, int64_t min_ms, int64_t max_ms, int64_t *ret_ms);

/* Write it with its NUL, in the largest unit that is exact. duration_ms: not negative (asserted). */
void phial_format_duration(int64_t duration_ms, char ret_text[PHIAL_DURATION_TEXT_BYTES]);

/* Write roughly how long: "42s", "17m", "5h", "89d" with its NUL. seconds: a sign is dropped. */
void phial_format_span(int64_t seconds, char ret_text[PHIAL_DURATION_TEXT_BYTES]);

/*
 * Parse "UID:GID" in decimal, each 0 to 2^32 - 2. Returns false for anything else.
 */
bool phial_parse_owner(struct phial_span span, uint32_t *ret_uid, uint32_t *ret_gid);

/*
 * Take the next line off a span. rest: moved behind the line's '\n'. ret_line: the line
 * without its '\n'. Returns false when rest is empty. A last line without '\n' is given
 * with *ret_complete false (ret_complete may be NULL).
 */
bool phial_next_line(struct phial_span *rest, struct phial_span *ret_line, bool *ret_complete);

/*
 * Take the next word off a span, words being separated by exactly one space. rest: moved on; its
 * text is NULL after the last word. Returns false after that. A leading, doubled or trailing
 * space shows as an empty word, and an empty text is one empty word.
 */
bool phial_next_word(struct phial_span *rest, struct phial_span *ret_word);

/* True if the span is this NUL-terminated text. */
bool phial_span_is(struct phial_span span, const char *text);

/* True if the span begins with this NUL-terminated text; it is then cut off *span. */
bool phial_span_skip(struct phial_span *span, const char *prefix);

/* Copy a span into a buffer with a NUL. Returns false, writing nothing, if it does not fit. */
bool phial_span_copy(struct phial_span span, char *ret_text, size_t text_bytes);

/* A span over a NUL-terminated text. */
struct phial_span phial_span_of(const char *text);

#endif
