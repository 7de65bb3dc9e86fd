/* SPDX-License-Identifier: ISC */
/*
 * What was revoked, and why: a journal (store/journal.h) in the agent's state directory. Names and
 * versions, never a value. Its first line is "phial revocations v1", each other one is
 *
 *	NAME VERSION TIME SCOPE WHERE REASON
 *
 * TIME: seconds since 1970. SCOPE and WHERE: "all -", "workload W" or "container ID", for this
 * version and all below; or "override -": this one version is good only as long as its override is
 * in force, so that no container keeps it when nobody remembers the override any more. REASON: the
 * rest of the line, printable ASCII, perhaps empty.
 */
#ifndef PHIAL_AGENT_REVOCATIONS_H
#define PHIAL_AGENT_REVOCATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>
#include <phial/sealed.h>

#include "store/marks.h"

/* The file's name in the state directory. */
#define PHIAL_REVOCATIONS_FILE "revocations"

/* A reason with its NUL. */
#define PHIAL_REVOCATION_REASON_BYTES 256
/* A workload or a container's id, with its NUL. */
#define PHIAL_REVOCATION_WHERE_BYTES 129

enum phial_revocation_scope {
	PHIAL_REVOKED_ALL = 0,
	PHIAL_REVOKED_WORKLOAD,
	PHIAL_REVOKED_CONTAINER,
	PHIAL_REVOKED_OVERRIDE, /* not revoked: the version of an override */
};

struct phial_revocation {
	char name[PHIAL_NAME_MAX_BYTES + 1];
	uint64_t version;
	enum phial_revocation_scope scope;
	char where[PHIAL_REVOCATION_WHERE_BYTES]; /* the workload or container, or empty */
	int64_t time_s;				  /* since 1970 */
	char reason[PHIAL_REVOCATION_REASON_BYTES];
	bool is_in_force; /* of an override */
};

struct phial_revocations;

/*
 * Open the revocations below a state directory, or make them. state_fd: not kept, may be closed.
 * marks: they note that the file was made; if it is missing then, somebody removed it.
 * ret_revocations: freed with phial_revocations_close(). Returns PHIAL_OK; PHIAL_NOT_FOUND when
 * they are gone, PHIAL_TAMPERED when they are damaged, both with how to repair; PHIAL_DENIED;
 * PHIAL_SYSTEM. Writes and syncs the first time.
 */
PHIAL_CHECKED enum phial_status phial_revocations_open(int state_fd, struct phial_marks *marks,
						       struct phial_revocations **ret_revocations,
						       struct phial_error *err);

/* Close, without a sync. May be NULL. */
void phial_revocations_close(struct phial_revocations *revocations);

/*
 * May this version of a secret not be had (any more)? workload, container: who asks, or NULL: then
 * only wider revocations count. Does not block.
 */
bool phial_revocations_forbid(const struct phial_revocations *revocations, const char *name,
			      uint64_t version, const char *workload, const char *container);

/* The revocation that forbids it, or NULL; as long as the revocations are open. */
const struct phial_revocation *phial_revocations_find(const struct phial_revocations *revocations,
						      const char *name, uint64_t version,
						      const char *workload, const char *container);

/*
 * Add a revocation, or the version of an override. revocation: copied; its reason is made printable
 * ASCII. One that is there already, or a wider version of it, is not written again. Returns
 * PHIAL_OK when it is durable; PHIAL_SYSTEM when it could not be written: it then counts until the
 * process ends, and adding it again tries again; PHIAL_USAGE for what no line can hold.
 */
PHIAL_CHECKED enum phial_status phial_revocations_add(struct phial_revocations *revocations,
						      const struct phial_revocation *revocation,
						      struct phial_error *err);

/*
 * Say which override of a secret is in force. version: 0 for none; all others of this name are not
 * in force from here on. Does not touch the disk.
 */
void phial_revocations_set_override(struct phial_revocations *revocations, const char *name,
				    uint64_t version);

/* The override of a secret that is in force, or NULL. */
const struct phial_revocation *
phial_revocations_find_override(const struct phial_revocations *revocations, const char *name);

/* How many there are, and one of them, sorted by name, then as they came. */
size_t phial_revocations_count(const struct phial_revocations *revocations);
const struct phial_revocation *phial_revocations_at(const struct phial_revocations *revocations,
						    size_t index);

/* "all", "workload", "container" or "override". Static. */
const char *phial_revocation_scope_text(enum phial_revocation_scope scope);

/* Set a reason from outside: printable ASCII, the rest as \xNN, cut to fit. */
void phial_revocation_set_reason(struct phial_revocation *revocation, const char *reason);

/*
 * "revoked on 2026-11-22T07:00:00Z (REASON); seal a new value with "phial seal NAME"", with the
 * workload or container if it is for one only. ret_text: cut to fit.
 */
void phial_revocation_describe(const struct phial_revocation *revocation, char *ret_text,
			       size_t text_bytes);

#endif
