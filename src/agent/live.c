/* SPDX-License-Identifier: ISC */
/*
 * Which container is looked at when, and what comes next for it: one job at a time on each mount.
 * The comparison is live_plan.c's, the work live_steps.c's. Holds no value: the filler reads the ring.
 */
#include "agent/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/live_plan.h"
#include "agent/live_steps.h"
#include "agent/log.h"
#include "agent/worker.h"
#include "base/cleanup.h"

/*
 * A step that has taken so long hangs: an audit log whose disk does not answer, a filler that waits
 * for a lock that the container holds. It takes no place from others then.
 */
#define STEP_LONG_MS 10000

/* --- what others say ---------------------------------------------------------------------- */

static bool is_live(const struct phial_record *record)
{
	return record->is_committed && record->is_held;
}

/* A container is looked at in the next turn. */
static void look_soon(struct phial_worker *worker, struct phial_record *record)
{
	record->live.is_dirty = true;
	worker->live_due_ms = 0;
}

void phial_live_review(struct phial_worker *worker)
{
	for (struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		r->live.is_dirty = true;
		r->live.retry_at_ms = 0;
	}
	worker->live_due_ms = 0;
}

void phial_live_revoked(struct phial_worker *worker, const char *name)
{
	for (struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		if (r->live.grace_until_ms != 0 && phial_record_find_release(r, name)) {
			r->live.grace_until_ms = phial_worker_clock_ms();
		}
	}
	phial_live_review(worker);
}

void phial_live_begin(struct phial_worker *worker, struct phial_record *record)
{
	phial_live_watch_reads(worker, record);
	look_soon(worker, record);
}

void phial_live_on_ready(struct phial_worker *worker, struct phial_record *record)
{
	struct phial_error err;

	if (record->ready_ms != 0) {
		return;
	}
	if (phial_records_ready(worker->records, record, phial_worker_clock_ms(), &err) !=
	    PHIAL_OK) {
		phial_log("container %s: it is ready, which could not be recorded: %s",
			  record->container, err.text);
	}
	phial_log("container %s is ready", record->container);
	look_soon(worker, record);
}

/* A step under way replaces what the container has by a list that was made before the read. */
static void note_read_in_next(struct phial_live *live, const struct phial_release *read)
{
	for (size_t i = 0; i < live->next_count; i++) {
		struct phial_release *next = &live->next[i];

		if (next->version == read->version && strcmp(next->file, read->file) == 0) {
			next->read_ms = read->read_ms;
		}
	}
}

void phial_live_on_read(struct phial_worker *worker, uint64_t number, const char *file)
{
	struct phial_record *record = phial_records_find(worker->records, number);
	struct phial_error err;

	for (size_t i = 0; record && i < record->release_count; i++) {
		struct phial_release *release = &record->releases[i];

		if (strcmp(release->file, file) == 0 && release->version != 0 &&
		    release->read_ms == 0) {
			/* Durably: the next worker must not wait for another reader. */
			if (phial_records_read(worker->records, record, release,
					       phial_worker_clock_ms(), &err) != PHIAL_OK) {
				phial_log("container %s: a read could not be recorded: %s",
					  record->container, err.text);
			}
			note_read_in_next(&record->live, release);
			look_soon(worker, record);
			return;
		}
	}
}

size_t phial_live_unsettled(const struct phial_worker *worker, const char *secret)
{
	struct phial_live_grant grant = { .is_good = false };
	size_t count = 0;

	for (const struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		const struct phial_release *release = phial_record_find_release(r, secret);

		if (!is_live(r) || !release || release->version == 0) {
			continue;
		}
		if (strcmp(grant.workload, r->workload) != 0) {
			phial_live_grant_get(worker, r->workload, &grant);
		}
		count += r->live.grace_until_ms != 0 ||
			 phial_live_judge(worker, r, release, &grant).must_go;
	}
	phial_live_grant_free(&grant);
	return count;
}

void phial_live_on_done(struct phial_worker *worker, uint64_t number, enum phial_status status,
			const char *text)
{
	struct phial_record *record = phial_records_find(worker->records, number);

	if (!record) {
		return;
	}
	if (record->live.step <= PHIAL_LIVE_AUDITING) {
		/* A start's, or of the worker before this one: what it stood in the way of goes on. */
		record->live.retry_at_ms = 0;
		look_soon(worker, record);
		return;
	}
	look_soon(worker, record);
	phial_live_end_step(worker, record, status, text);
}

void phial_live_on_audited(struct phial_worker *worker, uint64_t request, enum phial_status status,
			   const char *text)
{
	for (struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		if (r->live.step != PHIAL_LIVE_AUDITING || r->live.audit_request != request) {
			continue;
		}
		worker->live_due_ms = 0;
		if (status == PHIAL_OK) {
			phial_live_rotate(worker, r);
		} else {
			phial_live_end_step(worker, r, status, text);
		}
	}
}

/* --- one container ------------------------------------------------------------------------ */

/* Do the next thing for a container that no step is under way for. */
static void look_at(struct phial_worker *worker, struct phial_record *record,
		    const struct phial_live_grant *grant)
{
	struct phial_live *live = &record->live;
	const int64_t now_ms = phial_worker_clock_ms();

	live->is_dirty = false;
	live->retry_at_ms = 0;
	phial_live_watch_reads(worker, record);
	if (phial_live_remove_what_must_go(worker, record, grant)) {
		return;
	}
	bool is_graced = live->grace_until_ms > now_ms && !live->is_urgent;

	/* First, and not by the rotation: the worker of a user's agent could not overwrite it. */
	if (live->grace_until_ms != 0 && !is_graced) {
		phial_live_wipe_old(worker, record);
		return;
	}
	if (!grant->is_good) {
		(void)snprintf(live->problem, sizeof(live->problem), "%s", grant->problem);
	} else if (!is_graced &&
		   phial_live_list_next(worker, record, grant, &live->next, &live->next_count)) {
		phial_live_begin_rotation(worker, record);
	} else {
		live->problem[0] = '\0';
	}
}

/* Kept since it was looked at last: of a thousand containers few have anything new. */
static int64_t find_due(const struct phial_live *live, int64_t now_ms)
{
	if (live->retry_at_ms != 0) {
		return live->retry_at_ms; /* what is due already has failed just now */
	}
	return live->is_dirty ? now_ms : live->due_ms;
}

static bool is_long(const struct phial_live *live, int64_t now_ms)
{
	return now_ms - live->step_ms >= STEP_LONG_MS;
}

static size_t count_steps(const struct phial_worker *worker, int64_t now_ms)
{
	size_t count = 0;

	for (const struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		count += r->live.step != PHIAL_LIVE_IDLE && !is_long(&r->live, now_ms);
	}
	return count;
}

/* Look at one that may be due, if there is a place for it. Returns when it is due next, or -1. */
static int64_t run_record(struct phial_worker *worker, struct phial_record *record,
			  struct phial_live_grant *grant, int64_t now_ms, size_t *steps)
{
	int64_t due_ms = find_due(&record->live, now_ms);

	if (due_ms < 0 || due_ms > now_ms || *steps >= PHIAL_LIVE_JOBS_MAX) {
		return due_ms;
	}
	if (strcmp(grant->workload, record->workload) != 0) {
		phial_live_grant_get(worker, record->workload, grant);
	}
	look_at(worker, record, grant);
	*steps += record->live.step != PHIAL_LIVE_IDLE;
	record->live.due_ms = phial_live_find_due(worker, record, grant);
	return find_due(&record->live, now_ms);
}

int64_t phial_live_run(struct phial_worker *worker)
{
	struct phial_live_grant grant = { .is_good = false };
	const int64_t now_ms = phial_worker_clock_ms();
	int64_t next_ms = -1;
	int64_t long_ms = -1; /* when the next of the steps under way has taken too long */

	if (worker->live_due_ms < 0 || worker->live_due_ms > now_ms || !worker->is_loaded) {
		return worker->live_due_ms;
	}
	size_t steps = count_steps(worker, now_ms);

	for (struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		if (!is_live(r)) {
			continue;
		}
		/* What must go waits for no entry. */
		if (r->live.step == PHIAL_LIVE_AUDITING && is_long(&r->live, now_ms)) {
			phial_live_end_step(worker, r, PHIAL_SYSTEM,
					    "the audit log does not answer");
		}
		if (r->live.step == PHIAL_LIVE_IDLE) {
			next_ms = phial_clock_sooner(next_ms,
						     run_record(worker, r, &grant, now_ms, &steps));
		}
		if (r->live.step != PHIAL_LIVE_IDLE && !is_long(&r->live, now_ms)) {
			long_ms = phial_clock_sooner(long_ms, r->live.step_ms + STEP_LONG_MS);
		}
	}
	phial_live_grant_free(&grant);
	/* With all places taken, the end of one of the jobs wakes the rest. */
	worker->live_due_ms =
		steps >= PHIAL_LIVE_JOBS_MAX ? long_ms : phial_clock_sooner(next_ms, long_ms);
	return worker->live_due_ms;
}
