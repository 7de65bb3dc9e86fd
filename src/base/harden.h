/* SPDX-License-Identifier: ISC */
/* What every phial process does first. */
#ifndef PHIAL_BASE_HARDEN_H
#define PHIAL_BASE_HARDEN_H

#include <stddef.h>

#include <phial/error.h>

/*
 * Harden the calling process: descriptors 0 to 2 exist (the missing ones become
 * /dev/null), umask 077, no core dumps (RLIMIT_CORE 0), not dumpable.
 *
 * Should: be called before anything secret is read. Mustn't: be called by phial-init for
 * itself without undoing umask and limit before the application starts (execve keeps
 * both). After a change of user id, which resets "dumpable", call
 * phial_process_forbid_dump(). Returns
 * PHIAL_OK or PHIAL_SYSTEM. See prctl(2) PR_SET_DUMPABLE, setrlimit(2).
 */
PHIAL_CHECKED enum phial_status phial_process_harden(struct phial_error *err);

/*
 * Make the process not dumpable again, after a change of user id: no core, and nobody of the same
 * uid may trace it or read its memory. Returns PHIAL_OK or PHIAL_SYSTEM. See prctl(2).
 */
PHIAL_CHECKED enum phial_status phial_process_forbid_dump(struct phial_error *err);

/*
 * Mark every descriptor from 3 on close-on-exec. Returns PHIAL_OK or PHIAL_SYSTEM. See
 * close_range(2).
 */
PHIAL_CHECKED enum phial_status phial_close_inherited_on_exec(struct phial_error *err);

/*
 * Close every descriptor from 3 on: for programs that are handed nothing beyond the
 * standard three. Returns PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_close_inherited(struct phial_error *err);

/*
 * Close every descriptor from 3 on but these. keep: at most 16, in any order; negative ones are
 * ignored. Returns PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_keep_descriptors(const int *keep, size_t count,
						       struct phial_error *err);

#endif
