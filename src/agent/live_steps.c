/* SPDX-License-Identifier: ISC */
/*
 * The steps of one container's change: its job, its audit entry, and what is recorded at the end.
 * Which step comes when is live.c's.
 */
#include "agent/live_steps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/link.h"
#include "agent/log.h"
#include "agent/parts.h"
#include "base/cleanup.h"

/* A job that failed is tried again after this, and from the second time on after that. */
#define RETRY_FIRST_MS 1000
#define RETRY_MS       30000

/* One message at a time. */
static struct phial_parts parts;

static enum phial_status watch_file(const struct phial_worker *worker,
				    const struct phial_record *record, const char *file,
				    struct phial_error *err)
{
	struct phial_link_read call = { .number = record->number };
	struct phial_link_answer answer;

	memcpy(call.file, file, strnlen(file, sizeof(call.file) - 1));
	return phial_link_call(worker->start->call_fd, PHIAL_LINK_WATCH_READS, &call, sizeof(call),
			       NULL, &answer, err);
}

void phial_live_watch_reads(const struct phial_worker *worker, struct phial_record *record)
{
	const struct phial_life *life = phial_policy_life(&worker->policy, record->workload);
	enum phial_status status = PHIAL_OK;
	struct phial_error err;

	if (life->keep != PHIAL_KEEP_UNTIL_READ || record->live.is_watched) {
		return;
	}
	for (size_t i = 0; status == PHIAL_OK && i < record->release_count; i++) {
		if (record->releases[i].version != 0) {
			status = watch_file(worker, record, record->releases[i].file, &err);
		}
	}
	/* If it fails, it is tried again at the next look. */
	record->live.is_watched = status == PHIAL_OK;
	if (!record->live.is_watched) {
		phial_log("container %s: nobody can tell when its files are read: %s",
			  record->container, err.text);
	}
}

/* --- the end of a step -------------------------------------------------------------------- */

static void forget_next(struct phial_live *live)
{
	phial_releases_free(live->next, live->next_count);
	live->next = NULL;
	live->next_count = 0;
}

/* The container is as it was. What is wrong is said once, and tried again. */
static void fail_step(struct phial_record *record, const char *text)
{
	struct phial_live *live = &record->live;
	bool is_known = strcmp(live->problem, text) == 0;

	if (!is_known) {
		phial_log("container %s keeps what it has: %s", record->container, text);
		(void)snprintf(live->problem, sizeof(live->problem), "%s", text);
	}
	live->step = PHIAL_LIVE_IDLE;
	live->retry_at_ms = phial_worker_clock_ms() + (is_known ? RETRY_MS : RETRY_FIRST_MS);
	forget_next(live);
}

/* What the container has now; the records own it. */
static void take_next(struct phial_worker *worker, struct phial_record *record)
{
	struct phial_live *live = &record->live;
	struct phial_error err;

	if (phial_records_replace(worker->records, record, live->next, live->next_count, &err) !=
	    PHIAL_OK) {
		phial_log("container %s: what it has now could not be recorded: %s",
			  record->container, err.text);
	}
	live->next = NULL;
	live->next_count = 0;
}

/* Tell the application, as its workload says. */
static void notify(const struct phial_worker *worker, const struct phial_record *record)
{
	const struct phial_life *life = phial_policy_life(&worker->policy, record->workload);
	struct phial_link_signal call = { .number = record->number,
					  .signal = (uint32_t)life->notify_signal };
	struct phial_link_answer answer;
	struct phial_error err;

	if (life->notify_signal == 0) {
		return;
	}
	memcpy(call.process, life->notify_process, sizeof(call.process));
	if (phial_link_call(worker->start->call_fd, PHIAL_LINK_SIGNAL, &call, sizeof(call), NULL,
			    &answer, &err) != PHIAL_OK) {
		phial_log("container %s: cannot be told of its new secrets: %s", record->container,
			  err.text);
	}
}

/*
 * When the generation of what the record still says is to go: after the grace time, or once one of
 * its versions may not be there any more. That may be so by now, for the job took its time.
 */
static int64_t find_grace_end(const struct phial_worker *worker, const struct phial_record *record)
{
	struct phial_live_grant grant = { .is_good = false };
	const int64_t now_ms = phial_worker_clock_ms();

	phial_live_grant_get(worker, record->workload, &grant);
	int64_t end_ms = now_ms + (record->live.is_urgent ? 0 : grant.life->grace_ms);

	for (size_t i = 0; i < record->release_count; i++) {
		const struct phial_release *release = &record->releases[i];
		int64_t due_ms = phial_live_find_end(worker, record, release, &grant);

		if (release->version != 0 && due_ms >= 0 && due_ms < end_ms) {
			end_ms = due_ms;
		}
	}
	phial_live_grant_free(&grant);
	return end_ms;
}

static void log_rotation(const struct phial_record *record)
{
	const struct phial_live *live = &record->live;

	for (size_t i = 0; i < live->next_count; i++) {
		const struct phial_release *has = phial_live_find_sure(record, live->next[i].name);

		if (!has || has->version != live->next[i].version) {
			phial_log("container %s has %s version %" PRIu64 " now", record->container,
				  live->next[i].name, live->next[i].version);
		}
	}
}

/* How long the newest of its new versions took to get here. */
static void count_rotation(struct phial_worker *worker, const struct phial_record *record)
{
	int64_t loaded_ms = 0;

	for (size_t i = 0; i < record->live.next_count; i++) {
		const struct phial_release *next = &record->live.next[i];
		const struct phial_entry *entry = phial_index_find(&worker->index, next->name);

		if (entry && entry->loaded.version == next->version &&
		    entry->loaded.loaded_ms > loaded_ms) {
			loaded_ms = entry->loaded.loaded_ms;
		}
	}
	phial_metrics_add(worker, PHIAL_METRIC_ROTATIONS, 1);
	phial_metrics_set_lag(worker, loaded_ms);
}

static void on_rotated(struct phial_worker *worker, struct phial_record *record)
{
	count_rotation(worker, record);
	record->live.grace_until_ms = find_grace_end(worker, record);
	log_rotation(record);
	take_next(worker, record);
	record->live.is_watched = false; /* its files are others now */
	phial_live_watch_reads(worker, record);
	notify(worker, record);
}

void phial_live_end_step(struct phial_worker *worker, struct phial_record *record,
			 enum phial_status status, const char *text)
{
	struct phial_live *live = &record->live;

	if (status != PHIAL_OK) {
		fail_step(record, text);
		return;
	}
	if (live->step == PHIAL_LIVE_ROTATING) {
		on_rotated(worker, record);
	} else if (live->step == PHIAL_LIVE_REMOVING) {
		take_next(worker, record);
	} else if (live->step == PHIAL_LIVE_WIPING_OLD) {
		live->grace_until_ms = 0;
	}
	live->step = PHIAL_LIVE_IDLE;
	live->problem[0] = '\0';
}

/* --- jobs --------------------------------------------------------------------------------- */

/* Send the job in `parts`. What cannot be done now is tried again. */
static void send_job(struct phial_worker *worker, struct phial_record *record,
		     enum phial_link_type type, enum phial_live_step step)
{
	struct phial_link_answer answer;
	struct phial_error err;

	parts.job.number = record->number;
	enum phial_status status = phial_link_call(worker->start->call_fd, type, &parts,
						   phial_parts_length(&parts), NULL, &answer, &err);

	if (status == PHIAL_OK) {
		record->live.step = step;
		record->live.step_ms = phial_worker_clock_ms();
	} else { /* also when a job of the worker before this one is under way */
		fail_step(record, err.text);
	}
}

static void clear_parts(void)
{
	parts.job = (struct phial_link_job){ .number = 0 };
	parts.count = 0;
}

void phial_live_wipe_old(struct phial_worker *worker, struct phial_record *record)
{
	clear_parts();
	send_job(worker, record, PHIAL_LINK_WIPE_OLD, PHIAL_LIVE_WIPING_OLD);
}

static void audit_removal(struct phial_worker *worker, const struct phial_record *record,
			  const struct phial_release *release, const struct phial_live_grant *grant)
{
	const struct phial_live_verdict verdict = phial_live_judge(worker, record, release, grant);
	const struct phial_audit_secret secret = { release->name, release->version };
	const struct phial_audit_change change = { .kind = verdict.kind,
						   .record = record,
						   .secrets = &secret,
						   .secret_count = 1,
						   .reason = verdict.reason };

	phial_metrics_add(worker, PHIAL_METRIC_REMOVALS, 1);
	phial_log("container %s loses %s version %" PRIu64 ": %s", record->container, release->name,
		  release->version, verdict.reason);
	if (phial_audit_change(worker, &change, NULL, NULL) != PHIAL_OK) {
		phial_log("the audit log has no room for that"); /* it goes nevertheless */
	}
}

/* Is a file in `parts`? */
static bool is_listed(const char *file)
{
	for (size_t i = 0; i < parts.count; i++) {
		if (strcmp(parts.items[i].file, file) == 0) {
			return true;
		}
	}
	return false;
}

/*
 * What the container has without the files in `parts`. One of them that may come back with a newer
 * version is forgotten.
 */
static void list_what_stays(const struct phial_worker *worker, struct phial_record *record,
			    const struct phial_live_grant *grant)
{
	struct phial_live *live = &record->live;

	for (size_t i = 0; i < record->release_count; i++) {
		const struct phial_release *release = &record->releases[i];
		bool is_gone = is_listed(release->file);

		if (!is_gone || release->version == 0 ||
		    (!release->is_unsure &&
		     phial_live_judge(worker, record, release, grant).is_for_good)) {
			struct phial_release *kept =
				phial_releases_add(&live->next, &live->next_count, release);

			if (is_gone) {
				kept->version = 0;
				kept->not_after_s = 0;
			}
		}
	}
}

/*
 * Take away what the container may not have any more, unless a newer version takes its place in
 * the rotation that follows. Returns whether there is anything.
 */
bool phial_live_remove_what_must_go(struct phial_worker *worker, struct phial_record *record,
				    const struct phial_live_grant *grant)
{
	static const struct phial_release *going[PHIAL_FILL_PARTS_MAX]; /* as parts.items */
	struct phial_live *live = &record->live;
	struct phial_error err = { .status = PHIAL_OK };

	clear_parts();
	live->is_urgent = false;
	for (size_t i = 0; i < record->release_count; i++) {
		const struct phial_release *release = &record->releases[i];
		struct phial_live_verdict verdict = { .must_go = false };

		if (release->version != 0) {
			verdict = phial_live_judge(worker, record, release, grant);
		}
		/* If the rotation has failed, it goes nevertheless. */
		if (verdict.must_go && live->problem[0] == '\0' &&
		    phial_live_find_newer(worker, record, release, grant)) {
			live->is_urgent = true;
			verdict.must_go = false;
		}
		if (verdict.must_go && !is_listed(release->file) &&
		    phial_parts_carry(&parts, release->file, &err) == PHIAL_OK) {
			going[parts.count - 1] = release;
		}
	}
	if (parts.count == 0) {
		return false;
	}
	list_what_stays(worker, record, grant);
	send_job(worker, record, PHIAL_LINK_REMOVE, PHIAL_LIVE_REMOVING);
	/* Once it is under way: a job that is not taken is tried again, and said once. */
	for (size_t i = 0; live->step == PHIAL_LIVE_REMOVING && i < parts.count; i++) {
		audit_removal(worker, record, going[i], grant);
	}
	return true;
}

/* --- rotation ----------------------------------------------------------------------------- */

/* Ask for the entry of the audit log; the job begins when that is durable. */
void phial_live_begin_rotation(struct phial_worker *worker, struct phial_record *record)
{
	struct phial_live *live = &record->live;
	phial_auto_free struct phial_audit_secret *secrets =
		calloc(live->next_count, sizeof(*secrets));
	struct phial_error err;
	size_t count = 0;

	if (!secrets) {
		abort();
	}
	for (size_t i = 0; i < live->next_count; i++) {
		const struct phial_release *has = phial_live_find_sure(record, live->next[i].name);

		if (!has || has->version != live->next[i].version) {
			secrets[count++] = (struct phial_audit_secret){ live->next[i].name,
									live->next[i].version };
		}
	}
	const struct phial_audit_change change = { .kind = PHIAL_AUDIT_ROTATION,
						   .record = record,
						   .secrets = secrets,
						   .secret_count = count };

	live->step = PHIAL_LIVE_AUDITING;
	live->step_ms = phial_worker_clock_ms();
	if (count == 0) { /* nothing is given: only what is not known for sure is settled */
		phial_live_rotate(worker, record);
	} else if (phial_audit_change(worker, &change, &live->audit_request, &err) != PHIAL_OK) {
		fail_step(record, err.text);
	} else if (live->audit_request == 0) { /* nobody waits for the log here */
		phial_live_rotate(worker, record);
	}
}

/* The filler's records for what the container will have. */
static enum phial_status list_parts(const struct phial_worker *worker,
				    const struct phial_record *record,
				    const struct phial_live_grant *grant, struct phial_error *err)
{
	static struct phial_id_map maps[2];
	const struct phial_live *live = &record->live;
	enum phial_status status =
		phial_parts_find_maps(worker, record->pid, record->start_time, maps, err);

	clear_parts();
	for (size_t i = 0; status == PHIAL_OK && i < live->next_count; i++) {
		const struct phial_release *release = &live->next[i];
		const struct phial_grant_file *file = phial_live_find_file(grant, release->name);
		const struct phial_entry *entry = phial_index_find(&worker->index, release->name);

		if (release->version == 0) {
			continue;
		}
		status = file && entry->loaded.version == release->version
				 ? phial_parts_add(&parts, file, &entry->loaded, record, maps, err)
				 : phial_parts_carry(&parts, release->file, err);
	}
	return status;
}

/* Its entry is durable. Meanwhile the store may have been read again: compare once more. */
void phial_live_rotate(struct phial_worker *worker, struct phial_record *record)
{
	struct phial_live *live = &record->live;
	struct phial_live_grant grant = { .is_good = false };
	struct phial_error err;
	struct phial_release *now = NULL;
	size_t count = 0;

	phial_live_grant_get(worker, record->workload, &grant);
	bool is_same = grant.is_good &&
		       phial_live_list_next(worker, record, &grant, &now, &count) &&
		       phial_releases_equal(now, count, live->next, live->next_count);

	phial_releases_free(now, count);
	if (!is_same) {
		live->step = PHIAL_LIVE_IDLE;
		live->is_dirty = true;
		forget_next(live);
	} else if (list_parts(worker, record, &grant, &err) != PHIAL_OK ||
		   phial_records_doubt(worker->records, record, live->next, live->next_count,
				       &err) != PHIAL_OK) {
		fail_step(record, err.text);
	} else if (worker->start->options->is_user) {
		if (phial_user_rotate(worker, record, &parts, &err) == PHIAL_OK) {
			send_job(worker, record, PHIAL_LINK_GIVE_NEXT, PHIAL_LIVE_ROTATING);
		} else {
			fail_step(record, err.text);
			/* What stands in its way may be another's: the filler wipes it first. */
			live->grace_until_ms = phial_worker_clock_ms();
		}
	} else {
		send_job(worker, record, PHIAL_LINK_ROTATE, PHIAL_LIVE_ROTATING);
	}
	phial_live_grant_free(&grant);
}
