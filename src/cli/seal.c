/* SPDX-License-Identifier: ISC */
/*
 * `phial seal`: what to seal, to whom, and where it goes. The value itself comes from
 * value.c and is never in argv, environ or stdio.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "base/secret.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "cli/format.h"
#include "cli/keyfile.h"
#include "cli/store.h"
#include "cli/value.h"

enum {
	FROM,
	NOT_AFTER,
	MODE,
	OWNER,
	RECIPIENT,
	SIGNER,
	OUTPUT,
	TRIM_NEWLINE,
	KEEP_NEWLINE,
	ALLOW_EMPTY,
	PASSPHRASE_FD,
	STORE,
};

const struct phial_cli_option phial_cli_seal_options[] = {
	[FROM] = { "from", 0, false, "FILE|-", "read the value from a file, or - for stdin" },
	[NOT_AFTER] = { "not-after", 0, false, "TIME|+90d", "refuse the value from then on" },
	[MODE] = { "mode", 0, false, "0400", "of the file in the container ('default': no word)" },
	[OWNER] = { "owner", 0, false, "UID:GID", "of the file in the container ('default')" },
	[RECIPIENT] = { "recipient", 'r', true, "age1...", "without a store: whom to seal to" },
	[SIGNER] = { "signer", 's', false, "FILE", "my minisign secret key (default: my own)" },
	[OUTPUT] = { "output", 'o', false, "FILE", "without a store: where to write" },
	[TRIM_NEWLINE] = { "trim-newline", 0, false, NULL, "drop one newline at the value's end" },
	[KEEP_NEWLINE] = { "keep-newline", 0, false, NULL, "keep it and do not speak of it" },
	[ALLOW_EMPTY] = { "allow-empty", 0, false, NULL, "accept a value of no bytes" },
	[PASSPHRASE_FD] = PHIAL_CLI_PASSPHRASE_OPTION,
	[STORE] = PHIAL_CLI_STORE_OPTION,
	{ 0 },
};

/* One sealing. Everything that can be refused is, before the value is asked for. */
struct seal_job {
	const struct phial_cli_call *call;
	const char *name;
	struct phial_cli_store store; /* fd < 0: without a store */
	struct phial_signer *signer;
	struct phial_named_recipient recipients[PHIAL_RECIPIENTS_MAX];
	struct phial_sealed_header header;
	struct phial_cli_sealed present; /* what the new file replaces, if it can be parsed */
	bool present_is_trusted;
	char *path; /* of the sealed file: below the store, or -o */
};

static enum phial_status check_options(const struct phial_cli_call *call, struct phial_error *err)
{
	if ((call->repeated_count > 0) != (call->values[OUTPUT] != NULL)) {
		return phial_fail(
			err, PHIAL_USAGE, 0,
			"-r age1... and -o FILE belong together: they seal without a store");
	}
	if (call->values[OUTPUT] && call->values[STORE]) {
		return phial_fail(err, PHIAL_USAGE, 0, "--store and -o exclude each other");
	}
	if (call->values[TRIM_NEWLINE] && call->values[KEEP_NEWLINE]) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--trim-newline and --keep-newline exclude each other");
	}
	return PHIAL_OK;
}

static enum phial_status parse_header(struct seal_job *job, struct phial_error *err)
{
	const struct phial_cli_call *call = job->call;
	const char *mode = call->values[MODE];
	const char *owner = call->values[OWNER];
	struct phial_sealed_header *header = &job->header;

	header->mode = PHIAL_MODE_UNSET;
	header->owner_uid = PHIAL_ID_UNSET;
	header->owner_gid = PHIAL_ID_UNSET;
	(void)snprintf(header->name, sizeof(header->name), "%s", job->name);
	if (mode && strcmp(mode, "default") != 0 &&
	    !phial_parse_mode(phial_span_of(mode), 0777, &header->mode)) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--mode takes four octal digits from 0000 to 0777, e.g. 0440");
	}
	if (owner && strcmp(owner, "default") != 0 &&
	    !phial_parse_owner(phial_span_of(owner), &header->owner_uid, &header->owner_gid)) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--owner takes UID:GID in numbers, as they are in the container");
	}
	if (call->values[NOT_AFTER]) {
		return phial_cli_parse_not_after(call->values[NOT_AFTER], phial_cli_now_s(),
						 &header->not_after_s, err);
	}
	return PHIAL_OK;
}

static enum phial_status take_given_recipients(struct seal_job *job, struct phial_error *err)
{
	for (size_t i = 0; i < job->call->repeated_count; i++) {
		struct phial_named_recipient *recipient = &job->recipients[i];
		enum phial_status status =
			phial_recipient_parse(job->call->repeated[i], &recipient->key, err);

		if (status != PHIAL_OK) {
			return phial_fail_prefix(err, "-r number %zu", i + 1);
		}
		(void)snprintf(recipient->name, sizeof(recipient->name), "r%zu", i + 1);
	}
	job->header.recipients = job->recipients;
	job->header.recipient_count = job->call->repeated_count;
	return PHIAL_OK;
}

static enum phial_status take_store_recipients(struct seal_job *job, struct phial_error *err)
{
	const struct phial_trust_list *list = &job->store.trust->recipients;
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct phial_trust_entry *entry = &list->entries[i];

		if (!phial_trust_entry_allows(entry, job->name)) {
			continue;
		}
		if (count == PHIAL_RECIPIENTS_MAX) {
			return phial_fail(err, PHIAL_TOO_LARGE, 0,
					  "%s: more than %d recipients: narrow their patterns",
					  job->name, PHIAL_RECIPIENTS_MAX);
		}
		memcpy(job->recipients[count].name, entry->name, sizeof(entry->name));
		job->recipients[count++].key = entry->recipient;
	}
	if (count == 0) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0,
				  "%s: nobody in .phial/recipients may open it: run phial host add "
				  "with a pattern that matches",
				  job->name);
	}
	job->header.recipients = job->recipients;
	job->header.recipient_count = count;
	return PHIAL_OK;
}

/* On a file system that folds case, one would overwrite the other. */
static enum phial_status check_case(const struct seal_job *job, struct phial_error *err)
{
	struct phial_store_names list = { 0 };
	enum phial_status status = phial_store_list(job->store.fd, &list, err);

	if (status != PHIAL_OK) {
		return status;
	}
	for (size_t i = 0; i < list.count && status == PHIAL_OK; i++) {
		if (strcasecmp(list.names[i], job->name) == 0 &&
		    strcmp(list.names[i], job->name) != 0) {
			status = phial_fail(err, PHIAL_BAD_NAME, 0,
					    "%s differs only in case from %s, which exists",
					    job->name, list.names[i]);
		}
	}
	phial_store_names_free(&list);
	return status;
}

/* What my signature is worth in this store; better told now than by every host. */
static enum phial_status check_signer(const struct seal_job *job, struct phial_error *err)
{
	struct phial_signer_public public_key;
	char text[PHIAL_SIGNER_TEXT_BYTES];

	phial_signer_get_public(job->signer, &public_key);
	phial_signer_public_format(&public_key, text);
	const struct phial_trust_entry *entry =
		phial_cli_find_signer(&job->store.trust->signers, &public_key);

	if (!entry) {
		return phial_fail(
			err, PHIAL_UNTRUSTED, 0,
			"hosts would refuse it: your signer key is not in .phial/signers; "
			"let an admin run phial signer add NAME %s",
			text);
	}
	if (!phial_trust_entry_allows(entry, job->name)) {
		return phial_fail(
			err, PHIAL_UNTRUSTED, 0,
			"hosts would refuse it: the patterns of signer %s do not match %s "
			"(see phial signer ls)",
			entry->name, job->name);
	}
	return PHIAL_OK;
}

/* Mode and owner go on as they were, if what says so is signed and nothing else was said. */
static void inherit(struct seal_job *job)
{
	const struct phial_sealed_header *old = phial_sealed_get_header(job->present.sealed);
	struct phial_sealed_header *header = &job->header;

	if (!job->call->values[MODE] && old->mode != PHIAL_MODE_UNSET) {
		header->mode = old->mode;
		fprintf(stderr, "phial: note: mode %04o is kept (--mode changes it)\n", old->mode);
	}
	if (!job->call->values[OWNER] && old->owner_uid != PHIAL_ID_UNSET) {
		header->owner_uid = old->owner_uid;
		header->owner_gid = old->owner_gid;
		fprintf(stderr, "phial: note: owner %u:%u is kept (--owner changes it)\n",
			old->owner_uid, old->owner_gid);
	}
	if (!job->call->values[NOT_AFTER] && old->not_after_s != 0) {
		fprintf(stderr, "phial: note: the old value had an expiry time, this one has none "
				"(--not-after sets one)\n");
	}
}

static enum phial_status read_present(struct seal_job *job, struct phial_error *err)
{
	enum phial_status status =
		phial_cli_sealed_read(job->store.fd, job->name, &job->present, err);

	if (status == PHIAL_NOT_FOUND) {
		return PHIAL_OK;
	}
	if (status == PHIAL_SYSTEM || status == PHIAL_DENIED) {
		return phial_fail_prefix(err, "%s", job->name);
	}
	if (status != PHIAL_OK) {
		/* The cure for a broken file or a merge conflict is to seal the value anew. */
		fprintf(stderr, "phial: warning: replaces a file that cannot be used (%s)\n",
			err->text);
		phial_cli_sealed_free(&job->present);
		return PHIAL_OK;
	}
	job->present_is_trusted =
		phial_sealed_verify(job->present.sealed, job->store.trust->trusted,
				    job->store.trust->signers.count, NULL, NULL) == PHIAL_OK;
	if (job->present_is_trusted) {
		inherit(job);
	}
	return PHIAL_OK;
}

static enum phial_status prepare_in_store(struct seal_job *job,
					  struct phial_cli_passphrases *passphrases,
					  struct phial_error *err)
{
	enum phial_status status = phial_cli_store_open(job->call->values[STORE], &job->store, err);

	if (status == PHIAL_OK) {
		status = take_store_recipients(job, err);
	}
	if (status == PHIAL_OK) {
		status = check_case(job, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_load_signer(job->call->values[SIGNER], passphrases, &job->signer,
					       err);
	}
	if (status == PHIAL_OK) {
		status = check_signer(job, err);
	}
	if (status == PHIAL_OK) {
		status = read_present(job, err);
	}
	if (status == PHIAL_OK && asprintf(&job->path, "%s.sealed", job->name) < 0) {
		job->path = NULL;
		status = phial_fail(err, PHIAL_SYSTEM, ENOMEM, "%s", job->name);
	}
	return status;
}

/* Without a store a file that is no sealed file is not overwritten. */
static enum phial_status read_output(struct seal_job *job, struct phial_error *err)
{
	struct phial_cli_sealed *present = &job->present;
	enum phial_status status = phial_cli_read_file(job->path, PHIAL_SEALED_MAX_BYTES,
						       &present->buffer, &present->length, err);

	if (status == PHIAL_NOT_FOUND) {
		return PHIAL_OK;
	}
	if (status == PHIAL_OK) {
		status =
			phial_sealed_parse(present->buffer, present->length, &present->sealed, err);
		if (status != PHIAL_OK) {
			return phial_fail(err, PHIAL_EXISTS, 0,
					  "%s exists, is no sealed file, and is left as it is",
					  job->path);
		}
	}
	return status;
}

static enum phial_status prepare_alone(struct seal_job *job,
				       struct phial_cli_passphrases *passphrases,
				       struct phial_error *err)
{
	enum phial_status status = take_given_recipients(job, err);

	if (status != PHIAL_OK) {
		return status;
	}
	job->path = strdup(job->call->values[OUTPUT]);
	if (!job->path) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "%s", job->name);
	}
	status = read_output(job, err);
	return status == PHIAL_OK ? phial_cli_load_signer(job->call->values[SIGNER], passphrases,
							  &job->signer, err)
				  : status;
}

/* Are all the fields that a new file would get those of the present one? */
static bool has_same_header(const struct phial_sealed_header *a,
			    const struct phial_sealed_header *b)
{
	if (a->mode != b->mode || a->owner_uid != b->owner_uid || a->owner_gid != b->owner_gid ||
	    a->not_after_s != b->not_after_s || a->recipient_count != b->recipient_count) {
		return false;
	}
	for (size_t i = 0; i < a->recipient_count; i++) {
		if (strcmp(a->recipients[i].name, b->recipients[i].name) != 0 ||
		    memcmp(&a->recipients[i].key, &b->recipients[i].key,
			   sizeof(a->recipients[i].key)) != 0) {
			return false;
		}
	}
	return true;
}

/* Can I tell, without a question, that the present file says the same? */
static bool is_unchanged(const struct seal_job *job, const struct phial_secret *value)
{
	phial_auto_identities struct phial_identities *identities = NULL;
	phial_auto_secret struct phial_secret *old = NULL;

	if (!job->present_is_trusted ||
	    !has_same_header(&job->header, phial_sealed_get_header(job->present.sealed))) {
		return false;
	}
	phial_cli_try_identities(&identities);
	if (!identities || phial_secret_new(PHIAL_SECRET_MAX_BYTES, &old, NULL) != PHIAL_OK ||
	    phial_sealed_open(job->present.sealed, identities, old, NULL) != PHIAL_OK) {
		return false;
	}
	return phial_secret_equal(old, value);
}

static void say_sealed(const struct seal_job *job)
{
	printf("sealed ");
	phial_cli_print_safe(stdout, job->path);
	printf(" version %" PRIu64 " to", job->header.version);
	for (size_t i = 0; i < job->header.recipient_count; i++) {
		printf("%s %s", i > 0 ? "," : "", job->header.recipients[i].name);
	}
	printf("\n");
}

static enum phial_status seal_value(struct seal_job *job, const struct phial_secret *value,
				    struct phial_error *err)
{
	phial_auto_free uint8_t *bytes = NULL;
	size_t length = 0;
	uint64_t now_ms = phial_cli_now_ms();
	uint64_t last =
		job->present.sealed ? phial_sealed_get_header(job->present.sealed)->version : 0;

	job->header.created_s = (int64_t)(now_ms / 1000);
	job->header.version = last + 1 > now_ms ? last + 1 : now_ms;
	enum phial_status status =
		phial_seal(&job->header, value, job->signer, &bytes, &length, err);

	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "%s", job->name);
	}
	sigset_t before;

	phial_cli_hold_signals(&before);
	status = job->store.fd >= 0
			 ? phial_store_write(job->store.fd, job->path, bytes, length, 0644, err)
			 : phial_cli_write_file(job->path, bytes, length, 0644, err);
	phial_cli_release_signals(&before);
	if (status == PHIAL_OK) {
		say_sealed(job);
	}
	return status;
}

static enum phial_status run_job(struct seal_job *job, struct phial_cli_passphrases *passphrases,
				 struct phial_error *err)
{
	const struct phial_cli_call *call = job->call;
	const struct phial_cli_value_options options = {
		.from = call->values[FROM],
		.name = job->name,
		.newline = call->values[TRIM_NEWLINE]	? PHIAL_CLI_NEWLINE_TRIM
			   : call->values[KEEP_NEWLINE] ? PHIAL_CLI_NEWLINE_KEEP
							: PHIAL_CLI_NEWLINE_NOTE,
		.may_be_empty = call->values[ALLOW_EMPTY] != NULL,
	};
	phial_auto_secret struct phial_secret *value = NULL;
	enum phial_status status = call->values[OUTPUT] ? prepare_alone(job, passphrases, err)
							: prepare_in_store(job, passphrases, err);

	if (status == PHIAL_OK) {
		status = phial_cli_read_value(&options, &value, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	if (is_unchanged(job, value)) {
		printf("%s is unchanged, not sealed anew\n", job->name);
		return PHIAL_OK;
	}
	return seal_value(job, value, err);
}

/* A file's name in the place of a secret's would make NAME.sealed.sealed. */
static enum phial_status check_name(const char *name, struct phial_error *err)
{
	size_t suffix = strlen(".sealed");
	size_t length = strlen(name);

	if (length > suffix && strcmp(name + length - suffix, ".sealed") == 0) {
		return phial_fail(err, PHIAL_BAD_NAME, 0,
				  "seal takes the name of a secret, without \".sealed\"");
	}
	return phial_name_check(name, err);
}

enum phial_status phial_cli_seal(const struct phial_cli_call *call, struct phial_error *err)
{
	phial_auto_passphrases struct phial_cli_passphrases passphrases = {
		.fd_text = call->values[PASSPHRASE_FD],
	};
	struct seal_job job = {
		.call = call,
		.name = call->operands[0],
		.store = PHIAL_CLI_STORE_NONE,
	};
	enum phial_status status = check_options(call, err);

	if (status == PHIAL_OK) {
		status = check_name(job.name, err);
	}
	if (status == PHIAL_OK) {
		status = parse_header(&job, err);
	}
	if (status == PHIAL_OK) {
		status = run_job(&job, &passphrases, err);
	}
	phial_signer_free(job.signer);
	phial_cli_sealed_free(&job.present);
	phial_cli_store_close(&job.store);
	phial_free_pointer(&job.path);
	return status;
}
