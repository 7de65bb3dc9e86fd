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

struct fixture {
	char directory[64];
	int fd;
	struct phial_error err;
};

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
static struct phial_records *opened[8];
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
	record->target = strdup("/run/secrets");
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
		assert_string_equal(record->target, "/run/secrets");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_doors_and_ends, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
