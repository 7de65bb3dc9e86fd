/* SPDX-License-Identifier: ISC */
/*
 * `phial setup cdi`: makes the file that the agent keeps up to date, by which `--device
 * phial.io/workload=web` is a grant. What is in it is the agent's to say: here it has no device.
 */
#include "cli/setup_cdi.h"

#include <stdio.h>

#include "cli/agent.h"
#include "cli/cli.h"
#include "cli/setup_actions.h"

enum { PRINT, REMOVE, RUN_DIR, ROOT };

const struct phial_cli_option phial_cli_setup_cdi_options[] = {
	[PRINT] = PHIAL_SETUP_PRINT_OPTION,
	[REMOVE] = { "remove", 0, false, NULL, "remove the file" },
	[RUN_DIR] = PHIAL_CLI_RUN_DIR_OPTION,
	[ROOT] = PHIAL_SETUP_ROOT_OPTION,
	{ 0 },
};

static const char no_devices[] =
	"{\"cdiVersion\":\"0.3.0\",\"kind\":\"phial.io/workload\",\"devices\":[]}\n";

/* Let the agent fill the file now. One that is not there, or has a bad store, does it later. */
static enum phial_status fill(const char *run_dir, struct phial_error *err)
{
	phial_auto_json struct phial_json *root = NULL;
	enum phial_status status = phial_cli_ask_agent(run_dir, PHIAL_ADMIN_RELOAD, &root, err);

	if (status == PHIAL_NO_AGENT || status == PHIAL_PROBLEMS) {
		printf("The agent writes the devices when it has read its store, which it has not: "
		       "%s\n",
		       err->text);
		return PHIAL_OK;
	}
	if (status == PHIAL_OK) {
		printf("Each workload is a device now: podman run --device phial.io/workload=NAME\n");
	}
	return status;
}

static enum phial_status set_up(const struct phial_setup *setup, const char *run_dir,
				struct phial_error *err)
{
	enum phial_status status = PHIAL_OK;

	if (phial_setup_exists(setup, PHIAL_SETUP_CDI_FILE)) {
		phial_setup_say(setup, setup->only_print ? "keep" : "kept", PHIAL_SETUP_CDI_FILE);
	} else {
		status = phial_setup_file(setup, PHIAL_SETUP_CDI_FILE, no_devices, err);
	}
	if (status != PHIAL_OK || setup->only_print || setup->root[0] != '\0') {
		return status;
	}
	return fill(run_dir, err);
}

enum phial_status phial_cli_setup_cdi(const struct phial_cli_call *call, struct phial_error *err)
{
	struct phial_setup setup;
	enum phial_status status = phial_setup_begin(call, call->values[ROOT],
						     call->values[PRINT] != NULL, &setup, err);

	if (status != PHIAL_OK) {
		return status;
	}
	return call->values[REMOVE] ? phial_setup_remove(&setup, PHIAL_SETUP_CDI_FILE, err)
				    : set_up(&setup, call->values[RUN_DIR], err);
}
