/* SPDX-License-Identifier: ISC */
/*
 * Keys that leave the ring when their time has come, and warnings before. What time it is says
 * clock.c; which container has what, and what becomes of it, live.c.
 */
#include "agent/expiry.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keep.h"
#include "agent/live.h"
#include "agent/log.h"
#include "agent/worker.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "keyring/keyring.h"

#define DAY_S INT64_C(86400)
/* So many names in the log at once; then how many more. */
#define LINES_MAX ((size_t)20)

int64_t phial_expiry_end_s(int64_t not_after_s, int64_t created_s, int64_t ttl_s)
{
	int64_t by_age = ttl_s > 0 && created_s > 0 ? created_s + ttl_s : 0;

	return not_after_s == 0 || (by_age != 0 && by_age < not_after_s) ? by_age : not_after_s;
}

/* --- what the policy says ------------------------------------------------------------------- */

static int64_t shorter(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

/* A workload may have it. 0 is the longest of all. */
static void add_workload(struct phial_entry *entry, const struct phial_life *life)
{
	struct phial_entry_life *own = &entry->life;

	if (!own->is_granted) {
		own->is_granted = true;
		own->ttl_first_s = life->ttl_s;
		own->ttl_last_s = life->ttl_s;
		own->warn_before_s = life->warn_before_s;
		return;
	}
	own->ttl_first_s = shorter(own->ttl_first_s, life->ttl_s);
	if (own->ttl_last_s != 0 && (life->ttl_s == 0 || life->ttl_s > own->ttl_last_s)) {
		own->ttl_last_s = life->ttl_s;
	}
	if (life->warn_before_s > own->warn_before_s) {
		own->warn_before_s = life->warn_before_s;
	}
}

/* By convention the first component of a name is a workload; unless the policy has its own entry. */
static void add_convention(const struct phial_worker *worker, struct phial_entry *entry)
{
	char name[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	size_t length = strcspn(entry->name, "/");

	if (entry->name[length] == '\0' || length >= sizeof(name)) {
		return;
	}
	memcpy(name, entry->name, length);
	name[length] = '\0';
	if (!phial_policy_find(&worker->policy, name)) {
		add_workload(entry, phial_workload_life(NULL));
	}
}

static void add_policy(struct phial_worker *worker, const struct phial_workload *workload)
{
	phial_auto_free struct phial_grant_file *files = NULL;
	size_t count = 0;
	struct phial_error err;

	/* A grant that cannot be met gives nobody anything. */
	if (phial_policy_grant(&worker->policy, workload->name, worker->index.names,
			       worker->index.count, &files, &count, &err) != PHIAL_OK) {
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct phial_entry *entry = phial_index_find(&worker->index, files[i].secret);

		if (entry) {
			add_workload(entry, phial_workload_life(workload));
		}
	}
}

void phial_expiry_prepare(struct phial_worker *worker)
{
	for (size_t i = 0; i < worker->index.count; i++) {
		struct phial_entry *entry = &worker->index.entries[i];

		entry->life.is_granted = false;
		entry->life.ttl_first_s = 0;
		entry->life.ttl_last_s = 0;
		entry->life.warn_before_s = phial_workload_life(NULL)->warn_before_s;
		add_convention(worker, entry);
	}
	for (size_t i = 0; i < worker->policy.workload_count; i++) {
		add_policy(worker, &worker->policy.workloads[i]);
	}
	phial_expiry_review(worker);
}

/* --- when --------------------------------------------------------------------------------------- */

/* What came from the store; when an override is in force it is put aside. */
static struct phial_loaded *stored(struct phial_entry *entry)
{
	return entry->override_until_ms == 0 ? &entry->loaded : &entry->aside.loaded;
}

static const struct phial_loaded *const_stored(const struct phial_entry *entry)
{
	return entry->override_until_ms == 0 ? &entry->loaded : &entry->aside.loaded;
}

/* When nobody may have it any more. */
static int64_t find_last_s(const struct phial_entry *entry)
{
	const struct phial_loaded *loaded = const_stored(entry);

	return phial_expiry_end_s(loaded->not_after_s, loaded->created_s, entry->life.ttl_last_s);
}

int64_t phial_expiry_first_s(const struct phial_entry *entry)
{
	const struct phial_loaded *loaded = const_stored(entry);

	return phial_loaded_exists(loaded)
		       ? phial_expiry_end_s(loaded->not_after_s, loaded->created_s,
					    entry->life.ttl_first_s)
		       : 0;
}

bool phial_expiry_must_warn(const struct phial_worker *worker, const struct phial_entry *entry)
{
	int64_t first_s = phial_expiry_first_s(entry);

	return first_s != 0 && entry->life.warn_before_s > 0 &&
	       first_s - phial_worker_now_s(worker) <= entry->life.warn_before_s;
}

int64_t phial_expiry_next_s(const struct phial_worker *worker)
{
	int64_t next_s = 0;

	for (size_t i = 0; i < worker->index.count; i++) {
		next_s = shorter(next_s, phial_expiry_first_s(&worker->index.entries[i]));
	}
	return next_s;
}

enum phial_status phial_expiry_check(const struct phial_worker *worker,
				     const struct phial_entry *entry, int64_t not_after_s,
				     int64_t created_s, struct phial_error *err)
{
	int64_t now_s = phial_worker_now_s(worker);
	int64_t end_s = phial_expiry_end_s(not_after_s, created_s, entry->life.ttl_last_s);

	if (not_after_s != 0 && not_after_s <= now_s) {
		return phial_fail(err, PHIAL_EXPIRED, 0,
				  "expired; seal it anew with \"phial seal %s\"", entry->name);
	}
	if (end_s != 0 && end_s <= now_s) {
		return phial_fail(err, PHIAL_EXPIRED, 0,
				  "expired: older than the ttl of all workloads that may have it; "
				  "seal it anew with \"phial seal %s\"",
				  entry->name);
	}
	return PHIAL_OK;
}

/* --- its time has come ------------------------------------------------------------------------ */

/* What one turn finds. */
struct turn {
	struct phial_worker *worker;
	int64_t now_s;
	int64_t next_s; /* 0: nothing is to come */
	size_t expired;
	size_t warned;
};

/* One more than can be shown is counted only. */
static bool may_log(size_t *count)
{
	return (*count)++ < LINES_MAX;
}

static void log_rest(size_t count, const char *what)
{
	if (count > LINES_MAX) {
		phial_log("and %zu more secrets %s (\"phial status\" names them)",
			  count - LINES_MAX, what);
	}
}

static void write_down(struct phial_worker *worker, const struct phial_entry *entry,
		       const char *reason)
{
	const struct phial_audit_secret secret = { .name = entry->name,
						   .version = const_stored(entry)->version };
	const struct phial_audit_change change = {
		.kind = PHIAL_AUDIT_EXPIRY,
		.secrets = &secret,
		.secret_count = 1,
		.reason = reason,
	};
	struct phial_error err;

	/* It is gone all the same: an expiry waits for nobody. */
	if (phial_audit_change(worker, &change, NULL, &err) != PHIAL_OK) {
		phial_log("that %s has expired is not in the audit log: %s", entry->name, err.text);
	}
}

/* Its keys go, before the kernel's own timeout: what has expired by that cannot be invalidated. */
static void drop(struct phial_worker *worker, struct phial_entry *entry)
{
	struct phial_loaded *loaded = stored(entry);

	phial_keep_drop_keys(worker, loaded->serials, loaded->serial_count);
	phial_loaded_clear(loaded);
}

/* Not if a newer file was refused: it is that one which must be put right. */
static void set_reason(struct phial_entry *entry, enum phial_status status, const char *reason)
{
	if (entry->override_until_ms == 0 && entry->status == PHIAL_OK) {
		phial_entry_set(entry, status, reason);
	}
	if (entry->override_until_ms != 0 && entry->aside.status == PHIAL_OK) {
		free(entry->aside.reason);
		entry->aside.reason = strdup(reason);
		entry->aside.status = status;
	}
}

static void expire(struct turn *turn, struct phial_entry *entry)
{
	const struct phial_loaded *loaded = stored(entry);
	struct phial_error err = { .status = PHIAL_OK };
	enum phial_status status = phial_expiry_check(turn->worker, entry, loaded->not_after_s,
						      loaded->created_s, &err);

	if (may_log(&turn->expired)) {
		phial_log("%s v%" PRIu64 " has %s", entry->name, loaded->version, err.text);
	}
	write_down(turn->worker, entry,
		   loaded->not_after_s != 0 && loaded->not_after_s <= turn->now_s
			   ? "not-after: its key is dropped"
			   : "ttl: its key is dropped");
	drop(turn->worker, entry);
	set_reason(entry, status, err.text);
}

/* One line a version and day. */
static void warn(struct turn *turn, struct phial_entry *entry)
{
	char span[PHIAL_DURATION_TEXT_BYTES];
	char when[PHIAL_TIME_TEXT_BYTES];
	uint64_t version = const_stored(entry)->version;
	int64_t first_s = phial_expiry_first_s(entry);
	int64_t day = (first_s - turn->now_s) / DAY_S;

	if (!phial_expiry_must_warn(turn->worker, entry) || first_s <= turn->now_s ||
	    (entry->life.warned_version == version && entry->life.warned_day == day)) {
		return;
	}
	entry->life.warned_version = version;
	entry->life.warned_day = day;
	if (may_log(&turn->warned)) {
		phial_format_span(first_s - turn->now_s, span);
		phial_format_time(first_s, when);
		phial_log("%s v%" PRIu64 " expires in %s (%s); seal it anew with \"phial seal %s\"",
			  entry->name, version, span, when, entry->name);
	}
}

static void sooner(struct turn *turn, int64_t at_s)
{
	if (at_s > turn->now_s) {
		turn->next_s = shorter(turn->next_s, at_s);
	}
}

/* When it has to be looked at again: its ends, and the warnings, one a day. */
static void plan(struct turn *turn, const struct phial_entry *entry)
{
	int64_t first_s = phial_expiry_first_s(entry);

	sooner(turn, find_last_s(entry));
	if (first_s <= turn->now_s) {
		return;
	}
	sooner(turn, first_s);
	if (entry->life.warn_before_s == 0) {
		return;
	}
	sooner(turn, first_s - entry->life.warn_before_s);
	if (phial_expiry_must_warn(turn->worker, entry)) {
		sooner(turn, first_s - (first_s - turn->now_s) / DAY_S * DAY_S + 1);
	}
}

static void look_at(struct turn *turn, struct phial_entry *entry)
{
	int64_t last_s = find_last_s(entry);

	if (!phial_loaded_exists(stored(entry))) {
		return;
	}
	if (last_s != 0 && last_s <= turn->now_s) {
		expire(turn, entry);
		return;
	}
	warn(turn, entry);
	plan(turn, entry);
}

void phial_expiry_review(struct phial_worker *worker)
{
	worker->expiry_due_ms = 0;
}

int64_t phial_expiry_run(struct phial_worker *worker)
{
	struct turn turn = { .worker = worker, .now_s = phial_worker_now_s(worker) };

	if (worker->expiry_due_ms < 0 || worker->expiry_due_ms > phial_worker_clock_ms()) {
		return worker->expiry_due_ms;
	}
	for (size_t i = 0; i < worker->index.count; i++) {
		look_at(&turn, &worker->index.entries[i]);
	}
	log_rest(turn.expired, "have expired");
	log_rest(turn.warned, "expire soon");
	if (turn.expired > 0) {
		/* No later agent may take it for good again. */
		phial_clock_save(&worker->clock);
	}
	/* Also when nothing was dropped: a workload's ttl may be over, another's not. */
	phial_live_review(worker);
	worker->expiry_due_ms =
		turn.next_s == 0 ? -1 : phial_clock_boot_ms(&worker->clock, turn.next_s);
	return worker->expiry_due_ms;
}

/* --- the kernel's timeouts ------------------------------------------------------------------- */

static bool can_be_read(const struct phial_loaded *loaded)
{
	for (uint32_t part = 0; part < loaded->serial_count; part++) {
		uint8_t nothing;
		size_t length;

		/* Without room nothing is copied, but the kernel looks whether it might be. */
		if (phial_keyring_read(loaded->serials[part], &nothing, 0, &length, NULL) !=
		    PHIAL_OK) {
			return false;
		}
	}
	return true;
}

void phial_expiry_find_lost_keys(struct phial_worker *worker)
{
	size_t lost = 0;

	for (size_t i = 0; i < worker->index.count; i++) {
		struct phial_entry *entry = &worker->index.entries[i];

		if (stored(entry)->not_after_s == 0 || can_be_read(stored(entry))) {
			continue;
		}
		lost++;
		drop(worker, entry);
		set_reason(entry, PHIAL_NOT_FOUND,
			   entry->is_missing
				   ? "the kernel ended its key when the clock was set, and its "
				     "file is gone from the store; seal it anew"
				   : "the kernel ended its key when the clock was set; it is "
				     "being read again");
	}
	if (lost > 0) {
		phial_log("the clock was set, and the kernel ended the keys of %zu secrets before "
			  "their time; the store is read again",
			  lost);
		phial_worker_ask_store(worker);
	}
}
