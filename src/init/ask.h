/* SPDX-License-Identifier: ISC */
/* The asking side of wire/init_protocol.h. */
#ifndef PHIAL_INIT_ASK_H
#define PHIAL_INIT_ASK_H

#include <phial/error.h>

#include "init/options.h"
#include "wire/init_protocol.h"

/*
 * Ask the agent, at PHIAL_INIT_SOCKET_PATH, for this process's secrets; try again while nobody
 * answers, for options->wait_s. For the user that the process has by now. All signals must be
 * blocked; SIGTERM, SIGINT, SIGHUP and SIGQUIT end the waiting and are taken. ret_answer: what the
 * agent said, secrets or problems. ret_signal: 0, or the signal that ended it. Returns PHIAL_OK;
 * PHIAL_NOT_FOUND when no grant is mounted; PHIAL_NO_AGENT; PHIAL_GONE with a signal;
 * PHIAL_MALFORMED; PHIAL_SYSTEM. Blocks for wait_s and as long as an answer takes, at most 15
 * seconds.
 */
PHIAL_CHECKED enum phial_status phial_init_ask_agent(const struct phial_init_options *options,
						     struct phial_init_answer *ret_answer,
						     int *ret_signal, struct phial_error *err);

/*
 * The same, but tell the agent that the container of this process is ready. ret_answer: PHIAL_OK,
 * with is_done if it was known or nobody wanted to know; else why not.
 */
PHIAL_CHECKED enum phial_status phial_init_tell_agent(const struct phial_init_options *options,
						      struct phial_init_answer *ret_answer,
						      int *ret_signal, struct phial_error *err);

#endif
