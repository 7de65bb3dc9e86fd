/* SPDX-License-Identifier: ISC */
/*
 * Commands of the host's root over admin.sock: status, reload, revoke, revocations, override. Each
 * one that changes something is in the audit log, with who asked.
 */
#ifndef PHIAL_AGENT_ADMIN_H
#define PHIAL_AGENT_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

#include "agent/index.h"
#include "agent/revocations.h"
#include "wire/frame.h"
#include "json/json.h"

struct phial_worker;
struct phial_client;
struct phial_record;

/* How long an answer waits for containers to change. */
#define PHIAL_ADMIN_SETTLE_MS 10000

/* A container whose change an admin waits for: told from another by its process. */
struct phial_admin_awaited {
	char container[129];
	char workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	int32_t pid;
	uint64_t start_time;
};

/* An answer that waits until containers have changed. */
struct phial_admin_wait {
	char name[PHIAL_NAME_MAX_BYTES + 1];
	uint64_t wanted;  /* they are to have this version; 0: no forbidden one any more */
	int64_t until_ms; /* since boot: then it is answered as it is */
	struct phial_admin_awaited *awaited;
	size_t count;
	struct phial_json *document; /* all of the answer but the containers */
};

/* A request has come from a client in state PHIAL_CLIENT_ADMIN. */
void phial_admin_on_frame(struct phial_worker *worker, struct phial_client *client);

/* The store has been read: answer those who asked for it. */
void phial_admin_on_loaded(struct phial_worker *worker);

/*
 * After a worker took up the ring: drop what was revoked, and end overrides whose time is over or
 * that are not written down.
 */
void phial_admin_take_up(struct phial_worker *worker);

/*
 * Do what is due: end overrides, answer who waited long enough. Called in each turn of the loop.
 * Returns when the next thing is due, in milliseconds since boot, or -1.
 */
int64_t phial_admin_run(struct phial_worker *worker);

/* Free what a client's answer waited with. */
void phial_admin_forget(struct phial_client *client);

/*
 * For the files beside admin.c. Answer: document (taken over, may be NULL) goes into the client's
 * memfd.
 */
void phial_admin_answer(struct phial_worker *worker, struct phial_client *client,
			enum phial_status status, const char *text, struct phial_json *document);

/*
 * Answer when the containers that is_meant() picks have changed, or after PHIAL_ADMIN_SETTLE_MS.
 * document: taken over. wanted: see struct phial_admin_wait.
 */
typedef bool phial_admin_pick_fn(const struct phial_worker *worker,
				 const struct phial_record *record, const char *name);
void phial_admin_answer_settled(struct phial_worker *worker, struct phial_client *client,
				const char *name, uint64_t wanted, phial_admin_pick_fn *is_meant,
				struct phial_json *document);

/* admin_revoke.c: REVOKE and REVOCATIONS. request: texts end with a NUL. */
struct phial_admin_revoke;
void phial_admin_revoke(struct phial_worker *worker, struct phial_client *client,
			const struct phial_admin_revoke *request);
void phial_admin_list_revocations(struct phial_worker *worker, struct phial_client *client);

/* admin_override.c: OVERRIDE and END_OVERRIDE. value_fd: stays the caller's; -1: none came. */
struct phial_admin_override;
void phial_admin_override(struct phial_worker *worker, struct phial_client *client,
			  const struct phial_admin_override *request, int value_fd);
void phial_admin_end_override(struct phial_worker *worker, struct phial_client *client,
			      const struct phial_admin_override *request);

/* Take an entry's override away: what the store says counts again. why: for the log, or NULL. */
void phial_admin_lift(struct phial_worker *worker, struct phial_entry *entry, const char *why);

/* Drop the keys of what is loaded of an entry, and say why nothing is. reason: copied. */
void phial_admin_unload(struct phial_worker *worker, struct phial_entry *entry,
			enum phial_status status, const char *reason);

/* The nearest name of the index, for "did you mean", or NULL. */
const char *phial_admin_near(const struct phial_worker *worker, const char *name);

#endif
