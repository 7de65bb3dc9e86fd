/* SPDX-License-Identifier: ISC */
/* Telling a service manager how the agent is: see sd_notify(3). */
#ifndef PHIAL_AGENT_NOTIFY_H
#define PHIAL_AGENT_NOTIFY_H

/*
 * Send "READY=1", "RELOADING=1" and the like to $NOTIFY_SOCKET. Does nothing without one, and a
 * failure changes nothing for the agent. RELOADING=1 gets its MONOTONIC_USEC added. Never blocks.
 */
void phial_notify(const char *state);

#endif
