/* SPDX-License-Identifier: ISC */
/*
 * What a workload may have now: the policy's list of files, and for each whether its secret is
 * loaded, current and not expired. Serves requests and `status` alike, so that the two agree.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "agent/expiry.h"
#include "agent/worker.h"
#include "base/cleanup.h"
#include "base/text.h"

static void add_revoked(struct phial_text *problems, const struct phial_entry *entry,
			const struct phial_revocation *revocation)
{
	char text[PHIAL_ERROR_TEXT_BYTES];

	phial_revocation_describe(revocation, text, sizeof(text));
	phial_text_add(problems, "%s%s v%" PRIu64 " %s", problems->length > 0 ? "\n" : "",
		       entry->name, entry->loaded.version, text);
}

/* Why a secret cannot be released; nothing is added if it can. */
static enum phial_status check_entry(const struct phial_worker *worker, const char *workload,
				     const struct phial_entry *entry, struct phial_text *problems)
{
	const struct phial_life *life = phial_policy_life(&worker->policy, workload);
	const struct phial_revocation *revocation;

	if (entry->status != PHIAL_OK) {
		phial_text_add(problems, "%s%s", problems->length > 0 ? "\n" : "", entry->name);
		if (entry->file_version != 0) {
			phial_text_add(problems, " v%" PRIu64, entry->file_version);
		}
		phial_text_add(problems, " refused (%s): %s", phial_status_text(entry->status),
			       entry->reason ? entry->reason : "");
		return entry->status;
	}
	int64_t end_s =
		phial_expiry_end_s(entry->loaded.not_after_s, entry->loaded.created_s, life->ttl_s);

	if (end_s != 0 && end_s <= phial_worker_now_s(worker)) {
		phial_text_add(problems,
			       "%s%s v%" PRIu64 " has expired%s; seal it anew with "
			       "\"phial seal %s\"",
			       problems->length > 0 ? "\n" : "", entry->name, entry->loaded.version,
			       end_s == entry->loaded.not_after_s ? "" : " (ttl of the workload)",
			       entry->name);
		return PHIAL_EXPIRED;
	}
	revocation = phial_revocations_find(worker->revocations, entry->name, entry->loaded.version,
					    workload, NULL);
	if (revocation) {
		add_revoked(problems, entry, revocation);
		return PHIAL_REVOKED;
	}
	return PHIAL_OK;
}

enum phial_status phial_grant_check_container(const struct phial_worker *worker,
					      const char *container, struct phial_grant_file *files,
					      size_t *count, struct phial_text *problems)
{
	enum phial_status first = PHIAL_OK;
	size_t kept = 0;

	for (size_t i = 0; i < *count; i++) {
		const struct phial_entry *entry = phial_index_find(&worker->index, files[i].secret);
		const struct phial_revocation *revocation =
			phial_revocations_find(worker->revocations, entry->name,
					       entry->loaded.version, NULL, container);

		if (!revocation) {
			files[kept++] = files[i];
		} else if (files[i].is_required) {
			add_revoked(problems, entry, revocation);
			first = PHIAL_REVOKED;
		}
	}
	if (first == PHIAL_OK && kept == 0) {
		phial_text_add(problems, "all that it could have was revoked for this container");
		first = PHIAL_REVOKED;
	}
	*count = kept;
	return first;
}

enum phial_status phial_grant_files(const struct phial_worker *worker, const char *workload,
				    struct phial_grant_file **ret_files, size_t *ret_count,
				    struct phial_text *problems, struct phial_error *err)
{
	phial_auto_free struct phial_grant_file *files = NULL;
	size_t count = 0;
	size_t kept = 0;
	enum phial_status first = PHIAL_OK;
	enum phial_status status;

	if (!worker->trust) {
		/* Secrets may be in the ring from before, but which gates they are behind is not known. */
		phial_text_add(problems, "%sno good store was read yet: %s",
			       problems->length > 0 ? "\n" : "", worker->store_problem);
		return phial_fail(err, PHIAL_REFUSED, 0, "no good store was read yet");
	}
	status = phial_policy_grant(&worker->policy, workload, worker->index.names,
				    worker->index.count, &files, &count, err);

	if (status != PHIAL_OK) {
		phial_text_add(problems, "%s%s", problems->length > 0 ? "\n" : "",
			       err ? err->text : phial_status_text(status));
		return status;
	}
	for (size_t i = 0; i < count; i++) {
		size_t length = problems->length;

		status = check_entry(worker, workload,
				     phial_index_find(&worker->index, files[i].secret), problems);
		if (status == PHIAL_OK) {
			files[kept++] = files[i];
		} else if (files[i].is_required && first == PHIAL_OK) {
			first = status;
		}
		if (status != PHIAL_OK && !files[i].is_required) {
			problems->length = length; /* an optional one is left out, in silence */
			problems->bytes[length] = '\0';
		}
	}
	if (first == PHIAL_OK && kept == 0) {
		phial_text_add(problems, "none of its secrets can be had");
		first = PHIAL_NOT_FOUND;
	}
	if (first != PHIAL_OK) {
		return phial_fail(err, first, 0, "workload %s cannot have its secrets", workload);
	}
	*ret_files = phial_take_pointer(files);
	*ret_count = kept;
	return PHIAL_OK;
}
