/* SPDX-License-Identifier: ISC */
/*
 * One job on one mount. Parses nothing but fixed records and key headers, decides nothing, and
 * holds one key's payload at a time.
 */
#include "agent/filler.h"

#include <string.h>

#include "agent/link.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/secret.h"
#include "keyring/keyring.h"
#include "mount/generation.h"

/* Read one key and check that it is the part that was asked for. */
static enum phial_status read_part(const struct phial_fill_part *part, struct phial_secret *payload,
				   struct phial_error *err)
{
	struct phial_key_header header;
	size_t length = 0;
	enum phial_status status = phial_keyring_read(part->serial, phial_secret_bytes(payload),
						      phial_secret_capacity(payload), &length, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (length < sizeof(header) || length > phial_secret_capacity(payload)) {
		return phial_fail(err, PHIAL_TAMPERED, 0, "a key in the ring has a wrong size");
	}
	phial_secret_set_length(payload, length);
	memcpy(&header, phial_secret_const_bytes(payload), sizeof(header));
	if (header.magic != PHIAL_KEY_MAGIC || header.kind != PHIAL_KEY_SECRET ||
	    header.part != part->part || header.part_count != part->part_count) {
		return phial_fail(err, PHIAL_TAMPERED, 0, "a key in the ring is not the one meant");
	}
	return PHIAL_OK;
}

/* Write what follows the key's header. The mount is memory: a short write is an error. */
static enum phial_status write_part(int fd, const struct phial_secret *payload,
				    struct phial_error *err)
{
	return phial_write_all(fd, phial_secret_const_bytes(payload) + PHIAL_KEY_HEADER_BYTES,
			       phial_secret_length(payload) - PHIAL_KEY_HEADER_BYTES, err);
}

/* Write one file: its parts are the first of parts. */
static enum phial_status fill_file(int dir_fd, const struct phial_fill_part *parts,
				   struct phial_secret *payload, struct phial_error *err)
{
	phial_auto_fd int fd = -1;
	enum phial_status status = phial_generation_add(dir_fd, parts[0].file, parts[0].mode,
							parts[0].uid, parts[0].gid, &fd, err);

	for (uint32_t i = 0; status == PHIAL_OK && i < parts[0].part_count; i++) {
		status = read_part(&parts[i], payload, err);
		if (status == PHIAL_OK) {
			status = write_part(fd, payload, err);
		}
	}
	phial_secret_wipe(payload);
	return status;
}

/* See that the records are whole files in a row, whatever the worker sent. */
static enum phial_status check_parts(struct phial_fill_part *parts, size_t count,
				     struct phial_error *err)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t expected = i == 0 || parts[i - 1].part + 1 == parts[i - 1].part_count
					    ? 0
					    : parts[i - 1].part + 1;

		parts[i].file[sizeof(parts[i].file) - 1] = '\0';
		if (parts[i].part != expected || parts[i].part >= parts[i].part_count ||
		    (expected > 0 && parts[i].part_count != parts[i - 1].part_count)) {
			return phial_fail(err, PHIAL_MALFORMED, 0, "the job's parts do not add up");
		}
	}
	if (count == 0 || parts[count - 1].part + 1 != parts[count - 1].part_count) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "the job's last file is not whole");
	}
	return PHIAL_OK;
}

static enum phial_status fill(int mount_fd, struct phial_fill_part *parts, size_t count,
			      struct phial_secret *payload, struct phial_error *err)
{
	const char *names[PHIAL_FILL_PARTS_MAX];
	size_t name_count = 0;
	phial_auto_fd int dir_fd = -1;
	enum phial_status status = check_parts(parts, count, err);

	if (status == PHIAL_OK) {
		status = phial_generation_begin(mount_fd, PHIAL_GENERATION_FIRST, &dir_fd, err);
	}
	for (size_t i = 0; status == PHIAL_OK && i < count; i += parts[i].part_count) {
		status = fill_file(dir_fd, &parts[i], payload, err);
		names[name_count++] = parts[i].file;
	}
	if (status == PHIAL_OK) {
		status = phial_generation_commit(mount_fd, PHIAL_GENERATION_FIRST, names,
						 name_count, err);
	}
	return status;
}

/* Give files that the worker of a user's agent wrote to their owners, one part for each. */
static enum phial_status give(int mount_fd, struct phial_fill_part *parts, size_t count,
			      struct phial_error *err)
{
	const char *names[PHIAL_FILL_PARTS_MAX];
	enum phial_status status = check_parts(parts, count, err);

	for (size_t i = 0; status == PHIAL_OK && i < count; i++) {
		status = phial_generation_give(mount_fd, PHIAL_GENERATION_FIRST, parts[i].file,
					       parts[i].uid, parts[i].gid, err);
		names[i] = parts[i].file;
	}
	return status == PHIAL_OK ? phial_generation_commit(mount_fd, PHIAL_GENERATION_FIRST, names,
							    count, err)
				  : status;
}

static enum phial_status run_job(const struct phial_frame *frame, struct phial_fill_part *parts,
				 struct phial_secret *payload, struct phial_error *err)
{
	size_t count = frame->length / sizeof(parts[0]);

	if (frame->fd_count == 1 && frame->type == PHIAL_LINK_FILL) {
		return fill(frame->fds[0], parts, count, payload, err);
	}
	if (frame->fd_count == 1 && frame->type == PHIAL_LINK_GIVE) {
		return give(frame->fds[0], parts, count, err);
	}
	if (frame->fd_count == 1 && frame->type == PHIAL_LINK_WIPE) {
		return phial_mount_wipe(frame->fds[0], err);
	}
	return phial_fail(err, PHIAL_MALFORMED, 0, "no such job");
}

int phial_filler_run(int fd, struct phial_secret *payload)
{
	static union {
		uint8_t bytes[PHIAL_FRAME_MAX_BYTES];
		struct phial_fill_part parts[PHIAL_FILL_PARTS_MAX];
	} job;
	struct phial_frame frame;
	struct phial_error err = { .status = PHIAL_OK };
	struct phial_link_result result = { .status = PHIAL_MALFORMED };
	enum phial_status status =
		phial_frame_receive(fd, job.bytes, sizeof(job.bytes), &frame, &err);

	if (status != PHIAL_OK) {
		return status == PHIAL_GONE ? 0 : 1;
	}
	status = run_job(&frame, job.parts, payload, &err);
	phial_frame_close_fds(&frame);
	result.status = status;
	memcpy(result.text, err.text, sizeof(result.text));
	return phial_frame_send(fd, PHIAL_LINK_FILLED, &result, sizeof(result), NULL, 0, &err) ==
			       PHIAL_OK
		       ? 0
		       : 1;
}
