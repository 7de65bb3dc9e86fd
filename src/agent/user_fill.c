/* SPDX-License-Identifier: ISC */
/*
 * How a user's agent fills a mount. Values do not fit into its quota of keys: the worker keeps the
 * sealed files, opens them for each container with the identity from the ring, and writes the
 * files itself. The filler gives them away; who may have what was decided before.
 */
#include <string.h>

#include <phial/sealed.h>

#include "agent/link.h"
#include "agent/parts.h"
#include "agent/worker.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/secret.h"
#include "crypt/crypt.h"
#include "mount/generation.h"

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

static enum phial_status begin(const struct phial_worker *worker, int mount_fd, uint32_t generation,
			       struct fill *fill, struct phial_error *err)
{
	enum phial_status status = phial_worker_read_identity(worker, &fill->identities, err);

	if (status == PHIAL_OK) {
		status = phial_secret_new(PHIAL_SECRET_MAX_BYTES, &fill->value, err);
	}
	return status == PHIAL_OK ? phial_generation_begin(mount_fd, generation, &fill->dir_fd, err)
				  : status;
}

/* Open one and write it. */
static enum phial_status write_release(const struct phial_worker *worker, struct fill *fill,
				       const struct phial_release *release,
				       const struct phial_fill_part *part, struct phial_error *err)
{
	const struct phial_entry *entry = phial_index_find(&worker->index, release->name);

	if (!entry || !entry->loaded.sealed || entry->loaded.version != release->version) {
		return phial_fail(
			err, PHIAL_NOT_FOUND, 0,
			"%s is not in the store any more; an agent of a user cannot carry "
			"it into the next generation",
			release->name);
	}
	enum phial_status status = open_value(&entry->loaded, fill->identities, fill->value, err);

	if (status == PHIAL_OK) {
		status = write_value(fill->dir_fd, part, fill->value, err);
	}
	/* The bytes in use: a MiB of zeros for each of many small files takes long. */
	phial_secret_set_length(fill->value, 0);
	return status;
}

enum phial_status phial_user_fill(const struct phial_worker *worker, int mount_fd,
				  const struct phial_release *releases, size_t count,
				  const struct phial_parts *parts, struct phial_error *err)
{
	struct fill fill = { .dir_fd = -1 };
	const struct phial_fill_part *part = parts->items;
	enum phial_status status = begin(worker, mount_fd, parts->job.generation, &fill, err);

	for (size_t i = 0; status == PHIAL_OK && i < count; i++) {
		if (releases[i].version != 0) {
			status = write_release(worker, &fill, &releases[i], part++, err);
		}
	}
	phial_close_fd(&fill.dir_fd);
	phial_secret_free(fill.value);
	phial_identities_free(fill.identities);
	if (status != PHIAL_OK &&
	    phial_generation_wipe(mount_fd, parts->job.generation, NULL) != PHIAL_OK) {
		return status; /* it is wiped with the rest of the mount */
	}
	return status;
}

enum phial_status phial_user_rotate(const struct phial_worker *worker,
				    const struct phial_record *record, struct phial_parts *parts,
				    struct phial_error *err)
{
	const struct phial_link_container call = { .number = record->number };
	const struct phial_link_request request = { .type = PHIAL_LINK_MOUNT,
						    .record = &call,
						    .length = sizeof(call) };
	struct phial_link_answer answer;
	uint32_t present;
	phial_auto_fd int mount_fd = -1;
	enum phial_status status =
		phial_link_exchange(worker->start->call_fd, &request, &answer, &mount_fd, err);

	if (status == PHIAL_OK && mount_fd < 0) {
		status = phial_fail(err, PHIAL_SYSTEM, 0, "the container's mount did not come");
	}
	if (status == PHIAL_OK) {
		status = phial_generation_next(mount_fd, &present, &parts->job.generation, err);
	}
	return status == PHIAL_OK ? phial_user_fill(worker, mount_fd, record->live.next,
						    record->live.next_count, parts, err)
				  : status;
}
