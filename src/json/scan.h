/* SPDX-License-Identifier: ISC */
/* The strict reading that comes before cJSON's. Private to the json room. */
#ifndef PHIAL_JSON_SCAN_H
#define PHIAL_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

/* The most values in one document: an OCI config has some thousands, the status of an agent with
 * 10,000 secrets ten for each. */
#define PHIAL_JSON_MAX_VALUES 262144

/* What is known of one value. */
struct phial_json_place {
	uint32_t line;
	bool is_whole; /* a number without fraction and exponent */
};

/* The values of a document, in the order in which they begin. */
struct phial_json_places {
	struct phial_json_place *places;
	size_t count;
	size_t room;
};

/*
 * Check a document against RFC 8259 and the json room's own limits, all but duplicate keys.
 * bytes, length: the whole document. ret_places: freed by the caller (free(places->places)),
 * also on failure. Returns PHIAL_OK; PHIAL_MALFORMED with line and reason; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_json_scan(const uint8_t *bytes, size_t length,
						struct phial_json_places *ret_places,
						struct phial_error *err);

/*
 * The length of the well-formed UTF-8 sequence at text, 1 to 4, or 0 if there is none. left:
 * bytes that may be read. No overlong form, no surrogate, nothing over U+10FFFF (RFC 3629).
 */
size_t phial_json_utf8_length(const uint8_t *text, size_t left);

#endif
