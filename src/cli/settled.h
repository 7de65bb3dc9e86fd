/* SPDX-License-Identifier: ISC */
/* Answers of the agent that say what became of containers: of revoke and override. */
#ifndef PHIAL_CLI_SETTLED_H
#define PHIAL_CLI_SETTLED_H

#include <stddef.h>

#include <phial/error.h>

#include "cli/cli.h"
#include "json/json.h"

/*
 * Print one line, "BEFORE 3 containers", and one for each container that is not done. before: what is
 * so in the containers.
 */
void phial_cli_print_settled(const struct phial_json *root, const char *before);

/*
 * How such a command ends: PHIAL_OK; PHIAL_PROBLEMS when containers are not done (they are listed by
 * then); PHIAL_SYSTEM with the agent's problem when it could not write something down.
 */
PHIAL_CHECKED enum phial_status phial_cli_settled_status(const struct phial_json *root,
							 struct phial_error *err);

/*
 * Copy an option's value into a request's field, which stays empty if it was not given. Returns
 * PHIAL_OK or PHIAL_USAGE when it is empty or too long.
 */
PHIAL_CHECKED enum phial_status phial_cli_copy_option(const struct phial_cli_call *call,
						      size_t index, char *to, size_t to_bytes,
						      struct phial_error *err);

#endif
