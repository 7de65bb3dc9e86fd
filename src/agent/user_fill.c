/* SPDX-License-Identifier: ISC */
/*
 * How a user's agent fills a mount. Values do not fit into its quota of keys: the worker keeps the
 * sealed files, opens them for each container with the identity from the ring, and writes the
 * files itself. The filler gives them away; who may have what was decided before.
 */
#include <string.h>

#include <phial/sealed.h>

#include "agent/link.h"
#include "agent/worker.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/secret.h"
#include "crypt/crypt.h"
#include "mount/generation.h"
#include "oci/config.h"

enum phial_status phial_user_find_maps(const struct phial_worker *worker, int32_t pid,
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

/*
 * Open one secret. These very bytes were verified when they were loaded, and nothing refused them
 * since: the request has just found the entry's status good.
 */
static enum phial_status open_value(const struct phial_loaded *loaded,
				    const struct phial_identities *identities,
				    struct phial_secret *value, struct phial_error *err)
{
	struct phial_sealed *sealed = NULL;
	enum phial_status status =
		phial_sealed_parse(loaded->sealed, loaded->sealed_bytes, &sealed, err);

	if (status == PHIAL_OK) {
		phial_sealed_accept_unsigned(sealed);
		status = phial_sealed_open(sealed, identities, value, err);
	}
	phial_sealed_free(sealed);
	return status;
}

static enum phial_status write_value(int dir_fd, const struct phial_fill_part *part,
				     const struct phial_secret *value, struct phial_error *err)
{
	phial_auto_fd int fd = -1;
	enum phial_status status =
		phial_generation_add(dir_fd, part->file, part->mode, 0, 0, &fd, err);

	return status == PHIAL_OK ? phial_write_all(fd, phial_secret_const_bytes(value),
						    phial_secret_length(value), err)
				  : status;
}

/* What one fill works with. */
struct fill {
	struct phial_identities *identities;
	struct phial_secret *value;
	int dir_fd;
};

static enum phial_status begin(const struct phial_worker *worker, int mount_fd, struct fill *fill,
			       struct phial_error *err)
{
	enum phial_status status = phial_worker_read_identity(worker, &fill->identities, err);

	if (status == PHIAL_OK) {
		status = phial_secret_new(PHIAL_SECRET_MAX_BYTES, &fill->value, err);
	}
	if (status == PHIAL_OK) {
		status = phial_generation_begin(mount_fd, PHIAL_GENERATION_FIRST, &fill->dir_fd,
						err);
	}
	return status;
}

enum phial_status phial_user_fill(const struct phial_worker *worker,
				  const struct phial_client *client, int mount_fd,
				  const struct phial_fill_part *parts, struct phial_error *err)
{
	struct fill fill = { .dir_fd = -1 };
	enum phial_status status = begin(worker, mount_fd, &fill, err);

	for (size_t i = 0; status == PHIAL_OK && i < client->file_count; i++) {
		const struct phial_entry *entry =
			phial_index_find(&worker->index, client->files[i].secret);

		status = open_value(&entry->loaded, fill.identities, fill.value, err);
		if (status == PHIAL_OK) {
			status = write_value(fill.dir_fd, &parts[i], fill.value, err);
		}
		/* The bytes in use: a MiB of zeros for each of many small files takes long. */
		phial_secret_set_length(fill.value, 0);
	}
	phial_close_fd(&fill.dir_fd);
	phial_secret_free(fill.value);
	phial_identities_free(fill.identities);
	if (status != PHIAL_OK && phial_mount_wipe(mount_fd, NULL) != PHIAL_OK) {
		return status; /* nobody else has it: it goes with its last descriptor */
	}
	return status;
}
