/* SPDX-License-Identifier: ISC */
/*
 * The strict reading of a JSON document: grammar, UTF-8, depth, lines. Builds no tree, that
 * is cJSON's work, and keeps nothing but the line of each value. A failure is one fixed
 * reason and a line; the input is never quoted.
 */
#include "json/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json/json.h"

/* cJSON copies a number into a buffer of this many bytes and cuts a longer one. */
#define NUMBER_MAX_BYTES 63

struct scanner {
	const uint8_t *next;
	const uint8_t *end;
	uint32_t line;
	unsigned int depth;
	const char *problem; /* NULL while all is well */
	bool is_out_of_memory;
	struct phial_json_places *places;
};

size_t phial_json_utf8_length(const uint8_t *text, size_t left)
{
	static const struct {
		uint8_t first, last;		/* of the first byte */
		uint8_t second_min, second_max; /* excludes overlong forms and surrogates */
		size_t length;
	} forms[] = {
		{ 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (size_t i = 0; left > 0 && i < PHIAL_COUNT(forms); i++) {
		if (text[0] < forms[i].first || text[0] > forms[i].last) {
			continue;
		}
		size_t length = forms[i].length;

		if (length > left) {
			return 0;
		}
		if (length > 1 &&
		    (text[1] < forms[i].second_min || text[1] > forms[i].second_max)) {
			return 0;
		}
		for (size_t k = 2; k < length; k++) {
			if ((text[k] & 0xc0) != 0x80) {
				return 0;
			}
		}
		return length;
	}
	return 0;
}

/* Record the first problem. Always false, for use in a return statement. */
static bool fail(struct scanner *scanner, const char *problem)
{
	if (!scanner->problem) {
		scanner->problem = problem;
	}
	return false;
}

static bool at_end(const struct scanner *scanner)
{
	return scanner->next == scanner->end;
}

/* The byte that comes next, or 0, which no place accepts, at the end. */
static uint8_t peek(const struct scanner *scanner)
{
	return at_end(scanner) ? 0 : *scanner->next;
}

static bool take(struct scanner *scanner, uint8_t byte)
{
	if (peek(scanner) != byte) {
		return false;
	}
	scanner->next++;
	return true;
}

static void skip_space(struct scanner *scanner)
{
	for (; !at_end(scanner); scanner->next++) {
		uint8_t byte = *scanner->next;

		if (byte == '\n') {
			scanner->line++;
		} else if (byte != ' ' && byte != '\t' && byte != '\r') {
			return;
		}
	}
}

static bool note_place(struct scanner *scanner, struct phial_json_place place)
{
	struct phial_json_places *places = scanner->places;

	if (places->count == PHIAL_JSON_MAX_VALUES) {
		return fail(scanner, "too many values");
	}
	if (places->count == places->room) {
		size_t room = places->room == 0 ? 64 : places->room * 2;
		void *larger = reallocarray(places->places, room, sizeof(place));

		if (!larger) {
			scanner->is_out_of_memory = true;
			return fail(scanner, "no memory");
		}
		places->places = larger;
		places->room = room;
	}
	places->places[places->count++] = place;
	return true;
}

static bool scan_word(struct scanner *scanner, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(scanner->end - scanner->next) < length ||
	    memcmp(scanner->next, word, length) != 0) {
		return fail(scanner, "not a JSON value");
	}
	scanner->next += length;
	return note_place(scanner, (struct phial_json_place){ scanner->line, false });
}

static bool scan_digits(struct scanner *scanner)
{
	const uint8_t *start = scanner->next;

	while (peek(scanner) >= '0' && peek(scanner) <= '9') {
		scanner->next++;
	}
	return scanner->next > start || fail(scanner, "not a JSON number");
}

static bool scan_number(struct scanner *scanner)
{
	const uint8_t *start = scanner->next;
	struct phial_json_place place = { scanner->line, true };

	(void)take(scanner, '-');
	bool starts_with_zero = peek(scanner) == '0';
	const uint8_t *first_digit = scanner->next;

	if (!scan_digits(scanner)) {
		return false;
	}
	if (starts_with_zero && scanner->next - first_digit > 1) {
		return fail(scanner, "a number begins with 0");
	}
	if (take(scanner, '.')) {
		place.is_whole = false;
		if (!scan_digits(scanner)) {
			return false;
		}
	}
	if (take(scanner, 'e') || take(scanner, 'E')) {
		place.is_whole = false;
		if (!take(scanner, '+')) {
			(void)take(scanner, '-');
		}
		if (!scan_digits(scanner)) {
			return false;
		}
	}
	if (scanner->next - start > NUMBER_MAX_BYTES) {
		return fail(scanner, "a number is too long");
	}
	return note_place(scanner, place);
}

/* Read the four digits of \uXXXX; -1 if they are none. */
static long scan_hex4(struct scanner *scanner)
{
	long value = 0;

	for (int i = 0; i < 4; i++) {
		uint8_t byte = peek(scanner);
		int digit = byte >= '0' && byte <= '9'	 ? byte - '0'
			    : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
			    : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
							 : -1;

		if (digit < 0) {
			(void)fail(scanner, "\\u needs four hexadecimal digits");
			return -1;
		}
		value = value * 16 + digit;
		scanner->next++;
	}
	return value;
}

/* The backslash is taken already. */
static bool scan_escape(struct scanner *scanner)
{
	uint8_t byte = peek(scanner);

	if (byte != 'u') {
		if (byte == 0 || !strchr("\"\\/bfnrt", byte)) {
			return fail(scanner, "unknown escape in a string");
		}
		scanner->next++;
		return true;
	}
	scanner->next++;
	long unit = scan_hex4(scanner);

	if (unit < 0) {
		return false;
	}
	if (unit == 0) {
		return fail(scanner, "NUL in a string");
	}
	if (unit < 0xd800 || unit > 0xdfff) {
		return true;
	}
	if (unit > 0xdbff || !take(scanner, '\\') || !take(scanner, 'u')) {
		return fail(scanner, "half a surrogate pair in a string");
	}
	unit = scan_hex4(scanner);
	if (unit < 0) {
		return false;
	}
	return (unit >= 0xdc00 && unit <= 0xdfff) ||
	       fail(scanner, "half a surrogate pair in a string");
}

/* A string, as a value or as a key. */
static bool scan_string(struct scanner *scanner)
{
	if (!take(scanner, '"')) {
		return fail(scanner, "a string in double quotes is expected");
	}
	while (!at_end(scanner)) {
		if (take(scanner, '"')) {
			return true;
		}
		if (take(scanner, '\\')) {
			if (!scan_escape(scanner)) {
				return false;
			}
			continue;
		}
		if (*scanner->next < 0x20) {
			return fail(scanner, "a control character or line end in a string");
		}
		size_t length = phial_json_utf8_length(scanner->next,
						       (size_t)(scanner->end - scanner->next));

		if (length == 0) {
			return fail(scanner, "not UTF-8");
		}
		scanner->next += length;
	}
	return fail(scanner, "a string does not end");
}

static bool scan_value(struct scanner *scanner);

/* Members or elements up to the closing bracket; the opening one is taken already. */
static bool scan_members(struct scanner *scanner, uint8_t close, bool has_keys)
{
	skip_space(scanner);
	if (take(scanner, close)) {
		return true;
	}
	for (;;) {
		if (has_keys) {
			skip_space(scanner);
			if (!scan_string(scanner)) {
				return false;
			}
			skip_space(scanner);
			if (!take(scanner, ':')) {
				return fail(scanner, "':' is expected after a key");
			}
		}
		if (!scan_value(scanner)) {
			return false;
		}
		skip_space(scanner);
		if (take(scanner, close)) {
			return true;
		}
		if (!take(scanner, ',')) {
			return fail(scanner,
				    has_keys ? "',' or '}' is expected" : "',' or ']' is expected");
		}
	}
}

static bool scan_container(struct scanner *scanner)
{
	bool is_object = *scanner->next == '{';

	if (scanner->depth == PHIAL_JSON_MAX_DEPTH) {
		return fail(scanner, "nested too deep");
	}
	if (!note_place(scanner, (struct phial_json_place){ scanner->line, false })) {
		return false;
	}
	scanner->next++;
	scanner->depth++;
	bool is_good = scan_members(scanner, is_object ? '}' : ']', is_object);

	scanner->depth--;
	return is_good;
}

static bool scan_value(struct scanner *scanner)
{
	skip_space(scanner);
	switch (peek(scanner)) {
	case '{':
	case '[':
		return scan_container(scanner);
	case '"':
		return note_place(scanner, (struct phial_json_place){ scanner->line, false }) &&
		       scan_string(scanner);
	case 't':
		return scan_word(scanner, "true");
	case 'f':
		return scan_word(scanner, "false");
	case 'n':
		return scan_word(scanner, "null");
	case '-':
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9':
		return scan_number(scanner);
	default:
		return fail(scanner,
			    at_end(scanner) ? "the document ends too early" : "not a JSON value");
	}
}

enum phial_status phial_json_scan(const uint8_t *bytes, size_t length,
				  struct phial_json_places *ret_places, struct phial_error *err)
{
	struct scanner scanner = {
		.next = bytes,
		.end = bytes + length,
		.line = 1,
		.places = ret_places,
	};

	if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "line 1: a byte order mark; save the file without one");
	}
	if (scan_value(&scanner)) {
		skip_space(&scanner);
		if (at_end(&scanner)) {
			return PHIAL_OK;
		}
		(void)fail(&scanner, "more bytes after the document's end");
	}
	if (scanner.is_out_of_memory) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "read JSON");
	}
	return phial_fail(err, PHIAL_MALFORMED, 0, "line %u: %s", scanner.line, scanner.problem);
}
