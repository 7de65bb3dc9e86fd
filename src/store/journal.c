/* SPDX-License-Identifier: ISC */
/*
 * The journal: a chain of checksummed lines. Says what a damaged file is, never mends one: what
 * a missing line would have said is for its owner to judge.
 */
#include "store/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/text.h"
#include "crypt/crypt.h"
#include "store/beneath.h"
#include "store/store.h"

#define CHECKSUM_DIGITS 16
#define NAME_BYTES	64
/* Appended lines wait in memory up to this, so that loading 10,000 names costs few writes. */
#define PENDING_BYTES ((size_t)256 * 1024)

struct chain {
	char checksum[CHECKSUM_DIGITS + 1]; /* of the last line */
};

struct phial_journal {
	int dir_fd;
	int fd;
	char name[NAME_BYTES];
	struct chain chain;
	struct phial_text pending;
	bool has_failed;
};

static const struct chain chain_start = { "0000000000000000" };

/* Move a chain on by one line. text: at most PHIAL_JOURNAL_LINE_MAX_BYTES. */
static void chain_line(struct chain *chain, struct phial_span text)
{
	char bytes[CHECKSUM_DIGITS + PHIAL_JOURNAL_LINE_MAX_BYTES];
	char hex[PHIAL_HASH_HEX_BYTES];

	memcpy(bytes, chain->checksum, CHECKSUM_DIGITS);
	memcpy(bytes + CHECKSUM_DIGITS, text.text, text.length);
	phial_hash_256_hex(bytes, CHECKSUM_DIGITS + text.length, hex);
	memcpy(chain->checksum, hex, CHECKSUM_DIGITS);
}

/* Check one line of the file and move the chain on. ret_text: the line without its checksum. */
static bool check_line(struct chain *chain, struct phial_span line, struct phial_span *ret_text)
{
	if (line.length < CHECKSUM_DIGITS + 2 ||
	    line.length > PHIAL_JOURNAL_LINE_MAX_BYTES + 1 + CHECKSUM_DIGITS) {
		return false;
	}
	struct phial_span text = { line.text, line.length - CHECKSUM_DIGITS - 1 };
	struct chain next = *chain;

	chain_line(&next, text);
	if (text.text[text.length] != ' ' ||
	    memcmp(text.text + text.length + 1, next.checksum, CHECKSUM_DIGITS) != 0) {
		return false;
	}
	*chain = next;
	*ret_text = text;
	return true;
}

/* A whole line whose '\n' alone was changed is damage, not the torn line of a crash. */
static bool is_torn(struct chain chain, struct phial_span tail)
{
	struct phial_span line = { tail.text, tail.length - 1 };
	struct phial_span text;

	return !check_line(&chain, line, &text);
}

/* Add a line to what is to be written. */
static enum phial_status add_line(struct chain *chain, struct phial_text *out, const char *line,
				  struct phial_error *err)
{
	struct phial_span text = phial_span_of(line);

	if (text.length == 0 || text.length > PHIAL_JOURNAL_LINE_MAX_BYTES ||
	    memchr(text.text, '\n', text.length)) {
		return phial_fail(err, PHIAL_USAGE, 0, "a journal line of %zu bytes", text.length);
	}
	chain_line(chain, text);
	phial_text_add(out, "%s %s\n", line, chain->checksum);
	return out->has_failed ? phial_fail(err, PHIAL_SYSTEM, ENOMEM, "journal") : PHIAL_OK;
}

/* Give the lines to line_fn. ret_good: bytes up to the end of the last good line. */
static enum phial_status read_lines(struct phial_journal *journal, struct phial_span rest,
				    phial_journal_line_fn *line_fn, void *context, size_t *ret_good,
				    struct phial_error *err)
{
	const char *start = rest.text;
	struct phial_span line;
	bool is_complete;

	*ret_good = 0;
	for (size_t number = 1; phial_next_line(&rest, &line, &is_complete); number++) {
		char text[PHIAL_JOURNAL_LINE_MAX_BYTES + 1];
		struct phial_span content;

		if (!is_complete && is_torn(journal->chain, line)) {
			return PHIAL_OK;
		}
		if (!is_complete || !check_line(&journal->chain, line, &content) ||
		    !phial_span_copy(content, text, sizeof(text))) {
			return phial_fail(err, PHIAL_TAMPERED, 0, "%s: line %zu is damaged",
					  journal->name, number);
		}
		enum phial_status status = line_fn(context, text, err);

		if (status != PHIAL_OK) {
			return status;
		}
		*ret_good = (size_t)(rest.text - start);
	}
	return PHIAL_OK;
}

/* Open the file for reading and appending, and see that it is ours alone. */
static enum phial_status open_file(struct phial_journal *journal, bool create,
				   struct phial_error *err)
{
	struct stat file;

	journal->fd = openat(journal->dir_fd, journal->name,
			     O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (journal->fd < 0 && errno == ENOENT && create) {
		journal->fd = openat(journal->dir_fd, journal->name,
				     O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (journal->fd >= 0 && fsync(journal->dir_fd) != 0) {
			return phial_fail(err, PHIAL_SYSTEM, errno, "fsync for %s", journal->name);
		}
	}
	if (journal->fd < 0) {
		return phial_store_fail_path(err, errno, journal->name);
	}
	if (fstat(journal->fd, &file) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "fstat %s", journal->name);
	}
	if (!S_ISREG(file.st_mode)) {
		return phial_fail(err, PHIAL_TAMPERED, 0, "%s: not a regular file", journal->name);
	}
	if ((file.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		return phial_fail(err, PHIAL_DENIED, 0,
				  "%s: others may write it; look what they wrote, then chmod 600",
				  journal->name);
	}
	return PHIAL_OK;
}

static enum phial_status read_file(struct phial_journal *journal, phial_journal_line_fn *line_fn,
				   void *context, struct phial_error *err)
{
	phial_auto_free uint8_t *bytes = NULL;
	size_t length;
	size_t good;
	enum phial_status status =
		phial_read_all(journal->fd, PHIAL_JOURNAL_MAX_BYTES, &bytes, &length, err);

	if (status != PHIAL_OK) {
		(void)phial_fail_prefix(err, "%s", journal->name);
		return status;
	}
	struct phial_span rest = { (const char *)bytes, length };

	status = read_lines(journal, rest, line_fn, context, &good, err);
	if (status == PHIAL_OK && good < length && ftruncate(journal->fd, (off_t)good) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "cut a torn line off %s",
				  journal->name);
	}
	return status;
}

enum phial_status phial_journal_open(int dir_fd, const char *name, bool create,
				     phial_journal_line_fn *line_fn, void *context,
				     struct phial_journal **ret_journal, struct phial_error *err)
{
	struct phial_journal *journal = calloc(1, sizeof(*journal));

	if (!journal) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "journal");
	}
	journal->fd = -1;
	journal->chain = chain_start;
	journal->pending.max = PHIAL_JOURNAL_MAX_BYTES;
	journal->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	enum phial_status status = PHIAL_OK;

	if (!phial_span_copy(phial_span_of(name), journal->name, sizeof(journal->name))) {
		status = phial_fail(err, PHIAL_USAGE, 0, "journal name");
	} else if (journal->dir_fd < 0) {
		status = phial_fail(err, PHIAL_SYSTEM, errno, "open %s", name);
	}
	if (status == PHIAL_OK) {
		status = open_file(journal, create, err);
	}
	if (status == PHIAL_OK) {
		status = read_file(journal, line_fn, context, err);
	}
	if (status != PHIAL_OK) {
		phial_journal_close(journal);
		return status;
	}
	*ret_journal = journal;
	return PHIAL_OK;
}

static enum phial_status refuse_after_failure(const struct phial_journal *journal,
					      struct phial_error *err)
{
	return phial_fail(err, PHIAL_SYSTEM, 0, "%s: an earlier write failed", journal->name);
}

static enum phial_status write_pending(struct phial_journal *journal, struct phial_error *err)
{
	enum phial_status status =
		phial_write_all(journal->fd, journal->pending.bytes, journal->pending.length, err);

	if (status != PHIAL_OK) {
		journal->has_failed = true;
		(void)phial_fail_prefix(err, "%s", journal->name);
		return status;
	}
	phial_text_free(&journal->pending);
	return PHIAL_OK;
}

enum phial_status phial_journal_append(struct phial_journal *journal, const char *line,
				       struct phial_error *err)
{
	if (journal->has_failed) {
		return refuse_after_failure(journal, err);
	}
	enum phial_status status = add_line(&journal->chain, &journal->pending, line, err);

	if (status == PHIAL_SYSTEM) {
		journal->has_failed = true;
	}
	if (status != PHIAL_OK) {
		return status;
	}
	return journal->pending.length < PENDING_BYTES ? PHIAL_OK : write_pending(journal, err);
}

enum phial_status phial_journal_flush(struct phial_journal *journal, struct phial_error *err)
{
	return journal->has_failed ? refuse_after_failure(journal, err)
				   : write_pending(journal, err);
}

enum phial_status phial_journal_sync(struct phial_journal *journal, struct phial_error *err)
{
	if (journal->has_failed) {
		return refuse_after_failure(journal, err);
	}
	enum phial_status status = write_pending(journal, err);

	if (status != PHIAL_OK) {
		return status;
	}
	/* After a failed fdatasync(2) the kernel may drop the pages: never try it again. */
	if (fdatasync(journal->fd) != 0) {
		journal->has_failed = true;
		return phial_fail(err, PHIAL_SYSTEM, errno, "fdatasync %s", journal->name);
	}
	return PHIAL_OK;
}

enum phial_status phial_journal_rewrite(struct phial_journal *journal, const char *const *lines,
					size_t count, struct phial_error *err)
{
	phial_auto_text struct phial_text text = { .max = PHIAL_JOURNAL_MAX_BYTES };
	struct chain chain = chain_start;
	enum phial_status status = PHIAL_OK;

	for (size_t i = 0; status == PHIAL_OK && i < count; i++) {
		status = add_line(&chain, &text, lines[i], err);
	}
	if (status == PHIAL_OK) {
		status = phial_store_write(journal->dir_fd, journal->name, text.bytes, text.length,
					   0600, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	phial_close_fd(&journal->fd);
	phial_text_free(&journal->pending);
	journal->chain = chain;
	status = open_file(journal, false, err);
	journal->has_failed = status != PHIAL_OK;
	return status;
}

bool phial_journal_has_failed(const struct phial_journal *journal)
{
	return journal->has_failed;
}

void phial_journal_close(struct phial_journal *journal)
{
	if (journal) {
		phial_close_fd(&journal->fd);
		phial_close_fd(&journal->dir_fd);
		phial_text_free(&journal->pending);
		free(journal);
	}
}
