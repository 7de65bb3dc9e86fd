/* SPDX-License-Identifier: ISC */
/*
 * Reading an audit log: which files there are, in which order, and their lines. Judges nothing:
 * that is verify.c.
 */
#include "audit/reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/line.h"

#define BUFFER_BYTES (2 * PHIAL_AUDIT_LINE_MAX_BYTES)

/* --- lines -------------------------------------------------------------------------- */

/* Read more behind what is there. ret_is_end: the file has no more. */
static enum phial_status read_more(struct phial_audit_stream *stream, bool *ret_is_end,
				   struct phial_error *err)
{
	if (!stream->buffer) {
		stream->buffer = malloc(BUFFER_BYTES);
		if (!stream->buffer) {
			return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "read an audit log");
		}
	}
	memmove(stream->buffer, stream->buffer + stream->start, stream->end - stream->start);
	stream->end -= stream->start;
	stream->start = 0;
	ssize_t got;

	do {
		got = read(stream->fd, stream->buffer + stream->end, BUFFER_BYTES - stream->end);
	} while (got < 0 && errno == EINTR);
	if (got < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "read an audit log");
	}
	stream->end += (size_t)got;
	*ret_is_end = got == 0;
	return PHIAL_OK;
}

static const char *find_newline(const struct phial_audit_stream *stream)
{
	size_t length = stream->end - stream->start;

	return length > 0 ? memchr(stream->buffer + stream->start, '\n', length) : NULL;
}

enum phial_status phial_audit_stream_next(struct phial_audit_stream *stream,
					  enum phial_audit_found *ret_found,
					  struct phial_span *ret_line, struct phial_error *err)
{
	const char *newline = find_newline(stream);
	bool is_too_long = false;
	bool is_end = false;

	while (!newline && !is_end) {
		if (stream->end - stream->start >= PHIAL_AUDIT_LINE_MAX_BYTES) {
			is_too_long = true;
			stream->start = stream->end;
		}
		enum phial_status status = read_more(stream, &is_end, err);

		if (status != PHIAL_OK) {
			return status;
		}
		newline = find_newline(stream);
	}
	const char *from = stream->buffer + stream->start;
	size_t length = newline ? (size_t)(newline - from) + 1 : stream->end - stream->start;

	stream->start += length;
	*ret_line = (struct phial_span){ from, length };
	if (length == 0 && !is_too_long) {
		*ret_found = PHIAL_AUDIT_END;
		return PHIAL_OK;
	}
	stream->number++;
	if (is_too_long || length > PHIAL_AUDIT_LINE_MAX_BYTES) {
		*ret_found = PHIAL_AUDIT_TOO_LONG;
	} else {
		*ret_found = newline ? PHIAL_AUDIT_LINE : PHIAL_AUDIT_TORN;
	}
	return PHIAL_OK;
}

void phial_audit_stream_end(struct phial_audit_stream *stream)
{
	phial_free_pointer(&stream->buffer);
}

enum phial_status phial_audit_first_seq(int fd, uint64_t *ret_first, struct phial_error *err)
{
	phial_auto_audit_stream struct phial_audit_stream stream = { .fd = fd };
	enum phial_audit_found found = PHIAL_AUDIT_LINE;
	uint64_t first = 0;

	while (first == 0 && found != PHIAL_AUDIT_END) {
		phial_auto_audit_line struct phial_audit_line line = { 0 };
		struct phial_span text;
		enum phial_status status = phial_audit_stream_next(&stream, &found, &text, err);

		if (status != PHIAL_OK) {
			return status;
		}
		text.length -= found == PHIAL_AUDIT_LINE;
		if (found == PHIAL_AUDIT_LINE &&
		    phial_audit_line_parse(text, &line, NULL) == PHIAL_OK) {
			first = line.seq >= stream.number ? line.seq - stream.number + 1 : 1;
		}
	}
	if (lseek(fd, 0, SEEK_SET) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "read an audit log");
	}
	*ret_first = first;
	return PHIAL_OK;
}

/* --- files -------------------------------------------------------------------------- */

static enum phial_status fail_open(struct phial_error *err, int os_error, const char *path)
{
	enum phial_status status = os_error == ENOENT			     ? PHIAL_NOT_FOUND
				   : os_error == EACCES || os_error == EPERM ? PHIAL_DENIED
									     : PHIAL_SYSTEM;

	return phial_fail(err, status, os_error, "%s", path);
}

static bool is_known(const struct phial_audit_files *files, const struct stat *status)
{
	for (size_t i = 0; i < files->count; i++) {
		if (files->files[i].device == status->st_dev &&
		    files->files[i].inode == status->st_ino) {
			return true;
		}
	}
	return false;
}

/* Add an open file, unless it is there already. fd: taken over. path: copied. */
static enum phial_status add_file(struct phial_audit_files *files, int *fd, const char *path,
				  struct phial_error *err)
{
	struct stat file;
	uint64_t first;

	if (fstat(*fd, &file) != 0 || !S_ISREG(file.st_mode)) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "%s: not a regular file", path);
	}
	if (is_known(files, &file)) {
		return PHIAL_OK;
	}
	if (files->count == PHIAL_AUDIT_FILES_MAX) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "more than %d files of an audit log",
				  PHIAL_AUDIT_FILES_MAX);
	}
	enum phial_status status = phial_audit_first_seq(*fd, &first, err);

	if (status != PHIAL_OK) {
		(void)phial_fail_prefix(err, "%s", path);
		return status;
	}
	struct phial_audit_file *larger =
		reallocarray(files->files, files->count + 1, sizeof(*larger));
	phial_auto_free char *copy = strdup(path);

	if (larger) {
		files->files = larger;
	}
	if (!larger || !copy) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "%s", path);
	}
	larger[files->count++] = (struct phial_audit_file){
		.fd = phial_take_fd(fd),
		.path = phial_take_pointer(copy),
		.first = first,
		.device = file.st_dev,
		.inode = file.st_ino,
	};
	return PHIAL_OK;
}

static enum phial_status open_below(struct phial_audit_files *files, int dir_fd, const char *dir,
				    const char *name, struct phial_error *err)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	phial_auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0) {
		return fail_open(err, errno, path);
	}
	return add_file(files, &fd, path, err);
}

/*
 * From the newest to the oldest: what a rotation renames meanwhile is met twice, never missed.
 * Numbers may be missing where a rotation was interrupted.
 */
static enum phial_status open_directory(struct phial_audit_files *files, int dir_fd,
					const char *dir, struct phial_error *err)
{
	size_t before = files->count;
	enum phial_status status = open_below(files, dir_fd, dir, PHIAL_AUDIT_FILE, err);

	for (int i = 1; i < PHIAL_AUDIT_FILES_MAX; i++) {
		char name[sizeof(PHIAL_AUDIT_FILE) + 8];

		if (status != PHIAL_OK && status != PHIAL_NOT_FOUND) {
			return status;
		}
		(void)snprintf(name, sizeof(name), PHIAL_AUDIT_FILE ".%d", i);
		status = open_below(files, dir_fd, dir, name, err);
	}
	if (status == PHIAL_NOT_FOUND && files->count > before) {
		return PHIAL_OK;
	}
	return status == PHIAL_NOT_FOUND
		       ? phial_fail(err, status, 0, "%s: no " PHIAL_AUDIT_FILE " in it", dir)
		       : status;
}

static int compare_files(const void *left, const void *right)
{
	const struct phial_audit_file *a = left;
	const struct phial_audit_file *b = right;
	/* A file that has no good line yet, or is empty, was begun last. */
	uint64_t a_first = a->first > 0 ? a->first : UINT64_MAX;
	uint64_t b_first = b->first > 0 ? b->first : UINT64_MAX;

	return a_first < b_first ? -1 : a_first > b_first;
}

enum phial_status phial_audit_files_open(const char *const *paths, size_t count,
					 struct phial_audit_files *ret_files,
					 struct phial_error *err)
{
	phial_auto_audit_files struct phial_audit_files files = { 0 };

	for (size_t i = 0; i < count; i++) {
		phial_auto_fd int fd = open(paths[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		struct stat file;

		if (fd < 0 || fstat(fd, &file) != 0) {
			return fail_open(err, errno, paths[i]);
		}
		enum phial_status status = S_ISDIR(file.st_mode)
						   ? open_directory(&files, fd, paths[i], err)
						   : add_file(&files, &fd, paths[i], err);

		if (status != PHIAL_OK) {
			return status;
		}
	}
	qsort(files.files, files.count, sizeof(*files.files), compare_files);
	*ret_files = files;
	files = (struct phial_audit_files){ 0 };
	return PHIAL_OK;
}

void phial_audit_files_close(struct phial_audit_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		phial_close_fd(&files->files[i].fd);
		free(files->files[i].path);
	}
	free(files->files);
	*files = (struct phial_audit_files){ 0 };
}
