/* SPDX-License-Identifier: ISC */
/* Keeping an opened value until containers want it, in the way that this agent has. */
#ifndef PHIAL_AGENT_KEEP_H
#define PHIAL_AGENT_KEEP_H

#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>
#include <phial/sealed.h>

#include "agent/index.h"

struct phial_worker;

/* A sealed file that was verified and opened just now, or an override; nothing in it is owned. */
struct phial_opened {
	const struct phial_sealed_header *header;
	const struct phial_secret *value;
	const uint8_t *digest; /* PHIAL_DIGEST_BYTES of the file */
	const uint8_t *file;
	size_t file_bytes;
	int64_t until_ms; /* of an override, which has no file: its deadline since boot; else 0 */
};

/*
 * Keep a value: root's agent in keys of the ring, a user's, which may have 200 of them, by keeping
 * its file, to be opened again for each container. ret_loaded: the caller's, for
 * phial_loaded_clear(). Returns PHIAL_OK; PHIAL_TOO_LARGE when the quota of keys is exhausted;
 * PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_keep(const struct phial_worker *worker,
					   const struct phial_opened *opened,
					   struct phial_loaded *ret_loaded,
					   struct phial_error *err);

/* Remove keys of the ring: of a value that was replaced, or not taken after all. */
void phial_keep_drop_keys(const struct phial_worker *worker, const int32_t *serials, size_t count);

#endif
