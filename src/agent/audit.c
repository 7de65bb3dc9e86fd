/* SPDX-License-Identifier: ISC */
/*
 * What the worker tells the auditor. Never waits for it: an entry that finds no room fails, and
 * with it the release that it was about. The file is the auditor's alone.
 */
#include "agent/audit.h"

#include <stdio.h>
#include <string.h>

#include "agent/auditor.h"
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

/* --- releases --------------------------------------------------------------------------- */

enum phial_status phial_audit_release(struct phial_worker *worker, struct phial_client *client,
				      struct phial_error *err)
{
	static struct message message;
	const struct phial_record *record = client->record;
	enum phial_status status = PHIAL_OK;

	client->audit_first = worker->audit.last_request + 1;
	for (size_t sent = 0; status == PHIAL_OK && sent < record->release_count;) {
		size_t left = record->release_count - sent;
		size_t count = left < PHIAL_AUDITOR_SECRETS_MAX ? left : PHIAL_AUDITOR_SECRETS_MAX;

		memset(&message.entry, 0, sizeof(message.entry));
		message.entry.kind = PHIAL_AUDIT_RELEASE;
		message.entry.door = door_of(record->door);
		message.entry.decision = PHIAL_AUDIT_ALLOWED;
		message.entry.secret_count = (uint32_t)count;
		message.entry.has_uid = !client->is_mounter; /* a hook's peer; accept_client() */
		set_text(message.entry.container, sizeof(message.entry.container),
			 record->container);
		set_text(message.entry.workload, sizeof(message.entry.workload), record->workload);
		for (size_t i = 0; i < count; i++) {
			message.secrets[i].version = record->releases[sent + i].version;
			set_text(message.secrets[i].name, sizeof(message.secrets[i].name),
				 record->releases[sent + i].name);
		}
		status = send_message(worker, &message, err);
		client->audit_left += status == PHIAL_OK;
		sent += count;
	}
	client->audit_last = worker->audit.last_request;
	return status;
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
		worker->audit.suppressed += entry->kind == PHIAL_AUDIT_GAP ? entry->lost : 1;
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
	set_text(gap.reason, sizeof(gap.reason), "too many refusals at once");
	worker->audit.suppressed = 0;
	send_entry(worker, &gap);
	return worker->audit.suppressed > 0 ? TOKEN_MS : -1;
}

void phial_audit_refusal(struct phial_worker *worker, enum phial_door door, const char *container,
			 const char *workload, const char *reason)
{
	struct phial_auditor_entry entry = {
		.kind = PHIAL_AUDIT_REFUSAL,
		.door = door_of(door),
		.decision = PHIAL_AUDIT_REFUSED,
	};

	refill(&worker->audit, phial_worker_clock_ms());
	/* In order: what was suppressed is told first. */
	if (worker->audit.tokens == 0 || worker->audit.suppressed > 0) {
		worker->audit.suppressed++;
		return;
	}
	worker->audit.tokens--;
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

/* --- answers --------------------------------------------------------------------------------- */

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
	worker->audit.head = done.head;
	worker->audit.lost = done.lost;
	memcpy(worker->audit.problem, done.text, sizeof(worker->audit.problem));
	for (size_t i = 0; i < PHIAL_COUNT(worker->clients); i++) {
		struct phial_client *client = &worker->clients[i];

		if (client->audit_left > 0 && done.request >= client->audit_first &&
		    done.request <= client->audit_last) {
			phial_request_on_audited(worker, client, (enum phial_status)done.status,
						 done.text);
		}
	}
	return true;
}
