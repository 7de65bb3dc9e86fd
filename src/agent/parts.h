/* SPDX-License-Identifier: ISC */
/* What a filler is to write: one record for each key's part of each file, with owners mapped. */
#ifndef PHIAL_AGENT_PARTS_H
#define PHIAL_AGENT_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

#include "agent/index.h"
#include "agent/link.h"
#include "agent/records.h"
#include "oci/config.h"
#include "policy/policy.h"

/* The first two members are what goes to the supervisor, in one piece. */
struct phial_parts {
	struct phial_link_job job;
	struct phial_fill_part items[PHIAL_FILL_PARTS_MAX];
	size_t count;
};

_Static_assert(offsetof(struct phial_parts, items) == sizeof(struct phial_link_job),
	       "a job and its parts are one message");

/* How long that message is, in bytes. */
size_t phial_parts_length(const struct phial_parts *parts);

struct phial_worker;

/*
 * Find the id maps of a process (uid, gid) as the agent's own namespace counts; PHIAL_GONE when it
 * is not the process that began at start_time.
 */
PHIAL_CHECKED enum phial_status phial_parts_find_maps(const struct phial_worker *worker,
						      int32_t pid, uint64_t start_time,
						      struct phial_id_map ret_maps[static 2],
						      struct phial_error *err);

/*
 * Add a file with a value that is loaded. record: whose user owns it unless the file or the sealed
 * file says otherwise. maps: of uids and gids, of the container. Returns PHIAL_OK; PHIAL_REFUSED when
 * its owner does not exist in the container's user namespace; PHIAL_TOO_LARGE.
 */
PHIAL_CHECKED enum phial_status
phial_parts_add(struct phial_parts *parts, const struct phial_grant_file *file,
		const struct phial_loaded *loaded, const struct phial_record *record,
		const struct phial_id_map maps[static 2], struct phial_error *err);

/* Add a file that stays as it is in the generation before. Returns PHIAL_OK; PHIAL_TOO_LARGE. */
PHIAL_CHECKED enum phial_status phial_parts_carry(struct phial_parts *parts, const char *file,
						  struct phial_error *err);

/* Write into a release what a container gets: everything but its name. */
void phial_release_describe(struct phial_release *release, const struct phial_grant_file *file,
			    const struct phial_loaded *loaded);

#endif
