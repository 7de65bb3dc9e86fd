/* SPDX-License-Identifier: ISC */
/*
 * Watches on single files, each for one event: what was read, and no more. Decides nothing: what
 * follows from a read is the worker's affair.
 */
#include "agent/reads.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <phial/sealed.h>

#include "base/cleanup.h"
#include "mount/generation.h"
#include "mount/sys.h"

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20 /* Linux 5.12 */
#endif
/* Its watch ends with its event; one that is there already is not replaced. */
#define WATCH_MASK (IN_CLOSE_NOWRITE | IN_ONESHOT | IN_MASK_CREATE)
/* How often a name is looked for that is in the kernel's cache, and may be changing just now. */
#define TRIES	      3
#define FD_PATH_BYTES 32
#define WATCH_READ    (-1) /* instead of a watch's number: the file has been read */
#define EVENTS_BYTES  4096

struct phial_read_file {
	struct phial_read_file *next;
	uint64_t number; /* of the container */
	uint32_t generation;
	int watch; /* its number, or WATCH_READ */
	char name[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
};

/* What one call of phial_reads_watch() or phial_reads_follow() works with. */
struct watching {
	struct phial_reads *reads;
	uint64_t number;
	uint32_t generation;
	int dir_fd;
	phial_read_fn *tell;
	void *context;
};

static enum phial_status watch_failure(const char *name, struct phial_error *err)
{
	if (errno == ENOSPC) {
		return phial_fail(err, PHIAL_SYSTEM, 0,
				  "watch %s for reads: the system has no more inotify watches; "
				  "raise the sysctl fs.inotify.max_user_watches",
				  name);
	}
	return phial_fail(err, PHIAL_SYSTEM, errno, "watch %s for reads", name);
}

/*
 * Only what the kernel finds without the directory's lock: a container can keep that for itself, by
 * listing the directory into memory whose pages do not come (FUSE), and its secrets' files are always
 * in the cache. Not by its path either: a link that was planted would lead anywhere.
 */
static int open_file(int dir_fd, const char *name)
{
	int fd = -1;

	errno = EAGAIN;
	for (int i = 0; fd < 0 && errno == EAGAIN && i < TRIES; i++) {
		fd = sys_openat2(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0,
				 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_CACHED);
	}
	if (fd < 0 && (errno == EAGAIN || errno == ELOOP)) {
		errno = ENOENT;
	}
	return fd;
}

/* Returns the number of a new watch; or -1 and errno: EEXIST if there is one, ENOENT. */
static int add_watch(const struct watching *watching, const char *name)
{
	char path[FD_PATH_BYTES];
	struct stat found;
	phial_auto_fd int fd = open_file(watching->dir_fd, name);

	if (fd < 0 || fstat(fd, &found) != 0) {
		return -1;
	}
	if (!S_ISREG(found.st_mode)) {
		errno = ENOENT;
		return -1;
	}
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return inotify_add_watch(watching->reads->fd, path, WATCH_MASK);
}

static struct phial_read_file *find_name(const struct watching *watching, const char *name)
{
	struct phial_read_file *file = watching->reads->first;

	while (file && (file->number != watching->number || strcmp(file->name, name) != 0)) {
		file = file->next;
	}
	return file;
}

/* A file that is known: read, still waiting, or read without our having heard of it. */
static enum phial_status check_file(const struct watching *watching, struct phial_read_file *file,
				    struct phial_error *err)
{
	if (file->watch != WATCH_READ) {
		int again = add_watch(watching, file->name);

		if (again < 0) {
			return errno == EEXIST || errno == ENOENT ? PHIAL_OK
								  : watch_failure(file->name, err);
		}
		/* There was none any more: its one event has happened. */
		(void)inotify_rm_watch(watching->reads->fd, again);
		file->watch = WATCH_READ;
	}
	watching->tell(watching->context, watching->number, file->name);
	return PHIAL_OK;
}

/* Take one out of the list. */
static void forget(struct phial_reads *reads, struct phial_read_file *file)
{
	struct phial_read_file **link = &reads->first;

	while (*link != file) {
		link = &(*link)->next;
	}
	*link = file->next;
	if (file->watch != WATCH_READ) {
		(void)inotify_rm_watch(reads->fd, file->watch);
	}
	free(file);
}

/* A file that was watched in another generation: what is known of that one is over. */
static enum phial_status watch_again(const struct watching *watching, struct phial_read_file *file,
				     struct phial_error *err)
{
	int watch = add_watch(watching, file->name);
	enum phial_status status = PHIAL_OK;

	if (watch < 0) {
		status = errno == ENOENT ? PHIAL_OK : watch_failure(file->name, err);
		forget(watching->reads, file);
		return status;
	}
	if (file->watch != WATCH_READ) {
		(void)inotify_rm_watch(watching->reads->fd, file->watch);
	}
	file->watch = watch;
	file->generation = watching->generation;
	return status;
}

static enum phial_status follow_file(const struct watching *watching, struct phial_read_file *file,
				     struct phial_error *err)
{
	return file->generation == watching->generation ? check_file(watching, file, err)
							: watch_again(watching, file, err);
}

static enum phial_status watch_file(const struct watching *watching, const char *name,
				    struct phial_error *err)
{
	struct phial_read_file *file = find_name(watching, name);

	if (file) {
		return follow_file(watching, file, err);
	}
	file = calloc(1, sizeof(*file));
	if (!file) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "watch %s for reads", name);
	}
	file->watch = add_watch(watching, name);
	if (file->watch < 0) {
		free(file);
		return errno == ENOENT ? PHIAL_OK : watch_failure(name, err);
	}
	file->number = watching->number;
	file->generation = watching->generation;
	(void)snprintf(file->name, sizeof(file->name), "%s", name);
	file->next = watching->reads->first;
	watching->reads->first = file;
	return PHIAL_OK;
}

static enum phial_status open_inotify(struct phial_reads *reads, struct phial_error *err)
{
	if (reads->fd < 0) {
		reads->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	}
	if (reads->fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno,
				  "watch for reads (sysctl fs.inotify.max_user_instances)");
	}
	return PHIAL_OK;
}

/* Open the present generation. PHIAL_NOT_FOUND: there is none, and nothing is watched any more. */
static enum phial_status open_present(struct watching *watching, int mount_fd,
				      struct phial_error *err)
{
	enum phial_status status = open_inotify(watching->reads, err);

	if (status == PHIAL_OK) {
		status = phial_generation_open(mount_fd, &watching->generation, &watching->dir_fd,
					       err);
	}
	if (status == PHIAL_NOT_FOUND) {
		phial_reads_forget(watching->reads, watching->number);
	}
	return status;
}

enum phial_status phial_reads_watch(struct phial_reads *reads, uint64_t number, int mount_fd,
				    const char *file, phial_read_fn *tell, void *context,
				    struct phial_error *err)
{
	struct watching watching = { reads, number, 0, -1, tell, context };
	enum phial_status status = phial_name_check(file, err);

	if (status == PHIAL_OK && strlen(file) > PHIAL_NAME_COMPONENT_MAX_BYTES) {
		status = phial_fail(err, PHIAL_BAD_NAME, 0, "not the name of a file");
	}
	if (status != PHIAL_OK) {
		return status;
	}
	status = open_present(&watching, mount_fd, err);
	if (status == PHIAL_OK) {
		status = watch_file(&watching, file, err);
	}
	phial_close_fd(&watching.dir_fd);
	return status == PHIAL_NOT_FOUND ? PHIAL_OK : status;
}

enum phial_status phial_reads_follow(struct phial_reads *reads, uint64_t number, int mount_fd,
				     phial_read_fn *tell, void *context, struct phial_error *err)
{
	struct watching watching = { reads, number, 0, -1, tell, context };
	enum phial_status status = open_present(&watching, mount_fd, err);
	struct phial_read_file *next = NULL;

	for (struct phial_read_file *f = reads->first; status == PHIAL_OK && f; f = next) {
		next = f->next;
		if (f->number == number) {
			status = follow_file(&watching, f, err);
		}
	}
	phial_close_fd(&watching.dir_fd);
	return status == PHIAL_NOT_FOUND ? PHIAL_OK : status;
}

/* One event: the file was read; or it is gone, and its watch with it. */
static void on_event(struct phial_reads *reads, const struct inotify_event *event,
		     phial_read_fn *tell, void *context)
{
	struct phial_read_file **link = &reads->first;

	while (*link && (*link)->watch != event->wd) {
		link = &(*link)->next;
	}
	struct phial_read_file *file = *link;

	if (!file) {
		return;
	}
	if ((event->mask & IN_CLOSE_NOWRITE) != 0) {
		file->watch = WATCH_READ;
		tell(context, file->number, file->name);
	} else if ((event->mask & IN_IGNORED) != 0) {
		*link = file->next;
		free(file);
	}
}

enum phial_status phial_reads_drain(struct phial_reads *reads, phial_read_fn *tell, void *context)
{
	_Alignas(struct inotify_event) char events[EVENTS_BYTES];
	enum phial_status status = PHIAL_OK;
	ssize_t length;

	while ((length = read(reads->fd, events, sizeof(events))) > 0) {
		struct inotify_event event;

		for (ssize_t at = 0; at < length; at += (ssize_t)(sizeof(event) + event.len)) {
			memcpy(&event, events + at, sizeof(event));
			if ((event.mask & IN_Q_OVERFLOW) != 0) {
				status = PHIAL_PROBLEMS;
			} else {
				on_event(reads, &event, tell, context);
			}
		}
	}
	return status;
}

bool phial_reads_holds(const struct phial_reads *reads, uint64_t number)
{
	const struct phial_read_file *file = reads->first;

	while (file && file->number != number) {
		file = file->next;
	}
	return file != NULL;
}

void phial_reads_forget(struct phial_reads *reads, uint64_t number)
{
	struct phial_read_file *next = NULL;

	for (struct phial_read_file *f = reads->first; f; f = next) {
		next = f->next;
		if (f->number == number) {
			forget(reads, f);
		}
	}
}
