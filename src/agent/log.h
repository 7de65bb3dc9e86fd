/* SPDX-License-Identifier: ISC */
/*
 * The agent's log: lines on stderr, which a service manager keeps. Names, never values. The agent
 * is a door, so its parts may print; each line is one write(2), whichever process wrote it.
 */
#ifndef PHIAL_AGENT_LOG_H
#define PHIAL_AGENT_LOG_H

#include <phial/error.h>

/* Write one line "phiald: ...". Bytes that are not printable ASCII are escaped. */
void phial_log(const char *format, ...) PHIAL_PRINTF(1, 2);

#endif
