/* SPDX-License-Identifier: ISC */
/* The supervisor's state, and what its files have for one another. */
#ifndef PHIAL_AGENT_SUPERVISOR_INTERNAL_H
#define PHIAL_AGENT_SUPERVISOR_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <phial/error.h>
#include <phial/keys.h>

#include "agent/clock.h"
#include "agent/link.h"
#include "agent/metrics.h"
#include "agent/mounter.h"
#include "agent/notifier.h"
#include "agent/options.h"
#include "agent/pages.h"
#include "agent/reads.h"
#include "agent/sandbox.h"
#include "agent/store_path.h"
#include "mount/mount.h"
#include "wire/frame.h"

/* What an epoll event is about; the first member of whatever is watched. */
enum watch_kind {
	WATCH_SIGNAL,
	WATCH_CALL,
	WATCH_FILLER,
	WATCH_CONTAINER,
	WATCH_STORE,
	WATCH_NOTIFIER,
	WATCH_READS,
	WATCH_REATTACHER,
};

/* Containers that are told at once; more wait. */
#define NOTIFIERS_MAX 8

struct watch {
	enum watch_kind kind;
};

/* A process that waits for its job, or does it. */
struct filler {
	struct watch watch;
	int fd;
	struct container *container; /* NULL: idle */
	bool is_wiping;
};

/* A process that tells one container of its new secrets. */
struct notifier {
	struct watch watch;
	pid_t pid; /* 0: free */
	int fd;
	struct phial_link_signal call;
};

/* A live container, or one being started. */
struct container {
	struct watch watch;
	uint64_t number;
	int exit_fd; /* its pidfd; once it has exited, the timer of its wipe */
	int mount_fd;
	struct filler *filler; /* working on it, or NULL */
	bool has_exited;
	bool must_wipe; /* as soon as no filler works on it */
	struct phial_link_signal
		notice; /* to be told as soon as a notifier is free; signal 0: nothing */
	struct container *next;
};

/* A child that takes back the mount of an earlier agent's container. */
struct reattacher {
	struct watch watch;
	int fd;
	int pidfd; /* the container's */
	uint64_t number;
	struct phial_mount_identity identity;
	struct reattacher *next;
};

struct supervisor {
	const struct phial_agent_options *options;
	struct phial_filters filters;
	struct phial_pages pages;
	char host_key[PHIAL_RECIPIENT_TEXT_BYTES];
	char empty_dir[4096];
	char boot_id[37];
	struct phial_clock_point began;
	enum phial_mount_kind mount_kind; /* that this kernel gives */
	int lock_fd;
	int run_fd;	 /* RUN_DIR */
	int workload_fd; /* RUN_DIR/workload */
	int boot_fd;	 /* of --boot-dir, or -1 */
	int hook_fd;	 /* listening */
	int admin_fd;
	int init_fd;
	int state_fd; /* rw clone of the state directory */
	int audit_fd; /* rw clone of the audit log's directory, for the auditor */
	int epoll_fd;
	int signal_fd;
	struct watch signal_watch;
	struct phial_store_path store_path;
	struct watch store_watch;
	int32_t ring;
	int32_t identity_serial;
	pid_t self_test_pid; /* 0: passed */
	pid_t worker_pid;
	pid_t auditor_pid; /* begins and ends with its worker */
	int call_fd;
	int event_fd;
	struct watch call_watch;
	struct watch reads_watch;
	struct phial_reads reads;
	int answer_fd; /* goes with the answer to the call at hand, or -1 */
	int64_t worker_started_ms;
	unsigned int worker_restarts;
	bool worker_is_due;		   /* died at once: started again after a pause */
	struct pending_event *first_event; /* for the worker, waiting for room */
	struct filler *idle_filler;
	bool filler_is_due; /* none is idle: started when nothing else is to be done */
	struct container *containers;
	struct reattacher *reattachers;
	pid_t mounter_pids[PHIAL_MOUNTERS_MAX]; /* 0: free */
	struct notifier notifiers[NOTIFIERS_MAX];
	uint64_t last_number;
	bool has_metrics; /* the file of --metrics is this agent's */
	bool is_loaded;
	bool is_stopping;
	enum phial_status fatal_status;
	struct phial_error *err; /* where the reason of an end is recorded */
};

/* supervisor_calls.c: answer one call of the worker; false when the worker is gone. */
bool supervisor_answer_call(struct supervisor *supervisor);

/*
 * supervisor_events.c: tell the worker, in order and without ever waiting for it. The store is opened
 * anew when its turn comes. Dropped events are those of a worker that is gone.
 */
void supervisor_send_event(struct supervisor *supervisor, uint32_t type, const void *record,
			   size_t length);
void supervisor_send_store(struct supervisor *supervisor);
void supervisor_flush_events(struct supervisor *supervisor);
void supervisor_drop_events(struct supervisor *supervisor);

/*
 * supervisor_metrics.c: write the file of --metrics; remove it at a clean stop. PHIAL_SYSTEM when it
 * cannot be written.
 */
PHIAL_CHECKED enum phial_status supervisor_write_metrics(struct supervisor *supervisor,
							 const struct phial_metrics *metrics,
							 struct phial_error *err);
void supervisor_remove_metrics(const struct supervisor *supervisor);

/* supervisor.c: watch a descriptor. */
PHIAL_CHECKED enum phial_status supervisor_watch(struct supervisor *supervisor, int fd,
						 struct watch *watch, struct phial_error *err);

/* supervisor.c: watch it no more, and close it. */
void supervisor_unwatch(const struct supervisor *supervisor, int *fd);

/* supervisor.c: say READY when both the self-test and the first load are done. */
void supervisor_become_ready(struct supervisor *supervisor);

/* supervisor_containers.c */
PHIAL_CHECKED enum phial_status containers_start_filler(struct supervisor *supervisor,
							struct phial_error *err);
void containers_prepare_filler(struct supervisor *supervisor);
PHIAL_CHECKED enum phial_status containers_fill(struct supervisor *supervisor,
						const struct phial_frame *frame, const void *parts,
						uint64_t *ret_number, struct phial_error *err);
/* Do a job of the worker on a container's mount: record is the frame's payload, a phial_link_job. */
PHIAL_CHECKED enum phial_status containers_change(struct supervisor *supervisor,
						  const struct phial_frame *frame,
						  const void *record, struct phial_error *err);
/* Another descriptor for a container's mount. ret_fd: owned by the caller. */
PHIAL_CHECKED enum phial_status containers_share_mount(const struct supervisor *supervisor,
						       uint64_t number, int *ret_fd,
						       struct phial_error *err);
void containers_wipe(struct supervisor *supervisor, uint64_t number);
void containers_on_exit(struct supervisor *supervisor, struct container *container);
void containers_on_filler(struct supervisor *supervisor, struct filler *filler);
struct container *containers_find(const struct supervisor *supervisor, uint64_t number);
/* The same, if its process lives and its mount may be changed; else PHIAL_GONE. */
PHIAL_CHECKED enum phial_status containers_find_live(const struct supervisor *supervisor,
						     uint64_t number,
						     struct container **ret_container,
						     struct phial_error *err);

/* Hold a container that runs already; both descriptors are its own on PHIAL_OK. */
PHIAL_CHECKED enum phial_status containers_hold_again(struct supervisor *supervisor,
						      uint64_t number, int pidfd, int mount_fd,
						      struct phial_error *err);

/*
 * supervisor_reattach.c: start taking a container's mount back; REATTACHED tells the worker what
 * became of it. ret_is_gone: the process is not there any more, nothing was started. Returns
 * PHIAL_OK; PHIAL_EXISTS when it is held, or too many are at work; PHIAL_UNSUPPORTED for a user's
 * agent and a record of an older one; PHIAL_MALFORMED; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status reattachers_start(struct supervisor *supervisor,
						  const struct phial_link_reattach *call,
						  bool *ret_is_gone, struct phial_error *err);
void reattachers_on_result(struct supervisor *supervisor, struct reattacher *reattacher);

/*
 * supervisor_reads.c: tell the worker, once a generation, when a file of a container is read.
 * PHIAL_GONE if the container has ended; else as phial_reads_watch().
 */
PHIAL_CHECKED enum phial_status reads_watch(struct supervisor *supervisor,
					    const struct phial_link_read *call,
					    struct phial_error *err);
void reads_on_event(struct supervisor *supervisor);
/* A job on its mount is done: if it was watched, its new generation is from now on. */
void reads_follow(struct supervisor *supervisor, const struct container *container);

/*
 * supervisor_mounters.c: start a mounter for the process of a pidfd. ret_fd: the worker's end of its
 * socket, owned by the caller. PHIAL_EXISTS when too many are at work.
 */
PHIAL_CHECKED enum phial_status mounters_start(struct supervisor *supervisor, pid_t pid, int pidfd,
					       int *ret_fd, struct phial_error *err);

/* Link the listening socket into a workload's directory. Returns PHIAL_OK or PHIAL_SYSTEM. */
PHIAL_CHECKED enum phial_status mounters_link_socket(const struct supervisor *supervisor,
						     int dir_fd, struct phial_error *err);

/* A child has ended: was it a mounter? */
bool mounters_forget(struct supervisor *supervisor, pid_t pid);

/* A number that the processes of one container have in common, and cannot change. */
PHIAL_CHECKED enum phial_status mounters_find_peer(pid_t pid, uint64_t *ret_number,
						   struct phial_error *err);

/*
 * supervisor_notifiers.c: tell a container, in a child; it is the worker's again with the event TOLD.
 * A container that waits for a notifier already has the newer notice only. PHIAL_MALFORMED for a
 * signal or a name that cannot be; PHIAL_GONE when the container is not held or has ended.
 */
PHIAL_CHECKED enum phial_status notifiers_tell(struct supervisor *supervisor,
					       const struct phial_link_signal *call,
					       struct phial_error *err);

/* A notifier is done: pass on what came of it, and start the next. */
void notifiers_on_told(struct supervisor *supervisor, struct notifier *notifier);

/*
 * child.c: fork with a socket to the child. Returns in both: ret_pid is 0 in the child, ret_fd the own end
 * (close-on-exec, closed by the caller). what: "a filler", for the message. Returns PHIAL_OK, or in the
 * supervisor alone PHIAL_SYSTEM. See fork(2), socketpair(2).
 */
PHIAL_CHECKED enum phial_status child_fork(const char *what, pid_t *ret_pid, int *ret_fd,
					   struct phial_error *err);

/* child.c: what the children of the supervisor do first, and never come back from. */
void child_run_filler(const struct supervisor *supervisor, int fd) __attribute__((noreturn));
void child_run_worker(const struct supervisor *supervisor, int call_fd, int event_fd, int audit_fd)
	__attribute__((noreturn));
void child_run_auditor(const struct supervisor *supervisor, int fd) __attribute__((noreturn));
void child_run_mounter(const struct supervisor *supervisor, int fd,
		       const struct phial_mounter_job *job) __attribute__((noreturn));
void child_run_notifier(const struct supervisor *supervisor, int fd,
			const struct phial_notice *notice) __attribute__((noreturn));
void child_run_reattacher(const struct supervisor *supervisor, int fd,
			  const struct phial_link_reattach *job) __attribute__((noreturn));
void child_run_self_test(const struct supervisor *supervisor) __attribute__((noreturn));

#endif
