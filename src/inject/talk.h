/* SPDX-License-Identifier: ISC */
/* The asking side of the hook protocol (wire/hook_protocol.h), one call per exchange. */
#ifndef PHIAL_INJECT_TALK_H
#define PHIAL_INJECT_TALK_H

#include <stdbool.h>
#include <stddef.h>

#include <phial/error.h>

#include "base/parse.h"
#include "mount/mount.h"
#include "wire/hook_protocol.h"

/*
 * Take the next problem off a text that holds one a line (a verdict's, or an error's): line gets
 * it, with every byte that is no plain text as '?'; empty lines and those that do not fit are left
 * out. rest: moved on. Returns false after the last one. Pure.
 */
bool phial_inject_next_problem(struct phial_span *rest, char *line, size_t line_bytes);

/*
 * Connect to RUN_DIR/hook.sock; tries for five seconds while nobody listens. ret_fd: close-on-exec.
 * PHIAL_OK; PHIAL_NO_AGENT; PHIAL_DENIED for a foreign owner; PHIAL_TOO_LARGE; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_inject_connect(const char *run_dir, int *ret_fd,
						     struct phial_error *err);

/*
 * Frame 1. start: with start->state_length bytes of state right behind it. config_fd: stays the
 * caller's. PHIAL_OK; PHIAL_NO_AGENT when the agent ends; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_inject_ask(int fd, const struct phial_hook_start *start,
						 int config_fd, struct phial_error *err);

/*
 * Frame 1 of a container that its runtime has created. config_fd: stays the caller's. PHIAL_OK;
 * PHIAL_NO_AGENT when the agent ends; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_inject_ask_created(int fd,
							 const struct phial_hook_created *created,
							 int config_fd, struct phial_error *err);

/*
 * Frame 2, which the agent takes a while for. ret_verdict: checked. PHIAL_OK; PHIAL_NO_AGENT when
 * the agent ends or does not answer; PHIAL_MALFORMED; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status
phial_inject_hear_verdict(int fd, struct phial_hook_verdict *ret_verdict, struct phial_error *err);

/* Frames 3 and 4: returns once the files are written, or with the agent's status and text. */
PHIAL_CHECKED enum phial_status phial_inject_hand_over(int fd, const struct phial_target *target,
						       enum phial_mount_kind kind, int rw_fd,
						       struct phial_error *err);

/* Frames 5 and 6: returns once the start is recorded, or with the agent's status and text. */
PHIAL_CHECKED enum phial_status phial_inject_report(int fd, struct phial_error *err);

#endif
