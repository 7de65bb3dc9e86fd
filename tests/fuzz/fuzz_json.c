/* SPDX-License-Identifier: ISC */
/* JSON: whatever is accepted can be walked through, and every string in it is UTF-8. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "json/json.h"
#include "json/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void require(bool is_true)
{
	if (!is_true) {
		abort();
	}
}

static void require_utf8(const char *text)
{
	size_t left = text ? strlen(text) : 0;

	while (left > 0) {
		size_t step = phial_json_utf8_length((const uint8_t *)text, left);

		require(step > 0);
		text += step;
		left -= step;
	}
}

static void walk(const struct phial_json *value, size_t depth, size_t lines)
{
	size_t count = 0;
	int64_t number;

	require(depth <= PHIAL_JSON_MAX_DEPTH + 1);
	require(phial_json_line(value) >= 1 && phial_json_line(value) <= lines);
	require_utf8(phial_json_string(value));
	require_utf8(phial_json_key(value));
	if (phial_json_integer(value, -5, 5, &number)) {
		require(number >= -5 && number <= 5);
	}
	for (const struct phial_json *item = phial_json_first(value); item;
	     item = phial_json_next(item)) {
		const char *key = phial_json_key(item);

		require(!key || phial_json_member(value, key) == item);
		walk(item, depth + 1, lines);
		count++;
	}
	require(count == phial_json_count(value));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct phial_json *root = NULL;
	size_t lines = 1;

	/* Looking up each key of a large object takes its square in time: not the point here. */
	if (length > 16384 || phial_json_parse(bytes, length, &root, NULL) != PHIAL_OK) {
		return 0;
	}
	for (size_t i = 0; i < length; i++) {
		lines += bytes[i] == '\n';
	}
	walk(root, 1, lines);
	phial_json_free(root);
	return 0;
}
