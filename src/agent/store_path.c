/* SPDX-License-Identifier: ISC */
/*
 * Walking a path as the kernel would, and watching each of its names. Nothing is opened, and what lies
 * behind the path is not looked at.
 */
#include "agent/store_path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/* As many links as the kernel follows. */
#define LINKS_MAX 40

/* What is behind, and what is still to go. */
struct walk {
	char done[PATH_MAX]; /* a directory */
	char rest[PATH_MAX];
	unsigned int links;
};

/* Take the first name off the rest. Returns false at the end. */
static bool next_name(struct walk *walk, char ret_name[static NAME_MAX + 1])
{
	const char *begin = walk->rest + strspn(walk->rest, "/");
	size_t length = strcspn(begin, "/");

	if (length == 0 || length > NAME_MAX) {
		return false;
	}
	memcpy(ret_name, begin, length);
	ret_name[length] = '\0';
	memmove(walk->rest, begin + length, strlen(begin + length) + 1);
	return true;
}

static enum phial_status watch_name(struct phial_store_path *watch, const char *directory,
				    const char *name, struct phial_error *err)
{
	struct phial_store_path_name *entry = &watch->names[watch->count];

	if (watch->count == PHIAL_COUNT(watch->names)) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "more than %d names on the way",
				  PHIAL_STORE_PATH_NAMES_MAX);
	}
	int wd =
		inotify_add_watch(watch->fd, directory,
				  IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR);

	if (wd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "watch %s%s", directory,
				  errno == ENOSPC ? " (sysctl fs.inotify.max_user_watches)" : "");
	}
	entry->wd = wd;
	(void)snprintf(entry->name, sizeof(entry->name), "%s", name);
	watch->count++;
	return PHIAL_OK;
}

/* Go on where a link leads. Returns false if it is none, or one of too many. */
static bool follow_link(struct walk *walk, const char *path)
{
	char rest[PATH_MAX];
	ssize_t length = readlink(path, rest, sizeof(rest));
	size_t room = length > 0 ? sizeof(rest) - (size_t)length : 0;

	if (length <= 0 || (size_t)snprintf(rest + length, room, "/%s", walk->rest) >= room ||
	    ++walk->links > LINKS_MAX) {
		return false;
	}
	memcpy(walk->rest, rest, sizeof(walk->rest));
	if (rest[0] == '/') {
		memcpy(walk->done, "/", 2);
	}
	return true;
}

/* Returns whether there is more to watch: false where the path ends, too early or not. */
static bool enter(struct walk *walk, const char *name)
{
	char path[PATH_MAX];
	struct stat status;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", walk->done, name) >= sizeof(path) ||
	    lstat(path, &status) != 0) {
		return false;
	}
	if (S_ISLNK(status.st_mode)) {
		return follow_link(walk, path);
	}
	memcpy(walk->done, path, strlen(path) + 1);
	return S_ISDIR(status.st_mode);
}

enum phial_status phial_store_path_watch(struct phial_store_path *watch, const char *path,
					 struct phial_error *err)
{
	struct walk walk = { .links = 0 };
	char name[NAME_MAX + 1];
	enum phial_status status = PHIAL_OK;

	phial_close_fd(&watch->fd);
	watch->count = 0;
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "inotify%s",
				  errno == EMFILE ? " (sysctl fs.inotify.max_user_instances)" : "");
	}
	memcpy(walk.done, path[0] == '/' ? "/" : ".", 2);
	(void)snprintf(walk.rest, sizeof(walk.rest), "%s", path);
	while (status == PHIAL_OK && next_name(&walk, name)) {
		/* Where "." and ".." lead is settled by the names before. */
		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
			status = watch_name(watch, walk.done, name, err);
		}
		if (!enter(&walk, name)) {
			break;
		}
	}
	return status;
}

static bool is_on_the_way(const struct phial_store_path *watch, const struct inotify_event *event)
{
	if ((event->mask & IN_Q_OVERFLOW) != 0) {
		return true;
	}
	for (size_t i = 0; event->len > 0 && i < watch->count; i++) {
		if (watch->names[i].wd == event->wd &&
		    strcmp(watch->names[i].name, event->name) == 0) {
			return true;
		}
	}
	return false;
}

bool phial_store_path_has_changed(const struct phial_store_path *watch)
{
	_Alignas(struct inotify_event) char buffer[16384];
	ssize_t length = read(watch->fd, buffer, sizeof(buffer));
	bool has_changed = false;

	for (ssize_t at = 0; at < length;) {
		const struct inotify_event *event =
			(const struct inotify_event *)(const void *)(buffer + at);

		has_changed = has_changed || is_on_the_way(watch, event);
		at += (ssize_t)(sizeof(*event) + event->len);
	}
	return has_changed;
}
