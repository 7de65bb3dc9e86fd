/* SPDX-License-Identifier: ISC */
/*
 * Finding canaries in bytes, streams and descriptors, and saying so. Which places are
 * searched is decided elsewhere.
 */
#include "sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void report(struct sweep *sweep, size_t canary, const char *where)
{
	sweep->hits++;
	printf("FOUND canary %zu in %s\n", canary + 1, where);
}

void complain(struct sweep *sweep, const char *format, ...)
{
	va_list arguments;

	sweep->errors++;
	fputs("not searched: ", stdout);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

size_t find_canary(const struct sweep *sweep, const void *bytes, size_t length)
{
	for (size_t i = 0; i < sweep->canary_count; i++) {
		const struct canary *canary = &sweep->canaries[i];

		if (memmem(bytes, length, canary->bytes, canary->length)) {
			return i;
		}
	}
	return sweep->canary_count;
}

void search_bytes(struct sweep *sweep, const void *bytes, size_t length, const char *where)
{
	size_t canary = find_canary(sweep, bytes, length);

	if (canary < sweep->canary_count) {
		report(sweep, canary, where);
	}
}

unsigned char *stream_space(struct stream *stream, size_t *ret_length)
{
	*ret_length = BUFFER_BYTES - stream->kept_bytes;
	*ret_length -= *ret_length % PAGE_BYTES;
	return stream->sweep->buffer + stream->kept_bytes;
}

void stream_search(struct stream *stream, size_t length)
{
	struct sweep *sweep = stream->sweep;
	size_t total = stream->kept_bytes + length;

	if (stream->found == 0) {
		unsigned int before = sweep->hits;

		search_bytes(sweep, sweep->buffer, total, stream->where);
		stream->found = sweep->hits - before;
	}
	stream->kept_bytes = total < sweep->overlap_bytes ? total : sweep->overlap_bytes;
	memmove(sweep->buffer, sweep->buffer + total - stream->kept_bytes, stream->kept_bytes);
}

bool search_fd(struct sweep *sweep, int fd, const char *where, int harmless)
{
	struct stream stream = { .sweep = sweep, .where = where };

	while (stream.found == 0) {
		size_t length;
		unsigned char *space = stream_space(&stream, &length);
		ssize_t got = read(fd, space, length);

		if (got == 0 || (got < 0 && errno == harmless)) {
			return true;
		}
		if (got < 0 && errno == EPIPE) { /* /dev/kmsg: a record was overwritten */
			continue;
		}
		if (got < 0) {
			return false;
		}
		stream_search(&stream, (size_t)got);
	}
	return true;
}

void search_proc_file(struct sweep *sweep, const char *path, const char *where)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		if (errno != ENOENT && errno != ESRCH && errno != EINVAL) {
			complain(sweep, "%s: %s", path, strerror(errno));
		}
		return;
	}
	/* mountinfo of a zombie reads as EINVAL, other files as ESRCH or nothing at all. */
	if (!search_fd(sweep, fd, where, EAGAIN) && errno != ESRCH && errno != EINVAL) {
		complain(sweep, "%s: %s", path, strerror(errno));
	}
	close(fd);
}
