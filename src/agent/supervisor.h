/* SPDX-License-Identifier: ISC */
/*
 * The supervisor: root, holds the ring, the listening sockets, and for each live container its
 * pidfd and the rw clone of its mount. Parses fixed-size records only. docs/architecture.md.
 */
#ifndef PHIAL_AGENT_SUPERVISOR_H
#define PHIAL_AGENT_SUPERVISOR_H

#include "agent/options.h"

/*
 * Be the agent until SIGTERM or SIGINT. Blocks. Returns PHIAL_OK after a clean stop; PHIAL_EXISTS
 * when another agent runs; PHIAL_DENIED, PHIAL_UNSUPPORTED, ... when it cannot start, with the
 * reason; what made a worker give up for good.
 */
PHIAL_CHECKED enum phial_status phial_supervisor_run(const struct phial_agent_options *options,
						     struct phial_error *err);

#endif
