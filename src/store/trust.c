/* SPDX-License-Identifier: ISC */
/*
 * The two trust lists and the pins as text: parse, change, write. Knows no file and verifies
 * no signature; that is trust_files.c.
 */
#include "store/trust.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "base/text.h"
#include "store/store.h"

/* Serials stay exact in JSON, where the policy's is written too. */
#define SERIAL_MAX (UINT64_C(1) << 53)

/* One limit serves both lists, so that entries need not say of which kind they are. */
#define ENTRIES_MAX PHIAL_SIGNERS_MAX
_Static_assert(ENTRIES_MAX == PHIAL_RECIPIENTS_MAX, "both lists have one limit");

static const char *const first_lines[] = {
	[PHIAL_TRUST_RECIPIENTS] = "phial recipients v1",
	[PHIAL_TRUST_SIGNERS] = "phial signers v1",
};

/* Bytes that hold either kind of key's text. */
#define KEY_TEXT_BYTES PHIAL_RECIPIENT_TEXT_BYTES
_Static_assert(KEY_TEXT_BYTES >= PHIAL_SIGNER_TEXT_BYTES, "key text");

static void free_entry(struct phial_trust_entry *entry)
{
	for (size_t i = 0; i < entry->pattern_count; i++) {
		free(entry->patterns[i]);
	}
	free(entry->patterns);
	entry->patterns = NULL;
	entry->pattern_count = 0;
}

void phial_trust_list_free(struct phial_trust_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free_entry(&list->entries[i]);
	}
	free(list->entries);
	*list = (struct phial_trust_list){ 0 };
}

/* Append a copy of a pattern to an entry. */
static enum phial_status add_pattern(struct phial_trust_entry *entry, const char *pattern,
				     struct phial_error *err)
{
	enum phial_status status = phial_pattern_check(pattern, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (entry->pattern_count == PHIAL_PATTERNS_MAX) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "more than %d patterns",
				  PHIAL_PATTERNS_MAX);
	}
	char **larger = reallocarray(entry->patterns, entry->pattern_count + 1, sizeof(*larger));

	if (!larger) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "trust list");
	}
	entry->patterns = larger;
	larger[entry->pattern_count] = strdup(pattern);
	if (!larger[entry->pattern_count]) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "trust list");
	}
	entry->pattern_count++;
	return PHIAL_OK;
}

/* The name is one component, so that it can be shown in one word. */
static enum phial_status check_entry_name(const char *name, struct phial_error *err)
{
	if (strchr(name, '/')) {
		return phial_fail(err, PHIAL_BAD_NAME, 0,
				  "the name of a host or signer cannot hold '/'");
	}
	return phial_name_check(name, err);
}

/* Append an entry, which the list then owns. */
static enum phial_status append_entry(struct phial_trust_list *list,
				      struct phial_trust_entry *entry, struct phial_error *err)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct phial_trust_entry *other = &list->entries[i];

		if (strcasecmp(other->name, entry->name) == 0) {
			return phial_fail(err, PHIAL_EXISTS, 0,
					  "the name \"%s\" is in the list: take it out first (rm), "
					  "or choose another",
					  other->name);
		}
		/* The key of the other kind is all zeros in both. */
		if (memcmp(&other->recipient, &entry->recipient, sizeof(entry->recipient)) == 0 &&
		    phial_signer_public_equal(&other->signer, &entry->signer)) {
			return phial_fail(err, PHIAL_EXISTS, 0, "\"%s\" has the same key as \"%s\"",
					  entry->name, other->name);
		}
	}
	if (list->count == ENTRIES_MAX) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "more than %d entries", ENTRIES_MAX);
	}
	struct phial_trust_entry *larger =
		reallocarray(list->entries, list->count + 1, sizeof(*larger));

	if (!larger) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "trust list");
	}
	list->entries = larger;
	larger[list->count++] = *entry;
	*entry = (struct phial_trust_entry){ 0 };
	return PHIAL_OK;
}

enum phial_status phial_trust_list_add(struct phial_trust_list *list,
				       const struct phial_trust_entry *entry,
				       struct phial_error *err)
{
	struct phial_trust_entry copy = *entry;
	enum phial_status status = check_entry_name(entry->name, err);

	copy.patterns = NULL;
	copy.pattern_count = 0;
	for (size_t i = 0; status == PHIAL_OK && i < entry->pattern_count; i++) {
		status = add_pattern(&copy, entry->patterns[i], err);
	}
	if (status == PHIAL_OK) {
		status = append_entry(list, &copy, err);
	}
	free_entry(&copy);
	return status;
}

enum phial_status phial_trust_list_remove(struct phial_trust_list *list, const char *name,
					  struct phial_error *err)
{
	const char *names[ENTRIES_MAX];

	for (size_t i = 0; i < list->count; i++) {
		names[i] = list->entries[i].name;
		if (strcmp(names[i], name) != 0) {
			continue;
		}
		free_entry(&list->entries[i]);
		list->count--;
		memmove(&list->entries[i], &list->entries[i + 1],
			(list->count - i) * sizeof(list->entries[0]));
		return PHIAL_OK;
	}
	const char *near = phial_nearest(name, names, list->count);

	return phial_fail(err, PHIAL_NOT_FOUND, 0, "no \"%.80s\" in the list%s%s%s", name,
			  near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

bool phial_trust_entry_allows(const struct phial_trust_entry *entry, const char *name)
{
	for (size_t i = 0; i < entry->pattern_count; i++) {
		if (phial_pattern_matches(entry->patterns[i], name)) {
			return true;
		}
	}
	return entry->pattern_count == 0;
}

/* --- parse --------------------------------------------------------------------------- */

/* Parse a key and see that it is written as it would be written. */
static enum phial_status parse_key(enum phial_trust_kind kind, const char *text,
				   struct phial_trust_entry *entry, struct phial_error *err)
{
	char again[KEY_TEXT_BYTES];
	enum phial_status status;

	if (kind == PHIAL_TRUST_RECIPIENTS) {
		status = phial_recipient_parse(text, &entry->recipient, err);
		if (status == PHIAL_OK) {
			phial_recipient_format(&entry->recipient, again);
		}
	} else {
		status = phial_signer_public_parse(text, &entry->signer, err);
		if (status == PHIAL_OK) {
			phial_signer_public_format(&entry->signer, again);
		}
	}
	if (status == PHIAL_OK && strcmp(text, again) != 0) {
		return phial_fail(err, PHIAL_BAD_KEY, 0, "the key is not in its usual form");
	}
	return status;
}

static enum phial_status parse_patterns(struct phial_span rest, struct phial_trust_entry *entry,
					struct phial_error *err)
{
	char pattern[PHIAL_NAME_MAX_BYTES + 1];
	struct phial_span word;

	while (phial_next_word(&rest, &word)) {
		if (word.length == 0) {
			return phial_fail(err, PHIAL_MALFORMED, 0,
					  "words are separated by one space, none at the end");
		}
		if (!phial_span_copy(word, pattern, sizeof(pattern))) {
			return phial_fail(err, PHIAL_BAD_NAME, 0, "a pattern is too long");
		}
		enum phial_status status = add_pattern(entry, pattern, err);

		if (status != PHIAL_OK) {
			return status;
		}
	}
	return PHIAL_OK;
}

/* "NAME KEY PATTERN..." */
static enum phial_status parse_entry(enum phial_trust_kind kind, struct phial_span line,
				     struct phial_trust_entry *entry, struct phial_error *err)
{
	char key[KEY_TEXT_BYTES];
	struct phial_span rest = line;
	struct phial_span word;

	(void)phial_next_word(&rest, &word);
	if (!phial_span_copy(word, entry->name, sizeof(entry->name))) {
		return phial_fail(err, PHIAL_BAD_NAME, 0, "a name is longer than %d bytes",
				  PHIAL_NAME_COMPONENT_MAX_BYTES);
	}
	enum phial_status status = check_entry_name(entry->name, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (!phial_next_word(&rest, &word) || !phial_span_copy(word, key, sizeof(key))) {
		return phial_fail(err, PHIAL_BAD_KEY, 0, "\"%s\" has no key", entry->name);
	}
	status = parse_key(kind, key, entry, err);
	return status == PHIAL_OK ? parse_patterns(rest, entry, err) : status;
}

/* What is commonly wrong with a line that is none, or NULL. */
static const char *line_hint(struct phial_span line)
{
	struct phial_span start = line;

	if (line.length > 0 && line.text[line.length - 1] == '\r') {
		return "CRLF line end; git converted it: see `.gitattributes` in docs/store.md";
	}
	if (phial_span_skip(&start, "<<<<<<<") || phial_span_skip(&start, "=======") ||
	    phial_span_skip(&start, ">>>>>>>")) {
		return "git conflict marker; an admin must write and sign the file again";
	}
	return line.length == 0 ? "empty line" : NULL;
}

static enum phial_status parse_line(enum phial_trust_kind kind, struct phial_span line,
				    struct phial_trust_list *list, struct phial_error *err)
{
	struct phial_trust_entry entry = { 0 };
	const char *hint = line_hint(line);

	if (hint) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "%s", hint);
	}
	enum phial_status status = parse_entry(kind, line, &entry, err);

	if (status == PHIAL_OK) {
		status = append_entry(list, &entry, err);
	}
	free_entry(&entry);
	/* A repeated entry is a fault of the file, not of who reads it. */
	return status == PHIAL_EXISTS ? PHIAL_MALFORMED : status;
}

/* The two first lines; rest is moved behind them. */
static enum phial_status parse_head(enum phial_trust_kind kind, struct phial_span *rest,
				    uint64_t *ret_serial, struct phial_error *err)
{
	struct phial_span line = { "", 0 };

	if (!phial_next_line(rest, &line, NULL) || !phial_span_is(line, first_lines[kind])) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "line 1 must be \"%s\"%s",
				  first_lines[kind],
				  line.length > 0 && line.text[line.length - 1] == '\r'
					  ? " without CRLF"
					  : "");
	}
	bool is_complete = false;

	if (!phial_next_line(rest, &line, &is_complete) || !is_complete ||
	    !phial_span_skip(&line, "serial: ") ||
	    !phial_parse_u64(line, 1, SERIAL_MAX, ret_serial)) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "line 2 must be \"serial: NUMBER\"");
	}
	return PHIAL_OK;
}

/* Parse all entries; the problems of all lines are joined, the first one's status counts. */
static enum phial_status parse_entries(enum phial_trust_kind kind, struct phial_span rest,
				       struct phial_trust_list *list, struct phial_error *err)
{
	phial_auto_text struct phial_text problems = { .max = PHIAL_ERROR_TEXT_BYTES };
	enum phial_status first = PHIAL_OK;
	struct phial_error problem = { 0 };
	struct phial_span line;
	bool is_complete = true;

	for (size_t number = 3; phial_next_line(&rest, &line, &is_complete); number++) {
		enum phial_status status = parse_line(kind, line, list, &problem);

		if (status == PHIAL_SYSTEM) {
			return phial_fail(err, status, problem.os_error, "trust list");
		}
		if (status == PHIAL_OK && !is_complete) {
			status = phial_fail(&problem, PHIAL_MALFORMED, 0, "the line does not end");
		}
		if (status != PHIAL_OK) {
			phial_text_add(&problems, "%sline %zu: %s", first == PHIAL_OK ? "" : "; ",
				       number, problem.text);
			first = first == PHIAL_OK ? status : first;
		}
	}
	return first == PHIAL_OK ? PHIAL_OK : phial_fail(err, first, 0, "%s", problems.bytes);
}

enum phial_status phial_trust_list_parse(enum phial_trust_kind kind, const uint8_t *bytes,
					 size_t length, struct phial_trust_list *ret_list,
					 struct phial_error *err)
{
	struct phial_span rest = { (const char *)bytes, length };
	struct phial_trust_list list = { 0 };

	if (length > PHIAL_TRUST_FILE_MAX) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "more than %zu bytes",
				  PHIAL_TRUST_FILE_MAX);
	}
	enum phial_status status = parse_head(kind, &rest, &list.serial, err);

	if (status == PHIAL_OK) {
		status = parse_entries(kind, rest, &list, err);
	}
	if (status != PHIAL_OK) {
		phial_trust_list_free(&list);
		return status;
	}
	*ret_list = list;
	return PHIAL_OK;
}

/* --- format -------------------------------------------------------------------------- */

enum phial_status phial_trust_list_format(enum phial_trust_kind kind,
					  const struct phial_trust_list *list, char **ret_text,
					  size_t *ret_length, struct phial_error *err)
{
	phial_auto_text struct phial_text text = { .max = PHIAL_TRUST_FILE_MAX };
	char key[KEY_TEXT_BYTES];

	phial_text_add(&text, "%s\nserial: %" PRIu64 "\n", first_lines[kind], list->serial);
	for (size_t i = 0; i < list->count; i++) {
		const struct phial_trust_entry *entry = &list->entries[i];

		if (kind == PHIAL_TRUST_RECIPIENTS) {
			phial_recipient_format(&entry->recipient, key);
		} else {
			phial_signer_public_format(&entry->signer, key);
		}
		phial_text_add(&text, "%s %s", entry->name, key);
		for (size_t k = 0; k < entry->pattern_count; k++) {
			phial_text_add(&text, " %s", entry->patterns[k]);
		}
		phial_text_add(&text, "\n");
	}
	if (text.has_failed) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "trust list");
	}
	*ret_text = phial_take_pointer(text.bytes);
	*ret_length = text.length;
	return PHIAL_OK;
}

/* --- pins ---------------------------------------------------------------------------- */

enum phial_status phial_pins_parse(const char *text, size_t length, struct phial_pins *ret_pins,
				   struct phial_error *err)
{
	struct phial_span rest = { text, length };
	struct phial_pins pins = { .count = 0 };
	struct phial_span line;

	for (size_t number = 1; phial_next_line(&rest, &line, NULL); number++) {
		char key[PHIAL_SIGNER_TEXT_BYTES];

		if (line.length == 0 || line.text[0] == '#') {
			continue;
		}
		if (pins.count == PHIAL_PINS_MAX) {
			return phial_fail(err, PHIAL_MALFORMED, 0, "more than %d admin keys",
					  PHIAL_PINS_MAX);
		}
		if (!phial_span_copy(line, key, sizeof(key))) {
			return phial_fail(err, PHIAL_BAD_KEY, 0,
					  "line %zu: not a minisign public key alone on its line",
					  number);
		}
		enum phial_status status =
			phial_signer_public_parse(key, &pins.keys[pins.count], err);

		if (status != PHIAL_OK) {
			(void)phial_fail_prefix(err, "line %zu", number);
			return status;
		}
		pins.count++;
	}
	if (pins.count == 0) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "no admin key; write the store's RW... key on a line of its own");
	}
	*ret_pins = pins;
	return PHIAL_OK;
}
