/* SPDX-License-Identifier: ISC */
/*
 * What the host's root asks over admin.sock, and the answers, some of which wait for the store or
 * for containers. What revoke and override do is in files of their own.
 */
#include "agent/admin.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keep.h"
#include "agent/link.h"
#include "agent/log.h"
#include "agent/worker.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "store/store.h"
#include "wire/admin_protocol.h"

/* --- answers ------------------------------------------------------------------------------ */

/* Only a memfd is written to: nothing else is sure not to make the worker wait. */
static enum phial_status write_document(int fd, const struct phial_json *document,
					struct phial_error *err)
{
	phial_auto_free char *text = NULL;

	if (fcntl(fd, F_GET_SEALS) < 0) {
		return phial_fail(err, PHIAL_USAGE, 0, "no memfd for the document");
	}
	enum phial_status status = phial_json_print(document, &text, err);

	return status == PHIAL_OK ? phial_write_all(fd, text, strlen(text), err) : status;
}

void phial_admin_answer(struct phial_worker *worker, struct phial_client *client,
			enum phial_status status, const char *text, struct phial_json *document)
{
	phial_auto_json struct phial_json *owned = document;
	struct phial_admin_reply reply = { .status = status };
	struct phial_error err = { .status = PHIAL_OK };

	(void)worker;
	(void)snprintf(reply.text, sizeof(reply.text), "%s", text);
	if (owned && write_document(client->document_fd, owned, &err) != PHIAL_OK) {
		phial_log("an answer could not be written: %s", err.text);
		return;
	}
	enum phial_status ignored = phial_frame_send(client->fd, PHIAL_ADMIN_REPLY, &reply,
						     sizeof(reply), NULL, 0, NULL);

	(void)ignored; /* nobody is there to read it */
}

void phial_admin_on_loaded(struct phial_worker *worker)
{
	enum phial_status status = worker->store_problem[0] == '\0' ? PHIAL_OK : PHIAL_PROBLEMS;

	for (size_t i = 0; i < PHIAL_COUNT(worker->clients); i++) {
		struct phial_client *client = &worker->clients[i];

		if (client->state == PHIAL_CLIENT_ADMIN_RELOAD) {
			phial_admin_answer(worker, client, status, worker->store_problem,
					   phial_status_document(worker));
			phial_client_close(worker, client);
		}
	}
}

/* --- answers that wait for containers ----------------------------------------------------- */

void phial_admin_forget(struct phial_client *client)
{
	if (client->wait) {
		phial_json_free(client->wait->document);
		free(client->wait->awaited);
		free(client->wait);
		client->wait = NULL;
	}
}

/* Has a container what it is to have? What is left of an old generation counts, too. */
static bool has_changed(const struct phial_worker *worker, const struct phial_admin_wait *wait,
			const struct phial_record *record)
{
	const struct phial_release *release = phial_record_find_release(record, wait->name);

	if (wait->wanted != 0) {
		return !release || release->version == wait->wanted;
	}
	if (release && record->live.grace_until_ms != 0) {
		return false;
	}
	return !release || release->version == 0 ||
	       !phial_revocations_forbid(worker->revocations, release->name, release->version,
					 record->workload, record->container);
}

static const struct phial_record *find_awaited(const struct phial_worker *worker,
					       const struct phial_admin_awaited *awaited)
{
	for (const struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		if (r->pid == awaited->pid && r->start_time == awaited->start_time &&
		    strcmp(r->container, awaited->container) == 0) {
			return r;
		}
	}
	return NULL;
}

static bool is_settled(const struct phial_worker *worker, const struct phial_admin_wait *wait)
{
	for (const struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		if (!has_changed(worker, wait, r)) {
			return false;
		}
	}
	return true;
}

/* What became of one container. Returns whether it is as it should be. */
static bool tell_container(const struct phial_worker *worker, const struct phial_admin_wait *wait,
			   const struct phial_admin_awaited *awaited, struct phial_json *containers)
{
	const struct phial_record *record = find_awaited(worker, awaited);
	struct phial_json *object = phial_json_add_object(containers, NULL);
	bool is_done = !record || has_changed(worker, wait, record);

	phial_json_add_string(object, "id", awaited->container);
	phial_json_add_string(object, "workload", awaited->workload);
	phial_json_add_string(object, "state", !record ? "ended" : is_done ? "done" : "not done");
	if (record && !is_done) {
		phial_json_add_string(object, "why",
				      !record->is_committed ? "it is being started"
				      : !record->is_held    ? "it is not re-attached: stop it"
				      : record->live.problem[0] != '\0' ? record->live.problem
									: "under way");
	}
	return is_done;
}

static void answer_wait(struct phial_worker *worker, struct phial_client *client)
{
	struct phial_admin_wait *wait = client->wait;
	struct phial_json *containers = phial_json_add_array(wait->document, "containers");
	bool is_done = true;

	for (size_t i = 0; i < wait->count; i++) {
		is_done = tell_container(worker, wait, &wait->awaited[i], containers) && is_done;
	}
	phial_json_add_bool(wait->document, "done", is_done);
	phial_admin_answer(worker, client, PHIAL_OK, "",
			   (struct phial_json *)phial_take_pointer(wait->document));
	phial_client_close(worker, client);
}

/* Note whom to wait for. */
static void add_awaited(struct phial_admin_wait *wait, const struct phial_record *record)
{
	struct phial_admin_awaited *larger =
		reallocarray(wait->awaited, wait->count + 1, sizeof(*larger));

	if (!larger) {
		abort(); /* a worker without memory is started anew */
	}
	wait->awaited = larger;
	larger += wait->count++;
	*larger = (struct phial_admin_awaited){ .pid = record->pid,
						.start_time = record->start_time };
	memcpy(larger->container, record->container, sizeof(larger->container));
	memcpy(larger->workload, record->workload, sizeof(larger->workload));
}

void phial_admin_answer_settled(struct phial_worker *worker, struct phial_client *client,
				const char *name, uint64_t wanted, phial_admin_pick_fn *is_meant,
				struct phial_json *document)
{
	struct phial_admin_wait *wait = calloc(1, sizeof(*wait));

	if (!wait) {
		abort();
	}
	(void)snprintf(wait->name, sizeof(wait->name), "%s", name);
	wait->wanted = wanted;
	wait->document = document;
	for (const struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		if (is_meant(worker, r, name)) {
			add_awaited(wait, r);
		}
	}
	client->wait = wait;
	client->state = PHIAL_CLIENT_ADMIN_SETTLING;
	wait->until_ms = phial_worker_clock_ms() + PHIAL_ADMIN_SETTLE_MS;
	client->deadline_ms = wait->until_ms + PHIAL_CLIENT_DEADLINE_MS; /* never comes */
}

/* --- what is due -------------------------------------------------------------------------- */

/* The next override to end, in milliseconds since boot, or -1. */
static int64_t end_overrides(struct phial_worker *worker, int64_t now_ms)
{
	int64_t due_ms = -1;

	for (size_t i = 0; i < worker->index.count; i++) {
		struct phial_entry *entry = &worker->index.entries[i];

		if (entry->override_until_ms != 0 && entry->override_until_ms <= now_ms) {
			phial_admin_lift(worker, entry, "its time is over");
		}
		if (entry->override_until_ms != 0) {
			due_ms = phial_clock_sooner(due_ms, entry->override_until_ms);
		}
	}
	phial_index_prune(&worker->index);
	return due_ms;
}

int64_t phial_admin_run(struct phial_worker *worker)
{
	int64_t now_ms = phial_worker_clock_ms();

	if (worker->override_due_ms >= 0 && worker->override_due_ms <= now_ms) {
		worker->override_due_ms = end_overrides(worker, now_ms);
	}
	int64_t due_ms = worker->override_due_ms;

	for (size_t i = 0; i < PHIAL_CLIENTS_MAX; i++) {
		struct phial_client *client = &worker->clients[i];

		if (client->state != PHIAL_CLIENT_ADMIN_SETTLING) {
			continue;
		}
		int64_t until_ms = client->wait->until_ms;

		if (until_ms <= now_ms || is_settled(worker, client->wait)) {
			answer_wait(worker, client);
		} else {
			due_ms = phial_clock_sooner(due_ms, until_ms);
		}
	}
	return due_ms;
}

/* --- what the files beside this one share ------------------------------------------------- */

void phial_admin_unload(struct phial_worker *worker, struct phial_entry *entry,
			enum phial_status status, const char *reason)
{
	phial_keep_drop_keys(worker, entry->loaded.serials, entry->loaded.serial_count);
	phial_loaded_clear(&entry->loaded);
	phial_entry_set(entry, status, reason);
}

const char *phial_admin_near(const struct phial_worker *worker, const char *name)
{
	return worker->index.count == 0
		       ? NULL
		       : phial_nearest(name, worker->index.names, worker->index.count);
}

/* Is what is loaded of an entry, by the store, revoked for everybody? */
static void drop_if_revoked(struct phial_worker *worker, struct phial_entry *entry)
{
	const struct phial_revocation *revocation;
	char reason[PHIAL_ERROR_TEXT_BYTES];

	if (!phial_loaded_exists(&entry->loaded)) {
		return;
	}
	revocation = phial_revocations_find(worker->revocations, entry->name, entry->loaded.version,
					    NULL, NULL);
	if (revocation) {
		phial_revocation_describe(revocation, reason, sizeof(reason));
		phial_admin_unload(worker, entry, PHIAL_REVOKED, reason);
	}
}

void phial_admin_take_up(struct phial_worker *worker)
{
	for (size_t i = 0; i < worker->index.count; i++) {
		struct phial_entry *entry = &worker->index.entries[i];

		if (entry->override_until_ms == 0) {
			drop_if_revoked(worker, entry);
			continue;
		}
		phial_revocations_set_override(worker->revocations, entry->name,
					       entry->loaded.version);
		/* Its key is in the ring first: a worker may have died before the rest. */
		bool is_written = phial_revocations_find_override(worker->revocations, entry->name);

		if (!is_written || phial_revocations_forbid(worker->revocations, entry->name,
							    entry->loaded.version, NULL, NULL)) {
			phial_admin_lift(worker, entry,
					 is_written ? "it was revoked" : "it was not written down");
			drop_if_revoked(worker, entry);
			continue;
		}
		phial_entry_swap(entry);
		drop_if_revoked(worker, entry);
		phial_entry_swap(entry);
	}
}

/* --- requests ----------------------------------------------------------------------------- */

union request {
	struct phial_admin_revoke revoke;
	struct phial_admin_override override;
};

static bool has_right_size(const struct phial_frame *frame)
{
	switch ((enum phial_admin_frame)frame->type) {
	case PHIAL_ADMIN_STATUS:
	case PHIAL_ADMIN_RELOAD:
	case PHIAL_ADMIN_REVOCATIONS:
		return frame->length == 0;
	case PHIAL_ADMIN_REVOKE:
		return frame->length == sizeof(struct phial_admin_revoke);
	case PHIAL_ADMIN_OVERRIDE:
	case PHIAL_ADMIN_END_OVERRIDE:
		return frame->length == sizeof(struct phial_admin_override);
	case PHIAL_ADMIN_REPLY:
		break;
	}
	return false;
}

static void end_texts(uint32_t type, union request *request)
{
	struct phial_admin_revoke *revoke = &request->revoke;
	struct phial_admin_override *override = &request->override;

	if (type == PHIAL_ADMIN_REVOKE) {
		revoke->name[sizeof(revoke->name) - 1] = '\0';
		revoke->workload[sizeof(revoke->workload) - 1] = '\0';
		revoke->container[sizeof(revoke->container) - 1] = '\0';
		revoke->reason[sizeof(revoke->reason) - 1] = '\0';
	} else {
		override->name[sizeof(override->name) - 1] = '\0';
		override->reason[sizeof(override->reason) - 1] = '\0';
	}
}

static void reload(struct phial_worker *worker, struct phial_client *client)
{
	struct phial_link_answer answer;
	struct phial_error err = { .status = PHIAL_OK };

	phial_audit_command(worker, client, "reload");
	enum phial_status status = phial_link_call(worker->start->call_fd, PHIAL_LINK_RELOAD, NULL,
						   0, NULL, &answer, &err);

	if (status == PHIAL_OK) {
		client->state = PHIAL_CLIENT_ADMIN_RELOAD;
	} else {
		phial_admin_answer(worker, client, status, err.text, NULL);
	}
}

static void run(struct phial_worker *worker, struct phial_client *client, uint32_t type,
		const union request *request, int value_fd)
{
	switch ((enum phial_admin_frame)type) {
	case PHIAL_ADMIN_STATUS:
		phial_admin_answer(worker, client, PHIAL_OK, "", phial_status_document(worker));
		break;
	case PHIAL_ADMIN_RELOAD:
		reload(worker, client);
		break;
	case PHIAL_ADMIN_REVOKE:
		phial_admin_revoke(worker, client, &request->revoke);
		break;
	case PHIAL_ADMIN_REVOCATIONS:
		phial_admin_list_revocations(worker, client);
		break;
	case PHIAL_ADMIN_OVERRIDE:
		phial_admin_override(worker, client, &request->override, value_fd);
		break;
	case PHIAL_ADMIN_END_OVERRIDE:
		phial_admin_end_override(worker, client, &request->override);
		break;
	case PHIAL_ADMIN_REPLY:
		break;
	}
}

void phial_admin_on_frame(struct phial_worker *worker, struct phial_client *client)
{
	union request request;
	struct phial_frame frame;
	phial_auto_fd int value_fd = -1;
	enum phial_status status =
		phial_frame_receive(client->fd, &request, sizeof(request), &frame, NULL);

	if (status == PHIAL_OK) {
		client->document_fd = phial_take_fd(&frame.fds[0]);
		value_fd = phial_take_fd(&frame.fds[1]);
		phial_frame_close_fds(&frame);
	}
	if (status == PHIAL_OK && has_right_size(&frame)) {
		if (frame.length > 0) {
			end_texts(frame.type, &request);
		}
		run(worker, client, frame.type, &request, value_fd);
	}
	if (client->state == PHIAL_CLIENT_ADMIN) { /* answered, or not worth an answer */
		phial_client_close(worker, client);
	}
}
