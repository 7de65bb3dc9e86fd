/* SPDX-License-Identifier: ISC */
/* The worker's side of the audit log: what it sends to the auditor, and what it waits for. */
#ifndef PHIAL_AGENT_AUDIT_H
#define PHIAL_AGENT_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include <phial/error.h>

#include "agent/records.h"
#include "audit/line.h"
#include "audit/verify.h"

struct phial_worker;
struct phial_client;

/* What the worker knows of the log. */
struct phial_worker_audit {
	uint64_t last_request;
	struct phial_audit_head head;
	uint64_t lost;
	char problem[PHIAL_ERROR_TEXT_BYTES]; /* empty: the last answer was good */
	/* Refusals are written at a limited rate: a flood of them must not fill the disk. */
	unsigned int tokens;
	int64_t refilled_ms;
	uint64_t suppressed; /* refusals that no gap entry tells of yet */
};

/*
 * Send the entries of a release: what a client's record says. They are durable when
 * client->audit_left is 0 again. Returns PHIAL_OK; PHIAL_SYSTEM when the auditor has no room: then
 * the container must be refused.
 */
PHIAL_CHECKED enum phial_status phial_audit_release(struct phial_worker *worker,
						    struct phial_client *client,
						    struct phial_error *err);

/* Send an entry about a refusal, unless there are too many: those are counted, and told by a gap
 * entry. container, workload: may be NULL or empty. Never waits. */
void phial_audit_refusal(struct phial_worker *worker, enum phial_door door, const char *container,
			 const char *workload, const char *reason);

/* Send an entry that has a kind and a reason only (start, admin). Never waits. */
void phial_audit_note(struct phial_worker *worker, enum phial_audit_kind kind, const char *reason);

/* Tell of suppressed refusals as soon as that is allowed. Returns how long to wait for it, in
 * milliseconds, or -1. */
int phial_audit_flush(struct phial_worker *worker);

/* An answer has come. Returns false when the auditor is gone: the worker must end. */
bool phial_audit_on_answer(struct phial_worker *worker);

#endif
