/* SPDX-License-Identifier: ISC */
/*
 * `phial revoke` and `phial revocations`: asks the agent of this host, and says what became of each
 * container. What a revocation does is the agent's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "cli/agent.h"
#include "cli/cli.h"
#include "cli/format.h"
#include "cli/settled.h"

enum { WORKLOAD, CONTAINER, VERSION, REASON, REVOKE_JSON, REVOKE_RUN_DIR };
enum { LIST_JSON, LIST_RUN_DIR };

const struct phial_cli_option phial_cli_revoke_options[] = {
	[WORKLOAD] = { "workload", 0, false, "W", "from this workload only" },
	[CONTAINER] = { "container", 0, false, "ID", "from this container only" },
	[VERSION] = { "version", 0, false, "N", "this one and all below (default: the newest)" },
	[REASON] = { "reason", 0, false, "TEXT", "why: for status, refusals and the audit log" },
	[REVOKE_JSON] = { "json", 0, false, NULL, "print the agent's answer" },
	[REVOKE_RUN_DIR] = PHIAL_CLI_RUN_DIR_OPTION,
	{ 0 },
};
const struct phial_cli_option phial_cli_revocations_options[] = {
	[LIST_JSON] = { "json", 0, false, NULL, "print the agent's answer" },
	[LIST_RUN_DIR] = PHIAL_CLI_RUN_DIR_OPTION,
	{ 0 },
};

static enum phial_status make_request(const struct phial_cli_call *call,
				      struct phial_admin_revoke *ret_request,
				      struct phial_error *err)
{
	const char *version = call->values[VERSION];
	struct phial_admin_revoke request = { .version = 0 };
	enum phial_status status = phial_name_check(call->operands[0], err);

	if (status != PHIAL_OK) {
		return status;
	}
	memcpy(request.name, call->operands[0], strlen(call->operands[0]));
	if (call->values[WORKLOAD] && call->values[CONTAINER]) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--workload and --container exclude each other");
	}
	if (version &&
	    !phial_parse_u64(phial_span_of(version), 1, UINT64_C(1) << 53, &request.version)) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--version takes a version as phial status and phial inspect "
				  "show it");
	}
	status = phial_cli_copy_option(call, WORKLOAD, request.workload, sizeof(request.workload),
				       err);
	if (status == PHIAL_OK) {
		status = phial_cli_copy_option(call, CONTAINER, request.container,
					       sizeof(request.container), err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_copy_option(call, REASON, request.reason, sizeof(request.reason),
					       err);
	}
	*ret_request = request;
	return status;
}

/* "web/db up to version 7", " for workload web". */
static void print_what(const struct phial_json *revocation)
{
	const char *where = phial_cli_text_of(revocation, "where", NULL);

	printf("%s up to version %" PRId64, phial_cli_text_of(revocation, "name", "?"),
	       phial_cli_number_of(revocation, "version"));
	if (where) {
		printf(" for %s ", phial_cli_text_of(revocation, "scope", "?"));
		phial_cli_print_safe(stdout, where);
	}
}

static void print_revoked(const struct phial_json *root)
{
	bool is_for_all = strcmp(phial_cli_text_of(root, "scope", ""), "all") == 0;
	int64_t loaded = phial_cli_number_of(root, "loaded");

	if (phial_cli_number_of(root, "version") > 0) {
		print_what(root);
		printf("%s\n", phial_cli_is_true(root, "was_revoked") ? " was revoked already"
								      : " is revoked");
	}
	if (!phial_cli_is_true(root, "is_known")) {
		printf("this host has never seen it: look whether the name is right\n");
	}
	if (phial_cli_is_true(root, "override_ended")) {
		printf("its override is over\n");
	}
	phial_cli_print_settled(root, phial_cli_is_true(root, "was_loaded")
					      ? "gone from the keyring and from"
					      : "gone from");
	if (is_for_all && loaded > 0) {
		printf("version %" PRId64 " is newer, and stays in use\n", loaded);
	} else if (is_for_all) {
		printf("next: seal a new value: phial seal %s\n",
		       phial_cli_text_of(root, "name", "?"));
	}
}

enum phial_status phial_cli_revoke(const struct phial_cli_call *call, struct phial_error *err)
{
	phial_auto_json struct phial_json *root = NULL;
	struct phial_admin_revoke request;
	const struct phial_cli_question question = {
		.run_dir = call->values[REVOKE_RUN_DIR],
		.request = PHIAL_ADMIN_REVOKE,
		.payload = &request,
		.length = sizeof(request),
		.value_fd = -1,
	};
	enum phial_status status = make_request(call, &request, err);

	if (status == PHIAL_OK) {
		status = phial_cli_request(&question, &root, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	if (call->values[REVOKE_JSON]) {
		status = phial_cli_print_json(root, err);
	} else {
		print_revoked(root);
	}
	return status == PHIAL_OK ? phial_cli_settled_status(root, err) : status;
}

enum phial_status phial_cli_revocations(const struct phial_cli_call *call, struct phial_error *err)
{
	phial_auto_json struct phial_json *root = NULL;
	enum phial_status status = phial_cli_ask_agent(call->values[LIST_RUN_DIR],
						       PHIAL_ADMIN_REVOCATIONS, &root, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (call->values[LIST_JSON]) {
		return phial_cli_print_json(root, err);
	}
	const struct phial_json *list = phial_json_member(root, "revocations");

	for (const struct phial_json *r = phial_json_first(list); r; r = phial_json_next(r)) {
		const char *reason = phial_cli_text_of(r, "reason", NULL);

		printf("%s  ", phial_cli_text_of(r, "time", "?"));
		if (strcmp(phial_cli_text_of(r, "scope", ""), "override") == 0) {
			printf("OVERRIDE of %s, version %" PRId64,
			       phial_cli_text_of(r, "name", "?"),
			       phial_cli_number_of(r, "version"));
		} else {
			print_what(r);
		}
		printf("%s", reason ? ": " : "");
		phial_cli_print_safe(stdout, reason ? reason : "");
		printf("\n");
	}
	return PHIAL_OK;
}
