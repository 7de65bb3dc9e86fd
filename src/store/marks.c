/* SPDX-License-Identifier: ISC */
/*
 * The marks: a tree in memory over a journal on disk. The newest line of a name counts. Knows
 * nothing of what a version says or who signed it.
 */
#include "store/marks.h"

#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <phial/sealed.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/text.h"
#include "store/journal.h"

#define HEAD_LINE     "phial marks v1"
#define DIGEST_DIGITS ((size_t)2 * PHIAL_DIGEST_BYTES)
#define LINE_BYTES    (PHIAL_NAME_MAX_BYTES + 1 + 20 + 1 + DIGEST_DIGITS + 1)
/* Versions are milliseconds since 1970 or serials: the sealed format's own limit. */
#define VERSION_MAX (UINT64_C(1) << 53)
/* Lines that are out of date and still worth keeping. */
#define STALE_LINES_MAX 1000

struct mark {
	uint64_t version;
	uint8_t digest[PHIAL_DIGEST_BYTES];
	const char *name; /* the key; behind the struct, in the same allocation */
};

struct phial_marks {
	struct phial_journal *journal;
	void *tree; /* of struct mark, see tsearch(3) */
	size_t count;
	size_t lines;	   /* read from the file, with the head */
	bool must_rewrite; /* a revocation is not on the disk yet */
};

/* The digest of a version that was revoked. */
static const uint8_t no_digest[PHIAL_DIGEST_BYTES];

static int compare_marks(const void *left, const void *right)
{
	return strcmp(((const struct mark *)left)->name, ((const struct mark *)right)->name);
}

/* A secret's name, or that of a signed file of the store. */
static bool is_markable(const char *name)
{
	static const char *const files[] = { ".phial/recipients", ".phial/signers",
					     ".phial/policy.json", ".phial/revocations" };

	for (size_t i = 0; i < PHIAL_COUNT(files); i++) {
		if (strcmp(name, files[i]) == 0) {
			return true;
		}
	}
	return phial_name_check(name, NULL) == PHIAL_OK;
}

static struct mark *new_mark(const char *name)
{
	size_t length = strlen(name) + 1;
	struct mark *mark = malloc(sizeof(*mark) + length);

	if (mark) {
		mark->name = memcpy(mark + 1, name, length);
	}
	return mark;
}

static struct mark *find(const struct phial_marks *marks, const char *name)
{
	const struct mark key = { .name = name };
	struct mark *const *found = tfind(&key, &marks->tree, compare_marks);

	return found ? *found : NULL;
}

/* Set a name's mark, whatever it was. */
static enum phial_status set(struct phial_marks *marks, const char *name, uint64_t version,
			     const uint8_t digest[static PHIAL_DIGEST_BYTES],
			     struct phial_error *err)
{
	struct mark *mark = find(marks, name);

	if (!mark) {
		mark = new_mark(name);
		if (!mark || !tsearch(mark, &marks->tree, compare_marks)) {
			free(mark);
			return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "marks");
		}
		marks->count++;
	}
	mark->version = version;
	memcpy(mark->digest, digest, PHIAL_DIGEST_BYTES);
	return PHIAL_OK;
}

enum phial_status phial_marks_check(const struct phial_marks *marks, const char *name,
				    uint64_t version,
				    const uint8_t digest[static PHIAL_DIGEST_BYTES],
				    struct phial_error *err)
{
	const struct mark *mark = find(marks, name);

	if (!mark || version > mark->version) {
		return PHIAL_OK;
	}
	if (version == 0) {
		return phial_fail(err, PHIAL_ROLLBACK, 0,
				  "%s is missing, and %" PRIu64
				  " was seen here before; bring the store up to date (git pull)",
				  name, mark->version);
	}
	if (version < mark->version && name[0] == '.') { /* a signed file of the store */
		return phial_fail(err, PHIAL_ROLLBACK, 0,
				  "%s: serial %" PRIu64 " is older than %" PRIu64
				  ", which was seen here before; bring the store up to date (git "
				  "pull)",
				  name, version, mark->version);
	}
	if (version < mark->version) {
		return phial_fail(err, PHIAL_ROLLBACK, 0,
				  "%s: version %" PRIu64 " is older than %" PRIu64
				  ", which was seen here before; git pull, or \"phial revert %s "
				  "--to %" PRIu64 "\" where it is sealed",
				  name, version, mark->version, name, version);
	}
	if (memcmp(digest, mark->digest, PHIAL_DIGEST_BYTES) != 0 &&
	    memcmp(mark->digest, no_digest, PHIAL_DIGEST_BYTES) == 0) {
		return phial_fail(err, PHIAL_REVOKED, 0,
				  "%s: version %" PRIu64 " was revoked here; seal a new one", name,
				  version);
	}
	if (memcmp(digest, mark->digest, PHIAL_DIGEST_BYTES) != 0) {
		return phial_fail(err, PHIAL_ROLLBACK, 0,
				  "%s: version %" PRIu64
				  " was seen here before with other content; seal it again",
				  name, version);
	}
	return PHIAL_OK;
}

uint64_t phial_marks_newest(const struct phial_marks *marks, const char *name)
{
	const struct mark *mark = find(marks, name);

	return mark ? mark->version : 0;
}

bool phial_marks_has(const struct phial_marks *marks, const char *name, uint64_t version)
{
	const struct mark *mark = find(marks, name);

	return mark && mark->version == version;
}

static void format_line(const struct mark *mark, char ret_line[static LINE_BYTES])
{
	int length = snprintf(ret_line, LINE_BYTES, "%s %" PRIu64 " ", mark->name, mark->version);
	char *digits = ret_line + length;

	for (size_t i = 0; i < PHIAL_DIGEST_BYTES; i++) {
		(void)snprintf(digits + 2 * i, 3, "%02x", mark->digest[i]);
	}
}

enum phial_status phial_marks_note(struct phial_marks *marks, const char *name, uint64_t version,
				   const uint8_t digest[static PHIAL_DIGEST_BYTES],
				   struct phial_error *err)
{
	char line[LINE_BYTES];
	const struct mark *old = find(marks, name);
	enum phial_status status = phial_marks_check(marks, name, version, digest, err);

	if (status != PHIAL_OK || (old && old->version == version)) {
		return status;
	}
	if (version == 0 || version > VERSION_MAX || !is_markable(name)) {
		return phial_fail(err, PHIAL_BAD_NAME, 0, "no mark for \"%.80s\"", name);
	}
	status = set(marks, name, version, digest, err);
	/* After a failure phial_marks_sync() writes all of them, this one too. */
	if (status != PHIAL_OK || phial_journal_has_failed(marks->journal)) {
		return status;
	}
	format_line(find(marks, name), line);
	return phial_journal_append(marks->journal, line, err);
}

static bool parse_digest(struct phial_span digits, uint8_t ret_digest[static PHIAL_DIGEST_BYTES])
{
	static const char hex[] = "0123456789abcdef";

	if (digits.length != DIGEST_DIGITS) {
		return false;
	}
	for (size_t i = 0; i < PHIAL_DIGEST_BYTES; i++) {
		const char *high = memchr(hex, digits.text[2 * i], 16);
		const char *low = memchr(hex, digits.text[2 * i + 1], 16);

		if (!high || !low) {
			return false;
		}
		ret_digest[i] = (uint8_t)((high - hex) * 16 + (low - hex));
	}
	return true;
}

static enum phial_status read_line(void *context, const char *line, struct phial_error *err)
{
	struct phial_marks *marks = context;
	struct phial_span rest = phial_span_of(line);
	struct phial_span name_word = { "", 0 };
	struct phial_span version_word = { "", 0 };
	char name[PHIAL_NAME_MAX_BYTES + 1];
	uint8_t digest[PHIAL_DIGEST_BYTES];
	uint64_t version;

	marks->lines++;
	if (marks->lines == 1) {
		return strcmp(line, HEAD_LINE) == 0 ? PHIAL_OK
						    : phial_fail(err, PHIAL_TAMPERED, 0,
								 "line 1 is not \"" HEAD_LINE "\"");
	}
	(void)phial_next_word(&rest, &name_word);
	(void)phial_next_word(&rest, &version_word);
	if (!rest.text || !phial_span_copy(name_word, name, sizeof(name)) || !is_markable(name) ||
	    !phial_parse_u64(version_word, 1, VERSION_MAX, &version) ||
	    !parse_digest(rest, digest)) {
		return phial_fail(err, PHIAL_TAMPERED, 0, "line %zu is not a mark", marks->lines);
	}
	const struct mark *old = find(marks, name);

	if (old && old->version >= version) {
		return phial_fail(err, PHIAL_TAMPERED, 0, "line %zu goes back", marks->lines);
	}
	return set(marks, name, version, digest, err);
}

/* What twalk_r(3) hands on. */
struct collection {
	char **lines;
	size_t count;
	bool has_failed;
};

static void collect(const void *node, VISIT which, void *context)
{
	struct collection *collection = context;

	if (which != postorder && which != leaf) {
		return;
	}
	char *line = malloc(LINE_BYTES);

	if (!line) {
		collection->has_failed = true;
		return;
	}
	format_line(*(const struct mark *const *)node, line);
	collection->lines[collection->count++] = line;
}

/* Write only what counts; also makes a new file with its head. */
static enum phial_status compact(struct phial_marks *marks, struct phial_error *err)
{
	phial_auto_free char **lines = calloc(marks->count + 1, sizeof(*lines));
	struct collection collection = { .lines = lines };
	enum phial_status status;

	if (!lines) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "marks");
	}
	lines[collection.count++] = strdup(HEAD_LINE);
	twalk_r(marks->tree, collect, &collection);
	if (!lines[0] || collection.has_failed) {
		status = phial_fail(err, PHIAL_SYSTEM, ENOMEM, "marks");
	} else {
		status = phial_journal_rewrite(marks->journal, (const char *const *)lines,
					       collection.count, err);
	}
	for (size_t i = 0; i < collection.count; i++) {
		free(lines[i]);
	}
	marks->lines = collection.count;
	marks->must_rewrite = status != PHIAL_OK;
	return status;
}

enum phial_status phial_marks_revoke(struct phial_marks *marks, const char *name, uint64_t version,
				     struct phial_error *err)
{
	const struct mark *old = find(marks, name);

	if (version == 0 || version > VERSION_MAX || !is_markable(name)) {
		return phial_fail(err, PHIAL_BAD_NAME, 0, "no mark for \"%.80s\"", name);
	}
	if (old && old->version > version) {
		return phial_marks_sync(marks, err); /* it is below the mark already */
	}
	enum phial_status status = set(marks, name, version, no_digest, err);

	/* Not appended: a second line of one version would look like damage. */
	return status == PHIAL_OK ? compact(marks, err) : status;
}

enum phial_status phial_marks_sync(struct phial_marks *marks, struct phial_error *err)
{
	return marks->must_rewrite || phial_journal_has_failed(marks->journal)
		       ? compact(marks, err)
		       : phial_journal_sync(marks->journal, err);
}

static enum phial_status open_and_read(struct phial_marks *marks, int state_fd, bool is_first_start,
				       struct phial_error *err)
{
	enum phial_status status = phial_journal_open(state_fd, PHIAL_MARKS_FILE, is_first_start,
						      read_line, marks, &marks->journal, err);

	if (status == PHIAL_NOT_FOUND) {
		return phial_fail(
			err, status, 0,
			"the marks are gone: which versions were seen is not known; "
			"bring the store up to date, then see \"Marks\" in docs/store.md");
	}
	/* The file is never made without its head: an empty one was emptied, or is just made. */
	if (status == PHIAL_OK && marks->lines == 0 && !is_first_start) {
		status = phial_fail(err, PHIAL_TAMPERED, 0, "the file is empty");
	}
	if (status == PHIAL_TAMPERED && err) {
		char reason[PHIAL_ERROR_TEXT_BYTES / 2];

		(void)snprintf(reason, sizeof(reason), "%.200s", err->text);
		return phial_fail(err, status, 0,
				  "the marks are damaged (%s); bring the store up to date, then "
				  "see \"Marks\" in docs/store.md",
				  reason);
	}
	if (status == PHIAL_OK &&
	    (marks->lines == 0 || marks->lines > 2 * marks->count + STALE_LINES_MAX)) {
		status = compact(marks, err);
	}
	return status;
}

enum phial_status phial_marks_open(int state_fd, bool is_first_start,
				   struct phial_marks **ret_marks, struct phial_error *err)
{
	struct phial_marks *marks = calloc(1, sizeof(*marks));

	if (!marks) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "marks");
	}
	enum phial_status status = open_and_read(marks, state_fd, is_first_start, err);

	if (status != PHIAL_OK) {
		phial_marks_close(marks);
		return status;
	}
	*ret_marks = marks;
	return PHIAL_OK;
}

void phial_marks_close(struct phial_marks *marks)
{
	if (marks) {
		phial_journal_close(marks->journal);
		tdestroy(marks->tree, free);
		free(marks);
	}
}
