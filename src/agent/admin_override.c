/* SPDX-License-Identifier: ISC */
/*
 * Overrides: a value that the host's root gives by hand, until a deadline. It is in the ring and
 * nowhere else; its number alone is written down (revocations.h), so that it ends everywhere.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/admin.h"
#include "agent/keep.h"
#include "agent/live.h"
#include "agent/log.h"
#include "agent/worker.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/secret.h"
#include "wire/admin_protocol.h"

/* --- the end ------------------------------------------------------------------------------- */

static void audit_end(struct phial_worker *worker, const struct phial_entry *entry, const char *why)
{
	const struct phial_audit_secret secret = { entry->name, entry->loaded.version };
	char reason[PHIAL_ERROR_TEXT_BYTES];
	const struct phial_audit_change change = {
		.kind = PHIAL_AUDIT_OVERRIDE,
		.secrets = &secret,
		.secret_count = 1,
		.reason = reason,
	};

	(void)snprintf(reason, sizeof(reason), "the override is over: %s", why);
	if (phial_audit_change(worker, &change, NULL, NULL) != PHIAL_OK) {
		phial_log("the audit log has no room for the end of an override");
	}
}

void phial_admin_lift(struct phial_worker *worker, struct phial_entry *entry, const char *why)
{
	if (entry->override_until_ms == 0) {
		return;
	}
	if (why) {
		audit_end(worker, entry, why);
	}
	phial_entry_swap(entry);
	phial_keep_drop_keys(worker, entry->aside.loaded.serials, entry->aside.loaded.serial_count);
	phial_loaded_clear(&entry->aside.loaded);
	entry->override_until_ms = 0;
	worker->override_due_ms = 0; /* the entry is looked at in the next turn */
	phial_revocations_set_override(worker->revocations, entry->name, 0);
	if (why) {
		phial_log("the override of %s is over: %s; %s", entry->name, why,
			  entry->status == PHIAL_OK && phial_loaded_exists(&entry->loaded)
				  ? "the store's value takes its place"
				  : "the store has no good value to take its place");
	}
	phial_live_revoked(worker, entry->name);
}

/* --- the value ----------------------------------------------------------------------------- */

/* Only a memfd whose length cannot change is read: nothing else is sure not to make the worker wait. */
static enum phial_status read_value(int fd, struct phial_secret **ret_value,
				    struct phial_error *err)
{
	phial_auto_secret struct phial_secret *value = NULL;
	struct stat file;
	int seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & PHIAL_ADMIN_VALUE_SEALS) != PHIAL_ADMIN_VALUE_SEALS ||
	    fstat(fd, &file) != 0 || lseek(fd, 0, SEEK_SET) != 0) {
		return phial_fail(err, PHIAL_USAGE, 0, "no sealed memfd with the value");
	}
	if (file.st_size < 1 || (uint64_t)file.st_size > PHIAL_SECRET_MAX_BYTES) {
		return phial_fail(err, file.st_size < 1 ? PHIAL_USAGE : PHIAL_TOO_LARGE, 0,
				  "the value is to have 1 to %zu bytes", PHIAL_SECRET_MAX_BYTES);
	}
	enum phial_status status = phial_secret_new((size_t)file.st_size, &value, err);

	if (status == PHIAL_OK) {
		status = phial_secret_read_fd(value, fd, err);
	}
	if (status == PHIAL_OK) {
		*ret_value = phial_take_pointer(value);
	}
	return status;
}

/* Above all versions that the name ever had: a container that has one of those gets this. */
static uint64_t find_number(const struct phial_worker *worker, const char *name)
{
	const struct phial_entry *entry = phial_index_find(&worker->index, name);
	uint64_t number = (uint64_t)phial_worker_now_s(worker) * 1000;
	uint64_t newest = phial_marks_newest(worker->marks, name);

	if (entry && entry->loaded.version > newest) {
		newest = entry->loaded.version;
	}
	for (size_t i = 0; i < phial_revocations_count(worker->revocations); i++) {
		const struct phial_revocation *item = phial_revocations_at(worker->revocations, i);

		if (strcmp(item->name, name) == 0 && item->version > newest) {
			newest = item->version;
		}
	}
	return number > newest ? number : newest + 1;
}

/* Mode and owner go on as they were. */
static struct phial_sealed_header make_header(const struct phial_worker *worker, const char *name)
{
	const struct phial_entry *entry = phial_index_find(&worker->index, name);
	struct phial_sealed_header header = {
		.version = find_number(worker, name),
		.created_s = phial_worker_now_s(worker),
		.mode = PHIAL_MODE_UNSET,
		.owner_uid = PHIAL_ID_UNSET,
		.owner_gid = PHIAL_ID_UNSET,
	};

	(void)snprintf(header.name, sizeof(header.name), "%s", name);
	if (entry && phial_loaded_exists(&entry->loaded)) {
		header.mode = entry->loaded.mode;
		header.owner_uid = entry->loaded.owner_uid;
		header.owner_gid = entry->loaded.owner_gid;
	}
	return header;
}

/* --- the beginning ------------------------------------------------------------------------- */

static enum phial_status check(const struct phial_worker *worker,
			       const struct phial_admin_override *request, struct phial_error *err)
{
	if (worker->start->options->is_user) {
		return phial_fail(err, PHIAL_UNSUPPORTED, 0,
				  "an agent of a user has no overrides, its keyring is too small "
				  "for values; seal a new one: phial seal");
	}
	if (request->ttl_s < PHIAL_ADMIN_TTL_MIN_S || request->ttl_s > PHIAL_ADMIN_TTL_MAX_S) {
		return phial_fail(err, PHIAL_USAGE, 0, "an override lasts from 1m to 7d");
	}
	return phial_name_check(request->name, err);
}

/* Written down before anybody gets it: its number, who gave it, and why. */
static enum phial_status write_down(struct phial_worker *worker, const struct phial_client *client,
				    const struct phial_admin_override *request, uint64_t version,
				    struct phial_error *err)
{
	struct phial_revocation item = {
		.version = version,
		.scope = PHIAL_REVOKED_OVERRIDE,
		.time_s = phial_worker_now_s(worker),
	};

	memcpy(item.name, request->name, sizeof(item.name));
	phial_revocation_set_reason(&item, request->reason);
	const struct phial_audit_secret secret = { request->name, version };
	const struct phial_audit_change change = {
		.kind = PHIAL_AUDIT_OVERRIDE,
		.client = client,
		.secrets = &secret,
		.secret_count = 1,
		.reason = item.reason[0] != '\0' ? item.reason : "phial override",
	};
	enum phial_status status = phial_revocations_add(worker->revocations, &item, err);

	return status == PHIAL_OK ? phial_audit_change(worker, &change, NULL, err) : status;
}

/* In the place of what the store says, from now on. loaded: the entry's from here on. */
static void put_in_force(struct phial_worker *worker, const char *name,
			 const struct phial_loaded *loaded, int64_t until_ms)
{
	struct phial_entry *entry = phial_index_add(&worker->index, name);

	phial_admin_lift(worker, entry, NULL); /* one that is in force already */
	entry->aside = (struct phial_aside){ .loaded = *loaded, .status = PHIAL_OK };
	entry->override_until_ms = until_ms;
	phial_entry_swap(entry);
	phial_revocations_set_override(worker->revocations, name, loaded->version);
	phial_worker_ensure_workloads(worker);
	worker->override_due_ms = 0; /* which one ends first is looked at anew */
	phial_live_revoked(worker, name);
}

static enum phial_status begin(struct phial_worker *worker, const struct phial_client *client,
			       const struct phial_admin_override *request, int value_fd,
			       uint64_t *ret_version, struct phial_error *err)
{
	const struct phial_sealed_header header = make_header(worker, request->name);
	static const uint8_t no_digest[PHIAL_DIGEST_BYTES];
	phial_auto_secret struct phial_secret *value = NULL;
	struct phial_opened opened = { .header = &header, .digest = no_digest };
	struct phial_loaded loaded = { .version = 0 };

	opened.until_ms = phial_worker_clock_ms() + (int64_t)request->ttl_s * 1000;
	enum phial_status status = read_value(value_fd, &value, err);

	if (status == PHIAL_OK) {
		opened.value = value;
		status = phial_keep(worker, &opened, &loaded, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	status = write_down(worker, client, request, header.version, err);
	if (status != PHIAL_OK) {
		phial_keep_drop_keys(worker, loaded.serials, loaded.serial_count);
		phial_loaded_clear(&loaded);
		return status;
	}
	put_in_force(worker, request->name, &loaded, opened.until_ms);
	*ret_version = header.version;
	return PHIAL_OK;
}

/* --- requests and answers ------------------------------------------------------------------ */

static bool has_it(const struct phial_worker *worker, const struct phial_record *record,
		   const char *name)
{
	const struct phial_release *release = phial_record_find_release(record, name);

	(void)worker;
	return release && release->version != 0;
}

static struct phial_json *describe(const char *name, uint64_t version, int64_t until_s)
{
	struct phial_json *root = phial_json_new_object();
	char time_text[PHIAL_TIME_TEXT_BYTES];

	phial_json_add_string(root, "name", name);
	phial_json_add_integer(root, "version", (int64_t)version);
	if (until_s > 0) {
		phial_format_time(until_s, time_text);
		phial_json_add_string(root, "until", time_text);
	} else {
		phial_json_add_null(root, "until");
	}
	return root;
}

/* A name that was never seen here may be meant, or be a slip at night. */
struct sighting {
	bool is_known;
	char near[PHIAL_NAME_MAX_BYTES + 1]; /* the known name that is most like it, or "" */
};

static struct sighting look_for(const struct phial_worker *worker, const char *name)
{
	struct sighting seen = { .is_known = phial_index_find(&worker->index, name) ||
					     phial_marks_newest(worker->marks, name) != 0 };
	const char *near = seen.is_known ? NULL : phial_admin_near(worker, name);

	(void)snprintf(seen.near, sizeof(seen.near), "%s", near ? near : "");
	return seen;
}

static struct phial_json *describe_begin(const struct phial_worker *worker,
					 const struct phial_admin_override *request,
					 uint64_t version, const struct sighting *seen)
{
	struct phial_json *root = describe(request->name, version,
					   phial_worker_now_s(worker) + (int64_t)request->ttl_s);

	phial_json_add_bool(root, "is_known", seen->is_known);
	if (seen->near[0] != '\0') {
		phial_json_add_string(root, "near", seen->near);
	} else {
		phial_json_add_null(root, "near");
	}
	return root;
}

void phial_admin_override(struct phial_worker *worker, struct phial_client *client,
			  const struct phial_admin_override *request, int value_fd)
{
	struct phial_error err = { .status = PHIAL_OK };
	uint64_t version = 0;
	enum phial_status status = check(worker, request, &err);
	struct sighting seen = { .is_known = false };

	if (status == PHIAL_OK) {
		seen = look_for(worker, request->name);
		status = begin(worker, client, request, value_fd, &version, &err);
	}
	if (status != PHIAL_OK) {
		phial_log("an override was refused: %s", err.text);
		phial_audit_command_refused(worker, client, PHIAL_AUDIT_OVERRIDE, err.text);
		phial_admin_answer(worker, client, status, err.text, NULL);
		return;
	}
	phial_log("OVERRIDE: %s has a value that was given by hand, for %" PRIu64 " seconds",
		  request->name, request->ttl_s);
	phial_admin_answer_settled(worker, client, request->name, version, has_it,
				   describe_begin(worker, request, version, &seen));
}

void phial_admin_end_override(struct phial_worker *worker, struct phial_client *client,
			      const struct phial_admin_override *request)
{
	struct phial_entry *entry = phial_name_check(request->name, NULL) == PHIAL_OK
					    ? phial_index_find(&worker->index, request->name)
					    : NULL;
	struct phial_error err;

	if (!entry || entry->override_until_ms == 0) {
		enum phial_status status =
			phial_fail(&err, PHIAL_NOT_FOUND, 0,
				   "there is no override of that name (see phial status)");

		phial_admin_answer(worker, client, status, err.text, NULL);
		return;
	}
	char command[PHIAL_NAME_MAX_BYTES + 32];

	(void)snprintf(command, sizeof(command), "override %s --end", request->name);
	phial_audit_command(worker, client, command);
	phial_admin_lift(worker, entry, "it was ended by hand");
	phial_admin_answer_settled(worker, client, request->name, 0, has_it,
				   describe(request->name,
					    entry->status == PHIAL_OK ? entry->loaded.version : 0,
					    0));
}
