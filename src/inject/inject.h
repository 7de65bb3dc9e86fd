/* SPDX-License-Identifier: ISC */
/*
 * One injection, from the question that was put to the agent to its record of the start: what
 * phial-hook, phial-runtime and the agent's mounter have in common. Prints nothing. Written for
 * glibc and musl. docs/agent-protocol.md says which frame comes when.
 */
#ifndef PHIAL_INJECT_INJECT_H
#define PHIAL_INJECT_INJECT_H

#include <sys/types.h>

#include <phial/error.h>

#include "wire/hook_protocol.h"

/*
 * Frames 2 to 6: hear the verdict, make the mount, have it filled, attach it, have it recorded.
 * socket_fd: frame 1 has been sent on it; stays the caller's. pid: the container's first process,
 * which the caller knows by itself and the verdict must name. ret_verdict: its decision says what
 * was done: PHIAL_HOOK_GO means that the secrets are in the container and recorded; with
 * PHIAL_HOOK_REFUSED its status and text say why.
 *
 * With PHIAL_HOOK_GO the calling process is in the container's mount namespace afterwards and has
 * no capability left: it must use no path any more, and end soon.
 *
 * Returns PHIAL_OK for every decision that was carried out; PHIAL_NO_AGENT when the agent ends or
 * does not answer; PHIAL_MALFORMED for a verdict that does not fit; PHIAL_REFUSED, PHIAL_GONE,
 * PHIAL_UNSUPPORTED, PHIAL_SYSTEM of phial_target_open(), phial_mount_create() and
 * phial_target_attach(); the agent's own status. Blocks up to 9 seconds for each answer.
 */
PHIAL_CHECKED enum phial_status phial_inject(int socket_fd, pid_t pid,
					     struct phial_hook_verdict *ret_verdict,
					     struct phial_error *err);

#endif
