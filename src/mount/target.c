/* SPDX-License-Identifier: ISC */
/*
 * A container's first process: opened once, by descriptors that stay its own, from the /proc
 * that the caller sees before it enters any namespace. Changes nothing.
 */
#include "mount/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/parse.h"
#include "mount/place.h"
#include "mount/sys.h"

#define PROC_MAGIC 0x9fa0 /* PROC_SUPER_MAGIC */

/* A file of a process that is not there any more, or cannot be opened. */
static enum phial_status open_failure(pid_t pid, const char *what, struct phial_error *err)
{
	if (errno == ENOENT || errno == ESRCH) {
		return phial_fail(err, PHIAL_GONE, 0, "process %d is gone", (int)pid);
	}
	return phial_fail(err, PHIAL_SYSTEM, errno, "open %s of process %d", what, (int)pid);
}

static enum phial_status open_proc(int *ret_fd, struct phial_error *err)
{
	char link[16] = { 0 };
	char pid[16];
	struct statfs found;
	phial_auto_fd int fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fstatfs(fd, &found) != 0 || (uint64_t)found.f_type != PROC_MAGIC) {
		return phial_fail(err, PHIAL_SYSTEM, fd < 0 ? errno : 0,
				  "/proc is not a proc file system");
	}
	/* Numbers of another pid namespace would name other processes (runc's createContainer). */
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (readlinkat(fd, "self", link, sizeof(link) - 1) < 0 || strcmp(link, pid) != 0) {
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "/proc belongs to another pid namespace (phial's hook belongs "
				  "to the createRuntime or prestart stage)");
	}
	*ret_fd = phial_take_fd(&fd);
	return PHIAL_OK;
}

/* Field 22 of /proc/PID/stat; field 2, the name, may hold spaces and parentheses. */
static bool parse_start_time(const char *text, uint64_t *ret_start_time)
{
	const char *name_end = strrchr(text, ')');

	if (!name_end || name_end[1] != ' ') {
		return false;
	}
	struct phial_span rest = phial_span_of(name_end + 2);
	struct phial_span word = { NULL, 0 };

	for (int field = 3; field <= 22; field++) {
		if (!phial_next_word(&rest, &word)) {
			return false;
		}
	}
	return phial_parse_u64(word, 1, UINT64_MAX, ret_start_time);
}

static enum phial_status read_file(const struct phial_target *target, const char *name, char *text,
				   size_t text_bytes, size_t *ret_length, struct phial_error *err)
{
	phial_auto_fd int fd = openat(target->process_fd, name, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got = 1;

	if (fd < 0) {
		return open_failure(target->pid, name, err);
	}
	while (got > 0) {
		if (length == text_bytes) {
			return phial_fail(err, PHIAL_TOO_LARGE, 0,
					  "%s of process %d is over %zu bytes", name,
					  (int)target->pid, text_bytes - 1);
		}
		got = read(fd, text + length, text_bytes - length);
		length += got > 0 ? (size_t)got : 0;
	}
	if (got < 0) {
		return open_failure(target->pid, name, err);
	}
	*ret_length = length;
	return PHIAL_OK;
}

enum phial_status phial_target_read_map(const struct phial_target *target, const char *map,
					char *text, size_t text_bytes, size_t *ret_length,
					struct phial_error *err)
{
	return read_file(target, map, text, text_bytes, ret_length, err);
}

static enum phial_status read_start_time(struct phial_target *target, struct phial_error *err)
{
	char text[1024];
	size_t length;
	enum phial_status status = read_file(target, "stat", text, sizeof(text), &length, err);

	if (status != PHIAL_OK) {
		return status;
	}
	text[length < sizeof(text) ? length : sizeof(text) - 1] = '\0';
	if (!parse_start_time(text, &target->start_time)) {
		return phial_fail(err, PHIAL_SYSTEM, 0, "/proc/%d/stat has no start time",
				  (int)target->pid);
	}
	return PHIAL_OK;
}

static enum phial_status open_files(int proc_fd, struct phial_target *target,
				    struct phial_error *err)
{
	char number[16];

	(void)snprintf(number, sizeof(number), "%d", (int)target->pid);
	target->process_fd = openat(proc_fd, number, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (target->process_fd < 0) {
		return open_failure(target->pid, "/proc entry", err);
	}
	target->namespace_fd = openat(target->process_fd, "ns/mnt", O_RDONLY | O_CLOEXEC);
	if (target->namespace_fd < 0) {
		return open_failure(target->pid, "mount namespace", err);
	}
	target->mountinfo_fd = openat(target->process_fd, "mountinfo", O_RDONLY | O_CLOEXEC);
	if (target->mountinfo_fd < 0) {
		return open_failure(target->pid, "mount table", err);
	}
	target->own_namespaces_fd = openat(proc_fd, "self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);
	target->own_mountinfo_fd = openat(proc_fd, "self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (target->own_namespaces_fd < 0 || target->own_mountinfo_fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "open /proc/self/ns and mountinfo");
	}
	return read_start_time(target, err);
}

/* What the descriptors show: another namespace than ours, and whether the root is still ours. */
static enum phial_status compare_with_own(struct phial_target *target, struct phial_error *err)
{
	struct phial_place own;
	struct phial_place its;

	if (!phial_place_look(target->own_namespaces_fd, "mnt", &own)) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "look at /proc/self/ns/mnt");
	}
	if (!phial_place_look(target->namespace_fd, "", &its)) {
		return open_failure(target->pid, "mount namespace", err);
	}
	if (phial_place_is_same_file(&own, &its)) {
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "process %d has no mount namespace of its own: secrets would be "
				  "mounted on the host",
				  (int)target->pid);
	}
	target->namespace_inode = its.inode;
	if (!phial_place_look(AT_FDCWD, "/", &own)) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "look at /");
	}
	if (!phial_place_look(target->process_fd, "root", &its)) {
		return open_failure(target->pid, "root directory", err);
	}
	target->is_pivoted = !phial_place_is_same_file(&own, &its);
	return PHIAL_OK;
}

/*
 * Last: a number that was given away in between would show as an ended process here. poll() and
 * not a signal, which would need CAP_KILL.
 */
static enum phial_status check_alive(const struct phial_target *target, struct phial_error *err)
{
	struct pollfd exit = { .fd = target->pidfd, .events = POLLIN };

	if (poll(&exit, 1, 0) != 0) {
		return phial_fail(err, PHIAL_GONE, 0, "process %d is gone", (int)target->pid);
	}
	return PHIAL_OK;
}

enum phial_status phial_target_open(pid_t pid, struct phial_target *ret_target,
				    struct phial_error *err)
{
	phial_auto_target struct phial_target target = PHIAL_TARGET_NONE;
	phial_auto_fd int proc_fd = -1;

	if (pid <= 1) {
		return phial_fail(err, PHIAL_REFUSED, 0, "process %d is no container", (int)pid);
	}
	enum phial_status status = open_proc(&proc_fd, err);

	if (status != PHIAL_OK) {
		return status;
	}
	target.pid = pid;
	target.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (target.pidfd < 0) {
		return open_failure(pid, "pidfd", err);
	}
	status = open_files(proc_fd, &target, err);
	if (status == PHIAL_OK) {
		status = compare_with_own(&target, err);
	}
	if (status == PHIAL_OK) {
		status = check_alive(&target, err);
	}
	if (status == PHIAL_OK) {
		*ret_target = target;
		target = (struct phial_target)PHIAL_TARGET_NONE;
	}
	return status;
}

/* The /proc entry, which stays that of this process, and when the process began. */
static enum phial_status open_entry(pid_t pid, struct phial_target *target, struct phial_error *err)
{
	phial_auto_fd int proc_fd = -1;
	char number[16];
	enum phial_status status = open_proc(&proc_fd, err);

	if (status != PHIAL_OK) {
		return status;
	}
	target->pid = pid;
	(void)snprintf(number, sizeof(number), "%d", (int)pid);
	target->process_fd = openat(proc_fd, number, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (target->process_fd < 0) {
		return open_failure(pid, "/proc entry", err);
	}
	return read_start_time(target, err);
}

enum phial_status phial_target_open_entry(pid_t pid, uint64_t start_time,
					  struct phial_target *ret_target, struct phial_error *err)
{
	phial_auto_target struct phial_target target = PHIAL_TARGET_NONE;
	enum phial_status status = open_entry(pid, &target, err);

	if (status == PHIAL_OK && target.start_time != start_time) {
		status = phial_fail(err, PHIAL_GONE, 0, "process %d is gone", (int)pid);
	}
	if (status == PHIAL_OK) {
		*ret_target = target;
		target = (struct phial_target)PHIAL_TARGET_NONE;
	}
	return status;
}

enum phial_status phial_target_find_start_time(pid_t pid, uint64_t *ret_start_time,
					       struct phial_error *err)
{
	phial_auto_target struct phial_target target = PHIAL_TARGET_NONE;
	enum phial_status status = open_entry(pid, &target, err);

	if (status == PHIAL_OK) {
		*ret_start_time = target.start_time;
	}
	return status;
}

enum phial_status phial_target_look(const struct phial_target *target, const char *path,
				    struct phial_target_place *ret_place, struct phial_error *err)
{
	/* A magic link leads to the target's mounts; what is below it is walked with none. */
	phial_auto_fd int root_fd =
		openat(target->process_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct phial_place place;

	if (root_fd < 0) {
		return open_failure(target->pid, "root directory", err);
	}
	phial_auto_fd int fd =
		sys_openat2(root_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
			    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);

	if (fd < 0 || !phial_place_look(fd, "", &place)) {
		bool is_missing = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;

		return phial_fail(err, is_missing ? PHIAL_NOT_FOUND : PHIAL_SYSTEM, errno,
				  "look at /%s of process %d", path, (int)target->pid);
	}
	*ret_place = (struct phial_target_place){
		.device = place.device,
		.inode = place.inode,
		.mount_id = place.mount_id,
		.is_mount_root = place.is_mount_root,
	};
	return PHIAL_OK;
}

void phial_target_close(struct phial_target *target)
{
	phial_close_fd(&target->pidfd);
	phial_close_fd(&target->process_fd);
	phial_close_fd(&target->own_namespaces_fd);
	phial_close_fd(&target->namespace_fd);
	phial_close_fd(&target->mountinfo_fd);
	phial_close_fd(&target->own_mountinfo_fd);
}
