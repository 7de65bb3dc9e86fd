/* SPDX-License-Identifier: ISC */
/*
 * The worker: own uid, no capabilities, seccomp. Parses and decides everything that comes from
 * outside: sealed files, policy, requests of hooks and of the command line.
 */
#ifndef PHIAL_AGENT_WORKER_H
#define PHIAL_AGENT_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <phial/error.h>

#include "agent/admin.h"
#include "agent/audit.h"
#include "agent/clock.h"
#include "agent/index.h"
#include "agent/metrics.h"
#include "agent/mounter.h"
#include "agent/options.h"
#include "agent/pages.h"
#include "agent/records.h"
#include "agent/revocations.h"
#include "agent/watch.h"
#include "mount/mount.h"
#include "policy/policy.h"
#include "store/marks.h"
#include "store/trust.h"
#include "wire/init_protocol.h"

/* Hooks and admins that are connected at once, most of them waiting (turns.h). */
#define PHIAL_CLIENTS_MAX 512
/* How long a client may take from its first byte to the end of its request. */
#define PHIAL_CLIENT_DEADLINE_MS 10000
/* Beside them, so that neither keeps the other out: mounters, and the phial-inits they work for. */
#define PHIAL_CALLERS_MAX 64

/* What a worker is born with. */
struct phial_worker_start {
	int call_fd;
	int event_fd;
	int hook_fd;
	int admin_fd;
	int init_fd;
	int audit_fd; /* the auditor; not to be waited for */
	int state_fd;
	int32_t ring;
	int32_t identity_serial;
	struct phial_pages pages;
	const struct phial_agent_options *options;
	const char *host_key;
	const char *boot_id;
	struct phial_clock_point began;	  /* when the agent did */
	enum phial_mount_kind mount_kind; /* that this kernel gives */
	unsigned int restarts;
	size_t clients_max; /* hooks and admins that may be connected, at most PHIAL_CLIENTS_MAX */
};

/* A workload whose directory exists for grants. */
struct phial_workload_dir {
	char name[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	uint64_t device;
	uint64_t inode;
};

enum phial_client_state {
	PHIAL_CLIENT_FREE = 0,
	PHIAL_CLIENT_ADMIN,	     /* waits for its request */
	PHIAL_CLIENT_ADMIN_RELOAD,   /* waits for the store to be read */
	PHIAL_CLIENT_ADMIN_SETTLING, /* waits for containers to change */
	PHIAL_CLIENT_MOUNTER,	     /* waits for the mounter's FACTS, then goes on as a hook */
	PHIAL_CLIENT_HOOK_START,     /* waits for START */
	PHIAL_CLIENT_HOOK_WAITING,   /* waits for its turn */
	PHIAL_CLIENT_HOOK_MOUNT,     /* has its verdict, waits for MOUNT */
	PHIAL_CLIENT_HOOK_FILLING,   /* waits for the filler */
	PHIAL_CLIENT_HOOK_ATTACHED,  /* FILLED was sent, waits for ATTACHED */
};

struct phial_waiting;

struct phial_client {
	enum phial_client_state state;
	int fd;
	int64_t deadline_ms;
	uint64_t number;	       /* grows: who came first */
	int document_fd;	       /* an admin's, for its answer */
	struct phial_admin_wait *wait; /* for containers; or NULL */
	/* As the kernel noted it at connect(2): of a hook, an admin, or a mounter's caller. */
	bool has_peer;
	uint32_t peer_uid;
	int32_t peer_pid;
	/* A hook's request, until its turn has come. */
	struct phial_waiting *waiting;
	bool has_turn;
	/* A hook's request, from its verdict on. */
	struct phial_grant_file *files;
	size_t file_count;
	uint64_t policy_serial;	     /* of the policy that granted them */
	struct phial_record *record; /* its own until the fill begins, then the records' */
	uint64_t held;		     /* the supervisor's number once it holds the mount */
	/* Entries of the audit log about it. */
	uint64_t audit_first;
	uint64_t audit_last;
	size_t audit_left; /* not yet durable */
	bool is_filled;	   /* only those are waited for */
	bool is_refused;   /* and counted as such */
	/* A mounter's. */
	bool is_mounter;
	struct phial_caller *caller; /* whom it works for, or NULL: gone or answered */
	uint64_t peer;
	struct phial_init_ask ask;
};

enum phial_caller_state {
	PHIAL_CALLER_FREE = 0,
	PHIAL_CALLER_CONNECTED, /* waits for ASK */
	PHIAL_CALLER_WAITING,	/* has asked, waits for its turn */
	PHIAL_CALLER_SERVED,	/* a mounter works for it */
};

/* A connected phial-init, or what says to be one. */
struct phial_caller {
	enum phial_caller_state state;
	int fd;
	int pidfd;
	int32_t pid;
	uint32_t uid;
	uint64_t number; /* grows: who came first */
	uint64_t peer;	 /* what its container's processes have in common */
	int64_t deadline_ms;
	struct phial_init_ask ask;
};

/* A container that was served just now; others come first. */
struct phial_served {
	uint64_t peer;
	int64_t until_ms;
};

#define PHIAL_SERVED_MAX 32

/* Containers of an earlier agent; see reattach.c. */
struct phial_worker_reattach {
	bool is_due;	 /* some are to be asked for */
	size_t asked;	 /* of the supervisor, without an answer yet */
	int64_t next_ms; /* when all that failed are tried again; 0: nothing failed */
};

struct phial_worker {
	const struct phial_worker_start *start;
	struct phial_index index;
	struct phial_marks *marks;
	struct phial_records *records;
	struct phial_revocations *revocations;
	struct phial_trust *trust; /* NULL until a store was read */
	struct phial_policy policy;
	struct phial_workload_dir *workloads;
	size_t workload_count;
	char store_problem[PHIAL_ERROR_TEXT_BYTES]; /* empty: the last load found the store good */
	char store_older[PHIAL_ERROR_TEXT_BYTES +
			 256]; /* empty: no file is older than what was seen */
	char **file_problems;  /* files that cannot be a secret */
	size_t file_problem_count;
	struct phial_clock clock;
	struct phial_watch watch;
	int64_t expiry_due_ms; /* when expiry.c has something to do, since boot; -1: never */
	int64_t loaded_at_s;
	bool is_serving;
	bool is_loaded;
	/* Hooks and admins have the first PHIAL_CLIENTS_MAX, mounters the rest. */
	struct phial_client clients[PHIAL_CLIENTS_MAX + PHIAL_MOUNTERS_MAX];
	struct phial_caller callers[PHIAL_CALLERS_MAX];
	uint64_t last_caller;
	uint64_t last_client;
	struct phial_served served[PHIAL_SERVED_MAX];
	size_t next_served;
	int64_t override_due_ms; /* when to look at overrides, since boot; -1: there are none */
	struct phial_worker_audit audit;
	struct phial_counts counts;
	int64_t live_due_ms; /* when live.c has something to do, since boot; -1: never */
	struct phial_worker_reattach reattach;
};

/*
 * Be a worker until the supervisor goes away. Called in the child, sandboxed. Returns the exit
 * status.
 */
enum phial_status phial_worker_run(const struct phial_worker_start *start);

/* The time for deadlines, in milliseconds since boot; and for expiry, in seconds since 1970. */
int64_t phial_worker_clock_ms(void);
int64_t phial_worker_now_s(const struct phial_worker *worker);

/* Have the supervisor send the store, soon: it comes as an event. */
void phial_worker_ask_store(struct phial_worker *worker);

/* Does a record's process still run, and is it the same? */
bool phial_worker_record_is_alive(const struct phial_worker *worker,
				  const struct phial_record *record);

/*
 * The supervisor holds a mount that this worker has not seen filled: it is one of the records and
 * goes on, or it is of a start that did not come to its end and is wiped. number: of the record.
 */
void phial_worker_hold(struct phial_worker *worker, uint64_t number);

/*
 * Does a record's process still run, and in which mount namespace is it now?
 * ret_mount_namespace: set on true; 0 if it has ended and nobody has waited for it.
 */
bool phial_worker_find_namespace(const struct phial_worker *worker,
				 const struct phial_record *record, uint64_t *ret_mount_namespace);

/*
 * load.c: read the store (a clone's descriptor and the pin file's; both stay the caller's; -1, -1:
 * there is none) and bring index, ring and marks up to date. Problems are recorded in the worker,
 * and the secrets that were good before stay.
 */
void phial_worker_load(struct phial_worker *worker, int store_fd, int trust_fd);

/* workloads.c: make sure that each workload that has a secret has its directory for grants. */
void phial_worker_ensure_workloads(struct phial_worker *worker);

/* load.c: the host's key out of the ring. ret_identities: freed by the caller. */
struct phial_identities;
PHIAL_CHECKED enum phial_status phial_worker_read_identity(const struct phial_worker *worker,
							   struct phial_identities **ret_identities,
							   struct phial_error *err);

/*
 * user_fill.c, for a user's agent: what root's has the filler do. Write files into the generation
 * of parts->job in a mount, opening each from its sealed file; they are the agent's until the filler
 * gives them away. releases: what the container is to have; those of version 0 are left out. parts:
 * one for each of the others. A failure leaves nothing of the generation.
 */
struct phial_parts;
PHIAL_CHECKED enum phial_status phial_user_fill(const struct phial_worker *worker, int mount_fd,
						const struct phial_release *releases, size_t count,
						const struct phial_parts *parts,
						struct phial_error *err);

/* The same for the next generation of a live container: record->live.next. */
PHIAL_CHECKED enum phial_status phial_user_rotate(const struct phial_worker *worker,
						  const struct phial_record *record,
						  struct phial_parts *parts,
						  struct phial_error *err);

/* request.c: a frame has come from a hook, the filler is done, a client went away. */
void phial_request_on_frame(struct phial_worker *worker, struct phial_client *client);
void phial_request_on_filled(struct phial_worker *worker, uint64_t held, enum phial_status status,
			     const char *text);
void phial_client_close(struct phial_worker *worker, struct phial_client *client);

/* request.c: one of the entries about a client's release is durable, or has failed. */
void phial_request_on_audited(struct phial_worker *worker, struct phial_client *client,
			      enum phial_status status, const char *text);

/*
 * request_start.c: START or CREATED has come (payload: the frame's bytes). Sends the verdict. Returns whether
 * the request goes on.
 */
struct phial_frame;
bool phial_request_on_start(struct phial_worker *worker, struct phial_client *client,
			    const struct phial_frame *frame, const void *payload);

/* request_start.c: answer a refusal instead of a verdict; text: the problems, one a line. */
void phial_request_refuse(struct phial_worker *worker, struct phial_client *client,
			  enum phial_status status, const char *text);

/* The same for a mounter's FACTS. */
bool phial_request_on_facts(struct phial_worker *worker, struct phial_client *client,
			    const struct phial_frame *frame, const void *payload);

/* A free place among so many clients from first on, or NULL. */
struct phial_client *phial_worker_free_client(struct phial_worker *worker, size_t first,
					      size_t count);

/* grant.c: the files of a workload, and whether it may have them now. */
struct phial_text;
PHIAL_CHECKED enum phial_status phial_grant_files(const struct phial_worker *worker,
						  const char *workload,
						  struct phial_grant_file **ret_files,
						  size_t *ret_count, struct phial_text *problems,
						  struct phial_error *err);

/*
 * grant.c: the same for one container, of the files that its workload may have: those that were revoked
 * for it, and are not required, are taken out. problems: what it cannot start for is added. Returns
 * PHIAL_OK or PHIAL_REVOKED.
 */
PHIAL_CHECKED enum phial_status phial_grant_check_container(const struct phial_worker *worker,
							    const char *container,
							    struct phial_grant_file *files,
							    size_t *count,
							    struct phial_text *problems);

/* status.c: the status document; freed by the caller. */
struct phial_json *phial_status_document(const struct phial_worker *worker);

#endif
