/* SPDX-License-Identifier: ISC */
/*
 * The appender. It knows where its last good byte is and writes from there: so a torn tail needs
 * no repair of its own, the gap entry that tells of it takes its place. Reads no more than the
 * end of a log.
 */
#include "audit/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "audit/reader.h"
#include "base/cleanup.h"
#include "base/io.h"

#define BATCH_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define NAME_BYTES	(sizeof(PHIAL_AUDIT_FILE) + 12)
#define BOOT_BYTES	40

struct phial_audit_writer {
	int dir_fd;
	int fd; /* of audit.log; -1: to be opened first */
	char host[PHIAL_AUDIT_TEXT_MAX_BYTES + 1];
	char boot[BOOT_BYTES];
	uint64_t file_max_bytes;
	unsigned int files_max;
	bool drops;
	phial_audit_written_fn *written_fn;
	void *context;
	off_t good_bytes; /* of audit.log, up to the end of its last line */
	off_t file_bytes; /* all; more than good_bytes when a torn line follows */
	struct phial_audit_head head;
	uint64_t lost;
	char lost_reason[PHIAL_AUDIT_TEXT_MAX_BYTES + 1];
};

static void file_name(unsigned int number, char ret_name[static NAME_BYTES])
{
	(void)snprintf(ret_name, NAME_BYTES, number > 0 ? PHIAL_AUDIT_FILE ".%u" : PHIAL_AUDIT_FILE,
		       number);
}

static void note_lost(struct phial_audit_writer *writer, uint64_t count, const char *reason)
{
	if (writer->lost == 0) {
		(void)snprintf(writer->lost_reason, sizeof(writer->lost_reason), "%s", reason);
	}
	writer->lost += count;
}

/* --- where the chain has come to ------------------------------------------------------ */

static enum phial_status check_file(int fd, const char *name, off_t *ret_bytes,
				    struct phial_error *err)
{
	struct stat file;

	if (fstat(fd, &file) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "fstat %s", name);
	}
	if (!S_ISREG(file.st_mode)) {
		return phial_fail(err, PHIAL_TAMPERED, 0, "%s: not a regular file", name);
	}
	if ((file.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		return phial_fail(err, PHIAL_DENIED, 0,
				  "%s: others may write it; run phial audit verify, then chmod 600",
				  name);
	}
	*ret_bytes = file.st_size;
	return PHIAL_OK;
}

/* Take the head from the last line of what was read from a file's end. */
static enum phial_status take_head(struct phial_audit_writer *writer, const char *name,
				   struct phial_span end, struct phial_error *err)
{
	phial_auto_audit_line struct phial_audit_line line = { 0 };
	const char *before = memrchr(end.text, '\n', end.length - 1);
	const char *start = before ? before + 1 : end.text;
	struct phial_span text = { start, end.length - (size_t)(start - end.text) };
	struct phial_span content = { start, text.length - 1 };

	if (phial_audit_line_parse(content, &line, NULL) != PHIAL_OK) {
		return phial_fail(err, PHIAL_TAMPERED, 0,
				  "%s: its last line is damaged; see phial audit verify, then move "
				  "all " PHIAL_AUDIT_FILE "* away to begin a new log",
				  name);
	}
	writer->head.seq = line.seq;
	phial_audit_line_hash(text, writer->head.hash);
	return PHIAL_OK;
}

/* Read a file's end. ret_good: bytes up to its last '\n', 0 if it has no whole line. */
static enum phial_status read_end(struct phial_audit_writer *writer, int fd, const char *name,
				  off_t bytes, off_t *ret_good, struct phial_error *err)
{
	/* The last line, and a torn one behind it. */
	const off_t most = 2 * (off_t)PHIAL_AUDIT_LINE_MAX_BYTES;
	off_t from = bytes > most ? bytes - most : 0;
	phial_auto_free uint8_t *end = NULL;
	size_t length;

	if (lseek(fd, from, SEEK_SET) != from) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "read %s", name);
	}
	enum phial_status status = phial_read_all(fd, (size_t)most, &end, &length, err);

	if (status != PHIAL_OK) {
		(void)phial_fail_prefix(err, "%s", name);
		return status;
	}
	const uint8_t *newline = memrchr(end, '\n', length);

	*ret_good = 0;
	if (!newline) {
		return from == 0
			       ? PHIAL_OK
			       : phial_fail(err, PHIAL_TAMPERED, 0, "%s: its end is damaged", name);
	}
	struct phial_span whole = { (const char *)end, (size_t)(newline - end) + 1 };

	*ret_good = from + (off_t)whole.length;
	return take_head(writer, name, whole, err);
}

/* An empty audit.log goes on where audit.log.1 ends. */
static enum phial_status read_older(struct phial_audit_writer *writer, struct phial_error *err)
{
	char name[NAME_BYTES];
	off_t bytes;
	off_t good;

	file_name(1, name);
	phial_auto_fd int fd =
		openat(writer->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0) {
		return errno == ENOENT ? PHIAL_OK
				       : phial_fail(err, PHIAL_SYSTEM, errno, "open %s", name);
	}
	enum phial_status status = check_file(fd, name, &bytes, err);

	return status == PHIAL_OK ? read_end(writer, fd, name, bytes, &good, err) : status;
}

static enum phial_status open_file(struct phial_audit_writer *writer, struct phial_error *err)
{
	int fd = openat(writer->dir_fd, PHIAL_AUDIT_FILE,
			O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT) {
		fd = openat(writer->dir_fd, PHIAL_AUDIT_FILE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			    0600);
		if (fd >= 0 && fsync(writer->dir_fd) != 0) {
			phial_close_fd(&fd);
		}
	}
	if (fd < 0) {
		return phial_fail(err, errno == EACCES ? PHIAL_DENIED : PHIAL_SYSTEM, errno,
				  "open " PHIAL_AUDIT_FILE);
	}
	writer->fd = fd;
	return PHIAL_OK;
}

/* Find the end of the chain in audit.log, or in the file before it. */
static enum phial_status find_head(struct phial_audit_writer *writer, struct phial_error *err)
{
	const struct phial_audit_head known = writer->head;
	enum phial_status status =
		check_file(writer->fd, PHIAL_AUDIT_FILE, &writer->file_bytes, err);

	writer->head = (struct phial_audit_head){ .hash = PHIAL_AUDIT_NO_HASH };
	if (status == PHIAL_OK) {
		status = read_end(writer, writer->fd, PHIAL_AUDIT_FILE, writer->file_bytes,
				  &writer->good_bytes, err);
	}
	if (status == PHIAL_OK && writer->good_bytes == 0) {
		status = read_older(writer, err);
	}
	if (status == PHIAL_OK &&
	    (writer->head.seq < known.seq || (writer->head.seq == known.seq && known.seq > 0 &&
					      strcmp(writer->head.hash, known.hash) != 0))) {
		status = phial_fail(err, PHIAL_TAMPERED, 0,
				    PHIAL_AUDIT_FILE ": it was changed: entry %" PRIu64
						     " is not at its end any more",
				    known.seq);
	}
	if (status != PHIAL_OK) {
		writer->head = known;
	}
	return status;
}

static enum phial_status load(struct phial_audit_writer *writer, struct phial_error *err)
{
	enum phial_status status = open_file(writer, err);

	if (status == PHIAL_OK) {
		status = find_head(writer, err);
	}
	if (status != PHIAL_OK) {
		phial_close_fd(&writer->fd);
		return status;
	}
	/* With a loss noted already the torn bytes are the rest of that very write. */
	if (writer->file_bytes > writer->good_bytes && writer->lost == 0) {
		note_lost(writer, 1, "the last line was not whole: a crash, or a cut");
	}
	return PHIAL_OK;
}

static bool options_are_good(const struct phial_audit_options *options)
{
	return options->host && options->host[0] != '\0' && options->boot &&
	       options->boot[0] != '\0' && strlen(options->boot) < BOOT_BYTES &&
	       options->file_max_bytes > 0 && options->files_max > 0 &&
	       options->files_max < PHIAL_AUDIT_FILES_MAX;
}

enum phial_status phial_audit_writer_open(int dir_fd, const struct phial_audit_options *options,
					  struct phial_audit_writer **ret_writer,
					  struct phial_error *err)
{
	if (!options_are_good(options)) {
		return phial_fail(err, PHIAL_USAGE, 0, "options of the audit log");
	}
	struct phial_audit_writer *writer = calloc(1, sizeof(*writer));

	if (!writer) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "audit log");
	}
	(void)snprintf(writer->host, sizeof(writer->host), "%s", options->host);
	(void)snprintf(writer->boot, sizeof(writer->boot), "%s", options->boot);
	writer->file_max_bytes = options->file_max_bytes;
	writer->files_max = options->files_max;
	writer->drops = options->drops;
	writer->written_fn = options->written_fn;
	writer->context = options->context;
	writer->head = (struct phial_audit_head){ .hash = PHIAL_AUDIT_NO_HASH };
	writer->fd = -1;
	writer->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	enum phial_status status = writer->dir_fd < 0
					   ? phial_fail(err, PHIAL_SYSTEM, errno, "audit log")
					   : load(writer, err);

	if (status != PHIAL_OK) {
		phial_audit_writer_close(writer);
		return status;
	}
	*ret_writer = writer;
	return PHIAL_OK;
}

/* --- rotation --------------------------------------------------------------------------- */

static bool exists(const struct phial_audit_writer *writer, unsigned int number)
{
	char name[NAME_BYTES];
	struct stat file;

	file_name(number, name);
	return fstatat(writer->dir_fd, name, &file, AT_SYMLINK_NOFOLLOW) == 0;
}

static enum phial_status move_up(const struct phial_audit_writer *writer, unsigned int number,
				 struct phial_error *err)
{
	char from[NAME_BYTES];
	char to[NAME_BYTES];

	file_name(number, from);
	file_name(number + 1, to);
	if (renameat(writer->dir_fd, from, writer->dir_fd, to) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "rename %s", from);
	}
	return PHIAL_OK;
}

/*
 * Make audit.log the first of the older files. The files up to the first free number move up, so
 * that a rotation which was interrupted is simply gone on with. The oldest is overwritten.
 */
static enum phial_status rotate(struct phial_audit_writer *writer, struct phial_error *err)
{
	enum phial_status status = PHIAL_OK;
	unsigned int free_number = 1;

	while (free_number < writer->files_max && exists(writer, free_number)) {
		free_number++;
	}
	for (unsigned int i = free_number; status == PHIAL_OK && i > 0; i--) {
		status = move_up(writer, i - 1, err);
	}
	phial_close_fd(&writer->fd);
	return status == PHIAL_OK ? load(writer, err) : status;
}

/* The number of the oldest entry that is still there; 1 if the oldest file cannot tell. */
static uint64_t oldest_entry(const struct phial_audit_writer *writer)
{
	unsigned int oldest = writer->files_max;
	char name[NAME_BYTES];
	uint64_t first = 0;

	while (oldest > 1 && !exists(writer, oldest)) {
		oldest--;
	}
	file_name(oldest, name);
	phial_auto_fd int fd =
		openat(writer->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 || phial_audit_first_seq(fd, &first, NULL) != PHIAL_OK || first == 0) {
		return 1;
	}
	return first;
}

/* --- appending ---------------------------------------------------------------------------- */

/* Lines that are to be written, and the head behind them. */
struct batch {
	const struct phial_audit_writer *writer;
	struct phial_text text;
	struct phial_audit_head head;
	int64_t time_ms;
};

static enum phial_status add_entry(struct batch *batch, const struct phial_audit_entry *entry,
				   struct phial_error *err)
{
	size_t before = batch->text.length;
	struct phial_audit_line line = {
		.seq = batch->head.seq + 1,
		.time_ms = batch->time_ms,
		.boot = batch->writer->boot,
		.host = batch->writer->host,
		.entry = *entry,
	};

	memcpy(line.prev, batch->head.hash, sizeof(line.prev));
	enum phial_status status = phial_audit_line_format(&line, &batch->text, err);

	if (status != PHIAL_OK) {
		return status;
	}
	struct phial_span text = { batch->text.bytes + before, batch->text.length - before };

	if (text.length > PHIAL_AUDIT_LINE_MAX_BYTES) {
		return phial_fail(err, PHIAL_USAGE, 0, "an audit entry of %zu bytes", text.length);
	}
	phial_audit_line_hash(text, batch->head.hash);
	batch->head.seq++;
	return PHIAL_OK;
}

/* What stands before the entries of the caller: the beginning of a file, and a gap. */
static enum phial_status add_own_entries(struct batch *batch, struct phial_error *err)
{
	const struct phial_audit_writer *writer = batch->writer;
	enum phial_status status = PHIAL_OK;

	if (writer->good_bytes == 0 && writer->head.seq > 0) {
		struct phial_audit_entry begin = {
			.kind = PHIAL_AUDIT_ROTATE,
			.first = oldest_entry(writer),
		};

		status = add_entry(batch, &begin, err);
	}
	if (status == PHIAL_OK && writer->lost > 0) {
		struct phial_audit_entry gap = {
			.kind = PHIAL_AUDIT_GAP,
			.lost = writer->lost,
			.reason = writer->lost_reason,
		};

		status = add_entry(batch, &gap, err);
	}
	return status;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum phial_status write_out(struct phial_audit_writer *writer, const struct batch *batch,
				   struct phial_error *err)
{
	off_t end = writer->good_bytes + (off_t)batch->text.length;

	if (lseek(writer->fd, writer->good_bytes, SEEK_SET) != writer->good_bytes) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "write " PHIAL_AUDIT_FILE);
	}
	enum phial_status status =
		phial_write_all(writer->fd, batch->text.bytes, batch->text.length, err);

	if (status != PHIAL_OK) {
		(void)phial_fail_prefix(err, PHIAL_AUDIT_FILE);
		return status;
	}
	/* Until this the rest of a torn line stands behind: torn still, and seen again. */
	if ((writer->file_bytes > end && ftruncate(writer->fd, end) != 0) ||
	    fdatasync(writer->fd) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "write " PHIAL_AUDIT_FILE);
	}
	writer->good_bytes = end;
	writer->file_bytes = end;
	return PHIAL_OK;
}

/* After a failed write: what it left goes, or the end is looked for anew at the next append. */
static void take_back(struct phial_audit_writer *writer)
{
	if (writer->file_bytes > writer->good_bytes ||
	    ftruncate(writer->fd, writer->good_bytes) != 0) {
		phial_close_fd(&writer->fd);
	}
}

static enum phial_status make_ready(struct phial_audit_writer *writer, struct phial_error *err)
{
	if (writer->fd < 0) {
		return load(writer, err);
	}
	/* A torn line is covered first, or it would stand at the end of an older file for ever. */
	if (writer->file_bytes == writer->good_bytes &&
	    (uint64_t)writer->good_bytes >= writer->file_max_bytes) {
		return rotate(writer, err);
	}
	return PHIAL_OK;
}

static void tell_written(const struct phial_audit_writer *writer, const struct batch *batch)
{
	struct phial_span rest = { batch->text.bytes, batch->text.length };
	struct phial_audit_head head = writer->head; /* of before */

	while (writer->written_fn && rest.length > 0) {
		const char *newline = memchr(rest.text, '\n', rest.length);
		size_t length = newline ? (size_t)(newline - rest.text) + 1 : rest.length;
		struct phial_span line = { rest.text, length };

		head.seq++;
		phial_audit_line_hash(line, head.hash);
		writer->written_fn(writer->context, &head, line);
		rest = (struct phial_span){ rest.text + length, rest.length - length };
	}
}

static enum phial_status append(struct phial_audit_writer *writer,
				const struct phial_audit_entry *entries, size_t count,
				struct phial_error *err)
{
	enum phial_status status = make_ready(writer, err);

	if (status != PHIAL_OK || (count == 0 && writer->lost == 0)) {
		return status;
	}
	struct batch batch = {
		.writer = writer,
		.text = { .max = BATCH_MAX_BYTES },
		.head = writer->head,
		.time_ms = now_ms(),
	};

	status = add_own_entries(&batch, err);
	for (size_t i = 0; status == PHIAL_OK && i < count; i++) {
		status = add_entry(&batch, &entries[i], err);
	}
	if (status == PHIAL_OK) {
		status = write_out(writer, &batch, err);
		if (status == PHIAL_OK) {
			tell_written(writer, &batch);
			writer->head = batch.head;
			writer->lost = 0;
		} else {
			take_back(writer);
		}
	}
	phial_text_free(&batch.text);
	return status;
}

enum phial_status phial_audit_append(struct phial_audit_writer *writer,
				     const struct phial_audit_entry *entries, size_t count,
				     struct phial_error *err)
{
	struct phial_error reason = { 0 };
	enum phial_status status =
		count > PHIAL_AUDIT_BATCH_MAX
			? phial_fail(&reason, PHIAL_USAGE, 0, "more than %d audit entries at once",
				     PHIAL_AUDIT_BATCH_MAX)
			: append(writer, entries, count, &reason);

	if (status == PHIAL_OK) {
		return PHIAL_OK;
	}
	note_lost(writer, count, reason.text);
	if (writer->drops) {
		return PHIAL_OK;
	}
	return phial_fail(err, status, 0, "audit log: %s", reason.text);
}

const struct phial_audit_head *phial_audit_writer_head(const struct phial_audit_writer *writer)
{
	return &writer->head;
}

uint64_t phial_audit_writer_lost(const struct phial_audit_writer *writer)
{
	return writer->lost;
}

const char *phial_audit_writer_lost_reason(const struct phial_audit_writer *writer)
{
	return writer->lost > 0 ? writer->lost_reason : "";
}

void phial_audit_writer_add_lost(struct phial_audit_writer *writer, uint64_t count,
				 const char *reason)
{
	note_lost(writer, count, reason);
}

void phial_audit_writer_close(struct phial_audit_writer *writer)
{
	if (writer) {
		phial_close_fd(&writer->fd);
		phial_close_fd(&writer->dir_fd);
		free(writer);
	}
}
