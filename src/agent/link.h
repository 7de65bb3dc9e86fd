/* SPDX-License-Identifier: ISC */
/*
 * Between supervisor and worker: fixed-size records in frames, on two socket pairs. On the call
 * socket the worker asks and the supervisor answers at once. On the event socket the supervisor
 * tells. The supervisor believes nothing but sizes, numbers and checked names from a worker.
 */
#ifndef PHIAL_AGENT_LINK_H
#define PHIAL_AGENT_LINK_H

#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

#include "keyring/keyring.h"
#include "mount/mount.h"
#include "wire/frame.h"

enum phial_link_type {
	/* Calls. */
	PHIAL_LINK_ADD_KEY =
		1,	     /* struct phial_link_add_key; the payload lies in the shared pages */
	PHIAL_LINK_WORKLOAD, /* struct phial_link_workload; answers device and inode */
	PHIAL_LINK_FILL,     /* phial_fill_part records; fds: pidfd, rw mount; answers a number */
	PHIAL_LINK_GIVE,     /* as FILL, in a user's agent: the worker has written the files */
	PHIAL_LINK_WIPE,     /* struct phial_link_container: wipe the mount and let go of it */
	PHIAL_LINK_ALIVE,    /* struct phial_link_process; 1 or 0, mount namespace */
	PHIAL_LINK_MAPS,     /* struct phial_link_process; answers phial_link_maps in the pages */
	PHIAL_LINK_QUOTA,    /* nothing; answers the agent's quota of keys */
	PHIAL_LINK_RELOAD,   /* nothing: send STORE again */
	PHIAL_LINK_LOADED,   /* nothing: the store has been read */
	PHIAL_LINK_FATAL,    /* struct phial_link_fatal: the worker cannot go on */
	PHIAL_LINK_PEER,     /* struct phial_link_process; answers a number of its container's */
	PHIAL_LINK_MOUNTER,  /* struct phial_link_process; fd: its pidfd; answers a socket */
	PHIAL_LINK_CALLER, /* struct phial_link_process; fd: its pidfd; answers a mount namespace */
	/* Jobs on a live container's mount: struct phial_link_job and phial_fill_part records. */
	PHIAL_LINK_ROTATE,    /* make the next generation of all its files */
	PHIAL_LINK_GIVE_NEXT, /* the same in a user's agent: the worker has written the files */
	PHIAL_LINK_REMOVE,    /* take away files, by name, in every generation */
	PHIAL_LINK_WIPE_OLD,  /* wipe every generation but the present one */
	PHIAL_LINK_MOUNT, /* in a user's agent: struct phial_link_container; answers its mount */
	PHIAL_LINK_SIGNAL, /* struct phial_link_signal: tell a container; TOLD says what came of it */
	PHIAL_LINK_WATCH_READS, /* struct phial_link_read: READ for this file, once a generation */
	PHIAL_LINK_REATTACH, /* struct phial_link_reattach; answers 1, or 0: the process is gone */
	PHIAL_LINK_METRICS,  /* struct phial_metrics: write them to the file of --metrics */
	PHIAL_LINK_ANSWER = 64,
	/* Events. */
	PHIAL_LINK_STORE = 128, /* nothing; fds: clone of the store, trust file */
	PHIAL_LINK_ACCEPT,	/* nothing: the self-test passed, serve requests */
	PHIAL_LINK_LIVE,	/* struct phial_link_container: held since before this worker */
	PHIAL_LINK_FILLED,	/* struct phial_link_result */
	PHIAL_LINK_EXITED,	/* struct phial_link_container: gone and wiped */
	PHIAL_LINK_READ,	/* struct phial_link_read: one of its files was read and closed */
	PHIAL_LINK_MOVED,	/* nothing: the store's path may lead elsewhere now */
	PHIAL_LINK_TOLD,	/* struct phial_link_told */
	PHIAL_LINK_REATTACHED,	/* struct phial_link_result: PHIAL_OK: held again */
};

struct phial_link_add_key {
	uint32_t length;    /* of the payload in the shared pages */
	uint32_t timeout_s; /* 0: none */
};

struct phial_link_workload {
	char name[64];
};

struct phial_link_container {
	uint64_t number;
};

struct phial_link_process {
	int32_t pid;
	uint32_t unused;
	uint64_t start_time;
};

/* Answered at once, by PHIAL_EXISTS if another job is under way; FILLED tells of its end. */
struct phial_link_job {
	uint64_t number;
	uint32_t generation; /* with GIVE_NEXT: the one that the worker wrote */
	uint32_t unused;
};

/* Of a process's name: as /proc/PID/comm, 15 bytes and a NUL. */
#define PHIAL_LINK_PROCESS_BYTES 16

struct phial_link_signal {
	uint64_t number;
	uint32_t signal; /* 1 to 64, but not SIGKILL and SIGSTOP */
	uint32_t unused;
	char process[PHIAL_LINK_PROCESS_BYTES]; /* whom by name; empty: the container's own */
};

struct phial_link_read {
	uint64_t number;
	char file[64];
};

#define PHIAL_LINK_TARGET_BYTES 4096

/* A container of an earlier agent, as recorded. It is held under its old number. */
struct phial_link_reattach {
	uint64_t number;
	int32_t pid;
	uint32_t unused;
	uint64_t start_time;
	uint64_t mount_namespace;
	struct phial_mount_identity identity;
	char target[PHIAL_LINK_TARGET_BYTES];
};

/* A uid_map or gid_map has at most 340 lines of 33 bytes. */
#define PHIAL_LINK_MAP_BYTES 12288

/* In the shared pages: nothing secret, but too large for an answer. uid_map, then gid_map. */
struct phial_link_maps {
	size_t lengths[2];
	char texts[2][PHIAL_LINK_MAP_BYTES];
};

_Static_assert(sizeof(struct phial_link_maps) <= PHIAL_KEY_PAYLOAD_MAX, "maps fit the pages");

struct phial_link_result {
	uint64_t number;
	uint32_t status; /* enum phial_status */
	char text[PHIAL_ERROR_TEXT_BYTES];
};

struct phial_link_told {
	uint64_t number;
	uint32_t status; /* enum phial_status */
	uint32_t count;	 /* of processes that were signalled */
	char process[PHIAL_LINK_PROCESS_BYTES];
	char text[PHIAL_ERROR_TEXT_BYTES]; /* why not */
};

struct phial_link_fatal {
	uint32_t status;
	char text[PHIAL_ERROR_TEXT_BYTES];
};

struct phial_link_answer {
	uint32_t status; /* enum phial_status */
	int32_t os_error;
	uint64_t number; /* key serial, container number, 0 or 1 */
	uint64_t device;
	uint64_t inode;
	struct phial_key_quota quota;
	char text[PHIAL_ERROR_TEXT_BYTES];
};

/* One key's part of one file, for the filler. The parts of a file follow one another. */
struct phial_fill_part {
	int32_t serial; /* 0 with GIVE and GIVE_NEXT; with ROTATE: as it is in the present generation */
	uint32_t part;
	uint32_t part_count;
	uint32_t mode;
	uint32_t uid; /* as the agent's user namespace counts */
	uint32_t gid;
	char file[64];
};

#define PHIAL_FILL_PARTS_MAX \
	((PHIAL_FRAME_MAX_BYTES - sizeof(struct phial_link_job)) / sizeof(struct phial_fill_part))

/* One call, for phial_link_exchange(). */
struct phial_link_request {
	enum phial_link_type type;
	const void *record;
	size_t length;
	const int *fds; /* stay the caller's */
	size_t fd_count;
};

/*
 * As phial_link_call(), with any number of descriptors. ret_fd: the one that the answer brought,
 * close-on-exec, closed by the caller, or -1; NULL if none is expected.
 */
PHIAL_CHECKED enum phial_status phial_link_exchange(int call_fd,
						    const struct phial_link_request *request,
						    struct phial_link_answer *ret_answer,
						    int *ret_fd, struct phial_error *err);

/*
 * Call the supervisor and wait for its answer. fds: the two descriptors of FILL or GIVE, which stay the
 * caller's, or NULL. ret_answer: set on PHIAL_OK.
 * Returns what the supervisor answered; PHIAL_GONE when it is not there any more. Ends the process
 * when the answer cannot be read: supervisor and worker would be out of step.
 */
PHIAL_CHECKED enum phial_status phial_link_call(int call_fd, enum phial_link_type type,
						const void *record, size_t length, const int *fds,
						struct phial_link_answer *ret_answer,
						struct phial_error *err);

/* The same when there is nothing to do about a failure: a supervisor that is gone is noticed by its events. */
void phial_link_tell(int call_fd, enum phial_link_type type, const void *record, size_t length);

#endif
