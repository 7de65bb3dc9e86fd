/* SPDX-License-Identifier: ISC */
/*
 * Bounded parsing. Each kind of value has one accepted form, so that whatever is parsed
 * can be compared with what would have been written.
 */
#include "base/parse.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

bool phial_parse_u64(struct phial_span span, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (span.length == 0 || span.length > 20 || (span.text[0] == '0' && span.length > 1)) {
		return false;
	}
	for (size_t i = 0; i < span.length; i++) {
		if (span.text[i] < '0' || span.text[i] > '9') {
			return false;
		}
		if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(span.text[i] - '0'), &value)) {
			return false;
		}
	}
	if (value < min || value > max) {
		return false;
	}
	*ret_value = value;
	return true;
}

bool phial_parse_mode(struct phial_span span, uint32_t max, uint32_t *ret_mode)
{
	uint32_t mode = 0;

	if (span.length != 4 || span.text[0] != '0') {
		return false;
	}
	for (size_t i = 1; i < span.length; i++) {
		if (span.text[i] < '0' || span.text[i] > '7') {
			return false;
		}
		mode = mode * 8 + (uint32_t)(span.text[i] - '0');
	}
	if (mode > max) {
		return false;
	}
	*ret_mode = mode;
	return true;
}

/* Read count digits at text; returns -1 when one of them is no digit. */
static int digits(const char *text, size_t count)
{
	int value = 0;

	for (size_t i = 0; i < count; i++) {
		if (text[i] < '0' || text[i] > '9') {
			return -1;
		}
		value = value * 10 + (text[i] - '0');
	}
	return value;
}

bool phial_parse_time(struct phial_span span, int64_t *ret_seconds)
{
	char again[PHIAL_TIME_TEXT_BYTES];
	struct tm parts = { 0 };

	if (span.length != PHIAL_TIME_TEXT_BYTES - 1) {
		return false;
	}
	parts.tm_year = digits(span.text, 4) - 1900;
	parts.tm_mon = digits(span.text + 5, 2) - 1;
	parts.tm_mday = digits(span.text + 8, 2);
	parts.tm_hour = digits(span.text + 11, 2);
	parts.tm_min = digits(span.text + 14, 2);
	parts.tm_sec = digits(span.text + 17, 2);
	if (parts.tm_year < 70 || parts.tm_mon < 0 || parts.tm_mday < 0 || parts.tm_hour < 0 ||
	    parts.tm_min < 0 || parts.tm_sec < 0) {
		return false;
	}
	int64_t seconds = (int64_t)timegm(&parts);

	if (seconds < 0 || seconds > INT64_C(253402300799)) {
		return false;
	}
	/* timegm() carries 30 February into March: only what prints the same is accepted. */
	phial_format_time(seconds, again);
	if (memcmp(again, span.text, span.length) != 0) {
		return false;
	}
	*ret_seconds = seconds;
	return true;
}

void phial_format_time(int64_t seconds, char ret_text[PHIAL_TIME_TEXT_BYTES])
{
	time_t when = (time_t)seconds;
	struct tm parts;

	assert(seconds >= 0 && seconds <= INT64_C(253402300799));
	gmtime_r(&when, &parts);
	size_t written = strftime(ret_text, PHIAL_TIME_TEXT_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts);

	assert(written == PHIAL_TIME_TEXT_BYTES - 1);
	(void)written;
}

static const struct {
	const char *name;
	uint64_t ms;
} units[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 } };

bool phial_parse_duration(struct phial_span span, int64_t min_ms, int64_t max_ms, int64_t *ret_ms)
{
	struct phial_span number = span;

	assert(min_ms >= 0 && max_ms >= min_ms);
	while (number.length > 0 &&
	       (number.text[number.length - 1] < '0' || number.text[number.length - 1] > '9')) {
		number.length--;
	}
	struct phial_span unit = { span.text + number.length, span.length - number.length };

	for (size_t i = 0; i < PHIAL_COUNT(units); i++) {
		uint64_t value;

		if (!phial_span_is(unit, units[i].name)) {
			continue;
		}
		if (!phial_parse_u64(number, 0, (uint64_t)max_ms / units[i].ms, &value) ||
		    value * units[i].ms < (uint64_t)min_ms) {
			return false;
		}
		*ret_ms = (int64_t)(value * units[i].ms);
		return true;
	}
	return false;
}

void phial_format_duration(int64_t duration_ms, char ret_text[PHIAL_DURATION_TEXT_BYTES])
{
	uint64_t rest = (uint64_t)duration_ms;
	size_t unit = 0;

	assert(duration_ms >= 0);
	while (rest % units[unit].ms != 0) {
		unit++;
	}
	/* No time at all is 0 of the unit that people write it in. */
	unit = rest == 0 ? 3 : unit;
	(void)snprintf(ret_text, PHIAL_DURATION_TEXT_BYTES, "%" PRIu64 "%s", rest / units[unit].ms,
		       units[unit].name);
}

void phial_format_span(int64_t seconds, char ret_text[PHIAL_DURATION_TEXT_BYTES])
{
	static const struct {
		int64_t unit_s;
		char letter;
	} spans[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' } };
	int64_t length = seconds < 0 ? -seconds : seconds;

	for (size_t i = 0; i < PHIAL_COUNT(spans); i++) {
		/* Two of a unit at least: "47h" says more than "1d". */
		if (length >= 2 * spans[i].unit_s) {
			(void)snprintf(ret_text, PHIAL_DURATION_TEXT_BYTES, "%" PRId64 "%c",
				       length / spans[i].unit_s, spans[i].letter);
			return;
		}
	}
	(void)snprintf(ret_text, PHIAL_DURATION_TEXT_BYTES, "%" PRId64 "s", length);
}

bool phial_parse_owner(struct phial_span span, uint32_t *ret_uid, uint32_t *ret_gid)
{
	const char *colon = memchr(span.text, ':', span.length);
	uint64_t uid;
	uint64_t gid;

	if (!colon) {
		return false;
	}
	struct phial_span left = { span.text, (size_t)(colon - span.text) };
	struct phial_span right = { colon + 1, span.length - left.length - 1 };

	if (!phial_parse_u64(left, 0, UINT32_MAX - 1, &uid) ||
	    !phial_parse_u64(right, 0, UINT32_MAX - 1, &gid)) {
		return false;
	}
	*ret_uid = (uint32_t)uid;
	*ret_gid = (uint32_t)gid;
	return true;
}

/* Cut the piece before separator off rest; returns whether the separator was there. */
static bool cut_at(struct phial_span *rest, char separator, struct phial_span *ret_piece)
{
	const char *end = memchr(rest->text, separator, rest->length);

	ret_piece->text = rest->text;
	ret_piece->length = end ? (size_t)(end - rest->text) : rest->length;
	size_t taken = ret_piece->length + (end ? 1 : 0);

	rest->text += taken;
	rest->length -= taken;
	return end != NULL;
}

bool phial_next_line(struct phial_span *rest, struct phial_span *ret_line, bool *ret_complete)
{
	if (rest->length == 0) {
		return false;
	}
	bool complete = cut_at(rest, '\n', ret_line);

	if (ret_complete) {
		*ret_complete = complete;
	}
	return true;
}

bool phial_next_word(struct phial_span *rest, struct phial_span *ret_word)
{
	if (!rest->text) {
		return false;
	}
	/* A trailing space leaves an empty last word; a NULL text marks the very end. */
	if (!cut_at(rest, ' ', ret_word)) {
		rest->text = NULL;
	}
	return true;
}

bool phial_span_is(struct phial_span span, const char *text)
{
	return span.length == strlen(text) && memcmp(span.text, text, span.length) == 0;
}

bool phial_span_skip(struct phial_span *span, const char *prefix)
{
	size_t length = strlen(prefix);

	if (span->length < length || memcmp(span->text, prefix, length) != 0) {
		return false;
	}
	span->text += length;
	span->length -= length;
	return true;
}

bool phial_span_copy(struct phial_span span, char *ret_text, size_t text_bytes)
{
	if (span.length >= text_bytes || memchr(span.text, '\0', span.length)) {
		return false;
	}
	memcpy(ret_text, span.text, span.length);
	ret_text[span.length] = '\0';
	return true;
}

struct phial_span phial_span_of(const char *text)
{
	return (struct phial_span){ text, strlen(text) };
}
