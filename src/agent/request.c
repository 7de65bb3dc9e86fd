/* SPDX-License-Identifier: ISC */
/*
 * A hook's request after its verdict: the fill, the record that is durable before the container may
 * run, and taking back what did not come to its end. Values never come here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/init_door.h"
#include "agent/link.h"
#include "agent/live.h"
#include "agent/log.h"
#include "agent/parts.h"
#include "agent/turns.h"
#include "agent/worker.h"
#include "base/cleanup.h"
#include "mount/generation.h"
#include "oci/config.h"
#include "wire/hook_protocol.h"

/* The payload of the frame at hand: one worker, one request at a time. */
static _Alignas(8) uint8_t payload[PHIAL_FRAME_MAX_BYTES];

static void release_request(struct phial_client *client)
{
	phial_turns_forget(client);
	free(client->files);
	client->files = NULL;
	client->file_count = 0;
	if (client->held == 0) {
		phial_record_free(client->record);
	}
	client->record = NULL;
	client->held = 0;
	client->audit_left = 0;
	client->is_filled = false;
	client->is_refused = false;
}

/* The record belongs to the records once the fill began: take the container back. */
static void abandon(struct phial_worker *worker, struct phial_client *client)
{
	struct phial_link_container call = { .number = client->held };
	struct phial_link_answer answer;
	struct phial_error err;

	if (client->held == 0) {
		return;
	}
	if (phial_link_call(worker->start->call_fd, PHIAL_LINK_WIPE, &call, sizeof(call), NULL,
			    &answer, &err) != PHIAL_OK) {
		phial_log("container %s: cannot take its mount back: %s", client->record->container,
			  err.text);
	}
	client->record->is_committed = false;
}

void phial_client_close(struct phial_worker *worker, struct phial_client *client)
{
	if (client->state == PHIAL_CLIENT_HOOK_FILLING ||
	    client->state == PHIAL_CLIENT_HOOK_ATTACHED) {
		phial_log("container %s: its %s went away before the end; its secrets are wiped",
			  client->record->container, client->is_mounter ? "mounter" : "hook");
		phial_audit_refusal(worker, client, client->record->door, client->record->container,
				    client->record->workload,
				    "the start did not come to its end; its secrets are wiped");
		phial_metrics_refuse(worker, client, PHIAL_REFUSAL_GONE);
		abandon(worker, client);
	}
	release_request(client);
	phial_init_door_release(worker, client);
	phial_admin_forget(client);
	phial_close_fd(&client->fd);
	phial_close_fd(&client->document_fd);
	client->state = PHIAL_CLIENT_FREE;
}

/* --- MOUNT ------------------------------------------------------------------------------ */

/* The filler's records for all files; the record learns what the container gets. */
static enum phial_status list_parts(const struct phial_worker *worker, struct phial_client *client,
				    const struct phial_id_map maps[static 2],
				    struct phial_parts *parts, struct phial_error *err)
{
	enum phial_status status = PHIAL_OK;

	if (client->policy_serial != worker->policy.serial) {
		return phial_fail(err, PHIAL_GONE, 0,
				  "the policy changed meanwhile; start the container again");
	}
	for (size_t i = 0; status == PHIAL_OK && i < client->file_count; i++) {
		const struct phial_grant_file *file = &client->files[i];
		const struct phial_entry *entry = phial_index_find(&worker->index, file->secret);

		/* The store may have been read again since START, or a secret been revoked. */
		if (!entry || entry->status != PHIAL_OK || !phial_loaded_exists(&entry->loaded) ||
		    phial_revocations_forbid(worker->revocations, file->secret,
					     entry->loaded.version, client->record->workload,
					     client->record->container)) {
			return phial_fail(
				err, PHIAL_GONE, 0,
				"%s changed in the store or was revoked meanwhile; start the container "
				"again",
				file->secret);
		}
		phial_release_describe(&client->record->releases[i], file, &entry->loaded);
		status = phial_parts_add(parts, file, &entry->loaded, client->record, maps, err);
	}
	return status;
}

static enum phial_status parse_mount(size_t length, struct phial_hook_mount *mount,
				     struct phial_id_map maps[static 2], struct phial_error *err)
{
	const char *uid_map = NULL;
	const char *gid_map = NULL;
	enum phial_status status =
		phial_hook_decode_mount(payload, length, mount, &uid_map, &gid_map, err);

	if (status == PHIAL_OK) {
		status = phial_id_map_parse(uid_map, mount->uid_map_length, &maps[0], err);
	}
	return status == PHIAL_OK
		       ? phial_id_map_parse(gid_map, mount->gid_map_length, &maps[1], err)
		       : status;
}

static enum phial_status start_fill(struct phial_worker *worker, struct phial_client *client,
				    const struct phial_frame *frame, struct phial_error *err)
{
	static struct phial_parts parts;
	static struct phial_id_map maps[2];
	bool is_user = worker->start->options->is_user;
	struct phial_hook_mount mount;
	struct phial_link_answer answer;
	enum phial_status status = parse_mount(frame->length, &mount, maps, err);

	if (status == PHIAL_OK && is_user) {
		status = phial_parts_find_maps(worker, client->record->pid, mount.start_time, maps,
					       err);
	}
	/* Its number was given to another process since its facts were read. */
	if (status == PHIAL_OK && client->is_mounter &&
	    (mount.mount_namespace != client->record->mount_namespace ||
	     mount.start_time != client->record->start_time)) {
		status = phial_fail(err, PHIAL_GONE, 0, "process %d is gone", client->record->pid);
	}
	if (status == PHIAL_OK) {
		status = phial_mount_identify(frame->fds[1], &client->record->identity, err);
	}
	if (status == PHIAL_OK) {
		parts.job = (struct phial_link_job){ .generation = PHIAL_GENERATION_FIRST };
		parts.count = 0;
		status = list_parts(worker, client, maps, &parts, err);
	}
	if (status == PHIAL_OK && is_user) {
		status = phial_user_fill(worker, frame->fds[1], client->record->releases,
					 client->record->release_count, &parts, err);
	}
	if (status == PHIAL_OK) {
		status = phial_link_call(worker->start->call_fd,
					 is_user ? PHIAL_LINK_GIVE : PHIAL_LINK_FILL, &parts,
					 phial_parts_length(&parts), frame->fds, &answer, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	client->held = answer.number;
	client->state = PHIAL_CLIENT_HOOK_FILLING;
	client->record->number = answer.number;
	client->record->is_held = true;
	client->record->mount_kind = mount.kind;
	client->record->mount_namespace = mount.mount_namespace;
	client->record->start_time = mount.start_time;
	return PHIAL_OK;
}

/* Answer FILLED or COMMITTED. Returns whether the hook can be told at all. */
static bool send_result(struct phial_client *client, uint32_t type, enum phial_status status,
			const char *text)
{
	struct phial_hook_result result = { .status = status };

	if (status != PHIAL_OK) {
		phial_init_door_answer(client, &(struct phial_init_outcome){ status, false, text });
	}
	(void)snprintf(result.text, sizeof(result.text), "%s", text);
	return phial_frame_send(client->fd, type, &result, sizeof(result), NULL, 0, NULL) ==
	       PHIAL_OK;
}

static void say_not_audited(struct phial_worker *worker, struct phial_client *client,
			    enum phial_status status, const char *text)
{
	phial_metrics_refuse(worker, client, PHIAL_REFUSAL_AUDIT);
	phial_log("refused container %s: its release cannot be audited: %s",
		  client->record->container, text);
	(void)send_result(client, PHIAL_HOOK_FILLED, status, text);
}

static bool on_mount(struct phial_worker *worker, struct phial_client *client,
		     const struct phial_frame *frame)
{
	struct phial_error err = { .status = PHIAL_OK };
	enum phial_status status = start_fill(worker, client, frame, &err);

	if (status != PHIAL_OK) {
		phial_log("container %s: %s", client->record->container, err.text);
		phial_audit_refusal(worker, client, client->record->door, client->record->container,
				    client->record->workload, err.text);
		phial_metrics_refuse(worker, client, phial_metrics_refusal(status));
		(void)send_result(client, PHIAL_HOOK_FILLED, status, err.text);
		return false;
	}
	/* Both durable while the filler works: the auditor writes its entry, this process the record. */
	struct phial_error audit_err = { .status = PHIAL_OK };
	enum phial_status audited = phial_audit_release(worker, client, &audit_err);

	/* The records own it from here on. */
	status = phial_records_start(worker->records, client->record, &err);
	if (status != PHIAL_OK) {
		struct phial_link_container call = { .number = client->held };
		struct phial_link_answer answer;
		enum phial_status ignored =
			phial_link_call(worker->start->call_fd, PHIAL_LINK_WIPE, &call,
					sizeof(call), NULL, &answer, NULL);

		(void)ignored;
		phial_log("refused a container: it cannot be recorded: %s", err.text);
		phial_metrics_refuse(worker, client, phial_metrics_refusal(status));
		client->record = NULL;
		client->state = PHIAL_CLIENT_HOOK_MOUNT;
		(void)send_result(client, PHIAL_HOOK_FILLED, status, err.text);
		return false;
	}
	if (audited != PHIAL_OK) {
		say_not_audited(worker, client, audited, audit_err.text);
	}
	return audited == PHIAL_OK;
}

void phial_request_on_audited(struct phial_worker *worker, struct phial_client *client,
			      enum phial_status status, const char *text)
{
	if (status != PHIAL_OK) {
		say_not_audited(worker, client, status, text);
		phial_client_close(worker, client);
		return;
	}
	client->audit_left--;
	if (client->audit_left == 0 && client->is_filled) {
		phial_request_on_filled(worker, client->held, PHIAL_OK, "");
	}
}

void phial_request_on_filled(struct phial_worker *worker, uint64_t held, enum phial_status status,
			     const char *text)
{
	for (size_t i = 0; i < PHIAL_COUNT(worker->clients); i++) {
		struct phial_client *client = &worker->clients[i];

		if (client->state != PHIAL_CLIENT_HOOK_FILLING || client->held != held) {
			continue;
		}
		client->is_filled = true;
		if (status == PHIAL_OK && client->audit_left > 0) {
			return; /* until its release is in the audit log */
		}
		if (status != PHIAL_OK) {
			phial_log("container %s: its secrets could not be written: %s",
				  client->record->container, text);
			phial_metrics_refuse(worker, client, phial_metrics_refusal(status));
		}
		if (!send_result(client, PHIAL_HOOK_FILLED, status, text) || status != PHIAL_OK) {
			phial_client_close(worker, client);
			return;
		}
		client->state = PHIAL_CLIENT_HOOK_ATTACHED;
		return;
	}
}

/* --- ATTACHED --------------------------------------------------------------------------- */

static void on_attached(struct phial_worker *worker, struct phial_client *client)
{
	struct phial_error err = { .status = PHIAL_OK };
	enum phial_status status = phial_records_commit(worker->records, client->record, &err);

	if (status != PHIAL_OK) {
		phial_log("container %s: it cannot be recorded: %s", client->record->container,
			  err.text);
		phial_metrics_refuse(worker, client, phial_metrics_refusal(status));
		(void)send_result(client, PHIAL_HOOK_COMMITTED, status, err.text);
		return;
	}
	phial_live_begin(worker, client->record);
	if (!send_result(client, PHIAL_HOOK_COMMITTED, PHIAL_OK, "")) {
		return; /* closing the client takes the mount back */
	}
	phial_metrics_add(worker, PHIAL_METRIC_RELEASES, 1);
	phial_log("container %s has workload %s: %zu secret%s at %s", client->record->container,
		  client->record->workload, client->record->release_count,
		  client->record->release_count == 1 ? "" : "s", client->record->target);
	phial_init_door_answer(client, &(struct phial_init_outcome){ PHIAL_OK, false,
								     client->record->target });
	client->state = PHIAL_CLIENT_HOOK_START; /* nothing is to be undone any more */
}

/* --- FACTS and FAILED of a mounter ---------------------------------------------------- */

static void on_failed(struct phial_worker *worker, struct phial_client *client, size_t length)
{
	struct phial_mounter_failure failure;

	if (length != sizeof(failure)) {
		return;
	}
	memcpy(&failure, payload, sizeof(failure));
	failure.text[sizeof(failure.text) - 1] = '\0';
	if (failure.status == PHIAL_OK || failure.status > PHIAL_REVOKED) {
		failure.status = PHIAL_SYSTEM;
	}
	phial_metrics_refuse(worker, client,
			     phial_metrics_refusal((enum phial_status)failure.status));
	phial_log("%s %s: %s", client->record ? "container" : "refused a",
		  client->record ? client->record->container : "phial-init", failure.text);
	phial_init_door_answer(client,
			       &(struct phial_init_outcome){ (enum phial_status)failure.status,
							     false, failure.text });
}

/* --- frames ----------------------------------------------------------------------------- */

/* Which frame each state waits for, with how many descriptors. */
static bool is_expected(const struct phial_client *client, const struct phial_frame *frame)
{
	if (client->state == PHIAL_CLIENT_MOUNTER) {
		return frame->type == PHIAL_MOUNTER_FACTS && frame->fd_count == 0;
	}
	if (client->state == PHIAL_CLIENT_HOOK_START) {
		return (frame->type == PHIAL_HOOK_START || frame->type == PHIAL_HOOK_CREATED) &&
		       frame->fd_count == 1;
	}
	if (client->state == PHIAL_CLIENT_HOOK_MOUNT) {
		return frame->type == PHIAL_HOOK_MOUNT && frame->fd_count == 2;
	}
	return client->state == PHIAL_CLIENT_HOOK_ATTACHED && frame->type == PHIAL_HOOK_ATTACHED &&
	       frame->fd_count == 0;
}

/* Returns whether the request goes on. */
static bool run_frame(struct phial_worker *worker, struct phial_client *client,
		      const struct phial_frame *frame)
{
	if (client->is_mounter && frame->type == PHIAL_MOUNTER_FAILED) {
		on_failed(worker, client, frame->length);
		return false;
	}
	if (!is_expected(client, frame)) {
		phial_log("a hook's request does not follow the protocol of version %s",
			  PHIAL_VERSION);
		return false;
	}
	switch (frame->type) {
	case PHIAL_MOUNTER_FACTS:
		return phial_request_on_facts(worker, client, frame, payload);
	case PHIAL_HOOK_START:
	case PHIAL_HOOK_CREATED:
		return phial_request_on_start(worker, client, frame, payload);
	case PHIAL_HOOK_MOUNT:
		return on_mount(worker, client, frame);
	default:
		on_attached(worker, client);
		return false;
	}
}

void phial_request_on_frame(struct phial_worker *worker, struct phial_client *client)
{
	struct phial_frame frame;
	enum phial_status status =
		phial_frame_receive(client->fd, payload, sizeof(payload), &frame, NULL);

	if (status != PHIAL_OK) { /* it hung up, or sent what is no frame */
		phial_client_close(worker, client);
		return;
	}
	bool goes_on = run_frame(worker, client, &frame);

	phial_frame_close_fds(&frame);
	if (!goes_on) {
		phial_client_close(worker, client);
	}
}
