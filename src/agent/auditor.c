/* SPDX-License-Identifier: ISC */
/*
 * The auditor's loop. Entries that wait are one write and one fdatasync; each is answered after
 * that. Decides nothing: what becomes of a container whose entry failed is the worker's.
 */
#include "agent/auditor.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "agent/log.h"
#include "agent/syslog.h"
#include "base/cleanup.h"

/* The most entries of one write. */
#define TOGETHER_MAX 16

/* One entry as it came. */
struct message {
	struct phial_auditor_entry entry;
	struct phial_auditor_secret secrets[PHIAL_AUDITOR_SECRETS_MAX];
};

struct auditor {
	const struct phial_auditor_start *start;
	struct phial_audit_options options;
	struct phial_audit_writer *writer; /* NULL: the log could not be opened yet */
	struct message messages[TOGETHER_MAX];
	struct phial_audit_secret secrets[TOGETHER_MAX][PHIAL_AUDITOR_SECRETS_MAX];
	struct phial_audit_entry entries[TOGETHER_MAX];
	size_t count;
	uint64_t unopened_lost;		      /* entries that came while there was no writer */
	char problem[PHIAL_ERROR_TEXT_BYTES]; /* why entries are lost; empty: none are */
	uint64_t copy_lost;
	int copy_error;
};

static const char *text_or_null(char *text, size_t text_bytes)
{
	text[text_bytes - 1] = '\0';
	return text[0] != '\0' ? text : NULL;
}

/* What the worker sent, with nothing believed but what it says of itself. False: no entry. */
static bool take_entry(struct auditor *auditor, size_t index, const struct phial_frame *frame)
{
	struct phial_auditor_entry *entry = &auditor->messages[index].entry;
	struct phial_auditor_secret *secrets = auditor->messages[index].secrets;

	if (frame->type != PHIAL_AUDITOR_ENTRY || frame->length < sizeof(*entry) ||
	    entry->secret_count > PHIAL_AUDITOR_SECRETS_MAX ||
	    frame->length != sizeof(*entry) + entry->secret_count * sizeof(*secrets)) {
		return false;
	}
	for (size_t i = 0; i < entry->secret_count; i++) {
		secrets[i].name[sizeof(secrets[i].name) - 1] = '\0';
		auditor->secrets[index][i] =
			(struct phial_audit_secret){ secrets[i].name, secrets[i].version };
	}
	auditor->entries[index] = (struct phial_audit_entry){
		.kind = (enum phial_audit_kind)entry->kind,
		.container = text_or_null(entry->container, sizeof(entry->container)),
		.workload = text_or_null(entry->workload, sizeof(entry->workload)),
		.door = (enum phial_audit_door)entry->door,
		.has_uid = entry->has_peer != 0,
		.uid = entry->uid,
		.pid = entry->has_peer != 0 && entry->pid > 0 ? (uint32_t)entry->pid : 0,
		.secrets = auditor->secrets[index],
		.secret_count = entry->secret_count,
		.decision = (enum phial_audit_decision)entry->decision,
		.reason = text_or_null(entry->reason, sizeof(entry->reason)),
		.lost = entry->lost,
	};
	return true;
}

/* Wait for an entry and take those that wait behind it. Returns false when the worker is gone. */
static bool receive(struct auditor *auditor)
{
	struct pollfd waiting = { auditor->start->fd, POLLIN, 0 };

	auditor->count = 0;
	do {
		struct message *message = &auditor->messages[auditor->count];
		struct phial_frame frame;

		if (phial_frame_receive(auditor->start->fd, message, sizeof(*message), &frame,
					NULL) != PHIAL_OK) {
			return false;
		}
		phial_frame_close_fds(&frame);
		if (!take_entry(auditor, auditor->count, &frame)) {
			return false;
		}
		auditor->count++;
	} while (auditor->count < TOGETHER_MAX && poll(&waiting, 1, 0) == 1 &&
		 (waiting.revents & POLLIN) != 0);
	return true;
}

/* --- the copy -------------------------------------------------------------------------- */

/* A line that is durable also goes to syslog, behind the head that it is. */
static void copy_line(void *context, const struct phial_audit_head *head, struct phial_span line)
{
	struct auditor *auditor = context;
	char text[PHIAL_SYSLOG_TEXT_BYTES + 2];
	int length = snprintf(text, sizeof(text), "head %" PRIu64 ":%s %.*s", head->seq, head->hash,
			      (int)line.length - 1, line.text);
	struct phial_span whole = { text, (size_t)length < sizeof(text) ? (size_t)length
									: sizeof(text) - 1 };
	int error = auditor->start->copy_fd < 0 ? ENOTCONN
						: phial_syslog_send(auditor->start->copy_fd, whole);

	auditor->copy_lost += error != 0;
	if ((error != 0) != (auditor->copy_error != 0)) {
		phial_log("audit entries %s: %s",
			  error != 0 ? "do not go to syslog" : "go to syslog again",
			  error != 0 ? strerror(error)
				     : "what was lost is counted in phial status");
	}
	auditor->copy_error = error;
}

/* --- the log ----------------------------------------------------------------------------- */

static enum phial_status open_writer(struct auditor *auditor, struct phial_error *err)
{
	enum phial_status status =
		phial_audit_writer_open(auditor->start->dir_fd, &auditor->options, &auditor->writer,
					err);

	if (status == PHIAL_OK && auditor->unopened_lost > 0) {
		phial_audit_writer_add_lost(auditor->writer, auditor->unopened_lost,
					    auditor->problem);
		auditor->unopened_lost = 0;
	}
	return status;
}

/* One line when entries begin to be lost, and one when none are any more. */
static void set_problem(struct auditor *auditor, const char *problem)
{
	bool drops = auditor->options.drops;

	if (problem[0] != '\0' && auditor->problem[0] == '\0') {
		phial_log("the audit log cannot be written, releases %s: %s",
			  drops ? "go on without an entry (--audit=drop)" : "are refused", problem);
	} else if (problem[0] == '\0' && auditor->problem[0] != '\0') {
		phial_log("the audit log can be written again");
	}
	(void)snprintf(auditor->problem, sizeof(auditor->problem), "%s", problem);
}

static enum phial_status append(struct auditor *auditor, const struct phial_audit_entry *entries,
				size_t count)
{
	struct phial_error err = { .status = PHIAL_OK };
	enum phial_status status = auditor->writer ? PHIAL_OK : open_writer(auditor, &err);

	if (!auditor->writer) {
		auditor->unopened_lost += count;
		set_problem(auditor, err.text);
		return auditor->options.drops ? PHIAL_OK : status;
	}
	status = phial_audit_append(auditor->writer, entries, count, &err);
	set_problem(auditor, phial_audit_writer_lost_reason(auditor->writer));
	return status;
}

static enum phial_status answer(const struct auditor *auditor, enum phial_status status)
{
	struct phial_auditor_done done = {
		.status = status,
		.lost = auditor->unopened_lost,
		.copy_lost = auditor->copy_lost,
		.copy_error = auditor->copy_error,
	};
	enum phial_status sent = PHIAL_OK;

	memcpy(done.text, auditor->problem, sizeof(done.text));
	if (auditor->writer) {
		done.head = *phial_audit_writer_head(auditor->writer);
		done.lost = phial_audit_writer_lost(auditor->writer);
	}
	for (size_t i = 0; sent == PHIAL_OK && i < auditor->count; i++) {
		done.request = auditor->messages[i].entry.request;
		done.first = auditor->messages[i].entry.first;
		sent = phial_frame_send(auditor->start->fd, PHIAL_AUDITOR_DONE, &done, sizeof(done),
					NULL, 0, NULL);
	}
	return sent;
}

enum phial_status phial_auditor_run(const struct phial_auditor_start *start)
{
	static const struct phial_audit_entry end = {
		.kind = PHIAL_AUDIT_STOP,
		.reason = "the worker ended",
	};
	static struct auditor auditor;

	auditor.start = start;
	auditor.options = start->log;
	if (start->copies) {
		auditor.options.written_fn = copy_line;
		auditor.options.context = &auditor;
	}
	while (receive(&auditor)) {
		enum phial_status status = append(&auditor, auditor.entries, auditor.count);

		if (answer(&auditor, status) != PHIAL_OK) {
			break;
		}
	}
	enum phial_status status = append(&auditor, &end, 1);

	phial_audit_writer_close(auditor.writer);
	return status;
}
