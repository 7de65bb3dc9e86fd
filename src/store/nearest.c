/* SPDX-License-Identifier: ISC */
/* The nearest of some words to a mistyped one. For messages only: decides nothing. */
#include "store/store.h"

#include <string.h>

/* Two edits, and fewer than the word has bytes, lest "a" be near everything short. */
#define EDITS_MAX 2

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance between two words of at most PHIAL_NAME_MAX_BYTES. */
static size_t edits_between(const char *a, const char *b)
{
	size_t row[PHIAL_NAME_MAX_BYTES + 1]; /* distances of a's first bytes to each start of b */
	size_t b_length = strlen(b);

	for (size_t k = 0; k <= b_length; k++) {
		row[k] = k;
	}
	for (size_t i = 0; a[i] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t k = 1; k <= b_length; k++) {
			size_t changed = diagonal + (a[i] == b[k - 1] ? 0 : 1);

			diagonal = row[k];
			row[k] = smaller(changed, smaller(row[k], row[k - 1]) + 1);
		}
	}
	return row[b_length];
}

const char *phial_nearest(const char *word, const char *const *candidates, size_t count)
{
	size_t length = strnlen(word, PHIAL_NAME_MAX_BYTES + 1);
	size_t best_edits = EDITS_MAX + 1;
	const char *best = NULL;

	if (length > PHIAL_NAME_MAX_BYTES) {
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		size_t other = strnlen(candidates[i], PHIAL_NAME_MAX_BYTES + 1);
		size_t apart = other > length ? other - length : length - other;

		if (other > PHIAL_NAME_MAX_BYTES || apart >= best_edits) {
			continue;
		}
		size_t edits = edits_between(word, candidates[i]);

		if (edits < best_edits && edits < length) {
			best_edits = edits;
			best = candidates[i];
		}
	}
	return best;
}
