/* SPDX-License-Identifier: ISC */
/*
 * `phial seal`: what is asked for, and sealing without a store. Into a store it is sealing.c's. The
 * value itself comes from value.c and is never in argv, environ or stdio.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/secret.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "cli/format.h"
#include "cli/keyfile.h"
#include "cli/sealing.h"
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

/* What is asked for. Everything that can be refused is, before the value is asked for. */
struct seal_job {
	const struct phial_cli_call *call;
	struct phial_cli_sealing sealing;
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
	struct phial_sealed_header *header = &job->sealing.header;

	header->mode = PHIAL_MODE_UNSET;
	header->owner_uid = PHIAL_ID_UNSET;
	header->owner_gid = PHIAL_ID_UNSET;
	(void)snprintf(header->name, sizeof(header->name), "%s", job->sealing.name);
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
		struct phial_named_recipient *recipient = &job->sealing.recipients[i];
		enum phial_status status =
			phial_recipient_parse(job->call->repeated[i], &recipient->key, err);

		if (status != PHIAL_OK) {
			return phial_fail_prefix(err, "-r number %zu", i + 1);
		}
		(void)snprintf(recipient->name, sizeof(recipient->name), "r%zu", i + 1);
	}
	job->sealing.header.recipients = job->sealing.recipients;
	job->sealing.header.recipient_count = job->call->repeated_count;
	return PHIAL_OK;
}

/* Without a store a file that is no sealed file is not overwritten. */
static enum phial_status read_output(struct seal_job *job, struct phial_error *err)
{
	struct phial_cli_sealed *present = &job->sealing.present;
	enum phial_status status = phial_cli_read_file(job->sealing.path, PHIAL_SEALED_MAX_BYTES,
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
					  job->sealing.path);
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
	job->sealing.path = strdup(job->call->values[OUTPUT]);
	if (!job->sealing.path) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "%s", job->sealing.name);
	}
	status = read_output(job, err);
	return status == PHIAL_OK ? phial_cli_load_signer(job->call->values[SIGNER], passphrases,
							  &job->sealing.signer, err)
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

	if (!job->sealing.present_is_trusted ||
	    !has_same_header(&job->sealing.header,
			     phial_sealed_get_header(job->sealing.present.sealed))) {
		return false;
	}
	phial_cli_try_identities(&identities);
	if (!identities || phial_secret_new(PHIAL_SECRET_MAX_BYTES, &old, NULL) != PHIAL_OK ||
	    phial_sealed_open(job->sealing.present.sealed, identities, old, NULL) != PHIAL_OK) {
		return false;
	}
	return phial_secret_equal(old, value);
}

static enum phial_status run_job(struct seal_job *job, struct phial_cli_passphrases *passphrases,
				 struct phial_error *err)
{
	const struct phial_cli_call *call = job->call;
	const struct phial_cli_value_options options = {
		.from = call->values[FROM],
		.name = job->sealing.name,
		.newline = call->values[TRIM_NEWLINE]	? PHIAL_CLI_NEWLINE_TRIM
			   : call->values[KEEP_NEWLINE] ? PHIAL_CLI_NEWLINE_KEEP
							: PHIAL_CLI_NEWLINE_NOTE,
		.may_be_empty = call->values[ALLOW_EMPTY] != NULL,
	};
	phial_auto_secret struct phial_secret *value = NULL;
	enum phial_status status =
		call->values[OUTPUT] ? prepare_alone(job, passphrases, err)
				     : phial_cli_sealing_prepare(&job->sealing, passphrases, err);

	if (status == PHIAL_OK) {
		status = phial_cli_read_value(&options, &value, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	if (is_unchanged(job, value)) {
		printf("%s is unchanged, not sealed anew\n", job->sealing.name);
		return PHIAL_OK;
	}
	return phial_cli_sealing_write(&job->sealing, value, err);
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
		.sealing = {
			.name = call->operands[0],
			.store_path = call->values[STORE],
			.signer_path = call->values[SIGNER],
			.sets_mode = call->values[MODE] != NULL,
			.sets_owner = call->values[OWNER] != NULL,
			.sets_not_after = call->values[NOT_AFTER] != NULL,
			.store = PHIAL_CLI_STORE_NONE,
		},
	};
	enum phial_status status = check_options(call, err);

	if (status == PHIAL_OK) {
		status = check_name(job.sealing.name, err);
	}
	if (status == PHIAL_OK) {
		status = parse_header(&job, err);
	}
	if (status == PHIAL_OK) {
		status = run_job(&job, &passphrases, err);
	}
	phial_cli_sealing_free(&job.sealing);
	return status;
}
