/* SPDX-License-Identifier: ISC */
/* What the supervisor does once, before it waits. Kept apart because its order is the design. */
#ifndef PHIAL_AGENT_SUPERVISOR_START_H
#define PHIAL_AGENT_SUPERVISOR_START_H

#include "agent/supervisor_internal.h"

/*
 * Take the run directory (lock, sockets, workload directories), the clone of the state directory,
 * the filters and the shared pages. Should: come before the ring, whose lifetime a listening
 * socket's credentials would pin. Returns PHIAL_OK; PHIAL_EXISTS for a second agent; PHIAL_DENIED;
 * PHIAL_NOT_FOUND; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status supervisor_prepare(struct supervisor *supervisor,
						   struct phial_error *err);

/*
 * Join the ring, put the host's identity into it, and give up all capabilities that are not used
 * later. Mustn't: be followed by a socket that others connect to.
 */
PHIAL_CHECKED enum phial_status supervisor_take_ring(struct supervisor *supervisor,
						     struct phial_error *err);

/* Remove the sockets, if they are this agent's. */
void supervisor_remove_sockets(struct supervisor *supervisor);

#endif
