/* SPDX-License-Identifier: ISC */
/*
 * `phial policy check` and `phial policy sign`: the exceptions of a store. All problems of
 * the file are listed with line numbers; then whether each workload would get its secrets.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "cli/format.h"
#include "cli/keyfile.h"
#include "cli/store.h"
#include "policy/policy.h"

enum { CHECK_STORE };
enum { SIGN_PASSPHRASE_FD, SIGN_STORE };

const struct phial_cli_option phial_cli_policy_check_options[] = {
	[CHECK_STORE] = PHIAL_CLI_STORE_OPTION,
	{ 0 },
};
const struct phial_cli_option phial_cli_policy_sign_options[] = {
	[SIGN_PASSPHRASE_FD] = PHIAL_CLI_PASSPHRASE_OPTION,
	[SIGN_STORE] = PHIAL_CLI_STORE_OPTION,
	{ 0 },
};

#define PROBLEMS_MAX_BYTES ((size_t)1024 * 1024)

/* A policy's bytes and where they came from. */
struct policy_file {
	struct phial_cli_store store; /* fd < 0: the file lies in none */
	char *path;
	uint8_t *bytes;
	size_t length;
};

static void free_policy_file(struct policy_file *file)
{
	phial_cli_store_close(&file->store);
	phial_free_pointer(&file->path);
	phial_free_pointer(&file->bytes);
}

/* Read a FILE, or the policy of the store at or above a folder (NULL: the working directory). */
static enum phial_status read_policy(const char *where, struct policy_file *file,
				     struct phial_error *err)
{
	struct stat status;
	enum phial_status result;

	if (where && stat(where, &status) == 0 && !S_ISDIR(status.st_mode)) {
		file->path = strdup(where);
		result = file->path ? PHIAL_OK : phial_fail(err, PHIAL_SYSTEM, 0, "no memory");
	} else {
		result = phial_cli_store_locate(where, &file->store, err);
		if (result == PHIAL_OK) {
			result = phial_cli_join_path(file->store.path, ".phial/policy.json",
						     &file->path, err);
		}
	}
	if (result == PHIAL_OK) {
		result = phial_cli_read_file(file->path, PHIAL_TRUST_FILE_MAX, &file->bytes,
					     &file->length, err);
	}
	if (result == PHIAL_NOT_FOUND && file->store.fd >= 0) {
		return phial_fail(
			err, PHIAL_NOT_FOUND, 0,
			"%s is not there: no policy is needed where the convention is enough "
			"(workload W gets W/*)",
			file->path);
	}
	return result;
}

/* What the policy means for the secrets that are there. Adds a line for each failing workload. */
static enum phial_status try_workloads(const struct policy_file *file,
				       const struct phial_policy *policy,
				       struct phial_text *problems, struct phial_error *err)
{
	struct phial_store_names list = { 0 };
	enum phial_status status = phial_store_list(file->store.fd, &list, err);

	if (status != PHIAL_OK) {
		return status;
	}
	for (size_t i = 0; i < policy->workload_count; i++) {
		struct phial_error problem = { 0 };
		struct phial_grant_file *files = NULL;
		size_t count = 0;

		status = phial_policy_grant(policy, policy->workloads[i].name,
					    (const char *const *)list.names, list.count, &files,
					    &count, &problem);
		if (status == PHIAL_OK) {
			printf("%s: %zu file%s in %s\n", policy->workloads[i].name, count,
			       count == 1 ? "" : "s", phial_workload_target(&policy->workloads[i]));
			free(files);
		} else {
			phial_text_add(problems, "%s\n", problem.text);
		}
	}
	phial_store_names_free(&list);
	return PHIAL_OK;
}

static size_t count_lines(const struct phial_text *text)
{
	size_t count = 0;

	for (size_t i = 0; i < text->length; i++) {
		count += text->bytes[i] == '\n';
	}
	return count;
}

/* Check one policy and print what was found. ret_serial: of a good one. */
static enum phial_status check_policy(const struct policy_file *file, uint64_t *ret_serial,
				      struct phial_error *err)
{
	phial_auto_text struct phial_text problems = { .max = PROBLEMS_MAX_BYTES };
	struct phial_policy policy = { 0 };
	struct phial_error first = { 0 };
	enum phial_status status =
		phial_policy_parse(file->bytes, file->length, &policy, &problems, &first);

	if (status == PHIAL_OK) {
		*ret_serial = policy.serial;
		if (file->store.fd >= 0) {
			status = try_workloads(file, &policy, &problems, &first);
		}
		phial_policy_free(&policy);
	}
	size_t count = count_lines(&problems);

	if (status != PHIAL_OK && (status != PHIAL_MALFORMED || count == 0)) {
		return phial_fail(err, status, 0, "%s: %s", file->path, first.text);
	}
	if (count == 0) {
		return PHIAL_OK;
	}
	fputs(problems.bytes, stdout);
	return phial_fail(err, PHIAL_PROBLEMS, 0, "%zu problem%s in %s", count,
			  count == 1 ? "" : "s", file->path);
}

enum phial_status phial_cli_policy_check(const struct phial_cli_call *call, struct phial_error *err)
{
	const char *operand = phial_cli_operand(call, 0);
	struct policy_file file = { .store = PHIAL_CLI_STORE_NONE };
	uint64_t serial = 0;

	if (operand && call->values[CHECK_STORE]) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "give a file or folder, or --store, not both");
	}
	enum phial_status status =
		read_policy(operand ? operand : call->values[CHECK_STORE], &file, err);

	if (status == PHIAL_OK) {
		status = check_policy(&file, &serial, err);
	}
	if (status == PHIAL_OK) {
		phial_cli_print_safe(stdout, file.path);
		printf(": good, serial %" PRIu64 "\n", serial);
	}
	free_policy_file(&file);
	return status;
}

enum phial_status phial_cli_policy_sign(const struct phial_cli_call *call, struct phial_error *err)
{
	phial_auto_passphrases struct phial_cli_passphrases passphrases = {
		.fd_text = call->values[SIGN_PASSPHRASE_FD],
	};
	phial_auto_signer struct phial_signer *admin = NULL;
	struct policy_file file = { .store = PHIAL_CLI_STORE_NONE };
	uint64_t serial = 0;
	enum phial_status status = read_policy(call->values[SIGN_STORE], &file, err);

	if (status == PHIAL_OK && file.store.fd < 0) {
		status = phial_fail(err, PHIAL_USAGE, 0, "--store takes a folder");
	}
	if (status == PHIAL_OK) {
		status = check_policy(&file, &serial, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_pins_read(&file.store.pins, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_store_load_admin(&file.store, &passphrases, &admin, err);
	}
	sigset_t before;

	phial_cli_hold_signals(&before);
	if (status == PHIAL_OK) {
		status = phial_trust_write(file.store.fd, "policy.json", file.bytes, file.length,
					   admin, err);
	}
	phial_cli_release_signals(&before);
	if (status == PHIAL_OK) {
		printf("signed with serial %" PRIu64 " (hosts refuse it unless the serial grew)\n",
		       serial);
	}
	free_policy_file(&file);
	return status;
}
