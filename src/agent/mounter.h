/* SPDX-License-Identifier: ISC */
/*
 * The mounter: a short-lived child of the supervisor that does for one phial-init what phial-hook
 * does for a runtime. It finds out by /proc who asks, tells the worker (FACTS), and goes on as a
 * hook does from its verdict on (wire/hook_protocol.h), in the container of that one process.
 */
#ifndef PHIAL_AGENT_MOUNTER_H
#define PHIAL_AGENT_MOUNTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <phial/error.h>

#include "mount/mount.h"

/* At work at once; more wait with the worker. */
#define PHIAL_MOUNTERS_MAX 8

#define PHIAL_CGROUP_ID_BYTES 65 /* 64 hexadecimal digits and a NUL */

/* Frames to the worker beside the hook's, away from their numbers. */
enum phial_mounter_frame {
	PHIAL_MOUNTER_FACTS = 512, /* instead of START: struct phial_mounter_facts */
	PHIAL_MOUNTER_FAILED,	   /* it cannot go on: struct phial_mounter_failure */
};

/* What it is to look at and to mount into. The descriptors stay the caller's. */
struct phial_mounter_job {
	pid_t pid; /* of the connection's other end, as the kernel told the worker */
	int pidfd;
	int workload_fd; /* RUN_DIR/workload */
};

/* FACTS: about the asking process and its container. Texts are NUL-terminated. */
struct phial_mounter_facts {
	int32_t pid;
	uint32_t uid; /* effective, as the container counts */
	uint64_t start_time;
	uint64_t mount_namespace;
	uint64_t capabilities;	    /* that it has, or can get by set-user-ID programs */
	int64_t memory_limit_bytes; /* 0: none */
	int64_t pids_limit;
	uint32_t has_no_new_privileges; /* 0 or 1, as the next ones */
	uint32_t has_seccomp;
	uint32_t root_is_read_only;
	uint32_t shares_network; /* with the host */
	uint32_t shares_user;
	uint32_t pid_namespace; /* enum phial_oci_namespace */
	char container[72];	/* its engine's id, or "pid-N" */
	char workload[64];	/* whose directory is mounted read-only at PHIAL_INIT_GRANT_DIR */
};

struct phial_mounter_failure {
	uint32_t status; /* enum phial_status, not PHIAL_OK */
	char text[PHIAL_ERROR_TEXT_BYTES];
};

/*
 * Do the job, talking to the worker at fd, and return the exit status. Called in the child, with the
 * capabilities of phial_inject_cut_capabilities() and a limit of time. Leaves the process in the
 * container's mount namespace.
 */
int phial_mounter_run(int fd, const struct phial_mounter_job *job);

/*
 * mounter_facts.c: find out who asks. Nothing is believed of the number alone: the pidfd must be of
 * that process, and alive when everything has been read. Returns PHIAL_OK; PHIAL_REFUSED with what
 * is wrong and what to do; PHIAL_GONE; PHIAL_MALFORMED; PHIAL_SYSTEM. May block where the container
 * has a file system that does not answer. See proc(5), pidfd_open(2).
 */
PHIAL_CHECKED enum phial_status phial_mounter_find_facts(const struct phial_mounter_job *job,
							 struct phial_mounter_facts *ret_facts,
							 struct phial_error *err);

/*
 * mounter_cgroup.c, all pure: the first 64 hexadecimal digits in a row of a /proc/PID/cgroup, as
 * engines name containers. Returns false if there are none.
 */
bool phial_cgroup_find_id(const char *cgroup, char ret_id[static PHIAL_CGROUP_ID_BYTES]);

/* A number for a container's processes in common: of its id, or else of the whole text. */
uint64_t phial_cgroup_number(const char *cgroup);

/*
 * Find the cgroup of one controller ("memory") in such a text. ret_path: below /sys/fs/cgroup.
 * ret_is_unified: a cgroup v2. Returns false if there is none, or with ".." in it.
 */
bool phial_cgroup_find_path(const char *cgroup, const char *controller, char ret_path[static 4096],
			    bool *ret_is_unified);

/*
 * Is whoever has the text other in the same container's cgroup as who has the text own, or below,
 * in every hierarchy? What a container makes below the cgroup that its engine named by its id (64
 * hexadecimal digits) is all its own. A hierarchy in which own is at the root tells nothing.
 */
bool phial_cgroup_contains(const char *own, const char *other);

/*
 * The limit of a process, from its cgroup or one above it: the smallest. cgroup: the text of its
 * /proc/PID/cgroup. controller: "memory" or "pids". Returns 0 when there is none. Reads
 * /sys/fs/cgroup. See cgroups(7).
 */
int64_t phial_cgroup_read_limit(const char *cgroup, const char *controller);

#endif
