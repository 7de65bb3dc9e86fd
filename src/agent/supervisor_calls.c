/* SPDX-License-Identifier: ISC */
/*
 * The worker's calls, one handler each. A worker may be compromised: sizes are exact, names are
 * checked against their grammar, numbers are only looked up.
 */
#include "agent/supervisor_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <phial/sealed.h>

#include "agent/cdi.h"
#include "agent/link.h"
#include "agent/log.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "host/pidfd.h"
#include "keyring/keyring.h"
#include "mount/mount.h"
#include "wire/init_protocol.h"

#define NOT_INJECTED_FILE "PHIAL-NOT-INJECTED"

static const char not_injected_text[] =
	"This directory is a grant. At " PHIAL_INIT_GRANT_DIR
	" it is phial-init's, and belongs here.\n"
	"Anywhere else a container's secrets should be in its place, and phial did not put them here:\n"
	"the engine was started without phial's hook or runtime. Run \"phial status\" on the host.\n";

static enum phial_status on_add_key(struct supervisor *supervisor, const void *record,
				    struct phial_frame *frame, struct phial_link_answer *answer,
				    struct phial_error *err)
{
	const struct phial_link_add_key *call = record;
	int32_t serial;

	(void)frame;
	if (call->length > supervisor->pages.length) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "a key of %u bytes", call->length);
	}
	enum phial_status status = phial_keyring_add(supervisor->ring, supervisor->pages.bytes,
						     call->length, call->timeout_s, &serial, err);

	if (status == PHIAL_OK) {
		answer->number = (uint64_t)serial;
	}
	return status;
}

/* Put the file into a workload's directory that a container sees if phial never came by. */
static enum phial_status write_not_injected(int dir_fd, struct phial_error *err)
{
	phial_auto_fd int fd = openat(dir_fd, NOT_INJECTED_FILE,
				      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);

	if (fd < 0) {
		return errno == EEXIST ? PHIAL_OK
				       : phial_fail(err, PHIAL_SYSTEM, errno, "write %s",
						    NOT_INJECTED_FILE);
	}
	if (fchmod(fd, 0444) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "chmod %s", NOT_INJECTED_FILE);
	}
	return phial_write_all(fd, not_injected_text, sizeof(not_injected_text) - 1, err);
}

/*
 * At boot an engine may come before the agent, and refuses to start a container whose bind mount has
 * no source. systemd-tmpfiles makes the directories then, from this copy. Not being able to keep it
 * takes nothing from the containers of now.
 */
static void keep_for_boot(const struct supervisor *supervisor, const char *name)
{
	if (supervisor->boot_fd < 0) {
		return;
	}
	/* The mode again, because the umask is 077. */
	if ((mkdirat(supervisor->boot_fd, name, 0755) != 0 ||
	     fchmodat(supervisor->boot_fd, name, 0755, 0) != 0) &&
	    errno != EEXIST) {
		phial_log("workload %s will not be there before the agent at the next boot: %s: %s",
			  name, supervisor->options->boot_dir, strerror(errno));
	}
}

static enum phial_status on_workload(struct supervisor *supervisor, const void *record,
				     struct phial_frame *frame, struct phial_link_answer *answer,
				     struct phial_error *err)
{
	struct phial_link_workload call = *(const struct phial_link_workload *)record;
	struct stat status;
	phial_auto_fd int fd = -1;

	(void)frame;
	call.name[sizeof(call.name) - 1] = '\0';
	if (phial_name_check(call.name, err) != PHIAL_OK || strchr(call.name, '/')) {
		return phial_fail(err, PHIAL_BAD_NAME, 0, "not the name of a workload");
	}
	if (mkdirat(supervisor->workload_fd, call.name, 0755) != 0 && errno != EEXIST) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "make the directory of workload %s",
				  call.name);
	}
	fd = openat(supervisor->workload_fd, call.name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0755) != 0 || fstat(fd, &status) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "open the directory of workload %s",
				  call.name);
	}
	if (supervisor->init_fd >= 0 && mounters_link_socket(supervisor, fd, err) != PHIAL_OK) {
		return PHIAL_SYSTEM;
	}
	answer->device = status.st_dev;
	answer->inode = status.st_ino;
	keep_for_boot(supervisor, call.name);
	return write_not_injected(fd, err);
}

/* Only memory is ever filled, whatever descriptor a worker sends. */
static bool is_memory_filesystem(int fd)
{
	struct statfs status;

	return fstatfs(fd, &status) == 0 &&
	       (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC);
}

static enum phial_status on_fill(struct supervisor *supervisor, const void *record,
				 struct phial_frame *frame, struct phial_link_answer *answer,
				 struct phial_error *err)
{
	if (!is_memory_filesystem(frame->fds[1])) {
		return phial_fail(err, PHIAL_REFUSED, 0, "the mount to fill is no memory");
	}
	enum phial_status status = containers_fill(supervisor, frame, record, &answer->number, err);

	if (status == PHIAL_OK) { /* both descriptors are the container's now */
		frame->fds[0] = -1;
		frame->fds[1] = -1;
	}
	return status;
}

static enum phial_status on_wipe(struct supervisor *supervisor, const void *record,
				 struct phial_frame *frame, struct phial_link_answer *answer,
				 struct phial_error *err)
{
	const struct phial_link_container *call = record;

	(void)frame;
	(void)answer;
	(void)err;
	containers_wipe(supervisor, call->number);
	return PHIAL_OK;
}

/* 0 if it has none any more: a process that has ended, and that nobody has waited for. */
static uint64_t find_mount_namespace(pid_t pid)
{
	char path[64];
	struct stat found;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	return stat(path, &found) == 0 ? found.st_ino : 0;
}

static enum phial_status on_alive(struct supervisor *supervisor, const void *record,
				  struct phial_frame *frame, struct phial_link_answer *answer,
				  struct phial_error *err)
{
	const struct phial_link_process *call = record;
	uint64_t start_time;

	(void)supervisor;
	(void)frame;
	if (call->pid <= 1) {
		return PHIAL_OK;
	}
	/* First: if the start time is right afterwards, this was that process's. */
	answer->inode = find_mount_namespace(call->pid);
	if (phial_target_find_start_time(call->pid, &start_time, err) == PHIAL_OK) {
		answer->number = start_time == call->start_time;
	}
	return PHIAL_OK;
}

/* As this process reads them, the outside of a map is counted by the agent's own namespace. */
static enum phial_status on_maps(struct supervisor *supervisor, const void *record,
				 struct phial_frame *frame, struct phial_link_answer *answer,
				 struct phial_error *err)
{
	static const char *const names[] = { "uid_map", "gid_map" };
	const struct phial_link_process *call = record;
	struct phial_link_maps *maps = (struct phial_link_maps *)(void *)supervisor->pages.bytes;
	phial_auto_target struct phial_target target = PHIAL_TARGET_NONE;
	enum phial_status status =
		phial_target_open_entry(call->pid, call->start_time, &target, err);

	(void)frame;
	(void)answer;
	for (size_t i = 0; status == PHIAL_OK && i < PHIAL_COUNT(names); i++) {
		status = phial_target_read_map(&target, names[i], maps->texts[i],
					       PHIAL_LINK_MAP_BYTES, &maps->lengths[i], err);
	}
	return status;
}

static enum phial_status on_quota(struct supervisor *supervisor, const void *record,
				  struct phial_frame *frame, struct phial_link_answer *answer,
				  struct phial_error *err)
{
	(void)supervisor;
	(void)record;
	(void)frame;
	return phial_keyring_quota(&answer->quota, err);
}

static enum phial_status on_peer(struct supervisor *supervisor, const void *record,
				 struct phial_frame *frame, struct phial_link_answer *answer,
				 struct phial_error *err)
{
	const struct phial_link_process *call = record;

	(void)supervisor;
	(void)frame;
	return mounters_find_peer(call->pid, &answer->number, err);
}

/* As a container's process may pass any pidfd: it must be that of the number, and alive. */
static enum phial_status on_caller(struct supervisor *supervisor, const void *record,
				   struct phial_frame *frame, struct phial_link_answer *answer,
				   struct phial_error *err)
{
	const struct phial_link_process *call = record;
	pid_t pid = 0;

	(void)supervisor;
	/* First: if the number is the pidfd's afterwards, this was that process's. */
	answer->inode = find_mount_namespace(call->pid);
	enum phial_status status = phial_pidfd_find(frame->fds[0], &pid, err);

	if (status == PHIAL_OK && (pid != call->pid || answer->inode == 0)) {
		status = phial_fail(err, PHIAL_GONE, 0, "process %d is gone", call->pid);
	}
	return status;
}

static enum phial_status on_mounter(struct supervisor *supervisor, const void *record,
				    struct phial_frame *frame, struct phial_link_answer *answer,
				    struct phial_error *err)
{
	const struct phial_link_process *call = record;

	(void)answer;
	return mounters_start(supervisor, call->pid, frame->fds[0], &supervisor->answer_fd, err);
}

static enum phial_status on_job(struct supervisor *supervisor, const void *record,
				struct phial_frame *frame, struct phial_link_answer *answer,
				struct phial_error *err)
{
	(void)answer;
	return containers_change(supervisor, frame, record, err);
}

/* Only the worker of a user's agent writes into mounts itself. */
static enum phial_status on_mount(struct supervisor *supervisor, const void *record,
				  struct phial_frame *frame, struct phial_link_answer *answer,
				  struct phial_error *err)
{
	const struct phial_link_container *call = record;

	(void)frame;
	(void)answer;
	if (!supervisor->options->is_user) {
		return phial_fail(err, PHIAL_DENIED, 0, "not in an agent of root");
	}
	return containers_share_mount(supervisor, call->number, &supervisor->answer_fd, err);
}

static enum phial_status on_signal(struct supervisor *supervisor, const void *record,
				   struct phial_frame *frame, struct phial_link_answer *answer,
				   struct phial_error *err)
{
	(void)frame;
	(void)answer;
	return notifiers_tell(supervisor, record, err);
}

static enum phial_status on_watch_reads(struct supervisor *supervisor, const void *record,
					struct phial_frame *frame, struct phial_link_answer *answer,
					struct phial_error *err)
{
	(void)frame;
	(void)answer;
	return reads_watch(supervisor, record, err);
}

static enum phial_status on_metrics(struct supervisor *supervisor, const void *record,
				    struct phial_frame *frame, struct phial_link_answer *answer,
				    struct phial_error *err)
{
	(void)frame;
	(void)answer;
	return supervisor_write_metrics(supervisor, record, err);
}

static enum phial_status on_reload(struct supervisor *supervisor, const void *record,
				   struct phial_frame *frame, struct phial_link_answer *answer,
				   struct phial_error *err)
{
	(void)record;
	(void)frame;
	(void)answer;
	(void)err;
	supervisor_send_store(supervisor);
	return PHIAL_OK;
}

static enum phial_status on_loaded(struct supervisor *supervisor, const void *record,
				   struct phial_frame *frame, struct phial_link_answer *answer,
				   struct phial_error *err)
{
	(void)record;
	(void)frame;
	(void)answer;
	const struct phial_agent_options *options = supervisor->options;

	supervisor->is_loaded = true;
	/* Without it nothing fails but new containers that ask for a device, and they say so. */
	if (options->cdi && phial_cdi_update(options->cdi, supervisor->workload_fd,
					     options->run_dir, err) != PHIAL_OK) {
		phial_log("the CDI file %s is not up to date: %s", options->cdi, err->text);
	}
	supervisor_become_ready(supervisor);
	return PHIAL_OK;
}

static enum phial_status on_fatal(struct supervisor *supervisor, const void *record,
				  struct phial_frame *frame, struct phial_link_answer *answer,
				  struct phial_error *err)
{
	const struct phial_link_fatal *call = record;
	char text[PHIAL_ERROR_TEXT_BYTES];

	(void)frame;
	(void)answer;
	(void)err;
	memcpy(text, call->text, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	supervisor->fatal_status =
		phial_fail(supervisor->err, call->status == PHIAL_OK ? PHIAL_SYSTEM : call->status,
			   0, "%s", text);
	supervisor->is_stopping = true;
	return PHIAL_OK;
}

static enum phial_status on_reattach(struct supervisor *supervisor, const void *record,
				     struct phial_frame *frame, struct phial_link_answer *answer,
				     struct phial_error *err)
{
	bool is_gone = false;
	enum phial_status status = reattachers_start(supervisor, record, &is_gone, err);

	(void)frame;
	answer->number = !is_gone;
	return status;
}

typedef enum phial_status call_fn(struct supervisor *supervisor, const void *record,
				  struct phial_frame *frame, struct phial_link_answer *answer,
				  struct phial_error *err);

static const struct call {
	uint32_t type;
	size_t record_bytes; /* exact; of jobs, what comes before the parts */
	size_t fd_count;
	call_fn *run;
} calls[] = {
	{ PHIAL_LINK_ADD_KEY, sizeof(struct phial_link_add_key), 0, on_add_key },
	{ PHIAL_LINK_WORKLOAD, sizeof(struct phial_link_workload), 0, on_workload },
	{ PHIAL_LINK_FILL, sizeof(struct phial_link_job), 2, on_fill },
	{ PHIAL_LINK_GIVE, sizeof(struct phial_link_job), 2, on_fill },
	{ PHIAL_LINK_ROTATE, sizeof(struct phial_link_job), 0, on_job },
	{ PHIAL_LINK_GIVE_NEXT, sizeof(struct phial_link_job), 0, on_job },
	{ PHIAL_LINK_REMOVE, sizeof(struct phial_link_job), 0, on_job },
	{ PHIAL_LINK_WIPE_OLD, sizeof(struct phial_link_job), 0, on_job },
	{ PHIAL_LINK_MOUNT, sizeof(struct phial_link_container), 0, on_mount },
	{ PHIAL_LINK_WIPE, sizeof(struct phial_link_container), 0, on_wipe },
	{ PHIAL_LINK_WATCH_READS, sizeof(struct phial_link_read), 0, on_watch_reads },
	{ PHIAL_LINK_ALIVE, sizeof(struct phial_link_process), 0, on_alive },
	{ PHIAL_LINK_MAPS, sizeof(struct phial_link_process), 0, on_maps },
	{ PHIAL_LINK_QUOTA, 0, 0, on_quota },
	{ PHIAL_LINK_METRICS, sizeof(struct phial_metrics), 0, on_metrics },
	{ PHIAL_LINK_RELOAD, 0, 0, on_reload },
	{ PHIAL_LINK_LOADED, 0, 0, on_loaded },
	{ PHIAL_LINK_FATAL, sizeof(struct phial_link_fatal), 0, on_fatal },
	{ PHIAL_LINK_PEER, sizeof(struct phial_link_process), 0, on_peer },
	{ PHIAL_LINK_MOUNTER, sizeof(struct phial_link_process), 1, on_mounter },
	{ PHIAL_LINK_CALLER, sizeof(struct phial_link_process), 1, on_caller },
	{ PHIAL_LINK_REATTACH, sizeof(struct phial_link_reattach), 0, on_reattach },
	{ PHIAL_LINK_SIGNAL, sizeof(struct phial_link_signal), 0, on_signal },
};

static bool has_right_size(const struct call *call, const struct phial_frame *frame)
{
	if (call->run == on_fill || call->run == on_job) {
		return frame->length >= call->record_bytes &&
		       (frame->length - call->record_bytes) % sizeof(struct phial_fill_part) == 0;
	}
	return frame->length == call->record_bytes;
}

static enum phial_status run_call(struct supervisor *supervisor, const void *record,
				  struct phial_frame *frame, struct phial_link_answer *answer,
				  struct phial_error *err)
{
	for (size_t i = 0; i < PHIAL_COUNT(calls); i++) {
		if (calls[i].type == frame->type && has_right_size(&calls[i], frame) &&
		    calls[i].fd_count == frame->fd_count) {
			return calls[i].run(supervisor, record, frame, answer, err);
		}
	}
	return phial_fail(err, PHIAL_MALFORMED, 0, "the worker asked for nonsense");
}

bool supervisor_answer_call(struct supervisor *supervisor)
{
	static _Alignas(8) uint8_t record[PHIAL_FRAME_MAX_BYTES];
	struct phial_link_answer answer = { .status = PHIAL_OK };
	struct phial_frame frame;
	struct phial_error err = { .status = PHIAL_OK };

	if (phial_frame_receive(supervisor->call_fd, record, sizeof(record), &frame, &err) !=
	    PHIAL_OK) {
		return false;
	}
	answer.status = run_call(supervisor, record, &frame, &answer, &err);
	answer.os_error = err.os_error;
	memcpy(answer.text, err.text, sizeof(answer.text));
	phial_frame_close_fds(&frame);
	phial_auto_fd int answer_fd = phial_take_fd(&supervisor->answer_fd);

	return phial_frame_send(supervisor->call_fd, PHIAL_LINK_ANSWER, &answer, sizeof(answer),
				&answer_fd, answer_fd >= 0 ? 1 : 0, &err) == PHIAL_OK;
}
