/* SPDX-License-Identifier: ISC */
/* The id maps of a user namespace, as /proc/PID/uid_map shows them. Reads no file itself. */
#include "oci/config.h"

#include <string.h>

#include "base/parse.h"

/* Take a number off a line that pads its numbers with spaces. */
static bool next_number(struct phial_span *line, uint32_t *ret_number)
{
	struct phial_span word = { "", 0 };
	uint64_t number;

	while (phial_span_skip(line, " ")) {
	}
	word.text = line->text;
	while (word.length < line->length && line->text[word.length] != ' ') {
		word.length++;
	}
	line->text += word.length;
	line->length -= word.length;
	if (!phial_parse_u64(word, 0, UINT32_MAX, &number)) {
		return false;
	}
	*ret_number = (uint32_t)number;
	return true;
}

/* True if first, first + 1, ... are count ids of which none is the invalid one, 2^32 - 1. */
static bool is_range(uint32_t first, uint32_t count)
{
	return count > 0 && count <= UINT32_MAX - first;
}

enum phial_status phial_id_map_parse(const char *text, size_t length, struct phial_id_map *ret_map,
				     struct phial_error *err)
{
	struct phial_id_map map = { .count = 0 };
	struct phial_span rest = { text, length };
	struct phial_span line;
	bool is_complete;

	while (phial_next_line(&rest, &line, &is_complete)) {
		if (map.count == PHIAL_COUNT(map.ranges)) {
			return phial_fail(err, PHIAL_MALFORMED, 0, "id map: too many lines");
		}
		uint32_t inside;
		uint32_t outside;
		uint32_t count;

		if (!is_complete || !next_number(&line, &inside) || !next_number(&line, &outside) ||
		    !next_number(&line, &count) || line.length > 0 || !is_range(inside, count) ||
		    (outside != UINT32_MAX && !is_range(outside, count))) {
			return phial_fail(err, PHIAL_MALFORMED, 0, "id map: line %zu",
					  map.count + 1);
		}
		if (outside == UINT32_MAX) {
			continue; /* ids that do not exist in the reader's namespace */
		}
		map.ranges[map.count].inside = inside;
		map.ranges[map.count].outside = outside;
		map.ranges[map.count].count = count;
		map.count++;
	}
	*ret_map = map;
	return PHIAL_OK;
}

bool phial_id_map_outside(const struct phial_id_map *map, uint32_t inside, uint32_t *ret_outside)
{
	for (size_t i = 0; i < map->count; i++) {
		/* Wraps to a large number when inside is below the range. */
		uint32_t offset = inside - map->ranges[i].inside;

		if (inside >= map->ranges[i].inside && offset < map->ranges[i].count) {
			*ret_outside = map->ranges[i].outside + offset;
			return true;
		}
	}
	return false;
}

bool phial_id_map_inside(const struct phial_id_map *map, uint32_t outside, uint32_t *ret_inside)
{
	for (size_t i = 0; i < map->count; i++) {
		uint32_t offset = outside - map->ranges[i].outside;

		if (outside >= map->ranges[i].outside && offset < map->ranges[i].count) {
			*ret_inside = map->ranges[i].inside + offset;
			return true;
		}
	}
	return false;
}
