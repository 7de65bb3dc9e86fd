/* SPDX-License-Identifier: ISC */
/* Container records over a journal. Trusts no pid: that is the caller's to check. */
#include "agent/records.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/record_line.h"
#include "base/cleanup.h"
#include "store/journal.h"

#define RECORD_MAX_BYTES ((size_t)1024 * 1024)
/* Lines appended before the file is written anew without the ended ones. */
#define COMPACT_AFTER_LINES 1024

struct phial_records {
	struct phial_journal *journal;
	struct phial_record *first;
	unsigned int appended;
};

bool phial_releases_equal(const struct phial_release *a, size_t a_count,
			  const struct phial_release *b, size_t b_count)
{
	bool is_equal = a_count == b_count;

	for (size_t i = 0; is_equal && i < a_count; i++) {
		is_equal = a[i].version == b[i].version && strcmp(a[i].name, b[i].name) == 0 &&
			   strcmp(a[i].file, b[i].file) == 0;
	}
	return is_equal;
}

struct phial_release *phial_releases_add(struct phial_release **releases, size_t *count,
					 const struct phial_release *release)
{
	struct phial_release *larger = reallocarray(*releases, *count + 1, sizeof(*larger));
	char *name = strdup(release->name);

	if (!larger || !name) {
		abort();
	}
	struct phial_release *added = &larger[(*count)++];

	*releases = larger;
	*added = *release;
	added->name = name;
	return added;
}

void phial_releases_free(struct phial_release *releases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(releases[i].name);
	}
	free(releases);
}

void phial_record_free(struct phial_record *record)
{
	if (!record) {
		return;
	}
	phial_releases_free(record->releases, record->release_count);
	phial_releases_free(record->live.next, record->live.next_count);
	free(record->target);
	free(record);
}

const struct phial_release *phial_record_find_release(const struct phial_record *record,
						      const char *secret)
{
	for (size_t i = 0; i < record->release_count; i++) {
		if (strcmp(record->releases[i].name, secret) == 0) {
			return &record->releases[i];
		}
	}
	return NULL;
}

struct phial_record *phial_records_first(const struct phial_records *records)
{
	return records->first;
}

struct phial_record *phial_records_find(const struct phial_records *records, uint64_t number)
{
	struct phial_record *record = records->first;

	while (record && record->number != number) {
		record = record->next;
	}
	return record;
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

static void replace(struct phial_record *record, struct phial_release *releases, size_t count)
{
	phial_releases_free(record->releases, record->release_count);
	record->releases = releases;
	record->release_count = count;
}

/* What "has" and "ready" say of a record. Returns false if it is nonsense. */
static bool take_news(struct phial_record *record, bool is_ready, struct phial_span rest)
{
	struct phial_release *releases = NULL;
	size_t count = 0;
	uint64_t ready_ms;

	if (is_ready) {
		if (!phial_parse_u64(rest, 1, INT64_MAX, &ready_ms)) {
			return false;
		}
		record->ready_ms = (int64_t)ready_ms;
		return true;
	}
	if (!phial_releases_parse(rest, &releases, &count)) {
		phial_releases_free(releases, count);
		return false;
	}
	replace(record, releases, count);
	return true;
}

/*
 * "end 12", "done 12", "ready 12 5000" and "has 12 ..."; of a number that is not known they mean
 * nothing. False for other lines.
 */
static bool take_note(struct phial_records *records, struct phial_span rest)
{
	bool is_end = phial_span_skip(&rest, "end ");
	bool is_done = !is_end && phial_span_skip(&rest, "done ");
	bool is_ready = !is_end && !is_done && phial_span_skip(&rest, "ready ");
	bool is_has = !is_end && !is_done && !is_ready && phial_span_skip(&rest, "has ");
	struct phial_span word;
	uint64_t number;

	if ((!is_end && !is_done && !is_ready && !is_has) || !phial_next_word(&rest, &word) ||
	    !phial_parse_u64(word, 1, UINT64_MAX, &number)) {
		return false;
	}
	struct phial_record *record = phial_records_find(records, number);

	if (record && is_end) {
		forget(records, record);
	} else if (record && is_done) {
		record->is_committed = true;
	} else if (record) {
		return take_news(record, is_ready, rest);
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

	if (!record || !phial_span_skip(&rest, "start ") || !phial_record_parse(rest, record)) {
		phial_record_free(record);
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "neither a start nor what became of one");
	}
	record->next = records->first;
	records->first = record;
	return PHIAL_OK;
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
		phial_record_format(&line, r);
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
	enum phial_status status = phial_journal_open(state_fd, PHIAL_RECORDS_FILE, true, take_line,
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

static void compact_if_long(struct phial_records *records)
{
	if (records->appended > COMPACT_AFTER_LINES) {
		enum phial_status ignored = compact(records, NULL);

		(void)ignored; /* the old file goes on to be good */
	}
}

/* Append a line and make it durable. */
static enum phial_status append_line(struct phial_records *records, const struct phial_text *line,
				     struct phial_error *err)
{
	enum phial_status status = PHIAL_OK;

	if (line->has_failed) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "the container's record is too long");
	}
	if (phial_journal_has_failed(records->journal)) {
		status = compact(records, err); /* there may be room again */
	}
	if (status == PHIAL_OK) {
		status = phial_journal_append(records->journal, line->bytes, err);
	}
	records->appended++;
	return status;
}

static enum phial_status write_line(struct phial_records *records, const struct phial_text *line,
				    struct phial_error *err)
{
	enum phial_status status = append_line(records, line, err);

	return status == PHIAL_OK ? phial_journal_sync(records->journal, err) : status;
}

enum phial_status phial_records_start(struct phial_records *records, struct phial_record *record,
				      struct phial_error *err)
{
	phial_auto_text struct phial_text line = { .max = RECORD_MAX_BYTES };

	phial_record_format(&line, record);
	enum phial_status status = write_line(records, &line, err);

	if (status != PHIAL_OK) {
		phial_record_free(record);
		return status;
	}
	record->next = records->first;
	records->first = record;
	return PHIAL_OK;
}

enum phial_status phial_records_commit(struct phial_records *records, struct phial_record *record,
				       struct phial_error *err)
{
	phial_auto_text struct phial_text line = { .max = RECORD_MAX_BYTES };
	enum phial_status status = PHIAL_OK;

	if (phial_record_door_is_noted(record->door)) {
		phial_text_add(&line, "done %" PRIu64, record->number);
		status = write_line(records, &line, err);
	}
	record->is_committed = status == PHIAL_OK;
	return status;
}

/* Has a container this very version, for sure or not? */
static bool has_version(const struct phial_record *record, const struct phial_release *wanted)
{
	for (size_t i = 0; i < record->release_count; i++) {
		const struct phial_release *has = &record->releases[i];

		if (has->version == wanted->version && strcmp(has->name, wanted->name) == 0 &&
		    strcmp(has->file, wanted->file) == 0) {
			return true;
		}
	}
	return false;
}

static void format_has(struct phial_text *line, const struct phial_record *record)
{
	phial_text_add(line, "has %" PRIu64, record->number);
	phial_releases_format(line, record->releases, record->release_count);
}

enum phial_status phial_records_doubt(struct phial_records *records, struct phial_record *record,
				      const struct phial_release *next, size_t count,
				      struct phial_error *err)
{
	phial_auto_text struct phial_text line = { .max = RECORD_MAX_BYTES };

	for (size_t i = 0; i < count; i++) {
		if (next[i].version != 0 && !has_version(record, &next[i])) {
			/* Behind all others: who looks for a name finds what is sure. */
			phial_releases_add(&record->releases, &record->release_count, &next[i])
				->is_unsure = true;
		}
	}
	format_has(&line, record);
	enum phial_status status = append_line(records, &line, err);

	return status == PHIAL_OK ? phial_journal_flush(records->journal, err) : status;
}

/* Note what a container has, durably. */
static enum phial_status write_has(struct phial_records *records, const struct phial_record *record,
				   struct phial_error *err)
{
	phial_auto_text struct phial_text line = { .max = RECORD_MAX_BYTES };

	format_has(&line, record);
	enum phial_status status = write_line(records, &line, err);

	compact_if_long(records);
	return status;
}

enum phial_status phial_records_replace(struct phial_records *records, struct phial_record *record,
					struct phial_release *releases, size_t count,
					struct phial_error *err)
{
	replace(record, releases, count);
	return write_has(records, record, err);
}

enum phial_status phial_records_read(struct phial_records *records, struct phial_record *record,
				     struct phial_release *release, int64_t read_ms,
				     struct phial_error *err)
{
	release->read_ms = read_ms;
	return write_has(records, record, err);
}

enum phial_status phial_records_ready(struct phial_records *records, struct phial_record *record,
				      int64_t ready_ms, struct phial_error *err)
{
	phial_auto_text struct phial_text line = { .max = RECORD_MAX_BYTES };

	record->ready_ms = ready_ms;
	phial_text_add(&line, "ready %" PRIu64 " %" PRId64, record->number, ready_ms);
	return write_line(records, &line, err);
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
	records->appended++;
	forget(records, record);
	compact_if_long(records);
}
