/* SPDX-License-Identifier: ISC */
/* What /proc says of a running container. */
#ifndef PHIAL_HOST_CONTAINER_H
#define PHIAL_HOST_CONTAINER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <phial/error.h>
#include <phial/sealed.h>

#include "base/parse.h"
#include "host/grade.h"

/*
 * Look at a container's first process. pid: as the caller's /proc counts. target: where its
 * secrets are, as it sees it. ret_facts: has_weak_release is the caller's to set. Returns PHIAL_OK;
 * PHIAL_NOT_FOUND when the process is gone; PHIAL_DENIED when the caller may not look (all of it
 * needs root); PHIAL_MALFORMED; PHIAL_SYSTEM. See proc(5), namespaces(7).
 */
PHIAL_CHECKED enum phial_status phial_container_look(pid_t pid, const char *target,
						     struct phial_container_facts *ret_facts,
						     struct phial_error *err);

/*
 * What is mounted at a place, by the text of a mountinfo file. The last mount at the place counts.
 * Sets ret_facts' secrets and secrets_are_writable. Pure. See proc(5).
 */
void phial_container_read_mounts(const char *mountinfo, const char *target,
				 struct phial_container_facts *ret_facts);

/*
 * Read ids, capabilities, seccomp and no_new_privs from the text of a status file. Returns false
 * when one of them is missing. Pure. See proc(5).
 */
bool phial_container_read_status(const char *status, struct phial_container_facts *ret_facts);

/* Whose is the first of a container's secrets, as the host counts. */
struct phial_secret_owner {
	uint32_t uid;
	bool is_for_others; /* its group or everybody may read it, too */
};

/*
 * Find out. Follows a path through what the container has mounted, which may take for ever: for a
 * child that is killed. Returns PHIAL_OK; PHIAL_NOT_FOUND when there is no file; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_container_find_owner(pid_t pid, const char *target,
							   struct phial_secret_owner *ret_owner,
							   struct phial_error *err);

/* A process that sees a workload's directory where secrets should be. */
struct phial_bare_grant {
	pid_t pid; /* the lowest of its mount namespace */
	uint64_t mount_namespace;
	char workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	char place[256]; /* where the directory is mounted, as the process sees it */
};

/*
 * Find containers, by /proc, in which a grant mount lies open: the directory of a workload, and no
 * secrets over it. workload_dir: "/run/phial/workload". ret_grants: freed by the caller. Sets
 * *ret_unseen to the number of processes that the caller may not look at. Returns PHIAL_OK;
 * PHIAL_NOT_FOUND when there is no such directory; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_container_find_bare(const char *workload_dir,
							  struct phial_bare_grant **ret_grants,
							  size_t *ret_count, size_t *ret_unseen,
							  struct phial_error *err);

/* One line of mountinfo, the pieces that are asked for; spans into the text. */
struct phial_mount_line {
	struct phial_span id;	   /* of the mount */
	struct phial_span device;  /* "0:35" */
	struct phial_span root;	   /* the mount's root within its file system */
	struct phial_span place;   /* mount point, with \040 and the like as they are */
	struct phial_span options; /* of the mount */
	struct phial_span type;
	struct phial_span super_options;
};

/* Take the next line off a mountinfo text. Returns false at its end; odd lines are skipped. */
bool phial_mountinfo_next(struct phial_span *rest, struct phial_mount_line *ret_line);

/* Find a mount by its id in such a text. ret_line: into mountinfo. Returns false if it has none. */
bool phial_mountinfo_find_line(const char *mountinfo, uint64_t mount_id,
			       struct phial_mount_line *ret_line);

#endif
