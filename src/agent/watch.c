/* SPDX-License-Identifier: ISC */
/*
 * Noticing that the store was changed. Says when it should be read, and reads nothing of it: what
 * has changed is found by reading it all, which also heals whatever was missed.
 */
#include "agent/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/clock.h"
#include "agent/log.h"
#include "base/cleanup.h"

/* Read when nothing has changed for so long, and after so long in any case. */
#define QUIET_MS INT64_C(200)
#define LATE_MS	 INT64_C(2000)
/* Of its own accord the agent reads for a tenth of the time at most, and ever more seldom as long as
 * there is nothing new: somebody who touches files in a loop must not keep it busy. */
#define LOAD_SHARE   INT64_C(10)
#define PAUSE_MIN_MS INT64_C(250)
#define PAUSE_MAX_MS INT64_C(30000)
#define TRUST_DIR    ".phial"
/* Directories; more are a tangle of links. */
#define WATCHES_MAX ((size_t)10000)

#define CHANGES                                                                          \
	((uint32_t)(IN_CREATE | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE | IN_MOVED_FROM | \
		    IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF))

/* File systems that others change without telling this kernel. */
static const struct {
	long magic;
	const char *name;
} remote[] = {
	{ NFS_SUPER_MAGIC, "NFS" },   { SMB_SUPER_MAGIC, "SMB" },   { CIFS_SUPER_MAGIC, "CIFS" },
	{ SMB2_SUPER_MAGIC, "SMB2" }, { CEPH_SUPER_MAGIC, "Ceph" }, { V9FS_MAGIC, "9p" },
	{ AFS_SUPER_MAGIC, "AFS" },   { FUSE_SUPER_MAGIC, "FUSE" },
};

static int64_t boot_ms(void)
{
	return phial_clock_read().boot_ms;
}

/* The first problem is the one that is shown. */
static void note_problem(struct phial_watch *watch, const struct phial_error *err)
{
	if (watch->problem[0] == '\0') {
		memcpy(watch->problem, err->text, sizeof(watch->problem));
	}
}

void phial_watch_open(struct phial_watch *watch)
{
	struct phial_error err;

	*watch = (struct phial_watch){ .first_ms = -1 };
	watch->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->fd < 0 || watch->root_fd < 0) {
		(void)phial_fail(&err, PHIAL_SYSTEM, errno, "watch the store (%s)",
				 errno == EMFILE ? "sysctl fs.inotify.max_user_instances"
						 : "inotify");
		note_problem(watch, &err);
	}
}

void phial_watch_close(struct phial_watch *watch)
{
	phial_close_fd(&watch->fd);
	phial_close_fd(&watch->root_fd);
	free(watch->wds);
	free(watch->old_wds);
	watch->wds = NULL;
	watch->old_wds = NULL;
}

/* --- which directories ------------------------------------------------------------------------ */

static bool make_room(struct phial_watch *watch)
{
	size_t room = watch->room == 0 ? 64 : watch->room * 2;

	if (watch->count < watch->room) {
		return true;
	}
	int *larger =
		room <= WATCHES_MAX * 2 ? reallocarray(watch->wds, room, sizeof(*larger)) : NULL;

	if (larger) {
		watch->wds = larger;
		watch->room = room;
	}
	return larger != NULL;
}

/* By ".": the worker's root is empty, and a descriptor is no path. */
static int add_watch(const struct phial_watch *watch, int directory_fd)
{
	if (fchdir(directory_fd) != 0) {
		return -1;
	}
	int wd = inotify_add_watch(watch->fd, ".", CHANGES | IN_ONLYDIR);
	int reason = errno;

	if (fchdir(watch->root_fd) != 0) {
		abort(); /* somewhere else than before: the next worker begins where it should be */
	}
	errno = reason;
	return wd;
}

void phial_watch_directory(void *context, int directory_fd)
{
	struct phial_watch *watch = context;
	struct phial_error err;

	if (watch->fd < 0 || watch->root_fd < 0 || watch->count >= WATCHES_MAX ||
	    !make_room(watch)) {
		return;
	}
	int wd = add_watch(watch, directory_fd);

	if (wd < 0) {
		(void)phial_fail(&err, PHIAL_SYSTEM, errno, "watch the store%s",
				 errno == ENOSPC ? " (sysctl fs.inotify.max_user_watches)" : "");
		note_problem(watch, &err);
		return;
	}
	watch->wds[watch->count++] = wd;
}

/* A file system that others change tells of what this kernel does to it only. */
static void check_kind(struct phial_watch *watch, int store_fd)
{
	struct phial_error err;
	struct statfs status;

	if (fstatfs(store_fd, &status) != 0) {
		return;
	}
	for (size_t i = 0; i < PHIAL_COUNT(remote); i++) {
		if ((unsigned long)status.f_type == (unsigned long)remote[i].magic) {
			(void)phial_fail(
				&err, PHIAL_UNSUPPORTED, 0,
				"the store is on %s, which does not tell of changes that are "
				"made elsewhere",
				remote[i].name);
			note_problem(watch, &err);
		}
	}
}

static void drain(const struct phial_watch *watch)
{
	_Alignas(struct inotify_event) char buffer[4096];

	while (watch->fd >= 0 && read(watch->fd, buffer, sizeof(buffer)) > 0) {
	}
}

void phial_watch_begin(struct phial_watch *watch, int store_fd)
{
	phial_auto_fd int trust_fd = -1;

	watch->began_ms = boot_ms();
	watch->first_ms = -1;
	free(watch->old_wds);
	watch->old_wds = watch->wds;
	watch->old_count = watch->count;
	watch->wds = NULL;
	watch->count = 0;
	watch->room = 0;
	if (watch->fd < 0) {
		return; /* its problem stays */
	}
	watch->problem[0] = '\0';
	drain(watch);
	if (store_fd < 0) {
		return;
	}
	/* These two whether or not the store is good: what makes it good happens in them. */
	check_kind(watch, store_fd);
	phial_watch_directory(watch, store_fd);
	trust_fd = openat(store_fd, TRUST_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (trust_fd >= 0) {
		phial_watch_directory(watch, trust_fd);
	}
}

static int compare(const void *a, const void *b)
{
	int left = *(const int *)a;
	int right = *(const int *)b;

	return (left > right) - (left < right);
}

/* Directories that do not belong to the store any more. Both lists are sorted. */
static void drop_old(struct phial_watch *watch)
{
	size_t kept = 0;

	for (size_t i = 0; i < watch->old_count; i++) {
		while (kept < watch->count && watch->wds[kept] < watch->old_wds[i]) {
			kept++;
		}
		if (kept == watch->count || watch->wds[kept] != watch->old_wds[i]) {
			/* EINVAL: the kernel did so when the directory went. */
			(void)inotify_rm_watch(watch->fd, watch->old_wds[i]);
		}
	}
	free(watch->old_wds);
	watch->old_wds = NULL;
	watch->old_count = 0;
}

void phial_watch_end(struct phial_watch *watch, bool has_news)
{
	int64_t now_ms = boot_ms();
	int64_t pause_ms = (now_ms - watch->began_ms) * LOAD_SHARE;

	if (watch->count > 0) {
		qsort(watch->wds, watch->count, sizeof(*watch->wds), compare);
	}
	drop_old(watch);
	if (watch->problem[0] != '\0' && !watch->is_told) {
		phial_log("%s; \"phial reload\" reads it", watch->problem);
	}
	watch->is_told = watch->problem[0] != '\0';
	if (has_news || !watch->has_asked) {
		watch->pause_ms = 0;
	} else if (watch->pause_ms == 0) {
		watch->pause_ms = PAUSE_MIN_MS;
	} else {
		watch->pause_ms *= 2;
	}
	if (watch->pause_ms > pause_ms) {
		pause_ms = watch->pause_ms;
	}
	watch->not_before_ms = now_ms + (pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS);
	watch->has_asked = false;
}

/* --- what has changed --------------------------------------------------------------------------- */

static bool ends_in(const char *name, const char *suffix)
{
	size_t length = strlen(name);
	size_t suffix_length = strlen(suffix);

	return length >= suffix_length && strcmp(name + length - suffix_length, suffix) == 0;
}

/*
 * Can it be a part of the store? Editors', rsync's and git's own files cannot: they have other ends, or
 * begin with a dot. ..data is what Kubernetes switches.
 */
static bool is_ours(const struct inotify_event *event)
{
	static const char *const names[] = { TRUST_DIR, "..data", "recipients", "signers",
					     "policy.json" };

	if ((event->mask & (IN_Q_OVERFLOW | IN_UNMOUNT | IN_DELETE_SELF | IN_MOVE_SELF)) != 0) {
		return true;
	}
	if (event->len == 0) {
		return false; /* the directory's own mode, or a watch that is gone */
	}
	for (size_t i = 0; i < PHIAL_COUNT(names); i++) {
		if (strcmp(event->name, names[i]) == 0) {
			return true;
		}
	}
	if (event->name[0] == '.') {
		return false;
	}
	/* What has no end, and was not written now, may be a link to a directory. */
	return ends_in(event->name, ".sealed") || ends_in(event->name, ".minisig") ||
	       (event->mask & IN_ISDIR) != 0 ||
	       (!strchr(event->name, '.') && (event->mask & (IN_CLOSE_WRITE | IN_ATTRIB)) == 0);
}

void phial_watch_note(struct phial_watch *watch)
{
	watch->last_ms = boot_ms();
	if (watch->first_ms < 0) {
		watch->first_ms = watch->last_ms;
	}
}

void phial_watch_on_events(struct phial_watch *watch)
{
	_Alignas(struct inotify_event) char buffer[16384];
	ssize_t length = read(watch->fd, buffer, sizeof(buffer));

	for (ssize_t at = 0; at < length;) {
		const struct inotify_event *event =
			(const struct inotify_event *)(const void *)(buffer + at);

		if (is_ours(event)) {
			phial_watch_note(watch);
		}
		at += (ssize_t)(sizeof(*event) + event->len);
	}
}

int64_t phial_watch_due_ms(const struct phial_watch *watch)
{
	if (watch->first_ms < 0 || watch->has_asked) {
		return -1;
	}
	int64_t due_ms = watch->last_ms + QUIET_MS;

	if (due_ms > watch->first_ms + LATE_MS) {
		due_ms = watch->first_ms + LATE_MS;
	}
	return due_ms > watch->not_before_ms ? due_ms : watch->not_before_ms;
}

void phial_watch_asked(struct phial_watch *watch)
{
	watch->has_asked = true;
}
