/* SPDX-License-Identifier: ISC */
/*
 * Start of the supervisor. Everything that needs a path, root's full power or a listening socket
 * is done here, once, before the ring is joined.
 */
#include "agent/supervisor_start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/auditor.h"
#include "agent/identity.h"
#include "base/cleanup.h"
#include "base/secret.h"
#include "keyring/keyring.h"
#include "mount/mount.h"
#include "wire/frame.h"
#include "wire/hook_protocol.h"

/* The worker's own, its callers and mounters, and 92 clients (child.c). */
#define DESCRIPTORS_MIN 352

/* Make a directory below another if it is missing; it must be ours and nobody else's to write. */
static enum phial_status take_directory(int parent_fd, const char *path, mode_t mode, int *ret_fd,
					struct phial_error *err)
{
	struct stat status;

	if (mkdirat(parent_fd, path, mode) != 0 && errno != EEXIST) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "make directory %s", path);
	}
	phial_auto_fd int fd =
		openat(parent_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &status) != 0) {
		return phial_fail(err, PHIAL_DENIED, errno, "%s is not a directory of the agent's",
				  path);
	}
	if (status.st_uid != geteuid() || (status.st_mode & 022) != 0) {
		return phial_fail(err, PHIAL_DENIED, 0,
				  "%s belongs to uid %u or can be written by others: somebody else "
				  "made it; remove it and start again",
				  path, (unsigned int)status.st_uid);
	}
	if (fchmod(fd, mode) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "chmod %s", path);
	}
	*ret_fd = phial_take_fd(&fd);
	return PHIAL_OK;
}

/* One agent a run directory. */
static enum phial_status take_lock(struct supervisor *supervisor, struct phial_error *err)
{
	supervisor->lock_fd =
		openat(supervisor->run_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (supervisor->lock_fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "open %s/lock",
				  supervisor->options->run_dir);
	}
	if (flock(supervisor->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		return phial_fail(err, PHIAL_EXISTS, 0,
				  "another agent runs already on %s (\"phial status\" asks it)",
				  supervisor->options->run_dir);
	}
	return PHIAL_OK;
}

static enum phial_status listen_below(const struct supervisor *supervisor, const char *name,
				      int *ret_fd, struct phial_error *err)
{
	char path[256];
	int length = snprintf(path, sizeof(path), "%s/%s", supervisor->options->run_dir, name);

	if (length < 0 || (size_t)length >= sizeof(path)) {
		return phial_fail(err, PHIAL_USAGE, 0, "--run-dir is too long for a socket");
	}
	enum phial_status status = phial_socket_listen(path, ret_fd, err);

	/* The worker polls before it accepts, but the peer may be gone by then. */
	if (status == PHIAL_OK && fcntl(*ret_fd, F_SETFL, O_NONBLOCK) != 0) {
		status = phial_fail(err, PHIAL_SYSTEM, errno, "fcntl");
	}
	return status;
}

/*
 * Containers' users connect to it, by its name in the one directory that they see. Not for a user's
 * agent: it cannot enter what an engine made in another user namespace.
 */
static enum phial_status listen_for_init(struct supervisor *supervisor, struct phial_error *err)
{
	enum phial_status status =
		listen_below(supervisor, PHIAL_INIT_LISTEN_NAME, &supervisor->init_fd, err);

	if (status == PHIAL_OK &&
	    fchmodat(supervisor->run_fd, PHIAL_INIT_LISTEN_NAME, 0666, 0) != 0) {
		status = phial_fail(err, PHIAL_SYSTEM, errno, "chmod " PHIAL_INIT_LISTEN_NAME);
	}
	return status;
}

static enum phial_status take_run_directory(struct supervisor *supervisor, struct phial_error *err)
{
	phial_auto_fd int empty_fd = -1;
	const struct phial_agent_options *options = supervisor->options;
	enum phial_status status =
		take_directory(AT_FDCWD, options->run_dir, 0700, &supervisor->run_fd, err);

	if (status == PHIAL_OK) {
		status = take_lock(supervisor, err);
	}
	if (status == PHIAL_OK) {
		status = take_directory(supervisor->run_fd, "empty", 0555, &empty_fd, err);
	}
	if (status == PHIAL_OK) {
		status = take_directory(supervisor->run_fd, PHIAL_WORKLOAD_DIR_NAME, 0755,
					&supervisor->workload_fd, err);
	}
	if (status == PHIAL_OK) {
		status =
			listen_below(supervisor, PHIAL_HOOK_SOCKET_NAME, &supervisor->hook_fd, err);
	}
	if (status == PHIAL_OK) {
		status = listen_below(supervisor, PHIAL_ADMIN_SOCKET_NAME, &supervisor->admin_fd,
				      err);
	}
	if (status == PHIAL_OK && !options->is_user) {
		status = listen_for_init(supervisor, err);
	}
	int length = snprintf(supervisor->empty_dir, sizeof(supervisor->empty_dir), "%s/empty",
			      options->run_dir);

	if (length < 0 || (size_t)length >= sizeof(supervisor->empty_dir)) {
		return phial_fail(err, PHIAL_USAGE, 0, "--run-dir is too long");
	}
	return status;
}

/* In a user's home nobody made the directories above; what fails here fails again below. */
static void make_parents(const char *path)
{
	char parent[4096];

	if ((size_t)snprintf(parent, sizeof(parent), "%s", path) >= sizeof(parent)) {
		return;
	}
	for (char *slash = strchr(parent + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(parent, 0700);
		*slash = '/';
	}
}

/* The state directory belongs to the worker's user, and only that one directory is its world. */
static enum phial_status take_state_directory(struct supervisor *supervisor,
					      struct phial_error *err)
{
	const struct phial_agent_options *options = supervisor->options;
	struct stat status;

	if (options->is_user) {
		make_parents(options->state_dir);
	}
	if (mkdir(options->state_dir, 0700) == 0 &&
	    chown(options->state_dir, options->uid, options->gid) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "chown %s", options->state_dir);
	}
	if (lstat(options->state_dir, &status) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno,
				  "state directory %s (\"phial setup\" makes it)",
				  options->state_dir);
	}
	if (!S_ISDIR(status.st_mode) || status.st_uid != options->uid ||
	    (status.st_mode & 022) != 0) {
		return phial_fail(
			err, PHIAL_DENIED, 0,
			"state directory %s must be a directory of user \"%s\", mode 0700",
			options->state_dir, options->worker_user);
	}
	return phial_mount_clone_directory(options->state_dir, false, &supervisor->state_fd, err);
}

/* The audit log's, below it; the auditor's only world. */
static enum phial_status take_audit_directory(struct supervisor *supervisor,
					      struct phial_error *err)
{
	const struct phial_agent_options *options = supervisor->options;
	char path[4096];
	struct stat status;
	int length = snprintf(path, sizeof(path), "%s/" PHIAL_AUDITOR_DIR, options->state_dir);

	if (length < 0 || (size_t)length >= sizeof(path)) {
		return phial_fail(err, PHIAL_USAGE, 0, "--state-dir is too long");
	}
	if (mkdirat(supervisor->state_fd, PHIAL_AUDITOR_DIR, 0700) == 0 &&
	    fchownat(supervisor->state_fd, PHIAL_AUDITOR_DIR, options->uid, options->gid,
		     AT_SYMLINK_NOFOLLOW) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "chown %s", path);
	}
	if (lstat(path, &status) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "%s", path);
	}
	if (!S_ISDIR(status.st_mode) || status.st_uid != options->uid ||
	    (status.st_mode & 022) != 0) {
		return phial_fail(err, PHIAL_DENIED, 0,
				  "%s must be a directory of user \"%s\", mode 0700", path,
				  options->worker_user);
	}
	return phial_mount_clone_directory(path, false, &supervisor->audit_fd, err);
}

/* Two descriptors for each live container: take what the hard limit gives. */
static enum phial_status raise_descriptor_limit(struct phial_error *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "getrlimit RLIMIT_NOFILE");
	}
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max < DESCRIPTORS_MIN) {
		return phial_fail(
			err, PHIAL_SYSTEM, 0,
			"only %llu open files are allowed (RLIMIT_NOFILE); the agent needs "
			"%d, and two more for each container: raise LimitNOFILE= or ulimit -n",
			(unsigned long long)limit.rlim_max, DESCRIPTORS_MIN);
	}
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "setrlimit RLIMIT_NOFILE");
	}
	return PHIAL_OK;
}

/* Which boot this is: a pid of another boot means nothing. */
static enum phial_status read_boot_id(struct supervisor *supervisor, struct phial_error *err)
{
	phial_auto_fd int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	const ssize_t length = (ssize_t)sizeof(supervisor->boot_id) - 1;

	if (fd < 0 || read(fd, supervisor->boot_id, (size_t)length) != length) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "read the boot id");
	}
	return PHIAL_OK;
}

enum phial_status supervisor_prepare(struct supervisor *supervisor, struct phial_error *err)
{
	if (geteuid() != 0) {
		return phial_fail(err, PHIAL_DENIED, 0,
				  "the agent must be started by root (sudo phiald); or, for this "
				  "user's rootless Podman, with --user");
	}
	supervisor->mount_kind = phial_mount_best_kind();
	enum phial_status status = raise_descriptor_limit(err);

	if (status == PHIAL_OK) {
		status = take_run_directory(supervisor, err);
	}
	if (status == PHIAL_OK && supervisor->options->boot_dir) {
		status = take_directory(AT_FDCWD, supervisor->options->boot_dir, 0755,
					&supervisor->boot_fd, err);
	}
	if (status == PHIAL_OK) {
		status = take_state_directory(supervisor, err);
	}
	if (status == PHIAL_OK) {
		status = take_audit_directory(supervisor, err);
	}
	if (status == PHIAL_OK) {
		status = read_boot_id(supervisor, err);
	}
	if (status == PHIAL_OK) {
		status =
			phial_filters_make(supervisor->options->is_user, &supervisor->filters, err);
	}
	if (status == PHIAL_OK) {
		status = phial_pages_make(&supervisor->pages, err);
	}
	return status;
}

/* Put the host's key into the ring: every worker, also a later one, takes it from there. */
static enum phial_status store_identity(struct supervisor *supervisor,
					const struct phial_secret *text, struct phial_error *err)
{
	const struct phial_key_header header = {
		.magic = PHIAL_KEY_MAGIC,
		.kind = PHIAL_KEY_IDENTITY,
		.part_count = 1,
		.total_bytes = (uint32_t)phial_secret_length(text),
	};
	size_t length = sizeof(header) + phial_secret_length(text);

	memcpy(supervisor->pages.bytes, &header, sizeof(header));
	memcpy(supervisor->pages.bytes + sizeof(header), phial_secret_const_bytes(text),
	       phial_secret_length(text));
	enum phial_status status = phial_keyring_add(supervisor->ring, supervisor->pages.bytes,
						     length, 0, &supervisor->identity_serial, err);

	explicit_bzero(supervisor->pages.bytes, length);
	return status;
}

enum phial_status supervisor_take_ring(struct supervisor *supervisor, struct phial_error *err)
{
	phial_auto_secret struct phial_secret *text = NULL;
	enum phial_status status =
		phial_agent_identity_read(supervisor->options, &text, supervisor->host_key, err);

	if (status == PHIAL_OK) {
		status = phial_keyring_join(&supervisor->ring, err);
	}
	if (status == PHIAL_OK) {
		status = store_identity(supervisor, text, err);
	}
	if (status == PHIAL_OK) {
		status = phial_sandbox_supervisor(err);
	}
	return status;
}

void supervisor_remove_sockets(struct supervisor *supervisor)
{
	/* Without the lock they are another agent's. */
	if (supervisor->lock_fd >= 0 && supervisor->admin_fd >= 0) {
		(void)unlinkat(supervisor->run_fd, PHIAL_HOOK_SOCKET_NAME, 0);
		(void)unlinkat(supervisor->run_fd, PHIAL_ADMIN_SOCKET_NAME, 0);
		(void)unlinkat(supervisor->run_fd, PHIAL_INIT_LISTEN_NAME, 0);
	}
}
