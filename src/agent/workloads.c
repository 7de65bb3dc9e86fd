/* SPDX-License-Identifier: ISC */
/*
 * Which workloads there are: each gets a directory whose mount in a container is the grant. The
 * supervisor makes them; none is ever removed.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/link.h"
#include "agent/log.h"
#include "agent/worker.h"

/* Make sure that a workload has its directory for grants. */
static void ensure_workload(struct phial_worker *worker, const char *name, size_t length)
{
	struct phial_link_workload call = { .name = "" };
	struct phial_link_answer answer;
	struct phial_error err;

	if (length >= sizeof(call.name)) {
		return;
	}
	memcpy(call.name, name, length);
	for (size_t i = 0; i < worker->workload_count; i++) {
		if (strcmp(worker->workloads[i].name, call.name) == 0) {
			return;
		}
	}
	if (phial_link_call(worker->start->call_fd, PHIAL_LINK_WORKLOAD, &call, sizeof(call), NULL,
			    &answer, &err) != PHIAL_OK) {
		phial_log("workload %s: %s", call.name, err.text);
		return;
	}
	struct phial_workload_dir *larger =
		reallocarray(worker->workloads, worker->workload_count + 1, sizeof(*larger));

	if (!larger) {
		return;
	}
	worker->workloads = larger;
	memcpy(larger[worker->workload_count].name, call.name, sizeof(call.name));
	larger[worker->workload_count].device = answer.device;
	larger[worker->workload_count].inode = answer.inode;
	worker->workload_count++;
}

/* By convention the first component of a secret's name is a workload; the policy names others. */
void phial_worker_ensure_workloads(struct phial_worker *worker)
{
	for (size_t i = 0; i < worker->index.count; i++) {
		const struct phial_entry *entry = &worker->index.entries[i];
		size_t length = strcspn(entry->name, "/");

		if (phial_loaded_exists(&entry->loaded) && entry->name[length] == '/' &&
		    (i == 0 ||
		     strncmp(worker->index.entries[i - 1].name, entry->name, length + 1) != 0 ||
		     !phial_loaded_exists(&worker->index.entries[i - 1].loaded))) {
			ensure_workload(worker, entry->name, length);
		}
	}
	for (size_t i = 0; i < worker->policy.workload_count; i++) {
		const char *name = worker->policy.workloads[i].name;

		ensure_workload(worker, name, strlen(name));
	}
}
