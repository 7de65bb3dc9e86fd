/* SPDX-License-Identifier: ISC */
/*
 * Walls around the agent's processes. A filter is made once, in the supervisor, and loaded by each
 * child, so that starting one costs no compilation. See seccomp(2), capabilities(7).
 */
#ifndef PHIAL_AGENT_SANDBOX_H
#define PHIAL_AGENT_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <phial/error.h>

/* A compiled seccomp program; freed with its process. */
struct phial_filter {
	void *program;
	size_t length_bytes;
};

struct phial_filters {
	struct phial_filter worker;
	struct phial_filter auditor;
	struct phial_filter filler;
	struct phial_filter mounter;
	struct phial_filter notifier;
};

/*
 * Compile the allow-lists. is_user: the worker of a user's agent writes files of secrets, too.
 * Returns PHIAL_OK; PHIAL_UNSUPPORTED when libseccomp cannot; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_filters_make(bool is_user, struct phial_filters *ret_filters,
						   struct phial_error *err);

/*
 * Turn the calling process into the supervisor for good: only the capabilities that it uses.
 * Should: be called after the clones of the store are made for the first time. Mustn't: lose
 * SYS_ADMIN, with which the store is cloned again at each reload.
 */
PHIAL_CHECKED enum phial_status phial_sandbox_supervisor(struct phial_error *err);

/*
 * Turn a child into a worker, or an auditor: its own uid (but not in a user's agent), chroot to an empty directory, no capability, no new
 * process, seccomp that kills. Should: be called after descriptors were cut. Mustn't: be followed
 * by anything that needs a path, a socket or a privilege.
 */
struct phial_agent_options;
PHIAL_CHECKED enum phial_status phial_sandbox_worker(const struct phial_filter *filter,
						     const char *empty_dir,
						     const struct phial_agent_options *options,
						     struct phial_error *err);

/*
 * Turn a child into a filler: root with CHOWN, DAC_OVERRIDE and FOWNER, chroot to an empty
 * directory, seccomp that kills. Mustn't: do more than one job.
 */
PHIAL_CHECKED enum phial_status phial_sandbox_filler(const struct phial_filter *filter,
						     const char *empty_dir,
						     struct phial_error *err);

/*
 * Turn a child into a notifier: root with KILL, and SYS_PTRACE to look at processes of others;
 * seccomp that kills. Mustn't: tell more than one container.
 */
PHIAL_CHECKED enum phial_status phial_sandbox_notifier(const struct phial_filter *filter,
						       struct phial_error *err);

/*
 * Turn a child into a mounter: root with what entering and mounting need, seccomp that kills.
 * Should: have a ring of its own by then. Mustn't: enter more than one container.
 */
PHIAL_CHECKED enum phial_status phial_sandbox_mounter(const struct phial_filter *filter,
						      struct phial_error *err);

#endif
