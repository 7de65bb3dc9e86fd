/* SPDX-License-Identifier: ISC */
/*
 * `phial run`: a workload's secrets for one command on a person's own machine, at the paths and
 * under the rules of production, without agent and without root. Judges no gates: those are about
 * containers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/secret.h"
#include "cli/cli.h"
#include "cli/keyfile.h"
#include "cli/run.h"
#include "cli/store.h"
#include "mount/generation.h"
#include "mount/private.h"
#include "policy/policy.h"

enum { FILE_ENV, ENV, IDENTITY, PASSPHRASE_FD, STORE };

const struct phial_cli_option phial_cli_run_options[] = {
	[FILE_ENV] = { "file-env", 0, false, NULL, "set DB_PASSWORD_FILE for db_password, ..." },
	[ENV] = { "env", 0, true, "FILE", "put the value itself into DB_PASSWORD (weak)" },
	[IDENTITY] = { "identity", 'i', false, "FILE", "an age key file (default: my own)" },
	[PASSPHRASE_FD] = PHIAL_CLI_PASSPHRASE_OPTION,
	[STORE] = PHIAL_CLI_STORE_OPTION,
	{ 0 },
};

/* Numbers of generations matter where secrets are rotated; here there is one. */
#define GENERATION 1

struct run_job {
	const struct phial_cli_call *call;
	struct phial_cli_store store;
	struct phial_store_names names;
	struct phial_policy policy;
	char workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	const char *target;
	struct phial_grant_file *files;
	size_t file_count;
	int mount_fd;
	struct phial_cli_environment environment;
};

/* --- which workload, which files --------------------------------------------------------- */

/* The workloads of a store. */
struct workloads {
	struct phial_text list; /* "a, b" */
	size_t count;
	struct phial_span first;
};

static void add_workload(struct workloads *workloads, struct phial_span name)
{
	if (workloads->count++ == 0) {
		workloads->first = name;
	}
	phial_text_add(&workloads->list, "%s%.*s", workloads->count > 1 ? ", " : "",
		       (int)name.length, name.text);
}

/* By convention the first component of a secret's name is a workload; the policy names others. */
static void find_workloads(const struct run_job *job, struct workloads *workloads)
{
	for (size_t i = 0; i < job->names.count; i++) {
		const char *name = job->names.names[i];
		size_t length = strcspn(name, "/");

		/* The names are sorted: those of one workload follow one another. */
		if (name[length] == '/' &&
		    (i == 0 || strncmp(job->names.names[i - 1], name, length + 1) != 0)) {
			add_workload(workloads, (struct phial_span){ name, length });
		}
	}
	for (size_t i = 0; i < job->policy.workload_count; i++) {
		const char *name = job->policy.workloads[i].name;
		size_t length = strlen(name);
		size_t at = 0;

		while (at < job->names.count && (strncmp(job->names.names[at], name, length) != 0 ||
						 job->names.names[at][length] != '/')) {
			at++;
		}
		if (at == job->names.count) {
			add_workload(workloads, phial_span_of(name));
		}
	}
}

static enum phial_status choose_only_workload(struct run_job *job, struct phial_error *err)
{
	struct workloads workloads = { .list = { .max = PHIAL_ERROR_TEXT_BYTES } };
	enum phial_status status = PHIAL_OK;

	find_workloads(job, &workloads);
	if (workloads.count == 0) {
		status = phial_fail(err, PHIAL_NOT_FOUND, 0,
				    "no workload in %s yet: phial seal WORKLOAD/NAME makes one",
				    job->store.path);
	} else if (workloads.count > 1) {
		status = phial_fail(err, PHIAL_USAGE, 0,
				    "which workload? phial run WORKLOAD -- CMD; there is %s",
				    workloads.list.bytes ? workloads.list.bytes : "more than one");
	} else {
		(void)phial_span_copy(workloads.first, job->workload, sizeof(job->workload));
	}
	phial_text_free(&workloads.list);
	return status;
}

static enum phial_status choose_workload(struct run_job *job, struct phial_error *err)
{
	const char *given = phial_cli_operand(job->call, 0);

	if (!given) {
		return choose_only_workload(job, err);
	}
	if (strlen(given) >= sizeof(job->workload)) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0, "no workload has such a long name");
	}
	(void)snprintf(job->workload, sizeof(job->workload), "%s", given);
	return PHIAL_OK;
}

/* The verified policy, and every name of the store. */
static enum phial_status read_store(struct run_job *job, struct phial_error *err)
{
	enum phial_status status = phial_cli_store_open(job->call->values[STORE], &job->store, err);

	if (status == PHIAL_OK) {
		status = phial_policy_parse(job->store.trust->policy,
					    job->store.trust->policy_length, &job->policy, NULL,
					    err);
	}
	if (status == PHIAL_OK) {
		status = phial_store_list(job->store.fd, &job->names, err);
	}
	if (status == PHIAL_OK && job->names.problem_count > 0) {
		fprintf(stderr,
			"phial: warning: files of the store are passed over, phial verify says "
			"which and why\n");
	}
	return status;
}

static enum phial_status find_files(struct run_job *job, struct phial_error *err)
{
	enum phial_status status = read_store(job, err);

	if (status == PHIAL_OK) {
		status = choose_workload(job, err);
	}
	if (status == PHIAL_OK) {
		status = phial_policy_grant(&job->policy, job->workload,
					    (const char *const *)job->names.names, job->names.count,
					    &job->files, &job->file_count, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	job->target = phial_workload_target(phial_policy_find(&job->policy, job->workload));
	job->environment = (struct phial_cli_environment){
		.directory = job->target,
		.has_paths = job->call->values[FILE_ENV] != NULL,
		.asked = job->call->repeated,
		.asked_count = job->call->repeated_count,
	};
	return phial_cli_environment_check(&job->environment, job->files, job->file_count, err);
}

/* --- the mount ----------------------------------------------------------------------------- */

static enum phial_status attach(struct run_job *job, struct phial_error *err)
{
	/* Limits where the kernel keeps any; nothing is reserved. */
	const struct phial_mount_options options = {
		.size_bytes = (job->file_count + 1) * (uint64_t)PHIAL_SECRET_MAX_BYTES,
		.inodes = (uint32_t)(2 * job->file_count + 16),
	};
	phial_auto_free char *directory = getcwd(NULL, 0);
	size_t frozen = 0;
	enum phial_status status =
		phial_private_attach(&options, job->target, &job->mount_fd, &frozen, err);

	if (status != PHIAL_OK) {
		return status;
	}
	/* Where the command is to start may be a directory that is covered now. */
	if (directory && chdir(directory) != 0) {
		fprintf(stderr, "phial: note: %s cannot be entered with the secrets mounted\n",
			directory);
	}
	if (frozen > 0) {
		fprintf(stderr,
			"phial: note: there is no %s here, so the command can make no file "
			"directly in %.*s; mkdir -p %s avoids that\n",
			job->target, (int)frozen, job->target, job->target);
	}
	return PHIAL_OK;
}

/* --- the secrets ----------------------------------------------------------------------------- */

/* What opens and writes them, one after the other. */
struct opener {
	struct run_job *job;
	struct phial_identities *identities;
	struct phial_cli_sealed sealed;
	struct phial_secret *value;
	int generation_fd;
	const char **written; /* names of the files */
	size_t written_count;
};

static enum phial_status open_value(struct opener *opener, const char *secret,
				    struct phial_error *err)
{
	const struct phial_trust *trust = opener->job->store.trust;
	enum phial_status status =
		phial_cli_sealed_read(opener->job->store.fd, secret, &opener->sealed, err);

	if (status == PHIAL_OK) {
		status = phial_sealed_verify(opener->sealed.sealed, trust->trusted,
					     trust->signers.count, NULL, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_sealed_check_expiry(&opener->sealed, err);
	}
	if (status == PHIAL_OK) {
		status = phial_sealed_open(opener->sealed.sealed, opener->identities, opener->value,
					   err);
	}
	return status;
}

/* Every file is the caller's, whoever owns it in a container: there is no other user here. */
static enum phial_status write_value(struct opener *opener, const struct phial_grant_file *file,
				     struct phial_error *err)
{
	const struct phial_sealed_header *header = phial_sealed_get_header(opener->sealed.sealed);
	uint32_t mode = file->mode != PHIAL_MODE_UNSET	   ? file->mode
			: header->mode != PHIAL_MODE_UNSET ? header->mode
							   : 0400;
	phial_auto_fd int fd = -1;
	enum phial_status status = phial_generation_add(opener->generation_fd, file->file, mode,
							geteuid(), getegid(), &fd, err);

	return status == PHIAL_OK ? phial_secret_write_fd(opener->value, fd, err) : status;
}

static enum phial_status put_file(struct opener *opener, const struct phial_grant_file *file,
				  struct phial_error *err)
{
	enum phial_status status = open_value(opener, file->secret, err);

	if (status == PHIAL_OK) {
		status = write_value(opener, file, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_environment_add(&opener->job->environment, file->file,
						   opener->value, err);
	}
	if (status == PHIAL_OK) {
		opener->written[opener->written_count++] = file->file;
		return PHIAL_OK;
	}
	return phial_fail_prefix(err, "%s", file->secret);
}

/* All files, or all reasons why not: the first one is left in err, the others are printed. */
static enum phial_status put_files(struct opener *opener, struct phial_error *err)
{
	enum phial_status first = PHIAL_OK;

	for (size_t i = 0; i < opener->job->file_count; i++) {
		const struct phial_grant_file *file = &opener->job->files[i];
		struct phial_error problem = { 0 };
		enum phial_status status = put_file(opener, file, &problem);

		if (status == PHIAL_OK) {
			continue;
		}
		if (file->is_required && first == PHIAL_OK) {
			first = status;
			*err = problem;
		} else {
			fprintf(stderr, "phial: %s%s\n",
				file->is_required ? "" : "left out: ", problem.text);
		}
	}
	if (first == PHIAL_OK && opener->written_count == 0) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0, "workload %s: it gets no file",
				  opener->job->workload);
	}
	return first;
}

static enum phial_status fill_mount(struct opener *opener, struct phial_error *err)
{
	struct run_job *job = opener->job;
	phial_auto_passphrases struct phial_cli_passphrases passphrases = {
		.fd_text = job->call->values[PASSPHRASE_FD],
	};
	enum phial_status status =
		phial_cli_load_identities(job->call->values[IDENTITY], &passphrases,
					  &opener->identities, err);

	if (status == PHIAL_OK) {
		status = phial_secret_new(PHIAL_SECRET_MAX_BYTES, &opener->value, err);
	}
	if (status == PHIAL_OK) {
		status = phial_generation_begin(job->mount_fd, GENERATION, &opener->generation_fd,
						err);
	}
	if (status == PHIAL_OK) {
		status = put_files(opener, err);
	}
	if (status == PHIAL_OK) {
		status = phial_generation_commit(job->mount_fd, GENERATION, opener->written,
						 opener->written_count, err);
	}
	return status;
}

static enum phial_status open_secrets(struct run_job *job, struct phial_error *err)
{
	phial_auto_free const char **written = calloc(job->file_count, sizeof(*written));
	struct opener opener = { .job = job, .generation_fd = -1, .written = written };
	enum phial_status status = written ? fill_mount(&opener, err)
					   : phial_fail(err, PHIAL_SYSTEM, ENOMEM, "secrets");

	phial_close_fd(&opener.generation_fd);
	phial_secret_free(opener.value);
	phial_cli_sealed_free(&opener.sealed);
	phial_identities_free(opener.identities);
	return status;
}

/* --- all of it --------------------------------------------------------------------------------- */

static void warn_of_values(const struct run_job *job)
{
	if (job->call->values[ENV]) {
		fprintf(stderr,
			"phial: warning: --env is weak: every program that the command starts "
			"inherits the value, and debuggers and crash reports show it\n");
	}
}

static enum phial_status run_job(struct run_job *job, struct phial_error *err)
{
	char *const *strings = NULL;
	/* First, while nothing is in memory that nobody may see. */
	enum phial_status status = phial_private_enter(err);

	if (status == PHIAL_OK) {
		status = find_files(job, err);
	}
	if (status == PHIAL_OK) {
		status = attach(job, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_start_wiper(job->mount_fd, err);
	}
	if (status == PHIAL_OK) {
		status = open_secrets(job, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_environment_make(&job->environment, &strings, err);
	}
	if (status == PHIAL_OK) {
		warn_of_values(job);
		phial_cli_become(job->call, strings);
	}
	return status;
}

enum phial_status phial_cli_run(const struct phial_cli_call *call, struct phial_error *err)
{
	struct run_job job = { .call = call, .store = PHIAL_CLI_STORE_NONE, .mount_fd = -1 };
	enum phial_status status = run_job(&job, err);

	phial_cli_environment_free(&job.environment);
	phial_close_fd(&job.mount_fd);
	free(job.files);
	phial_policy_free(&job.policy);
	phial_store_names_free(&job.names);
	phial_cli_store_close(&job.store);
	return status;
}
