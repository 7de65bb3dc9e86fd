/* SPDX-License-Identifier: ISC */
/*
 * Change one member of a JSON document as text: every other byte stays as it is, numbers that no
 * parser holds and the order of keys included. For files that belong to others.
 */
#ifndef PHIAL_JSON_EDIT_H
#define PHIAL_JSON_EDIT_H

#include <stddef.h>

#include <phial/error.h>

/* A path has one or two keys, of plain ASCII that needs no escape. */
#define PHIAL_JSON_EDIT_DEPTH_MAX 2

/*
 * Set the member at a path of the root object. text: a whole document. value: JSON. A missing
 * object on the way is made; new members go behind the last, laid out as it is. ret_text: freed by
 * the caller. Returns PHIAL_OK; PHIAL_MALFORMED when the document is not strict JSON (json.h) or
 * has something else where an object should be; PHIAL_SYSTEM when there is no memory.
 */
PHIAL_CHECKED enum phial_status phial_json_edit_set(const char *text, const char *const *path,
						    size_t depth, const char *value,
						    char **ret_text, struct phial_error *err);

/* Remove the member at a path; nothing there is good, too. As phial_json_edit_set(). */
PHIAL_CHECKED enum phial_status phial_json_edit_remove(const char *text, const char *const *path,
						       size_t depth, char **ret_text,
						       struct phial_error *err);

#endif
