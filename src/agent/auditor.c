/* SPDX-License-Identifier: ISC */
/*
 * The auditor's loop. Entries that wait are one write and one fdatasync; each is answered after
 * that. Decides nothing: what becomes of a container whose entry failed is the worker's.
 */
#include "agent/auditor.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "agent/log.h"
#include "base/cleanup.h"

/* The most entries of one write. */
#define TOGETHER_MAX 16

/* One entry as it came. */
struct message {
	struct phial_auditor_entry entry;
	struct phial_auditor_secret secrets[PHIAL_AUDITOR_SECRETS_MAX];
};

struct auditor {
	int fd;
	int dir_fd;
	const struct phial_audit_options *options;
	struct phial_audit_writer *writer; /* NULL: the log could not be opened yet */
	struct message messages[TOGETHER_MAX];
	struct phial_audit_secret secrets[TOGETHER_MAX][PHIAL_AUDITOR_SECRETS_MAX];
	struct phial_audit_entry entries[TOGETHER_MAX];
	size_t count;
	enum phial_status last_status; /* a failure is logged once, not for each entry */
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
	struct pollfd waiting = { auditor->fd, POLLIN, 0 };

	auditor->count = 0;
	do {
		struct message *message = &auditor->messages[auditor->count];
		struct phial_frame frame;

		if (phial_frame_receive(auditor->fd, message, sizeof(*message), &frame, NULL) !=
		    PHIAL_OK) {
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

static enum phial_status append(struct auditor *auditor, const struct phial_audit_entry *entries,
				size_t count, struct phial_error *err)
{
	enum phial_status status = PHIAL_OK;

	if (!auditor->writer) {
		status = phial_audit_writer_open(auditor->dir_fd, auditor->options,
						 &auditor->writer, err);
	}
	if (status == PHIAL_OK) {
		status = phial_audit_append(auditor->writer, entries, count, err);
	}
	if (status != PHIAL_OK && auditor->last_status == PHIAL_OK) {
		phial_log("the audit log cannot be written, releases are refused: %s", err->text);
	} else if (status == PHIAL_OK && auditor->last_status != PHIAL_OK) {
		phial_log("the audit log can be written again");
	}
	auditor->last_status = status;
	return status;
}

static enum phial_status answer(const struct auditor *auditor, enum phial_status status,
				const char *text)
{
	struct phial_auditor_done done = { .status = status };
	enum phial_status sent = PHIAL_OK;

	(void)snprintf(done.text, sizeof(done.text), "%s", text);
	if (auditor->writer) {
		done.head = *phial_audit_writer_head(auditor->writer);
		done.lost = phial_audit_writer_lost(auditor->writer);
	}
	for (size_t i = 0; sent == PHIAL_OK && i < auditor->count; i++) {
		done.request = auditor->messages[i].entry.request;
		done.first = auditor->messages[i].entry.first;
		sent = phial_frame_send(auditor->fd, PHIAL_AUDITOR_DONE, &done, sizeof(done), NULL,
					0, NULL);
	}
	return sent;
}

enum phial_status phial_auditor_run(int fd, int dir_fd, const struct phial_audit_options *options)
{
	static const struct phial_audit_entry end = {
		.kind = PHIAL_AUDIT_STOP,
		.reason = "the worker ended",
	};
	static struct auditor auditor;
	struct phial_error err = { .status = PHIAL_OK };

	auditor = (struct auditor){ .fd = fd, .dir_fd = dir_fd, .options = options };
	while (receive(&auditor)) {
		err.text[0] = '\0';
		enum phial_status status = append(&auditor, auditor.entries, auditor.count, &err);

		if (answer(&auditor, status, err.text) != PHIAL_OK) {
			break;
		}
	}
	enum phial_status status = append(&auditor, &end, 1, &err);

	phial_audit_writer_close(auditor.writer);
	return status;
}
