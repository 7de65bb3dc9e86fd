/* SPDX-License-Identifier: ISC */
/*
 * A private view of the file system for one command and its children, on a person's own machine:
 * the caller's process moves into namespaces of its own and mounts there, without being root.
 * Nothing of it exists outside. See user_namespaces(7), mount_namespaces(7).
 */
#ifndef PHIAL_MOUNT_PRIVATE_H
#define PHIAL_MOUNT_PRIVATE_H

#include <stddef.h>
#include <sys/types.h>

#include <phial/error.h>

#include "mount/mount.h"

/*
 * Move the calling process, which must have one thread, into a mount namespace of its own, from
 * which no mount gets out; without CAP_SYS_ADMIN also into a user namespace of its own, in which
 * its user and group are what they were and nobody else's exist. It then has all capabilities
 * there, which execve(2) takes from all users but root. Call it while nothing secret is in memory:
 * the process may be dumped for a moment. Returns PHIAL_OK; PHIAL_UNSUPPORTED when user namespaces
 * are off, naming the switch; PHIAL_SYSTEM. See unshare(2).
 */
PHIAL_CHECKED enum phial_status phial_private_enter(struct phial_error *err);

/*
 * The two halves of entering a user namespace, for a caller that has its ids mapped by others:
 * first leave for a user and a mount namespace of its own, in which no id exists yet. The maps
 * can be written only while the process may be dumped. Returns PHIAL_OK, or PHIAL_UNSUPPORTED.
 * See unshare(2).
 */
PHIAL_CHECKED enum phial_status phial_private_unshare_user(struct phial_error *err);

/* A user and its group. */
struct phial_private_ids {
	uid_t uid;
	gid_t gid;
};

/*
 * Then map one user and one group: inside: what they are in the namespace; outside: the caller's
 * own from before. Returns PHIAL_OK, or PHIAL_UNSUPPORTED. See user_namespaces(7).
 */
PHIAL_CHECKED enum phial_status phial_private_map_one(const struct phial_private_ids *inside,
						      const struct phial_private_ids *outside,
						      struct phial_error *err);

/*
 * Say why a step towards a user namespace failed. sysctl_dir: "/proc/sys", where the switches that
 * may be the cause are read. step: what failed, for people. os_error: its errno. Returns
 * PHIAL_UNSUPPORTED. See sysctl(8).
 */
PHIAL_CHECKED enum phial_status phial_private_explain(const char *sysctl_dir, const char *step,
						      int os_error, struct phial_error *err);

/*
 * Make a secrets mount and attach it at a path, after phial_private_enter(). target: absolute,
 * without "." and ".."; links in it are followed. Where directories of it are missing, the last
 * one that is there (but not "/") is covered: a read-only directory with a link to each of its
 * present entries, the old directory itself being mounted at ".phial" in it. ret_rw_fd: O_PATH
 * descriptor of a read-write clone, close-on-exec, closed by the caller; the attached mount is
 * read-only. ret_frozen_length: how many bytes of target name a directory that was covered though
 * the caller might have made files in it; 0 if there is none. Returns PHIAL_OK; PHIAL_REFUSED for a
 * target that is no directory or has nothing but "/" above it; PHIAL_DENIED; what
 * phial_mount_make() returns.
 */
PHIAL_CHECKED enum phial_status phial_private_attach(const struct phial_mount_options *options,
						     const char *target, int *ret_rw_fd,
						     size_t *ret_frozen_length,
						     struct phial_error *err);

#endif
