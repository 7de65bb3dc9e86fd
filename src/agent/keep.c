/* SPDX-License-Identifier: ISC */
/*
 * Where a value stays between the load that opened it and the containers that get it: keys of the
 * ring, or its sealed file. Decides nothing about it and checks nothing.
 */
#include "agent/keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/link.h"
#include "agent/log.h"
#include "agent/worker.h"
#include "base/cleanup.h"
#include "base/secret.h"
#include "crypt/crypt.h"
#include "keyring/keyring.h"

void phial_keep_drop_keys(const struct phial_worker *worker, const int32_t *serials, size_t count)
{
	struct phial_error err;

	for (size_t i = 0; i < count; i++) {
		if (phial_keyring_drop(worker->start->ring, serials[i], &err) != PHIAL_OK) {
			phial_log("cannot drop an old key: %s", err.text);
		}
	}
}

#define BACKSTOP_S 60

/*
 * The kernel's own timeout is a backstop: it ends a key even if the agent hangs. It comes after the
 * agent's, because what has expired can be unlinked only, and stays in memory until it is collected.
 */
static uint32_t timeout_of(int64_t not_after_s, int64_t now_s)
{
	if (not_after_s == 0) {
		return 0;
	}
	if (not_after_s <= now_s) {
		return 1; /* just now; 0 would be never */
	}
	int64_t timeout_s = not_after_s - now_s + BACKSTOP_S;

	return timeout_s > UINT32_MAX ? UINT32_MAX : (uint32_t)timeout_s;
}

/* Put one part of a value into the ring by way of the shared pages. */
static enum phial_status add_part(const struct phial_worker *worker,
				  const struct phial_secret *value,
				  const struct phial_key_header *header, int32_t *ret_serial,
				  struct phial_error *err)
{
	const struct phial_worker_start *start = worker->start;
	size_t offset = header->part * PHIAL_KEY_PART_MAX;
	size_t rest = phial_secret_length(value) - offset;
	size_t length = rest < PHIAL_KEY_PART_MAX ? rest : PHIAL_KEY_PART_MAX;
	const struct phial_link_add_key call = {
		.length = (uint32_t)(sizeof(*header) + length),
		.timeout_s = timeout_of(header->not_after_s, phial_worker_now_s(worker)),
	};
	struct phial_link_answer answer;

	memcpy(start->pages.bytes, header, sizeof(*header));
	memcpy(start->pages.bytes + sizeof(*header), phial_secret_const_bytes(value) + offset,
	       length);
	enum phial_status status = phial_link_call(start->call_fd, PHIAL_LINK_ADD_KEY, &call,
						   sizeof(call), NULL, &answer, err);

	phial_wipe(start->pages.bytes, sizeof(*header) + length);
	if (status == PHIAL_OK) {
		*ret_serial = (int32_t)answer.number;
	}
	return status;
}

/* What is known of a value, wherever it is kept. */
static struct phial_loaded describe(const struct phial_opened *opened)
{
	const struct phial_sealed_header *sealed = opened->header;
	struct phial_loaded loaded = {
		.version = sealed->version,
		.not_after_s = sealed->not_after_s,
		.created_s = sealed->created_s,
		.mode = sealed->mode,
		.owner_uid = sealed->owner_uid,
		.owner_gid = sealed->owner_gid,
		.total_bytes = (uint32_t)phial_secret_length(opened->value),
	};

	memcpy(loaded.digest, opened->digest, sizeof(loaded.digest));
	return loaded;
}

/* Put the whole value into the ring. ret_loaded: its serials are the caller's. */
static enum phial_status add_value(const struct phial_worker *worker,
				   const struct phial_opened *opened,
				   struct phial_loaded *ret_loaded, struct phial_error *err)
{
	const struct phial_sealed_header *sealed = opened->header;
	size_t length = phial_secret_length(opened->value);
	size_t part_count =
		length == 0 ? 1 : (length + PHIAL_KEY_PART_MAX - 1) / PHIAL_KEY_PART_MAX;
	struct phial_key_header header = {
		.magic = PHIAL_KEY_MAGIC,
		.kind = opened->until_ms == 0 ? PHIAL_KEY_SECRET : PHIAL_KEY_OVERRIDE,
		.part_count = (uint32_t)part_count,
		.version = sealed->version,
		.not_after_s = sealed->not_after_s,
		.created_s = sealed->created_s,
		.until_ms = opened->until_ms,
		.total_bytes = (uint32_t)length,
		.mode = sealed->mode,
		.owner_uid = sealed->owner_uid,
		.owner_gid = sealed->owner_gid,
	};
	phial_auto_free int32_t *serials = calloc(part_count, sizeof(*serials));
	enum phial_status status = PHIAL_OK;

	if (!serials) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "load %s", sealed->name);
	}
	memcpy(header.name, sealed->name, strlen(sealed->name));
	memcpy(header.digest, opened->digest, sizeof(header.digest));
	for (; status == PHIAL_OK && header.part < part_count; header.part++) {
		status = add_part(worker, opened->value, &header, &serials[header.part], err);
	}
	if (status != PHIAL_OK) {
		phial_keep_drop_keys(worker, serials, header.part - 1);
		return status;
	}
	*ret_loaded = describe(opened);
	ret_loaded->serials = phial_take_pointer(serials);
	ret_loaded->serial_count = (uint32_t)part_count;
	return PHIAL_OK;
}

/*
 * Keep the file instead of the value: it was verified and opened just now, and is opened again for
 * each container (user_fill.c). A user has 200 keys and 20,000 bytes of them, for everything.
 */
static enum phial_status keep_file(const struct phial_opened *opened,
				   struct phial_loaded *ret_loaded, struct phial_error *err)
{
	phial_auto_free uint8_t *copy = malloc(opened->file_bytes);

	if (!copy) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "load %s", opened->header->name);
	}
	memcpy(copy, opened->file, opened->file_bytes);
	*ret_loaded = describe(opened);
	ret_loaded->sealed = phial_take_pointer(copy);
	ret_loaded->sealed_bytes = opened->file_bytes;
	return PHIAL_OK;
}

enum phial_status phial_keep(const struct phial_worker *worker, const struct phial_opened *opened,
			     struct phial_loaded *ret_loaded, struct phial_error *err)
{
	return worker->start->options->is_user ? keep_file(opened, ret_loaded, err)
					       : add_value(worker, opened, ret_loaded, err);
}
