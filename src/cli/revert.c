/* SPDX-License-Identifier: ISC */
/*
 * `phial revert`: an old value as a new version. Finds its sealed file in the store's history,
 * verifies it by the signers of today, opens it with the caller's key and seals it anew.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/secret.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "cli/format.h"
#include "cli/history.h"
#include "cli/sealing.h"
#include "cli/store.h"

enum { TO, LIST, FROM, NOT_AFTER, IDENTITY, SIGNER, PASSPHRASE_FD, JSON, STORE };

const struct phial_cli_option phial_cli_revert_options[] = {
	[TO] = { "to", 0, false, "VERSION", "the version whose value is to come back" },
	[LIST] = { "list", 0, false, NULL, "list the versions that the history has" },
	[FROM] = { "from", 0, false, "FILE", "the old sealed file, where git does not have it" },
	[NOT_AFTER] = { "not-after", 0, false, "TIME|+90d", "refuse the value from then on" },
	[IDENTITY] = { "identity", 'i', false, "FILE", "an age key file (default: my own)" },
	[SIGNER] = { "signer", 's', false, "FILE", "my minisign secret key (default: my own)" },
	[PASSPHRASE_FD] = PHIAL_CLI_PASSPHRASE_OPTION,
	[JSON] = { "json", 0, false, NULL, "with --list: print JSON" },
	[STORE] = PHIAL_CLI_STORE_OPTION,
	{ 0 },
};

struct revert_job {
	const struct phial_cli_call *call;
	uint64_t wanted; /* 0: the one of --from, whatever it is */
	struct phial_cli_passphrases passphrases;
	struct phial_cli_sealing sealing;
	struct phial_secret *value; /* once it was found */
	enum phial_status status;   /* of the version that was found */
	struct phial_error *err;
	size_t seen; /* versions in the history */
};

static enum phial_status check_options(struct revert_job *job, struct phial_error *err)
{
	const struct phial_cli_call *call = job->call;
	const char *to = call->values[TO];
	bool lists = call->values[LIST] != NULL;

	if (lists ? to || call->values[FROM] : !to && !call->values[FROM]) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "give --to VERSION (--list lists them), or the old file with "
				  "--from FILE.sealed");
	}
	if (call->values[JSON] && !lists) {
		return phial_fail(err, PHIAL_USAGE, 0, "--json goes with --list");
	}
	if (to && !phial_parse_u64(phial_span_of(to), 1, UINT64_C(1) << 53, &job->wanted)) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--to takes a version as phial revert --list and phial inspect "
				  "show it");
	}
	enum phial_status status = phial_name_check(job->sealing.name, err);

	if (status == PHIAL_OK && call->values[NOT_AFTER]) {
		job->sealing.sets_not_after = true;
		status = phial_cli_parse_not_after(call->values[NOT_AFTER], phial_cli_now_s(),
						   &job->sealing.header.not_after_s, err);
	}
	return status;
}

/* --- the list ----------------------------------------------------------------------------- */

struct listing {
	struct phial_cli_store *store;
	struct phial_cli_table table;
	struct phial_json *versions; /* NULL: for people */
	uint64_t present;
	size_t count;
};

static bool list_version(void *context, const char *commit, struct phial_sealed *sealed)
{
	struct listing *listing = context;
	const struct phial_sealed_header *header = phial_sealed_get_header(sealed);
	bool is_good =
		phial_sealed_verify(sealed, listing->store->trust->trusted,
				    listing->store->trust->signers.count, NULL, NULL) == PHIAL_OK;
	bool is_present = header->version == listing->present;
	char version[24];
	char created[PHIAL_TIME_TEXT_BYTES];

	listing->count++;
	if (listing->versions) {
		struct phial_json *object = phial_json_add_object(listing->versions, NULL);

		phial_cli_json_header(object, header);
		phial_json_add_string(object, "commit", commit);
		phial_json_add_bool(object, "is_trusted", is_good);
		phial_json_add_bool(object, "is_present", is_present);
		return true;
	}
	(void)snprintf(version, sizeof(version), "%" PRIu64, header->version);
	phial_format_time(header->created_s, created);
	phial_cli_table_add(&listing->table, version);
	phial_cli_table_add(&listing->table, created);
	phial_cli_table_add(&listing->table, commit);
	phial_cli_table_add(&listing->table, is_present ? "in the store now"
					     : is_good	? ""
							: "not signed by who may sign today");
	return true;
}

static enum phial_status list_history(struct revert_job *job, struct phial_error *err)
{
	phial_auto_json struct phial_json *root = phial_json_new_object();
	struct phial_cli_sealing *sealing = &job->sealing;
	struct listing listing = { .store = &sealing->store, .table = { .columns = 4 } };
	enum phial_status status =
		phial_cli_store_open(job->call->values[STORE], &sealing->store, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (phial_cli_sealed_read(sealing->store.fd, sealing->name, &sealing->present, NULL) ==
	    PHIAL_OK) {
		listing.present = phial_sealed_get_header(sealing->present.sealed)->version;
	}
	if (job->call->values[JSON]) {
		listing.versions = phial_json_add_array(root, "versions");
	}
	phial_cli_table_add(&listing.table, "VERSION");
	phial_cli_table_add(&listing.table, "CREATED");
	phial_cli_table_add(&listing.table, "COMMIT");
	phial_cli_table_add(&listing.table, "");
	status = phial_cli_history_walk(sealing->store.path, sealing->name, list_version, &listing,
					err);
	if (status == PHIAL_OK && listing.count == 0) {
		status = phial_fail(err, PHIAL_NOT_FOUND, 0, "no commit of %s has a version of %s",
				    sealing->store.path, sealing->name);
	}
	if (status == PHIAL_OK && listing.versions) {
		status = phial_cli_print_json(root, err);
	} else if (status == PHIAL_OK) {
		phial_cli_table_print(&listing.table);
	}
	phial_cli_table_free(&listing.table);
	return status;
}

/* --- the old version ---------------------------------------------------------------------- */

/* Mode and owner come back with the value. An old expiry time does not: it may have passed. */
static void take_header(struct revert_job *job, const struct phial_sealed_header *old)
{
	struct phial_sealed_header *header = &job->sealing.header;

	header->mode = old->mode;
	header->owner_uid = old->owner_uid;
	header->owner_gid = old->owner_gid;
	if (!job->sealing.sets_not_after && old->not_after_s != 0) {
		char text[PHIAL_TIME_TEXT_BYTES];

		phial_format_time(old->not_after_s, text);
		fprintf(stderr,
			"phial: note: version %" PRIu64 " was good until %s, the new one has no "
			"expiry time (--not-after sets one)\n",
			old->version, text);
	}
	job->sealing.sets_not_after = true;
}

static enum phial_status open_old(struct revert_job *job, struct phial_sealed *sealed,
				  struct phial_error *err)
{
	const struct phial_trust *trust = job->sealing.store.trust;
	const struct phial_sealed_header *old = phial_sealed_get_header(sealed);
	phial_auto_identities struct phial_identities *identities = NULL;
	phial_auto_secret struct phial_secret *value = NULL;
	enum phial_status status =
		phial_sealed_verify(sealed, trust->trusted, trust->signers.count, NULL, err);

	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "version %" PRIu64, old->version);
	}
	status = phial_cli_load_identities(job->call->values[IDENTITY], &job->passphrases,
					   &identities, err);
	if (status == PHIAL_OK) {
		status = phial_secret_new(PHIAL_SECRET_MAX_BYTES, &value, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	status = phial_sealed_open(sealed, identities, value, err);
	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "version %" PRIu64, old->version);
	}
	take_header(job, old);
	job->value = phial_take_pointer(value);
	return PHIAL_OK;
}

static bool take_wanted(void *context, const char *commit, struct phial_sealed *sealed)
{
	struct revert_job *job = context;

	job->seen++;
	if (phial_sealed_get_header(sealed)->version != job->wanted) {
		return true;
	}
	job->status = open_old(job, sealed, job->err);
	if (job->status == PHIAL_OK) {
		printf("version %" PRIu64 " of %s is in commit %.12s\n", job->wanted,
		       job->sealing.name, commit);
	}
	return false;
}

static enum phial_status find_in_history(struct revert_job *job, struct phial_error *err)
{
	const struct phial_cli_sealing *sealing = &job->sealing;

	job->err = err;
	job->status = PHIAL_NOT_FOUND;
	enum phial_status status =
		phial_cli_history_walk(sealing->store.path, sealing->name, take_wanted, job, err);

	if (status == PHIAL_OK && job->status == PHIAL_NOT_FOUND && !job->value) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0,
				  "none of the %zu versions of %s in the history is %" PRIu64
				  " (--list lists them; a shallow clone lacks old ones); --from "
				  "takes the file itself",
				  job->seen, sealing->name, job->wanted);
	}
	return status == PHIAL_OK ? job->status : status;
}

/* The file of --from, or the one in the store if that is the version. */
static enum phial_status find_in_file(struct revert_job *job, struct phial_error *err)
{
	const char *path = job->call->values[FROM];
	struct phial_cli_sealed file = { 0 };
	enum phial_status status =
		phial_cli_read_file(path, PHIAL_SEALED_MAX_BYTES, &file.buffer, &file.length, err);

	if (status == PHIAL_OK) {
		status = phial_sealed_parse(file.buffer, file.length, &file.sealed, err);
	}
	if (status == PHIAL_OK) {
		const struct phial_sealed_header *header = phial_sealed_get_header(file.sealed);

		if (strcmp(header->name, job->sealing.name) != 0) {
			status = phial_fail(err, PHIAL_BAD_NAME, 0, "it is a file of %s",
					    header->name);
		} else if (job->wanted != 0 && header->version != job->wanted) {
			status = phial_fail(err, PHIAL_NOT_FOUND, 0, "it is version %" PRIu64,
					    header->version);
		}
	}
	if (status == PHIAL_OK) {
		status = open_old(job, file.sealed, err);
	}
	phial_cli_sealed_free(&file);
	return status == PHIAL_OK ? status : phial_fail_prefix(err, "%s", path);
}

static enum phial_status find_old(struct revert_job *job, struct phial_error *err)
{
	struct phial_sealed *present = job->sealing.present.sealed;

	if (job->call->values[FROM]) {
		return find_in_file(job, err);
	}
	if (present && phial_sealed_get_header(present)->version == job->wanted) {
		return open_old(job, present, err); /* hosts have seen a newer one */
	}
	return find_in_history(job, err);
}

static enum phial_status revert(struct revert_job *job, struct phial_error *err)
{
	struct phial_cli_sealing *sealing = &job->sealing;

	/* What is there now is not to be inherited from. */
	sealing->sets_mode = true;
	sealing->sets_owner = true;
	(void)snprintf(sealing->header.name, sizeof(sealing->header.name), "%s", sealing->name);
	bool sets_not_after = sealing->sets_not_after;

	sealing->sets_not_after = true;
	enum phial_status status = phial_cli_sealing_prepare(sealing, &job->passphrases, err);

	sealing->sets_not_after = sets_not_after;
	if (status == PHIAL_OK) {
		status = find_old(job, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_sealing_write(sealing, job->value, err);
	}
	if (status == PHIAL_OK) {
		printf("next: phial verify, then commit and push\n");
	}
	return status;
}

enum phial_status phial_cli_revert(const struct phial_cli_call *call, struct phial_error *err)
{
	struct revert_job job = {
		.call = call,
		.passphrases = { .fd_text = call->values[PASSPHRASE_FD] },
		.sealing = {
			.name = call->operands[0],
			.store_path = call->values[STORE],
			.signer_path = call->values[SIGNER],
			.store = PHIAL_CLI_STORE_NONE,
		},
	};
	enum phial_status status = check_options(&job, err);

	if (status == PHIAL_OK) {
		status = call->values[LIST] ? list_history(&job, err) : revert(&job, err);
	}
	phial_secret_free(job.value);
	phial_cli_sealing_free(&job.sealing);
	phial_cli_passphrases_free(&job.passphrases);
	return status;
}
