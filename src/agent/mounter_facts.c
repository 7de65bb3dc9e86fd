/* SPDX-License-Identifier: ISC */
/*
 * Who asks: from a pidfd to the facts that grants and gates are decided by, out of the host's
 * /proc. What the process itself says counts for nothing here. Enters nothing and mounts nothing.
 */
#include "agent/mounter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <phial/sealed.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "host/container.h"
#include "host/file.h"
#include "host/pidfd.h"
#include "oci/config.h"
#include "wire/init_protocol.h"

#define MOUNTINFO_MAX_BYTES ((size_t)16 * 1024 * 1024)
/* A process whose parents are more than this has no business to be a container's first. */
#define ANCESTORS_MAX 64

static enum phial_status refuse_grant(struct phial_error *err, const char *why)
{
	return phial_fail(err, PHIAL_REFUSED, 0,
			  PHIAL_INIT_GRANT_DIR " %s; mount RUN_DIR/workload/NAME there, read-only, "
					       "as --mount type=bind,src=/run/phial/workload/NAME,"
					       "dst=" PHIAL_INIT_GRANT_DIR ",readonly does",
			  why);
}

/* --- the process ---------------------------------------------------------------------------- */

/*
 * Is it the pidfd of this very number? Whoever passes his own cannot have one of a process that he
 * does not see, so that a number given to another process since is found out.
 */
static enum phial_status check_pidfd(const struct phial_mounter_job *job, struct phial_error *err)
{
	pid_t pid;
	enum phial_status status = phial_pidfd_find(job->pidfd, &pid, err);

	return status == PHIAL_OK && pid != job->pid
		       ? phial_fail(err, PHIAL_REFUSED, 0,
				    "the pidfd that was sent is not that of the asking process")
		       : status;
}

static enum phial_status check_alive(const struct phial_mounter_job *job, struct phial_error *err)
{
	return phial_pidfd_has_ended(job->pidfd)
		       ? phial_fail(err, PHIAL_GONE, 0, "process %d is gone", (int)job->pid)
		       : PHIAL_OK;
}

/* The number behind "\nKEY:" in a status file, the last one of its line; -1 if there is none. */
static long last_number(const char *text, const char *key)
{
	const char *line = strstr(text, key);
	long number = -1;

	if (!line) {
		return -1;
	}
	for (line += strlen(key); *line == '\t' || *line == ' ';) {
		char *end;

		number = strtol(line, &end, 10);
		line = end;
	}
	return number;
}

static bool is_in_mount_namespace(pid_t pid, uint64_t inode)
{
	char path[64];
	struct stat found;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	return stat(path, &found) == 0 && found.st_ino == inode;
}

/*
 * Is the first process of its process namespace one of the same container? That is phial-init
 * itself, or what started it inside (docker run --init). Not found: somebody else's, as in a pod.
 */
static bool has_own_processes(pid_t pid, uint64_t mount_namespace)
{
	for (int i = 0; i < ANCESTORS_MAX && pid > 1; i++) {
		char path[64];
		phial_auto_free char *text = NULL;

		(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
		if (phial_host_read(AT_FDCWD, path, &text, NULL) != PHIAL_OK) {
			return false;
		}
		if (last_number(text, "\nNSpid:") == 1) {
			return is_in_mount_namespace(pid, mount_namespace);
		}
		pid = (pid_t)last_number(text, "\nPPid:");
	}
	return false;
}

static enum phial_status find_user(const struct phial_target *target, uint32_t outside,
				   uint32_t *ret_inside, struct phial_error *err)
{
	static struct phial_id_map map;
	static char text[16384];
	size_t length = 0;
	enum phial_status status =
		phial_target_read_map(target, "uid_map", text, sizeof(text), &length, err);

	if (status == PHIAL_OK) {
		status = phial_id_map_parse(text, length, &map, err);
	}
	if (status == PHIAL_OK && !phial_id_map_inside(&map, outside, ret_inside)) {
		status = phial_fail(err, PHIAL_REFUSED, 0,
				    "the asking process has a user that its container does not");
	}
	return status;
}

static enum phial_status look_at_process(const struct phial_mounter_job *job,
					 const struct phial_target *target,
					 struct phial_mounter_facts *facts, struct phial_error *err)
{
	struct phial_container_facts found;
	enum phial_status status = phial_container_look(job->pid, "/", &found, err);

	if (status == PHIAL_OK) {
		status = find_user(target, found.uid, &facts->uid, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	facts->pid = job->pid;
	facts->start_time = target->start_time;
	facts->mount_namespace = target->namespace_inode;
	/* phial-init may have dropped the others itself, of a container that was started with them. */
	facts->capabilities = found.capabilities | found.bounding;
	facts->has_no_new_privileges = found.has_no_new_privileges;
	facts->has_seccomp = found.has_seccomp;
	facts->shares_network = found.shares_network_namespace;
	facts->shares_user = found.shares_user_namespace;
	facts->pid_namespace = found.shares_pid_namespace ? PHIAL_OCI_NS_HOST
			       : has_own_processes(job->pid, target->namespace_inode)
				       ? PHIAL_OCI_NS_NEW
				       : PHIAL_OCI_NS_JOINED;
	return PHIAL_OK;
}

static enum phial_status look_at_cgroup(const struct phial_target *target,
					struct phial_mounter_facts *facts, struct phial_error *err)
{
	phial_auto_free char *text = NULL;
	char id[PHIAL_CGROUP_ID_BYTES];
	enum phial_status status = phial_host_read(target->process_fd, "cgroup", &text, err);

	if (status != PHIAL_OK) {
		return status;
	}
	facts->memory_limit_bytes = phial_cgroup_read_limit(text, "memory");
	facts->pids_limit = phial_cgroup_read_limit(text, "pids");
	if (phial_cgroup_find_id(text, id)) {
		(void)snprintf(facts->container, sizeof(facts->container), "%s", id);
	} else {
		(void)snprintf(facts->container, sizeof(facts->container), "pid-%d",
			       (int)target->pid);
	}
	return PHIAL_OK;
}

/* --- its mounts ----------------------------------------------------------------------------- */

static bool is_same(struct phial_span a, struct phial_span b)
{
	return a.length == b.length && memcmp(a.text, b.text, a.length) == 0;
}

/* A mount's options begin with one of the two. */
static bool is_read_only(const struct phial_mount_line *line)
{
	struct phial_span options = line->options;

	return phial_span_skip(&options, "ro") && (options.length == 0 || options.text[0] == ',');
}

/* The path of a mount's root up to its last component. */
static struct phial_span folder_of(struct phial_span root)
{
	const char *slash = root.length > 0 ? memrchr(root.text, '/', root.length) : NULL;

	return (struct phial_span){ root.text, slash ? (size_t)(slash - root.text) + 1 : 0 };
}

/* The root of the mount is a workload's directory by name; see that it is by number, too. */
static enum phial_status find_workload(const struct phial_mounter_job *job,
				       const struct phial_mount_line *grant,
				       const struct phial_target_place *place,
				       struct phial_mounter_facts *facts, struct phial_error *err)
{
	const size_t folder = folder_of(grant->root).length;
	const struct phial_span name = { grant->root.text + folder, grant->root.length - folder };
	struct stat found;

	if (!phial_span_copy(name, facts->workload, sizeof(facts->workload)) ||
	    phial_name_check(facts->workload, NULL) != PHIAL_OK ||
	    fstatat(job->workload_fd, facts->workload, &found, AT_SYMLINK_NOFOLLOW) != 0 ||
	    found.st_dev != place->device || found.st_ino != place->inode) {
		return refuse_grant(err, "is not the directory of a workload");
	}
	return PHIAL_OK;
}

/* Every mount of a workload's directory: one container is one workload, and cannot change it. */
static enum phial_status check_other_grants(const char *mounts,
					    const struct phial_mount_line *grant,
					    struct phial_error *err)
{
	struct phial_span rest = phial_span_of(mounts);
	struct phial_mount_line line;

	while (phial_mountinfo_next(&rest, &line)) {
		if (!is_same(line.device, grant->device) ||
		    !is_same(folder_of(line.root), folder_of(grant->root))) {
			continue;
		}
		if (!is_same(line.root, grant->root)) {
			return phial_fail(err, PHIAL_REFUSED, 0,
					  "two grant mounts of different workloads; one container "
					  "is one workload");
		}
		if (!is_read_only(&line)) {
			return refuse_grant(err, "or another mount of the grant is writable");
		}
	}
	return PHIAL_OK;
}

/* The last mount at "/" is the one that is seen. */
static bool has_read_only_root(const char *mounts)
{
	struct phial_span rest = phial_span_of(mounts);
	struct phial_mount_line line;
	bool is_found_read_only = false;

	while (phial_mountinfo_next(&rest, &line)) {
		if (phial_span_is(line.place, "/")) {
			is_found_read_only = is_read_only(&line);
		}
	}
	return is_found_read_only;
}

static enum phial_status look_at_mounts(const struct phial_mounter_job *job,
					const struct phial_target *target,
					struct phial_mounter_facts *facts, struct phial_error *err)
{
	phial_auto_free uint8_t *text = NULL;
	size_t length;
	struct phial_target_place place;
	struct phial_mount_line grant;
	enum phial_status status = phial_target_look(target, &PHIAL_INIT_GRANT_DIR[1], &place, err);

	if (status == PHIAL_NOT_FOUND) {
		return refuse_grant(err, "is no directory in this container");
	}
	if (status == PHIAL_OK) {
		status = phial_read_all(target->mountinfo_fd, MOUNTINFO_MAX_BYTES, &text, &length,
					err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	const char *mounts = (const char *)text;

	if (!place.is_mount_root || !phial_mountinfo_find_line(mounts, place.mount_id, &grant)) {
		return refuse_grant(err, "is no mount");
	}
	status = find_workload(job, &grant, &place, facts, err);
	if (status == PHIAL_OK) {
		status = check_other_grants(mounts, &grant, err);
	}
	facts->root_is_read_only = has_read_only_root(mounts);
	return status;
}

enum phial_status phial_mounter_find_facts(const struct phial_mounter_job *job,
					   struct phial_mounter_facts *ret_facts,
					   struct phial_error *err)
{
	phial_auto_target struct phial_target target = PHIAL_TARGET_NONE;
	struct phial_mounter_facts facts = { .pid = 0 };
	enum phial_status status = check_pidfd(job, err);

	if (status == PHIAL_OK) {
		status = phial_target_open(job->pid, &target, err);
	}
	if (status == PHIAL_OK) {
		status = look_at_mounts(job, &target, &facts, err);
	}
	if (status == PHIAL_OK) {
		status = look_at_process(job, &target, &facts, err);
	}
	if (status == PHIAL_OK) {
		status = look_at_cgroup(&target, &facts, err);
	}
	if (status == PHIAL_OK) { /* last: until here the number was that process's */
		status = check_alive(job, err);
	}
	if (status == PHIAL_OK) {
		*ret_facts = facts;
	}
	return status;
}
