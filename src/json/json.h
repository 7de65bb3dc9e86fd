/* SPDX-License-Identifier: ISC */
/*
 * A strict face over cJSON, the only place that includes it. Refused, beyond what RFC 8259
 * refuses: duplicate keys, trailing bytes, a byte order mark, NUL (also as \u0000), invalid
 * UTF-8 and lone surrogates, nesting over PHIAL_JSON_MAX_DEPTH. Keys are compared exactly.
 * Never for secrets: cJSON does not wipe.
 */
#ifndef PHIAL_JSON_JSON_H
#define PHIAL_JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

#include "base/cleanup.h"

#define PHIAL_JSON_MAX_DEPTH 32

/* A value inside a document; the root of a document owns all of it. */
struct phial_json;

enum phial_json_type {
	PHIAL_JSON_NULL,
	PHIAL_JSON_BOOL,
	PHIAL_JSON_NUMBER,
	PHIAL_JSON_STRING,
	PHIAL_JSON_ARRAY,
	PHIAL_JSON_OBJECT,
};

/*
 * Parse a whole document. bytes: need not be NUL-terminated; the caller caps length. ret_root:
 * freed with phial_json_free(). Returns PHIAL_OK; PHIAL_MALFORMED with the line number and the
 * reason, never quoting the input; PHIAL_SYSTEM when there is no memory.
 */
PHIAL_CHECKED enum phial_status phial_json_parse(const uint8_t *bytes, size_t length,
						 struct phial_json **ret_root,
						 struct phial_error *err);

/* Free a root. May be NULL. */
void phial_json_free(struct phial_json *root);

#define phial_auto_json phial_auto(phial_free_json_pointer)
static inline void phial_free_json_pointer(struct phial_json **root)
{
	phial_json_free(*root);
	*root = NULL;
}

/* What a value is. value: not NULL. */
enum phial_json_type phial_json_type(const struct phial_json *value);

/* The line, from 1, on which a value of a parsed document begins; 0 for a built one. */
size_t phial_json_line(const struct phial_json *value);

/* A member of an object by its exact key; NULL if value is NULL, no object, or has none. */
const struct phial_json *phial_json_member(const struct phial_json *value, const char *key);

/* Elements of an array or members of an object, in document order; 0 for other types. */
size_t phial_json_count(const struct phial_json *value);
const struct phial_json *phial_json_first(const struct phial_json *value);
const struct phial_json *phial_json_next(const struct phial_json *value);

/* The key of an object's member, else NULL. */
const char *phial_json_key(const struct phial_json *value);

/* The text of a string, else NULL. Valid until the root is freed. */
const char *phial_json_string(const struct phial_json *value);

/* A bool into *ret, else false is returned. */
bool phial_json_bool(const struct phial_json *value, bool *ret);

/*
 * A whole number from min to max (below 2^53) into *ret, else false is returned: a
 * fraction, an exponent or a larger number is none.
 */
bool phial_json_integer(const struct phial_json *value, int64_t min, int64_t max, int64_t *ret);

/* Does it read as 2^53? 2^53 + 1 does, too: only for who compares the bytes afterwards. */
bool phial_json_is_limit(const struct phial_json *value);

/*
 * Building: a NULL parent or a failed allocation makes every call a no-op that returns NULL,
 * and phial_json_print() then fails, so that a caller looks once. The parent owns the child.
 * key is NULL in arrays. Texts are copied.
 */
struct phial_json *phial_json_new_object(void);
struct phial_json *phial_json_add_object(struct phial_json *parent, const char *key);
struct phial_json *phial_json_add_array(struct phial_json *parent, const char *key);
void phial_json_add_string(struct phial_json *parent, const char *key, const char *text);
void phial_json_add_integer(struct phial_json *parent, const char *key, int64_t number);
void phial_json_add_bool(struct phial_json *parent, const char *key, bool flag);
void phial_json_add_null(struct phial_json *parent, const char *key);

/* Add a copy of a value of another document, parsed or built. value: NULL is null. */
void phial_json_add_copy(struct phial_json *parent, const char *key,
			 const struct phial_json *value);

/* Print a built document as one line. ret_text: freed by the caller. PHIAL_OK or PHIAL_SYSTEM. */
PHIAL_CHECKED enum phial_status phial_json_print(const struct phial_json *root, char **ret_text,
						 struct phial_error *err);

#endif
