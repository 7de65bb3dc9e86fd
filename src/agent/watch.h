/* SPDX-License-Identifier: ISC */
/*
 * The store is watched: what is changed in it is read without being asked for, soon after it has
 * become quiet. The worker watches the directories of the store that it was given; where the path
 * leads is the supervisor's (store_path.h), who notes a change here by an event.
 */
#ifndef PHIAL_AGENT_WATCH_H
#define PHIAL_AGENT_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

struct phial_watch {
	int fd;	     /* inotify(7), or -1 */
	int root_fd; /* where the process is when it watches nothing new; see inotify_add_watch(2) */
	int *wds;    /* of the directories, sorted once the store is read; owned */
	size_t count;
	size_t room;
	int *old_wds; /* those of the reading before, while the store is read; owned */
	size_t old_count;
	char problem[PHIAL_ERROR_TEXT_BYTES]; /* empty: all of it is watched */
	bool is_told;			      /* the log has it */
	int64_t first_ms;      /* boot time of the first change that was not read yet, or -1 */
	int64_t last_ms;       /* of the last one */
	int64_t began_ms;      /* of the reading at hand, or the last */
	int64_t not_before_ms; /* the next reading of its own accord */
	int64_t pause_ms;      /* that grows while readings find nothing new */
	bool has_asked;	       /* for a reading, which has not begun yet */
};

/* Prepare it: nothing is watched. What fails is watch->problem. */
void phial_watch_open(struct phial_watch *watch);

/* Free what it holds and close its descriptors. */
void phial_watch_close(struct phial_watch *watch);

/*
 * The store is about to be read: forget what has changed, and watch its first directories. store_fd:
 * of its top directory, not kept; -1: there is none. Does not block.
 */
void phial_watch_begin(struct phial_watch *watch, int store_fd);

/*
 * A directory of it is about to be read: watch it. watch: a struct phial_watch. For
 * phial_store_list_watched().
 */
void phial_watch_directory(void *watch, int directory_fd);

/* The store has been read. has_news: something is other than it was. */
void phial_watch_end(struct phial_watch *watch, bool has_news);

/* fd is readable: note what has changed. Does not block. */
void phial_watch_on_events(struct phial_watch *watch);

/* Something has changed, says somebody else. */
void phial_watch_note(struct phial_watch *watch);

/* The boot time, in milliseconds, at which the store should be read, or -1. */
int64_t phial_watch_due_ms(const struct phial_watch *watch);

/* The store was asked for. */
void phial_watch_asked(struct phial_watch *watch);

#endif
