/* SPDX-License-Identifier: ISC */
/*
 * Lines of the audit log: written in one form, and read by writing again what was understood
 * and comparing. Knows no file and no chain.
 */
#include "audit/line.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <phial/sealed.h>

/* The end of year 9999. */
#define LAST_TIME_MS INT64_C(253402300799999)

static const char *const kinds[PHIAL_AUDIT_KINDS] = {
	[PHIAL_AUDIT_START] = "start",	     [PHIAL_AUDIT_RELEASE] = "release",
	[PHIAL_AUDIT_REFUSAL] = "refusal",   [PHIAL_AUDIT_ROTATION] = "rotation",
	[PHIAL_AUDIT_EXPIRY] = "expiry",     [PHIAL_AUDIT_REVOCATION] = "revocation",
	[PHIAL_AUDIT_OVERRIDE] = "override", [PHIAL_AUDIT_ADMIN] = "admin",
	[PHIAL_AUDIT_STOP] = "stop",	     [PHIAL_AUDIT_GAP] = "gap",
	[PHIAL_AUDIT_ROTATE] = "rotate",
};

static const char *const doors[PHIAL_AUDIT_DOORS] = {
	[PHIAL_AUDIT_HOOK] = "hook", [PHIAL_AUDIT_RUNTIME] = "runtime", [PHIAL_AUDIT_INIT] = "init",
	[PHIAL_AUDIT_RUN] = "run",   [PHIAL_AUDIT_CDI] = "cdi",
};

static const char *const decisions[PHIAL_AUDIT_DECISIONS] = {
	[PHIAL_AUDIT_ALLOWED] = "allowed",
	[PHIAL_AUDIT_REFUSED] = "refused",
};

const char *phial_audit_kind_text(enum phial_audit_kind kind)
{
	return kinds[kind];
}

const char *phial_audit_door_text(enum phial_audit_door door)
{
	return doors[door];
}

const char *phial_audit_decision_text(enum phial_audit_decision decision)
{
	return decisions[decision];
}

void phial_audit_time_format(int64_t time_ms, char ret_text[static PHIAL_AUDIT_TIME_BYTES])
{
	phial_format_time(time_ms / 1000, ret_text);
	(void)snprintf(ret_text + PHIAL_TIME_TEXT_BYTES - 2,
		       PHIAL_AUDIT_TIME_BYTES - PHIAL_TIME_TEXT_BYTES + 2, ".%03uZ",
		       (unsigned int)(time_ms % 1000) % 1000U);
}

static bool parse_time(const char *text, int64_t *ret_time_ms)
{
	const size_t dot = PHIAL_TIME_TEXT_BYTES - 2;
	char whole[PHIAL_TIME_TEXT_BYTES];
	uint64_t milliseconds = 0;
	int64_t seconds;

	if (strlen(text) != PHIAL_AUDIT_TIME_BYTES - 1) {
		return false;
	}
	(void)snprintf(whole, sizeof(whole), "%.*sZ", (int)dot, text);
	for (size_t i = dot + 1; i < dot + 4; i++) {
		if (text[i] < '0' || text[i] > '9') {
			return false;
		}
		milliseconds = milliseconds * 10 + (uint64_t)(text[i] - '0');
	}
	if (!phial_parse_time(phial_span_of(whole), &seconds)) {
		return false;
	}
	*ret_time_ms = seconds * 1000 + (int64_t)milliseconds;
	return true;
}

/* Texts come from engines and images: only printable ASCII, and not too much of it. */
static void add_text(struct phial_json *object, const char *key, const char *text)
{
	char clean[PHIAL_AUDIT_TEXT_MAX_BYTES + 1];
	size_t length = 0;

	if (!text || text[0] == '\0') {
		return;
	}
	for (; text[length] != '\0' && length < sizeof(clean) - 1; length++) {
		unsigned char byte = (unsigned char)text[length];

		clean[length] = (char)(byte >= 0x20 && byte < 0x7f ? byte : '?');
	}
	clean[length] = '\0';
	phial_json_add_string(object, key, clean);
}

static bool is_number(uint64_t number)
{
	return number >= 1 && number < (uint64_t)PHIAL_AUDIT_NUMBER_LIMIT;
}

static bool is_version(uint64_t number)
{
	return is_number(number) || number == (uint64_t)PHIAL_AUDIT_NUMBER_LIMIT;
}

static bool can_be_written(const struct phial_audit_line *line)
{
	const struct phial_audit_entry *entry = &line->entry;
	bool is_good =
		is_number(line->seq) && line->time_ms >= 0 && line->time_ms <= LAST_TIME_MS &&
		line->boot && line->boot[0] != '\0' && line->host && line->host[0] != '\0' &&
		entry->kind < PHIAL_AUDIT_KINDS && entry->door < PHIAL_AUDIT_DOORS &&
		entry->decision < PHIAL_AUDIT_DECISIONS &&
		entry->secret_count <= PHIAL_AUDIT_SECRETS_MAX &&
		strlen(line->prev) == PHIAL_HASH_HEX_BYTES - 1 &&
		(entry->kind == PHIAL_AUDIT_GAP ? is_number(entry->lost) : entry->lost == 0) &&
		(entry->kind == PHIAL_AUDIT_ROTATE ? is_number(entry->first) : entry->first == 0);

	for (size_t i = 0; is_good && i < entry->secret_count; i++) {
		is_good = phial_name_check(entry->secrets[i].name, NULL) == PHIAL_OK &&
			  is_version(entry->secrets[i].version);
	}
	return is_good;
}

static void add_entry(struct phial_json *root, const struct phial_audit_entry *entry)
{
	add_text(root, "kind", kinds[entry->kind]);
	add_text(root, "container", entry->container);
	add_text(root, "workload", entry->workload);
	add_text(root, "image", entry->image);
	add_text(root, "door", doors[entry->door]);
	if (entry->has_uid) {
		phial_json_add_integer(root, "uid", entry->uid);
	}
	if (entry->pid > 0) {
		phial_json_add_integer(root, "pid", entry->pid);
	}
	struct phial_json *secrets =
		entry->secret_count > 0 ? phial_json_add_array(root, "secrets") : NULL;

	for (size_t i = 0; i < entry->secret_count; i++) {
		struct phial_json *secret = phial_json_add_object(secrets, NULL);

		phial_json_add_string(secret, "name", entry->secrets[i].name);
		phial_json_add_integer(secret, "version", (int64_t)entry->secrets[i].version);
	}
	add_text(root, "decision", decisions[entry->decision]);
	add_text(root, "reason", entry->reason);
	if (entry->lost > 0) {
		phial_json_add_integer(root, "lost", (int64_t)entry->lost);
	}
	if (entry->first > 0) {
		phial_json_add_integer(root, "first", (int64_t)entry->first);
	}
}

enum phial_status phial_audit_line_format(const struct phial_audit_line *line,
					  struct phial_text *text, struct phial_error *err)
{
	phial_auto_free char *printed = NULL;
	char time[PHIAL_AUDIT_TIME_BYTES];

	if (!can_be_written(line)) {
		return phial_fail(err, PHIAL_USAGE, 0, "an audit entry that cannot be written");
	}
	phial_auto_json struct phial_json *root = phial_json_new_object();

	phial_audit_time_format(line->time_ms, time);
	phial_json_add_integer(root, "seq", (int64_t)line->seq);
	phial_json_add_string(root, "time", time);
	add_text(root, "boot", line->boot);
	add_text(root, "host", line->host);
	add_entry(root, &line->entry);
	phial_json_add_string(root, "prev", line->prev);
	enum phial_status status = phial_json_print(root, &printed, err);

	if (status != PHIAL_OK) {
		return status;
	}
	size_t before = text->length;

	phial_text_add(text, "%s\n", printed);
	if (text->has_failed) {
		text->length = before;
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "an audit entry");
	}
	return PHIAL_OK;
}

/* --- reading ------------------------------------------------------------------------ */

static bool read_number(const struct phial_json *root, const char *key, uint64_t *ret_number)
{
	const struct phial_json *member = phial_json_member(root, key);
	int64_t number = 0;

	if (member && !phial_json_integer(member, 0, PHIAL_AUDIT_NUMBER_LIMIT, &number)) {
		return false;
	}
	*ret_number = (uint64_t)number;
	return true;
}

/* A version may be 2^53. 2^53 + 1, which looks the same, is found when the bytes are compared. */
static bool read_version(const struct phial_json *secret, uint64_t *ret_version)
{
	if (phial_json_is_limit(phial_json_member(secret, "version"))) {
		*ret_version = (uint64_t)PHIAL_AUDIT_NUMBER_LIMIT;
		return true;
	}
	return read_number(secret, "version", ret_version);
}

/* The place of a member's text in a list of words; 0 is "none" where the member is missing. */
static bool read_word(const struct phial_json *root, const char *key, const char *const *words,
		      size_t count, size_t *ret_index)
{
	const struct phial_json *member = phial_json_member(root, key);
	const char *text = phial_json_string(member);

	*ret_index = 0;
	if (!member) {
		return words[0] == NULL;
	}
	for (size_t i = 0; text && i < count; i++) {
		if (words[i] && strcmp(words[i], text) == 0) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

static bool read_secrets(const struct phial_json *root, struct phial_audit_line *line)
{
	const struct phial_json *secrets = phial_json_member(root, "secrets");
	size_t count = phial_json_count(secrets);

	if (count == 0 || phial_json_type(secrets) != PHIAL_JSON_ARRAY) {
		return !secrets;
	}
	line->secrets = calloc(count, sizeof(*line->secrets));
	if (!line->secrets) {
		return false;
	}
	line->entry.secrets = line->secrets;
	for (const struct phial_json *s = phial_json_first(secrets); s; s = phial_json_next(s)) {
		struct phial_audit_secret *secret = &line->secrets[line->entry.secret_count++];

		secret->name = phial_json_string(phial_json_member(s, "name"));
		if (!secret->name || !read_version(s, &secret->version)) {
			return false;
		}
	}
	return true;
}

/* Take what is understood; what is not, or missing, shows when the line is written again. */
static bool read_line(const struct phial_json *root, struct phial_audit_line *line)
{
	struct phial_audit_entry *entry = &line->entry;
	const char *time = phial_json_string(phial_json_member(root, "time"));
	const char *prev = phial_json_string(phial_json_member(root, "prev"));
	const struct phial_json *uid = phial_json_member(root, "uid");
	const struct phial_json *pid = phial_json_member(root, "pid");
	int64_t uid_number = 0;
	int64_t pid_number = 0;
	size_t kind;
	size_t door;
	size_t decision;

	if (!time || !parse_time(time, &line->time_ms) || !prev ||
	    strlen(prev) != PHIAL_HASH_HEX_BYTES - 1 ||
	    strspn(prev, "0123456789abcdef") != PHIAL_HASH_HEX_BYTES - 1 ||
	    (uid && !phial_json_integer(uid, 0, UINT32_MAX, &uid_number)) ||
	    (pid && !phial_json_integer(pid, 1, UINT32_MAX, &pid_number)) ||
	    !read_number(root, "seq", &line->seq) || !read_number(root, "lost", &entry->lost) ||
	    !read_number(root, "first", &entry->first) ||
	    !read_word(root, "kind", kinds, PHIAL_COUNT(kinds), &kind) ||
	    !read_word(root, "door", doors, PHIAL_COUNT(doors), &door) ||
	    !read_word(root, "decision", decisions, PHIAL_COUNT(decisions), &decision)) {
		return false;
	}
	memcpy(line->prev, prev, sizeof(line->prev));
	line->boot = phial_json_string(phial_json_member(root, "boot"));
	line->host = phial_json_string(phial_json_member(root, "host"));
	entry->kind = (enum phial_audit_kind)kind;
	entry->door = (enum phial_audit_door)door;
	entry->decision = (enum phial_audit_decision)decision;
	entry->has_uid = uid != NULL;
	entry->uid = (uint32_t)uid_number;
	entry->pid = (uint32_t)pid_number;
	entry->container = phial_json_string(phial_json_member(root, "container"));
	entry->workload = phial_json_string(phial_json_member(root, "workload"));
	entry->image = phial_json_string(phial_json_member(root, "image"));
	entry->reason = phial_json_string(phial_json_member(root, "reason"));
	return read_secrets(root, line);
}

static enum phial_status compare(const struct phial_audit_line *line, struct phial_span text,
				 struct phial_error *err)
{
	phial_auto_text struct phial_text again = { .max = PHIAL_AUDIT_LINE_MAX_BYTES };
	enum phial_status status = phial_audit_line_format(line, &again, err);

	if (status == PHIAL_SYSTEM) {
		return status;
	}
	if (status != PHIAL_OK || again.length != text.length + 1 ||
	    memcmp(again.bytes, text.text, text.length) != 0) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "not in the one form of an audit entry (docs/audit.md)");
	}
	return PHIAL_OK;
}

enum phial_status phial_audit_line_parse(struct phial_span text, struct phial_audit_line *ret_line,
					 struct phial_error *err)
{
	phial_auto_audit_line struct phial_audit_line line = { 0 };

	if (text.length >= PHIAL_AUDIT_LINE_MAX_BYTES) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "a line of more than %zu bytes",
				  PHIAL_AUDIT_LINE_MAX_BYTES);
	}
	enum phial_status status =
		phial_json_parse((const uint8_t *)text.text, text.length, &line.root, err);

	if (status == PHIAL_SYSTEM) {
		return status;
	}
	if (status != PHIAL_OK || !read_line(line.root, &line)) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "not an audit entry (docs/audit.md)");
	}
	status = compare(&line, text, err);
	if (status == PHIAL_OK) {
		*ret_line = line;
		line = (struct phial_audit_line){ 0 };
	}
	return status;
}

void phial_audit_line_free(struct phial_audit_line *line)
{
	phial_json_free(line->root);
	free(line->secrets);
	*line = (struct phial_audit_line){ 0 };
}

void phial_audit_line_hash(struct phial_span line, char ret_hex[static PHIAL_HASH_HEX_BYTES])
{
	phial_hash_256_hex(line.text, line.length, ret_hex);
}
