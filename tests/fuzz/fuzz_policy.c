/* SPDX-License-Identifier: ISC */
/* policy.json, and what is granted by whatever is accepted. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static const char *const names[] = { "db/root", "shared/tls.key", "web/a", "web/b", "web2/a" };

static void grant(const struct phial_policy *policy, const char *workload)
{
	struct phial_grant_file *files = NULL;
	struct phial_error err;
	size_t count = 0;

	if (phial_policy_grant(policy, workload, names, PHIAL_COUNT(names), &files, &count, &err) !=
	    PHIAL_OK) {
		return;
	}
	/* Never nothing, never a file outside the target. */
	if (count == 0 || count > PHIAL_COUNT(names)) {
		abort();
	}
	for (size_t i = 0; i < count; i++) {
		if (files[i].file[0] == '\0' || files[i].file[0] == '.' ||
		    strchr(files[i].file, '/')) {
			abort();
		}
	}
	free(files);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	phial_auto_text struct phial_text problems = { .max = 1024 * 1024 };
	struct phial_policy policy = { 0 };
	struct phial_error err;
	enum phial_status status = phial_policy_parse(bytes, length, &policy, &problems, &err);

	if (status != PHIAL_OK) {
		if (status == PHIAL_MALFORMED && problems.length == 0) {
			abort();
		}
		return 0;
	}
	for (size_t i = 0; i < policy.workload_count; i++) {
		grant(&policy, policy.workloads[i].name);
	}
	grant(&policy, "web");
	phial_policy_free(&policy);
	return 0;
}
