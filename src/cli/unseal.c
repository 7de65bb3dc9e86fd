/* SPDX-License-Identifier: ISC */
/*
 * `phial unseal`: verify, check the expiry, open, and write exactly the value's bytes. The
 * terminal gets them only on request.
 */
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "cli/keyfile.h"
#include "cli/store.h"

enum { IDENTITY, SIGNERS, REVEAL, UNSIGNED, PASSPHRASE_FD, STORE };

const struct phial_cli_option phial_cli_unseal_options[] = {
	[IDENTITY] = { "identity", 'i', false, "FILE", "an age key file (default: my own)" },
	[SIGNERS] = { "signers", 0, false, "FILE", "believe these, lines as in .phial/signers" },
	[REVEAL] = { "reveal", 0, false, NULL, "write the value even to a terminal" },
	[UNSIGNED] = { "insecure-unsigned", 0, false, NULL, "do not ask who signed it" },
	[PASSPHRASE_FD] = PHIAL_CLI_PASSPHRASE_OPTION,
	[STORE] = PHIAL_CLI_STORE_OPTION,
	{ 0 },
};

struct unseal_job {
	const struct phial_cli_call *call;
	struct phial_cli_store store;	 /* trust NULL: none was needed */
	struct phial_trust_list signers; /* of --signers */
	struct phial_cli_sealed sealed;
	char *store_of_file; /* where to look for the store of a FILE */
};

/* A path is told from a name by its looks only, so that no file can change the meaning. */
static bool is_file_operand(const char *text)
{
	size_t length = strlen(text);
	size_t suffix = strlen(".sealed");

	return text[0] == '/' || text[0] == '.' ||
	       (length > suffix && strcmp(text + length - suffix, ".sealed") == 0);
}

/* Read a FILE, which need not lie in a store. */
static enum phial_status read_file(struct unseal_job *job, const char *path,
				   struct phial_error *err)
{
	enum phial_status status =
		phial_cli_read_file(path, PHIAL_SEALED_MAX_BYTES, &job->sealed.buffer,
				    &job->sealed.length, err);

	if (status != PHIAL_OK) {
		return status;
	}
	status = phial_sealed_parse(job->sealed.buffer, job->sealed.length, &job->sealed.sealed,
				    err);
	return status == PHIAL_OK ? status : phial_fail_prefix(err, "%s", path);
}

/* Names that were perhaps meant. */
static enum phial_status fail_not_found(const struct unseal_job *job, const char *name,
					struct phial_error *err)
{
	struct phial_store_names list = { 0 };
	enum phial_status listed = phial_store_list(job->store.fd, &list, NULL);
	const char *near = listed == PHIAL_OK ? phial_nearest(name, (const char *const *)list.names,
							      list.count)
					      : NULL;
	enum phial_status status =
		phial_fail(err, PHIAL_NOT_FOUND, 0, "no secret \"%s\" in %s%s%s%s", name,
			   job->store.path, near ? ", did you mean \"" : " (phial ls lists them)",
			   near ? near : "", near ? "\"?" : "");

	if (listed == PHIAL_OK) {
		phial_store_names_free(&list);
	}
	return status;
}

static enum phial_status read_name(struct unseal_job *job, const char *name,
				   struct phial_error *err)
{
	enum phial_status status = phial_name_check(name, err);

	if (status == PHIAL_OK) {
		status = phial_cli_store_locate(job->call->values[STORE], &job->store, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	status = phial_cli_sealed_read(job->store.fd, name, &job->sealed, err);
	if (status == PHIAL_NOT_FOUND) {
		return fail_not_found(job, name, err);
	}
	return status == PHIAL_OK ? status : phial_fail_prefix(err, "%s", name);
}

/* --signers FILE: the lines of .phial/signers, with or without its two head lines. */
static enum phial_status read_signers(struct unseal_job *job, const char *path,
				      struct phial_error *err)
{
	static const char head[] = "phial signers v1\n";
	phial_auto_text struct phial_text text = { .max = PHIAL_TRUST_FILE_MAX };
	phial_auto_free uint8_t *bytes = NULL;
	size_t length = 0;
	enum phial_status status =
		phial_cli_read_file(path, PHIAL_TRUST_FILE_MAX / 2, &bytes, &length, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (length < sizeof(head) - 1 || memcmp(bytes, head, sizeof(head) - 1) != 0) {
		phial_text_add(&text, "%sserial: 1\n", head);
	}
	phial_text_add_bytes(&text, bytes, length);
	if (text.has_failed) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "%s is too large", path);
	}
	status = phial_trust_list_parse(PHIAL_TRUST_SIGNERS, (const uint8_t *)text.bytes,
					text.length, &job->signers, err);
	return status == PHIAL_OK ? status : phial_fail_prefix(err, "%s", path);
}

/* Verify against the entries of --signers, one by one: the list is a person's and short. */
static enum phial_status verify_by_list(struct unseal_job *job, struct phial_error *err)
{
	const struct phial_sealed_header *header = phial_sealed_get_header(job->sealed.sealed);
	const struct phial_trust_entry *entry =
		phial_cli_find_signer(&job->signers, &header->signer);
	struct phial_trusted_signer signer = { 0 };

	if (!entry) {
		return phial_sealed_verify(job->sealed.sealed, NULL, 0, NULL, err);
	}
	memcpy(signer.name, entry->name, sizeof(signer.name));
	signer.key = entry->signer;
	signer.patterns = (const char *const *)entry->patterns;
	signer.pattern_count = entry->pattern_count;
	return phial_sealed_verify(job->sealed.sealed, &signer, 1, NULL, err);
}

/* Verify against the signers of the store that the file lies in. */
static enum phial_status verify_by_store(struct unseal_job *job, const char *operand,
					 struct phial_error *err)
{
	const char *start = job->call->values[STORE];

	if (!start && is_file_operand(operand)) {
		job->store_of_file = strdup(operand);
		if (!job->store_of_file) {
			return phial_fail(err, PHIAL_SYSTEM, 0, "no memory");
		}
		start = dirname(job->store_of_file);
	}
	phial_cli_store_close(&job->store);
	enum phial_status status = phial_cli_store_open(start, &job->store, err);

	if (status == PHIAL_NOT_FOUND && is_file_operand(operand) && !job->store.path) {
		return phial_fail(
			err, status, 0,
			"%s lies in no store: say whom to believe with --signers FILE, or "
			"nobody with --insecure-unsigned",
			operand);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	return phial_sealed_verify(job->sealed.sealed, job->store.trust->trusted,
				   job->store.trust->signers.count, NULL, err);
}

static enum phial_status verify(struct unseal_job *job, const char *operand,
				struct phial_error *err)
{
	const char *signers = job->call->values[SIGNERS];
	enum phial_status status;

	if (job->call->values[UNSIGNED]) {
		fprintf(stderr,
			"phial: warning: nobody's signature is asked for: anyone may have written "
			"this value\n");
		phial_sealed_accept_unsigned(job->sealed.sealed);
		return PHIAL_OK;
	}
	if (signers) {
		status = read_signers(job, signers, err);
		return status == PHIAL_OK ? verify_by_list(job, err) : status;
	}
	return verify_by_store(job, operand, err);
}

static enum phial_status open_and_write(struct unseal_job *job, struct phial_error *err)
{
	phial_auto_passphrases struct phial_cli_passphrases passphrases = {
		.fd_text = job->call->values[PASSPHRASE_FD],
	};
	phial_auto_identities struct phial_identities *identities = NULL;
	phial_auto_secret struct phial_secret *value = NULL;
	enum phial_status status = phial_cli_load_identities(job->call->values[IDENTITY],
							     &passphrases, &identities, err);

	if (status == PHIAL_OK) {
		status = phial_secret_new(PHIAL_SECRET_MAX_BYTES, &value, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	status = phial_sealed_open(job->sealed.sealed, identities, value, err);
	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "%s",
					 phial_sealed_get_header(job->sealed.sealed)->name);
	}
	status = phial_secret_write_fd(value, STDOUT_FILENO, err);
	return status == PHIAL_OK ? status : phial_fail_prefix(err, "stdout");
}

static enum phial_status run_job(struct unseal_job *job, const char *operand,
				 struct phial_error *err)
{
	enum phial_status status = is_file_operand(operand) ? read_file(job, operand, err)
							    : read_name(job, operand, err);

	if (status != PHIAL_OK) {
		return status;
	}
	status = verify(job, operand, err);
	if (status == PHIAL_OK) {
		status = phial_cli_sealed_check_expiry(&job->sealed, err);
	}
	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "%s",
					 phial_sealed_get_header(job->sealed.sealed)->name);
	}
	return open_and_write(job, err);
}

enum phial_status phial_cli_unseal(const struct phial_cli_call *call, struct phial_error *err)
{
	struct unseal_job job = { .call = call, .store = PHIAL_CLI_STORE_NONE };

	if (call->values[SIGNERS] && call->values[UNSIGNED]) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--signers and --insecure-unsigned exclude each other");
	}
	if (isatty(STDOUT_FILENO) && !call->values[REVEAL]) {
		return phial_fail(
			err, PHIAL_REFUSED, 0,
			"the value is not written to a terminal: redirect stdout, or give "
			"--reveal");
	}
	enum phial_status status = run_job(&job, call->operands[0], err);

	phial_trust_list_free(&job.signers);
	phial_cli_sealed_free(&job.sealed);
	phial_cli_store_close(&job.store);
	phial_free_pointer(&job.store_of_file);
	return status;
}
