/* SPDX-License-Identifier: ISC */
/*
 * Reading the store: verify, check the version against the marks, open, put into the ring. Marks
 * are durable before anything new may be released; a bad file changes nothing but its entry.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <phial/sealed.h>

#include "agent/expiry.h"
#include "agent/keep.h"
#include "agent/link.h"
#include "agent/log.h"
#include "agent/worker.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/secret.h"
#include "crypt/crypt.h"
#include "keyring/keyring.h"
#include "store/store.h"

/* A file made later than this much from now was made by a wrong clock, here or there. */
#define FUTURE_MAX_S (24 * 3600)

/* What one load works with. */
struct load {
	struct phial_worker *worker;
	int store_fd;
	struct phial_identities *identities;
	struct phial_secret *value;
	uint8_t *buffer; /* of phial_store_read_sealed() */
	size_t buffer_bytes;
	size_t file_bytes; /* of the file at hand, in buffer */
	int32_t *dropped;  /* keys of replaced versions, dropped once the marks are durable */
	size_t dropped_count;
	size_t changed;	  /* entries that got a new value */
	bool has_news;	  /* anything is other than before */
	bool *is_new;	  /* by entry: got a value in this load */
	bool found_older; /* a file that is older than what was seen here */
};

static void free_load(struct load *load)
{
	phial_identities_free(load->identities);
	phial_secret_free(load->value);
	free(load->buffer);
	free(load->dropped);
	free(load->is_new);
}

/* --- one file --------------------------------------------------------------------------- */

/* Keep the serials of a replaced value until the marks are durable. */
static void replace_loaded(struct load *load, struct phial_entry *entry,
			   const struct phial_loaded *loaded)
{
	size_t count = load->dropped_count + entry->loaded.serial_count;
	int32_t *larger = reallocarray(load->dropped, count + 1, sizeof(*larger));

	if (!larger) {
		abort(); /* a worker without memory is started anew, from the ring */
	}
	load->dropped = larger;
	if (entry->loaded.serial_count > 0) {
		memcpy(larger + load->dropped_count, entry->loaded.serials,
		       entry->loaded.serial_count * sizeof(*larger));
	}
	load->dropped_count = count;
	phial_loaded_clear(&entry->loaded);
	entry->loaded = *loaded;
	entry->loaded.loaded_ms = phial_worker_clock_ms();
	load->is_new[entry - load->worker->index.entries] = true;
	load->changed++;
	load->has_news = true;
}

/* What the header alone says against a file. */
static enum phial_status check_header(const struct load *load, const struct phial_entry *entry,
				      const struct phial_sealed_header *header,
				      struct phial_error *err)
{
	/* Not from the time of expiry: files made ahead of time would move it on, a day with each. */
	int64_t latest_s = phial_clock_own_s(&load->worker->clock) + FUTURE_MAX_S;

	if (strcmp(header->name, entry->name) != 0) {
		return phial_fail(err, PHIAL_BAD_NAME, 0,
				  "the file holds the secret %s; put it back in its place or seal "
				  "%s anew",
				  header->name, entry->name);
	}
	if (header->created_s > latest_s || header->version / 1000 > (uint64_t)latest_s) {
		return phial_fail(
			err, PHIAL_REFUSED, 0,
			"made more than a day in the future; check the clock of this host "
			"and of the one that sealed it");
	}
	if (header->created_s == 0) { /* "not known", for which there is no ttl */
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "made in 1970, which says nothing of its age; seal it anew");
	}
	const struct phial_revocation *revocation =
		phial_revocations_find(load->worker->revocations, entry->name, header->version,
				       NULL, NULL);

	if (revocation) {
		char text[PHIAL_ERROR_TEXT_BYTES];

		phial_revocation_describe(revocation, text, sizeof(text));
		return phial_fail(err, PHIAL_REVOKED, 0, "%s", text);
	}
	return phial_expiry_check(load->worker, entry, header->not_after_s, header->created_s, err);
}

static enum phial_status open_and_add(struct load *load, struct phial_entry *entry,
				      const struct phial_sealed *sealed,
				      const uint8_t digest[static PHIAL_DIGEST_BYTES],
				      struct phial_error *err)
{
	const struct phial_sealed_header *header = phial_sealed_get_header(sealed);
	const struct phial_opened opened = {
		.header = header,
		.value = load->value,
		.digest = digest,
		.file = load->buffer,
		.file_bytes = load->file_bytes,
	};
	struct phial_loaded loaded;
	enum phial_status status = phial_sealed_open(sealed, load->identities, load->value, err);

	if (status == PHIAL_OK) {
		status = phial_keep(load->worker, &opened, &loaded, err);
	}
	/* The bytes in use: wiping the whole MiB each time would be a tenth of a large load. */
	phial_secret_set_length(load->value, 0);
	if (status != PHIAL_OK) {
		return status;
	}
	status = phial_marks_note(load->worker->marks, entry->name, header->version, digest, err);
	if (status != PHIAL_OK) {
		phial_keep_drop_keys(load->worker, loaded.serials, loaded.serial_count);
		phial_loaded_clear(&loaded);
		return status;
	}
	replace_loaded(load, entry, &loaded);
	return PHIAL_OK;
}

/* Everything after reading. */
static enum phial_status load_file(struct load *load, struct phial_entry *entry,
				   struct phial_error *err)
{
	struct phial_worker *worker = load->worker;
	uint8_t digest[PHIAL_DIGEST_BYTES];
	struct phial_sealed *sealed = NULL;

	phial_hash_256(load->buffer, load->file_bytes, digest);
	bool is_same = phial_loaded_exists(&entry->loaded) &&
		       memcmp(digest, entry->loaded.digest, sizeof(digest)) == 0;
	enum phial_status status = phial_sealed_parse(load->buffer, load->file_bytes, &sealed, err);

	if (status != PHIAL_OK) {
		return status;
	}
	const struct phial_sealed_header *header = phial_sealed_get_header(sealed);

	/* From a worker that died before its mark was durable: as if it were not there. */
	is_same = is_same && phial_marks_has(worker->marks, entry->name, header->version);
	bool is_verified = is_same && entry->loaded.signers_serial == worker->trust->signers.serial;

	entry->file_version = header->version;
	status = check_header(load, entry, header, err);
	if (status == PHIAL_OK && !is_verified) {
		status = phial_sealed_verify(sealed, worker->trust->trusted,
					     worker->trust->signers.count, NULL, err);
	}
	if (status == PHIAL_OK) {
		status =
			phial_marks_check(worker->marks, entry->name, header->version, digest, err);
	}
	if (status == PHIAL_OK) {
		phial_clock_raise(&worker->clock, header->created_s);
	}
	if (status == PHIAL_OK && !is_same) {
		status = open_and_add(load, entry, sealed, digest, err);
	}
	if (status == PHIAL_OK) {
		entry->loaded.signers_serial = worker->trust->signers.serial;
	}
	phial_sealed_free(sealed);
	return status;
}

/* A reason stands behind the name wherever it is shown. */
static const char *without_name(const char *text, const char *name)
{
	size_t length = strlen(name);

	return strncmp(text, name, length) == 0 && strncmp(text + length, ": ", 2) == 0
		       ? text + length + 2
		       : text;
}

/* What to do about a file, where its fault alone does not say it. */
static const char *next_step(enum phial_status status)
{
	switch ((int)status) {
	case PHIAL_MALFORMED:
	case PHIAL_TAMPERED:
		return "; get the file again from where the store is kept, or seal it anew";
	case PHIAL_UNTRUSTED:
		return "; let one seal it who may, or an admin change .phial/signers";
	default:
		return "";
	}
}

static void load_stored(struct load *load, struct phial_entry *entry)
{
	char text[PHIAL_ERROR_TEXT_BYTES + 128];
	struct phial_error err = { .status = PHIAL_OK };

	entry->file_version = 0; /* of a file that cannot be read, too */
	enum phial_status status =
		phial_store_read_sealed(load->store_fd, entry->name, &load->buffer,
					&load->buffer_bytes, &load->file_bytes, &err);

	if (status == PHIAL_OK) {
		status = load_file(load, entry, &err);
	}
	(void)snprintf(text, sizeof(text), "%s%s", without_name(err.text, entry->name),
		       next_step(status));
	const char *reason = status == PHIAL_OK ? NULL : text;
	bool is_known = status == entry->status &&
			(!reason || (entry->reason && !strcmp(entry->reason, reason)));

	if (is_known) {
		return;
	}
	phial_entry_set(entry, status, reason);
	load->has_news = true;
	if (status == PHIAL_ROLLBACK) {
		load->found_older = true; /* told once for all of them */
	} else if (reason && !phial_entry_is_foreign(entry)) {
		phial_log("refused %s.sealed: %s", entry->name, reason);
	}
}

/* What the store says goes aside again where an override is in force. */
static void load_entry(struct load *load, struct phial_entry *entry)
{
	bool has_override = entry->override_until_ms != 0;

	if (has_override) {
		phial_entry_swap(entry);
	}
	load_stored(load, entry);
	if (has_override) {
		phial_entry_swap(entry);
	}
}

/* --- the whole store -------------------------------------------------------------------- */

enum phial_status phial_worker_read_identity(const struct phial_worker *worker,
					     struct phial_identities **ret_identities,
					     struct phial_error *err)
{
	phial_auto_secret struct phial_secret *payload = NULL;
	phial_auto_secret struct phial_secret *text = NULL;
	size_t length = 0;
	enum phial_status status = phial_secret_new(PHIAL_KEY_PAYLOAD_MAX, &payload, err);

	if (status == PHIAL_OK) {
		status = phial_secret_new(PHIAL_KEY_PART_MAX, &text, err);
	}
	if (status == PHIAL_OK) {
		status = phial_keyring_read(worker->start->identity_serial,
					    phial_secret_bytes(payload),
					    phial_secret_capacity(payload), &length, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	if (length < PHIAL_KEY_HEADER_BYTES || length > phial_secret_capacity(payload)) {
		return phial_fail(err, PHIAL_TAMPERED, 0, "the identity in the ring is damaged");
	}
	status = phial_secret_append(text,
				     phial_secret_const_bytes(payload) + PHIAL_KEY_HEADER_BYTES,
				     length - PHIAL_KEY_HEADER_BYTES, err);
	if (status != PHIAL_OK) {
		return status;
	}
	return phial_identities_parse(text, NULL, ret_identities, err);
}

/*
 * A trust file's serial may not fall, nor one serial stand for two files. serial 0: the file is
 * not there, which is refused if it ever was.
 */
static enum phial_status mark_trust_file(struct phial_worker *worker, const char *name,
					 uint64_t serial,
					 const uint8_t digest[static PHIAL_DIGEST_BYTES],
					 struct phial_error *err)
{
	enum phial_status status = phial_marks_check(worker->marks, name, serial, digest, err);

	if (status != PHIAL_OK || serial == 0) {
		return status;
	}
	return phial_marks_note(worker->marks, name, serial, digest, err);
}

static enum phial_status check_trust_marks(struct phial_worker *worker,
					   const struct phial_trust *trust,
					   const struct phial_policy *policy,
					   struct phial_error *err)
{
	enum phial_status status =
		mark_trust_file(worker, ".phial/recipients", trust->recipients.serial,
				trust->recipients_digest, err);

	if (status == PHIAL_OK) {
		status = mark_trust_file(worker, ".phial/signers", trust->signers.serial,
					 trust->signers_digest, err);
	}
	if (status == PHIAL_OK) {
		status = mark_trust_file(worker, ".phial/policy.json", policy->serial,
					 trust->policy_digest, err);
	}
	return status;
}

/* Take over who may sign and what the policy says, if all of it is good. */
static enum phial_status load_trust(struct load *load, int trust_fd, struct phial_error *err)
{
	struct phial_worker *worker = load->worker;
	phial_auto_free uint8_t *pin_bytes = NULL;
	size_t pin_length = 0;
	struct phial_pins pins;
	phial_auto_trust struct phial_trust *trust = NULL;
	struct phial_policy policy = { 0 };
	enum phial_status status =
		phial_read_all(trust_fd, PHIAL_KEY_FILE_MAX_BYTES, &pin_bytes, &pin_length, err);

	if (status == PHIAL_OK) {
		status = phial_pins_parse((const char *)pin_bytes, pin_length, &pins, err);
	}
	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "%s", worker->start->options->trust);
	}
	status = phial_trust_read(load->store_fd, &pins, &trust, err);
	if (status == PHIAL_OK) {
		status =
			phial_policy_parse(trust->policy, trust->policy_length, &policy, NULL, err);
	}
	if (status == PHIAL_OK) {
		status = check_trust_marks(worker, trust, &policy, err);
	}
	if (status != PHIAL_OK) {
		phial_policy_free(&policy);
		return status;
	}
	load->has_news = load->has_news || !worker->trust ||
			 worker->trust->signers.serial != trust->signers.serial ||
			 worker->trust->recipients.serial != trust->recipients.serial ||
			 worker->policy.serial != policy.serial;
	phial_trust_free(worker->trust);
	phial_policy_free(&worker->policy);
	worker->trust = phial_take_pointer(trust);
	worker->policy = policy;
	return PHIAL_OK;
}

static enum phial_status list_names(struct load *load, struct phial_error *err)
{
	struct phial_worker *worker = load->worker;
	struct phial_store_names names = { 0 };
	enum phial_status status = phial_store_list_watched(load->store_fd, phial_watch_directory,
							    &worker->watch, &names, err);

	if (status == PHIAL_OK) {
		status = phial_index_update(&worker->index, names.names, names.count, err);
	}
	if (status == PHIAL_OK) {
		for (size_t i = 0; i < worker->file_problem_count; i++) {
			free(worker->file_problems[i]);
		}
		free(worker->file_problems);
		worker->file_problems = phial_take_pointer(names.problems);
		worker->file_problem_count = names.problem_count;
		names.problem_count = 0;
	}
	phial_store_names_free(&names);
	if (status == PHIAL_OK) {
		load->is_new = calloc(worker->index.count + 1, sizeof(*load->is_new));
		if (!load->is_new) {
			status = phial_fail(err, PHIAL_SYSTEM, ENOMEM, "load the store");
		}
	}
	return status;
}

/* The marks could not be written: nothing of this load may be released. */
static void take_back(struct load *load, const struct phial_error *reason)
{
	struct phial_index *index = &load->worker->index;

	for (size_t i = 0; i < index->count; i++) {
		struct phial_entry *entry = &index->entries[i];

		bool has_override = entry->override_until_ms != 0;

		if (!load->is_new[i]) {
			continue;
		}
		if (has_override) {
			phial_entry_swap(entry);
		}
		phial_admin_unload(load->worker, entry, reason->status, reason->text);
		if (has_override) {
			phial_entry_swap(entry);
		}
	}
}

static enum phial_status load_all(struct load *load, int trust_fd, struct phial_error *err)
{
	struct phial_worker *worker = load->worker;
	enum phial_status status = load_trust(load, trust_fd, err);

	if (status == PHIAL_OK) {
		status = phial_worker_read_identity(worker, &load->identities, err);
	}
	if (status == PHIAL_OK) {
		status = phial_secret_new(PHIAL_SECRET_MAX_BYTES, &load->value, err);
	}
	if (status == PHIAL_OK) {
		status = list_names(load, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	phial_expiry_prepare(worker);
	for (size_t i = 0; i < worker->index.count; i++) {
		if (!worker->index.entries[i].is_missing) {
			load_entry(load, &worker->index.entries[i]);
		}
	}
	status = phial_marks_sync(worker->marks, err);
	if (status != PHIAL_OK) {
		(void)phial_fail_prefix(err,
					"nothing new is released, the marks cannot be written");
		take_back(load, err);
	}
	phial_keep_drop_keys(worker, load->dropped, load->dropped_count);
	return status;
}

/* One line for all files that are older than what was seen here: the store is, or was put back. */
static void tell_older(struct phial_worker *worker, const struct load *load)
{
	const struct phial_entry *first = NULL;
	const char *reason = NULL;
	size_t count = 0;

	for (size_t i = 0; i < worker->index.count; i++) {
		const struct phial_entry *entry = &worker->index.entries[i];
		bool has_override = entry->override_until_ms != 0;

		if ((has_override ? entry->aside.status : entry->status) != PHIAL_ROLLBACK) {
			continue;
		}
		if (count++ == 0) {
			first = entry;
			reason = has_override ? entry->aside.reason : entry->reason;
		}
	}
	worker->store_older[0] = '\0';
	if (first) {
		(void)snprintf(worker->store_older, sizeof(worker->store_older),
			       "the store is older than what this host has seen: %zu secret%s "
			       "refused, e.g. %s: %s",
			       count, count == 1 ? "" : "s", first->name, reason ? reason : "");
	}
	if (load->found_older) {
		phial_log("%s", worker->store_older);
	}
}

static void log_summary(const struct phial_worker *worker, const struct load *load)
{
	size_t loaded = 0;
	size_t refused = 0;
	size_t foreign = 0;

	for (size_t i = 0; i < worker->index.count; i++) {
		const struct phial_entry *entry = &worker->index.entries[i];

		loaded += phial_loaded_exists(&entry->loaded);
		foreign += phial_entry_is_foreign(entry);
		refused += entry->status != PHIAL_OK && !phial_entry_is_foreign(entry);
	}
	if (worker->store_problem[0] != '\0') {
		phial_log("store read: it cannot be used, %zu secret%s stay%s loaded", loaded,
			  loaded == 1 ? "" : "s", loaded == 1 ? "s" : "");
		return;
	}
	phial_log("store read: %zu secret%s loaded (%zu new), %zu refused, %zu not for this host",
		  loaded, loaded == 1 ? "" : "s", load->changed, refused, foreign);
}

/* Names without a file: what has vanished, or come back. */
static size_t count_missing(const struct phial_worker *worker)
{
	size_t missing = 0;

	for (size_t i = 0; i < worker->index.count; i++) {
		missing += worker->index.entries[i].is_missing;
	}
	return missing;
}

void phial_worker_load(struct phial_worker *worker, int store_fd, int trust_fd)
{
	struct load load = { .worker = worker, .store_fd = store_fd };
	struct phial_error err = { .status = PHIAL_OK };
	size_t missing = count_missing(worker);

	phial_watch_begin(&worker->watch, store_fd);
	enum phial_status status =
		store_fd >= 0
			? load_all(&load, trust_fd, &err)
			: phial_fail(&err, PHIAL_NOT_FOUND, 0,
				     "there is no store at %s, or no pinned admin key in %s; "
				     "run \"phial setup\"",
				     worker->start->options->store, worker->start->options->trust);

	load.has_news = load.has_news || count_missing(worker) != missing ||
			strcmp(worker->store_problem, status == PHIAL_OK ? "" : err.text) != 0;
	worker->store_problem[0] = '\0';
	if (status != PHIAL_OK) {
		memcpy(worker->store_problem, err.text, sizeof(worker->store_problem));
		phial_log("the store cannot be used as it is: %s", err.text);
	}
	tell_older(worker, &load);
	phial_worker_ensure_workloads(worker);
	worker->loaded_at_s = phial_worker_now_s(worker);
	worker->is_loaded = true;
	/* What was refused now because it has expired must not be good for the next agent. */
	phial_clock_save(&worker->clock);
	log_summary(worker, &load);
	phial_watch_end(&worker->watch, load.has_news);
	free_load(&load);
}
