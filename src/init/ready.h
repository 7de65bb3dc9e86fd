/* SPDX-License-Identifier: ISC */
/* Telling the agent that the container is ready. */
#ifndef PHIAL_INIT_READY_H
#define PHIAL_INIT_READY_H

#include "init/options.h"

/*
 * phial-init --ready: tell it, waiting for an agent that is not up as long as the options say.
 * Prints why not. All signals must be blocked. Returns the exit code. Blocks as
 * phial_init_ask_agent().
 */
int phial_init_ready_tell(const struct phial_init_options *options);

/*
 * The same in a child of its own, which nobody waits for, and once in the life of the process. It
 * goes on until an agent has answered, for an hour: with keep "until-ready" secrets stay so long.
 */
void phial_init_ready_tell_aside(const struct phial_init_options *options);

#endif
