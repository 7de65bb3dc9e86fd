/* SPDX-License-Identifier: ISC */
/*
 * A hook's START, or the runtime wrapper's CREATED: which workload, which files, do the gates agree, and how large is the mount to
 * be. Ends with the verdict. Nothing is held or recorded yet.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/init_door.h"
#include "agent/link.h"
#include "agent/log.h"
#include "agent/parts.h"
#include "agent/turns.h"
#include "agent/worker.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/text.h"
#include "oci/config.h"
#include "oci/privilege.h"
#include "oci/state.h"
#include "wire/hook_protocol.h"

#define PAGE_BYTES UINT64_C(4096)
/*
 * Room beside the files: links, directories, the kernel's own rounding, and what later versions and
 * new secrets need. Memory is taken only for what is there.
 */
#define MOUNT_SLACK_BYTES  (UINT64_C(256) * 1024)
#define MOUNT_SLACK_INODES 64
/* Two generations live side by side while one replaces the other, and each may grow. */
#define GENERATIONS 2
#define GROWTH	    2
/* Mounts of one container that makes mount namespaces for itself: each is memory of the host. */
#define MOUNTS_OF_ONE 32

/* What START or CREATED brought, parsed. */
struct start_request {
	char argument[PHIAL_HOOK_ARGUMENT_MAX]; /* --workload of a hook; empty: none */
	struct phial_oci_state state;
	struct phial_oci_config config;
	char workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	const char *destination; /* of the grant mount, or NULL */
	enum phial_door door;
	uint64_t mount_namespace; /* with the next one of a mounter's FACTS, else 0 */
	uint64_t start_time;
	uint32_t owner_uid; /* of the files, as the container counts */
	uint32_t owner_gid;
};

/* START: a hook passes on the runtime's state JSON, and its own argument. */
static enum phial_status parse_state(const struct phial_frame *frame, const void *payload,
				     struct start_request *request, struct phial_error *err)
{
	struct phial_hook_start start;
	const uint8_t *state = NULL;
	enum phial_status status =
		phial_hook_decode_start(payload, frame->length, &start, &state, err);

	if (status == PHIAL_OK) {
		memcpy(request->argument, start.workload, sizeof(request->argument));
		status = phial_oci_state_parse(state, start.state_length, &request->state, err);
	}
	return status;
}

/* CREATED: the runtime wrapper knows by itself what it has had created. */
static enum phial_status parse_created(const struct phial_frame *frame, const void *payload,
				       struct start_request *request, struct phial_error *err)
{
	struct phial_hook_created created;
	enum phial_status status = phial_hook_decode_created(payload, frame->length, &created, err);

	return status == PHIAL_OK ? phial_oci_state_make(created.pid, created.id, created.bundle,
							 &request->state, err)
				  : status;
}

static enum phial_status parse_start(const struct phial_worker *worker,
				     const struct phial_frame *frame, const void *payload,
				     struct start_request *request, struct phial_error *err)
{
	phial_auto_free uint8_t *config = NULL;
	char workload_dir[512];
	size_t length = 0;
	enum phial_status status = frame->type == PHIAL_HOOK_CREATED
					   ? parse_created(frame, payload, request, err)
					   : parse_state(frame, payload, request, err);

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
				request->argument[0] != '\0' ? request->argument : NULL,
				request->workload, &request->destination, err);
}

/* The record of a container that has its secrets already, or NULL. */
static const struct phial_record *find_done(const struct phial_worker *worker,
					    const struct phial_oci_state *state)
{
	for (const struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		if (r->is_held && r->is_committed && r->pid == state->pid &&
		    strcmp(r->container, state->id) == 0 &&
		    phial_worker_record_is_alive(worker, r)) {
			return r;
		}
	}
	return NULL;
}

/*
 * A second request for one container: of its other hook stage, or of a second hook (a CDI device
 * beside a grant mount). For another workload it is refused: nothing of that one would be there.
 */
static enum phial_status check_same(const struct phial_record *done, const char *workload,
				    struct phial_error *err)
{
	if (strcmp(done->workload, workload) == 0) {
		return PHIAL_OK;
	}
	return phial_fail(err, PHIAL_REFUSED, 0,
			  "the container has workload %s already, it cannot have %s, too: one "
			  "container gets one workload, whose policy can name any secrets",
			  done->workload, workload);
}

void phial_request_refuse(struct phial_worker *worker, struct phial_client *client,
			  enum phial_status status, const char *text)
{
	struct phial_hook_verdict verdict = {
		.decision = PHIAL_HOOK_REFUSED,
		.status = status,
	};

	phial_metrics_refuse(worker, client, phial_metrics_refusal(status));
	phial_init_door_answer(client, &(struct phial_init_outcome){ status, false, text });
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

/* Only a container with phial-init has a socket to say that it is ready; others never would. */
static enum phial_status check_keep(const struct phial_workload *entry,
				    const struct start_request *request,
				    struct phial_text *problems, struct phial_error *err)
{
	if (phial_workload_life(entry)->keep != PHIAL_KEEP_UNTIL_READY ||
	    request->door == PHIAL_DOOR_INIT || request->door == PHIAL_DOOR_INIT_ENV) {
		return PHIAL_OK;
	}
	phial_text_add(
		problems,
		"%skeep \"until-ready\" takes phial-init, with which alone a container can say "
		"that it is ready: start it with phial-init, or let keep be a time or "
		"\"until-read\"",
		problems->length > 0 ? "\n" : "");
	return phial_fail(err, PHIAL_REFUSED, 0, "keep cannot be had");
}

/* Files and gates, all problems at once. */
static enum phial_status judge(struct phial_worker *worker, const struct start_request *request,
			       struct phial_client *client, struct phial_text *problems,
			       struct phial_error *err)
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

	if (status == PHIAL_OK) {
		status = phial_grant_check_container(worker, request->state.id, client->files,
						     &client->file_count, problems);
	}
	if (status == PHIAL_OK) {
		status = check_keep(entry, request, problems, err);
	}
	phial_metrics_fail_gates(worker, failed);
	if (status == PHIAL_OK && failed != 0) {
		phial_metrics_refuse(worker, client, PHIAL_REFUSAL_GATE);
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
	verdict->size_bytes = bytes * GENERATIONS * GROWTH + MOUNT_SLACK_BYTES;
	if (entry && entry->size_bytes > verdict->size_bytes) {
		verdict->size_bytes = entry->size_bytes;
	}
	verdict->inodes =
		(uint32_t)(client->file_count * (GENERATIONS + 1) * GROWTH) + MOUNT_SLACK_INODES;
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
	record->door = request->door;
	record->mount_namespace = request->mount_namespace;
	record->start_time = request->start_time;
	record->peer = client->peer;
	record->started_s = phial_worker_now_s(worker);
	record->started_ms = phial_worker_clock_ms();
	record->user_uid = request->owner_uid;
	record->user_gid = request->owner_gid;
	memcpy(record->boot_id, worker->start->boot_id, sizeof(record->boot_id));
	memcpy(record->container, request->state.id, sizeof(record->container));
	memcpy(record->workload, request->workload, sizeof(record->workload));
	record->target = strdup(target);
	record->releases = calloc(client->file_count, sizeof(*record->releases));
	for (size_t i = 0; record->releases && i < client->file_count; i++) {
		const struct phial_entry *entry =
			phial_index_find(&worker->index, client->files[i].secret);

		record->releases[i].name = strdup(entry->name);
		phial_release_describe(&record->releases[i], &client->files[i], &entry->loaded);
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
		phial_audit_refusal(worker, client, request->door, request->state.id,
				    request->workload, text);
		phial_request_refuse(worker, client, status, text);
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
		phial_audit_refusal(worker, client, request->door, request->state.id,
				    request->workload, err->text);
		phial_request_refuse(worker, client, status, err->text);
		return status;
	}
	/* From here on by the record's names: a load frees those of the index. */
	for (size_t i = 0; i < client->file_count; i++) {
		client->files[i].secret = client->record->releases[i].name;
	}
	client->policy_serial = worker->policy.serial;
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

/* Too many of its workload are being served: it is looked at again when it is its turn. */
static bool wait_for_turn(struct phial_worker *worker, struct phial_client *client,
			  const struct phial_frame *frame, const void *payload,
			  const struct start_request *request)
{
	struct phial_waiting who = { .door = request->door };
	struct phial_error err = { .status = PHIAL_OK };

	memcpy(who.workload, request->workload, sizeof(who.workload));
	memcpy(who.container, request->state.id, sizeof(who.container));
	enum phial_status status = phial_turns_wait(client, frame, payload, &who, &err);

	if (status != PHIAL_OK) {
		phial_log("refused a hook's request: %s", err.text);
		phial_request_refuse(worker, client, status, err.text);
	}
	return status == PHIAL_OK;
}

bool phial_request_on_start(struct phial_worker *worker, struct phial_client *client,
			    const struct phial_frame *frame, const void *payload)
{
	struct start_request request = { .destination = NULL };
	struct phial_error err = { .status = PHIAL_OK };
	const struct phial_record *done = NULL;
	bool goes_on = false;
	enum phial_status status = parse_start(worker, frame, payload, &request, &err);

	request.door = frame->type == PHIAL_HOOK_CREATED ? PHIAL_DOOR_RUNTIME : PHIAL_DOOR_HOOK;
	/* A grant at phial-init's place is phial-init's to ask for. */
	if (status == PHIAL_OK && request.destination &&
	    strcmp(request.destination, PHIAL_INIT_GRANT_DIR) == 0) {
		request.destination = NULL;
		status = request.argument[0] == '\0' ? PHIAL_NOT_FOUND : PHIAL_OK;
	}
	if (status == PHIAL_OK) {
		done = find_done(worker, &request.state);
		status = done ? check_same(done, request.workload, &err) : PHIAL_OK;
	}
	if (status == PHIAL_NOT_FOUND) {
		send_decision(client, PHIAL_HOOK_NO_GRANT);
	} else if (status != PHIAL_OK) {
		phial_log("refused a hook's request: %s", err.text);
		phial_audit_refusal(worker, client, request.door, request.state.id,
				    request.workload, err.text);
		phial_request_refuse(worker, client, status, err.text);
	} else if (done) {
		send_decision(client, PHIAL_HOOK_DONE);
	} else if (!phial_turns_may_go(worker, client, request.workload)) {
		goes_on = wait_for_turn(worker, client, frame, payload, &request);
	} else {
		request.owner_uid = request.config.user_uid;
		request.owner_gid = request.config.user_gid;
		goes_on = answer_start(worker, client, &request, &err) == PHIAL_OK;
	}
	phial_oci_config_free(&request.config);
	return goes_on;
}

/* --- a mounter's FACTS -------------------------------------------------------------------- */

enum container_state {
	CONTAINER_NEW,
	CONTAINER_BUSY, /* being served, or being wiped */
	CONTAINER_DONE,
};

/* What is known of the container with this mount namespace. ret_record: with CONTAINER_DONE. */
static enum container_state find_container(const struct phial_worker *worker,
					   const struct phial_client *asking,
					   uint64_t mount_namespace,
					   const struct phial_record **ret_record)
{
	for (const struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		uint64_t now = 0;

		if (r->mount_namespace != mount_namespace) {
			continue;
		}
		(void)phial_worker_find_namespace(worker, r, &now);
		if (now != 0 && now != mount_namespace) {
			continue; /* it has left: this is another container with its number */
		}
		if (r->is_committed && now != 0) {
			*ret_record = r;
			return CONTAINER_DONE;
		}
		/* A start that an agent's death broke off is taken back, and then wiped. */
		if (r->is_held || r->reattach.step != PHIAL_REATTACH_NONE) {
			return CONTAINER_BUSY;
		}
	}
	for (size_t i = 0; i < PHIAL_COUNT(worker->clients); i++) {
		const struct phial_client *other = &worker->clients[i];

		if (other != asking && other->record &&
		    other->record->mount_namespace == mount_namespace) {
			return CONTAINER_BUSY;
		}
	}
	return CONTAINER_NEW;
}

static bool is_workload(const struct phial_worker *worker, const char *name)
{
	for (size_t i = 0; i < worker->workload_count; i++) {
		if (strcmp(worker->workloads[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

static bool has_too_many(const struct phial_worker *worker, uint64_t peer)
{
	size_t count = 0;

	for (const struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		count += r->is_held && r->peer == peer;
	}
	return count >= MOUNTS_OF_ONE;
}

/* Facts of /proc, as if a config had said so. All devices cannot be seen: it takes capabilities. */
static void take_facts(const struct phial_mounter_facts *facts, const struct phial_client *client,
		       struct start_request *request)
{
	struct phial_oci_config *config = &request->config;

	request->state.pid = facts->pid;
	memcpy(request->state.id, facts->container, sizeof(facts->container));
	memcpy(request->workload, facts->workload, sizeof(request->workload));
	request->door = (client->ask.flags & PHIAL_INIT_USES_ENV) != 0 ? PHIAL_DOOR_INIT_ENV
								       : PHIAL_DOOR_INIT;
	request->mount_namespace = facts->mount_namespace;
	request->start_time = facts->start_time;
	config->root_path = "/";
	config->root_is_read_only = facts->root_is_read_only != 0;
	config->user_uid = facts->uid;
	request->owner_uid = client->ask.uid; /* it may have stepped down, or be about to */
	request->owner_gid = client->ask.gid;
	config->no_new_privileges = facts->has_no_new_privileges != 0;
	config->has_seccomp = facts->has_seccomp != 0;
	config->has_privileged_capability = phial_capabilities_are_privileged(facts->capabilities);
	config->pid_namespace = (enum phial_oci_namespace)facts->pid_namespace;
	config->network_namespace =
		facts->shares_network != 0 ? PHIAL_OCI_NS_HOST : PHIAL_OCI_NS_NEW;
	config->user_namespace = facts->shares_user != 0 ? PHIAL_OCI_NS_HOST : PHIAL_OCI_NS_NEW;
	config->memory_limit_bytes = facts->memory_limit_bytes;
	config->pids_limit = facts->pids_limit;
}

static enum phial_status parse_facts(const struct phial_frame *frame, const void *payload,
				     struct phial_mounter_facts *ret_facts)
{
	if (frame->length != sizeof(*ret_facts)) {
		return PHIAL_MALFORMED;
	}
	memcpy(ret_facts, payload, sizeof(*ret_facts));
	ret_facts->container[sizeof(ret_facts->container) - 1] = '\0';
	ret_facts->workload[sizeof(ret_facts->workload) - 1] = '\0';
	return PHIAL_OK;
}

bool phial_request_on_facts(struct phial_worker *worker, struct phial_client *client,
			    const struct phial_frame *frame, const void *payload)
{
	struct start_request request = { .destination = NULL };
	struct phial_mounter_facts facts;
	struct phial_error err = { .status = PHIAL_OK };
	const struct phial_record *record = NULL;

	if (parse_facts(frame, payload, &facts) != PHIAL_OK) {
		return false;
	}
	take_facts(&facts, client, &request);
	switch (find_container(worker, client, facts.mount_namespace, &record)) {
	case CONTAINER_BUSY:
		return false; /* it asks again */
	case CONTAINER_DONE:
		send_decision(client, PHIAL_HOOK_DONE);
		phial_init_door_answer(client, &(struct phial_init_outcome){ PHIAL_OK, true,
									     record->target });
		return false;
	case CONTAINER_NEW:
		break;
	}
	if (!is_workload(worker, request.workload)) {
		phial_request_refuse(worker, client, PHIAL_NOT_FOUND,
				     "the store has no such workload any more");
		return false;
	}
	if (has_too_many(worker, client->peer)) {
		phial_log("refused container %s: too many mount namespaces", request.state.id);
		phial_request_refuse(
			worker, client, PHIAL_REFUSED,
			"the container has its secrets in too many mount namespaces already");
		return false;
	}
	if (answer_start(worker, client, &request, &err) != PHIAL_OK) {
		return false;
	}
	return true;
}
