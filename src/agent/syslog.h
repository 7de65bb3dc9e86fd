/* SPDX-License-Identifier: ISC */
/*
 * Lines for the host's syslog, syslogd's or journald's: datagrams on a socket that is connected
 * once, before the sandbox. Never waits: what does not go is the caller's to count.
 */
#ifndef PHIAL_AGENT_SYSLOG_H
#define PHIAL_AGENT_SYSLOG_H

#include <stdbool.h>

#include <phial/error.h>

#include "base/parse.h"

/* Where both listen. */
#define PHIAL_SYSLOG_PATH "/dev/log"
/* The longest text of a line; syslog daemons cut at 8 KiB. */
#define PHIAL_SYSLOG_TEXT_BYTES 8000

/*
 * Connect to a syslog socket. ret_fd: closed by the caller. Returns PHIAL_OK; PHIAL_NOT_FOUND when
 * nobody listens there; PHIAL_TOO_LARGE for a path over 107 bytes; PHIAL_SYSTEM. See unix(7).
 */
PHIAL_CHECKED enum phial_status phial_syslog_connect(const char *path, int *ret_fd,
						     struct phial_error *err);

/*
 * Send one line as "phial-audit", facility authpriv, severity notice; over PHIAL_SYSLOG_TEXT_BYTES it
 * is cut. fd: of phial_syslog_connect(). Returns 0, or the errno of why it did not go. Never blocks.
 */
int phial_syslog_send(int fd, struct phial_span text);

#endif
