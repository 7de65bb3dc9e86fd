/* SPDX-License-Identifier: ISC */
/*
 * Watches on single files, each for one event: what was read, and no more. Decides nothing: what
 * follows from a read is the worker's affair.
 */
#include "agent/reads.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <phial/sealed.h>

#include "base/cleanup.h"
#include "mount/generation.h"

/* Its watch ends with its event; one that is there already is not replaced. */
#define WATCH_MASK    (IN_CLOSE_NOWRITE | IN_ONESHOT | IN_MASK_CREATE)
#define FILES_MAX     1024
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

/* What one call of phial_reads_watch() works with. */
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

/* Returns the number of a new watch; or -1 and errno: EEXIST if there is one, ENOENT. */
static int add_watch(const struct watching *watching, const char *name)
{
	char path[FD_PATH_BYTES];
	struct stat found;
	/* Not by its path: a link that a container planted would lead anywhere. */
	phial_auto_fd int fd = openat(watching->dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

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

static enum phial_status watch_file(const struct watching *watching, const char *name,
				    struct phial_error *err)
{
	struct phial_read_file *file = find_name(watching, name);
	size_t length = strlen(name);

	if (file) {
		return check_file(watching, file, err);
	}
	if (length >= sizeof(file->name)) {
		return PHIAL_OK; /* not a name that a generation's file has */
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
	memcpy(file->name, name, length + 1);
	file->next = watching->reads->first;
	watching->reads->first = file;
	return PHIAL_OK;
}

/* Every file of the generation that can be ours; dir: of watching's dir_fd. */
static enum phial_status watch_files(const struct watching *watching, DIR *dir,
				     struct phial_error *err)
{
	const struct dirent *entry;
	size_t count = 0;
	enum phial_status status = PHIAL_OK;

	while (status == PHIAL_OK && count < FILES_MAX && (entry = readdir(dir))) {
		bool is_file_name = phial_name_check(entry->d_name, NULL) == PHIAL_OK;

		status = is_file_name ? watch_file(watching, entry->d_name, err) : PHIAL_OK;
		count += is_file_name;
	}
	return status;
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

/* What is known of another generation of the container is over. */
static void forget_others(struct phial_reads *reads, uint64_t number, uint32_t generation)
{
	struct phial_read_file **link = &reads->first;

	while (*link) {
		struct phial_read_file *file = *link;

		if (file->number != number || file->generation == generation) {
			link = &file->next;
			continue;
		}
		if (file->watch != WATCH_READ) {
			(void)inotify_rm_watch(reads->fd, file->watch);
		}
		*link = file->next;
		free(file);
	}
}

enum phial_status phial_reads_watch(struct phial_reads *reads, uint64_t number, int mount_fd,
				    phial_read_fn *tell, void *context, struct phial_error *err)
{
	struct watching watching = {
		.reads = reads,
		.number = number,
		.dir_fd = -1,
		.tell = tell,
		.context = context,
	};
	enum phial_status status = open_inotify(reads, err);

	if (status == PHIAL_OK) {
		status = phial_generation_open(mount_fd, &watching.generation, &watching.dir_fd,
					       err);
	}
	if (status == PHIAL_NOT_FOUND) {
		phial_reads_forget(reads, number);
		return PHIAL_OK;
	}
	if (status != PHIAL_OK) {
		return status;
	}
	forget_others(reads, number, watching.generation);
	DIR *dir = fdopendir(watching.dir_fd);

	if (!dir) {
		phial_close_fd(&watching.dir_fd);
		return phial_fail(err, PHIAL_SYSTEM, errno, "read a generation's names");
	}
	status = watch_files(&watching, dir, err);
	closedir(dir);
	return status;
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
	forget_others(reads, number, 0); /* no generation has this number */
}
