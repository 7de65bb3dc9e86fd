/* SPDX-License-Identifier: ISC */
/*
 * The stages of an injection after its question, each with what it should and mustn't do. No
 * secret comes by here: the agent writes the files through its own clone of the mount.
 */
#include "inject/inject.h"

#include "base/capability.h"
#include "base/cleanup.h"
#include "inject/talk.h"
#include "mount/mount.h"

/* Closed by phial_inject(), whatever happens. */
struct injection {
	int socket_fd;
	struct phial_target target;
	int rw_fd;
	int ro_fd;
};

/*
 * Should: open the container's process while the agent decides, and get the verdict. Mustn't:
 * believe what it can check itself: the process is the one that the caller knows.
 */
static enum phial_status get_verdict(struct injection *injection, pid_t pid,
				     struct phial_hook_verdict *verdict, struct phial_error *err)
{
	struct phial_error target_err;
	enum phial_status target_status = phial_target_open(pid, &injection->target, &target_err);
	enum phial_status status = phial_inject_hear_verdict(injection->socket_fd, verdict, err);

	if (status != PHIAL_OK || verdict->decision != PHIAL_HOOK_GO) {
		return status;
	}
	if (verdict->pid != pid) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "the agent's verdict is for another process");
	}
	if (target_status != PHIAL_OK && err) {
		*err = target_err;
	}
	return target_status;
}

/*
 * Should: make the mount and have it filled. Mustn't: see a secret, or leave anything in the
 * host's mount table: the mount is attached in this process's own namespace only.
 */
static enum phial_status make_mount(struct injection *injection,
				    const struct phial_hook_verdict *verdict,
				    struct phial_error *err)
{
	const struct phial_mount_options options = {
		.size_bytes = verdict->size_bytes,
		.inodes = verdict->inodes,
		.mount_label = verdict->mount_label,
	};
	enum phial_mount_kind kind = PHIAL_MOUNT_TMPFS_NOSWAP;
	enum phial_status status =
		phial_mount_create(&options, &injection->rw_fd, &injection->ro_fd, &kind, err);

	if (status != PHIAL_OK) {
		return status;
	}
	return phial_inject_hand_over(injection->socket_fd, &injection->target, kind,
				      injection->rw_fd, err);
}

/*
 * Should: attach the read-only clone, give up every capability, and report. Mustn't: use any path
 * from here on (the root is the container's), or end well before the agent has recorded the
 * start.
 */
static enum phial_status attach_mount(struct injection *injection,
				      const struct phial_hook_verdict *verdict,
				      struct phial_error *err)
{
	const struct phial_attach_options options = {
		.rootfs = verdict->rootfs,
		.path = verdict->target,
		.may_over = verdict->may_over == 1,
		.grant_device = verdict->grant_device,
		.grant_inode = verdict->grant_inode,
	};
	enum phial_status status =
		phial_target_attach(&injection->target, injection->ro_fd, &options, err);

	if (status == PHIAL_OK) {
		status = phial_capabilities_keep(0, err);
	}
	if (status == PHIAL_OK) {
		status = phial_inject_report(injection->socket_fd, err);
	}
	return status;
}

enum phial_status phial_inject(int socket_fd, pid_t pid, struct phial_hook_verdict *ret_verdict,
			       struct phial_error *err)
{
	struct injection injection = {
		.socket_fd = socket_fd,
		.target = PHIAL_TARGET_NONE,
		.rw_fd = -1,
		.ro_fd = -1,
	};
	enum phial_status status = get_verdict(&injection, pid, ret_verdict, err);

	if (status == PHIAL_OK && ret_verdict->decision == PHIAL_HOOK_GO) {
		status = make_mount(&injection, ret_verdict, err);
		if (status == PHIAL_OK) {
			status = attach_mount(&injection, ret_verdict, err);
		}
	}
	phial_target_close(&injection.target);
	phial_close_fd(&injection.rw_fd);
	phial_close_fd(&injection.ro_fd);
	return status;
}
