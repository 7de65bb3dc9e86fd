/* SPDX-License-Identifier: ISC */
/*
 * Revocations: a sorted list in memory over a journal on disk. Knows no key, no container and no
 * store; who revokes, and what follows from it, is admin_revoke.c's.
 */
#include "agent/revocations.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/text.h"
#include "store/journal.h"

#define HEAD_LINE      "phial revocations v1"
#define LINE_MAX_BYTES ((size_t)1024)
#define VERSION_MAX    (UINT64_C(1) << 53)
#define TIME_MAX_S     UINT64_C(253402300799) /* the end of year 9999 */
/* In the marks: that the file was made. Its version never grows. */
#define MARK_NAME    ".phial/revocations"
#define MARK_VERSION 1

static const char *const scope_texts[] = {
	[PHIAL_REVOKED_ALL] = "all",
	[PHIAL_REVOKED_WORKLOAD] = "workload",
	[PHIAL_REVOKED_CONTAINER] = "container",
	[PHIAL_REVOKED_OVERRIDE] = "override",
};

struct phial_revocations {
	struct phial_journal *journal;
	struct phial_revocation **items; /* sorted by name; owned */
	size_t count;
	size_t lines; /* read from the file, with the head */
};

const char *phial_revocation_scope_text(enum phial_revocation_scope scope)
{
	return scope_texts[scope];
}

void phial_revocation_describe(const struct phial_revocation *revocation, char *ret_text,
			       size_t text_bytes)
{
	bool has_where = revocation->where[0] != '\0';
	bool has_reason = revocation->reason[0] != '\0';
	char time_text[PHIAL_TIME_TEXT_BYTES];

	phial_format_time(revocation->time_s, time_text);
	(void)snprintf(ret_text, text_bytes,
		       "%s on %s%s%s%s%s%s%s%s; seal a new value with \"phial seal %s\"",
		       revocation->scope == PHIAL_REVOKED_OVERRIDE ? "of an override that began"
								   : "revoked",
		       time_text, has_where ? " for " : "",
		       has_where ? phial_revocation_scope_text(revocation->scope) : "",
		       has_where ? " " : "", revocation->where, has_reason ? " (" : "",
		       revocation->reason, has_reason ? ")" : "", revocation->name);
}

void phial_revocation_set_reason(struct phial_revocation *revocation, const char *reason)
{
	struct phial_error printable;

	/* The one place that makes outside text printable is the error record. */
	(void)phial_fail(&printable, PHIAL_USAGE, 0, "%s", reason);
	(void)snprintf(revocation->reason, sizeof(revocation->reason), "%.*s",
		       (int)sizeof(revocation->reason) - 1, printable.text);
}

/* --- the list ----------------------------------------------------------------------------- */

/* The first place whose name is not below this one. */
static size_t first_of(const struct phial_revocations *revocations, const char *name)
{
	size_t low = 0;
	size_t high = revocations->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(revocations->items[middle]->name, name) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

static bool concerns(const struct phial_revocation *item, uint64_t version, const char *workload,
		     const char *container)
{
	switch (item->scope) {
	case PHIAL_REVOKED_ALL:
		return version <= item->version;
	case PHIAL_REVOKED_WORKLOAD:
		return version <= item->version && workload && strcmp(item->where, workload) == 0;
	case PHIAL_REVOKED_CONTAINER:
		return version <= item->version && container && strcmp(item->where, container) == 0;
	case PHIAL_REVOKED_OVERRIDE:
		return version == item->version && !item->is_in_force;
	}
	return true;
}

const struct phial_revocation *phial_revocations_find(const struct phial_revocations *revocations,
						      const char *name, uint64_t version,
						      const char *workload, const char *container)
{
	for (size_t i = first_of(revocations, name);
	     i < revocations->count && strcmp(revocations->items[i]->name, name) == 0; i++) {
		if (concerns(revocations->items[i], version, workload, container)) {
			return revocations->items[i];
		}
	}
	return NULL;
}

bool phial_revocations_forbid(const struct phial_revocations *revocations, const char *name,
			      uint64_t version, const char *workload, const char *container)
{
	return phial_revocations_find(revocations, name, version, workload, container) != NULL;
}

void phial_revocations_set_override(struct phial_revocations *revocations, const char *name,
				    uint64_t version)
{
	for (size_t i = first_of(revocations, name);
	     i < revocations->count && strcmp(revocations->items[i]->name, name) == 0; i++) {
		struct phial_revocation *item = revocations->items[i];

		item->is_in_force = item->scope == PHIAL_REVOKED_OVERRIDE && version != 0 &&
				    item->version == version;
	}
}

const struct phial_revocation *
phial_revocations_find_override(const struct phial_revocations *revocations, const char *name)
{
	for (size_t i = first_of(revocations, name);
	     i < revocations->count && strcmp(revocations->items[i]->name, name) == 0; i++) {
		if (revocations->items[i]->is_in_force) {
			return revocations->items[i];
		}
	}
	return NULL;
}

size_t phial_revocations_count(const struct phial_revocations *revocations)
{
	return revocations->count;
}

const struct phial_revocation *phial_revocations_at(const struct phial_revocations *revocations,
						    size_t index)
{
	return revocations->items[index];
}

/* The one of the same name, scope and place; overrides are each their own. */
static struct phial_revocation *find_same(const struct phial_revocations *revocations,
					  const struct phial_revocation *like)
{
	for (size_t i = first_of(revocations, like->name);
	     i < revocations->count && strcmp(revocations->items[i]->name, like->name) == 0; i++) {
		struct phial_revocation *item = revocations->items[i];

		if (item->scope == like->scope && strcmp(item->where, like->where) == 0 &&
		    (item->scope != PHIAL_REVOKED_OVERRIDE || item->version == like->version)) {
			return item;
		}
	}
	return NULL;
}

/* Put a copy behind the others of its name. */
static enum phial_status insert(struct phial_revocations *revocations,
				const struct phial_revocation *revocation, struct phial_error *err)
{
	struct phial_revocation **larger = reallocarray(revocations->items, revocations->count + 1,
							sizeof(struct phial_revocation *));
	struct phial_revocation *copy = malloc(sizeof(*copy));

	if (larger) {
		revocations->items = larger;
	}
	if (!larger || !copy) {
		free(copy);
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "revocations");
	}
	*copy = *revocation;
	size_t place = first_of(revocations, revocation->name);

	while (place < revocations->count && strcmp(larger[place]->name, copy->name) == 0) {
		place++;
	}
	memmove(larger + place + 1, larger + place,
		(revocations->count - place) * sizeof(struct phial_revocation *));
	larger[place] = copy;
	revocations->count++;
	return PHIAL_OK;
}

/* Take one in: the higher version of the same scope counts. */
static enum phial_status take_in(struct phial_revocations *revocations,
				 const struct phial_revocation *revocation, struct phial_error *err)
{
	struct phial_revocation *same = find_same(revocations, revocation);

	if (!same) {
		return insert(revocations, revocation, err);
	}
	if (revocation->version > same->version) {
		*same = *revocation;
	}
	return PHIAL_OK;
}

/* --- lines -------------------------------------------------------------------------------- */

static void format_line(const struct phial_revocation *item, char ret_line[static LINE_MAX_BYTES])
{
	(void)snprintf(ret_line, LINE_MAX_BYTES, "%s %" PRIu64 " %" PRId64 " %s %s %s", item->name,
		       item->version, item->time_s, phial_revocation_scope_text(item->scope),
		       item->where[0] != '\0' ? item->where : "-", item->reason);
}

static bool parse_scope(struct phial_span word, enum phial_revocation_scope *ret_scope)
{
	for (size_t i = 0; i < PHIAL_COUNT(scope_texts); i++) {
		if (phial_span_is(word, scope_texts[i])) {
			*ret_scope = (enum phial_revocation_scope)i;
			return true;
		}
	}
	return false;
}

static bool has_where(enum phial_revocation_scope scope)
{
	return scope == PHIAL_REVOKED_WORKLOAD || scope == PHIAL_REVOKED_CONTAINER;
}

static bool parse_line(const char *line, struct phial_revocation *ret_item)
{
	enum { NAME, VERSION, TIME, SCOPE, WHERE, WORDS };
	struct phial_span rest = phial_span_of(line);
	struct phial_span words[WORDS];
	uint64_t time_s;

	for (size_t i = 0; i < WORDS; i++) {
		if (!phial_next_word(&rest, &words[i])) {
			return false;
		}
	}
	if (!rest.text || !phial_span_copy(words[NAME], ret_item->name, sizeof(ret_item->name)) ||
	    phial_name_check(ret_item->name, NULL) != PHIAL_OK ||
	    !phial_parse_u64(words[VERSION], 1, VERSION_MAX, &ret_item->version) ||
	    !phial_parse_u64(words[TIME], 0, TIME_MAX_S, &time_s) ||
	    !parse_scope(words[SCOPE], &ret_item->scope) ||
	    !phial_span_copy(words[WHERE], ret_item->where, sizeof(ret_item->where)) ||
	    has_where(ret_item->scope) == phial_span_is(words[WHERE], "-") ||
	    !phial_span_copy(rest, ret_item->reason, sizeof(ret_item->reason))) {
		return false;
	}
	if (!has_where(ret_item->scope)) {
		ret_item->where[0] = '\0';
	}
	ret_item->time_s = (int64_t)time_s;
	return true;
}

static enum phial_status take_line(void *context, const char *line, struct phial_error *err)
{
	struct phial_revocations *revocations = context;
	struct phial_revocation item = { .version = 0 };

	revocations->lines++;
	if (revocations->lines == 1) {
		return strcmp(line, HEAD_LINE) == 0 ? PHIAL_OK
						    : phial_fail(err, PHIAL_TAMPERED, 0,
								 "line 1 is not \"" HEAD_LINE "\"");
	}
	if (!parse_line(line, &item)) {
		return phial_fail(err, PHIAL_TAMPERED, 0, "line %zu is not a revocation",
				  revocations->lines);
	}
	return take_in(revocations, &item, err);
}

/* --- the file ------------------------------------------------------------------------------ */

/* Write all that counts anew, after a failure. */
static enum phial_status rewrite(struct phial_revocations *revocations, struct phial_error *err)
{
	phial_auto_free const char **lines = calloc(revocations->count + 1, sizeof(*lines));
	phial_auto_free char *texts = calloc(revocations->count + 1, LINE_MAX_BYTES);

	if (!lines || !texts) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "revocations");
	}
	lines[0] = HEAD_LINE;
	for (size_t i = 0; i < revocations->count; i++) {
		char *text = texts + i * LINE_MAX_BYTES;

		format_line(revocations->items[i], text);
		lines[i + 1] = text;
	}
	return phial_journal_rewrite(revocations->journal, lines, revocations->count + 1, err);
}

static enum phial_status append(struct phial_revocations *revocations, const char *line,
				struct phial_error *err)
{
	enum phial_status status = phial_journal_append(revocations->journal, line, err);

	return status == PHIAL_OK ? phial_journal_sync(revocations->journal, err) : status;
}

enum phial_status phial_revocations_add(struct phial_revocations *revocations,
					const struct phial_revocation *revocation,
					struct phial_error *err)
{
	const struct phial_revocation *same = find_same(revocations, revocation);
	struct phial_revocation item = *revocation;
	struct phial_revocation parsed = { .version = 0 };
	char line[LINE_MAX_BYTES];

	phial_revocation_set_reason(&item, revocation->reason);
	format_line(&item, line);
	if (!parse_line(line, &parsed) || strcmp(parsed.where, item.where) != 0) {
		return phial_fail(err, PHIAL_USAGE, 0, "no revocation can hold this name or place");
	}
	bool is_known = same && same->version >= item.version;
	enum phial_status status = is_known ? PHIAL_OK : take_in(revocations, &item, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (phial_journal_has_failed(revocations->journal)) {
		return rewrite(revocations, err);
	}
	return is_known ? PHIAL_OK : append(revocations, line, err);
}

/* What to do about a file that cannot be used. */
static enum phial_status say_repair(enum phial_status status, struct phial_error *err)
{
	char reason[PHIAL_ERROR_TEXT_BYTES / 2];

	if (status == PHIAL_NOT_FOUND) {
		return phial_fail(err, status, 0,
				  "the revocations are gone: what was revoked is not known; see "
				  "\"Revocations\" in docs/store.md");
	}
	if (status == PHIAL_TAMPERED && err) {
		(void)snprintf(reason, sizeof(reason), "%.200s", err->text);
		return phial_fail(err, status, 0,
				  "the revocations are damaged (%s); see \"Revocations\" in "
				  "docs/store.md",
				  reason);
	}
	return status;
}

static enum phial_status open_and_read(struct phial_revocations *revocations, int state_fd,
				       struct phial_marks *marks, struct phial_error *err)
{
	static const uint8_t no_digest[PHIAL_DIGEST_BYTES];
	bool was_made = phial_marks_has(marks, MARK_NAME, MARK_VERSION);
	enum phial_status status =
		phial_journal_open(state_fd, PHIAL_REVOCATIONS_FILE, !was_made, take_line,
				   revocations, &revocations->journal, err);

	if (status == PHIAL_OK && revocations->lines == 0 && was_made) {
		status = phial_fail(err, PHIAL_TAMPERED, 0, "the file is empty");
	}
	if (status == PHIAL_OK && revocations->lines == 0) {
		status = append(revocations, HEAD_LINE, err);
	}
	if (status != PHIAL_OK) {
		return say_repair(status, err);
	}
	if (was_made) {
		return PHIAL_OK;
	}
	status = phial_marks_note(marks, MARK_NAME, MARK_VERSION, no_digest, err);
	return status == PHIAL_OK ? phial_marks_sync(marks, err) : status;
}

enum phial_status phial_revocations_open(int state_fd, struct phial_marks *marks,
					 struct phial_revocations **ret_revocations,
					 struct phial_error *err)
{
	struct phial_revocations *revocations = calloc(1, sizeof(*revocations));

	if (!revocations) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "revocations");
	}
	enum phial_status status = open_and_read(revocations, state_fd, marks, err);

	if (status != PHIAL_OK) {
		phial_revocations_close(revocations);
		return status;
	}
	*ret_revocations = revocations;
	return PHIAL_OK;
}

void phial_revocations_close(struct phial_revocations *revocations)
{
	if (!revocations) {
		return;
	}
	phial_journal_close(revocations->journal);
	for (size_t i = 0; i < revocations->count; i++) {
		free(revocations->items[i]);
	}
	free(revocations->items);
	free(revocations);
}
