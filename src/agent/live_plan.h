/* SPDX-License-Identifier: ISC */
/* What one container should have: facts in, lists out. Changes nothing. */
#ifndef PHIAL_AGENT_LIVE_PLAN_H
#define PHIAL_AGENT_LIVE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

#include "agent/parts.h"
#include "agent/worker.h"
#include "audit/line.h"

/* What a workload may have now; gathered once for many containers of it. */
struct phial_live_grant {
	char workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	bool is_good;			/* a container could start with it now */
	struct phial_grant_file *files; /* with is_good; owned */
	size_t file_count;
	bool is_known; /* what the policy grants can be told, whatever the secrets are like */
	struct phial_grant_file *granted; /* with is_known: of names in the index; owned */
	size_t granted_count;
	const struct phial_life *life; /* of the policy */
	char problem[PHIAL_ERROR_TEXT_BYTES];
};

/* Gather it. ret_grant: holds what it held before, which is freed; zeroed at first. */
void phial_live_grant_get(const struct phial_worker *worker, const char *workload,
			  struct phial_live_grant *grant);
void phial_live_grant_free(struct phial_live_grant *grant);

/* The file of a secret in a good grant, or NULL. */
const struct phial_grant_file *phial_live_find_file(const struct phial_live_grant *grant,
						    const char *secret);

/* The release of a secret that a container has; NULL also if nobody knows: a job was begun and not ended. */
const struct phial_release *phial_live_find_sure(const struct phial_record *record,
						 const char *secret);

/* Why a container may not have a release any more. */
struct phial_live_verdict {
	bool must_go;
	bool is_for_good; /* it does not get it again, whatever its version */
	enum phial_audit_kind kind;
	const char *reason;
};

/* May it? Knows nothing of newer versions. */
struct phial_live_verdict phial_live_judge(const struct phial_worker *worker,
					   const struct phial_record *record,
					   const struct phial_release *release,
					   const struct phial_live_grant *grant);

/* When it may not have a release any more, in milliseconds since boot: now at the soonest; -1: never. */
int64_t phial_live_find_end(const struct phial_worker *worker, const struct phial_record *record,
			    const struct phial_release *release,
			    const struct phial_live_grant *grant);

/* A newer value that takes the place of a release at once, or NULL. */
const struct phial_grant_file *phial_live_find_newer(const struct phial_worker *worker,
						     const struct phial_record *record,
						     const struct phial_release *release,
						     const struct phial_live_grant *grant);

/*
 * What the container is to have next by a rotation. grant: a good one. ret_next: freed with
 * phial_releases_free(). Returns whether that is anything new; if not, nothing is allocated.
 */
bool phial_live_list_next(const struct phial_worker *worker, const struct phial_record *record,
			  const struct phial_live_grant *grant, struct phial_release **ret_next,
			  size_t *ret_count);

/* When this container has to be looked at again, in milliseconds since boot; -1: never. */
int64_t phial_live_find_due(const struct phial_worker *worker, const struct phial_record *record,
			    const struct phial_live_grant *grant);

#endif
