/* SPDX-License-Identifier: ISC */
/*
 * The two questions that the hook asks of JSON, without a parser: could this config hold a
 * grant, and which pid does the state name? Pure. The agent parses both strictly.
 */
#ifndef PHIAL_INJECT_SCAN_H
#define PHIAL_INJECT_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <phial/error.h>

#include "base/parse.h"

/*
 * True if any string of the JSON text, whatever it means there, begins with prefix once its
 * escapes are undone; also when a string does not end, as then nothing is sure. prefix: ASCII, at
 * most 255 bytes.
 */
bool phial_inject_may_grant(struct phial_span config, const char *prefix);

/*
 * Find the one number that the key "pid" of the outermost object has. Returns PHIAL_OK;
 * PHIAL_REFUSED when there is none, or it is 0 or 1 (a hook at a wrong stage); PHIAL_MALFORMED
 * when there are two, or it is no process number.
 */
PHIAL_CHECKED enum phial_status phial_inject_find_pid(struct phial_span state, pid_t *ret_pid,
						      struct phial_error *err);

#endif
