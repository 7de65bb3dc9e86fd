/* SPDX-License-Identifier: ISC */
/*
 * `phial override`: hands a value to the agent of this host, in memory. The value goes from secret
 * memory into locked pages of a memfd, which the agent reads, and is wiped there. No store, no file.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/secret.h"
#include "cli/agent.h"
#include "cli/cli.h"
#include "cli/format.h"
#include "cli/settled.h"
#include "cli/value.h"
#include "crypt/crypt.h"

enum { FROM, TTL, REASON, END, TRIM_NEWLINE, KEEP_NEWLINE, JSON, RUN_DIR };

const struct phial_cli_option phial_cli_override_options[] = {
	[FROM] = { "from", 0, false, "FILE|-", "read the value from a file, or - for stdin" },
	[TTL] = { "ttl", 0, false, "4h", "how long, from 1m to 7d" },
	[REASON] = { "reason", 0, false, "TEXT", "why: for status and the audit log" },
	[END] = { "end", 0, false, NULL, "end an override: the store's value comes back" },
	[TRIM_NEWLINE] = { "trim-newline", 0, false, NULL, "drop one newline at the value's end" },
	[KEEP_NEWLINE] = { "keep-newline", 0, false, NULL, "keep it and do not speak of it" },
	[JSON] = { "json", 0, false, NULL, "print the agent's answer" },
	[RUN_DIR] = PHIAL_CLI_RUN_DIR_OPTION,
	{ 0 },
};

static enum phial_status check_options(const struct phial_cli_call *call, struct phial_error *err)
{
	bool ends = call->values[END] != NULL;

	if (ends && (call->values[FROM] || call->values[TTL] || call->values[REASON])) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--end takes neither a value nor a time nor a reason");
	}
	if (!ends && !call->values[TTL]) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "say how long it is to last, e.g. --ttl 4h, or --end it");
	}
	if (call->values[TRIM_NEWLINE] && call->values[KEEP_NEWLINE]) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--trim-newline and --keep-newline exclude each other");
	}
	return PHIAL_OK;
}

static enum phial_status make_request(const struct phial_cli_call *call,
				      struct phial_admin_override *ret_request,
				      struct phial_error *err)
{
	struct phial_admin_override request = { .ttl_s = 0 };
	const char *ttl = call->values[TTL];
	int64_t ttl_ms = 0;
	enum phial_status status = check_options(call, err);

	if (status == PHIAL_OK) {
		status = phial_name_check(call->operands[0], err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	if (ttl && !phial_parse_duration(phial_span_of(ttl), PHIAL_ADMIN_TTL_MIN_S * INT64_C(1000),
					 PHIAL_ADMIN_TTL_MAX_S * INT64_C(1000), &ttl_ms)) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--ttl takes a time from 1m to 7d, as 90m, 4h or 2d");
	}
	request.ttl_s = (uint64_t)ttl_ms / 1000;
	memcpy(request.name, call->operands[0], strlen(call->operands[0]));
	status = phial_cli_copy_option(call, REASON, request.reason, sizeof(request.reason), err);
	*ret_request = request;
	return status;
}

/* --- the value's way ---------------------------------------------------------------------- */

/* A memfd, and this process's view of it. Its pages are locked: a memfd can be swapped. */
struct shared_value {
	int fd;
	void *bytes;
	size_t length;
};

static void wipe_shared(struct shared_value *shared)
{
	if (shared->bytes) {
		phial_wipe(shared->bytes, shared->length);
		(void)munmap(shared->bytes, shared->length);
		shared->bytes = NULL;
	}
	phial_close_fd(&shared->fd);
}

static enum phial_status share(const struct phial_secret *value, struct shared_value *shared,
			       struct phial_error *err)
{
	shared->length = phial_secret_length(value);
	shared->fd = memfd_create("phial-override", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (shared->fd < 0 || ftruncate(shared->fd, (off_t)shared->length) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "memfd_create");
	}
	void *bytes = mmap(NULL, shared->length, PROT_READ | PROT_WRITE, MAP_SHARED, shared->fd, 0);

	if (bytes == MAP_FAILED) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "mmap");
	}
	shared->bytes = bytes;
	if (mlock(bytes, shared->length) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "mlock (see RLIMIT_MEMLOCK)");
	}
	memcpy(bytes, phial_secret_const_bytes(value), shared->length);
	/* Not against writing: it is wiped here as soon as the agent has read it. */
	if (fcntl(shared->fd, F_ADD_SEALS, PHIAL_ADMIN_VALUE_SEALS) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "seal the memfd");
	}
	return PHIAL_OK;
}

static enum phial_status read_and_share(const struct phial_cli_call *call,
					struct shared_value *shared, struct phial_error *err)
{
	const struct phial_cli_value_options options = {
		.from = call->values[FROM],
		.name = call->operands[0],
		.newline = call->values[TRIM_NEWLINE]	? PHIAL_CLI_NEWLINE_TRIM
			   : call->values[KEEP_NEWLINE] ? PHIAL_CLI_NEWLINE_KEEP
							: PHIAL_CLI_NEWLINE_NOTE,
		.has_no_empty = true,
	};
	phial_auto_secret struct phial_secret *value = NULL;
	enum phial_status status = phial_cli_read_value(&options, &value, err);

	return status == PHIAL_OK ? share(value, shared, err) : status;
}

/* --- the command -------------------------------------------------------------------------- */

/* A slip in the name would help nobody at night. */
static void print_sighting(const struct phial_json *root)
{
	const char *near = phial_cli_text_of(root, "near", NULL);

	if (!phial_json_member(root, "is_known") || phial_cli_is_true(root, "is_known")) {
		return;
	}
	printf("NOTE: no secret of this name was ever seen here");
	if (near) {
		printf(", did you mean \"%s\"?", near);
	}
	printf("\n");
}

static void print_answer(const struct phial_cli_call *call, const struct phial_json *root)
{
	const char *name = phial_cli_text_of(root, "name", "?");
	int64_t version = phial_cli_number_of(root, "version");

	if (!call->values[END]) {
		printf("OVERRIDE of %s until %s, as version %" PRId64 "\n", name,
		       phial_cli_text_of(root, "until", "?"), version);
		phial_cli_print_settled(root, "in use in");
		print_sighting(root);
		printf("next: seal it for good, or end it: phial override %s --end\n", name);
		return;
	}
	if (version > 0) {
		printf("the override of %s is over, the store's version %" PRId64 " is back\n",
		       name, version);
	} else {
		printf("the override of %s is over, and the store has nothing good in its place (see "
		       "phial status)\n",
		       name);
	}
	phial_cli_print_settled(root, "gone from");
}

enum phial_status phial_cli_override(const struct phial_cli_call *call, struct phial_error *err)
{
	phial_auto_json struct phial_json *root = NULL;
	struct phial_admin_override request;
	struct shared_value shared = { .fd = -1 };
	struct phial_cli_question question = {
		.run_dir = call->values[RUN_DIR],
		.request = call->values[END] ? PHIAL_ADMIN_END_OVERRIDE : PHIAL_ADMIN_OVERRIDE,
		.payload = &request,
		.length = sizeof(request),
	};
	enum phial_status status = make_request(call, &request, err);

	if (status == PHIAL_OK && !call->values[END]) {
		status = read_and_share(call, &shared, err);
	}
	if (status == PHIAL_OK) {
		question.value_fd = shared.fd;
		status = phial_cli_request(&question, &root, err);
	}
	wipe_shared(&shared);
	if (status != PHIAL_OK) {
		return status;
	}
	if (call->values[JSON]) {
		status = phial_cli_print_json(root, err);
	} else {
		print_answer(call, root);
	}
	return status == PHIAL_OK ? phial_cli_settled_status(root, err) : status;
}
