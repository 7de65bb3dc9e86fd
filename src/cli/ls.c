/* SPDX-License-Identifier: ISC */
/*
 * `phial ls`: one line for each secret of a store. Verifies nothing but whom the signer's
 * key belongs to; that is `phial verify`.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/parse.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/format.h"
#include "cli/store.h"

enum { JSON, STORE };

const struct phial_cli_option phial_cli_ls_options[] = {
	[JSON] = { "json", 0, false, NULL, "print JSON" },
	[STORE] = PHIAL_CLI_STORE_OPTION,
	{ 0 },
};

/* The name of a signer, or its key when the store does not know it. */
static void signer_text(const struct phial_cli_store *store,
			const struct phial_sealed_header *header,
			char ret_text[PHIAL_NAME_COMPONENT_MAX_BYTES + 1])
{
	const struct phial_trust_entry *entry =
		phial_cli_find_signer(&store->trust->signers, &header->signer);

	if (entry) {
		(void)snprintf(ret_text, PHIAL_NAME_COMPONENT_MAX_BYTES + 1, "%s", entry->name);
	} else {
		phial_signer_public_format(&header->signer, ret_text);
	}
}

static void expiry_text(const struct phial_sealed_header *header,
			char ret_text[PHIAL_DURATION_TEXT_BYTES + 8])
{
	char span[PHIAL_DURATION_TEXT_BYTES];
	int64_t left_s = header->not_after_s - phial_cli_now_s();

	phial_format_span(left_s, span);
	(void)snprintf(ret_text, PHIAL_DURATION_TEXT_BYTES + 8, "%s%s",
		       header->not_after_s == 0 ? "never"
		       : left_s > 0		? "in "
						: "EXPIRED",
		       header->not_after_s != 0 && left_s > 0 ? span : "");
}

static void add_row(struct phial_cli_table *table, const struct phial_cli_store *store,
		    const struct phial_sealed_header *header)
{
	phial_auto_text struct phial_text recipients = { .max = PHIAL_SEALED_HEADER_MAX_BYTES };
	char version[24];
	char age[PHIAL_DURATION_TEXT_BYTES];
	char expiry[PHIAL_DURATION_TEXT_BYTES + 8];
	char signer[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];

	(void)snprintf(version, sizeof(version), "%" PRIu64, header->version);
	phial_format_span(phial_cli_now_s() - header->created_s, age);
	expiry_text(header, expiry);
	signer_text(store, header, signer);
	for (size_t i = 0; i < header->recipient_count; i++) {
		phial_text_add(&recipients, "%s%s", i > 0 ? "," : "", header->recipients[i].name);
	}
	phial_cli_table_add(table, header->name);
	phial_cli_table_add(table, version);
	phial_cli_table_add(table, age);
	phial_cli_table_add(table, expiry);
	phial_cli_table_add(table, signer);
	phial_cli_table_add(table, recipients.bytes ? recipients.bytes : "");
}

static void add_object(struct phial_json *secrets, const struct phial_cli_store *store,
		       const struct phial_sealed_header *header)
{
	const struct phial_trust_entry *entry =
		phial_cli_find_signer(&store->trust->signers, &header->signer);
	struct phial_json *object = phial_json_add_object(secrets, NULL);

	phial_cli_json_header(object, header);
	if (entry) {
		phial_json_add_string(object, "signer_name", entry->name);
	}
	phial_json_add_bool(object, "expired",
			    header->not_after_s != 0 && header->not_after_s <= phial_cli_now_s());
}

/* Go through the names; files that cannot be shown are named on stderr and counted. */
static enum phial_status list_all(const struct phial_cli_store *store,
				  struct phial_cli_table *table, struct phial_json *secrets,
				  size_t *ret_broken, struct phial_error *err)
{
	phial_auto_cli_sealed struct phial_cli_sealed sealed = { 0 };
	struct phial_store_names list = { 0 };
	enum phial_status status = phial_store_list(store->fd, &list, err);

	if (status != PHIAL_OK) {
		return status;
	}
	*ret_broken = list.problem_count;
	for (size_t i = 0; i < list.problem_count; i++) {
		fprintf(stderr, "phial: ");
		phial_cli_print_safe(stderr, list.problems[i]);
		fprintf(stderr, "\n");
	}
	for (size_t i = 0; i < list.count; i++) {
		struct phial_error problem = { 0 };

		if (phial_cli_sealed_read(store->fd, list.names[i], &sealed, &problem) !=
		    PHIAL_OK) {
			fprintf(stderr, "phial: %s: %s\n", list.names[i], problem.text);
			(*ret_broken)++;
		} else if (secrets) {
			add_object(secrets, store, phial_sealed_get_header(sealed.sealed));
		} else {
			add_row(table, store, phial_sealed_get_header(sealed.sealed));
		}
	}
	phial_store_names_free(&list);
	return PHIAL_OK;
}

enum phial_status phial_cli_ls(const struct phial_cli_call *call, struct phial_error *err)
{
	static const char *const heading[] = { "NAME",	 "VERSION", "AGE",
					       "EXPIRY", "SIGNER",  "RECIPIENTS" };
	phial_auto_cli_store struct phial_cli_store store = PHIAL_CLI_STORE_NONE;
	phial_auto_table struct phial_cli_table table = { .columns = PHIAL_COUNT(heading) };
	phial_auto_json struct phial_json *root =
		call->values[JSON] ? phial_json_new_object() : NULL;
	struct phial_json *secrets = phial_json_add_array(root, "secrets");
	size_t broken = 0;
	enum phial_status status = phial_cli_store_open(call->values[STORE], &store, err);

	for (size_t i = 0; i < PHIAL_COUNT(heading); i++) {
		phial_cli_table_add(&table, heading[i]);
	}
	if (status == PHIAL_OK) {
		status = list_all(&store, &table, secrets, &broken, err);
	}
	if (status == PHIAL_OK && root) {
		status = phial_cli_print_json(root, err);
	} else if (status == PHIAL_OK) {
		phial_cli_table_print(&table);
	}
	if (status == PHIAL_OK && broken > 0) {
		return phial_fail(err, PHIAL_PROBLEMS, 0,
				  "%zu file%s cannot be used, see phial verify", broken,
				  broken == 1 ? "" : "s");
	}
	return status;
}
