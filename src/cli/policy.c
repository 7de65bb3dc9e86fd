/* SPDX-License-Identifier: ISC */
/*
 * `phial policy check` and `phial policy sign`: the exceptions of a store. All problems of
 * the file are listed with line numbers; then whether each workload would get its secrets, and
 * what becomes of them while it runs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/parse.h"
#include "base/signal_name.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "cli/format.h"
#include "cli/keyfile.h"
#include "cli/store.h"
#include "policy/policy.h"

enum { CHECK_JSON, CHECK_STORE };
enum { SIGN_PASSPHRASE_FD, SIGN_STORE };

const struct phial_cli_option phial_cli_policy_check_options[] = {
	[CHECK_JSON] = { "json", 0, false, NULL, "print JSON" },
	[CHECK_STORE] = PHIAL_CLI_STORE_OPTION,
	{ 0 },
};
const struct phial_cli_option phial_cli_policy_sign_options[] = {
	[SIGN_PASSPHRASE_FD] = PHIAL_CLI_PASSPHRASE_OPTION,
	[SIGN_STORE] = PHIAL_CLI_STORE_OPTION,
	{ 0 },
};

#define PROBLEMS_MAX_BYTES ((size_t)1024 * 1024)

/* A policy's bytes and where they came from. */
struct policy_file {
	struct phial_cli_store store; /* fd < 0: the file lies in none */
	char *path;
	uint8_t *bytes;
	size_t length;
};

static void free_policy_file(struct policy_file *file)
{
	phial_cli_store_close(&file->store);
	phial_free_pointer(&file->path);
	phial_free_pointer(&file->bytes);
}

/* Read a FILE, or the policy of the store at or above a folder (NULL: the working directory). */
static enum phial_status read_policy(const char *where, struct policy_file *file,
				     struct phial_error *err)
{
	struct stat status;
	enum phial_status result;

	if (where && stat(where, &status) == 0 && !S_ISDIR(status.st_mode)) {
		file->path = strdup(where);
		result = file->path ? PHIAL_OK : phial_fail(err, PHIAL_SYSTEM, 0, "no memory");
	} else {
		result = phial_cli_store_locate(where, &file->store, err);
		if (result == PHIAL_OK) {
			result = phial_cli_join_path(file->store.path, ".phial/policy.json",
						     &file->path, err);
		}
	}
	if (result == PHIAL_OK) {
		result = phial_cli_read_file(file->path, PHIAL_TRUST_FILE_MAX, &file->bytes,
					     &file->length, err);
	}
	if (result == PHIAL_NOT_FOUND && file->store.fd >= 0) {
		return phial_fail(
			err, PHIAL_NOT_FOUND, 0,
			"%s is not there: no policy is needed where the convention is enough "
			"(workload W gets W/*)",
			file->path);
	}
	return result;
}

/* --- what it means -------------------------------------------------------------------- */

/* A length of time for people. */
struct duration {
	char text[PHIAL_DURATION_TEXT_BYTES + 8];
};

static struct duration duration_of(int64_t ms)
{
	struct duration duration;

	phial_format_duration(ms, duration.text);
	return duration;
}

static struct duration delay_of(int64_t ms)
{
	struct duration delay = { "at once" };

	if (ms > 0) {
		char text[PHIAL_DURATION_TEXT_BYTES];

		phial_format_duration(ms, text);
		(void)snprintf(delay.text, sizeof(delay.text), "after %s", text);
	}
	return delay;
}

static void print_keep(const struct phial_life *life)
{
	switch (life->keep) {
	case PHIAL_KEEP_FOREVER:
		printf("  kept as long as the container runs\n");
		break;
	case PHIAL_KEEP_TIME:
		printf("  kept for %s after the start, then all files go\n",
		       duration_of(life->keep_ms).text);
		break;
	case PHIAL_KEEP_UNTIL_READY:
		printf("  kept until the container says that it is ready (needs phial-init); all "
		       "files then go %s\n",
		       delay_of(life->linger_ms).text);
		break;
	case PHIAL_KEEP_UNTIL_READ:
		printf("  kept until they are read; from its first close on each file goes %s\n",
		       delay_of(life->linger_ms).text);
		break;
	}
}

static void print_life(const struct phial_life *life)
{
	char signal[PHIAL_SIGNAL_TEXT_BYTES];

	print_keep(life);
	printf("  rotated: the versions before go %s", delay_of(life->grace_ms).text);
	phial_signal_format(life->notify_signal, signal);
	if (life->notify_signal == 0) {
		printf("; nobody is told\n");
	} else if (life->notify_process[0] == '\0') {
		printf("; the container's first process gets %s\n", signal);
	} else {
		printf("; each process \"%s\" gets %s\n", life->notify_process, signal);
	}
	if (life->ttl_s == 0) {
		printf("  expiry: when the secret says so");
	} else {
		printf("  expiry: %s after sealing, or before when the secret says so",
		       duration_of(life->ttl_s * 1000).text);
	}
	if (life->warn_before_s == 0) {
		printf("; no warnings\n");
	} else {
		printf("; warnings from %s before\n", duration_of(life->warn_before_s * 1000).text);
	}
}

static void add_life(struct phial_json *object, const struct phial_life *life)
{
	static const char *const keeps[] = {
		[PHIAL_KEEP_FOREVER] = "forever",
		[PHIAL_KEEP_TIME] = "time",
		[PHIAL_KEEP_UNTIL_READY] = "until-ready",
		[PHIAL_KEEP_UNTIL_READ] = "until-read",
	};
	char signal[PHIAL_SIGNAL_TEXT_BYTES];

	phial_json_add_string(object, "keep", keeps[life->keep]);
	phial_json_add_integer(object, "keep_ms", life->keep_ms);
	phial_json_add_integer(object, "linger_ms", life->linger_ms);
	phial_json_add_integer(object, "grace_ms", life->grace_ms);
	phial_json_add_integer(object, "ttl_s", life->ttl_s);
	phial_json_add_integer(object, "warn_before_s", life->warn_before_s);
	if (life->notify_signal == 0) {
		phial_json_add_null(object, "notify");
		return;
	}
	struct phial_json *notify = phial_json_add_object(object, "notify");

	phial_signal_format(life->notify_signal, signal);
	phial_json_add_string(notify, "signal", signal);
	if (life->notify_process[0] != '\0') {
		phial_json_add_string(notify, "process", life->notify_process);
	}
}

/* What is said of a policy; for people and programs. */
struct report {
	struct phial_json *root; /* NULL: for people */
	struct phial_json *workloads;
	struct phial_text problems;
	bool is_for_signing;
};

/* The policy lies in no store, so nobody knows how many files a workload would get. */
#define UNKNOWN_COUNT SIZE_MAX

static void report_workload(struct report *report, const struct phial_workload *workload,
			    size_t file_count)
{
	struct phial_json *object = phial_json_add_object(report->workloads, NULL);

	if (report->root) {
		phial_json_add_string(object, "name", workload->name);
		phial_json_add_string(object, "target", phial_workload_target(workload));
		if (file_count != UNKNOWN_COUNT) {
			phial_json_add_integer(object, "files", (int64_t)file_count);
		}
		add_life(object, phial_workload_life(workload));
		return;
	}
	if (file_count == UNKNOWN_COUNT) {
		printf("%s: files in %s\n", workload->name, phial_workload_target(workload));
	} else {
		printf("%s: %zu file%s in %s\n", workload->name, file_count,
		       file_count == 1 ? "" : "s", phial_workload_target(workload));
	}
	print_life(phial_workload_life(workload));
}

/*
 * What the store lacks is no reason not to sign: nothing can be sealed into a store whose policy is
 * not signed.
 */
static void report_failure(struct report *report, const struct phial_error *problem)
{
	bool is_refusal = problem->status == PHIAL_NOT_FOUND || problem->status == PHIAL_REFUSED;

	if (report->is_for_signing && is_refusal) {
		(void)fprintf(stderr, "phial: note: its containers would be refused now: %s\n",
			      problem->text);
		return;
	}
	phial_text_add(&report->problems, "%s\n", problem->text);
}

/* What the policy means for the secrets that are there; a workload that fails is a problem. */
static enum phial_status try_workloads(const struct policy_file *file,
				       const struct phial_policy *policy, struct report *report,
				       struct phial_error *err)
{
	struct phial_store_names list = { 0 };
	enum phial_status status =
		file->store.fd < 0 ? PHIAL_OK : phial_store_list(file->store.fd, &list, err);

	for (size_t i = 0; status == PHIAL_OK && i < policy->workload_count; i++) {
		struct phial_error problem = { 0 };
		struct phial_grant_file *files = NULL;
		size_t count = UNKNOWN_COUNT;

		if (file->store.fd >= 0 &&
		    phial_policy_grant(policy, policy->workloads[i].name,
				       (const char *const *)list.names, list.count, &files, &count,
				       &problem) != PHIAL_OK) {
			report_failure(report, &problem);
			continue;
		}
		report_workload(report, &policy->workloads[i], count);
		free(files);
	}
	phial_store_names_free(&list);
	return status;
}

/* --- the check ------------------------------------------------------------------------ */

static size_t count_lines(const struct phial_text *text)
{
	size_t count = 0;

	for (size_t i = 0; i < text->length; i++) {
		count += text->bytes[i] == '\n';
	}
	return count;
}

/* Each line of the problems to JSON. */
static void add_problems(struct report *report)
{
	struct phial_json *list = phial_json_add_array(report->root, "problems");
	struct phial_span rest = { report->problems.bytes, report->problems.length };
	struct phial_span line;

	while (report->problems.bytes && phial_next_line(&rest, &line, NULL)) {
		char text[PHIAL_ERROR_TEXT_BYTES];

		/* Never cut: each is the text of a struct phial_error. */
		if (phial_span_copy(line, text, sizeof(text))) {
			phial_json_add_string(list, NULL, text);
		}
	}
}

static void print_result(struct report *report, const struct policy_file *file, uint64_t serial)
{
	if (report->root) {
		phial_json_add_string(report->root, "policy", file->path);
		phial_json_add_integer(report->root, "serial", (int64_t)serial);
		add_problems(report);
	} else if (report->problems.bytes) {
		fputs(report->problems.bytes, stdout);
	}
}

/* Check one policy and print what was found, as JSON to root if it is not NULL. */
static enum phial_status check_policy(const struct policy_file *file, struct phial_json *root,
				      bool is_for_signing, uint64_t *ret_serial,
				      struct phial_error *err)
{
	struct report report = {
		.root = root,
		.workloads = phial_json_add_array(root, "workloads"),
		.problems = { .max = PROBLEMS_MAX_BYTES },
		.is_for_signing = is_for_signing,
	};
	struct phial_policy policy = { 0 };
	struct phial_error first = { 0 };
	enum phial_status status =
		phial_policy_parse(file->bytes, file->length, &policy, &report.problems, &first);

	if (status == PHIAL_OK) {
		*ret_serial = policy.serial;
		status = try_workloads(file, &policy, &report, &first);
		phial_policy_free(&policy);
	}
	size_t count = count_lines(&report.problems);

	if (status != PHIAL_OK && (status != PHIAL_MALFORMED || count == 0)) {
		status = phial_fail(err, status, 0, "%s: %s", file->path, first.text);
	} else {
		print_result(&report, file, *ret_serial);
		status = count == 0 ? PHIAL_OK
				    : phial_fail(err, PHIAL_PROBLEMS, 0, "%zu problem%s in %s",
						 count, count == 1 ? "" : "s", file->path);
	}
	phial_text_free(&report.problems);
	return status;
}

enum phial_status phial_cli_policy_check(const struct phial_cli_call *call, struct phial_error *err)
{
	const char *operand = phial_cli_operand(call, 0);
	phial_auto_json struct phial_json *root =
		call->values[CHECK_JSON] ? phial_json_new_object() : NULL;
	struct policy_file file = { .store = PHIAL_CLI_STORE_NONE };
	uint64_t serial = 0;

	if (operand && call->values[CHECK_STORE]) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "give a file or folder, or --store, not both");
	}
	enum phial_status status =
		read_policy(operand ? operand : call->values[CHECK_STORE], &file, err);

	if (status == PHIAL_OK) {
		status = check_policy(&file, root, false, &serial, err);
	}
	if (root && (status == PHIAL_OK || status == PHIAL_PROBLEMS)) {
		struct phial_error problem;
		enum phial_status printed = phial_cli_print_json(root, &problem);

		if (printed != PHIAL_OK) {
			*err = problem;
			status = printed;
		}
	} else if (status == PHIAL_OK) {
		phial_cli_print_safe(stdout, file.path);
		printf(": good, serial %" PRIu64 "\n", serial);
	}
	free_policy_file(&file);
	return status;
}

enum phial_status phial_cli_policy_sign(const struct phial_cli_call *call, struct phial_error *err)
{
	phial_auto_passphrases struct phial_cli_passphrases passphrases = {
		.fd_text = call->values[SIGN_PASSPHRASE_FD],
	};
	phial_auto_signer struct phial_signer *admin = NULL;
	struct policy_file file = { .store = PHIAL_CLI_STORE_NONE };
	uint64_t serial = 0;
	enum phial_status status = read_policy(call->values[SIGN_STORE], &file, err);

	if (status == PHIAL_OK && file.store.fd < 0) {
		status = phial_fail(err, PHIAL_USAGE, 0, "--store takes a folder");
	}
	if (status == PHIAL_OK) {
		status = check_policy(&file, NULL, true, &serial, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_pins_read(&file.store.pins, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_store_load_admin(&file.store, &passphrases, &admin, err);
	}
	sigset_t before;

	phial_cli_hold_signals(&before);
	if (status == PHIAL_OK) {
		status = phial_trust_write(file.store.fd, "policy.json", file.bytes, file.length,
					   admin, err);
	}
	phial_cli_release_signals(&before);
	if (status == PHIAL_OK) {
		printf("signed with serial %" PRIu64 " (hosts refuse it unless the serial grew)\n",
		       serial);
	}
	free_policy_file(&file);
	return status;
}
