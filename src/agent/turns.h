/* SPDX-License-Identifier: ISC */
/*
 * Turns of hooks (and phial-runtime): so many starts of one workload are served at once, the others
 * wait, and a workload that starts hundreds of containers takes no turn and no place that another one's
 * start needs. Which is next: of the workload with the fewest being served the one that came first.
 */
#ifndef PHIAL_AGENT_TURNS_H
#define PHIAL_AGENT_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/worker.h"
#include "oci/state.h"
#include "wire/frame.h"

/* Starts that are served at once, of one workload and of all. */
#define PHIAL_TURNS_OF_ONE 8
#define PHIAL_TURNS_OF_ALL 64
/* From connect(2) on; a hook gives up by itself a second later. */
#define PHIAL_TURNS_WAIT_MS 8000

/*
 * A START or CREATED as it came, until its turn: it is parsed again then. A parsed config is many
 * times as large as the file, and the answer may be another one by then.
 */
struct phial_waiting {
	char workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	char container[PHIAL_OCI_ID_MAX_BYTES + 1];
	enum phial_door door;
	struct phial_frame frame; /* with the descriptor of config.json, owned */
	_Alignas(8) uint8_t payload[];
};

/*
 * May a start of this workload be served now? client: it has come, or its turn. Pure.
 */
bool phial_turns_may_go(const struct phial_worker *worker, const struct phial_client *client,
			const char *workload);

/*
 * Keep a request until its turn: the client is PHIAL_CLIENT_HOOK_WAITING then. frame, payload: as they
 * came; copied, the descriptor duplicated. workload, container, door: what they say, for the log.
 * Returns PHIAL_OK, or PHIAL_SYSTEM without memory or descriptors.
 */
PHIAL_CHECKED enum phial_status
phial_turns_wait(struct phial_client *client, const struct phial_frame *frame, const void *payload,
		 const struct phial_waiting *who, struct phial_error *err);

/* Serve those whose turn it is. Called in each turn of the loop. */
void phial_turns_serve(struct phial_worker *worker);

/* Refuse one that waits, and say that others are in its way. The client is closed. */
void phial_turns_refuse(struct phial_worker *worker, struct phial_client *client);

/* Could phial_turns_find_place() find one? Pure. */
bool phial_turns_have_place(const struct phial_worker *worker);

/*
 * A place for one more hook or admin: a free one; else that of the last who came of the workload with
 * the most that wait, which is refused; else that of the one who has said nothing for the longest time.
 * NULL: everybody is being served.
 */
struct phial_client *phial_turns_find_place(struct phial_worker *worker);

/* Free what a client waits with. */
void phial_turns_forget(struct phial_client *client);

#endif
