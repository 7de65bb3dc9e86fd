/* SPDX-License-Identifier: ISC */
/* Whom phial-init, and with it the command, runs as. */
#ifndef PHIAL_INIT_IDENTITY_H
#define PHIAL_INIT_IDENTITY_H

#include <phial/error.h>

#include "init/options.h"

/*
 * Become the user of --user, without supplementary groups and capabilities, and set no_new_privs
 * unless it was turned off. phial-init itself goes along: it could not signal a process of another
 * user without CAP_KILL, and the agent's gates see what the command will be. Changes nothing that
 * is already so, and then needs no capability. Returns PHIAL_OK; PHIAL_DENIED when the container
 * lacks SETUID or SETGID; PHIAL_SYSTEM. See setresuid(2), credentials(7), PR_SET_NO_NEW_PRIVS(2const).
 */
PHIAL_CHECKED enum phial_status phial_init_take_identity(const struct phial_init_options *options,
							 struct phial_error *err);

#endif
