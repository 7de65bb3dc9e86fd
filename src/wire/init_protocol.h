/* SPDX-License-Identifier: ISC */
/*
 * Between phial-init, inside a container, and the agent. The operator mounts RUN_DIR/workload/W
 * read-only at PHIAL_INIT_GRANT_DIR; the agent's socket is in it. One connection, two frames:
 *
 *	1 init  -> ASK     who the command will be; fd: a pidfd of the asking process itself
 *	2 agent -> ANSWER  the secrets are at this path, or why not, one problem a line
 *
 * Nobody asks for a name: which container it is says the kernel, which workload says the mount.
 * The asking process is the one whose end has the secrets wiped: the container's main process.
 * The pidfd proves the caller to an agent whose kernel has no SO_PEERPIDFD (before Linux 6.5);
 * where it cannot be opened (seccomp), ASK goes without.
 *
 * or, from any process of a container that has its secrets through phial-init:
 *
 *	1 any   -> READY   the container is ready; fd: as with ASK
 *	2 agent -> ANSWER  with is_done: it was known, or nobody waits for it
 *
 * After ANSWER either side may close. An end of the stream, or anything that is no ANSWER, before
 * it means "not now" (no agent, a restart, too many at once): the caller waits a little and asks
 * again on a new connection, until its time is up. So does ECONNREFUSED, EAGAIN or a missing
 * socket at connect(2). A connection that has not asked within two seconds is closed; send ASK at
 * once. An answer may take as long as ten seconds.
 *
 * phial-init may be older or newer than the agent, being part of an image: these records keep
 * their sizes, and `version` says what is in them. Integers as they lie in memory.
 */
#ifndef PHIAL_WIRE_INIT_PROTOCOL_H
#define PHIAL_WIRE_INIT_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

/* Where the grant is mounted for phial-init. A grant that is mounted here is no hook's. */
#define PHIAL_INIT_GRANT_DIR   "/run/phial"
#define PHIAL_INIT_SOCKET_NAME "agent.sock" /* in the grant's directory */
#define PHIAL_INIT_SOCKET_PATH PHIAL_INIT_GRANT_DIR "/" PHIAL_INIT_SOCKET_NAME

#define PHIAL_INIT_VERSION    1
#define PHIAL_INIT_TEXT_BYTES 4096

enum phial_init_frame {
	/* Away from the hook's numbers: a frame on the wrong socket is no frame. */
	PHIAL_INIT_ASK = 256,
	PHIAL_INIT_ANSWER,
	PHIAL_INIT_READY,
};

/* Bits of ASK's flags. The agent knows no others and refuses them. */
enum phial_init_flag {
	PHIAL_INIT_USES_ENV = 1 << 0,	   /* --env: values in the environment, shown as weak */
	PHIAL_INIT_USES_FILE_ENV = 1 << 1, /* --file-env: paths in the environment */
};

/* ASK: 64 bytes. Descriptors: a pidfd of the caller, or none. */
struct phial_init_ask {
	uint32_t version; /* PHIAL_INIT_VERSION */
	uint32_t flags;	  /* of enum phial_init_flag */
	uint32_t uid; /* whom the files belong to, as the container counts: the command's user */
	uint32_t gid;
	uint8_t reserved[48]; /* 0 */
};

/* READY: 64 bytes. Descriptors: a pidfd of the caller, or none. */
struct phial_init_ready {
	uint32_t version;     /* PHIAL_INIT_VERSION */
	uint32_t flags;	      /* 0 */
	uint8_t reserved[56]; /* 0 */
};

/* ANSWER. Texts are NUL-terminated. */
struct phial_init_answer {
	uint32_t version; /* the agent's PHIAL_INIT_VERSION */
	uint32_t status;  /* enum phial_status: PHIAL_OK, the secrets are at target */
	uint32_t is_done; /* with PHIAL_OK, 1: this container had them before; nothing changed */
	uint32_t reserved0;
	uint8_t reserved[48];
	char target[4096];		  /* with PHIAL_OK: absolute path of the directory */
	char text[PHIAL_INIT_TEXT_BYTES]; /* else: one problem a line, not empty */
};

/*
 * Both decoders check a received payload of length bytes and copy it out. They are pure. Return
 * PHIAL_OK; PHIAL_MALFORMED for a wrong length, a text without its NUL, a value out of its range.
 */

/*
 * ASK. Also PHIAL_UNSUPPORTED, for another version or unknown flags: the text says which side is to be
 * updated. uid and gid are not 2^32 - 1.
 */
PHIAL_CHECKED enum phial_status phial_init_decode_ask(const void *payload, size_t length,
						      struct phial_init_ask *ret_ask,
						      struct phial_error *err);

/* READY. Also PHIAL_UNSUPPORTED, as ASK. */
PHIAL_CHECKED enum phial_status phial_init_decode_ready(const void *payload, size_t length,
							struct phial_error *err);

/* ANSWER, of whatever version: with PHIAL_OK its target is absolute, else its text is not empty. */
PHIAL_CHECKED enum phial_status phial_init_decode_answer(const void *payload, size_t length,
							 struct phial_init_answer *ret_answer,
							 struct phial_error *err);

#endif
