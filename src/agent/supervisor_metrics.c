/* SPDX-License-Identifier: ISC */
/*
 * The file of --metrics: replaced as a whole, so that no reader finds half of it, and readable by
 * all. Not synced: after a crash of the host nobody wants old numbers.
 */
#include "agent/supervisor_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/text.h"

#define TEXT_MAX_BYTES ((size_t)64 * 1024)

/* Where the file is, and under which name it is written first: no collector takes that one. */
struct place {
	int folder_fd;
	const char *name;
	char temporary[NAME_MAX + 1];
};

static enum phial_status find_place(const char *file, struct place *ret_place,
				    struct phial_error *err)
{
	const char *slash = strrchr(file, '/');
	char folder[PATH_MAX];
	int length = snprintf(folder, sizeof(folder), "%.*s", (int)(slash - file) + 1, file);
	struct place place = { .name = slash + 1 };
	int name_length = snprintf(place.temporary, sizeof(place.temporary), ".%s.new", place.name);

	if (length < 0 || (size_t)length >= sizeof(folder) || name_length < 0 ||
	    (size_t)name_length >= sizeof(place.temporary)) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "--metrics: the path is too long");
	}
	place.folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place.folder_fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "open %s", folder);
	}
	*ret_place = place;
	return PHIAL_OK;
}

/* The folder may be another user's: nothing that lies there is followed or written into. */
static enum phial_status write_temporary(const struct place *place, const struct phial_text *text,
					 struct phial_error *err)
{
	(void)unlinkat(place->folder_fd, place->temporary, 0);
	phial_auto_fd int fd = openat(place->folder_fd, place->temporary,
				      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "write %s", place->temporary);
	}
	if (fchmod(fd, 0644) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "chmod %s", place->temporary);
	}
	return phial_write_all(fd, text->bytes, text->length, err);
}

enum phial_status supervisor_write_metrics(struct supervisor *supervisor,
					   const struct phial_metrics *metrics,
					   struct phial_error *err)
{
	phial_auto_text struct phial_text text = { .max = TEXT_MAX_BYTES };
	struct place place;

	if (!supervisor->options->metrics) {
		return phial_fail(err, PHIAL_USAGE, 0, "there is no --metrics");
	}
	phial_metrics_format(metrics, &text);
	if (text.has_failed) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "metrics");
	}
	enum phial_status status = find_place(supervisor->options->metrics, &place, err);

	if (status != PHIAL_OK) {
		return status;
	}
	status = write_temporary(&place, &text, err);
	if (status == PHIAL_OK &&
	    renameat(place.folder_fd, place.temporary, place.folder_fd, place.name) != 0) {
		status = phial_fail(err, PHIAL_SYSTEM, errno, "write %s",
				    supervisor->options->metrics);
	}
	if (status != PHIAL_OK) {
		(void)unlinkat(place.folder_fd, place.temporary, 0);
	}
	supervisor->has_metrics = supervisor->has_metrics || status == PHIAL_OK;
	phial_close_fd(&place.folder_fd);
	return status;
}

void supervisor_remove_metrics(const struct supervisor *supervisor)
{
	/* Only what this agent wrote: the file may be another one's. */
	if (supervisor->has_metrics) {
		(void)unlink(supervisor->options->metrics);
	}
}
