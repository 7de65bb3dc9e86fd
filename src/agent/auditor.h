/* SPDX-License-Identifier: ISC */
/*
 * The auditor: a process that writes the audit log (docs/audit.md) and does nothing else. The worker
 * sends entries on a socket pair and is told when each is durable; what waits together is written
 * together.
 */
#ifndef PHIAL_AGENT_AUDITOR_H
#define PHIAL_AGENT_AUDITOR_H

#include <stdbool.h>
#include <stdint.h>

#include <phial/error.h>
#include <phial/sealed.h>

#include "audit/writer.h"
#include "wire/frame.h"

/* The log's directory below the state directory. */
#define PHIAL_AUDITOR_DIR "audit"

enum phial_auditor_frame {
	PHIAL_AUDITOR_ENTRY = 192, /* struct phial_auditor_entry, and its secrets */
	PHIAL_AUDITOR_DONE,	   /* struct phial_auditor_done: the answer */
};

/* The most secrets of one entry; a release of more is several entries. */
#define PHIAL_AUDITOR_SECRETS_MAX 256

struct phial_auditor_entry {
	uint64_t request;
	uint64_t first;	   /* of a change: the request of its first entry; else 0 */
	uint64_t lost;	   /* of a gap */
	uint32_t kind;	   /* enum phial_audit_kind */
	uint32_t door;	   /* enum phial_audit_door */
	uint32_t decision; /* enum phial_audit_decision */
	uint32_t secret_count;
	uint32_t has_peer;
	uint32_t uid;
	int32_t pid;
	uint32_t unused;
	/* Empty: not known. */
	char container[PHIAL_AUDIT_TEXT_MAX_BYTES];
	char workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	char reason[PHIAL_AUDIT_TEXT_MAX_BYTES];
};

struct phial_auditor_secret {
	uint64_t version;
	char name[PHIAL_NAME_MAX_BYTES + 8];
};

_Static_assert(sizeof(struct phial_auditor_entry) +
			       PHIAL_AUDITOR_SECRETS_MAX * sizeof(struct phial_auditor_secret) <=
		       PHIAL_FRAME_MAX_BYTES,
	       "an entry fits a frame");

struct phial_auditor_done {
	uint64_t request;
	uint64_t first;	    /* as the entry said */
	uint64_t lost;	    /* entries not written and not yet told by a gap */
	uint64_t copy_lost; /* entries that did not go to syslog since the auditor began */
	struct phial_audit_head head;
	uint32_t status;		   /* enum phial_status */
	int32_t copy_error;		   /* errno of the last one that did not go; 0: it went */
	char text[PHIAL_ERROR_TEXT_BYTES]; /* why entries are lost, or empty */
};

/* What an auditor is born with; all stays the caller's. */
struct phial_auditor_start {
	int fd;	     /* to the worker */
	int dir_fd;  /* the log's directory */
	int copy_fd; /* of phial_syslog_connect(), or -1 */
	bool copies; /* to syslog: without a copy_fd each entry counts as lost there */
	struct phial_audit_options log;
};

/*
 * Write what comes on fd until the worker is gone, then an entry that says so. Called in the child,
 * sandboxed. Returns the exit status. A log that cannot be opened or
 * written to is the answer to each entry, and tried again with the next.
 */
enum phial_status phial_auditor_run(const struct phial_auditor_start *start);

#endif
