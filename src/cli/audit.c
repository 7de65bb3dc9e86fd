/* SPDX-License-Identifier: ISC */
/*
 * `phial audit verify` checks the chain of the audit log, `phial audit log` prints its entries.
 * Both read only files and need no agent; neither changes anything.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <phial/sealed.h>

#include "audit/line.h"
#include "audit/reader.h"
#include "audit/verify.h"
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/format.h"

#define DEFAULT_DIR "/var/lib/phial/state/audit"
/* Problems that a JSON document lists; their number is told in full. */
#define LISTED_MAX 1000

enum { VERIFY_HEAD, VERIFY_JSON };

const struct phial_cli_option phial_cli_audit_verify_options[] = {
	[VERIFY_HEAD] = { "head", 0, false, "SEQ:HASH",
			  "this entry was there once; or a line of syslog" },
	[VERIFY_JSON] = { "json", 0, false, NULL, "print JSON" },
	{ 0 },
};

enum { LOG_SECRET, LOG_VERSION, LOG_CONTAINER, LOG_WORKLOAD, LOG_SINCE, LOG_UNTIL, LOG_JSON };

const struct phial_cli_option phial_cli_audit_log_options[] = {
	[LOG_SECRET] = { "secret", 0, false, "NAME", "only about this secret, or pattern" },
	[LOG_VERSION] = { "version", 0, false, "N", "only about this version" },
	[LOG_CONTAINER] = { "container", 0, false, "ID", "only this container, or prefix" },
	[LOG_WORKLOAD] = { "workload", 0, false, "W", "only this workload" },
	[LOG_SINCE] = { "since", 0, false, "TIME", "from then on: a date, a time, -12h, -7d" },
	[LOG_UNTIL] = { "until", 0, false, "TIME", "before then" },
	[LOG_JSON] = { "json", 0, false, NULL, "print the entries as they are, JSON lines" },
	{ 0 },
};

/* Why the usual place has no log that can be read. */
static enum phial_status explain(enum phial_status status, struct phial_error *err)
{
	if (status == PHIAL_NOT_FOUND) {
		return phial_fail(err, status, 0,
				  "there is no audit log in " DEFAULT_DIR " yet: the agent begins "
				  "it when it starts (\"phial status\" says whether it runs); for "
				  "another one name its folder");
	}
	if (status == PHIAL_DENIED) {
		return phial_fail(err, status, 0,
				  "the audit log in " DEFAULT_DIR " is root's to read: run this "
				  "with sudo; an agent of your own has its log in "
				  "~/.local/state/phial/audit");
	}
	return status;
}

static enum phial_status open_files(const struct phial_cli_call *call,
				    struct phial_audit_files *ret_files, struct phial_error *err)
{
	static const char *const usual[] = { DEFAULT_DIR };
	const char *paths[PHIAL_AUDIT_FILES_MAX];

	if (call->operand_count == 0) {
		return explain(phial_audit_files_open(usual, 1, ret_files, err), err);
	}
	if (call->operand_count > PHIAL_COUNT(paths)) {
		return phial_fail(err, PHIAL_USAGE, 0, "more than %zu files", PHIAL_COUNT(paths));
	}
	for (size_t i = 0; i < call->operand_count; i++) {
		paths[i] = call->operands[i];
	}
	return phial_audit_files_open(paths, call->operand_count, ret_files, err);
}

/* --- verify ------------------------------------------------------------------------- */

struct verify_output {
	struct phial_json *problems; /* NULL: print for people */
	size_t listed;
};

static void show_problem(void *context, const struct phial_audit_problem *problem)
{
	struct verify_output *output = context;

	if (!output->problems) {
		phial_cli_print_safe(stdout, problem->path);
		if (problem->line > 0) {
			printf(":%" PRIu64, problem->line);
		}
		printf(": %s\n", problem->text);
		return;
	}
	if (output->listed++ < LISTED_MAX) {
		struct phial_json *object = phial_json_add_object(output->problems, NULL);

		phial_json_add_string(object, "file", problem->path);
		phial_json_add_integer(object, "line", (int64_t)problem->line);
		phial_json_add_string(object, "problem", problem->text);
	}
}

static void add_summary(struct phial_json *root, const struct phial_audit_summary *summary)
{
	struct phial_json *head = phial_json_add_object(root, "head");

	phial_json_add_bool(root, "ok", summary->problems == 0);
	phial_json_add_integer(root, "problem_count", (int64_t)summary->problems);
	phial_json_add_integer(root, "entries", (int64_t)summary->entries);
	phial_json_add_integer(root, "first", (int64_t)summary->first);
	phial_json_add_integer(root, "lost", (int64_t)summary->lost);
	phial_json_add_integer(head, "seq", (int64_t)summary->head.seq);
	phial_json_add_string(head, "hash", summary->head.hash);
}

static void print_summary(const struct phial_audit_summary *summary)
{
	if (summary->lost > 0) {
		printf("gaps: %" PRIu64 " entr%s never written, see the gap entries\n",
		       summary->lost, summary->lost == 1 ? "y was" : "ies were");
	}
	if (summary->problems == 0) {
		printf("%" PRIu64 " entries from %" PRIu64 " on, all good\n", summary->entries,
		       summary->first);
		printf("head %" PRIu64 ":%s\n", summary->head.seq, summary->head.hash);
	}
}

static enum phial_status verify(const struct phial_cli_call *call,
				const struct phial_audit_files *files,
				const struct phial_audit_head *kept, struct phial_error *err)
{
	phial_auto_json struct phial_json *root =
		call->values[VERIFY_JSON] ? phial_json_new_object() : NULL;
	struct verify_output output = { .problems = phial_json_add_array(root, "problems") };
	struct phial_audit_summary summary;
	enum phial_status status =
		phial_audit_verify(files, kept, show_problem, &output, &summary, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (root) {
		add_summary(root, &summary);
		status = phial_cli_print_json(root, err);
	} else {
		print_summary(&summary);
	}
	if (status != PHIAL_OK || summary.problems == 0) {
		return status;
	}
	return phial_fail(err, summary.problems > summary.torn ? PHIAL_TAMPERED : PHIAL_PROBLEMS, 0,
			  "%" PRIu64 " problem%s in the audit log", summary.problems,
			  summary.problems == 1 ? "" : "s");
}

enum phial_status phial_cli_audit_verify(const struct phial_cli_call *call, struct phial_error *err)
{
	phial_auto_audit_files struct phial_audit_files files = { 0 };
	const char *head = call->values[VERIFY_HEAD];
	struct phial_audit_head kept;

	if (head && !phial_audit_head_parse(head, &kept) && !phial_audit_head_find(head, &kept)) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--head takes a number, ':' and 64 hexadecimal digits, as "
				  "phial audit verify prints it, or a line of the copy in syslog");
	}
	enum phial_status status = open_files(call, &files, err);

	return status == PHIAL_OK ? verify(call, &files, head ? &kept : NULL, err) : status;
}

/* --- log ---------------------------------------------------------------------------- */

/* What to show: every condition that is set must hold. */
struct filter {
	const char *secret;
	uint64_t version; /* 0: any */
	const char *container;
	const char *workload;
	int64_t since_ms;
	int64_t until_ms;
};

static enum phial_status read_time(const char *text, int64_t otherwise_ms, int64_t *ret_ms,
				   struct phial_error *err)
{
	int64_t seconds = 0;
	enum phial_status status =
		text ? phial_cli_parse_since(text, phial_cli_now_s(), &seconds, err) : PHIAL_OK;

	*ret_ms = text ? seconds * 1000 : otherwise_ms;
	return status;
}

static enum phial_status read_filter(const struct phial_cli_call *call, struct filter *filter,
				     struct phial_error *err)
{
	const char *version = call->values[LOG_VERSION];
	enum phial_status status = PHIAL_OK;

	filter->secret = call->values[LOG_SECRET];
	filter->container = call->values[LOG_CONTAINER];
	filter->workload = call->values[LOG_WORKLOAD];
	if (version && !phial_parse_u64(phial_span_of(version), 1,
					(uint64_t)PHIAL_AUDIT_NUMBER_LIMIT, &filter->version)) {
		return phial_fail(err, PHIAL_USAGE, 0, "--version takes a number from 1");
	}
	if (filter->secret) {
		status = phial_pattern_check(filter->secret, err);
	}
	if (status == PHIAL_OK) {
		status = read_time(call->values[LOG_SINCE], 0, &filter->since_ms, err);
	}
	if (status == PHIAL_OK) {
		status = read_time(call->values[LOG_UNTIL], INT64_MAX, &filter->until_ms, err);
	}
	return status;
}

/* Is there one secret of this name and this version? */
static bool has_secret(const struct filter *filter, const struct phial_audit_entry *entry)
{
	if (!filter->secret && filter->version == 0) {
		return true;
	}
	for (size_t i = 0; i < entry->secret_count; i++) {
		const struct phial_audit_secret *secret = &entry->secrets[i];

		if ((!filter->secret || phial_pattern_matches(filter->secret, secret->name)) &&
		    (filter->version == 0 || filter->version == secret->version)) {
			return true;
		}
	}
	return false;
}

static bool is_wanted(const struct filter *filter, const struct phial_audit_line *line)
{
	const struct phial_audit_entry *entry = &line->entry;

	return line->time_ms >= filter->since_ms && line->time_ms < filter->until_ms &&
	       has_secret(filter, entry) &&
	       (!filter->workload ||
		(entry->workload && strcmp(entry->workload, filter->workload) == 0)) &&
	       (!filter->container ||
		(entry->container &&
		 strncmp(entry->container, filter->container, strlen(filter->container)) == 0));
}

/* Engines' 64 digits are cut to the 12 that engines show. */
static int shown_length(const char *container)
{
	size_t length = strlen(container);

	return length == 64 ? 12 : (int)length;
}

/* A strictly parsed line holds printable ASCII only. */
static void print_line(const struct phial_audit_line *line)
{
	const struct phial_audit_entry *entry = &line->entry;
	const char *decision = phial_audit_decision_text(entry->decision);
	const char *door = phial_audit_door_text(entry->door);
	char time[PHIAL_AUDIT_TIME_BYTES];

	phial_audit_time_format(line->time_ms, time);
	printf("%s %" PRIu64 " %s", time, line->seq, phial_audit_kind_text(entry->kind));
	if (decision) {
		printf(" %s", decision);
	}
	if (entry->workload) {
		printf(" workload=%s", entry->workload);
	}
	if (entry->container) {
		printf(" container=%.*s", shown_length(entry->container), entry->container);
	}
	if (entry->image) {
		printf(" image=%s", entry->image);
	}
	if (door) {
		printf(" door=%s", door);
	}
	if (entry->has_uid) {
		printf(" uid=%" PRIu32, entry->uid);
	}
	if (entry->pid > 0) {
		printf(" pid=%" PRIu32, entry->pid);
	}
	for (size_t i = 0; i < entry->secret_count; i++) {
		printf(" %s@%" PRIu64, entry->secrets[i].name, entry->secrets[i].version);
	}
	if (entry->lost > 0) {
		printf(" lost=%" PRIu64, entry->lost);
	}
	printf("%s%s\n", entry->reason ? ": " : "", entry->reason ? entry->reason : "");
}

static void show_line(const struct filter *filter, bool as_json, struct phial_span text,
		      const struct phial_audit_line *line)
{
	if (!is_wanted(filter, line)) {
		return;
	}
	if (as_json) {
		(void)fwrite(text.text, 1, text.length, stdout);
	} else {
		print_line(line);
	}
}

/* ret_damaged: lines that are no entries are named and counted. */
static enum phial_status show_file(const struct phial_audit_file *file, const struct filter *filter,
				   bool as_json, size_t *ret_damaged, struct phial_error *err)
{
	phial_auto_audit_stream struct phial_audit_stream stream = { .fd = file->fd };

	for (;;) {
		phial_auto_audit_line struct phial_audit_line line = { 0 };
		enum phial_audit_found found;
		struct phial_span text;
		enum phial_status status = phial_audit_stream_next(&stream, &found, &text, err);

		if (status != PHIAL_OK || found == PHIAL_AUDIT_END || ferror(stdout)) {
			return status;
		}
		struct phial_span content = { text.text, text.length - 1 };

		if (found == PHIAL_AUDIT_LINE &&
		    phial_audit_line_parse(content, &line, NULL) == PHIAL_OK) {
			show_line(filter, as_json, text, &line);
		} else if (found != PHIAL_AUDIT_TORN) {
			fprintf(stderr, "phial: ");
			phial_cli_print_safe(stderr, file->path);
			fprintf(stderr, ":%" PRIu64 ": no audit entry\n", stream.number);
			(*ret_damaged)++;
		}
	}
}

enum phial_status phial_cli_audit_log(const struct phial_cli_call *call, struct phial_error *err)
{
	phial_auto_audit_files struct phial_audit_files files = { 0 };
	struct filter filter = { 0 };
	size_t damaged = 0;
	enum phial_status status = read_filter(call, &filter, err);

	if (status == PHIAL_OK) {
		status = open_files(call, &files, err);
	}
	for (size_t i = 0; status == PHIAL_OK && i < files.count; i++) {
		status = show_file(&files.files[i], &filter, call->values[LOG_JSON] != NULL,
				   &damaged, err);
	}
	if (status == PHIAL_OK && damaged > 0) {
		return phial_fail(err, PHIAL_PROBLEMS, 0,
				  "%zu line%s no entries, see phial audit verify", damaged,
				  damaged == 1 ? " is" : "s are");
	}
	return status;
}
