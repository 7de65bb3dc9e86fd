/* SPDX-License-Identifier: ISC */
/*
 * Between phial-hook or phial-runtime and the agent, over RUN_DIR/hook.sock. Six frames, strictly
 * in turn; anything else ends the connection. Same machine and release: integers as they lie in
 * memory.
 *
 *	1 hook  -> START      state bytes, --workload argument; fd: config.json
 *	  runtime -> CREATED  instead of START: pid, id, bundle; fd: config.json
 *	2 agent -> VERDICT    nothing to do, refused, or where and how large
 *	3 hook  -> MOUNT      id maps; fds: pidfd of the container, rw clone of the mount
 *	4 agent -> FILLED     files are written
 *	5 hook  -> ATTACHED   the read-only clone is in the container
 *	6 agent -> COMMITTED  recorded durably; only now may the hook exit 0
 *
 * End of stream at 1 to 3: the agent drops the request. The hook dies at 4 to 6: the agent wipes
 * the mount. The agent dies: the hook exits 1 and the runtime ends the container.
 */
#ifndef PHIAL_WIRE_HOOK_PROTOCOL_H
#define PHIAL_WIRE_HOOK_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

#define PHIAL_RUN_DIR		"/run/phial"
#define PHIAL_HOOK_SOCKET_NAME	"hook.sock"
#define PHIAL_ADMIN_SOCKET_NAME "admin.sock"
#define PHIAL_INIT_LISTEN_NAME	"init.sock" /* and linked into each workload's directory */
#define PHIAL_WORKLOAD_DIR_NAME "workload"

#define PHIAL_HOOK_STATE_MAX	65536 /* bytes of the state JSON */
#define PHIAL_HOOK_ARGUMENT_MAX 64    /* of --workload, with its NUL */
#define PHIAL_HOOK_ID_BYTES	132   /* of a container's id, with its NUL */
#define PHIAL_HOOK_PATH_BYTES	4096
#define PHIAL_HOOK_MAP_MAX	16384 /* of uid_map and of gid_map */
#define PHIAL_HOOK_TEXT_BYTES	4096

enum phial_hook_frame {
	PHIAL_HOOK_START = 1,
	PHIAL_HOOK_VERDICT,
	PHIAL_HOOK_MOUNT,
	PHIAL_HOOK_FILLED,
	PHIAL_HOOK_ATTACHED,
	PHIAL_HOOK_COMMITTED,
	PHIAL_HOOK_CREATED,
};

/* START: this, then state_length bytes. One descriptor: config.json, open for reading. */
struct phial_hook_start {
	uint32_t state_length;
	char workload[PHIAL_HOOK_ARGUMENT_MAX]; /* NUL-terminated; empty: no argument */
};

/*
 * CREATED: a container that its runtime has created and not started. Texts are NUL-terminated. One
 * descriptor: config.json, open for reading.
 */
struct phial_hook_created {
	int32_t pid;
	char id[PHIAL_HOOK_ID_BYTES];
	char bundle[PHIAL_HOOK_PATH_BYTES]; /* absolute path on the host */
};

enum phial_hook_decision {
	PHIAL_HOOK_NO_GRANT = 1, /* not ours: exit 0, change nothing */
	PHIAL_HOOK_REFUSED,	 /* status and text say why: exit with status */
	PHIAL_HOOK_GO,
	PHIAL_HOOK_DONE, /* this container has its secrets already (second hook stage): exit 0 */
};

/* VERDICT. Texts are NUL-terminated and hold nothing that came from state or config but paths. */
struct phial_hook_verdict {
	uint32_t decision; /* enum phial_hook_decision */
	uint32_t status;   /* enum phial_status, for REFUSED */
	int32_t pid;
	uint32_t inodes;     /* nr_inodes of the mount */
	uint64_t size_bytes; /* size of the mount */
	uint32_t may_over;   /* 1: the target may hold another mount or files */
	uint32_t unused;
	uint64_t
		grant_device; /* st_dev and st_ino of the workload's directory: the one mount that */
	uint64_t grant_inode; /* may be covered; 0 0 when there is none */
	char workload[64];
	char rootfs[4096]; /* absolute path on the host */
	char target[4096]; /* absolute path in the container, normalised */
	char mount_label[256];
	char text[PHIAL_HOOK_TEXT_BYTES]; /* REFUSED: one problem a line, for stderr */
};

/* MOUNT: this, then both maps' texts. Descriptors: pidfd, rw clone. */
struct phial_hook_mount {
	uint32_t uid_map_length;
	uint32_t gid_map_length;
	uint32_t kind; /* enum phial_mount_kind */
	uint32_t unused;
	uint64_t mount_namespace; /* inode of the container's mount namespace */
	uint64_t start_time;	  /* field 22 of /proc/PID/stat */
};

/* FILLED and COMMITTED. */
struct phial_hook_result {
	uint32_t status; /* enum phial_status */
	char text[PHIAL_ERROR_TEXT_BYTES];
};

/*
 * The decoders below check a received payload of length bytes and copy its fixed part out.
 * They are pure. Returns PHIAL_OK, or PHIAL_MALFORMED: wrong length, a text without its NUL, a
 * value out of its range. Pointers that are returned point into payload.
 */

/* START. ret_state: its state_length (1 to PHIAL_HOOK_STATE_MAX) bytes. */
PHIAL_CHECKED enum phial_status phial_hook_decode_start(const void *payload, size_t length,
							struct phial_hook_start *ret_start,
							const uint8_t **ret_state,
							struct phial_error *err);

/* CREATED. pid is over 1, id is not empty, bundle is absolute; their grammar is oci/state.h's. */
PHIAL_CHECKED enum phial_status phial_hook_decode_created(const void *payload, size_t length,
							  struct phial_hook_created *ret_created,
							  struct phial_error *err);

/*
 * VERDICT. With GO, pid is over 1, rootfs and target are absolute, size_bytes is not 0; with
 * REFUSED, status is not PHIAL_OK and text is not empty.
 */
PHIAL_CHECKED enum phial_status phial_hook_decode_verdict(const void *payload, size_t length,
							  struct phial_hook_verdict *ret_verdict,
							  struct phial_error *err);

/* MOUNT. ret_uid_map, ret_gid_map: not NUL-terminated, 1 to PHIAL_HOOK_MAP_MAX bytes each. */
PHIAL_CHECKED enum phial_status phial_hook_decode_mount(const void *payload, size_t length,
							struct phial_hook_mount *ret_mount,
							const char **ret_uid_map,
							const char **ret_gid_map,
							struct phial_error *err);

/* FILLED and COMMITTED. */
PHIAL_CHECKED enum phial_status phial_hook_decode_result(const void *payload, size_t length,
							 struct phial_hook_result *ret_result,
							 struct phial_error *err);

#endif
