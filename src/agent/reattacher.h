/* SPDX-License-Identifier: ISC */
/*
 * The re-attacher: a short-lived child of the supervisor that takes one container's secrets mount
 * back for an agent that did not start it. It says how it went in one frame, REATTACHED, with the
 * writable clone beside it.
 */
#ifndef PHIAL_AGENT_REATTACHER_H
#define PHIAL_AGENT_REATTACHER_H

#include "agent/link.h"

/* At work at once; more wait with the worker. Apart from mounters: neither keeps the other out. */
#define PHIAL_REATTACHERS_MAX 8

/*
 * Do the job, tell the supervisor at fd, and return the exit status. job: as the worker sent it;
 * nothing in it is believed that can be seen. Called in the child, behind a mounter's walls. Leaves
 * the process in the container's mount namespace.
 */
int phial_reattacher_run(int fd, const struct phial_link_reattach *job);

#endif
