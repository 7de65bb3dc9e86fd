/* SPDX-License-Identifier: ISC */
/*
 * What the worker tells the auditor. Never waits for it: an entry that finds no room fails, and
 * with it the release that it was about. The file is the auditor's alone.
 */
#include "agent/audit.h"

#include <stdio.h>
#include <string.h>

#include "agent/auditor.h"
#include "agent/live.h"
#include "agent/log.h"
#include "agent/worker.h"
#include "wire/frame.h"

/* Refusals: so many at once, and one more in so many milliseconds. */
#define TOKENS_MAX 64
#define TOKEN_MS   200

static enum phial_audit_door door_of(enum phial_door door)
{
	switch (door) {
	case PHIAL_DOOR_RUNTIME:
		return PHIAL_AUDIT_RUNTIME;
	case PHIAL_DOOR_INIT:
	case PHIAL_DOOR_INIT_ENV:
		return PHIAL_AUDIT_INIT;
	case PHIAL_DOOR_HOOK:
		break;
	}
	return PHIAL_AUDIT_HOOK;
}

/* One frame; the worker sends one at a time. */
struct message {
	struct phial_auditor_entry entry;
	struct phial_auditor_secret secrets[PHIAL_AUDITOR_SECRETS_MAX];
};

static enum phial_status send_message(struct phial_worker *worker, struct message *message,
				      struct phial_error *err)
{
	message->entry.request = ++worker->audit.last_request;
	enum phial_status status =
		phial_frame_send(worker->start->audit_fd, PHIAL_AUDITOR_ENTRY, message,
				 sizeof(message->entry) +
					 message->entry.secret_count * sizeof(message->secrets[0]),
				 NULL, 0, err);

	if (status != PHIAL_OK) {
		(void)phial_fail_prefix(err, "the audit log does not keep up");
	}
	return status;
}

static void set_text(char *to, size_t to_bytes, const char *text)
{
	(void)snprintf(to, to_bytes, "%s", text ? text : "");
}

/* What the next gap entry tells of. */
static void suppress(struct phial_worker *worker, uint64_t count)
{
	worker->audit.suppressed += count;
	phial_metrics_add(worker, PHIAL_METRIC_AUDIT_LOST, count);
}

/* --audit=drop: nothing waits for the log. */
static bool drops(const struct phial_worker *worker)
{
	return worker->start->options->audit_drops;
}

/* Whom the kernel named as the one at the other end. */
static void set_peer(struct phial_auditor_entry *entry, const struct phial_client *client)
{
	if (client) {
		entry->has_peer = client->has_peer;
		entry->uid = client->peer_uid;
		entry->pid = client->peer_pid;
	}
}

/* --- releases and changes ----------------------------------------------------------------- */

/* One of the messages that together say something: at most so many secrets from a list. */
static size_t take_secrets(struct message *message, size_t left)
{
	size_t count = left < PHIAL_AUDITOR_SECRETS_MAX ? left : PHIAL_AUDITOR_SECRETS_MAX;

	message->entry.secret_count = (uint32_t)count;
	return count;
}

static void set_secret(struct phial_auditor_secret *to, const char *name, uint64_t version)
{
	to->version = version;
	set_text(to->name, sizeof(to->name), name);
}

static void begin_release(struct message *message, const struct phial_client *client)
{
	const struct phial_record *record = client->record;

	memset(&message->entry, 0, sizeof(message->entry));
	message->entry.kind = PHIAL_AUDIT_RELEASE;
	message->entry.door = door_of(record->door);
	message->entry.decision = PHIAL_AUDIT_ALLOWED;
	set_peer(&message->entry, client);
	set_text(message->entry.container, sizeof(message->entry.container), record->container);
	set_text(message->entry.workload, sizeof(message->entry.workload), record->workload);
}

enum phial_status phial_audit_release(struct phial_worker *worker, struct phial_client *client,
				      struct phial_error *err)
{
	static struct message message;
	const struct phial_record *record = client->record;
	enum phial_status status = PHIAL_OK;

	client->audit_first = worker->audit.last_request + 1;
	begin_release(&message, client);
	for (size_t sent = 0; status == PHIAL_OK && sent < record->release_count;) {
		size_t count = take_secrets(&message, record->release_count - sent);

		for (size_t i = 0; i < count; i++) {
			set_secret(&message.secrets[i], record->releases[sent + i].name,
				   record->releases[sent + i].version);
		}
		status = send_message(worker, &message, err);
		client->audit_left += status == PHIAL_OK && !drops(worker);
		sent += count;
	}
	client->audit_last = worker->audit.last_request;
	if (status != PHIAL_OK && drops(worker)) {
		suppress(worker, 1);
		return PHIAL_OK;
	}
	return status;
}

/* Nobody decides that time passes. */
static enum phial_audit_decision decision_of(const struct phial_audit_change *change)
{
	if (change->is_refused) {
		return PHIAL_AUDIT_REFUSED;
	}
	return change->kind == PHIAL_AUDIT_EXPIRY ? PHIAL_AUDIT_NO_DECISION : PHIAL_AUDIT_ALLOWED;
}

static void begin_change(struct message *message, const struct phial_worker *worker,
			 const struct phial_audit_change *change)
{
	const struct phial_record *record = change->record;

	memset(&message->entry, 0, sizeof(message->entry));
	message->entry.first = worker->audit.last_request + 1;
	message->entry.kind = change->kind;
	message->entry.decision = decision_of(change);
	set_peer(&message->entry, change->client);
	set_text(message->entry.reason, sizeof(message->entry.reason), change->reason);
	set_text(message->entry.workload, sizeof(message->entry.workload),
		 record ? record->workload : change->workload);
	set_text(message->entry.container, sizeof(message->entry.container),
		 record ? record->container : change->container);
	if (record) {
		message->entry.door = door_of(record->door);
	}
}

enum phial_status phial_audit_change(struct phial_worker *worker,
				     const struct phial_audit_change *change, uint64_t *ret_request,
				     struct phial_error *err)
{
	static struct message message;
	enum phial_status status = PHIAL_OK;
	size_t sent = 0;

	begin_change(&message, worker, change);
	do {
		size_t count = take_secrets(&message, change->secret_count - sent);

		for (size_t i = 0; i < count; i++) {
			set_secret(&message.secrets[i], change->secrets[sent + i].name,
				   change->secrets[sent + i].version);
		}
		status = send_message(worker, &message, err);
		sent += count;
	} while (status == PHIAL_OK && sent < change->secret_count);
	/* What nobody waits for has happened, or will, without its entry. */
	if (status != PHIAL_OK && (drops(worker) || !ret_request)) {
		suppress(worker, 1);
	}
	if (status != PHIAL_OK && !drops(worker)) {
		return status;
	}
	if (ret_request) {
		*ret_request = drops(worker) ? 0 : worker->audit.last_request;
	}
	return PHIAL_OK;
}

/* --- refusals and notes -------------------------------------------------------------------- */

static void refill(struct phial_worker_audit *audit, int64_t now_ms)
{
	int64_t due = (now_ms - audit->refilled_ms) / TOKEN_MS;

	if (audit->refilled_ms == 0 || due > TOKENS_MAX) {
		audit->tokens = TOKENS_MAX;
		audit->refilled_ms = now_ms;
		return;
	}
	audit->refilled_ms += due * TOKEN_MS;
	audit->tokens += (unsigned int)due;
	if (audit->tokens > TOKENS_MAX) {
		audit->tokens = TOKENS_MAX;
	}
}

/* An entry that no container waits for. What cannot be sent is counted as suppressed. */
static void send_entry(struct phial_worker *worker, const struct phial_auditor_entry *entry)
{
	static struct message message;

	message.entry = *entry;
	if (send_message(worker, &message, NULL) != PHIAL_OK) {
		/* Those of a gap are counted already. */
		worker->audit.suppressed += entry->kind == PHIAL_AUDIT_GAP ? entry->lost : 0;
		suppress(worker, entry->kind == PHIAL_AUDIT_GAP ? 0 : 1);
	}
}

int phial_audit_flush(struct phial_worker *worker)
{
	struct phial_auditor_entry gap = { .kind = PHIAL_AUDIT_GAP };

	if (worker->audit.suppressed == 0) {
		return -1;
	}
	refill(&worker->audit, phial_worker_clock_ms());
	/* Not with the first token again: a flood would get a gap for each refusal. */
	if (worker->audit.tokens < TOKENS_MAX / 8) {
		return TOKEN_MS;
	}
	worker->audit.tokens--;
	gap.lost = worker->audit.suppressed;
	set_text(gap.reason, sizeof(gap.reason),
		 "too many refusals at once, or the log did not keep up");
	worker->audit.suppressed = 0;
	send_entry(worker, &gap);
	return worker->audit.suppressed > 0 ? TOKEN_MS : -1;
}

void phial_audit_refusal(struct phial_worker *worker, const struct phial_client *client,
			 enum phial_door door, const char *container, const char *workload,
			 const char *reason)
{
	struct phial_auditor_entry entry = {
		.kind = PHIAL_AUDIT_REFUSAL,
		.door = door_of(door),
		.decision = PHIAL_AUDIT_REFUSED,
	};

	refill(&worker->audit, phial_worker_clock_ms());
	/* In order: what was suppressed is told first. */
	if (worker->audit.tokens == 0 || worker->audit.suppressed > 0) {
		suppress(worker, 1);
		return;
	}
	worker->audit.tokens--;
	set_peer(&entry, client);
	set_text(entry.container, sizeof(entry.container), container);
	set_text(entry.workload, sizeof(entry.workload), workload);
	set_text(entry.reason, sizeof(entry.reason), reason);
	send_entry(worker, &entry);
}

void phial_audit_note(struct phial_worker *worker, enum phial_audit_kind kind, const char *reason)
{
	struct phial_auditor_entry entry = { .kind = kind };

	set_text(entry.reason, sizeof(entry.reason), reason);
	send_entry(worker, &entry);
}

void phial_audit_command(struct phial_worker *worker, const struct phial_client *client,
			 const char *reason)
{
	const struct phial_audit_change change = {
		.kind = PHIAL_AUDIT_ADMIN,
		.client = client,
		.reason = reason,
	};

	enum phial_status ignored = phial_audit_change(worker, &change, NULL, NULL);

	(void)ignored; /* it is counted */
}

void phial_audit_command_refused(struct phial_worker *worker, const struct phial_client *client,
				 enum phial_audit_kind kind, const char *reason)
{
	const struct phial_audit_change change = {
		.kind = kind,
		.is_refused = true,
		.client = client,
		.reason = reason,
	};

	enum phial_status ignored = phial_audit_change(worker, &change, NULL, NULL);

	(void)ignored; /* it is counted */
}

/* --- answers --------------------------------------------------------------------------------- */

/* The request of a change is that of its last entry; the answers come in order. */
static void tell_change(struct phial_worker *worker, const struct phial_auditor_done *done)
{
	bool has_failed = worker->audit.last_failed >= done->first;
	enum phial_status status = has_failed ? worker->audit.failed_status : PHIAL_OK;
	const char *text = has_failed ? worker->audit.failed_text : "";

	phial_live_on_audited(worker, done->request, status, text);
}

static void tell_releases(struct phial_worker *worker, const struct phial_auditor_done *done)
{
	for (size_t i = 0; i < PHIAL_COUNT(worker->clients); i++) {
		struct phial_client *client = &worker->clients[i];

		if (client->audit_left > 0 && done->request >= client->audit_first &&
		    done->request <= client->audit_last) {
			phial_request_on_audited(worker, client, (enum phial_status)done->status,
						 done->text);
		}
	}
}

static void note_answer(struct phial_worker *worker, const struct phial_auditor_done *done)
{
	struct phial_worker_audit *audit = &worker->audit;

	/* A gap entry has told of those of before when there are fewer now. */
	if (done->lost > audit->lost) {
		phial_metrics_add(worker, PHIAL_METRIC_AUDIT_LOST, done->lost - audit->lost);
	}
	audit->head = done->head;
	audit->lost = done->lost;
	memcpy(audit->problem, done->text, sizeof(audit->problem));
	audit->copy_lost = done->copy_lost;
	set_text(audit->copy_problem, sizeof(audit->copy_problem),
		 done->copy_error != 0 ? strerror(done->copy_error) : "");
	if (done->status != PHIAL_OK) {
		audit->last_failed = done->request;
		audit->failed_status = (enum phial_status)done->status;
		memcpy(audit->failed_text, done->text, sizeof(audit->failed_text));
	}
}

bool phial_audit_on_answer(struct phial_worker *worker)
{
	struct phial_auditor_done done;
	struct phial_frame frame;

	if (phial_frame_receive(worker->start->audit_fd, &done, sizeof(done), &frame, NULL) !=
	    PHIAL_OK) {
		phial_log("the auditor is gone");
		return false;
	}
	phial_frame_close_fds(&frame);
	if (frame.type != PHIAL_AUDITOR_DONE || frame.length != sizeof(done)) {
		return false;
	}
	note_answer(worker, &done);
	if (done.first > 0) {
		tell_change(worker, &done);
	} else {
		tell_releases(worker, &done);
	}
	return true;
}
