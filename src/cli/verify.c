/* SPDX-License-Identifier: ISC */
/*
 * `phial verify`: every file of a store, and all problems at once, one line each. Opens
 * nothing and needs no secret key.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "cli/cli.h"
#include "cli/format.h"
#include "cli/store.h"

enum { JSON };

const struct phial_cli_option phial_cli_verify_options[] = {
	[JSON] = { "json", 0, false, NULL, "print JSON" },
	{ 0 },
};

/* Further in the future than clocks differ: such a version keeps later ones out. */
#define FUTURE_MS (UINT64_C(24) * 60 * 60 * 1000)

struct verify_state {
	struct phial_cli_store store;
	struct phial_json *root; /* NULL: for people */
	struct phial_json *list; /* of the problems */
	size_t problems;
};

/* One problem. name: of the secret, or NULL where the text names a file that is none. */
static void report(struct verify_state *state, const char *name, const char *text)
{
	struct phial_json *object = phial_json_add_object(state->list, NULL);

	state->problems++;
	if (!state->root) {
		printf("%s%s", name ? name : "", name ? ": " : "");
		phial_cli_print_safe(stdout, text);
		printf("\n");
		return;
	}
	if (name) {
		phial_json_add_string(object, "name", name);
	} else {
		phial_json_add_null(object, "name");
	}
	phial_json_add_string(object, "problem", text);
}

static void problem(struct verify_state *state, const char *name, const char *format, ...)
	PHIAL_PRINTF(3, 4);

static void problem(struct verify_state *state, const char *name, const char *format, ...)
{
	char text[PHIAL_ERROR_TEXT_BYTES];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	report(state, name, text);
}

/* What a room said of a file; its name may stand in front already. */
static void failed_file(struct verify_state *state, const char *name, const struct phial_error *err)
{
	size_t length = strlen(name);
	bool has_name =
		strncmp(err->text, name, length) == 0 && strncmp(err->text + length, ": ", 2) == 0;

	report(state, name, err->text + (has_name ? length + 2 : 0));
}

static const struct phial_trust_entry *find_recipient(const struct phial_trust_list *list,
						      const struct phial_named_recipient *recipient)
{
	for (size_t i = 0; i < list->count; i++) {
		struct phial_sealed_header one = { .recipients = recipient, .recipient_count = 1 };

		if (phial_cli_is_sealed_to(&one, &list->entries[i])) {
			return &list->entries[i];
		}
	}
	return NULL;
}

/* Is it sealed to just those whom the store lets open it now? */
static void check_drift(struct verify_state *state, const char *name,
			const struct phial_sealed_header *header)
{
	const struct phial_trust_list *list = &state->store.trust->recipients;

	for (size_t i = 0; i < list->count; i++) {
		if (phial_trust_entry_allows(&list->entries[i], name) &&
		    !phial_cli_is_sealed_to(header, &list->entries[i])) {
			problem(state, name, "not sealed to %s, who may open it: seal it anew",
				list->entries[i].name);
		}
	}
	for (size_t i = 0; i < header->recipient_count; i++) {
		const struct phial_trust_entry *entry =
			find_recipient(list, &header->recipients[i]);

		if (!entry || !phial_trust_entry_allows(entry, name)) {
			problem(state, name,
				"sealed to %s, who may not open it %s: change the value and seal "
				"it anew",
				header->recipients[i].name,
				entry ? "by the patterns" : "(not in the list with this key)");
		}
	}
}

static void check_times(struct verify_state *state, const char *name,
			const struct phial_sealed_header *header)
{
	char when[PHIAL_TIME_TEXT_BYTES];

	if (header->not_after_s != 0 && header->not_after_s <= phial_cli_now_s()) {
		phial_format_time(header->not_after_s, when);
		problem(state, name, "expired at %s: seal a new value", when);
	}
	if (header->version > phial_cli_now_ms() + FUTURE_MS) {
		problem(state, name, "its version lies in the future: was a clock wrong?");
	}
}

static void check_file(struct verify_state *state, const char *name,
		       struct phial_cli_sealed *sealed)
{
	struct phial_error err = { 0 };

	if (phial_cli_sealed_read(state->store.fd, name, sealed, &err) != PHIAL_OK) {
		failed_file(state, name, &err);
		return;
	}
	if (phial_sealed_verify(sealed->sealed, state->store.trust->trusted,
				state->store.trust->signers.count, NULL, &err) != PHIAL_OK) {
		failed_file(state, name, &err);
	}
	const struct phial_sealed_header *header = phial_sealed_get_header(sealed->sealed);

	check_drift(state, name, header);
	check_times(state, name, header);
}

static enum phial_status check_files(struct verify_state *state, struct phial_error *err)
{
	phial_auto_cli_sealed struct phial_cli_sealed sealed = { 0 };
	struct phial_store_names list = { 0 };
	enum phial_status status = phial_store_list(state->store.fd, &list, err);

	if (status != PHIAL_OK) {
		return status;
	}
	for (size_t i = 0; i < list.problem_count; i++) {
		report(state, NULL, list.problems[i]);
	}
	for (size_t i = 0; i < list.count; i++) {
		check_file(state, list.names[i], &sealed);
	}
	if (state->root) {
		phial_json_add_string(state->root, "store", state->store.path);
		phial_json_add_integer(state->root, "secrets", (int64_t)list.count);
		phial_json_add_bool(state->root, "ok", state->problems == 0);
	} else if (state->problems == 0) {
		printf("%s: %zu secret%s, all good\n", state->store.path, list.count,
		       list.count == 1 ? "" : "s");
	}
	phial_store_names_free(&list);
	return PHIAL_OK;
}

enum phial_status phial_cli_verify(const struct phial_cli_call *call, struct phial_error *err)
{
	phial_auto_json struct phial_json *root =
		call->values[JSON] ? phial_json_new_object() : NULL;
	struct verify_state state = {
		.store = PHIAL_CLI_STORE_NONE,
		.root = root,
		.list = phial_json_add_array(root, "problems"),
	};
	enum phial_status status =
		phial_cli_store_open(phial_cli_operand(call, 0), &state.store, err);

	if (status == PHIAL_OK) {
		status = check_files(&state, err);
	}
	if (status == PHIAL_OK && root) {
		status = phial_cli_print_json(root, err);
	}
	if (status == PHIAL_OK && state.problems > 0) {
		status = phial_fail(err, PHIAL_PROBLEMS, 0, "%zu problem%s in %s", state.problems,
				    state.problems == 1 ? "" : "s", state.store.path);
	}
	phial_cli_store_close(&state.store);
	return status;
}
