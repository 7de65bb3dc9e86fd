/* SPDX-License-Identifier: ISC */
/* Container records over a journal. Trusts no pid: that is the caller's to check. */
#include "agent/records.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/text.h"
#include "store/journal.h"

#define RECORDS_FILE	 "containers"
#define RECORD_MAX_BYTES ((size_t)1024 * 1024)
/* Lines appended before the file is written anew without the ended ones. */
#define COMPACT_AFTER_LINES 1024
#define DONE_SUFFIX	    ",done"

struct phial_records {
	struct phial_journal *journal;
	struct phial_record *first;
	unsigned int appended;
};

void phial_record_free(struct phial_record *record)
{
	if (!record) {
		return;
	}
	for (size_t i = 0; i < record->release_count; i++) {
		free(record->releases[i].name);
	}
	free(record->releases);
	free(record->target);
	free(record);
}

struct phial_record *phial_records_first(const struct phial_records *records)
{
	return records->first;
}

/* Take a record out of the list and free it. */
static void forget(struct phial_records *records, struct phial_record *record)
{
	struct phial_record **link = &records->first;

	while (*link && *link != record) {
		link = &(*link)->next;
	}
	if (*link) {
		*link = record->next;
	}
	phial_record_free(record);
}

/* "web/db=1795304458123" */
static bool parse_release(struct phial_span word, struct phial_release *ret_release)
{
	const char *equals = memchr(word.text, '=', word.length);

	if (!equals) {
		return false;
	}
	struct phial_span name = { word.text, (size_t)(equals - word.text) };
	struct phial_span version = { equals + 1, word.length - name.length - 1 };

	if (!phial_parse_u64(version, 1, UINT64_C(1) << 53, &ret_release->version)) {
		return false;
	}
	ret_release->name = strndup(name.text, name.length);
	return ret_release->name != NULL;
}

static bool parse_number(struct phial_span *rest, uint64_t max, uint64_t *ret_number)
{
	struct phial_span word;

	return phial_next_word(rest, &word) && phial_parse_u64(word, 0, max, ret_number);
}

static bool parse_text(struct phial_span *rest, char *ret_text, size_t bytes)
{
	struct phial_span word;

	return phial_next_word(rest, &word) && word.length > 0 &&
	       phial_span_copy(word, ret_text, bytes);
}

static const char *const door_words[] = {
	[PHIAL_DOOR_HOOK] = "@hook",
	[PHIAL_DOOR_RUNTIME] = "@runtime",
	[PHIAL_DOOR_INIT] = "@init",
	[PHIAL_DOOR_INIT_ENV] = "@init+env",
};

const char *phial_door_text(enum phial_door door)
{
	return door == PHIAL_DOOR_INIT_ENV ? "init" : door_words[door] + 1;
}

/* A hook that does not come to its end fails its container: what is recorded is committed. */
static bool is_noted(enum phial_door door)
{
	return door == PHIAL_DOOR_INIT || door == PHIAL_DOOR_INIT_ENV;
}

/* Cut ",done" off a word. */
static bool skip_done(struct phial_span *word)
{
	static const size_t length = sizeof(DONE_SUFFIX) - 1;

	if (word->length < length ||
	    memcmp(word->text + word->length - length, DONE_SUFFIX, length) != 0) {
		return false;
	}
	word->length -= length;
	return true;
}

/* Take the word of the door, if there is one: no secret's name begins with '@'. */
static bool parse_door(struct phial_span *rest, struct phial_record *record)
{
	struct phial_span later = *rest;
	struct phial_span word;

	record->door = PHIAL_DOOR_HOOK;
	record->is_committed = true;
	if (!phial_next_word(&later, &word) || word.length == 0 || word.text[0] != '@') {
		return true;
	}
	bool is_done = skip_done(&word);

	for (size_t i = 0; i < PHIAL_COUNT(door_words); i++) {
		if (phial_span_is(word, door_words[i])) {
			record->door = (enum phial_door)i;
			record->is_committed = is_done || !is_noted(record->door);
			*rest = later;
			return true;
		}
	}
	return false;
}

static bool parse_releases(struct phial_span *rest, struct phial_record *record)
{
	struct phial_span word;

	while (phial_next_word(rest, &word)) {
		struct phial_release *larger =
			reallocarray(record->releases, record->release_count + 1, sizeof(*larger));

		if (!larger) {
			return false;
		}
		record->releases = larger;
		if (!parse_release(word, &larger[record->release_count])) {
			return false;
		}
		record->release_count++;
	}
	return record->release_count > 0;
}

/* What follows "start ". */
static bool parse_start(struct phial_span rest, struct phial_record *record)
{
	uint64_t pid;
	uint64_t started;
	uint64_t kind;
	struct phial_span target;

	if (!parse_number(&rest, UINT64_MAX, &record->number) ||
	    !parse_text(&rest, record->boot_id, sizeof(record->boot_id)) ||
	    !parse_number(&rest, INT32_MAX, &pid) ||
	    !parse_number(&rest, UINT64_MAX, &record->start_time) ||
	    !parse_number(&rest, UINT64_MAX, &record->mount_namespace) ||
	    !parse_number(&rest, INT64_MAX, &started) || !parse_number(&rest, 16, &kind) ||
	    !parse_text(&rest, record->container, sizeof(record->container)) ||
	    !parse_text(&rest, record->workload, sizeof(record->workload)) ||
	    !phial_next_word(&rest, &target) || target.length == 0 || !parse_door(&rest, record) ||
	    !parse_releases(&rest, record)) {
		return false;
	}
	record->pid = (int32_t)pid;
	record->started_s = (int64_t)started;
	record->mount_kind = (uint32_t)kind;
	record->target = strndup(target.text, target.length);
	return record->target != NULL;
}

static struct phial_record *find_by_number(struct phial_records *records, uint64_t number)
{
	struct phial_record *record = records->first;

	while (record && record->number != number) {
		record = record->next;
	}
	return record;
}

/* "end 12" and "done 12"; of a number that is not known they mean nothing. False for other lines. */
static bool take_note(struct phial_records *records, struct phial_span rest)
{
	bool is_end = phial_span_skip(&rest, "end ");
	uint64_t number;

	if ((!is_end && !phial_span_skip(&rest, "done ")) ||
	    !phial_parse_u64(rest, 1, UINT64_MAX, &number)) {
		return false;
	}
	struct phial_record *record = find_by_number(records, number);

	if (record && is_end) {
		forget(records, record);
	} else if (record) {
		record->is_committed = true;
	}
	return true;
}

static enum phial_status take_line(void *context, const char *line, struct phial_error *err)
{
	struct phial_records *records = context;
	struct phial_span rest = phial_span_of(line);

	if (take_note(records, rest)) {
		return PHIAL_OK;
	}
	struct phial_record *record = calloc(1, sizeof(*record));

	if (!record || !phial_span_skip(&rest, "start ") || !parse_start(rest, record)) {
		phial_record_free(record);
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "neither a start nor what became of one");
	}
	record->next = records->first;
	records->first = record;
	return PHIAL_OK;
}

/* A target is a path that the operator chose: blanks and the like would break the line. */
static void add_escaped(struct phial_text *line, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text > 0x20 && *text < 0x7f) {
			phial_text_add_bytes(line, text, 1);
		} else {
			phial_text_add(line, "\\%03o", (unsigned int)(unsigned char)*text);
		}
	}
}

static void format_start(struct phial_text *line, const struct phial_record *record)
{
	phial_text_add(line,
		       "start %" PRIu64 " %s %d %" PRIu64 " %" PRIu64 " %" PRId64 " %u %s %s ",
		       record->number, record->boot_id, record->pid, record->start_time,
		       record->mount_namespace, record->started_s, record->mount_kind,
		       record->container, record->workload);
	add_escaped(line, record->target);
	phial_text_add(line, " %s%s", door_words[record->door],
		       record->is_committed && is_noted(record->door) ? DONE_SUFFIX : "");
	for (size_t i = 0; i < record->release_count; i++) {
		phial_text_add(line, " %s=%" PRIu64, record->releases[i].name,
			       record->releases[i].version);
	}
}

/* Write the live records into a new file, so that ended ones do not pile up. */
static enum phial_status compact(struct phial_records *records, struct phial_error *err)
{
	struct phial_text line = { .max = RECORD_MAX_BYTES };
	size_t count = 0;

	for (struct phial_record *r = records->first; r; r = r->next) {
		count++;
	}
	char **texts = calloc(count + 1, sizeof(*texts));
	enum phial_status status = PHIAL_OK;
	size_t used = 0;

	for (struct phial_record *r = records->first; texts && r; r = r->next) {
		format_start(&line, r);
		texts[used++] = phial_take_pointer(line.bytes);
		phial_text_free(&line); /* ready for the next, its bytes are texts' */
	}
	if (!texts) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "compact the container records");
	}
	for (size_t i = 0; i < used; i++) {
		if (!texts[i]) {
			status = phial_fail(err, PHIAL_SYSTEM, ENOMEM, "compact the records");
		}
	}
	if (status == PHIAL_OK) {
		status = phial_journal_rewrite(records->journal, (const char *const *)texts, used,
					       err);
	}
	for (size_t i = 0; i < used; i++) {
		free(texts[i]);
	}
	free(texts);
	records->appended = 0;
	return status;
}

enum phial_status phial_records_open(int state_fd, struct phial_records **ret_records,
				     struct phial_error *err)
{
	struct phial_records *records = calloc(1, sizeof(*records));

	if (!records) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "container records");
	}
	enum phial_status status = phial_journal_open(state_fd, RECORDS_FILE, true, take_line,
						      records, &records->journal, err);

	if (status == PHIAL_OK) {
		status = compact(records, err);
	}
	if (status != PHIAL_OK) {
		while (records->first) {
			forget(records, records->first);
		}
		phial_journal_close(records->journal);
		free(records);
		return status;
	}
	*ret_records = records;
	return PHIAL_OK;
}

enum phial_status phial_records_start(struct phial_records *records, struct phial_record *record,
				      struct phial_error *err)
{
	phial_auto_text struct phial_text line = { .max = RECORD_MAX_BYTES };

	format_start(&line, record);
	enum phial_status status = PHIAL_OK;

	if (line.has_failed) {
		status = phial_fail(err, PHIAL_TOO_LARGE, 0, "the container's record is too long");
	} else if (phial_journal_has_failed(records->journal)) {
		status = compact(records, err); /* there may be room again */
	}
	if (status == PHIAL_OK) {
		status = phial_journal_append(records->journal, line.bytes, err);
	}
	if (status == PHIAL_OK) {
		status = phial_journal_sync(records->journal, err);
	}
	if (status != PHIAL_OK) {
		phial_record_free(record);
		return status;
	}
	records->appended++;
	record->next = records->first;
	records->first = record;
	return PHIAL_OK;
}

enum phial_status phial_records_commit(struct phial_records *records, struct phial_record *record,
				       struct phial_error *err)
{
	char line[40];
	enum phial_status status = PHIAL_OK;

	if (is_noted(record->door)) {
		(void)snprintf(line, sizeof(line), "done %" PRIu64, record->number);
		status = phial_journal_append(records->journal, line, err);
		if (status == PHIAL_OK) {
			status = phial_journal_sync(records->journal, err);
		}
	}
	record->is_committed = status == PHIAL_OK;
	return status;
}

void phial_records_end(struct phial_records *records, struct phial_record *record)
{
	phial_auto_text struct phial_text line = { .max = RECORD_MAX_BYTES };

	phial_text_add(&line, "end %" PRIu64, record->number);
	if (!line.has_failed) {
		enum phial_status ignored =
			phial_journal_append(records->journal, line.bytes, NULL);

		(void)ignored; /* the next start finds the process gone */
	}
	forget(records, record);
	if (++records->appended > COMPACT_AFTER_LINES) {
		enum phial_status ignored = compact(records, NULL);

		(void)ignored; /* the old file goes on to be good */
	}
}
