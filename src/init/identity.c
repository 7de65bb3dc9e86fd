/* SPDX-License-Identifier: ISC */
/*
 * Stepping down to the command's user. No name-service look-ups, so numbers only; raises nothing.
 */
#include "init/identity.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_user(uid_t uid)
{
	uid_t real;
	uid_t effective;
	uid_t saved;

	return getresuid(&real, &effective, &saved) == 0 && real == uid && effective == uid &&
	       saved == uid;
}

static bool is_group(gid_t gid)
{
	gid_t real;
	gid_t effective;
	gid_t saved;

	return getresgid(&real, &effective, &saved) == 0 && real == gid && effective == gid &&
	       saved == gid;
}

/* Groups first: without its capabilities a process can no longer change them. */
static int set_ids(uid_t uid, gid_t gid)
{
	if (getgroups(0, NULL) != 0 && setgroups(0, NULL) != 0) {
		return -1;
	}
	if (!is_group(gid) && setresgid(gid, gid, gid) != 0) {
		return -1;
	}
	return is_user(uid) ? 0 : setresuid(uid, uid, uid);
}

/* The inheritable set would come back through a file's capabilities; ambient goes with it. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { { 0, 0, 0 }, { 0, 0, 0 } };

	return (int)syscall(SYS_capset, &header, none);
}

enum phial_status phial_init_take_identity(const struct phial_init_options *options,
					   struct phial_error *err)
{
	if (options->has_user && set_ids(options->uid, options->gid) != 0) {
		return phial_fail(err, errno == EPERM ? PHIAL_DENIED : PHIAL_SYSTEM, errno,
				  "become user %u:%u without other groups (start the container "
				  "with --cap-add=SETUID --cap-add=SETGID, or as that user)",
				  options->uid, options->gid);
	}
	if (options->has_user && drop_capabilities() != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "drop capabilities");
	}
	if (!options->may_gain && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "set no_new_privs");
	}
	return PHIAL_OK;
}
