/* SPDX-License-Identifier: ISC */
/*
 * The check of the chain. Goes on behind a problem from the line that it found, so that each
 * problem is told once. Changes nothing.
 */
#include "audit/verify.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "audit/line.h"

/* How often, and how long, to wait for the rest of a line. */
#define TORN_TRIES   4
#define TORN_WAIT_MS 25

struct checker {
	const struct phial_audit_head *kept;
	phial_audit_problem_fn *problem_fn;
	void *context;
	struct phial_audit_summary *summary;
	const char *path;
	uint64_t number; /* of the line */
	uint64_t needed; /* the oldest entry that the last rotate says was kept */
	bool knows_head; /* the line before was whole, so its hash is known */
	bool found_kept;
	bool is_file_start;
	bool is_torn;
};

static void problem(struct checker *checker, const char *format, ...) PHIAL_PRINTF(2, 3);
static void problem(struct checker *checker, const char *format, ...)
{
	char text[PHIAL_ERROR_TEXT_BYTES];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	struct phial_audit_problem found = {
		.path = checker->path,
		.line = checker->number,
		.is_torn = checker->is_torn,
		.text = text,
	};

	checker->summary->problems++;
	checker->summary->torn += checker->is_torn;
	checker->problem_fn(checker->context, &found);
}

static void check_first(struct checker *checker, const struct phial_audit_line *line)
{
	checker->summary->first = line->seq;
	if (line->seq == 1 && strcmp(line->prev, PHIAL_AUDIT_NO_HASH) != 0) {
		problem(checker, "the first entry of all does not begin the chain");
	}
}

static void check_place(struct checker *checker, const struct phial_audit_line *line)
{
	const struct phial_audit_head *head = &checker->summary->head;

	if (checker->summary->first == 0) {
		check_first(checker, line);
		return;
	}
	if (line->seq > head->seq + 1) {
		problem(checker, "entries %" PRIu64 " to %" PRIu64 " are missing", head->seq + 1,
			line->seq - 1);
	} else if (line->seq < head->seq + 1) {
		problem(checker, "entry %" PRIu64 " stands where %" PRIu64 " belongs", line->seq,
			head->seq + 1);
	} else if (checker->knows_head && strcmp(line->prev, head->hash) != 0) {
		problem(checker, "the entry before this one was changed: its hash is not \"prev\"");
	}
}

static void check_kept(struct checker *checker)
{
	const struct phial_audit_head *head = &checker->summary->head;

	if (checker->kept && checker->kept->seq == head->seq && !checker->found_kept) {
		checker->found_kept = true;
		if (strcmp(checker->kept->hash, head->hash) != 0) {
			problem(checker,
				"entry %" PRIu64 " is not the one of the head that was kept",
				head->seq);
		}
	}
}

static void check_line(struct checker *checker, struct phial_span text)
{
	phial_auto_audit_line struct phial_audit_line line = { 0 };
	struct phial_audit_summary *summary = checker->summary;
	struct phial_span content = { text.text, text.length - 1 };
	struct phial_error err = { 0 };
	bool is_good = phial_audit_line_parse(content, &line, &err) == PHIAL_OK;

	summary->entries++;
	if (is_good) {
		check_place(checker, &line);
		summary->lost += line.entry.lost;
		checker->needed = line.entry.first > 0 ? line.entry.first : checker->needed;
		if (checker->is_file_start && line.seq != 1 &&
		    line.entry.kind != PHIAL_AUDIT_ROTATE) {
			problem(checker, "the file does not begin with a rotate entry");
		}
	} else {
		problem(checker, "%s", err.text);
	}
	summary->head.seq = is_good ? line.seq : summary->head.seq + 1;
	phial_audit_line_hash(text, summary->head.hash);
	checker->knows_head = true;
	check_kept(checker);
}

/* The newest file's last line may be just being written: look again for its rest. */
static enum phial_status wait_for_rest(struct phial_audit_stream *stream,
				       enum phial_audit_found *found, struct phial_span *text,
				       struct phial_error *err)
{
	enum phial_status status = PHIAL_OK;

	for (int i = 0; status == PHIAL_OK && *found == PHIAL_AUDIT_TORN && i < TORN_TRIES; i++) {
		(void)poll(NULL, 0, TORN_WAIT_MS);
		stream->start -= text->length;
		stream->number--;
		status = phial_audit_stream_next(stream, found, text, err);
	}
	return status;
}

static void not_a_line(struct checker *checker, enum phial_audit_found found, bool is_newest)
{
	if (found == PHIAL_AUDIT_TORN && is_newest) {
		checker->is_torn = true;
		problem(checker, "the last line is not whole, as after a crash; the agent counts "
				 "it as a gap when it writes next");
		checker->is_torn = false;
		return;
	}
	if (found == PHIAL_AUDIT_TORN) {
		problem(checker, "the file ends within a line");
	} else {
		problem(checker, "a line of more than %zu bytes", PHIAL_AUDIT_LINE_MAX_BYTES);
	}
	checker->summary->head.seq++;
	checker->summary->entries++;
	checker->knows_head = false;
}

static enum phial_status check_file(struct checker *checker, const struct phial_audit_file *file,
				    bool is_newest, struct phial_error *err)
{
	phial_auto_audit_stream struct phial_audit_stream stream = { .fd = file->fd };

	checker->path = file->path;
	checker->is_file_start = true;
	for (;;) {
		enum phial_audit_found found;
		struct phial_span text;
		enum phial_status status = phial_audit_stream_next(&stream, &found, &text, err);

		if (status == PHIAL_OK && found == PHIAL_AUDIT_TORN && is_newest) {
			status = wait_for_rest(&stream, &found, &text, err);
		}
		if (status != PHIAL_OK || found == PHIAL_AUDIT_END) {
			return status;
		}
		checker->number = stream.number;
		if (found == PHIAL_AUDIT_LINE) {
			check_line(checker, text);
		} else {
			not_a_line(checker, found, is_newest);
		}
		checker->is_file_start = false;
	}
}

/* What only the whole log shows: a beginning or an end that is missing. */
static void check_ends(struct checker *checker)
{
	const struct phial_audit_summary *summary = checker->summary;

	checker->number = 0;
	if (checker->needed > 0 && summary->first > checker->needed) {
		problem(checker,
			"entries %" PRIu64 " to %" PRIu64 " are missing: older files were taken "
			"away, but not by rotation",
			checker->needed, summary->first - 1);
	}
	if (!checker->kept || checker->found_kept) {
		return;
	}
	if (checker->kept->seq > summary->head.seq) {
		problem(checker,
			"the end was cut off: the head that was kept is entry %" PRIu64
			", the last one here is %" PRIu64,
			checker->kept->seq, summary->head.seq);
	} else {
		problem(checker, "the head that was kept, entry %" PRIu64 ", is not here",
			checker->kept->seq);
	}
}

enum phial_status phial_audit_verify(const struct phial_audit_files *files,
				     const struct phial_audit_head *kept,
				     phial_audit_problem_fn *problem_fn, void *context,
				     struct phial_audit_summary *ret_summary,
				     struct phial_error *err)
{
	struct phial_audit_summary summary = { 0 };
	struct checker checker = {
		.kept = kept,
		.problem_fn = problem_fn,
		.context = context,
		.summary = &summary,
		.path = files->count > 0 ? files->files[0].path : "",
	};

	memcpy(summary.head.hash, PHIAL_AUDIT_NO_HASH, sizeof(summary.head.hash));
	for (size_t i = 0; i < files->count; i++) {
		enum phial_status status =
			check_file(&checker, &files->files[i], i + 1 == files->count, err);

		if (status != PHIAL_OK) {
			(void)phial_fail_prefix(err, "%s", files->files[i].path);
			return status;
		}
	}
	check_ends(&checker);
	*ret_summary = summary;
	return PHIAL_OK;
}

bool phial_audit_head_parse(const char *text, struct phial_audit_head *ret_head)
{
	const char *colon = strchr(text, ':');
	struct phial_audit_head head = { 0 };

	if (!colon || strlen(colon + 1) != PHIAL_HASH_HEX_BYTES - 1 ||
	    strspn(colon + 1, "0123456789abcdef") != PHIAL_HASH_HEX_BYTES - 1 ||
	    !phial_parse_u64((struct phial_span){ text, (size_t)(colon - text) }, 1,
			     (uint64_t)PHIAL_AUDIT_NUMBER_LIMIT, &head.seq)) {
		return false;
	}
	memcpy(head.hash, colon + 1, sizeof(head.hash));
	*ret_head = head;
	return true;
}

bool phial_audit_head_find(const char *line, struct phial_audit_head *ret_head)
{
	static const char before[] = "head ";
	char word[PHIAL_HASH_HEX_BYTES + 32];

	for (const char *at = strstr(line, before); at; at = strstr(at + 1, before)) {
		const char *start = at + sizeof(before) - 1;
		struct phial_span found = { start, strcspn(start, " \n") };

		if (phial_span_copy(found, word, sizeof(word)) &&
		    phial_audit_head_parse(word, ret_head)) {
			return true;
		}
	}
	return false;
}
