/* SPDX-License-Identifier: ISC */
/*
 * `phial host add|ls|rm` and `phial signer add|ls|rm`: the two signed lists of a store, who
 * may open and who may seal. One code for both; only keys and words differ.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/format.h"
#include "cli/keyfile.h"
#include "cli/store.h"

enum { ADD_PASSPHRASE_FD, ADD_STORE };
enum { LS_JSON, LS_STORE };
enum { RM_DRY_RUN, RM_PASSPHRASE_FD, RM_STORE };

const struct phial_cli_option phial_cli_trust_add_options[] = {
	[ADD_PASSPHRASE_FD] = PHIAL_CLI_PASSPHRASE_OPTION,
	[ADD_STORE] = PHIAL_CLI_STORE_OPTION,
	{ 0 },
};
const struct phial_cli_option phial_cli_trust_ls_options[] = {
	[LS_JSON] = { "json", 0, false, NULL, "print JSON" },
	[LS_STORE] = PHIAL_CLI_STORE_OPTION,
	{ 0 },
};
const struct phial_cli_option phial_cli_trust_rm_options[] = {
	[RM_DRY_RUN] = { "dry-run", 0, false, NULL, "only say what would be refused afterwards" },
	[RM_PASSPHRASE_FD] = PHIAL_CLI_PASSPHRASE_OPTION,
	[RM_STORE] = PHIAL_CLI_STORE_OPTION,
	{ 0 },
};

static struct phial_trust_list *list_of(struct phial_cli_store *store, enum phial_trust_kind kind)
{
	return kind == PHIAL_TRUST_RECIPIENTS ? &store->trust->recipients : &store->trust->signers;
}

/* Does a sealed file depend on an entry: is it sealed to it, or signed by it? */
static bool depends_on(const struct phial_sealed_header *header, enum phial_trust_kind kind,
		       const struct phial_trust_entry *entry)
{
	return kind == PHIAL_TRUST_RECIPIENTS
		       ? phial_cli_is_sealed_to(header, entry)
		       : phial_signer_public_equal(&header->signer, &entry->signer);
}

/*
 * The names of the files that depend on an entry (depending true), or that it may open and that
 * do not. Files that cannot be read are passed over: `phial verify` lists them.
 */
static enum phial_status find_files(const struct phial_cli_store *store, enum phial_trust_kind kind,
				    const struct phial_trust_entry *entry, bool depending,
				    struct phial_text *names, size_t *ret_count,
				    struct phial_error *err)
{
	phial_auto_cli_sealed struct phial_cli_sealed sealed = { 0 };
	struct phial_store_names list = { 0 };
	size_t count = 0;
	enum phial_status status = phial_store_list(store->fd, &list, err);

	if (status != PHIAL_OK) {
		return status;
	}
	for (size_t i = 0; i < list.count; i++) {
		const char *name = list.names[i];

		if (!depending && !phial_trust_entry_allows(entry, name)) {
			continue;
		}
		if (phial_cli_sealed_read(store->fd, name, &sealed, NULL) != PHIAL_OK ||
		    depends_on(phial_sealed_get_header(sealed.sealed), kind, entry) != depending) {
			continue;
		}
		phial_text_add(names, "  %s\n", name);
		count++;
	}
	phial_store_names_free(&list);
	*ret_count = count;
	return PHIAL_OK;
}

/* NAME KEY [PATTERN...] into an entry; patterns: room for them, borrowed from argv. */
static enum phial_status parse_entry(const struct phial_cli_call *call, enum phial_trust_kind kind,
				     char *patterns[PHIAL_PATTERNS_MAX],
				     struct phial_trust_entry *ret_entry, struct phial_error *err)
{
	const char *name = call->operands[0];
	const char *key = call->operands[1];
	enum phial_status status;

	*ret_entry = (struct phial_trust_entry){ .patterns = patterns };
	if (strlen(name) >= sizeof(ret_entry->name) || strchr(name, '/')) {
		return phial_fail(
			err, PHIAL_BAD_NAME, 0,
			"the name is one component of at most 63 letters, digits, '.', '_' "
			"and '-'");
	}
	(void)snprintf(ret_entry->name, sizeof(ret_entry->name), "%s", name);
	status = phial_name_check(name, err);
	if (status != PHIAL_OK) {
		return status;
	}
	status = kind == PHIAL_TRUST_RECIPIENTS
			 ? phial_recipient_parse(key, &ret_entry->recipient, err)
			 : phial_signer_public_parse(key, &ret_entry->signer, err);
	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "the key of %s", name);
	}
	if (call->operand_count - 2 > PHIAL_PATTERNS_MAX) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "more than %d patterns",
				  PHIAL_PATTERNS_MAX);
	}
	for (size_t i = 2; i < call->operand_count; i++) {
		status = phial_pattern_check(call->operands[i], err);
		if (status != PHIAL_OK) {
			return status;
		}
		patterns[ret_entry->pattern_count++] = call->operands[i];
	}
	return PHIAL_OK;
}

/* A new host cannot open what was sealed before it came. */
static enum phial_status say_not_sealed_yet(const struct phial_cli_store *store,
					    const struct phial_trust_entry *entry,
					    struct phial_error *err)
{
	phial_auto_text struct phial_text names = { .max = PHIAL_TRUST_FILE_MAX };
	size_t count = 0;
	enum phial_status status =
		find_files(store, PHIAL_TRUST_RECIPIENTS, entry, false, &names, &count, err);

	if (status == PHIAL_OK && count > 0) {
		printf("%s cannot open these yet. Seal each anew: phial unseal NAME | phial seal "
		       "--keep-newline NAME\n%s",
		       entry->name, names.bytes ? names.bytes : "");
	}
	return status;
}

static enum phial_status add(const struct phial_cli_call *call, enum phial_trust_kind kind,
			     struct phial_error *err)
{
	phial_auto_cli_store struct phial_cli_store store = PHIAL_CLI_STORE_NONE;
	phial_auto_passphrases struct phial_cli_passphrases passphrases = {
		.fd_text = call->values[ADD_PASSPHRASE_FD],
	};
	phial_auto_signer struct phial_signer *admin = NULL;
	char *patterns[PHIAL_PATTERNS_MAX] = { 0 };
	struct phial_trust_entry entry;
	enum phial_status status = parse_entry(call, kind, patterns, &entry, err);

	if (status == PHIAL_OK) {
		status = phial_cli_store_open(call->values[ADD_STORE], &store, err);
	}
	if (status == PHIAL_OK) {
		status = phial_trust_list_add(list_of(&store, kind), &entry, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_store_load_admin(&store, &passphrases, &admin, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_store_write_list(&store, kind, admin, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	printf("%s may now %s", entry.name, kind == PHIAL_TRUST_RECIPIENTS ? "open" : "seal");
	for (size_t i = 0; i < entry.pattern_count; i++) {
		printf(" %s", entry.patterns[i]);
	}
	printf("%s.\n", entry.pattern_count == 0 ? " every secret" : "");
	return kind == PHIAL_TRUST_RECIPIENTS ? say_not_sealed_yet(&store, &entry, err) : PHIAL_OK;
}

static void key_text(enum phial_trust_kind kind, const struct phial_trust_entry *entry,
		     char ret_text[PHIAL_RECIPIENT_TEXT_BYTES])
{
	if (kind == PHIAL_TRUST_RECIPIENTS) {
		phial_recipient_format(&entry->recipient, ret_text);
	} else {
		phial_signer_public_format(&entry->signer, ret_text);
	}
}

static enum phial_status ls_json(enum phial_trust_kind kind, const struct phial_trust_list *list,
				 struct phial_error *err)
{
	phial_auto_json struct phial_json *root = phial_json_new_object();
	char key[PHIAL_RECIPIENT_TEXT_BYTES];

	phial_json_add_integer(root, "serial", (int64_t)list->serial);
	struct phial_json *entries =
		phial_json_add_array(root, kind == PHIAL_TRUST_RECIPIENTS ? "hosts" : "signers");

	for (size_t i = 0; i < list->count; i++) {
		const struct phial_trust_entry *entry = &list->entries[i];
		struct phial_json *object = phial_json_add_object(entries, NULL);

		key_text(kind, entry, key);
		phial_json_add_string(object, "name", entry->name);
		phial_json_add_string(object, "key", key);
		struct phial_json *patterns = phial_json_add_array(object, "patterns");

		for (size_t j = 0; j < entry->pattern_count; j++) {
			phial_json_add_string(patterns, NULL, entry->patterns[j]);
		}
	}
	return phial_cli_print_json(root, err);
}

static void ls_table(enum phial_trust_kind kind, const struct phial_trust_list *list)
{
	phial_auto_table struct phial_cli_table table = { .columns = 3 };
	char key[PHIAL_RECIPIENT_TEXT_BYTES];

	phial_cli_table_add(&table, "NAME");
	phial_cli_table_add(&table, "KEY");
	phial_cli_table_add(&table, kind == PHIAL_TRUST_RECIPIENTS ? "MAY OPEN" : "MAY SEAL");
	for (size_t i = 0; i < list->count; i++) {
		const struct phial_trust_entry *entry = &list->entries[i];
		phial_auto_text struct phial_text patterns = { .max = PHIAL_TRUST_FILE_MAX };

		for (size_t j = 0; j < entry->pattern_count; j++) {
			phial_text_add(&patterns, "%s%s", j > 0 ? " " : "", entry->patterns[j]);
		}
		key_text(kind, entry, key);
		phial_cli_table_add(&table, entry->name);
		phial_cli_table_add(&table, key);
		phial_cli_table_add(&table, patterns.bytes ? patterns.bytes : "every secret");
	}
	phial_cli_table_print(&table);
}

static enum phial_status ls(const struct phial_cli_call *call, enum phial_trust_kind kind,
			    struct phial_error *err)
{
	phial_auto_cli_store struct phial_cli_store store = PHIAL_CLI_STORE_NONE;
	enum phial_status status = phial_cli_store_open(call->values[LS_STORE], &store, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (call->values[LS_JSON]) {
		return ls_json(kind, list_of(&store, kind), err);
	}
	ls_table(kind, list_of(&store, kind));
	return PHIAL_OK;
}

/* What removing an entry means for the files that are there. */
static enum phial_status say_consequences(const struct phial_cli_store *store,
					  enum phial_trust_kind kind,
					  const struct phial_trust_entry *entry,
					  struct phial_error *err)
{
	phial_auto_text struct phial_text names = { .max = PHIAL_TRUST_FILE_MAX };
	size_t count = 0;
	enum phial_status status = find_files(store, kind, entry, true, &names, &count, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (count == 0) {
		printf("No file %s %s.\n",
		       kind == PHIAL_TRUST_RECIPIENTS ? "is sealed to" : "is signed by",
		       entry->name);
	} else if (kind == PHIAL_TRUST_RECIPIENTS) {
		printf("%s can still open these, with its key and the old files. Change the values, "
		       "and seal them anew:\n%s",
		       entry->name, names.bytes ? names.bytes : "");
	} else {
		printf("Hosts refuse these, signed by %s, until somebody else seals them anew:\n%s",
		       entry->name, names.bytes ? names.bytes : "");
	}
	return PHIAL_OK;
}

static const struct phial_trust_entry *find_entry(const struct phial_trust_list *list,
						  const char *name)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->entries[i].name, name) == 0) {
			return &list->entries[i];
		}
	}
	return NULL;
}

static enum phial_status rm(const struct phial_cli_call *call, enum phial_trust_kind kind,
			    struct phial_error *err)
{
	phial_auto_cli_store struct phial_cli_store store = PHIAL_CLI_STORE_NONE;
	phial_auto_passphrases struct phial_cli_passphrases passphrases = {
		.fd_text = call->values[RM_PASSPHRASE_FD],
	};
	phial_auto_signer struct phial_signer *admin = NULL;
	const char *name = call->operands[0];
	enum phial_status status = phial_cli_store_open(call->values[RM_STORE], &store, err);

	if (status != PHIAL_OK) {
		return status;
	}
	const struct phial_trust_entry *entry = find_entry(list_of(&store, kind), name);

	if (entry) {
		status = say_consequences(&store, kind, entry, err);
	}
	/* Without an entry, this names what was perhaps meant. */
	if (status == PHIAL_OK) {
		status = phial_trust_list_remove(list_of(&store, kind), name, err);
	}
	if (status == PHIAL_OK && call->values[RM_DRY_RUN]) {
		printf("Dry run: %s is still in the list.\n", name);
		return PHIAL_OK;
	}
	if (status == PHIAL_OK) {
		status = phial_cli_store_load_admin(&store, &passphrases, &admin, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_store_write_list(&store, kind, admin, err);
	}
	if (status == PHIAL_OK) {
		printf("%s is taken out.\n", name);
	}
	return status;
}

enum phial_status phial_cli_host_add(const struct phial_cli_call *call, struct phial_error *err)
{
	return add(call, PHIAL_TRUST_RECIPIENTS, err);
}

enum phial_status phial_cli_host_ls(const struct phial_cli_call *call, struct phial_error *err)
{
	return ls(call, PHIAL_TRUST_RECIPIENTS, err);
}

enum phial_status phial_cli_host_rm(const struct phial_cli_call *call, struct phial_error *err)
{
	return rm(call, PHIAL_TRUST_RECIPIENTS, err);
}

enum phial_status phial_cli_signer_add(const struct phial_cli_call *call, struct phial_error *err)
{
	return add(call, PHIAL_TRUST_SIGNERS, err);
}

enum phial_status phial_cli_signer_ls(const struct phial_cli_call *call, struct phial_error *err)
{
	return ls(call, PHIAL_TRUST_SIGNERS, err);
}

enum phial_status phial_cli_signer_rm(const struct phial_cli_call *call, struct phial_error *err)
{
	return rm(call, PHIAL_TRUST_SIGNERS, err);
}
