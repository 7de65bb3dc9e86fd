/* SPDX-License-Identifier: ISC */
/*
 * The status document: everything an operator asks for, names and never values. Written as JSON
 * into the client's memfd; `phial status` prints it for people. docs/agent-protocol.md describes it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/expiry.h"
#include "agent/link.h"
#include "agent/reattach.h"
#include "agent/worker.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/text.h"
#include "keyring/keyring.h"
#include "mount/mount.h"
#include "json/json.h"

#define REASON_MAX_BYTES ((size_t)4096)

static void add_text_or_null(struct phial_json *parent, const char *key, const char *text)
{
	if (text[0] != '\0') {
		phial_json_add_string(parent, key, text);
	} else {
		phial_json_add_null(parent, key);
	}
}

static void add_time(struct phial_json *parent, const char *key, int64_t seconds)
{
	char text[PHIAL_TIME_TEXT_BYTES];

	if (seconds <= 0) {
		phial_json_add_null(parent, key);
		return;
	}
	phial_format_time(seconds, text);
	phial_json_add_string(parent, key, text);
}

static void add_quota(struct phial_json *kernel, const struct phial_worker *worker)
{
	struct phial_link_answer answer;
	struct phial_json *quota = phial_json_add_object(kernel, "key_quota");

	if (phial_link_call(worker->start->call_fd, PHIAL_LINK_QUOTA, NULL, 0, NULL, &answer,
			    NULL) != PHIAL_OK) {
		return;
	}
	phial_json_add_integer(quota, "keys_used", (int64_t)answer.quota.keys_used);
	phial_json_add_integer(quota, "keys_max", (int64_t)answer.quota.keys_max);
	phial_json_add_integer(quota, "bytes_used", (int64_t)answer.quota.bytes_used);
	phial_json_add_integer(quota, "bytes_max", (int64_t)answer.quota.bytes_max);
}

static void add_kernel(struct phial_json *root, const struct phial_worker *worker)
{
	struct phial_json *kernel = phial_json_add_object(root, "kernel");

	phial_json_add_string(kernel, "secret_pages",
			      worker->start->pages.is_kernel_hidden ? "memfd_secret" : "locked");
	phial_json_add_string(kernel, "keyring", "anonymous session ring, possessors only");
	phial_json_add_string(kernel, "mount", phial_mount_kind_text(worker->start->mount_kind));
	add_quota(kernel, worker);
}

static void add_weaker(struct phial_json *root, const struct phial_worker *worker)
{
	/* Of a user's agent, against root's: docs/rootless.md says more of each. */
	static const char *const of_user[] = {
		"agent of a user: whatever runs as this user can read its identity file, ask this "
		"agent, or end it",
		"agent of a user: the worker runs under the same uid as the rest of it",
		"agent of a user: the mount is a ramfs, whose size no kernel limits",
		"agent of a user: the keyring holds the identity only; sealed files are opened anew "
		"for each container",
	};
	const struct phial_agent_options *options = worker->start->options;
	struct phial_json *weaker = phial_json_add_array(root, "weaker");

	if (!worker->start->pages.is_kernel_hidden) {
		phial_json_add_string(weaker, NULL,
				      "no memfd_secret: secrets on their way into the keyring are "
				      "in locked memory that the kernel maps");
	}
	if (options->audit_drops) {
		phial_json_add_string(weaker, NULL,
				      "--audit=drop: secrets are released without waiting for the "
				      "audit log, also when it cannot be written");
	}
	for (size_t i = 0; options->is_user && i < PHIAL_COUNT(of_user); i++) {
		phial_json_add_string(weaker, NULL, of_user[i]);
	}
	if (options->is_user && !options->has_subids) {
		phial_json_add_string(
			weaker, NULL,
			"no subordinate ids (/etc/subuid, /etc/subgid, newuidmap): only "
			"a container's root can own files");
	}
}

static void add_store(struct phial_json *root, const struct phial_worker *worker)
{
	struct phial_json *store = phial_json_add_object(root, "store");
	const struct phial_trust *trust = worker->trust;

	phial_json_add_string(store, "path", worker->start->options->store);
	phial_json_add_integer(store, "recipients_serial",
			       trust ? (int64_t)trust->recipients.serial : 0);
	phial_json_add_integer(store, "signers_serial", trust ? (int64_t)trust->signers.serial : 0);
	phial_json_add_integer(store, "policy_serial", (int64_t)worker->policy.serial);
	add_time(store, "read", worker->loaded_at_s);
	phial_json_add_bool(store, "watched", worker->watch.problem[0] == '\0');
	if (worker->watch.problem[0] != '\0') {
		phial_json_add_string(store, "not_watched", worker->watch.problem);
	}
	add_text_or_null(store, "problem", worker->store_problem);
	add_text_or_null(store, "older", worker->store_older);
}

static const char *state_of(const struct phial_entry *entry)
{
	if (entry->override_until_ms != 0) {
		return "override";
	}
	if (phial_entry_is_foreign(entry)) {
		return "not for this host";
	}
	if (entry->status != PHIAL_OK) {
		return "refused";
	}
	return entry->is_missing ? "missing" : "loaded";
}

/* Until when, in the time of day of now; why; and what the store says meanwhile. */
static void add_override(struct phial_json *secret, const struct phial_worker *worker,
			 const struct phial_entry *entry)
{
	const struct phial_revocation *item =
		phial_revocations_find_override(worker->revocations, entry->name);
	int64_t left_s = (entry->override_until_ms - phial_worker_clock_ms()) / 1000;

	add_time(secret, "override_until", phial_worker_now_s(worker) + (left_s > 0 ? left_s : 0));
	phial_json_add_string(secret, "override_reason", item ? item->reason : "");
	phial_json_add_string(secret, "reason",
			      entry->aside.status == PHIAL_OK
				      ? "the store's value waits for its end"
			      : entry->aside.reason ? entry->aside.reason
						    : "the store does not have it");
}

/* When the first workload loses it. */
static void add_expiry(struct phial_json *secret, const struct phial_worker *worker,
		       const struct phial_entry *entry)
{
	int64_t first_s = phial_expiry_first_s(entry);

	if (first_s == 0) {
		return; /* as most do: a store may have thousands */
	}
	add_time(secret, "expires", first_s);
	phial_json_add_integer(secret, "expires_in_s", first_s - phial_worker_now_s(worker));
	phial_json_add_bool(secret, "warn", phial_expiry_must_warn(worker, entry));
}

static void add_secret(struct phial_json *secrets, const struct phial_worker *worker,
		       const struct phial_entry *entry)
{
	struct phial_json *secret = phial_json_add_object(secrets, NULL);
	bool is_loaded = phial_loaded_exists(&entry->loaded);

	phial_json_add_string(secret, "name", entry->name);
	phial_json_add_string(secret, "state", state_of(entry));
	phial_json_add_bool(secret, "in_keyring", is_loaded);
	if (is_loaded) {
		phial_json_add_integer(secret, "version", (int64_t)entry->loaded.version);
		add_time(secret, "not_after", entry->loaded.not_after_s);
		add_expiry(secret, worker, entry);
	}
	if (entry->override_until_ms != 0) {
		add_override(secret, worker, entry);
	} else if (entry->status != PHIAL_OK) {
		phial_json_add_integer(secret, "file_version", (int64_t)entry->file_version);
		phial_json_add_string(secret, "class", phial_status_text(entry->status));
		phial_json_add_string(secret, "reason", entry->reason ? entry->reason : "");
	} else if (entry->is_missing) {
		phial_json_add_string(secret, "reason",
				      "its file is gone from the store; what is loaded stays until "
				      "the agent stops or it expires");
	}
}

/* Worst first: overrides, refused, then missing, then what is for other hosts and what is loaded. */
static int badness(const struct phial_entry *entry)
{
	if (entry->override_until_ms != 0) {
		return 3;
	}
	if (phial_entry_is_foreign(entry)) {
		return 0;
	}
	if (entry->status != PHIAL_OK) {
		return 2;
	}
	return entry->is_missing ? 1 : 0;
}

static void add_secrets(struct phial_json *root, const struct phial_worker *worker)
{
	struct phial_json *secrets = phial_json_add_array(root, "secrets");
	struct phial_json *files = phial_json_add_array(root, "bad_files");

	for (int bad = 3; bad >= 0; bad--) {
		for (size_t i = 0; i < worker->index.count; i++) {
			if (badness(&worker->index.entries[i]) == bad) {
				add_secret(secrets, worker, &worker->index.entries[i]);
			}
		}
	}
	for (size_t i = 0; i < worker->file_problem_count; i++) {
		phial_json_add_string(files, NULL, worker->file_problems[i]);
	}
}

static size_t count_live(const struct phial_worker *worker, const char *workload)
{
	size_t count = 0;

	for (const struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		count += r->is_committed && strcmp(r->workload, workload) == 0;
	}
	return count;
}

static void add_gates(struct phial_json *workload, const struct phial_workload *entry)
{
	struct phial_json *array = phial_json_add_array(workload, "gates");
	unsigned int gates = phial_workload_gates(entry);

	for (unsigned int gate = 1; gate != 0 && gate <= gates; gate <<= 1) {
		if ((gates & gate) != 0 && phial_gate_name(gate)) {
			phial_json_add_string(array, NULL, phial_gate_name(gate));
		}
	}
}

static void add_workload(struct phial_json *workloads, const struct phial_worker *worker,
			 const char *name)
{
	struct phial_json *workload = phial_json_add_object(workloads, NULL);
	phial_auto_text struct phial_text problems = { .max = REASON_MAX_BYTES };
	phial_auto_free struct phial_grant_file *files = NULL;
	size_t count = 0;
	enum phial_status status = phial_grant_files(worker, name, &files, &count, &problems, NULL);

	const struct phial_workload *entry = phial_policy_find(&worker->policy, name);

	phial_json_add_string(workload, "name", name);
	phial_json_add_string(workload, "target", phial_workload_target(entry));
	add_gates(workload, entry);
	phial_json_add_integer(workload, "live", (int64_t)count_live(worker, name));
	phial_json_add_integer(workload, "files", (int64_t)count);
	phial_json_add_bool(workload, "would_start", status == PHIAL_OK);
	struct phial_json *reasons = phial_json_add_array(workload, "reasons");
	char *rest = problems.bytes;

	for (char *line; status != PHIAL_OK && (line = strsep(&rest, "\n")) != NULL;) {
		phial_json_add_string(reasons, NULL, line);
	}
}

static void add_workloads(struct phial_json *root, const struct phial_worker *worker)
{
	struct phial_json *workloads = phial_json_add_array(root, "workloads");

	for (size_t i = 0; i < worker->workload_count; i++) {
		add_workload(workloads, worker, worker->workloads[i].name);
	}
}

/* What it has, and what it had and is not to get again. */
static void add_releases(struct phial_json *container, const struct phial_record *record)
{
	struct phial_json *has = phial_json_add_array(container, "secrets");
	struct phial_json *gone = phial_json_add_array(container, "removed");

	for (size_t i = 0; i < record->release_count; i++) {
		const struct phial_release *release = &record->releases[i];

		if (release->version == 0) {
			phial_json_add_string(gone, NULL, release->name);
			continue;
		}
		if (release->is_unsure) {
			continue; /* the job has not come to its end */
		}
		struct phial_json *object = phial_json_add_object(has, NULL);

		phial_json_add_string(object, "name", release->name);
		phial_json_add_integer(object, "version", (int64_t)release->version);
		add_time(object, "not_after", release->not_after_s);
	}
}

static const char *container_state(const struct phial_record *record)
{
	if (!record->is_committed) {
		return "starting";
	}
	if (record->is_held) {
		return "running";
	}
	return phial_reattach_problem(record) ? "running, not re-attached"
					      : "running, being re-attached";
}

static void add_container(struct phial_json *containers, const struct phial_record *record)
{
	struct phial_json *container = phial_json_add_object(containers, NULL);

	phial_json_add_string(container, "id", record->container);
	phial_json_add_integer(container, "pid", record->pid);
	phial_json_add_string(container, "workload", record->workload);
	phial_json_add_string(container, "target", record->target);
	phial_json_add_string(container, "door", phial_door_text(record->door));
	if (record->door == PHIAL_DOOR_INIT_ENV) {
		phial_json_add_string(phial_json_add_array(container, "weak"), NULL,
				      "phial-init --env: values are in the environment");
	}
	phial_json_add_string(container, "mount",
			      phial_mount_kind_text((enum phial_mount_kind)record->mount_kind));
	phial_json_add_string(container, "state", container_state(record));
	add_time(container, "started", record->started_s);
	add_releases(container, record);
	phial_json_add_bool(container, "old_generation", record->live.grace_until_ms != 0);
	add_text_or_null(container, "problem",
			 record->is_held ? record->live.problem : record->reattach.problem);
}

static void add_containers(struct phial_json *root, const struct phial_worker *worker)
{
	struct phial_json *containers = phial_json_add_array(root, "containers");

	for (const struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		add_container(containers, r);
	}
}

static void add_audit(struct phial_json *root, const struct phial_worker *worker)
{
	const struct phial_worker_audit *known = &worker->audit;
	const struct phial_agent_options *options = worker->start->options;
	struct phial_json *audit = phial_json_add_object(root, "audit");
	struct phial_json *head = phial_json_add_object(audit, "head");

	phial_json_add_integer(head, "seq", (int64_t)known->head.seq);
	phial_json_add_string(head, "hash", known->head.hash);
	phial_json_add_integer(audit, "lost", (int64_t)(known->lost + known->suppressed));
	phial_json_add_bool(audit, "drops", options->audit_drops);
	add_text_or_null(audit, "problem", known->problem);
	if (options->audit_copy) {
		struct phial_json *copy = phial_json_add_object(audit, "copy");

		phial_json_add_string(copy, "to", options->audit_copy);
		phial_json_add_integer(copy, "lost", (int64_t)known->copy_lost);
		add_text_or_null(copy, "problem", known->copy_problem);
	} else {
		phial_json_add_null(audit, "copy");
	}
}

static void add_metrics(struct phial_json *root, const struct phial_worker *worker)
{
	const char *file = worker->start->options->metrics;

	if (!file) {
		phial_json_add_null(root, "metrics");
		return;
	}
	struct phial_json *metrics = phial_json_add_object(root, "metrics");

	phial_json_add_string(metrics, "file", file);
	add_text_or_null(metrics, "problem", worker->counts.problem);
}

struct phial_json *phial_status_document(const struct phial_worker *worker)
{
	struct phial_json *root = phial_json_new_object();
	struct phial_json *agent = phial_json_add_object(root, "agent");

	phial_json_add_string(agent, "version", PHIAL_VERSION);
	phial_json_add_string(agent, "host_key", worker->start->host_key);
	phial_json_add_bool(agent, "is_user", worker->start->options->is_user);
	phial_json_add_string(agent, "run_dir", worker->start->options->run_dir);
	phial_json_add_integer(agent, "worker_restarts", worker->start->restarts);
	add_time(agent, "now", phial_worker_now_s(worker));
	phial_json_add_integer(agent, "clock_ahead_s", phial_clock_ahead_s(&worker->clock));
	add_time(agent, "next_expiry", phial_expiry_next_s(worker));
	add_kernel(root, worker);
	add_weaker(root, worker);
	add_store(root, worker);
	add_workloads(root, worker);
	add_secrets(root, worker);
	add_containers(root, worker);
	add_audit(root, worker);
	add_metrics(root, worker);
	return root;
}
