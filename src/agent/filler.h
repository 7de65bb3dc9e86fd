/* SPDX-License-Identifier: ISC */
/*
 * The filler: a process that does one job on one secrets mount and ends. It reads values from the
 * ring by serial and writes them into files; nobody else opens a value for a container.
 */
#ifndef PHIAL_AGENT_FILLER_H
#define PHIAL_AGENT_FILLER_H

struct phial_secret;

/*
 * Wait on a socket for one job (a frame of type PHIAL_LINK_FILL or PHIAL_LINK_GIVE with
 * phial_fill_part records, or PHIAL_LINK_WIPE; one descriptor: the rw mount), do it, answer with a struct phial_link_result.
 * fd: the socket. payload: secret memory of PHIAL_KEY_PAYLOAD_MAX bytes, made by the child before
 * its sandbox. Returns the exit status for _exit().
 */
int phial_filler_run(int fd, struct phial_secret *payload);

#endif
