/* SPDX-License-Identifier: ISC */
/* link: -Wl,--wrap=fdatasync,--wrap=write,--wrap=ftruncate,--wrap=renameat */
/*
 * The audit log as a whole: appended, rotated, torn, cut, changed, and on a failing disk. Attacks
 * F-05 and F-07 (faults at its system calls).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audit/reader.h"
#include "audit/verify.h"
#include "audit/writer.h"
#include "base/cleanup.h"
#include "temp_dir.h"

/* errno for the next calls, 0: none fails. */
static int fail_fdatasync;
static int fail_write;
static int fail_ftruncate;
static int fail_renameat;

static int failing(int error)
{
	errno = error;
	return -1;
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
	return fail_fdatasync != 0 ? failing(fail_fdatasync) : __real_fdatasync(fd);
}

int __real_ftruncate(int fd, off_t length);
int __wrap_ftruncate(int fd, off_t length);
int __wrap_ftruncate(int fd, off_t length)
{
	return fail_ftruncate != 0 ? failing(fail_ftruncate) : __real_ftruncate(fd, length);
}

int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return fail_renameat != 0 ? failing(fail_renameat)
				  : __real_renameat(from_fd, from, to_fd, to);
}

/* A failing write first writes a part, as a full disk does. */
ssize_t __real_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
	if (fail_write != 0 && length > 200) {
		return __real_write(fd, bytes, length - 200);
	}
	return fail_write != 0 ? failing(fail_write) : __real_write(fd, bytes, length);
}

static const struct phial_audit_secret secret = { "web/db", 7 };
static const struct phial_audit_entry release = {
	.kind = PHIAL_AUDIT_RELEASE,
	.container = "c1",
	.workload = "web",
	.door = PHIAL_AUDIT_HOOK,
	.has_uid = true,
	.secrets = &secret,
	.secret_count = 1,
	.decision = PHIAL_AUDIT_ALLOWED,
};

static struct phial_audit_options usual_options(void)
{
	return (struct phial_audit_options){
		.host = "h7",
		.boot = "2c1d6c1e-5a55-4b57-9c35-0d0f4a8f7a10",
		.file_max_bytes = 1024 * 1024,
		.files_max = 4,
	};
}

static struct phial_audit_writer *open_writer(const struct temp_dir *dir,
					      struct phial_audit_options options)
{
	struct phial_audit_writer *writer = NULL;
	struct phial_error err = { 0 };

	if (phial_audit_writer_open(dir->fd, &options, &writer, &err) != PHIAL_OK) {
		fail_msg("%s", err.text);
	}
	return writer;
}

static void append(struct phial_audit_writer *writer, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(phial_audit_append(writer, &release, 1, NULL), PHIAL_OK);
	}
}

/* The last problem, and what the log holds. */
struct verdict {
	struct phial_audit_summary summary;
	char text[512];
	uint64_t line;
};

static void note_problem(void *context, const struct phial_audit_problem *problem)
{
	struct verdict *verdict = context;

	(void)snprintf(verdict->text, sizeof(verdict->text), "%s", problem->text);
	verdict->line = problem->line;
}

static struct verdict verify(const struct temp_dir *dir, const struct phial_audit_head *kept)
{
	phial_auto_audit_files struct phial_audit_files files = { 0 };
	const char *paths[] = { dir->path };
	struct verdict verdict = { 0 };

	assert_int_equal(phial_audit_files_open(paths, 1, &files, NULL), PHIAL_OK);
	assert_int_equal(phial_audit_verify(&files, kept, note_problem, &verdict, &verdict.summary,
					    NULL),
			 PHIAL_OK);
	return verdict;
}

static void assert_good(const struct temp_dir *dir, uint64_t entries, uint64_t lost)
{
	struct verdict verdict = verify(dir, NULL);

	if (verdict.summary.problems > 0) {
		fail_msg("line %d: %s", (int)verdict.line, verdict.text);
	}
	assert_int_equal(verdict.summary.entries, entries);
	assert_int_equal(verdict.summary.lost, lost);
}

static void assert_bad(const struct temp_dir *dir, const char *text)
{
	struct verdict verdict = verify(dir, NULL);

	assert_int_equal(verdict.summary.problems, 1);
	if (!strstr(verdict.text, text)) {
		fail_msg("\"%s\" is not in: %s", text, verdict.text);
	}
}

static int setup(void **state)
{
	fail_fdatasync = fail_write = fail_ftruncate = fail_renameat = 0;
	return temp_dir_setup(state);
}

/* --- good days -------------------------------------------------------------------------- */

static void appends_and_goes_on(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_audit_writer *writer = open_writer(dir, usual_options());
	const struct phial_audit_entry three[] = { release, release, release };

	assert_int_equal(phial_audit_writer_head(writer)->seq, 0);
	assert_int_equal(phial_audit_append(writer, NULL, 0, NULL), PHIAL_OK);
	assert_int_equal(phial_audit_append(writer, three, 3, NULL), PHIAL_OK);
	phial_audit_writer_close(writer);
	writer = open_writer(dir, usual_options());
	assert_int_equal(phial_audit_writer_head(writer)->seq, 3);
	append(writer, 1);
	assert_int_equal(phial_audit_writer_head(writer)->seq, 4);
	struct verdict verdict = verify(dir, phial_audit_writer_head(writer));

	assert_string_equal(verdict.summary.head.hash, phial_audit_writer_head(writer)->hash);
	phial_audit_writer_close(writer);
	assert_good(dir, 4, 0);
}

static void rotates_without_a_break(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_audit_options options = usual_options();

	options.file_max_bytes = 1000;
	options.files_max = 30;
	struct phial_audit_writer *writer = open_writer(dir, options);

	append(writer, 40);
	phial_audit_writer_close(writer);
	assert_int_equal(faccessat(dir->fd, "audit.log.2", F_OK, 0), 0);
	struct verdict verdict = verify(dir, NULL);

	assert_int_equal(verdict.summary.problems, 0);
	assert_int_equal(verdict.summary.first, 1);
	assert_true(verdict.summary.entries > 40);
}

/* What rotation removes is no damage; what somebody else removes is. */
static void the_oldest_file_goes(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_audit_options options = usual_options();

	options.file_max_bytes = 1000;
	options.files_max = 3;
	struct phial_audit_writer *writer = open_writer(dir, options);

	append(writer, 60);
	phial_audit_writer_close(writer);
	assert_int_not_equal(faccessat(dir->fd, "audit.log.4", F_OK, 0), 0);
	struct verdict verdict = verify(dir, NULL);

	assert_int_equal(verdict.summary.problems, 0);
	assert_true(verdict.summary.first > 1);
	assert_int_equal(unlinkat(dir->fd, "audit.log.3", 0), 0);
	assert_bad(dir, "taken away");
}

static void a_missing_file_between_is_found(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_audit_options options = usual_options();

	options.file_max_bytes = 1000;
	options.files_max = 9;
	struct phial_audit_writer *writer = open_writer(dir, options);

	append(writer, 30);
	phial_audit_writer_close(writer);
	assert_int_equal(unlinkat(dir->fd, "audit.log.2", 0), 0);
	assert_bad(dir, "are missing");
}

/* --- crashes --------------------------------------------------------------------------------- */

static void a_torn_line_becomes_a_gap(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_audit_writer *writer = open_writer(dir, usual_options());
	char bytes[8192];

	append(writer, 3);
	phial_audit_writer_close(writer);
	ssize_t length = temp_dir_read(dir->fd, "audit.log", bytes, sizeof(bytes));

	/* Short and long rests, shorter and longer than the gap entry that takes their place. */
	for (size_t cut = 1; cut < 300; cut += 13) {
		assert_int_equal(temp_dir_write(dir->fd, "audit.log", bytes, (size_t)length - cut),
				 0);
		assert_int_equal(verify(dir, NULL).summary.torn, 1);
		writer = open_writer(dir, usual_options());
		assert_int_equal(phial_audit_writer_lost(writer), 1);
		assert_int_equal(phial_audit_append(writer, NULL, 0, NULL), PHIAL_OK);
		assert_int_equal(phial_audit_writer_lost(writer), 0);
		phial_audit_writer_close(writer);
		assert_good(dir, 3, 1);
	}
}

static void a_torn_first_line_becomes_a_gap(void **state)
{
	struct temp_dir *dir = *state;

	assert_int_equal(temp_dir_write(dir->fd, "audit.log", "{\"seq\":", 7), 0);
	struct phial_audit_writer *writer = open_writer(dir, usual_options());

	append(writer, 1);
	phial_audit_writer_close(writer);
	assert_good(dir, 2, 1);
}

/* A crash after each step of a rotation: the next start goes on with it. */
static void an_interrupted_rotation_is_gone_on_with(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_audit_options options = usual_options();

	options.file_max_bytes = 1000;
	options.files_max = 9;
	struct phial_audit_writer *writer = open_writer(dir, options);

	append(writer, 8);
	phial_audit_writer_close(writer);
	assert_int_equal(__real_renameat(dir->fd, "audit.log.2", dir->fd, "audit.log.3"), 0);
	writer = open_writer(dir, options);
	append(writer, 8);
	phial_audit_writer_close(writer);
	assert_int_equal(verify(dir, NULL).summary.problems, 0);
	/* And between the last rename and the new file, or its first line. */
	for (unsigned int i = 9; i > 0; i--) {
		char from[32];
		char to[32];

		(void)snprintf(from, sizeof(from), i > 1 ? "audit.log.%u" : "audit.log", i - 1);
		(void)snprintf(to, sizeof(to), "audit.log.%u", i);
		(void)__real_renameat(dir->fd, from, dir->fd, to);
	}
	writer = open_writer(dir, options);
	assert_int_equal(verify(dir, NULL).summary.problems, 0);
	append(writer, 1);
	phial_audit_writer_close(writer);
	struct verdict verdict = verify(dir, NULL);

	assert_int_equal(verdict.summary.problems, 0);
	assert_int_equal(verdict.summary.first, 1);
}

/* --- attackers --------------------------------------------------------------------------------- */

static void every_changed_byte_is_found(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_audit_writer *writer = open_writer(dir, usual_options());
	char bytes[8192];

	append(writer, 3);
	const struct phial_audit_head kept = *phial_audit_writer_head(writer);

	phial_audit_writer_close(writer);
	ssize_t length = temp_dir_read(dir->fd, "audit.log", bytes, sizeof(bytes));

	for (ssize_t i = 0; i + 1 < length; i++) {
		bytes[i] = (char)(bytes[i] ^ 1);
		assert_int_equal(temp_dir_write(dir->fd, "audit.log", bytes, (size_t)length), 0);
		bytes[i] = (char)(bytes[i] ^ 1);
		if (verify(dir, &kept).summary.problems == 0) {
			fail_msg("byte %d", (int)i);
		}
	}
}

/* from: bytes of whole lines to keep; what a line is, the test finds itself. */
static size_t line_length(const char *bytes)
{
	return (size_t)(strchr(bytes, '\n') - bytes) + 1;
}

static void cut_lines_are_found(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_audit_writer *writer = open_writer(dir, usual_options());
	char bytes[8192] = { 0 };
	char changed[8192];

	append(writer, 4);
	const struct phial_audit_head kept = *phial_audit_writer_head(writer);

	phial_audit_writer_close(writer);
	size_t length = (size_t)temp_dir_read(dir->fd, "audit.log", bytes, sizeof(bytes) - 1);
	size_t line = line_length(bytes);

	/* The second line goes; the first goes; the last goes. */
	memcpy(changed, bytes, line);
	memcpy(changed + line, bytes + 2 * line, length - 2 * line);
	assert_int_equal(temp_dir_write(dir->fd, "audit.log", changed, length - line), 0);
	assert_bad(dir, "entries 2 to 2 are missing");
	assert_int_equal(temp_dir_write(dir->fd, "audit.log", bytes + line, length - line), 0);
	assert_bad(dir, "rotate entry");
	assert_int_equal(temp_dir_write(dir->fd, "audit.log", bytes, length - line), 0);
	assert_good(dir, 3, 0);
	struct verdict verdict = verify(dir, &kept);

	assert_int_equal(verdict.summary.problems, 1);
	assert_non_null(strstr(verdict.text, "cut off"));
	/* The end was cut and written anew by others: only the kept head tells. */
	writer = open_writer(dir, usual_options());
	struct phial_audit_entry other = release;

	other.container = "c2";
	assert_int_equal(phial_audit_append(writer, &other, 1, NULL), PHIAL_OK);
	phial_audit_writer_close(writer);
	assert_good(dir, 4, 0);
	verdict = verify(dir, &kept);
	assert_int_equal(verdict.summary.problems, 1);
	assert_non_null(strstr(verdict.text, "not the one of the head"));
}

static void a_damaged_end_is_not_written_to(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_audit_options options = usual_options();
	struct phial_audit_writer *writer = open_writer(dir, options);

	append(writer, 1);
	phial_audit_writer_close(writer);
	assert_int_equal(temp_dir_write(dir->fd, "audit.log", "no entry\n", 9), 0);
	assert_int_equal(phial_audit_writer_open(dir->fd, &options, &writer, NULL), PHIAL_TAMPERED);
	assert_int_equal(fchmodat(dir->fd, "audit.log", 0666, 0), 0);
	assert_int_equal(phial_audit_writer_open(dir->fd, &options, &writer, NULL), PHIAL_DENIED);
	assert_int_equal(unlinkat(dir->fd, "audit.log", 0), 0);
	assert_int_equal(symlinkat("elsewhere", dir->fd, "audit.log"), 0);
	assert_int_not_equal(phial_audit_writer_open(dir->fd, &options, &writer, NULL), PHIAL_OK);
	assert_int_not_equal(faccessat(dir->fd, "elsewhere", F_OK, 0), 0);
}

/* --- a failing disk -------------------------------------------------------------------------------- */

/* left: entries of the failed append that could not even be cut off. */
static void check_fault(const struct temp_dir *dir, int *fault, int error, uint64_t left)
{
	struct phial_audit_writer *writer = open_writer(dir, usual_options());
	const struct phial_audit_entry two[] = { release, release };
	struct phial_error err = { 0 };
	uint64_t before = phial_audit_writer_head(writer)->seq;
	struct verdict verdict = before > 0 ? verify(dir, NULL) : (struct verdict){ 0 };

	*fault = error;
	assert_int_equal(phial_audit_append(writer, two, 2, &err), PHIAL_SYSTEM);
	assert_non_null(strstr(err.text, strerror(error)));
	assert_int_equal(phial_audit_writer_lost(writer), 2);
	*fault = 0;
	fail_ftruncate = 0;
	append(writer, 1);
	assert_int_equal(phial_audit_writer_lost(writer), 0);
	phial_audit_writer_close(writer);
	assert_good(dir, verdict.summary.entries + 2 + left, verdict.summary.lost + 2);
}

static void a_full_disk_fails_and_is_told(void **state)
{
	struct temp_dir *dir = *state;

	check_fault(dir, &fail_write, ENOSPC, 0);
	check_fault(dir, &fail_write, EIO, 0);
	check_fault(dir, &fail_fdatasync, EIO, 0);
	check_fault(dir, &fail_fdatasync, ENOSPC, 0);
}

/*
 * Not even what was written can be cut off: one line is whole and stays, of a release that was
 * refused then; the other is torn, and not counted twice.
 */
static void a_rest_that_stays_is_covered(void **state)
{
	struct temp_dir *dir = *state;

	fail_ftruncate = EIO;
	check_fault(dir, &fail_write, ENOSPC, 1);
}

static void drops_if_told_to(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_audit_options options = usual_options();

	options.drops = true;
	struct phial_audit_writer *writer = open_writer(dir, options);

	fail_write = ENOSPC;
	append(writer, 5);
	assert_int_equal(phial_audit_writer_lost(writer), 5);
	fail_write = 0;
	append(writer, 1);
	phial_audit_writer_close(writer);
	assert_good(dir, 2, 5);
}

/* What the copy elsewhere gets: each line with the head that it is, and none that was not written. */
struct copies {
	struct phial_audit_head last;
	size_t count;
};

static void note_copy(void *context, const struct phial_audit_head *head, struct phial_span line)
{
	struct copies *copies = context;
	char hash[PHIAL_HASH_HEX_BYTES];

	phial_audit_line_hash(line, hash);
	assert_string_equal(head->hash, hash);
	assert_int_equal(head->seq, copies->last.seq + 1);
	copies->last = *head;
	copies->count++;
}

static void what_is_durable_is_told(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_audit_options options = usual_options();
	struct copies copies = { .count = 0 };

	options.file_max_bytes = 500;
	options.written_fn = note_copy;
	options.context = &copies;
	struct phial_audit_writer *writer = open_writer(dir, options);

	phial_audit_writer_add_lost(writer, 7, "before it could be opened");
	append(writer, 3);
	append(writer, 1); /* in a new file */
	fail_write = ENOSPC;
	assert_int_equal(phial_audit_append(writer, &release, 1, NULL), PHIAL_SYSTEM);
	assert_non_null(strstr(phial_audit_writer_lost_reason(writer), strerror(ENOSPC)));
	fail_write = 0;
	append(writer, 1);
	assert_string_equal(phial_audit_writer_lost_reason(writer), "");
	assert_string_equal(copies.last.hash, phial_audit_writer_head(writer)->hash);
	phial_audit_writer_close(writer);
	assert_good(dir, copies.count, 8);
}

static void a_rotation_that_fails_is_tried_again(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_audit_options options = usual_options();

	options.file_max_bytes = 500;
	struct phial_audit_writer *writer = open_writer(dir, options);

	append(writer, 2);
	fail_renameat = EIO;
	assert_int_equal(phial_audit_append(writer, &release, 1, NULL), PHIAL_SYSTEM);
	fail_renameat = 0;
	append(writer, 2);
	phial_audit_writer_close(writer);
	struct verdict verdict = verify(dir, NULL);

	assert_int_equal(verdict.summary.problems, 0);
	assert_int_equal(verdict.summary.lost, 1);
}

/* A log that others cut while it was written to is not gone on with in silence. */
static void a_cut_while_running_is_found(void **state)
{
	struct temp_dir *dir = *state;
	struct phial_audit_options options = usual_options();

	options.file_max_bytes = 500;
	struct phial_audit_writer *writer = open_writer(dir, options);

	append(writer, 2);
	assert_int_equal(temp_dir_write(dir->fd, "audit.log", "", 0), 0);
	assert_int_equal(phial_audit_append(writer, &release, 1, NULL), PHIAL_TAMPERED);
	assert_int_equal(phial_audit_append(writer, &release, 1, NULL), PHIAL_TAMPERED);
	phial_audit_writer_close(writer);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, temp_dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(appends_and_goes_on),
		TEST(rotates_without_a_break),
		TEST(the_oldest_file_goes),
		TEST(a_missing_file_between_is_found),
		TEST(a_torn_line_becomes_a_gap),
		TEST(a_torn_first_line_becomes_a_gap),
		TEST(an_interrupted_rotation_is_gone_on_with),
		TEST(every_changed_byte_is_found),
		TEST(cut_lines_are_found),
		TEST(a_damaged_end_is_not_written_to),
		TEST(a_full_disk_fails_and_is_told),
		TEST(a_rest_that_stays_is_covered),
		TEST(drops_if_told_to),
		TEST(what_is_durable_is_told),
		TEST(a_rotation_that_fails_is_tried_again),
		TEST(a_cut_while_running_is_found),
	};

	return cmocka_run_group_tests_name("audit: writer and verify", tests, NULL, NULL);
}
