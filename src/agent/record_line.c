/* SPDX-License-Identifier: ISC */
/* A record as a line. Knows the form only: what is true of it now is for others to find out. */
#include "agent/record_line.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define DONE_SUFFIX   "done"
#define UNSURE_SUFFIX "unsure"
/* Versions are milliseconds since 1970. */
#define VERSION_MAX (UINT64_C(1) << 53)

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

bool phial_record_door_is_noted(enum phial_door door)
{
	return door == PHIAL_DOOR_INIT || door == PHIAL_DOOR_INIT_ENV;
}

/* --- words -------------------------------------------------------------------------------- */

/* Cut a word at the first separator: what is before it, and in rest what is behind. */
static struct phial_span cut(struct phial_span *rest, char separator)
{
	const char *found = memchr(rest->text, separator, rest->length);
	struct phial_span part = *rest;

	if (found) {
		part.length = (size_t)(found - rest->text);
		rest->text = found + 1;
		rest->length -= part.length + 1;
	} else {
		rest->text += rest->length;
		rest->length = 0;
	}
	return part;
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

/* --- releases ----------------------------------------------------------------------------- */

/* What older agents did not write: a file has the last component's name. */
static bool take_file_name(struct phial_span name, struct phial_release *release)
{
	struct phial_span last = name;

	while (memchr(last.text, '/', last.length)) {
		(void)cut(&last, '/');
	}
	return last.length > 0 && phial_span_copy(last, release->file, sizeof(release->file));
}

/* "web/db=1795304458123=db=0=1795304458=0", perhaps with "=unsure". */
static bool parse_release(struct phial_span word, struct phial_release *release)
{
	struct phial_span name = cut(&word, '=');
	struct phial_span version = cut(&word, '=');
	uint64_t not_after = 0;
	uint64_t created = 0;
	uint64_t read = 0;

	if (name.length == 0 || !phial_parse_u64(version, 0, VERSION_MAX, &release->version)) {
		return false;
	}
	if (word.length == 0) {
		if (!take_file_name(name, release)) {
			return false;
		}
	} else if (!phial_span_copy(cut(&word, '='), release->file, sizeof(release->file)) ||
		   !phial_parse_u64(cut(&word, '='), 0, INT64_MAX, &not_after) ||
		   !phial_parse_u64(cut(&word, '='), 0, INT64_MAX, &created) ||
		   !phial_parse_u64(cut(&word, '='), 0, INT64_MAX, &read) ||
		   !(word.length == 0 || phial_span_is(word, UNSURE_SUFFIX))) {
		return false;
	}
	release->is_unsure = word.length > 0;
	release->not_after_s = (int64_t)not_after;
	release->created_s = (int64_t)created;
	release->read_ms = (int64_t)read;
	release->name = strndup(name.text, name.length);
	return release->name != NULL;
}

bool phial_releases_parse(struct phial_span rest, struct phial_release **ret_releases,
			  size_t *ret_count)
{
	struct phial_span word;

	while (phial_next_word(&rest, &word)) {
		struct phial_release *larger =
			reallocarray(*ret_releases, *ret_count + 1, sizeof(*larger));

		if (!larger) {
			return false;
		}
		*ret_releases = larger;
		larger[*ret_count] = (struct phial_release){ .name = NULL };
		if (!parse_release(word, &larger[*ret_count])) {
			return false;
		}
		(*ret_count)++;
	}
	return true; /* none: all that it had was taken away */
}

void phial_releases_format(struct phial_text *line, const struct phial_release *releases,
			   size_t count)
{
	for (size_t i = 0; i < count; i++) {
		phial_text_add(line, " %s=%" PRIu64 "=%s=%" PRId64 "=%" PRId64 "=%" PRId64 "%s",
			       releases[i].name, releases[i].version, releases[i].file,
			       releases[i].not_after_s, releases[i].created_s, releases[i].read_ms,
			       releases[i].is_unsure ? "=" UNSURE_SUFFIX : "");
	}
}

/* --- the words that begin with '@' -------------------------------------------------------- */

static bool parse_door(struct phial_span word, struct phial_record *record)
{
	struct phial_span door = cut(&word, ',');
	bool is_done = phial_span_is(word, DONE_SUFFIX);

	for (size_t i = 0; i < PHIAL_COUNT(door_words); i++) {
		if (phial_span_is(door, door_words[i])) {
			record->door = (enum phial_door)i;
			record->is_committed = is_done || !phial_record_door_is_noted(record->door);
			return true;
		}
	}
	return false;
}

static bool parse_user(struct phial_span word, struct phial_record *record)
{
	uint64_t uid;
	uint64_t gid;

	if (!phial_parse_u64(cut(&word, ':'), 0, UINT32_MAX, &uid) ||
	    !phial_parse_u64(word, 0, UINT32_MAX, &gid)) {
		return false;
	}
	record->user_uid = (uint32_t)uid;
	record->user_gid = (uint32_t)gid;
	return true;
}

static bool parse_identity(struct phial_span word, struct phial_mount_identity *identity)
{
	return phial_parse_u64(cut(&word, ':'), 0, UINT64_MAX, &identity->device) &&
	       phial_parse_u64(cut(&word, ':'), 0, UINT64_MAX, &identity->fsid) &&
	       phial_parse_u64(word, 0, UINT64_MAX, &identity->inode);
}

static bool parse_time(struct phial_span word, int64_t *ret_ms)
{
	uint64_t ms;

	if (!phial_parse_u64(word, 0, INT64_MAX, &ms)) {
		return false;
	}
	*ret_ms = (int64_t)ms;
	return true;
}

static bool parse_word(struct phial_span word, struct phial_record *record)
{
	if (phial_span_skip(&word, "@user=")) {
		return parse_user(word, record);
	}
	if (phial_span_skip(&word, "@fs=")) {
		return parse_identity(word, &record->identity);
	}
	if (phial_span_skip(&word, "@at=")) {
		return parse_time(word, &record->started_ms);
	}
	if (phial_span_skip(&word, "@ready=")) {
		return parse_time(word, &record->ready_ms);
	}
	return parse_door(word, record);
}

/* No secret's name begins with '@'. */
static bool parse_words(struct phial_span *rest, struct phial_record *record)
{
	record->door = PHIAL_DOOR_HOOK;
	record->is_committed = true;
	for (;;) {
		struct phial_span later = *rest;
		struct phial_span word;

		if (!phial_next_word(&later, &word) || word.length == 0 || word.text[0] != '@') {
			return true;
		}
		if (!parse_word(word, record)) {
			return false;
		}
		*rest = later;
	}
}

/* --- the record --------------------------------------------------------------------------- */

/* Three octal digits. */
static bool parse_octal(const char *digits, unsigned int *ret_byte)
{
	*ret_byte = 0;
	for (size_t i = 0; i < 3; i++) {
		if (digits[i] < '0' || digits[i] > '7') {
			return false;
		}
		*ret_byte = *ret_byte * 8 + (unsigned int)(digits[i] - '0');
	}
	return *ret_byte > 0 && *ret_byte <= UINT8_MAX;
}

/* Undo add_escaped(). ret_text: freed by the caller. NULL if it is not that form. */
static char *unescape(struct phial_span word)
{
	char *text = malloc(word.length + 1);
	size_t used = 0;

	for (size_t i = 0; text && i < word.length; i++) {
		unsigned int byte = (unsigned char)word.text[i];

		if (byte == '\\') {
			if (word.length - i < 4 || !parse_octal(word.text + i + 1, &byte)) {
				free(text);
				return NULL;
			}
			i += 3;
		}
		text[used++] = (char)byte;
	}
	if (text) {
		text[used] = '\0';
	}
	return text;
}

bool phial_record_parse(struct phial_span rest, struct phial_record *record)
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
	    !phial_next_word(&rest, &target) || target.length == 0 || !parse_words(&rest, record) ||
	    !phial_releases_parse(rest, &record->releases, &record->release_count)) {
		return false;
	}
	record->pid = (int32_t)pid;
	record->started_s = (int64_t)started;
	record->mount_kind = (uint32_t)kind;
	record->target = unescape(target);
	return record->target != NULL;
}

/* A target is a path that the operator chose: blanks and the like would break the line. */
static void add_escaped(struct phial_text *line, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text > 0x20 && *text < 0x7f && *text != '\\') {
			phial_text_add_bytes(line, text, 1);
		} else {
			phial_text_add(line, "\\%03o", (unsigned int)(unsigned char)*text);
		}
	}
}

void phial_record_format(struct phial_text *line, const struct phial_record *record)
{
	bool is_done = record->is_committed && phial_record_door_is_noted(record->door);

	phial_text_add(line,
		       "start %" PRIu64 " %s %d %" PRIu64 " %" PRIu64 " %" PRId64 " %u %s %s ",
		       record->number, record->boot_id, record->pid, record->start_time,
		       record->mount_namespace, record->started_s, record->mount_kind,
		       record->container, record->workload);
	add_escaped(line, record->target);
	phial_text_add(line, " %s%s", door_words[record->door], is_done ? "," DONE_SUFFIX : "");
	phial_text_add(line, " @user=%u:%u @fs=%" PRIu64 ":%" PRIu64 ":%" PRIu64 " @at=%" PRId64,
		       record->user_uid, record->user_gid, record->identity.device,
		       record->identity.fsid, record->identity.inode, record->started_ms);
	if (record->ready_ms != 0) {
		phial_text_add(line, " @ready=%" PRId64, record->ready_ms);
	}
	phial_releases_format(line, record->releases, record->release_count);
}
