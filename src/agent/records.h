/* SPDX-License-Identifier: ISC */
/*
 * Records of containers on disk, written before a start is committed: which container has which
 * versions. No secret. A later agent learns from them what still runs.
 *
 *	start NUMBER BOOT PID START-TIME MOUNT-NS TIME KIND CONTAINER WORKLOAD TARGET @DOOR @... RELEASE...
 *	has NUMBER RELEASE...
 *	ready NUMBER MILLISECONDS
 *	done NUMBER
 *	end NUMBER
 *
 * @DOOR is @hook, @runtime, @init or @init+env; older agents wrote none. Of phial-init's starts it is
 * noted that they came to their end (done; in a rewritten file ",done" behind the door): a hook that
 * does not fails its container, but a phial-init goes on and asks the next worker. Further words are
 * @user=UID:GID, @fs=DEVICE:ID:INODE, @at=MILLISECONDS and @ready=MILLISECONDS, all optional.
 * RELEASE is NAME=VERSION=FILE=NOT-AFTER=CREATED=READ; version 0: it is gone for good. "=unsure" at its
 * end: a job that gives it was begun, and nobody has seen how it ended. `has` replaces them all. Older
 * agents wrote NAME=VERSION.
 */
#ifndef PHIAL_AGENT_RECORDS_H
#define PHIAL_AGENT_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>
#include <phial/sealed.h>

#include "mount/mount.h"

/* Which program put the secrets into the container. */
enum phial_door {
	PHIAL_DOOR_HOOK = 0,
	PHIAL_DOOR_RUNTIME,
	PHIAL_DOOR_INIT,
	PHIAL_DOOR_INIT_ENV, /* which passes values on in the environment, too */
};

/* One secret that a container has. */
struct phial_release {
	char *name;
	uint64_t version; /* 0: it had it, and is not to get it again */
	char file[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	int64_t not_after_s; /* seconds since 1970, 0: never */
	int64_t created_s;   /* 0: not known */
	int64_t read_ms;     /* since boot: when it was read and closed first; 0: not yet */
	bool is_unsure;	     /* a job that gives it was begun; behind what it takes the place of */
};

/* Where a change of a container stands; see live.c. Not on disk. */
enum phial_live_step {
	PHIAL_LIVE_IDLE = 0,
	PHIAL_LIVE_AUDITING, /* the entry about its next generation is not durable yet */
	PHIAL_LIVE_ROTATING, /* a filler works on it */
	PHIAL_LIVE_REMOVING,
	PHIAL_LIVE_WIPING_OLD,
};

/* Where the recovery of a container of an earlier agent stands; see reattach.c. Not on disk. */
enum phial_reattach_step {
	PHIAL_REATTACH_NONE = 0,
	PHIAL_REATTACH_DUE,
	PHIAL_REATTACH_ASKED,
	PHIAL_REATTACH_FAILED,
};

struct phial_reattach {
	enum phial_reattach_step step;
	char problem[PHIAL_ERROR_TEXT_BYTES]; /* why it failed last; or empty */
};

/* What live.c knows of a container. */
struct phial_live {
	enum phial_live_step step;
	int64_t step_ms;	    /* since boot: when it began */
	struct phial_release *next; /* what it will have when the step is done; owned */
	size_t next_count;
	uint64_t audit_request;
	int64_t grace_until_ms; /* since boot; 0: there is no old generation */
	int64_t due_ms;		/* when it is to be looked at again, since boot; -1: never */
	int64_t retry_at_ms;	/* instead, if a step has failed; 0: none has */
	bool is_dirty;		/* to be looked at */
	bool is_urgent;		/* the step replaces what may not be there any more */
	bool is_watched;	/* reads of its files are told */
	char problem[PHIAL_ERROR_TEXT_BYTES]; /* why it does not have what it might; or empty */
};

struct phial_record {
	uint64_t number; /* the supervisors', unique within a boot; set before the start */
	bool is_held;	 /* the supervisor has the mount; false: an earlier agent had it */
	char boot_id[37];
	int32_t pid;
	uint64_t start_time;
	uint64_t mount_namespace;
	uint64_t peer;	    /* whose turn it was at the door for phial-init; 0: unknown */
	int64_t started_s;  /* seconds since 1970 */
	int64_t started_ms; /* since boot; 0: not known */
	int64_t ready_ms;   /* since boot: when it said so; 0: not yet */
	uint32_t user_uid;  /* process.user, as the container counts */
	uint32_t user_gid;
	struct phial_mount_identity identity;
	char container[129];
	char workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	char *target;
	uint32_t mount_kind;
	enum phial_door door;
	struct phial_release *releases;
	size_t release_count;
	bool is_committed; /* the hook said that it attached the mount */
	struct phial_live live;
	struct phial_reattach reattach;
	struct phial_record *next;
};

/* The file in the state directory. */
#define PHIAL_RECORDS_FILE "containers"

/* The name of a door: "hook", "runtime", "init". */
const char *phial_door_text(enum phial_door door);

struct phial_records;

/*
 * Open the records below the state directory, keeping those without an end. Returns PHIAL_OK;
 * PHIAL_TAMPERED; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_records_open(int state_fd, struct phial_records **ret_records,
						   struct phial_error *err);

/* The first of the live ones; the list is the records' own. */
struct phial_record *phial_records_first(const struct phial_records *records);

/* The one with a number, or NULL; it is the records' own. */
struct phial_record *phial_records_find(const struct phial_records *records, uint64_t number);

/*
 * Add a container and make it durable. record: owned by the records from here on, also on failure
 * (then it is freed). Returns PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_records_start(struct phial_records *records,
						    struct phial_record *record,
						    struct phial_error *err);

/* The mount is attached: note it, durably, where that counts. Returns PHIAL_OK or PHIAL_SYSTEM. */
PHIAL_CHECKED enum phial_status phial_records_commit(struct phial_records *records,
						     struct phial_record *record,
						     struct phial_error *err);

/*
 * A container has other versions now: note them, durably. releases: owned by the record from here
 * on, also on failure (then the next agent believes in the old ones). Returns PHIAL_OK or
 * PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_records_replace(struct phial_records *records,
						      struct phial_record *record,
						      struct phial_release *releases, size_t count,
						      struct phial_error *err);

/*
 * A job that gives a container these releases is about to begin: note those that it does not have
 * as unsure, until phial_records_replace() says what it has. Lives through the death of the agent,
 * not of the host (no sync). Returns PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_records_doubt(struct phial_records *records,
						    struct phial_record *record,
						    const struct phial_release *next, size_t count,
						    struct phial_error *err);

/*
 * A container has read one of its files: note when, durably. release: of the record. Returns PHIAL_OK
 * or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_records_read(struct phial_records *records,
						   struct phial_record *record,
						   struct phial_release *release, int64_t read_ms,
						   struct phial_error *err);

/* A container said that it is ready: note when, durably. Returns PHIAL_OK or PHIAL_SYSTEM. */
PHIAL_CHECKED enum phial_status phial_records_ready(struct phial_records *records,
						    struct phial_record *record, int64_t ready_ms,
						    struct phial_error *err);

/*
 * The release of a secret that a container has, or NULL; it is the record's own. One that is sure comes
 * before one that is not.
 */
const struct phial_release *phial_record_find_release(const struct phial_record *record,
						      const char *secret);

/*
 * Put a copy at the end of a list, with a name of its own; returns the copy. Without memory it aborts: a
 * worker is started anew.
 */
struct phial_release *phial_releases_add(struct phial_release **releases, size_t *count,
					 const struct phial_release *release);

/* Are two lists the same secrets, in the same order, in the same versions and files? */
bool phial_releases_equal(const struct phial_release *a, size_t a_count,
			  const struct phial_release *b, size_t b_count);

/* Free a list of releases. May be NULL. */
void phial_releases_free(struct phial_release *releases, size_t count);

/* Note a container's end (not synced: a lost end is found out at the next start) and free it. */
void phial_records_end(struct phial_records *records, struct phial_record *record);

/* Free a record that was not given to phial_records_start(). May be NULL. */
void phial_record_free(struct phial_record *record);

#endif
