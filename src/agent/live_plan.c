/* SPDX-License-Identifier: ISC */
/*
 * The comparison of what a container has with what it may have. A container rotates only to a set
 * with which it could start now; what it may not have any more goes in any case.
 */
#include "agent/live_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/expiry.h"
#include "agent/revocations.h"
#include "base/cleanup.h"
#include "base/text.h"

/* --- the workload's grant --------------------------------------------------------------- */

void phial_live_grant_free(struct phial_live_grant *grant)
{
	free(grant->files);
	free(grant->granted);
	*grant = (struct phial_live_grant){ .is_good = false };
}

/* What the policy says alone: a secret that is refused today is granted all the same. */
static void find_granted(const struct phial_worker *worker, struct phial_live_grant *grant)
{
	enum phial_status status = PHIAL_SYSTEM;

	if (worker->trust) {
		status = phial_policy_grant(&worker->policy, grant->workload, worker->index.names,
					    worker->index.count, &grant->granted,
					    &grant->granted_count, NULL);
	}
	grant->is_known = status == PHIAL_OK || status == PHIAL_NOT_FOUND;
}

void phial_live_grant_get(const struct phial_worker *worker, const char *workload,
			  struct phial_live_grant *grant)
{
	phial_auto_text struct phial_text problems = { .max = sizeof(grant->problem) - 1 };

	phial_live_grant_free(grant);
	(void)snprintf(grant->workload, sizeof(grant->workload), "%s", workload);
	grant->life = phial_policy_life(&worker->policy, workload);
	find_granted(worker, grant);
	grant->is_good = phial_grant_files(worker, workload, &grant->files, &grant->file_count,
					   &problems, NULL) == PHIAL_OK;
	if (!grant->is_good) {
		/* The first line is enough: `phial status` has them all, with the workload. */
		(void)snprintf(grant->problem, sizeof(grant->problem), "%.*s",
			       (int)strcspn(problems.bytes ? problems.bytes : "", "\n"),
			       problems.bytes ? problems.bytes : "");
	}
}

static const struct phial_grant_file *find(const struct phial_grant_file *files, size_t count,
					   const char *secret)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(files[i].secret, secret) == 0) {
			return &files[i];
		}
	}
	return NULL;
}

const struct phial_grant_file *phial_live_find_file(const struct phial_live_grant *grant,
						    const char *secret)
{
	return grant->is_good ? find(grant->files, grant->file_count, secret) : NULL;
}

const struct phial_release *phial_live_find_sure(const struct phial_record *record,
						 const char *secret)
{
	const struct phial_release *release = phial_record_find_release(record, secret);

	return release && !release->is_unsure ? release : NULL;
}

/* --- may it have that? -------------------------------------------------------------------- */

/* Since boot, in milliseconds: when the whole of a container's secrets ends; -1: not by itself. */
static int64_t find_keep_end(const struct phial_record *record, const struct phial_life *life)
{
	if (life->keep == PHIAL_KEEP_TIME) {
		return record->started_ms + life->keep_ms;
	}
	if (life->keep == PHIAL_KEEP_UNTIL_READY && record->ready_ms != 0) {
		return record->ready_ms + life->linger_ms;
	}
	return -1;
}

/* The same for one file that was read. */
static int64_t find_read_end(const struct phial_release *release, const struct phial_life *life)
{
	return life->keep == PHIAL_KEEP_UNTIL_READ && release->read_ms != 0
		       ? release->read_ms + life->linger_ms
		       : -1;
}

/* In seconds since 1970, 0: never. */
static int64_t find_expiry(const struct phial_release *release, const struct phial_life *life)
{
	return phial_expiry_end_s(release->not_after_s, release->created_s, life->ttl_s);
}

static bool has_come(int64_t at_ms, int64_t now_ms)
{
	return at_ms >= 0 && at_ms <= now_ms;
}

/* The store has it, but not for this workload any more. */
static bool is_taken_away(const struct phial_worker *worker, const struct phial_release *release,
			  const struct phial_live_grant *grant)
{
	return grant->is_known && !find(grant->granted, grant->granted_count, release->name) &&
	       phial_index_find(&worker->index, release->name) != NULL;
}

struct phial_live_verdict phial_live_judge(const struct phial_worker *worker,
					   const struct phial_record *record,
					   const struct phial_release *release,
					   const struct phial_live_grant *grant)
{
	const struct phial_life *life = grant->life;
	const int64_t now_ms = phial_worker_clock_ms();
	const int64_t expiry_s = find_expiry(release, life);

	if (phial_revocations_forbid(worker->revocations, release->name, release->version,
				     record->workload, record->container)) {
		return (struct phial_live_verdict){ true, false, PHIAL_AUDIT_REVOCATION,
						    "revoked" };
	}
	if (expiry_s != 0 && expiry_s <= phial_worker_now_s(worker)) {
		return (struct phial_live_verdict){ true, false, PHIAL_AUDIT_EXPIRY,
						    expiry_s == release->not_after_s
							    ? "expired (not-after)"
							    : "expired (ttl)" };
	}
	if (has_come(find_keep_end(record, life), now_ms)) {
		return (struct phial_live_verdict){
			true, true, PHIAL_AUDIT_EXPIRY,
			life->keep == PHIAL_KEEP_TIME ? "its time in the container is over (keep)"
						      : "the container is ready (keep)"
		};
	}
	if (has_come(find_read_end(release, life), now_ms)) {
		return (struct phial_live_verdict){ true, true, PHIAL_AUDIT_EXPIRY,
						    "it was read (keep)" };
	}
	if (is_taken_away(worker, release, grant)) {
		return (struct phial_live_verdict){ true, false, PHIAL_AUDIT_REVOCATION,
						    "the policy does not grant it any more" };
	}
	return (struct phial_live_verdict){ .must_go = false };
}

const struct phial_grant_file *phial_live_find_newer(const struct phial_worker *worker,
						     const struct phial_record *record,
						     const struct phial_release *release,
						     const struct phial_live_grant *grant)
{
	const struct phial_grant_file *file = phial_live_find_file(grant, release->name);
	struct phial_release newer = { .name = release->name };

	if (!file) {
		return NULL;
	}
	phial_release_describe(&newer, file,
			       &phial_index_find(&worker->index, release->name)->loaded);
	return newer.version != release->version &&
			       !phial_live_judge(worker, record, &newer, grant).must_go
		       ? file
		       : NULL;
}

/* --- the next generation ------------------------------------------------------------------ */

static bool is_same(const struct phial_release *a, const struct phial_release *b)
{
	return a->version == b->version && strcmp(a->file, b->file) == 0;
}

/* What the container is to have of one file: what is loaded, unless it is not to have it (again). */
static bool choose(const struct phial_worker *worker, const struct phial_record *record,
		   const struct phial_live_grant *grant, const struct phial_grant_file *file,
		   struct phial_release *ret_release)
{
	const struct phial_release *has = phial_live_find_sure(record, file->secret);
	const struct phial_entry *entry = phial_index_find(&worker->index, file->secret);
	struct phial_release offered = { .name = entry->name };

	if (has && has->version == 0) {
		*ret_release = *has; /* it was taken away for good */
		return true;
	}
	phial_release_describe(&offered, file, &entry->loaded);
	/* What was read is on its way out: with a rotation its time would begin anew. */
	if (has && (is_same(has, &offered) || find_read_end(has, grant->life) >= 0)) {
		*ret_release = *has;
		return true;
	}
	if (!phial_live_judge(worker, record, &offered, grant).must_go) {
		*ret_release = offered;
		return true;
	}
	if (has) {
		*ret_release = *has;
	}
	return has != NULL;
}

bool phial_live_list_next(const struct phial_worker *worker, const struct phial_record *record,
			  const struct phial_live_grant *grant, struct phial_release **ret_next,
			  size_t *ret_count)
{
	struct phial_release *next = NULL;
	size_t count = 0;
	bool is_new = false;

	for (size_t i = 0; i < grant->file_count; i++) {
		const struct phial_release *has =
			phial_live_find_sure(record, grant->files[i].secret);
		struct phial_release release;

		if (choose(worker, record, grant, &grant->files[i], &release)) {
			(void)phial_releases_add(&next, &count, &release);
			is_new = is_new || !has || !is_same(has, &release);
		}
	}
	/* What the store does not have any more stays: that is no revocation. */
	for (size_t i = 0; i < record->release_count; i++) {
		is_new = is_new || record->releases[i].is_unsure; /* then nobody asks any more */
		if (!record->releases[i].is_unsure &&
		    !phial_live_find_file(grant, record->releases[i].name)) {
			(void)phial_releases_add(&next, &count, &record->releases[i]);
		}
	}
	if (!is_new) {
		phial_releases_free(next, count);
		return false;
	}
	*ret_next = next;
	*ret_count = count;
	return true;
}

/* --- when to look again ------------------------------------------------------------------- */

/* When a release ends by itself; -1: never. */
static int64_t find_own_end(const struct phial_worker *worker, const struct phial_record *record,
			    const struct phial_release *release, const struct phial_life *life)
{
	const int64_t expiry_s = find_expiry(release, life);
	int64_t end_ms = find_keep_end(record, life);

	end_ms = phial_clock_sooner(end_ms, find_read_end(release, life));
	if (expiry_s != 0) {
		end_ms = phial_clock_sooner(end_ms, phial_clock_boot_ms(&worker->clock, expiry_s));
	}
	return end_ms;
}

int64_t phial_live_find_end(const struct phial_worker *worker, const struct phial_record *record,
			    const struct phial_release *release,
			    const struct phial_live_grant *grant)
{
	if (phial_live_judge(worker, record, release, grant).must_go) {
		return phial_worker_clock_ms();
	}
	return find_own_end(worker, record, release, grant->life);
}

int64_t phial_live_find_due(const struct phial_worker *worker, const struct phial_record *record,
			    const struct phial_live_grant *grant)
{
	const struct phial_live *live = &record->live;
	int64_t due_ms = live->grace_until_ms != 0 ? live->grace_until_ms : -1;

	for (size_t i = 0; i < record->release_count; i++) {
		if (record->releases[i].version != 0) {
			due_ms = phial_clock_sooner(due_ms, find_own_end(worker, record,
									 &record->releases[i],
									 grant->life));
		}
	}
	return due_ms;
}
