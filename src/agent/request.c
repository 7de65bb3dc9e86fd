/* SPDX-License-Identifier: ISC */
/*
 * A hook's request, from its START to its COMMITTED: which workload, which files, do the gates
 * agree, and the record that is durable before the container may run. Values never come here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/link.h"
#include "agent/log.h"
#include "agent/worker.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/text.h"
#include "oci/config.h"
#include "oci/state.h"
#include "wire/hook_protocol.h"

#define PAGE_BYTES UINT64_C(4096)
/* Room beside the files: links, directories and the kernel's own rounding. */
#define MOUNT_SLACK_BYTES  UINT64_C(65536)
#define MOUNT_SLACK_INODES 16
/* Two generations live side by side while one replaces the other. */
#define GENERATIONS 2

/* The payload of the frame at hand: one worker, one request at a time. */
static _Alignas(8) uint8_t payload[PHIAL_FRAME_MAX_BYTES];

/* What START brought, parsed. */
struct start_request {
	struct phial_oci_state state;
	struct phial_oci_config config;
	char workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	const char *destination; /* of the grant mount, or NULL */
};

static void release_request(struct phial_client *client)
{
	free(client->files);
	client->files = NULL;
	client->file_count = 0;
	if (client->held == 0) {
		phial_record_free(client->record);
	}
	client->record = NULL;
	client->held = 0;
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
		phial_log("container %s: its hook went away before the end; its secrets are wiped",
			  client->record->container);
		abandon(worker, client);
	}
	release_request(client);
	phial_close_fd(&client->fd);
	phial_close_fd(&client->document_fd);
	client->state = PHIAL_CLIENT_FREE;
}

/* --- START ------------------------------------------------------------------------------ */

static enum phial_status parse_start(const struct phial_worker *worker,
				     const struct phial_frame *frame, struct start_request *request,
				     struct phial_error *err)
{
	struct phial_hook_start start;
	const uint8_t *state = NULL;
	phial_auto_free uint8_t *config = NULL;
	char workload_dir[512];
	size_t length = 0;
	enum phial_status status =
		phial_hook_decode_start(payload, frame->length, &start, &state, err);

	if (status == PHIAL_OK) {
		status = phial_oci_state_parse(state, start.state_length, &request->state, err);
	}
	if (status == PHIAL_OK) {
		status = phial_read_all(frame->fds[0], PHIAL_OCI_CONFIG_MAX_BYTES, &config, &length,
					err);
	}
	if (status == PHIAL_OK) {
		status = phial_oci_config_parse(config, length, &request->config, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	(void)snprintf(workload_dir, sizeof(workload_dir), "%s/" PHIAL_WORKLOAD_DIR_NAME,
		       worker->start->options->run_dir);
	return phial_grant_find(&request->config, workload_dir,
				start.workload[0] != '\0' ? start.workload : NULL,
				request->workload, &request->destination, err);
}

/* A container that has its secrets already: the second of its two hook stages. */
static bool is_done(const struct phial_worker *worker, const struct phial_oci_state *state)
{
	for (const struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		if (r->is_held && r->is_committed && r->pid == state->pid &&
		    strcmp(r->container, state->id) == 0 &&
		    phial_worker_record_is_alive(worker, r)) {
			return true;
		}
	}
	return false;
}

static void send_refusal(struct phial_client *client, enum phial_status status, const char *text)
{
	struct phial_hook_verdict verdict = {
		.decision = PHIAL_HOOK_REFUSED,
		.status = status,
	};

	(void)snprintf(verdict.text, sizeof(verdict.text), "%s", text);
	enum phial_status ignored = phial_frame_send(client->fd, PHIAL_HOOK_VERDICT, &verdict,
						     sizeof(verdict), NULL, 0, NULL);

	(void)ignored; /* the hook is gone: nothing to refuse any more */
}

static void log_lines(const char *prefix, const char *text)
{
	while (*text != '\0') {
		size_t length = strcspn(text, "\n");

		phial_log("%s: %.*s", prefix, (int)length, text);
		text += length + (text[length] == '\n');
	}
}

/* Files and gates, all problems at once. */
static enum phial_status judge(const struct phial_worker *worker,
			       const struct start_request *request, struct phial_client *client,
			       struct phial_text *problems, struct phial_error *err)
{
	const struct phial_workload *entry = phial_policy_find(&worker->policy, request->workload);
	unsigned int failed =
		phial_gates_failed(phial_workload_gates(entry), &request->config, problems);

	/* Gates end each of their lines; what follows begins its own. */
	while (problems->length > 0 && problems->bytes[problems->length - 1] == '\n') {
		problems->bytes[--problems->length] = '\0';
	}
	enum phial_status status = phial_grant_files(worker, request->workload, &client->files,
						     &client->file_count, problems, err);

	if (status == PHIAL_OK && failed != 0) {
		status = phial_fail(err, PHIAL_REFUSED, 0, "gates not met");
	}
	return status;
}

/* How large the mount must be for two generations of these files. */
static void size_mount(const struct phial_worker *worker, const struct phial_client *client,
		       const struct phial_workload *entry, struct phial_hook_verdict *verdict)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < client->file_count; i++) {
		const struct phial_entry *secret =
			phial_index_find(&worker->index, client->files[i].secret);

		bytes += (secret->loaded.total_bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	}
	verdict->size_bytes = bytes * GENERATIONS + MOUNT_SLACK_BYTES;
	if (entry && entry->size_bytes > verdict->size_bytes) {
		verdict->size_bytes = entry->size_bytes;
	}
	verdict->inodes = (uint32_t)(client->file_count * (GENERATIONS + 1)) + MOUNT_SLACK_INODES;
}

/* Write where and how large. False if a path does not fit. */
static bool fill_verdict(const struct phial_worker *worker, const struct start_request *request,
			 const struct phial_client *client, struct phial_hook_verdict *verdict)
{
	const struct phial_workload *entry = phial_policy_find(&worker->policy, request->workload);
	const char *root = request->config.root_path;
	const char *target =
		request->destination ? request->destination : phial_workload_target(entry);
	int root_length = snprintf(verdict->rootfs, sizeof(verdict->rootfs), "%s%s%s",
				   root[0] == '/' ? "" : request->state.bundle,
				   root[0] == '/' ? "" : "/", root);
	int target_length = snprintf(verdict->target, sizeof(verdict->target), "%s", target);

	verdict->decision = PHIAL_HOOK_GO;
	verdict->pid = request->state.pid;
	verdict->may_over = entry && entry->may_mount_over;
	(void)snprintf(verdict->workload, sizeof(verdict->workload), "%s", request->workload);
	(void)snprintf(verdict->mount_label, sizeof(verdict->mount_label), "%s",
		       request->config.mount_label ? request->config.mount_label : "");
	size_mount(worker, client, entry, verdict);
	for (size_t i = 0; i < worker->workload_count; i++) {
		if (strcmp(worker->workloads[i].name, request->workload) == 0) {
			verdict->grant_device = worker->workloads[i].device;
			verdict->grant_inode = worker->workloads[i].inode;
		}
	}
	return root_length > 0 && (size_t)root_length < sizeof(verdict->rootfs) &&
	       target_length > 0 && (size_t)target_length < sizeof(verdict->target);
}

/* Begin the record of a container; what is known now. */
static struct phial_record *begin_record(const struct phial_worker *worker,
					 const struct start_request *request,
					 const struct phial_client *client, const char *target)
{
	struct phial_record *record = calloc(1, sizeof(*record));

	if (!record) {
		return NULL;
	}
	record->pid = request->state.pid;
	record->started_s = phial_worker_now_s(worker);
	memcpy(record->boot_id, worker->start->boot_id, sizeof(record->boot_id));
	memcpy(record->container, request->state.id, sizeof(record->container));
	memcpy(record->workload, request->workload, sizeof(record->workload));
	record->target = strdup(target);
	record->releases = calloc(client->file_count, sizeof(*record->releases));
	for (size_t i = 0; record->releases && i < client->file_count; i++) {
		const struct phial_entry *entry =
			phial_index_find(&worker->index, client->files[i].secret);

		record->releases[i].name = strdup(entry->name);
		record->releases[i].version = entry->loaded.version;
		record->release_count++;
		if (!record->releases[i].name) {
			break;
		}
	}
	if (!record->target || record->release_count != client->file_count ||
	    !record->releases[record->release_count - 1].name) {
		phial_record_free(record);
		return NULL;
	}
	return record;
}

/* The workload is known: decide, and say so to the hook. */
static enum phial_status answer_start(struct phial_worker *worker, struct phial_client *client,
				      const struct start_request *request, struct phial_error *err)
{
	struct phial_hook_verdict verdict = { 0 };
	phial_auto_text struct phial_text problems = { .max = PHIAL_HOOK_TEXT_BYTES - 1 };
	char prefix[PHIAL_OCI_ID_MAX_BYTES + 128];
	enum phial_status status = judge(worker, request, client, &problems, err);

	(void)snprintf(prefix, sizeof(prefix), "refused workload %s to container %s",
		       request->workload, request->state.id);
	if (status != PHIAL_OK) {
		const char *text = problems.length > 0 ? problems.bytes : err->text;

		log_lines(prefix, text);
		send_refusal(client, status, text);
		return status;
	}
	if (!fill_verdict(worker, request, client, &verdict)) {
		status = phial_fail(err, PHIAL_TOO_LARGE, 0, "a path of the container is too long");
	} else {
		client->record = begin_record(worker, request, client, verdict.target);
		if (!client->record) {
			status = phial_fail(err, PHIAL_SYSTEM, 0, "out of memory");
		}
	}
	if (status != PHIAL_OK) {
		log_lines(prefix, err->text);
		send_refusal(client, status, err->text);
		return status;
	}
	/* From here on by the record's names: a load frees those of the index. */
	for (size_t i = 0; i < client->file_count; i++) {
		client->files[i].secret = client->record->releases[i].name;
	}
	client->user_uid = request->config.user_uid;
	client->user_gid = request->config.user_gid;
	client->state = PHIAL_CLIENT_HOOK_MOUNT;
	return phial_frame_send(client->fd, PHIAL_HOOK_VERDICT, &verdict, sizeof(verdict), NULL, 0,
				err);
}

/* Tell the hook that there is nothing to do. */
static void send_decision(struct phial_client *client, enum phial_hook_decision decision)
{
	const struct phial_hook_verdict verdict = { .decision = decision };
	enum phial_status ignored = phial_frame_send(client->fd, PHIAL_HOOK_VERDICT, &verdict,
						     sizeof(verdict), NULL, 0, NULL);

	(void)ignored;
}

/* Returns whether the request goes on. */
static bool on_start(struct phial_worker *worker, struct phial_client *client,
		     const struct phial_frame *frame)
{
	struct start_request request = { .destination = NULL };
	struct phial_error err = { .status = PHIAL_OK };
	bool goes_on = false;
	enum phial_status status = parse_start(worker, frame, &request, &err);

	if (status == PHIAL_NOT_FOUND) {
		send_decision(client, PHIAL_HOOK_NO_GRANT);
	} else if (status != PHIAL_OK) {
		phial_log("refused a hook's request: %s", err.text);
		send_refusal(client, status, err.text);
	} else if (is_done(worker, &request.state)) {
		send_decision(client, PHIAL_HOOK_DONE);
	} else {
		goes_on = answer_start(worker, client, &request, &err) == PHIAL_OK;
	}
	phial_oci_config_free(&request.config);
	return goes_on;
}

/* --- MOUNT ------------------------------------------------------------------------------ */

/* Owner and mode of one file as the host sees them. */
static enum phial_status map_owner(const struct phial_client *client,
				   const struct phial_grant_file *file,
				   const struct phial_loaded *loaded,
				   const struct phial_id_map maps[static 2],
				   struct phial_fill_part *part, struct phial_error *err)
{
	bool by_policy = file->owner_uid != PHIAL_ID_UNSET;
	bool by_file = loaded->owner_uid != PHIAL_ID_UNSET;
	uint32_t uid = by_policy ? file->owner_uid : by_file ? loaded->owner_uid : client->user_uid;
	uint32_t gid = by_policy ? file->owner_gid : by_file ? loaded->owner_gid : client->user_gid;

	if (!phial_id_map_outside(&maps[0], uid, &part->uid) ||
	    !phial_id_map_outside(&maps[1], gid, &part->gid)) {
		return phial_fail(
			err, PHIAL_REFUSED, 0,
			"%s: owner %u:%u does not exist in the container's user namespace",
			file->secret, uid, gid);
	}
	if (file->mode != PHIAL_MODE_UNSET) {
		part->mode = file->mode;
	} else {
		part->mode = loaded->mode != PHIAL_MODE_UNSET ? loaded->mode : 0400;
	}
	return PHIAL_OK;
}

/* The filler's records for all files. ret_parts has room for PHIAL_FILL_PARTS_MAX. */
static enum phial_status list_parts(const struct phial_worker *worker, struct phial_client *client,
				    const struct phial_id_map maps[static 2],
				    struct phial_fill_part *ret_parts, size_t *ret_count,
				    struct phial_error *err)
{
	size_t used = 0;

	for (size_t i = 0; i < client->file_count; i++) {
		const struct phial_entry *entry =
			phial_index_find(&worker->index, client->files[i].secret);

		/* The store may have been read again since START. */
		if (!entry || entry->status != PHIAL_OK || entry->loaded.serial_count == 0) {
			return phial_fail(err, PHIAL_GONE, 0,
					  "%s changed in the store meanwhile; start the container "
					  "again",
					  client->files[i].secret);
		}
		const struct phial_loaded *loaded = &entry->loaded;
		struct phial_fill_part part = { .part_count = loaded->serial_count };
		enum phial_status status =
			map_owner(client, &client->files[i], loaded, maps, &part, err);

		if (status != PHIAL_OK) {
			return status;
		}
		if (used + loaded->serial_count > PHIAL_FILL_PARTS_MAX) {
			return phial_fail(err, PHIAL_TOO_LARGE, 0,
					  "the workload's secrets are more than %zu pieces",
					  PHIAL_FILL_PARTS_MAX);
		}
		client->record->releases[i].version = loaded->version;
		memcpy(part.file, client->files[i].file, sizeof(part.file));
		for (part.part = 0; part.part < part.part_count; part.part++) {
			part.serial = loaded->serials[part.part];
			ret_parts[used++] = part;
		}
	}
	*ret_count = used;
	return PHIAL_OK;
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
	static struct phial_fill_part parts[PHIAL_FILL_PARTS_MAX];
	static struct phial_id_map maps[2];
	struct phial_hook_mount mount;
	struct phial_link_answer answer;
	size_t count = 0;
	enum phial_status status = parse_mount(frame->length, &mount, maps, err);

	if (status == PHIAL_OK) {
		status = list_parts(worker, client, maps, parts, &count, err);
	}
	if (status == PHIAL_OK) {
		status = phial_link_call(worker->start->call_fd, PHIAL_LINK_FILL, parts,
					 count * sizeof(parts[0]), frame->fds, &answer, err);
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

	(void)snprintf(result.text, sizeof(result.text), "%s", text);
	return phial_frame_send(client->fd, type, &result, sizeof(result), NULL, 0, NULL) ==
	       PHIAL_OK;
}

static bool on_mount(struct phial_worker *worker, struct phial_client *client,
		     const struct phial_frame *frame)
{
	struct phial_error err = { .status = PHIAL_OK };
	enum phial_status status = start_fill(worker, client, frame, &err);

	if (status != PHIAL_OK) {
		phial_log("container %s: %s", client->record->container, err.text);
		(void)send_result(client, PHIAL_HOOK_FILLED, status, err.text);
		return false;
	}
	/* Durable while the filler works. The records own it from here on. */
	status = phial_records_start(worker->records, client->record, &err);
	if (status != PHIAL_OK) {
		struct phial_link_container call = { .number = client->held };
		struct phial_link_answer answer;
		enum phial_status ignored =
			phial_link_call(worker->start->call_fd, PHIAL_LINK_WIPE, &call,
					sizeof(call), NULL, &answer, NULL);

		(void)ignored;
		phial_log("refused a container: it cannot be recorded: %s", err.text);
		client->record = NULL;
		client->state = PHIAL_CLIENT_HOOK_MOUNT;
		(void)send_result(client, PHIAL_HOOK_FILLED, status, err.text);
		return false;
	}
	return true;
}

void phial_request_on_filled(struct phial_worker *worker, uint64_t held, enum phial_status status,
			     const char *text)
{
	for (size_t i = 0; i < PHIAL_CLIENTS_MAX; i++) {
		struct phial_client *client = &worker->clients[i];

		if (client->state != PHIAL_CLIENT_HOOK_FILLING || client->held != held) {
			continue;
		}
		if (status != PHIAL_OK) {
			phial_log("container %s: its secrets could not be written: %s",
				  client->record->container, text);
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

static void on_attached(struct phial_client *client)
{
	client->record->is_committed = true;
	if (!send_result(client, PHIAL_HOOK_COMMITTED, PHIAL_OK, "")) {
		return; /* closing the client takes the mount back */
	}
	phial_log("container %s has workload %s: %zu secrets at %s", client->record->container,
		  client->record->workload, client->record->release_count, client->record->target);
	client->state = PHIAL_CLIENT_HOOK_START; /* nothing is to be undone any more */
}

/* --- frames ----------------------------------------------------------------------------- */

/* Which frame each state waits for, with how many descriptors. */
static bool is_expected(const struct phial_client *client, const struct phial_frame *frame)
{
	if (client->state == PHIAL_CLIENT_HOOK_START) {
		return frame->type == PHIAL_HOOK_START && frame->fd_count == 1;
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
	if (!is_expected(client, frame)) {
		phial_log("a hook's request does not follow the protocol of version %s",
			  PHIAL_VERSION);
		return false;
	}
	switch (frame->type) {
	case PHIAL_HOOK_START:
		return on_start(worker, client, frame);
	case PHIAL_HOOK_MOUNT:
		return on_mount(worker, client, frame);
	default:
		on_attached(client);
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
