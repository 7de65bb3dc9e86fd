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

/* The most bytes of a status document that a client accepts. */
#define PHIAL_ADMIN_DOCUMENT_MAX ((size_t)64 * 1024 * 1024)

enum phial_admin_frame {
	PHIAL_ADMIN_STATUS = 1, /* no payload; one descriptor: an empty memfd, for the document */
	PHIAL_ADMIN_RELOAD,	/* the same; answered when the store has been read again */
	PHIAL_ADMIN_REPLY,
};

/* REPLY: the document is in the memfd (of STATUS and RELOAD both). */
struct phial_admin_reply {
	uint32_t status; /* enum phial_status */
	char text[PHIAL_ERROR_TEXT_BYTES];
};

#endif
