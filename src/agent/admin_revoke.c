/* SPDX-License-Identifier: ISC */
/*
 * Revocation: written down first, then out of the ring, then out of every live container. What is
 * written down decides (revocations.c); taking it out of containers is live.c's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/admin.h"
#include "agent/live.h"
#include "agent/log.h"
#include "agent/worker.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "wire/admin_protocol.h"

/* A version is a time in milliseconds: one beyond tomorrow would shut out all that is sealed till then. */
#define FUTURE_MAX_S (24 * 3600)

/* What one revocation did, for its answer. */
struct outcome {
	struct phial_revocation revocation;
	bool was_revoked;	    /* before */
	bool was_loaded;	    /* and is out of the ring now */
	bool had_override;	    /* which ended with it */
	bool is_known;		    /* this host has seen the name */
	struct phial_error problem; /* it is not durable, or not in the audit log */
};

/* --- what is meant ------------------------------------------------------------------------ */

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t version_in(const struct phial_record *record, const char *name)
{
	const struct phial_release *release = phial_record_find_release(record, name);

	return release ? release->version : 0;
}

/* The one container that an id, or the beginning of one, names. */
static enum phial_status find_container(const struct phial_worker *worker, const char *id,
					const struct phial_record **ret_record,
					struct phial_error *err)
{
	const struct phial_record *found = NULL;
	size_t length = strlen(id);

	for (const struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		if (strcmp(r->container, id) == 0) {
			*ret_record = r;
			return PHIAL_OK;
		}
		if (strncmp(r->container, id, length) != 0) {
			continue;
		}
		if (found && strcmp(found->container, r->container) != 0) {
			return phial_fail(err, PHIAL_USAGE, 0,
					  "more than one container's id begins so; give more of it "
					  "(see phial status)");
		}
		found = r;
	}
	if (!found) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0,
				  "no container of that id has secrets here (see phial status)");
	}
	*ret_record = found;
	return PHIAL_OK;
}

/* Up to which version the container has lost the secret already, or 0: asked again, it is no error. */
static uint64_t taken_from(const struct phial_worker *worker,
			   const struct phial_revocation *revocation)
{
	uint64_t version = 0;

	for (size_t i = 0; i < phial_revocations_count(worker->revocations); i++) {
		const struct phial_revocation *item = phial_revocations_at(worker->revocations, i);

		if (item->scope == revocation->scope && strcmp(item->name, revocation->name) == 0 &&
		    strcmp(item->where, revocation->where) == 0) {
			version = larger(version, item->version);
		}
	}
	return version;
}

static bool is_workload(const struct phial_worker *worker, const char *name)
{
	for (size_t i = 0; i < worker->workload_count; i++) {
		if (strcmp(worker->workloads[i].name, name) == 0) {
			return true;
		}
	}
	for (const struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		if (strcmp(r->workload, name) == 0) {
			return true;
		}
	}
	return false;
}

/* For whom? */
static enum phial_status find_scope(const struct phial_worker *worker,
				    const struct phial_admin_revoke *request,
				    struct phial_revocation *revocation, struct phial_error *err)
{
	const struct phial_record *record = NULL;

	if (request->workload[0] != '\0' && request->container[0] != '\0') {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--workload and --container exclude each other");
	}
	if (request->workload[0] != '\0') {
		if (!is_workload(worker, request->workload)) {
			return phial_fail(err, PHIAL_NOT_FOUND, 0,
					  "there is no workload %s here (see phial status)",
					  request->workload);
		}
		revocation->scope = PHIAL_REVOKED_WORKLOAD;
		(void)snprintf(revocation->where, sizeof(revocation->where), "%s",
			       request->workload);
		return PHIAL_OK;
	}
	if (request->container[0] == '\0') {
		return PHIAL_OK;
	}
	enum phial_status status = find_container(worker, request->container, &record, err);

	if (status != PHIAL_OK) {
		return status;
	}
	revocation->scope = PHIAL_REVOKED_CONTAINER;
	(void)snprintf(revocation->where, sizeof(revocation->where), "%s", record->container);
	revocation->version =
		larger(version_in(record, revocation->name), taken_from(worker, revocation));
	return revocation->version != 0
		       ? PHIAL_OK
		       : phial_fail(err, PHIAL_NOT_FOUND, 0, "container %s does not have %s",
				    record->container, revocation->name);
}

static enum phial_status fail_unknown(const struct phial_worker *worker, const char *name,
				      struct phial_error *err)
{
	const char *near = phial_admin_near(worker, name);

	return phial_fail(err, PHIAL_NOT_FOUND, 0,
			  "no version of %s was ever seen here%s%s%s; --version N revokes one that "
			  "is yet to come",
			  name, near ? ", did you mean \"" : "", near ? near : "",
			  near ? "\"?" : "");
}

/*
 * Which version? The newest that this host has seen: not what an unverified file in the store says
 * of itself. For one workload or container an override's counts, too.
 */
static enum phial_status find_version(const struct phial_worker *worker,
				      const struct phial_admin_revoke *request,
				      struct outcome *outcome, struct phial_error *err)
{
	struct phial_revocation *revocation = &outcome->revocation;
	const struct phial_entry *entry = phial_index_find(&worker->index, revocation->name);
	uint64_t newest = phial_marks_newest(worker->marks, revocation->name);
	uint64_t limit = ((uint64_t)phial_worker_now_s(worker) + FUTURE_MAX_S) * 1000;

	if (entry && entry->override_until_ms == 0) {
		newest = larger(newest, entry->loaded.version);
	} else if (entry) {
		newest = larger(newest, entry->aside.loaded.version);
		newest = revocation->scope == PHIAL_REVOKED_ALL
				 ? newest
				 : larger(newest, entry->loaded.version);
	}
	outcome->is_known = newest != 0 || entry != NULL;
	if (request->version > limit) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "version %" PRIu64 " lies in the future: nothing that is sealed "
				  "until then could be loaded",
				  request->version);
	}
	revocation->version =
		request->version != 0 ? request->version : larger(newest, revocation->version);
	if (revocation->version != 0 || (entry && entry->override_until_ms != 0)) {
		return PHIAL_OK;
	}
	return fail_unknown(worker, revocation->name, err);
}

static enum phial_status find_meant(const struct phial_worker *worker,
				    const struct phial_admin_revoke *request,
				    struct outcome *outcome, struct phial_error *err)
{
	struct phial_revocation *revocation = &outcome->revocation;
	enum phial_status status = phial_name_check(request->name, err);

	if (status != PHIAL_OK) {
		return status;
	}
	memcpy(revocation->name, request->name, sizeof(revocation->name));
	phial_revocation_set_reason(revocation, request->reason);
	revocation->time_s = phial_worker_now_s(worker);
	status = find_scope(worker, request, revocation, err);
	return status == PHIAL_OK ? find_version(worker, request, outcome, err) : status;
}

/* --- doing it ----------------------------------------------------------------------------- */

/* Write it down. A failure does not keep the secret where it is: it is told, and the rest is done. */
static void write_down(struct phial_worker *worker, const struct phial_client *client,
		       struct outcome *outcome)
{
	const struct phial_revocation *revocation = &outcome->revocation;
	const struct phial_audit_secret secret = { revocation->name, revocation->version };
	const struct phial_audit_change change = {
		.kind = PHIAL_AUDIT_REVOCATION,
		.client = client,
		.workload = revocation->scope == PHIAL_REVOKED_WORKLOAD ? revocation->where : NULL,
		.container =
			revocation->scope == PHIAL_REVOKED_CONTAINER ? revocation->where : NULL,
		.secrets = &secret,
		.secret_count = revocation->version != 0,
		.reason = revocation->reason[0] != '\0' ? revocation->reason : "phial revoke",
	};
	struct phial_error *problem = &outcome->problem;
	struct phial_error audit_err = { .status = PHIAL_OK };
	enum phial_status status = PHIAL_OK;

	if (revocation->version != 0) {
		status = phial_revocations_add(worker->revocations, revocation, problem);
	}
	if (status == PHIAL_OK && revocation->version != 0 &&
	    revocation->scope == PHIAL_REVOKED_ALL) {
		status = phial_marks_revoke(worker->marks, revocation->name, revocation->version,
					    problem);
	}
	/* It is done in any case. */
	if (phial_audit_change(worker, &change, NULL, &audit_err) != PHIAL_OK &&
	    status == PHIAL_OK) {
		status = audit_err.status;
		*problem = audit_err;
	}
	if (status != PHIAL_OK) {
		phial_log("the revocation of %s may not outlive this agent: %s", revocation->name,
			  problem->text);
	}
}

/* Out of the ring, if it is revoked for everybody. */
static void unload(struct phial_worker *worker, struct outcome *outcome)
{
	const struct phial_revocation *revocation = &outcome->revocation;
	struct phial_entry *entry = phial_index_find(&worker->index, revocation->name);
	char reason[PHIAL_ERROR_TEXT_BYTES];

	if (!entry || revocation->scope != PHIAL_REVOKED_ALL) {
		return;
	}
	if (entry->override_until_ms != 0) {
		outcome->had_override = true;
		phial_admin_lift(worker, entry, "it was revoked");
	}
	if (phial_loaded_exists(&entry->loaded) && entry->loaded.version <= revocation->version) {
		outcome->was_loaded = true;
		phial_revocation_describe(revocation, reason, sizeof(reason));
		phial_admin_unload(worker, entry, PHIAL_REVOKED, reason);
	}
}

/* --- the answer --------------------------------------------------------------------------- */

static void add_text(struct phial_json *object, const char *key, const char *text)
{
	if (text[0] != '\0') {
		phial_json_add_string(object, key, text);
	} else {
		phial_json_add_null(object, key);
	}
}

/* One revocation, as `phial revocations` shows it and as the answer to a revocation begins. */
static void add_revocation(struct phial_json *object, const struct phial_revocation *revocation)
{
	char time_text[PHIAL_TIME_TEXT_BYTES];

	phial_format_time(revocation->time_s, time_text);
	phial_json_add_string(object, "name", revocation->name);
	phial_json_add_integer(object, "version", (int64_t)revocation->version);
	phial_json_add_string(object, "scope", phial_revocation_scope_text(revocation->scope));
	add_text(object, "where", revocation->where);
	phial_json_add_string(object, "time", time_text);
	add_text(object, "reason", revocation->reason);
}

static struct phial_json *describe(const struct phial_worker *worker, const struct outcome *outcome)
{
	const struct phial_entry *entry =
		phial_index_find(&worker->index, outcome->revocation.name);
	struct phial_json *root = phial_json_new_object();

	add_revocation(root, &outcome->revocation);
	phial_json_add_bool(root, "was_revoked", outcome->was_revoked);
	phial_json_add_bool(root, "is_known", outcome->is_known);
	phial_json_add_bool(root, "was_loaded", outcome->was_loaded);
	phial_json_add_bool(root, "override_ended", outcome->had_override);
	if (entry && phial_loaded_exists(&entry->loaded)) {
		phial_json_add_integer(root, "loaded", (int64_t)entry->loaded.version);
	} else {
		phial_json_add_null(root, "loaded");
	}
	add_text(root, "problem", outcome->problem.text);
	return root;
}

/* Has it a version that it may not have any more? */
static bool has_revoked(const struct phial_worker *worker, const struct phial_record *record,
			const char *name)
{
	uint64_t version = version_in(record, name);

	return version != 0 && phial_revocations_forbid(worker->revocations, name, version,
							record->workload, record->container);
}

void phial_admin_revoke(struct phial_worker *worker, struct phial_client *client,
			const struct phial_admin_revoke *request)
{
	struct outcome outcome = { .was_revoked = false };
	const struct phial_revocation *revocation = &outcome.revocation;
	struct phial_error err = { .status = PHIAL_OK };
	enum phial_status status = find_meant(worker, request, &outcome, &err);

	if (status != PHIAL_OK) {
		phial_audit_command_refused(worker, client, PHIAL_AUDIT_REVOCATION, err.text);
		phial_admin_answer(worker, client, status, err.text, NULL);
		return;
	}
	bool has_where = revocation->where[0] != '\0';

	outcome.was_revoked = phial_revocations_forbid(
		worker->revocations, revocation->name, revocation->version,
		revocation->scope == PHIAL_REVOKED_WORKLOAD ? revocation->where : NULL,
		revocation->scope == PHIAL_REVOKED_CONTAINER ? revocation->where : NULL);
	write_down(worker, client, &outcome);
	unload(worker, &outcome);
	phial_live_revoked(worker, revocation->name);
	phial_log("%s up to version %" PRIu64 " is revoked%s%s%s%s", revocation->name,
		  revocation->version, has_where ? " for " : "",
		  has_where ? phial_revocation_scope_text(revocation->scope) : "",
		  has_where ? " " : "", revocation->where);
	phial_admin_answer_settled(worker, client, revocation->name, 0, has_revoked,
				   describe(worker, &outcome));
}

void phial_admin_list_revocations(struct phial_worker *worker, struct phial_client *client)
{
	struct phial_json *root = phial_json_new_object();
	struct phial_json *list = phial_json_add_array(root, "revocations");

	for (size_t i = 0; i < phial_revocations_count(worker->revocations); i++) {
		const struct phial_revocation *item = phial_revocations_at(worker->revocations, i);

		if (item->scope != PHIAL_REVOKED_OVERRIDE || item->is_in_force) {
			add_revocation(phial_json_add_object(list, NULL), item);
		}
	}
	phial_admin_answer(worker, client, PHIAL_OK, "", root);
}
