/* SPDX-License-Identifier: ISC */
/*
 * Looking at JSON one string at a time. Not a parser: it accepts much that is no JSON, and errs
 * towards asking the agent, which refuses it.
 */
#include "inject/scan.h"

#include <string.h>

#define TEXT_BYTES 256
#define PID_MAX	   4194304 /* PID_MAX_LIMIT of the kernel */

/* A decoded byte that equals no ASCII text: for characters beyond it. */
#define NOT_ASCII '\x80'

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character after a backslash; moves rest behind it. */
static char decode_escape(struct phial_span *rest)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	char kind = rest->text[0];
	const char *found = strchr(from, kind);
	int value = 0;

	rest->text++;
	rest->length--;
	if (kind != 'u') {
		return kind != '\0' && found ? to[found - from] : NOT_ASCII;
	}
	for (int i = 0; i < 4; i++) {
		int digit = rest->length > 0 ? hex_digit(rest->text[0]) : -1;

		if (digit < 0) {
			return NOT_ASCII;
		}
		value = value * 16 + digit;
		rest->text++;
		rest->length--;
	}
	return value > 0 && value < 0x80 ? (char)value : NOT_ASCII;
}

/*
 * Decode a string whose opening quote has been taken; moves rest behind its closing quote.
 * text: its beginning, cut to fit. Returns false when the string does not end.
 */
static bool decode_string(struct phial_span *rest, char *text, size_t text_bytes)
{
	size_t used = 0;

	while (rest->length > 0) {
		char c = rest->text[0];

		rest->text++;
		rest->length--;
		if (c == '"') {
			text[used] = '\0';
			return true;
		}
		if (c == '\\' && rest->length > 0) {
			c = decode_escape(rest);
		}
		if (used + 1 < text_bytes) {
			text[used++] = c != '\0' ? c : NOT_ASCII;
		}
	}
	return false;
}

bool phial_inject_may_grant(struct phial_span config, const char *prefix)
{
	size_t prefix_length = strlen(prefix);
	char text[TEXT_BYTES];

	for (;;) {
		const char *quote = memchr(config.text, '"', config.length);

		if (!quote) {
			return false;
		}
		config.length -= (size_t)(quote + 1 - config.text);
		config.text = quote + 1;
		if (!decode_string(&config, text, sizeof(text)) ||
		    strncmp(text, prefix, prefix_length) == 0) {
			return true;
		}
	}
}

static void skip_spaces(struct phial_span *rest)
{
	while (rest->length > 0 && memchr(" \t\r\n", rest->text[0], 4)) {
		rest->text++;
		rest->length--;
	}
}

/* The number after a key's colon. */
static bool parse_pid(struct phial_span rest, uint64_t *ret_pid)
{
	skip_spaces(&rest);
	struct phial_span digits = { rest.text, 0 };

	while (digits.length < rest.length && digits.text[digits.length] >= '0' &&
	       digits.text[digits.length] <= '9') {
		digits.length++;
	}
	/* "12.5" and "12e3" are other numbers. */
	return digits.length < rest.length && memchr(" \t\r\n,}", rest.text[digits.length], 6) &&
	       phial_parse_u64(digits, 0, PID_MAX, ret_pid);
}

/* Where the scan of the state stands. */
struct state_scan {
	struct phial_span rest;
	int depth;
	int count; /* of "pid" keys */
	uint64_t pid;
	bool is_malformed;
};

static void scan_string(struct state_scan *scan)
{
	char text[8];

	if (!decode_string(&scan->rest, text, sizeof(text))) {
		scan->is_malformed = true;
		return;
	}
	skip_spaces(&scan->rest);
	if (scan->depth != 1 || strcmp(text, "pid") != 0 || !phial_span_skip(&scan->rest, ":")) {
		return;
	}
	scan->count++;
	scan->is_malformed |= !parse_pid(scan->rest, &scan->pid);
}

enum phial_status phial_inject_find_pid(struct phial_span state, pid_t *ret_pid,
					struct phial_error *err)
{
	struct state_scan scan = { .rest = state };

	while (scan.rest.length > 0 && !scan.is_malformed) {
		char c = scan.rest.text[0];

		scan.rest.text++;
		scan.rest.length--;
		if (c == '"') {
			scan_string(&scan);
		} else if (c == '{' || c == '[') {
			scan.depth++;
		} else if (c == '}' || c == ']') {
			scan.depth--;
		}
	}
	if (scan.is_malformed || scan.count > 1) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "the container state on stdin is not what a runtime writes");
	}
	if (scan.pid <= 1) {
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "the container state names no process: this hook belongs to the "
				  "createRuntime stage (or prestart)");
	}
	*ret_pid = (pid_t)scan.pid;
	return PHIAL_OK;
}
