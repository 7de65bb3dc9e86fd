/* SPDX-License-Identifier: ISC */
/*
 * The notifier: a short-lived child of the supervisor that tells one container of its new secrets
 * by a signal. To the container's own process, or to those of a name, which it finds in the host's
 * /proc: only in the container's own process namespace and in its cgroup or below, held by pidfd
 * while they are looked at, so that nobody else is ever signalled whatever he calls himself.
 */
#ifndef PHIAL_AGENT_NOTIFIER_H
#define PHIAL_AGENT_NOTIFIER_H

#include <stdint.h>

#include <phial/error.h>

#include "agent/link.h"

/* Signalled for one notice; more are not, and it is said. */
#define PHIAL_NOTIFIER_PROCESSES_MAX 256

/* What it is to do. */
struct phial_notice {
	int pidfd; /* of the container's process; stays the caller's */
	int signal_number;
	char process[PHIAL_LINK_PROCESS_BYTES]; /* as in /proc/PID/comm; empty: that process */
};

/*
 * Do it. ret_count: how many processes were signalled, also on failure. Returns PHIAL_OK;
 * PHIAL_NOT_FOUND when there is nobody to tell; PHIAL_GONE when the container's process has ended;
 * PHIAL_REFUSED when its processes cannot be told from others'; PHIAL_TOO_LARGE when there were
 * more than PHIAL_NOTIFIER_PROCESSES_MAX; PHIAL_SYSTEM. Needs CAP_KILL and CAP_SYS_PTRACE. Reads
 * /proc once: with a name that takes as long as the host has processes. See pidfd_open(2),
 * pidfd_send_signal(2), pid_namespaces(7), cgroups(7).
 */
PHIAL_CHECKED enum phial_status phial_notifier_tell(const struct phial_notice *notice,
						    uint32_t *ret_count, struct phial_error *err);

/* A whole life in the child: do it, tell the supervisor at fd, and return the exit status. */
int phial_notifier_run(int fd, const struct phial_notice *notice);

#endif
