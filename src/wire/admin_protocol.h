/* SPDX-License-Identifier: ISC */
/*
 * Between `phial` and the agent, over RUN_DIR/admin.sock (root only). One request, one reply.
 * The JSON of a status reply is docs/agent-protocol.md's; the agent writes it into a memfd of the
 * client's, whatever its size. One of its own would keep its keyring alive where it is kept.
 */
#ifndef PHIAL_WIRE_ADMIN_PROTOCOL_H
#define PHIAL_WIRE_ADMIN_PROTOCOL_H

#include <stdint.h>

#include <phial/error.h>
#include <phial/sealed.h>

/* The most bytes of a status document that a client accepts. */
#define PHIAL_ADMIN_DOCUMENT_MAX ((size_t)64 * 1024 * 1024)

enum phial_admin_frame {
	PHIAL_ADMIN_STATUS = 1, /* no payload; one descriptor: an empty memfd, for the document */
	PHIAL_ADMIN_RELOAD,	/* the same; answered when the store has been read again */
	PHIAL_ADMIN_REVOKE, /* struct phial_admin_revoke, and the memfd; answered when containers are done */
	PHIAL_ADMIN_REVOCATIONS, /* as STATUS */
	PHIAL_ADMIN_OVERRIDE, /* struct phial_admin_override; the memfd, and one with the value */
	PHIAL_ADMIN_END_OVERRIDE, /* the same without a value */
	PHIAL_ADMIN_REPLY,
};

/* The seals of the memfd with an override's value: its length stays. */
#define PHIAL_ADMIN_VALUE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* How long an override may last, in seconds. */
#define PHIAL_ADMIN_TTL_MIN_S 60
#define PHIAL_ADMIN_TTL_MAX_S (7 * 24 * 3600)

/* Texts end with a NUL; an empty one stands for "not given". */
struct phial_admin_revoke {
	uint64_t version; /* this one and all below; 0: the newest that was seen */
	char name[PHIAL_NAME_MAX_BYTES + 1];
	char workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1]; /* of this one only */
	char container[129]; /* of this one only: its id, or the beginning of it */
	char reason[256];
};

struct phial_admin_override {
	uint64_t ttl_s; /* 0 with END_OVERRIDE */
	char name[PHIAL_NAME_MAX_BYTES + 1];
	char reason[256];
};

/* REPLY: the document is in the memfd. */
struct phial_admin_reply {
	uint32_t status; /* enum phial_status */
	char text[PHIAL_ERROR_TEXT_BYTES];
};

#endif
