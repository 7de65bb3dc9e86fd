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
	if (header.magic != PHIAL_KEY_MAGIC ||
	    (header.kind != PHIAL_KEY_SECRET && header.kind != PHIAL_KEY_OVERRIDE) ||
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

/* What one job works with. */
struct job {
	int mount_fd;
	uint32_t present;    /* generation; 0: none */
	uint32_t generation; /* to be made */
	struct phial_fill_part *parts;
	size_t count;
	struct phial_secret *payload;
};

static enum phial_status fill_files(const struct job *job, struct phial_error *err)
{
	const char *names[PHIAL_FILL_PARTS_MAX];
	size_t name_count = 0;
	phial_auto_fd int dir_fd = -1;
	enum phial_status status =
		phial_generation_begin(job->mount_fd, job->generation, &dir_fd, err);

	for (size_t i = 0; status == PHIAL_OK && i < job->count; i += job->parts[i].part_count) {
		const struct phial_fill_part *part = &job->parts[i];

		status = part->serial == 0 && job->present != 0
				 ? phial_generation_carry(job->mount_fd, job->present, part->file,
							  dir_fd, err)
				 : fill_file(dir_fd, part, job->payload, err);
		names[name_count++] = part->file;
	}
	return status == PHIAL_OK ? phial_generation_commit(job->mount_fd, job->generation, names,
							    name_count, err)
				  : status;
}

/* The first generation of a fresh mount. */
static enum phial_status fill(struct job *job, struct phial_error *err)
{
	enum phial_status status = check_parts(job->parts, job->count, err);

	job->generation = PHIAL_GENERATION_FIRST;
	return status == PHIAL_OK ? fill_files(job, err) : status;
}

/* The next one, all or nothing: what fails leaves the present one as it is, and nothing beside it. */
static enum phial_status rotate(struct job *job, struct phial_error *err)
{
	enum phial_status status = check_parts(job->parts, job->count, err);

	if (status == PHIAL_OK) {
		status = phial_generation_next(job->mount_fd, &job->present, &job->generation, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	status = fill_files(job, err);
	if (status != PHIAL_OK &&
	    phial_generation_wipe(job->mount_fd, job->generation, NULL) != PHIAL_OK) {
		return status; /* the next job tries again, and so does the wipe at the end */
	}
	return status;
}

/* Give files that the worker of a user's agent wrote to their owners, one part for each. */
static enum phial_status give(const struct job *job, struct phial_error *err)
{
	const char *names[PHIAL_FILL_PARTS_MAX];
	enum phial_status status = check_parts(job->parts, job->count, err);

	for (size_t i = 0; status == PHIAL_OK && i < job->count; i++) {
		status = phial_generation_give(job->mount_fd, job->generation, job->parts[i].file,
					       job->parts[i].uid, job->parts[i].gid, err);
		names[i] = job->parts[i].file;
	}
	return status == PHIAL_OK ? phial_generation_commit(job->mount_fd, job->generation, names,
							    job->count, err)
				  : status;
}

static enum phial_status remove_files(const struct job *job, struct phial_error *err)
{
	const char *names[PHIAL_FILL_PARTS_MAX];
	enum phial_status status = check_parts(job->parts, job->count, err);

	for (size_t i = 0; status == PHIAL_OK && i < job->count; i++) {
		names[i] = job->parts[i].file;
	}
	return status == PHIAL_OK ? phial_generation_remove(job->mount_fd, names, job->count, err)
				  : status;
}

static enum phial_status run_job(uint32_t type, struct job *job, struct phial_error *err)
{
	switch (type) {
	case PHIAL_LINK_FILL:
		return fill(job, err);
	case PHIAL_LINK_ROTATE:
		return rotate(job, err);
	case PHIAL_LINK_GIVE:
	case PHIAL_LINK_GIVE_NEXT:
		return give(job, err);
	case PHIAL_LINK_REMOVE:
		return remove_files(job, err);
	case PHIAL_LINK_WIPE_OLD:
		return phial_generation_wipe_old(job->mount_fd, err);
	case PHIAL_LINK_WIPE:
		return phial_mount_wipe(job->mount_fd, err);
	default:
		return phial_fail(err, PHIAL_MALFORMED, 0, "no such job");
	}
}

int phial_filler_run(int fd, struct phial_secret *payload)
{
	static struct {
		struct phial_link_job head;
		struct phial_fill_part parts[PHIAL_FILL_PARTS_MAX];
	} message;
	struct job job = { .parts = message.parts, .payload = payload };
	struct phial_frame frame;
	struct phial_error err = { .status = PHIAL_OK };
	struct phial_link_result result = { .status = PHIAL_MALFORMED };
	enum phial_status status = phial_frame_receive(fd, &message, sizeof(message), &frame, &err);

	if (status != PHIAL_OK) {
		return status == PHIAL_GONE ? 0 : 1;
	}
	if (frame.fd_count == 1 && frame.length >= sizeof(message.head)) {
		job.mount_fd = frame.fds[0];
		job.generation = message.head.generation;
		job.count = (frame.length - sizeof(message.head)) / sizeof(message.parts[0]);
		status = run_job(frame.type, &job, &err);
	} else {
		status = phial_fail(&err, PHIAL_MALFORMED, 0, "no job");
	}
	phial_frame_close_fds(&frame);
	result.status = status;
	memcpy(result.text, err.text, sizeof(result.text));
	return phial_frame_send(fd, PHIAL_LINK_FILLED, &result, sizeof(result), NULL, 0, &err) ==
			       PHIAL_OK
		       ? 0
		       : 1;
}
