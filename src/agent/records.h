/* SPDX-License-Identifier: ISC */
/*
 * Records of containers on disk, written before a start is committed: which container has which
 * versions. No secret. A later agent learns from them what still runs.
 *
 *	start NUMBER BOOT PID START-TIME MOUNT-NS TIME KIND CONTAINER WORKLOAD TARGET @DOOR NAME=VERSION...
 *	done NUMBER
 *	end NUMBER
 *
 * @DOOR is @hook, @runtime, @init or @init+env; older agents wrote none. Of phial-init's starts it is
 * noted that they came to their end (done; in a rewritten file ",done" behind the door): a hook that
 * does not fails its container, but a phial-init goes on and asks the next worker.
 */
#ifndef PHIAL_AGENT_RECORDS_H
#define PHIAL_AGENT_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>
#include <phial/sealed.h>

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
	uint64_t version;
};

struct phial_record {
	uint64_t number; /* the supervisor's, unique within a boot; set before the start */
	bool is_held;	 /* the supervisor has the mount; false: an earlier agent had it */
	char boot_id[37];
	int32_t pid;
	uint64_t start_time;
	uint64_t mount_namespace;
	uint64_t peer;	   /* whose turn it was at the door for phial-init; 0: unknown */
	int64_t started_s; /* seconds since 1970 */
	char container[129];
	char workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	char *target;
	uint32_t mount_kind;
	enum phial_door door;
	struct phial_release *releases;
	size_t release_count;
	bool is_committed; /* the hook said that it attached the mount */
	struct phial_record *next;
};

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

/* Note a container's end (not synced: a lost end is found out at the next start) and free it. */
void phial_records_end(struct phial_records *records, struct phial_record *record);

/* Free a record that was not given to phial_records_start(). May be NULL. */
void phial_record_free(struct phial_record *record);

#endif
