/* SPDX-License-Identifier: ISC */
/*
 * Where the store's path leads: every name on the way, links included, is watched in its directory.
 * So the supervisor notices a link that is switched and a directory that is replaced, or made. What
 * is in the store is the worker's to watch (watch.h).
 */
#ifndef PHIAL_AGENT_STORE_PATH_H
#define PHIAL_AGENT_STORE_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include <phial/error.h>

/* Names on the way, those in links included. */
#define PHIAL_STORE_PATH_NAMES_MAX 64

struct phial_store_path {
	int fd; /* inotify(7), or -1 */
	struct phial_store_path_name {
		int wd;
		char name[NAME_MAX + 1];
	} names[PHIAL_STORE_PATH_NAMES_MAX];
	size_t count;
};

/*
 * Watch a path, from its first name to the last one that there is. path: need not exist. watch->fd is new
 * with each call, and closed before; -1 at first. Returns PHIAL_OK; PHIAL_SYSTEM when the kernel gives no
 * watches; PHIAL_TOO_LARGE for a path of too many names.
 */
PHIAL_CHECKED enum phial_status phial_store_path_watch(struct phial_store_path *watch,
						       const char *path, struct phial_error *err);

/* fd is readable: was it one of the names? Does not block. */
bool phial_store_path_has_changed(const struct phial_store_path *watch);

#endif
