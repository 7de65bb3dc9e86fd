/* SPDX-License-Identifier: ISC */
/* The filler's records, for a start and for a rotation alike. Decides who owns a file, nothing else. */
#include "agent/parts.h"

#include <string.h>

#include <phial/sealed.h>

#include "agent/worker.h"

size_t phial_parts_length(const struct phial_parts *parts)
{
	return sizeof(parts->job) + parts->count * sizeof(parts->items[0]);
}

enum phial_status phial_parts_find_maps(const struct phial_worker *worker, int32_t pid,
					uint64_t start_time, struct phial_id_map ret_maps[static 2],
					struct phial_error *err)
{
	const struct phial_link_process call = { .pid = pid, .start_time = start_time };
	static struct phial_link_maps maps;
	struct phial_link_answer answer;
	enum phial_status status = phial_link_call(worker->start->call_fd, PHIAL_LINK_MAPS, &call,
						   sizeof(call), NULL, &answer, err);

	if (status == PHIAL_OK) {
		memcpy(&maps, worker->start->pages.bytes, sizeof(maps));
	}
	for (size_t i = 0; status == PHIAL_OK && i < 2; i++) {
		status = phial_id_map_parse(maps.texts[i], maps.lengths[i], &ret_maps[i], err);
	}
	return status;
}

/* Owner and mode of one file as the host sees them. */
static enum phial_status map_owner(const struct phial_grant_file *file,
				   const struct phial_loaded *loaded,
				   const struct phial_record *record,
				   const struct phial_id_map maps[static 2],
				   struct phial_fill_part *part, struct phial_error *err)
{
	bool by_policy = file->owner_uid != PHIAL_ID_UNSET;
	bool by_file = loaded->owner_uid != PHIAL_ID_UNSET;
	uint32_t uid = by_policy ? file->owner_uid : by_file ? loaded->owner_uid : record->user_uid;
	uint32_t gid = by_policy ? file->owner_gid : by_file ? loaded->owner_gid : record->user_gid;

	if (!phial_id_map_outside(&maps[0], uid, &part->uid) ||
	    !phial_id_map_outside(&maps[1], gid, &part->gid)) {
		return phial_fail(
			err, PHIAL_REFUSED, 0,
			"%s: owner %u:%u does not exist in the container's user namespace, or is "
			"no id that the agent knows",
			file->secret, uid, gid);
	}
	if (file->mode != PHIAL_MODE_UNSET) {
		part->mode = file->mode;
	} else {
		part->mode = loaded->mode != PHIAL_MODE_UNSET ? loaded->mode : 0400;
	}
	return PHIAL_OK;
}

static enum phial_status check_room(const struct phial_parts *parts, uint32_t count,
				    struct phial_error *err)
{
	if (count > PHIAL_FILL_PARTS_MAX - parts->count) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0,
				  "the workload's secrets are more than %zu pieces",
				  PHIAL_FILL_PARTS_MAX);
	}
	return PHIAL_OK;
}

enum phial_status phial_parts_add(struct phial_parts *parts, const struct phial_grant_file *file,
				  const struct phial_loaded *loaded,
				  const struct phial_record *record,
				  const struct phial_id_map maps[static 2], struct phial_error *err)
{
	bool is_file = loaded->sealed != NULL; /* written by this worker, and whole */
	struct phial_fill_part part = { .part_count = is_file ? 1 : loaded->serial_count };
	enum phial_status status = check_room(parts, part.part_count, err);

	if (status == PHIAL_OK) {
		status = map_owner(file, loaded, record, maps, &part, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	memcpy(part.file, file->file, sizeof(part.file));
	for (; part.part < part.part_count; part.part++) {
		part.serial = is_file ? 0 : loaded->serials[part.part];
		parts->items[parts->count++] = part;
	}
	return PHIAL_OK;
}

enum phial_status phial_parts_carry(struct phial_parts *parts, const char *file,
				    struct phial_error *err)
{
	enum phial_status status = check_room(parts, 1, err);

	if (status == PHIAL_OK) {
		struct phial_fill_part *part = &parts->items[parts->count++];

		*part = (struct phial_fill_part){ .part_count = 1 };
		memcpy(part->file, file, strnlen(file, sizeof(part->file) - 1));
	}
	return status;
}

void phial_release_describe(struct phial_release *release, const struct phial_grant_file *file,
			    const struct phial_loaded *loaded)
{
	release->version = loaded->version;
	release->not_after_s = loaded->not_after_s;
	release->created_s = loaded->created_s;
	memcpy(release->file, file->file, sizeof(release->file));
}
