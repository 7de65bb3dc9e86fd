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
	uint64_t copy_lost;	/* entries that did not go to syslog */
	char copy_problem[128]; /* why the last one did not; empty: it went */
	uint64_t last_failed;	/* the request whose answer was bad last, or 0 */
	enum phial_status failed_status;
	char failed_text[PHIAL_ERROR_TEXT_BYTES];
	char problem[PHIAL_ERROR_TEXT_BYTES]; /* empty: the last answer was good */
	/* Refusals are written at a limited rate: a flood of them must not fill the disk. */
	unsigned int tokens;
	int64_t refilled_ms;
	uint64_t suppressed; /* refusals that no gap entry tells of yet */
};

/*
 * Send the entries of a release: what a client's record says. They are durable when
 * client->audit_left is 0 again; with --audit=drop it is 0 at once. Returns PHIAL_OK; PHIAL_SYSTEM when
 * the auditor has no room: then the container must be refused.
 */
PHIAL_CHECKED enum phial_status phial_audit_release(struct phial_worker *worker,
						    struct phial_client *client,
						    struct phial_error *err);

/* What has happened, or is about to, to secrets that are in containers or in the ring. */
struct phial_audit_change {
	enum phial_audit_kind kind;	   /* ROTATION, EXPIRY, REVOCATION, OVERRIDE or ADMIN */
	bool is_refused;		   /* it was asked for, and is not done */
	const struct phial_record *record; /* the container, or NULL: none in particular */
	const struct phial_client *client; /* whose command it is, or NULL: the agent's own doing */
	const char *workload;		   /* without a record: of this one only, or NULL */
	const char *container;		   /* without a record: of this one only, or NULL */
	const struct phial_audit_secret *secrets; /* names and versions; NULL if none are meant */
	size_t secret_count;
	const char *reason; /* what was done and why; NULL: nothing to be said */
};

/*
 * Send the entries of a change; everything of it is copied. Never waits: when the last of them is
 * durable, or one has failed, phial_live_on_audited() is called with *ret_request. NULL: nobody waits,
 * and an entry that is lost is one of the next gap's. ret_request is 0 when nothing is to be waited
 * for: with --audit=drop. Returns PHIAL_OK; PHIAL_SYSTEM when the auditor has no room: then what is to
 * be written down before it is done must not be done.
 */
PHIAL_CHECKED enum phial_status phial_audit_change(struct phial_worker *worker,
						   const struct phial_audit_change *change,
						   uint64_t *ret_request, struct phial_error *err);

/* Send an entry about an admin's command that nothing waits for (kind admin). Never waits. */
void phial_audit_command(struct phial_worker *worker, const struct phial_client *client,
			 const char *reason);

/* The same about a command that was refused; nothing was done. */
void phial_audit_command_refused(struct phial_worker *worker, const struct phial_client *client,
				 enum phial_audit_kind kind, const char *reason);

/* Send an entry about a refusal, unless there are too many: those are counted, and told by a gap
 * entry. client: who asked. container, workload: may be NULL or empty. Never waits. */
void phial_audit_refusal(struct phial_worker *worker, const struct phial_client *client,
			 enum phial_door door, const char *container, const char *workload,
			 const char *reason);

/* Send an entry that has a kind and a reason only (start). Never waits. */
void phial_audit_note(struct phial_worker *worker, enum phial_audit_kind kind, const char *reason);

/* Tell of suppressed refusals as soon as that is allowed. Returns how long to wait for it, in
 * milliseconds, or -1. */
int phial_audit_flush(struct phial_worker *worker);

/* An answer has come. Returns false when the auditor is gone: the worker must end. */
bool phial_audit_on_answer(struct phial_worker *worker);

#endif
