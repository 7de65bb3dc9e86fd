/* SPDX-License-Identifier: ISC */
/*
 * Members by their place in the text. The strict parser has been over the document before, and
 * goes over the result: what is written here only has to find its way in well-formed JSON.
 */
#include "json/edit.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "json/json.h"

#define DOCUMENT_MAX_BYTES ((size_t)1024 * 1024)
#define SPACES		   " \t\r\n"

/* Offsets into the text; gap: of the white space before the key. */
struct member {
	size_t gap;
	size_t key;
	size_t value;
	size_t end;
};

/* An object in the text, and what was looked for in it. */
struct place {
	size_t open; /* of its '{' */
	size_t close;
	bool is_found;
	bool has_previous;
	bool has_next;
	struct member member;	/* if it was found */
	struct member previous; /* or the last one */
	struct member next;
};

static size_t skip_space(const char *text, size_t at)
{
	return at + strspn(text + at, SPACES);
}

static size_t skip_string(const char *text, size_t at)
{
	for (at++; text[at] != '"'; at++) {
		at += text[at] == '\\';
	}
	return at + 1;
}

static size_t skip_value(const char *text, size_t at)
{
	int depth = 0;

	do {
		if (text[at] == '"') {
			at = skip_string(text, at);
			continue;
		}
		depth += text[at] == '{' || text[at] == '[';
		depth -= text[at] == '}' || text[at] == ']';
		at++;
	} while (depth > 0 || !strchr(",]}" SPACES, text[at]));
	return at;
}

/* Take the member that begins at *at. False at the object's end, with *at on its '}'. */
static bool next_member(const char *text, size_t *at, struct member *ret_member)
{
	size_t here = skip_space(text, *at);

	if (text[here] == '}') {
		*at = here;
		return false;
	}
	ret_member->gap = text[here] == ',' ? here + 1 : *at;
	ret_member->key = skip_space(text, ret_member->gap);
	here = skip_space(text, skip_string(text, ret_member->key));
	ret_member->value = skip_space(text, here + 1); /* behind the ':' */
	ret_member->end = skip_value(text, ret_member->value);
	*at = ret_member->end;
	return true;
}

static bool has_key(const char *text, const struct member *member, const char *key)
{
	size_t length = strlen(key);

	return strncmp(text + member->key + 1, key, length) == 0 &&
	       text[member->key + 1 + length] == '"';
}

static struct place look(const char *text, size_t open, const char *key)
{
	struct place place = { .open = open };
	struct member member;
	size_t at = open + 1;

	while (next_member(text, &at, &member)) {
		if (has_key(text, &member, key)) {
			place.is_found = true;
			place.member = member;
		} else if (place.is_found && !place.has_next) {
			place.has_next = true;
			place.next = member;
		} else if (!place.is_found) {
			place.has_previous = true;
			place.previous = member;
		}
	}
	place.close = at;
	return place;
}

/* The white space before an object's members: as it is, or made up for an empty object. */
static void add_gap(struct phial_text *gap, const char *text, const struct place *place)
{
	const struct member *last = &place->previous;
	size_t line = place->open;

	if (place->has_previous) {
		phial_text_add_bytes(gap, text + last->gap, last->key - last->gap);
		return;
	}
	while (line > 0 && text[line - 1] != '\n') {
		line--;
	}
	phial_text_add(gap, "\n");
	phial_text_add_bytes(gap, text + line, strspn(text + line, " \t"));
	phial_text_add(gap, "    ");
}

/* The keys that do not exist yet, with the value in the innermost. */
static void add_member(struct phial_text *out, const char *const *path, size_t depth,
		       const char *value, const char *gap)
{
	const char *line = strrchr(gap, '\n'); /* the root's members: one step of indentation */

	phial_text_add(out, "\"%s\": ", path[0]);
	if (depth == 1) {
		phial_text_add(out, "%s", value);
	} else if (line) {
		phial_text_add(out, "{%s%s\"%s\": %s%s}", gap, line + 1, path[1], value, gap);
	} else {
		phial_text_add(out, "{\"%s\": %s}", path[1], value);
	}
}

static void add_new_member(struct phial_text *out, const char *text, const struct place *place,
			   const char *const *path, size_t depth, const char *value)
{
	phial_auto_text struct phial_text gap = { .max = DOCUMENT_MAX_BYTES };
	size_t from = place->has_previous ? place->previous.end : place->open + 1;

	add_gap(&gap, text, place);
	const char *space = gap.bytes ? gap.bytes : "";

	phial_text_add_bytes(out, text, from);
	phial_text_add(out, "%s%s", place->has_previous ? "," : "", space);
	add_member(out, path, depth, value, space);
	if (!place->has_previous) { /* an empty object: its brace goes below */
		phial_text_add(out, "%.*s", (int)(strlen(space) - strlen("    ")), space);
		from = place->close;
	}
	phial_text_add(out, "%s", text + from);
	out->has_failed |= gap.has_failed;
}

static void replace(struct phial_text *out, const char *text, size_t from, size_t to,
		    const char *by)
{
	phial_text_add_bytes(out, text, from);
	phial_text_add(out, "%s%s", by, text + to);
}

static enum phial_status check(const char *text, struct phial_error *err)
{
	phial_auto_json struct phial_json *root = NULL;
	enum phial_status status =
		phial_json_parse((const uint8_t *)text, strlen(text), &root, err);

	if (status == PHIAL_OK && phial_json_type(root) != PHIAL_JSON_OBJECT) {
		status = phial_fail(err, PHIAL_MALFORMED, 0, "not a JSON object");
	}
	return status;
}

/*
 * Follow the keys of path for as long as there are objects with them. ret_place: of the last key
 * that was looked for; ret_known: how many keys were found before it.
 */
static enum phial_status find(const char *text, const char *const *path, size_t depth,
			      struct place *ret_place, size_t *ret_known, struct phial_error *err)
{
	size_t known = 0;
	enum phial_status status = check(text, err);

	assert(depth >= 1 && depth <= PHIAL_JSON_EDIT_DEPTH_MAX);
	if (status != PHIAL_OK) {
		return status;
	}
	struct place place = look(text, skip_space(text, 0), path[0]);

	while (place.is_found && known + 1 < depth) {
		if (text[place.member.value] != '{') {
			return phial_fail(err, PHIAL_MALFORMED, 0, "\"%s\" is no object",
					  path[known]);
		}
		known++;
		place = look(text, place.member.value, path[known]);
	}
	*ret_place = place;
	*ret_known = known;
	return PHIAL_OK;
}

/* A key that is written with escapes is not found, and would be there twice now. */
static enum phial_status hand_out(struct phial_text *out, char **ret_text, struct phial_error *err)
{
	if (out->has_failed || !out->bytes) {
		return phial_fail(err, PHIAL_SYSTEM, 0, "out of memory");
	}
	enum phial_status status = check(out->bytes, err);

	if (status != PHIAL_OK) {
		(void)phial_fail_prefix(err, "after the change");
		return status;
	}
	*ret_text = out->bytes;
	out->bytes = NULL;
	return PHIAL_OK;
}

enum phial_status phial_json_edit_set(const char *text, const char *const *path, size_t depth,
				      const char *value, char **ret_text, struct phial_error *err)
{
	phial_auto_text struct phial_text out = { .max = DOCUMENT_MAX_BYTES };
	struct place place;
	size_t known;
	enum phial_status status = find(text, path, depth, &place, &known, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (place.is_found) {
		replace(&out, text, place.member.value, place.member.end, value);
	} else {
		add_new_member(&out, text, &place, path + known, depth - known, value);
	}
	return hand_out(&out, ret_text, err);
}

enum phial_status phial_json_edit_remove(const char *text, const char *const *path, size_t depth,
					 char **ret_text, struct phial_error *err)
{
	phial_auto_text struct phial_text out = { .max = DOCUMENT_MAX_BYTES };
	struct place place;
	size_t known;
	enum phial_status status = find(text, path, depth, &place, &known, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (!place.is_found) {
		phial_text_add(&out, "%s", text);
	} else if (place.has_previous) {
		replace(&out, text, place.previous.end, place.member.end, "");
	} else if (place.has_next) {
		replace(&out, text, place.member.key, place.next.key, "");
	} else {
		replace(&out, text, place.open + 1, place.close, "");
	}
	return hand_out(&out, ret_text, err);
}
