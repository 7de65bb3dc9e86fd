/* SPDX-License-Identifier: ISC */
/*
 * What phial-init waits for beside signals: another generation of its secrets, the command's word
 * that it is ready, and the end of a time.
 */
#ifndef PHIAL_INIT_WATCH_H
#define PHIAL_INIT_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include <phial/error.h>

#include "init/options.h"

/* Descriptors of phial-init's own, all close-on-exec; -1: not watched. */
struct phial_init_watch {
	int signals_fd; /* readable when a signal is pending; needed with any of the others */
	int rotation_fd;
	int ready_fd; /* the other end of the command's --ready-fd */
};

/*
 * Begin to watch what the options ask for. target: the directory of the secrets, or NULL. ret_watch:
 * kept until the process ends. Returns PHIAL_OK, also when there is nothing to watch; PHIAL_EXISTS
 * when --ready-fd is a descriptor that the caller passed; PHIAL_SYSTEM with what to raise. See
 * inotify(7), signalfd(2).
 */
PHIAL_CHECKED enum phial_status phial_init_watch_open(const struct phial_init_options *options,
						      const char *target,
						      struct phial_init_watch *ret_watch,
						      struct phial_error *err);

/*
 * Make the pipe for one start of the command, in place of the one before. ret_fd: its writing end,
 * close-on-exec, closed by the caller once the command has it. Returns PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_init_watch_expect_ready(struct phial_init_watch *watch,
							      int *ret_fd, struct phial_error *err);

/* Blocks until a signal is pending, something watched has come, or a time (-1: never). */
void phial_init_watch_await(const struct phial_init_watch *watch, int64_t until_ms);

/* Is there another generation since it was last asked? However many: once. */
bool phial_init_watch_has_rotated(const struct phial_init_watch *watch);

/* Has the command written its newline? True once; the pipe is closed then, and at its end. */
bool phial_init_watch_is_ready(struct phial_init_watch *watch);

/* Milliseconds since boot, standing still in suspend. See clock_gettime(2). */
int64_t phial_init_now_ms(void);

#endif
