/* SPDX-License-Identifier: ISC */
/*
 * Revocations: what they forbid to whom, over restarts; a reason cannot write lines; a file that is
 * gone, emptied or damaged is told; a disk that is full forgets nothing. Attack S-04.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/revocations.h"
#include "base/cleanup.h"
#include "store/marks.h"
#include "temp_dir.h"

/* Marks and revocations as a worker has them open. */
struct open_state {
	struct phial_marks *marks;
	struct phial_revocations *revocations;
};

static enum phial_status try_open(int dir_fd, struct open_state *ret_state, struct phial_error *err)
{
	bool is_first = faccessat(dir_fd, PHIAL_MARKS_FILE, F_OK, 0) != 0;
	enum phial_status status = phial_marks_open(dir_fd, is_first, &ret_state->marks, err);

	ret_state->revocations = NULL;
	assert_int_equal(status, PHIAL_OK);
	return phial_revocations_open(dir_fd, ret_state->marks, &ret_state->revocations, err);
}

static struct open_state open_all(int dir_fd)
{
	struct open_state state;
	struct phial_error err = { 0 };

	if (try_open(dir_fd, &state, &err) != PHIAL_OK) {
		fail_msg("%s", err.text);
	}
	return state;
}

static void close_all(struct open_state *state)
{
	phial_revocations_close(state->revocations);
	phial_marks_close(state->marks);
}

static struct phial_revocation make(const char *name, uint64_t version,
				    enum phial_revocation_scope scope, const char *where,
				    const char *reason)
{
	struct phial_revocation item = { .version = version, .scope = scope, .time_s = 1000 };

	(void)snprintf(item.name, sizeof(item.name), "%s", name);
	(void)snprintf(item.where, sizeof(item.where), "%s", where);
	(void)snprintf(item.reason, sizeof(item.reason), "%s", reason);
	return item;
}

static void add(struct phial_revocations *revocations, const char *name, uint64_t version,
		enum phial_revocation_scope scope, const char *where)
{
	const struct phial_revocation item = make(name, version, scope, where, "it leaked");
	struct phial_error err = { 0 };

	if (phial_revocations_add(revocations, &item, &err) != PHIAL_OK) {
		fail_msg("%s", err.text);
	}
}

static void check_forbidden(const struct phial_revocations *revocations)
{
	static const struct {
		const char *name;
		uint64_t version;
		const char *workload;
		const char *container;
		bool is_forbidden;
	} cases[] = {
		{ "web/db", 6, NULL, NULL, true },	 { "web/db", 7, "web", "c1", true },
		{ "web/db", 8, "web", "c1", false },	 { "web/d", 1, "web", "c1", false },
		{ "web/db2", 1, "web", "c1", false },	 { "mail/key", 3, NULL, NULL, false },
		{ "mail/key", 3, "mail", NULL, false },	 { "mail/key", 3, "backup", NULL, true },
		{ "mail/key", 2, "backup", "c1", true }, { "mail/key", 4, "backup", "c1", false },
		{ "mail/key", 9, "mail", "c9", true },	 { "mail/key", 10, "mail", "c9", false },
		{ "mail/key", 9, "mail", "c", false },	 { "night", 50, "web", "c1", true },
		{ "night", 49, "web", "c1", false },	 { "night", 51, "web", "c1", false },
	};

	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		if (phial_revocations_forbid(revocations, cases[i].name, cases[i].version,
					     cases[i].workload,
					     cases[i].container) != cases[i].is_forbidden) {
			fail_msg("case %zu", i);
		}
	}
}

static void S04_what_is_revoked_stays_so_over_restarts(void **state)
{
	struct temp_dir *dir = *state;
	struct open_state open = open_all(dir->fd);

	add(open.revocations, "web/db", 5, PHIAL_REVOKED_ALL, "");
	add(open.revocations, "web/db", 7, PHIAL_REVOKED_ALL, "");
	add(open.revocations, "web/db", 4, PHIAL_REVOKED_ALL, "");
	add(open.revocations, "mail/key", 3, PHIAL_REVOKED_WORKLOAD, "backup");
	add(open.revocations, "mail/key", 9, PHIAL_REVOKED_CONTAINER, "c9");
	add(open.revocations, "night", 50, PHIAL_REVOKED_OVERRIDE, "");
	for (int i = 0; i < 3; i++) {
		check_forbidden(open.revocations);
		assert_int_equal(phial_revocations_count(open.revocations), 4);
		close_all(&open);
		open = open_all(dir->fd);
	}
	close_all(&open);
}

static void an_override_is_good_while_it_is_in_force(void **state)
{
	struct temp_dir *dir = *state;
	struct open_state open = open_all(dir->fd);

	add(open.revocations, "night", 50, PHIAL_REVOKED_OVERRIDE, "");
	add(open.revocations, "night", 60, PHIAL_REVOKED_OVERRIDE, "");
	phial_revocations_set_override(open.revocations, "night", 60);
	assert_true(phial_revocations_forbid(open.revocations, "night", 50, "web", NULL));
	assert_false(phial_revocations_forbid(open.revocations, "night", 60, "web", NULL));
	phial_revocations_set_override(open.revocations, "night", 0);
	assert_true(phial_revocations_forbid(open.revocations, "night", 60, "web", NULL));
	close_all(&open);
}

static void a_reason_writes_no_line(void **state)
{
	struct temp_dir *dir = *state;
	struct open_state open = open_all(dir->fd);
	struct phial_revocation item =
		make("web/db", 5, PHIAL_REVOKED_ALL, "", "a b\nweb/x 9 0 all - \033[2J\xff");
	char text[PHIAL_ERROR_TEXT_BYTES];

	assert_int_equal(phial_revocations_add(open.revocations, &item, NULL), PHIAL_OK);
	item = make("web/y", 5, PHIAL_REVOKED_CONTAINER, "c1 x", "");
	assert_int_equal(phial_revocations_add(open.revocations, &item, NULL), PHIAL_USAGE);
	item = make("web/y", 0, PHIAL_REVOKED_ALL, "", "");
	assert_int_equal(phial_revocations_add(open.revocations, &item, NULL), PHIAL_USAGE);
	close_all(&open);
	open = open_all(dir->fd);
	assert_int_equal(phial_revocations_count(open.revocations), 1);
	phial_revocation_describe(phial_revocations_at(open.revocations, 0), text, sizeof(text));
	assert_string_equal(text, "revoked on 1970-01-01T00:16:40Z (a b\\x0aweb/x 9 0 all - "
				  "\\x1b[2J\\xff); seal a new value with \"phial seal web/db\"");
	close_all(&open);
}

/* Returns what opening says after something was done to the file. */
static enum phial_status reopen(const struct temp_dir *dir, const char *wanted)
{
	struct phial_error err = { 0 };
	struct open_state open;
	enum phial_status status = try_open(dir->fd, &open, &err);

	if (status != PHIAL_OK &&
	    (!strstr(err.text, wanted) || !strstr(err.text, "docs/store.md"))) {
		fail_msg("%s", err.text);
	}
	close_all(&open);
	return status;
}

static void S04_missing_emptied_or_changed_is_refused(void **state)
{
	struct temp_dir *dir = *state;
	struct open_state open = open_all(dir->fd);
	char text[4096];

	add(open.revocations, "web/db", 5, PHIAL_REVOKED_WORKLOAD, "web");
	close_all(&open);
	ssize_t length = temp_dir_read(dir->fd, PHIAL_REVOCATIONS_FILE, text, sizeof(text));

	assert_true(length > 60);
	text[length - 30]++;
	assert_int_equal(temp_dir_write(dir->fd, PHIAL_REVOCATIONS_FILE, text, (size_t)length), 0);
	assert_int_equal(reopen(dir, "damaged"), PHIAL_TAMPERED);
	assert_int_equal(temp_dir_write(dir->fd, PHIAL_REVOCATIONS_FILE, "", 0), 0);
	assert_int_equal(reopen(dir, "empty"), PHIAL_TAMPERED);
	assert_int_equal(unlinkat(dir->fd, PHIAL_REVOCATIONS_FILE, 0), 0);
	assert_int_equal(reopen(dir, "gone"), PHIAL_NOT_FOUND);
	/* As the documentation says: without marks both are made anew. */
	assert_int_equal(unlinkat(dir->fd, PHIAL_MARKS_FILE, 0), 0);
	assert_int_equal(reopen(dir, ""), PHIAL_OK);
}

/* A state directory of an agent that knew no revocations yet. */
static void an_older_state_directory_gets_them(void **state)
{
	struct temp_dir *dir = *state;
	static const uint8_t digest[PHIAL_DIGEST_BYTES] = { 1 };
	struct phial_marks *marks = NULL;

	assert_int_equal(phial_marks_open(dir->fd, true, &marks, NULL), PHIAL_OK);
	assert_int_equal(phial_marks_note(marks, "web/db", 3, digest, NULL), PHIAL_OK);
	assert_int_equal(phial_marks_sync(marks, NULL), PHIAL_OK);
	phial_marks_close(marks);
	assert_int_equal(reopen(dir, ""), PHIAL_OK);
	assert_int_equal(faccessat(dir->fd, PHIAL_REVOCATIONS_FILE, F_OK, 0), 0);
	assert_int_equal(reopen(dir, ""), PHIAL_OK);
}

static void a_full_disk_is_told_and_made_good(void **state)
{
	struct temp_dir *dir = *state;
	char filler[16384] = { 0 };

	if (mount("none", dir->path, "tmpfs", 0, "size=16k") != 0) {
		skip();
	}
	int fd = openat(AT_FDCWD, dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct open_state open = open_all(fd);
	struct phial_revocation item = make("web/db", 5, PHIAL_REVOKED_WORKLOAD, "web", "");

	for (size_t size = sizeof(filler); size > 0; size /= 2) { /* what fits */
		char name[32];

		(void)snprintf(name, sizeof(name), "f%zu", size);
		(void)temp_dir_write(fd, name, filler, size);
	}
	memset(item.reason, 'x', sizeof(item.reason) - 1);
	enum phial_status status = PHIAL_OK;

	for (int i = 0; i < 100 && status == PHIAL_OK; i++) { /* until the last page is full */
		item.version++;
		status = phial_revocations_add(open.revocations, &item, NULL);
	}
	assert_int_equal(status, PHIAL_SYSTEM);
	assert_true(
		phial_revocations_forbid(open.revocations, "web/db", item.version, "web", NULL));
	assert_int_equal(phial_revocations_add(open.revocations, &item, NULL), PHIAL_SYSTEM);
	for (size_t size = sizeof(filler); size > 0; size /= 2) {
		char name[32];

		(void)snprintf(name, sizeof(name), "f%zu", size);
		(void)unlinkat(fd, name, 0);
	}
	assert_int_equal(phial_revocations_add(open.revocations, &item, NULL), PHIAL_OK);
	close_all(&open);
	open = open_all(fd);
	assert_true(
		phial_revocations_forbid(open.revocations, "web/db", item.version, "web", NULL));
	close_all(&open);
	close(fd);
	assert_int_equal(umount2(dir->path, MNT_DETACH), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(S04_what_is_revoked_stays_so_over_restarts,
						temp_dir_setup, temp_dir_teardown),
		cmocka_unit_test_setup_teardown(an_override_is_good_while_it_is_in_force,
						temp_dir_setup, temp_dir_teardown),
		cmocka_unit_test_setup_teardown(a_reason_writes_no_line, temp_dir_setup,
						temp_dir_teardown),
		cmocka_unit_test_setup_teardown(S04_missing_emptied_or_changed_is_refused,
						temp_dir_setup, temp_dir_teardown),
		cmocka_unit_test_setup_teardown(an_older_state_directory_gets_them, temp_dir_setup,
						temp_dir_teardown),
		cmocka_unit_test_setup_teardown(a_full_disk_is_told_and_made_good, temp_dir_setup,
						temp_dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
