/* SPDX-License-Identifier: ISC */
/*
 * What a running container is to have: each reason for a change, and for none. The rest of the
 * agent is a store in memory.
 */
/* link: -Wl,--wrap=phial_worker_now_s -Wl,--wrap=phial_worker_clock_ms -Wl,--wrap=phial_clock_boot_ms */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/live.h"
#include "agent/live_plan.h"
#include "agent/revocations.h"
#include "base/cleanup.h"
#include "temp_dir.h"

#define NOW_S  INT64_C(1000000)
#define NOW_MS INT64_C(500000)

static int64_t now_s;
static int64_t now_ms;

int64_t __wrap_phial_worker_now_s(const struct phial_worker *worker);
int64_t __wrap_phial_worker_now_s(const struct phial_worker *worker)
{
	(void)worker;
	return now_s;
}

int64_t __wrap_phial_clock_boot_ms(const struct phial_clock *clock, int64_t seconds);
int64_t __wrap_phial_clock_boot_ms(const struct phial_clock *clock, int64_t seconds)
{
	(void)clock;
	return now_ms + (seconds - now_s) * 1000;
}

int64_t __wrap_phial_worker_clock_ms(void);
int64_t __wrap_phial_worker_clock_ms(void)
{
	return now_ms;
}

struct fixture {
	struct temp_dir *dir;
	struct phial_worker worker;
	struct phial_trust trust;
	struct phial_record record;
	struct phial_live_grant grant;
	struct phial_release *next;
	size_t next_count;
};

static void load(struct fixture *f, const char *name, uint64_t version)
{
	struct phial_entry *entry = phial_index_find(&f->worker.index, name);

	assert_non_null(entry);
	phial_loaded_clear(&entry->loaded);
	entry->loaded = (struct phial_loaded){ .version = version,
					       .created_s = NOW_S - 100,
					       .mode = PHIAL_MODE_UNSET,
					       .owner_uid = PHIAL_ID_UNSET,
					       .owner_gid = PHIAL_ID_UNSET,
					       .serial_count = 1 };
	entry->loaded.serials = calloc(1, sizeof(int32_t));
	phial_entry_set(entry, PHIAL_OK, NULL);
}

static void have(struct fixture *f, const char *name, uint64_t version)
{
	struct phial_release *release;

	f->record.releases = reallocarray(f->record.releases, f->record.release_count + 1,
					  sizeof(*f->record.releases));
	assert_non_null(f->record.releases);
	release = &f->record.releases[f->record.release_count++];
	*release = (struct phial_release){ .name = strdup(name),
					   .version = version,
					   .created_s = NOW_S - 100 };
	(void)snprintf(release->file, sizeof(release->file), "%s", strrchr(name, '/') + 1);
}

static void policy(struct fixture *f, const char *text)
{
	phial_policy_free(&f->worker.policy);
	assert_int_equal(phial_policy_parse((const uint8_t *)text, strlen(text), &f->worker.policy,
					    NULL, NULL),
			 PHIAL_OK);
}

static bool plan(struct fixture *f)
{
	phial_releases_free(f->next, f->next_count);
	f->next = NULL;
	f->next_count = 0;
	phial_live_grant_get(&f->worker, "web", &f->grant);
	return f->grant.is_good &&
	       phial_live_list_next(&f->worker, &f->record, &f->grant, &f->next, &f->next_count);
}

static struct phial_live_verdict judge(struct fixture *f, size_t i)
{
	phial_live_grant_get(&f->worker, "web", &f->grant);
	return phial_live_judge(&f->worker, &f->record, &f->record.releases[i], &f->grant);
}

/* A container of workload web that has web/db 5 and web/tls 6, as the store does. */
static int setup(void **state)
{
	static const char *const names[] = { "web/db", "web/tls" };
	struct fixture *f = calloc(1, sizeof(*f));
	struct phial_marks *marks = NULL;
	char *copies[PHIAL_COUNT(names)];

	if (!f || temp_dir_setup((void **)&f->dir) != 0) {
		return -1;
	}
	now_s = NOW_S;
	now_ms = NOW_MS;
	for (size_t i = 0; i < PHIAL_COUNT(names); i++) {
		copies[i] = strdup(names[i]);
	}
	f->worker.trust = &f->trust;
	assert_int_equal(phial_index_update(&f->worker.index, copies, PHIAL_COUNT(names), NULL),
			 PHIAL_OK);
	for (size_t i = 0; i < PHIAL_COUNT(names); i++) {
		free(copies[i]);
		load(f, names[i], 5 + i);
		have(f, names[i], 5 + i);
	}
	assert_int_equal(phial_marks_open(f->dir->fd, true, &marks, NULL), PHIAL_OK);
	assert_int_equal(phial_revocations_open(f->dir->fd, marks, &f->worker.revocations, NULL),
			 PHIAL_OK);
	phial_marks_close(marks);
	(void)snprintf(f->record.workload, sizeof(f->record.workload), "web");
	(void)snprintf(f->record.container, sizeof(f->record.container), "c1");
	f->record.started_ms = NOW_MS;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	phial_live_grant_free(&f->grant);
	phial_releases_free(f->next, f->next_count);
	phial_releases_free(f->record.releases, f->record.release_count);
	phial_policy_free(&f->worker.policy);
	phial_revocations_close(f->worker.revocations);
	for (size_t i = 0; i < f->worker.index.count; i++) {
		phial_loaded_clear(&f->worker.index.entries[i].loaded);
		free(f->worker.index.entries[i].name);
		free(f->worker.index.entries[i].reason);
	}
	free(f->worker.index.entries);
	free(f->worker.index.names);
	int result = temp_dir_teardown((void **)&f->dir);

	free(f);
	return result;
}

static void forbid(struct fixture *f, uint64_t version, enum phial_revocation_scope scope,
		   const char *where)
{
	struct phial_revocation revocation = { .version = version, .scope = scope };

	(void)snprintf(revocation.name, sizeof(revocation.name), "web/db");
	(void)snprintf(revocation.where, sizeof(revocation.where), "%s", where);
	assert_int_equal(phial_revocations_add(f->worker.revocations, &revocation, NULL), PHIAL_OK);
}

/* --- rotation ----------------------------------------------------------------------------- */

static void test_nothing_new(void **state)
{
	struct fixture *f = *state;

	assert_false(plan(f));
	assert_false(judge(f, 0).must_go);
	assert_int_equal(phial_live_find_due(&f->worker, &f->record, &f->grant), -1);
}

static void test_new_version(void **state)
{
	struct fixture *f = *state;

	load(f, "web/tls", 7);
	assert_true(plan(f));
	assert_int_equal(f->next_count, 2);
	assert_string_equal(f->next[0].name, "web/db");
	assert_int_equal(f->next[0].version, 5);
	assert_int_equal(f->next[1].version, 7);
	assert_string_equal(f->next[1].file, "tls");
}

/* One bad new version, and the whole set stays as it is: a key without its certificate is worse. */
static void test_one_is_refused(void **state)
{
	struct fixture *f = *state;

	load(f, "web/tls", 7);
	phial_entry_set(&f->worker.index.entries[0], PHIAL_TAMPERED, "bad");
	assert_false(plan(f));
	assert_false(f->grant.is_good);
	assert_non_null(strstr(f->grant.problem, "web/db"));
	assert_false(judge(f, 0).must_go);
}

static void test_other_file_name(void **state)
{
	struct fixture *f = *state;

	policy(f,
	       "{\"phial\": \"policy v1\", \"serial\": 1, \"workloads\": {\"web\": {\"secrets\": "
	       "[{\"name\": \"web/db\", \"file\": \"database\"}, \"web/tls\"]}}}");
	assert_true(plan(f));
	assert_string_equal(f->next[0].file, "database");
}

/* Gone from the store is no revocation; gone from the grant is. */
static void test_gone_from_the_store(void **state)
{
	struct fixture *f = *state;

	have(f, "web/old", 4);
	load(f, "web/db", 9);
	assert_true(plan(f));
	assert_int_equal(f->next_count, 3);
	assert_string_equal(f->next[2].name, "web/old");
	assert_int_equal(f->next[2].version, 4);
	assert_false(judge(f, 2).must_go);
	policy(f,
	       "{\"phial\": \"policy v1\", \"serial\": 1, \"workloads\": {\"web\": {\"secrets\": "
	       "[\"web/tls\"]}}}");
	assert_true(judge(f, 0).must_go);
	assert_false(judge(f, 1).must_go);
	assert_false(judge(f, 2).must_go);
}

/* An optional one that is refused today stays as it is, and the others rotate. */
static void test_optional_is_refused(void **state)
{
	struct fixture *f = *state;

	policy(f,
	       "{\"phial\": \"policy v1\", \"serial\": 1, \"workloads\": {\"web\": {\"secrets\": "
	       "[{\"name\": \"web/db\", \"required\": false}, \"web/tls\"]}}}");
	phial_entry_set(&f->worker.index.entries[0], PHIAL_TAMPERED, "bad");
	assert_false(plan(f));
	assert_false(judge(f, 0).must_go);
	load(f, "web/tls", 7);
	assert_true(plan(f));
	assert_int_equal(f->next_count, 2);
	assert_string_equal(f->next[1].name, "web/db");
	assert_int_equal(f->next[1].version, 5);
}

/* --- what goes ---------------------------------------------------------------------------- */

static void test_revoked(void **state)
{
	struct fixture *f = *state;

	forbid(f, 4, PHIAL_REVOKED_ALL, "");
	assert_false(judge(f, 0).must_go);
	forbid(f, 5, PHIAL_REVOKED_CONTAINER, "c2");
	assert_false(judge(f, 0).must_go);
	forbid(f, 5, PHIAL_REVOKED_CONTAINER, "c1");
	assert_true(judge(f, 0).must_go);
	assert_int_equal(judge(f, 0).kind, PHIAL_AUDIT_REVOCATION);
	assert_false(judge(f, 0).is_for_good);
	assert_false(judge(f, 1).must_go);
	/* What is loaded is what was revoked; only a newer one takes its place. */
	assert_null(
		phial_live_find_newer(&f->worker, &f->record, &f->record.releases[0], &f->grant));
	load(f, "web/db", 6);
	assert_true(plan(f));
	assert_non_null(
		phial_live_find_newer(&f->worker, &f->record, &f->record.releases[0], &f->grant));
}

/* A container that lost it to a revocation does not get the same one again. */
static void test_revoked_does_not_come_back(void **state)
{
	struct fixture *f = *state;

	forbid(f, 5, PHIAL_REVOKED_CONTAINER, "c1");
	free(f->record.releases[0].name);
	f->record.releases[0] = f->record.releases[1];
	f->record.release_count = 1;
	assert_false(plan(f));
	load(f, "web/db", 6);
	assert_true(plan(f));
	assert_int_equal(f->next_count, 2);
}

static void test_expired(void **state)
{
	struct fixture *f = *state;

	f->record.releases[0].not_after_s = NOW_S + 10;
	assert_false(judge(f, 0).must_go);
	assert_int_equal(phial_live_find_due(&f->worker, &f->record, &f->grant), NOW_MS + 10000);
	now_s = NOW_S + 10;
	assert_true(judge(f, 0).must_go);
	assert_int_equal(judge(f, 0).kind, PHIAL_AUDIT_EXPIRY);
	assert_int_equal(phial_live_find_due(&f->worker, &f->record, &f->grant), NOW_MS);
}

static void test_ttl(void **state)
{
	struct fixture *f = *state;

	policy(f,
	       "{\"phial\": \"policy v1\", \"serial\": 1, \"workloads\": {\"web\": {\"ttl\": \"2m\"}}}");
	f->record.releases[0].not_after_s = NOW_S + 5000;
	assert_false(judge(f, 0).must_go);
	now_s = NOW_S + 20;
	assert_true(judge(f, 0).must_go);
	assert_true(judge(f, 1).must_go);
}

/* --- keep --------------------------------------------------------------------------------- */

static void test_keep_time(void **state)
{
	struct fixture *f = *state;

	policy(f,
	       "{\"phial\": \"policy v1\", \"serial\": 1, \"workloads\": {\"web\": {\"keep\": \"60s\"}}}");
	assert_false(judge(f, 0).must_go);
	assert_int_equal(phial_live_find_due(&f->worker, &f->record, &f->grant), NOW_MS + 60000);
	now_ms = NOW_MS + 60000;
	assert_true(judge(f, 0).must_go);
	assert_true(judge(f, 0).is_for_good);
	/* What is gone for good is gone, whatever the store brings. */
	f->record.releases[0].version = 0;
	f->record.releases[1].version = 0;
	load(f, "web/db", 9);
	assert_false(plan(f));
	assert_int_equal(phial_live_find_due(&f->worker, &f->record, &f->grant), -1);
}

static void test_keep_until_ready(void **state)
{
	struct fixture *f = *state;

	policy(f, "{\"phial\": \"policy v1\", \"serial\": 1, \"workloads\": {\"web\": "
		  "{\"keep\": \"until-ready\", \"linger\": \"5s\"}}}");
	assert_false(judge(f, 0).must_go);
	f->record.ready_ms = NOW_MS;
	assert_false(judge(f, 0).must_go);
	now_ms = NOW_MS + 5000;
	assert_true(judge(f, 0).must_go);
	assert_true(judge(f, 1).must_go);
}

static void test_keep_until_read(void **state)
{
	struct fixture *f = *state;

	policy(f, "{\"phial\": \"policy v1\", \"serial\": 1, \"workloads\": {\"web\": "
		  "{\"keep\": \"until-read\", \"linger\": \"5s\"}}}");
	f->record.releases[1].read_ms = NOW_MS;
	assert_false(judge(f, 1).must_go);
	assert_int_equal(phial_live_find_due(&f->worker, &f->record, &f->grant), NOW_MS + 5000);
	now_ms = NOW_MS + 5000;
	assert_false(judge(f, 0).must_go);
	assert_true(judge(f, 1).must_go);
	assert_true(judge(f, 1).is_for_good);
}

/* A new version would not have been read yet, and would stay where the old one is to go. */
static void test_what_was_read_is_not_rotated(void **state)
{
	struct fixture *f = *state;

	policy(f, "{\"phial\": \"policy v1\", \"serial\": 1, \"workloads\": {\"web\": "
		  "{\"keep\": \"until-read\", \"linger\": \"5s\"}}}");
	load(f, "web/db", 50);
	load(f, "web/tls", 60);
	f->record.releases[1].read_ms = NOW_MS;
	assert_true(plan(f));
	assert_int_equal(f->next_count, 2);
	assert_int_equal(f->next[0].version, 50);
	assert_int_equal(f->next[1].version, 6);
	assert_int_equal(f->next[1].read_ms, NOW_MS);
}

/* How long an old generation may stay at most. */
static void test_the_end_of_a_release(void **state)
{
	struct fixture *f = *state;

	assert_false(judge(f, 0).must_go);
	assert_int_equal(phial_live_find_end(&f->worker, &f->record, f->record.releases, &f->grant),
			 -1);
	policy(f, "{\"phial\": \"policy v1\", \"serial\": 1, \"workloads\": {\"web\": "
		  "{\"ttl\": \"2m\"}}}");
	assert_false(judge(f, 0).must_go);
	assert_int_equal(phial_live_find_end(&f->worker, &f->record, f->record.releases, &f->grant),
			 NOW_MS + 20000);
	f->record.releases[0].not_after_s = NOW_S + 5;
	assert_int_equal(phial_live_find_end(&f->worker, &f->record, f->record.releases, &f->grant),
			 NOW_MS + 5000);
	forbid(f, 5, PHIAL_REVOKED_ALL, "");
	assert_int_equal(phial_live_find_end(&f->worker, &f->record, f->record.releases, &f->grant),
			 NOW_MS);
}

/* --- a job whose end nobody saw ----------------------------------------------------------- */

static void test_unsure_is_settled(void **state)
{
	struct fixture *f = *state;

	/* web/db 50 was on its way when the worker died. */
	load(f, "web/db", 50);
	have(f, "web/db", 50);
	f->record.releases[2].is_unsure = true;
	assert_true(plan(f));
	assert_int_equal(f->next_count, 2);
	assert_int_equal(f->next[0].version, 50);
	assert_false(f->next[0].is_unsure);
	assert_null(phial_live_find_sure(&f->record, "web/new"));
	assert_int_equal(phial_live_find_sure(&f->record, "web/db")->version, 5);
	/* It is revoked before anybody knows: it must go, whether it came or not. */
	forbid(f, 50, PHIAL_REVOKED_ALL, "");
	assert_true(judge(f, 2).must_go);
}

/* One that the container may have got, and that the store does not have any more. */
static void test_unsure_and_gone(void **state)
{
	struct fixture *f = *state;

	have(f, "web/old", 7);
	assert_false(plan(f));
	f->record.releases[2].is_unsure = true;
	assert_true(plan(f));
	assert_int_equal(f->next_count, 2);
	assert_null(phial_live_find_sure(&f->record, "web/old"));
}

/* --- what hangs ----------------------------------------------------------------------------- */

/* Records are open as long as their worker lives: there is no close. */
static struct phial_records *opened;

/* A container that needs nothing, at some step since now. */
static struct phial_record *add_record(struct fixture *f, enum phial_live_step step)
{
	struct phial_record *record = calloc(1, sizeof(*record));

	assert_non_null(record);
	(void)snprintf(record->workload, sizeof(record->workload), "web");
	record->target = strdup("/run/secrets");
	record->live.step = step;
	record->live.step_ms = now_ms;
	record->is_held = true;
	assert_int_equal(phial_records_start(f->worker.records, record, NULL), PHIAL_OK);
	record->is_committed = true;
	return record;
}

/* Fillers and an auditor that do not answer keep no other container from its turn for long. */
static void test_a_step_that_hangs(void **state)
{
	struct fixture *f = *state;
	struct phial_record *last;

	f->worker.trust = NULL; /* nothing is to be done */
	assert_int_equal(phial_records_open(f->dir->fd, &opened, NULL), PHIAL_OK);
	f->worker.records = opened;
	f->worker.is_loaded = true;
	last = add_record(f, PHIAL_LIVE_IDLE); /* the list's last is looked at last */
	for (int i = 1; i < PHIAL_LIVE_JOBS_MAX; i++) {
		assert_non_null(add_record(f, PHIAL_LIVE_ROTATING));
	}
	struct phial_record *audited = add_record(f, PHIAL_LIVE_AUDITING);

	last->live.is_dirty = true;
	assert_int_equal(phial_live_run(&f->worker), NOW_MS + 10000);
	assert_true(last->live.is_dirty);
	now_ms += 9999;
	phial_live_review(&f->worker);
	assert_int_equal(phial_live_run(&f->worker), NOW_MS + 10000);
	assert_int_equal(audited->live.step, PHIAL_LIVE_AUDITING);
	assert_true(last->live.is_dirty);
	now_ms += 1;
	assert_true(phial_live_run(&f->worker) > now_ms); /* the entry is tried again */
	assert_int_equal(audited->live.step, PHIAL_LIVE_IDLE);
	assert_string_equal(audited->live.problem, "the audit log does not answer");
	assert_false(last->live.is_dirty);
	while (phial_records_first(opened)) {
		phial_records_end(opened, (struct phial_record *)phial_records_first(opened));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_new, setup, teardown),
		cmocka_unit_test_setup_teardown(test_new_version, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_file_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_from_the_store, setup, teardown),
		cmocka_unit_test_setup_teardown(test_optional_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_revoked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_revoked_does_not_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expired, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ttl, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keep_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keep_until_ready, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keep_until_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_was_read_is_not_rotated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_end_of_a_release, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unsure_is_settled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unsure_and_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_step_that_hangs, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
