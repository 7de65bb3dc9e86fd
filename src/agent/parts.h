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

struct phial_parts {
	struct phial_fill_part items[PHIAL_FILL_PARTS_MAX];
	size_t count;
};

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
