/* SPDX-License-Identifier: ISC */
/* The nearest of some words to a mistyped one. For messages only: decides nothing. */
#include "store/store.h"

#include <stdbool.h>
#include <string.h>

#define WORD_MAX_BYTES PHIAL_NAME_MAX_BYTES

/* One edit for a short word, else two: with more, "wbe" is near "db" too. */
static size_t edits_allowed(size_t length)
{
	return length < 5 ? 1 : 2;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * How many bytes must be changed, added, left out or swapped with their neighbour to make b of
 * a (optimal string alignment). Both at most WORD_MAX_BYTES. rows[i % 3][k] is the answer for
 * the first i bytes of a and the first k of b.
 */
static size_t edits_between(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX_BYTES + 1];
	size_t a_length = strlen(a);
	size_t b_length = strlen(b);

	for (size_t k = 0; k <= b_length; k++) {
		rows[0][k] = k;
	}
	for (size_t i = 1; i <= a_length; i++) {
		size_t *row = rows[i % 3];
		const size_t *above = rows[(i - 1) % 3];

		row[0] = i;
		for (size_t k = 1; k <= b_length; k++) {
			bool is_same = a[i - 1] == b[k - 1];

			row[k] = smaller(above[k - 1] + (is_same ? 0 : 1),
					 smaller(above[k], row[k - 1]) + 1);
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1]) {
				row[k] = smaller(row[k], rows[(i - 2) % 3][k - 2] + 1);
			}
		}
	}
	return rows[a_length % 3][b_length];
}

const char *phial_nearest(const char *word, const char *const *candidates, size_t count)
{
	size_t length = strnlen(word, WORD_MAX_BYTES + 1);
	size_t best_edits = edits_allowed(length) + 1;
	const char *best = NULL;

	if (length > WORD_MAX_BYTES) {
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		size_t other = strnlen(candidates[i], WORD_MAX_BYTES + 1);
		size_t apart = other > length ? other - length : length - other;

		if (other == 0 || other > WORD_MAX_BYTES || apart >= best_edits) {
			continue;
		}
		size_t edits = edits_between(word, candidates[i]);

		if (edits < best_edits) {
			best_edits = edits;
			best = candidates[i];
		}
	}
	return best;
}
