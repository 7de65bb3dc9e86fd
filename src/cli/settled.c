/* SPDX-License-Identifier: ISC */
/* What became of containers, for people and as an exit status. Asks nobody. */
#include "cli/settled.h"

#include <stdio.h>
#include <string.h>

#include "cli/agent.h"
#include "cli/format.h"

static void print_unsettled(const struct phial_json *container)
{
	char id[PHIAL_CLI_ID_BYTES];

	phial_cli_format_id(container, id);
	printf("NOT YET:   ");
	phial_cli_print_safe(stdout, id);
	printf(" (%s): ", phial_cli_text_of(container, "workload", "?"));
	phial_cli_print_safe(stdout, phial_cli_text_of(container, "why", "under way"));
	printf("\n");
}

void phial_cli_print_settled(const struct phial_json *root, const char *before)
{
	const struct phial_json *containers = phial_json_member(root, "containers");
	size_t done = 0;

	for (const struct phial_json *c = phial_json_first(containers); c; c = phial_json_next(c)) {
		if (strcmp(phial_cli_text_of(c, "state", ""), "not done") == 0) {
			print_unsettled(c);
		} else {
			done++;
		}
	}
	printf("%s %zu of %zu containers\n", before, done, phial_json_count(containers));
}

enum phial_status phial_cli_settled_status(const struct phial_json *root, struct phial_error *err)
{
	const char *problem = phial_cli_text_of(root, "problem", NULL);

	if (problem) {
		return phial_fail(err, PHIAL_SYSTEM, 0,
				  "it is done, but not written down: %s; make room and repeat it",
				  problem);
	}
	return phial_cli_is_true(root, "done")
		       ? PHIAL_OK
		       : phial_fail(err, PHIAL_PROBLEMS, 0,
				    "not every container has changed yet: see phial status");
}

enum phial_status phial_cli_copy_option(const struct phial_cli_call *call, size_t index, char *to,
					size_t to_bytes, struct phial_error *err)
{
	const char *value = call->values[index];
	size_t length = value ? strlen(value) : 0;

	if (value && (length == 0 || length >= to_bytes)) {
		return phial_fail(err, PHIAL_USAGE, 0, "--%s takes 1 to %zu bytes",
				  call->command->options[index].name, to_bytes - 1);
	}
	memcpy(to, value ? value : "", length + 1);
	return PHIAL_OK;
}
