/* SPDX-License-Identifier: ISC */
/* Records of containers: which door, what came to its end, and what other agents wrote. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/records.h"
#include "base/cleanup.h"
#include "store/journal.h"

struct fixture {
	char directory[64];
	int fd;
	struct phial_error err;
};

static enum phial_status take_nothing(void *context, const char *line, struct phial_error *err)
{
	(void)context;
	(void)line;
	(void)err;
	return PHIAL_OK;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f) {
		return -1;
	}
	(void)snprintf(f->directory, sizeof(f->directory), "/tmp/phial-records.XXXXXX");
	if (!mkdtemp(f->directory)) {
		return -1;
	}
	f->fd = open(f->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return f->fd < 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)unlinkat(f->fd, "containers", 0);
	close(f->fd);
	(void)rmdir(f->directory);
	free(f);
	return 0;
}

/* Records are open as long as their worker lives: there is no close. */
static struct phial_records *opened[16];
static size_t opened_count;

static struct phial_records *open_records(struct fixture *f)
{
	struct phial_records *records = NULL;

	assert_true(opened_count < PHIAL_COUNT(opened));

	if (phial_records_open(f->fd, &records, &f->err) != PHIAL_OK) {
		fail_msg("%s", f->err.text);
	}
	opened[opened_count++] = records;
	return records;
}

static struct phial_record *find(const struct phial_records *records, uint64_t number)
{
	struct phial_record *record = phial_records_first(records);

	while (record && record->number != number) {
		record = record->next;
	}
	assert_non_null(record);
	return record;
}

static void start(struct phial_records *records, uint64_t number, enum phial_door door,
		  bool is_done)
{
	struct phial_record *record = calloc(1, sizeof(*record));

	assert_non_null(record);
	record->number = number;
	record->pid = 7;
	record->mount_kind = 1;
	record->door = door;
	(void)snprintf(record->boot_id, sizeof(record->boot_id), "boot");
	(void)snprintf(record->container, sizeof(record->container), "c%d", (int)number);
	(void)snprintf(record->workload, sizeof(record->workload), "web");
	record->target = strdup(number == 2 ? "/run/my \\ secrets" : "/run/secrets");
	record->user_uid = 70000;
	record->started_ms = 500;
	record->identity = (struct phial_mount_identity){ 44, UINT64_MAX, 1 };
	record->releases = calloc(1, sizeof(*record->releases));
	record->releases[0].name = strdup("web/db");
	record->releases[0].version = 3;
	record->release_count = 1;
	assert_int_equal(phial_records_start(records, record, NULL), PHIAL_OK);
	if (is_done) {
		assert_int_equal(phial_records_commit(records, record, NULL), PHIAL_OK);
	}
}

static void check(const struct phial_records *records)
{
	static const struct {
		uint64_t number;
		enum phial_door door;
		bool is_committed;
		const char *text;
	} wanted[] = {
		{ 1, PHIAL_DOOR_HOOK, true, "hook" },
		{ 2, PHIAL_DOOR_RUNTIME, true, "runtime" },
		{ 3, PHIAL_DOOR_INIT, false, "init" },
		{ 4, PHIAL_DOOR_INIT, true, "init" },
		{ 5, PHIAL_DOOR_INIT_ENV, true, "init" },
		{ 6, PHIAL_DOOR_INIT_ENV, false, "init" },
	};

	for (size_t i = 0; i < PHIAL_COUNT(wanted); i++) {
		const struct phial_record *record = find(records, wanted[i].number);

		if (record->door != wanted[i].door ||
		    record->is_committed != wanted[i].is_committed) {
			fail_msg("record %d: door %d, committed %d", (int)wanted[i].number,
				 (int)record->door, (int)record->is_committed);
		}
		assert_string_equal(phial_door_text(record->door), wanted[i].text);
		assert_string_equal(record->releases[0].name, "web/db");
		assert_string_equal(record->target,
				    record->number == 2 ? "/run/my \\ secrets" : "/run/secrets");
	}
}

/* What a worker leaves, the next one reads, also from the file that the one between has rewritten. */
static void test_doors_and_ends(void **state)
{
	struct fixture *f = *state;
	struct phial_records *records = open_records(f);

	start(records, 1, PHIAL_DOOR_HOOK, true);
	start(records, 2, PHIAL_DOOR_RUNTIME, false);
	start(records, 3, PHIAL_DOOR_INIT, false);
	start(records, 4, PHIAL_DOOR_INIT, true);
	start(records, 5, PHIAL_DOOR_INIT_ENV, true);
	start(records, 6, PHIAL_DOOR_INIT_ENV, false);
	check(open_records(f));
	check(open_records(f));
	records = open_records(f);
	for (uint64_t number = 1; number <= 6; number++) {
		phial_records_end(records, find(records, number));
	}
	start(records, 7, PHIAL_DOOR_HOOK, true); /* and with it the ends are written */
	const struct phial_record *left = phial_records_first(open_records(f));

	assert_int_equal(left->number, 7);
	assert_null(left->next);
}

/* What changes in a container's life comes back, from the appended lines and from the rewritten file. */
static void test_life(void **state)
{
	struct fixture *f = *state;
	struct phial_records *records = open_records(f);
	struct phial_release *releases = calloc(2, sizeof(*releases));

	start(records, 1, PHIAL_DOOR_HOOK, true);
	start(records, 2, PHIAL_DOOR_HOOK, true);
	start(records, 3, PHIAL_DOOR_HOOK, true);
	assert_non_null(releases);
	releases[0] = (struct phial_release){ strdup("web/db"), 8, "database", 90, 80, 70, false };
	releases[1] = (struct phial_release){ strdup("web/tls"), 0, "tls", 0, 0, 0, false };
	assert_int_equal(phial_records_replace(records, find(records, 2), releases, 2, NULL),
			 PHIAL_OK);
	phial_records_end(records, find(records, 3));
	/* All that container 1 had is taken away. */
	assert_int_equal(phial_records_replace(records, find(records, 1), NULL, 0, NULL), PHIAL_OK);
	assert_int_equal(phial_records_read(records, find(records, 2),
					    &find(records, 2)->releases[0], 75, NULL),
			 PHIAL_OK);
	assert_int_equal(phial_records_ready(records, find(records, 2), 1234, NULL), PHIAL_OK);
	for (int round = 0; round < 2; round++) {
		const struct phial_records *again = open_records(f);
		const struct phial_record *record = find(again, 2);

		assert_int_equal(find(again, 1)->release_count, 0);
		assert_int_equal(record->release_count, 2);
		assert_string_equal(record->releases[0].file, "database");
		assert_int_equal(record->releases[0].version, 8);
		assert_int_equal(record->releases[0].not_after_s, 90);
		assert_int_equal(record->releases[0].created_s, 80);
		assert_int_equal(record->releases[0].read_ms, 75);
		assert_int_equal(record->releases[1].version, 0);
		assert_int_equal(record->ready_ms, 1234);
		assert_int_equal(record->user_uid, 70000);
		assert_int_equal(record->identity.device, 44);
		assert_int_equal(record->identity.fsid, UINT64_MAX);
		assert_int_equal(record->started_ms, 500);
		assert_string_equal(record->target, "/run/my \\ secrets");
		assert_null(phial_records_find(again, 3));
	}
}

/* A job that was begun: the next agent knows that it does not know, until somebody does. */
static void test_doubt(void **state)
{
	struct fixture *f = *state;
	struct phial_records *records = open_records(f);
	struct phial_release next[] = {
		{ .name = (char[]){ "web/db" }, .version = 9, .file = "db" },
		{ .name = (char[]){ "web/new" }, .version = 4, .file = "new", .not_after_s = 70 },
		{ .name = (char[]){ "web/gone" }, .version = 0, .file = "gone" },
	};

	start(records, 1, PHIAL_DOOR_HOOK, true);
	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(phial_records_doubt(records, find(records, 1), next, 3, NULL),
				 PHIAL_OK);
	}
	for (int round = 0; round < 2; round++) {
		records = open_records(f);
		const struct phial_record *record = find(records, 1);

		assert_int_equal(record->release_count, 3);
		assert_int_equal(record->releases[0].version, 3);
		assert_false(record->releases[0].is_unsure);
		assert_int_equal(record->releases[1].version, 9);
		assert_true(record->releases[1].is_unsure);
		assert_string_equal(record->releases[2].name, "web/new");
		assert_int_equal(record->releases[2].not_after_s, 70);
		assert_true(record->releases[2].is_unsure);
	}
	assert_int_equal(phial_records_replace(records, find(records, 1), NULL, 0, NULL), PHIAL_OK);
	assert_int_equal(find(open_records(f), 1)->release_count, 0);
}

/* A file of the agent before this one: versions without a file name, words without the newer ones. */
static void test_older_agents(void **state)
{
	static const char *const lines[] = {
		"start 5 boot 7 11 12 13 1 c5 web /run/secrets web/db=3 web/a/tls=4",
		"start 6 boot 7 11 12 13 1 c6 web /run/secrets @init,done web/db=3",
	};
	struct fixture *f = *state;
	struct phial_journal *journal = NULL;

	assert_int_equal(phial_journal_open(f->fd, "containers", true, take_nothing, NULL, &journal,
					    NULL),
			 PHIAL_OK);
	for (size_t i = 0; i < PHIAL_COUNT(lines); i++) {
		assert_int_equal(phial_journal_append(journal, lines[i], NULL), PHIAL_OK);
	}
	assert_int_equal(phial_journal_sync(journal, NULL), PHIAL_OK);
	phial_journal_close(journal);
	const struct phial_record *record = find(open_records(f), 5);

	assert_string_equal(record->releases[0].file, "db");
	assert_string_equal(record->releases[1].file, "tls");
	assert_int_equal(record->releases[1].version, 4);
	assert_int_equal(record->identity.device, 0);
	assert_true(find(opened[opened_count - 1], 6)->is_committed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_doubt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_older_agents, setup, teardown),
		cmocka_unit_test_setup_teardown(test_doors_and_ends, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
