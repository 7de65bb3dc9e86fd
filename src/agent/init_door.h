/* SPDX-License-Identifier: ISC */
/*
 * The worker's door for phial-inits: who connected, whose turn it is, and what they are told. They
 * may be hostile: they have places of their own, one container has few of them and one mounter at
 * a time, and whoever does not ask is dropped for those who do.
 */
#ifndef PHIAL_AGENT_INIT_DOOR_H
#define PHIAL_AGENT_INIT_DOOR_H

#include <poll.h>

#include "agent/worker.h"

/*
 * Fill the poll set: one slot for the listening socket, then PHIAL_CALLERS_MAX. may_accept: the
 * worker serves. ret_wait_ms: made smaller if something is due sooner; negative is no limit.
 */
void phial_init_door_prepare(const struct phial_worker *worker, bool may_accept, struct pollfd *set,
			     int64_t *ret_wait_ms);

/* Serve what poll(2) found, drop who is late, and give turns. */
void phial_init_door_serve(struct phial_worker *worker, const struct pollfd *set);

/* What a caller is told. */
struct phial_init_outcome {
	enum phial_status status;
	bool is_done;
	const char *text; /* with PHIAL_OK the target, else the problems */
};

/* Tell the caller that a mounter works for, if there is still one, and let go of it. */
void phial_init_door_answer(struct phial_client *client, const struct phial_init_outcome *outcome);

/* A mounter's client is closed: its caller, if not told, asks again; its container waits a little. */
void phial_init_door_release(struct phial_worker *worker, struct phial_client *client);

#endif
