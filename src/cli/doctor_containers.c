/* SPDX-License-Identifier: ISC */
/*
 * `phial doctor`: the containers that have secrets, those that should and have not, and those that
 * would get them now. What is secure, weak or insecure is host/grade.h's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "cli/agent.h"
#include "cli/doctor.h"
#include "cli/format.h"
#include "host/container.h"
#include "policy/policy.h"
#include "wire/hook_protocol.h"
#include "wire/init_protocol.h"

#define TEXT_MAX_BYTES ((size_t)4096)

/* Add to a list: what stands before the "; " of each line, or behind it. */
static void split_reasons(const char *reasons, struct phial_text *why, struct phial_text *fix)
{
	struct phial_span rest = phial_span_of(reasons);
	struct phial_span line;

	while (phial_next_line(&rest, &line, NULL)) {
		const char *middle = memmem(line.text, line.length, "; ", 2);
		size_t before = middle ? (size_t)(middle - line.text) : line.length;

		phial_text_add(why, "%s%.*s", why->length > 0 ? "; " : "", (int)before, line.text);
		if (middle) {
			phial_text_add(fix, "%s%.*s", fix->length > 0 ? "; " : "",
				       (int)(line.length - before - 2), middle + 2);
		}
	}
}

static enum phial_check_state state_of(enum phial_grade grade)
{
	switch (grade) {
	case PHIAL_GRADE_SECURE:
		return PHIAL_CHECK_OK;
	case PHIAL_GRADE_WEAK:
		return PHIAL_CHECK_WARN;
	case PHIAL_GRADE_INSECURE:
		return PHIAL_CHECK_BAD;
	case PHIAL_GRADE_UNKNOWN:
		break;
	}
	return PHIAL_CHECK_UNKNOWN;
}

static void check_grade(struct phial_doctor *doctor, const struct phial_json *container,
			const char *id)
{
	phial_auto_text struct phial_text reasons = { .max = TEXT_MAX_BYTES };
	phial_auto_text struct phial_text why = { .max = TEXT_MAX_BYTES };
	phial_auto_text struct phial_text fix = { .max = TEXT_MAX_BYTES };
	enum phial_grade grade = phial_cli_grade(container, &reasons);

	split_reasons(reasons.bytes ? reasons.bytes : "", &why, &fix);
	phial_doctor_add(doctor, id, state_of(grade), fix.bytes,
			 "%s, workload %s, pid %" PRId64 "%s%s", phial_grade_text(grade),
			 phial_cli_text_of(container, "workload", "?"),
			 phial_cli_number_of(container, "pid"), why.length > 0 ? ": " : "",
			 why.bytes ? why.bytes : "");
}

/* --- a program that stepped down from root -------------------------------------------------- */

struct owner_question {
	pid_t pid;
	const char *target;
	struct phial_container_facts facts;
};

/* In a child: may the process, as it is now, read what was put there for the user it began as? */
static enum phial_status find_stranger(void *context, struct phial_error *err)
{
	struct owner_question *question = context;
	struct phial_secret_owner owner;
	enum phial_status status =
		phial_container_look(question->pid, question->target, &question->facts, err);

	if (status == PHIAL_OK) {
		status = phial_container_find_owner(question->pid, question->target, &owner, err);
	}
	if (status != PHIAL_OK || owner.is_for_others || question->facts.reads_any_file ||
	    owner.uid == question->facts.uid) {
		return PHIAL_OK;
	}
	return phial_fail(err, PHIAL_PROBLEMS, 0,
			  "its program runs as uid %" PRIu32 " now, and its secrets belong to uid "
			  "%" PRIu32 ": it can read them no more",
			  question->facts.uid, owner.uid);
}

static void check_owner(struct phial_doctor *doctor, const struct phial_json *container,
			const char *id)
{
	struct owner_question question = {
		.pid = (pid_t)phial_cli_number_of(container, "pid"),
		.target = phial_cli_text_of(container, "target", ""),
	};
	struct phial_error err = { .status = PHIAL_OK };

	if (phial_doctor_in_child(find_stranger, &question, &err) == PHIAL_PROBLEMS) {
		phial_doctor_add(
			doctor, id, PHIAL_CHECK_WARN,
			"give the workload an \"owner\" in .phial/policy.json: the user that "
			"the program steps down to",
			"%s", err.text);
	}
}

/* After a restart of the agent: nothing changes in a container that it does not hold. */
static void check_held(struct phial_doctor *doctor, const struct phial_json *container,
		       const char *id)
{
	if (strcmp(phial_cli_text_of(container, "state", ""), "running, not re-attached") == 0) {
		phial_doctor_add(
			doctor, id, PHIAL_CHECK_WARN,
			"restart the container: until then its secrets stay as they are",
			"it runs since before the agent, which cannot reach its secrets: %s",
			phial_cli_text_of(container, "problem", "?"));
	}
}

static void check_container(struct phial_doctor *doctor, const struct phial_json *container)
{
	char short_id[PHIAL_CLI_ID_BYTES];
	char id[PHIAL_CLI_ID_BYTES + 16];

	phial_cli_format_id(container, short_id);
	(void)snprintf(id, sizeof(id), "container.%s", short_id);
	check_grade(doctor, container, id);
	check_owner(doctor, container, id);
	check_held(doctor, container, id);
}

/* --- containers that phial was not asked for --------------------------------------------------- */

/* Where an operator mounts the grant for phial-init, which leaves it open. */
static bool is_for_init(const struct phial_bare_grant *grant)
{
	return strcmp(grant->place, PHIAL_INIT_GRANT_DIR) == 0;
}

/* Has phial served a process of this mount namespace? */
static bool is_served(const struct phial_doctor *doctor, const struct phial_bare_grant *grant)
{
	const struct phial_json *containers = phial_json_member(doctor->agent, "containers");

	for (const struct phial_json *c = phial_json_first(containers); c; c = phial_json_next(c)) {
		char path[64];
		struct stat status;

		(void)snprintf(path, sizeof(path), "/proc/%" PRId64 "/ns/mnt",
			       phial_cli_number_of(c, "pid"));
		if (stat(path, &status) == 0 && status.st_ino == grant->mount_namespace) {
			return true;
		}
	}
	return false;
}

static void say_bare(struct phial_doctor *doctor, const struct phial_bare_grant *grant)
{
	if (is_for_init(grant)) {
		phial_doctor_add(
			doctor, "grant.open", PHIAL_CHECK_WARN,
			"let phial-init be its entrypoint, and see its log",
			"process %d has workload %s at %s, and phial-init has not asked for "
			"its secrets",
			(int)grant->pid, grant->workload, grant->place);
		return;
	}
	phial_doctor_add(
		doctor, "grant.open", PHIAL_CHECK_BAD,
		"start it again with the hook (phial setup podman), with phial-runtime "
		"(phial setup docker), or with phial-init",
		"process %d sees PHIAL-NOT-INJECTED at %s, where secrets of workload %s should "
		"be: its engine was started without phial's hook or runtime",
		(int)grant->pid, grant->place, grant->workload);
}

static void find_bare(struct phial_doctor *doctor)
{
	char folder[PHIAL_SETUP_PATH_BYTES];
	phial_auto_free struct phial_bare_grant *grants = NULL;
	struct phial_error err = { .status = PHIAL_OK };
	size_t count = 0;
	size_t unseen = 0;
	size_t found = 0;

	(void)snprintf(folder, sizeof(folder), "%s/" PHIAL_WORKLOAD_DIR_NAME, doctor->run_dir);
	enum phial_status status =
		phial_container_find_bare(folder, &grants, &count, &unseen, &err);

	if (status == PHIAL_NOT_FOUND) {
		return; /* there is nothing that could be mounted */
	}
	for (size_t i = 0; i < count; i++) {
		if (!is_served(doctor, &grants[i])) {
			say_bare(doctor, &grants[i]);
			found++;
		}
	}
	if (status != PHIAL_OK) {
		phial_doctor_add(doctor, "grant.open", PHIAL_CHECK_UNKNOWN, "look as root", "%s",
				 err.text);
	} else if (unseen > 0) {
		phial_doctor_add(doctor, "grant.open", PHIAL_CHECK_UNKNOWN, "look as root",
				 "%zu process%s may not be looked at", unseen,
				 unseen == 1 ? "" : "es");
	} else if (found == 0) {
		phial_doctor_add(doctor, "grant.open", PHIAL_CHECK_OK, NULL,
				 "no container runs with a grant that phial was not asked for");
	}
}

void phial_doctor_containers(struct phial_doctor *doctor)
{
	const struct phial_json *containers = phial_json_member(doctor->agent, "containers");

	for (const struct phial_json *c = phial_json_first(containers); c; c = phial_json_next(c)) {
		check_container(doctor, c);
	}
	find_bare(doctor);
}

/* --- --would-start ------------------------------------------------------------------------------ */

static const struct phial_json *find_workload(const struct phial_doctor *doctor, const char *name)
{
	const struct phial_json *workloads = phial_json_member(doctor->agent, "workloads");

	for (const struct phial_json *w = phial_json_first(workloads); w; w = phial_json_next(w)) {
		if (strcmp(phial_cli_text_of(w, "name", ""), name) == 0) {
			return w;
		}
	}
	return NULL;
}

static const char *advice_of(const struct phial_json *gate)
{
	const char *name = phial_json_string(gate);
	const char *advice = name ? phial_gate_advice(phial_gate_parse(name)) : NULL;

	return advice ? advice : "";
}

static enum phial_status print_answer_json(const struct phial_json *workload,
					   struct phial_error *err)
{
	static const char *const copied[] = { "name", "would_start", "files", "target", "reasons" };
	phial_auto_json struct phial_json *root = phial_json_new_object();

	for (size_t i = 0; i < PHIAL_COUNT(copied); i++) {
		phial_json_add_copy(root, copied[i], phial_json_member(workload, copied[i]));
	}
	const struct phial_json *gates = phial_json_member(workload, "gates");
	struct phial_json *array = phial_json_add_array(root, "gates");

	for (const struct phial_json *g = phial_json_first(gates); g; g = phial_json_next(g)) {
		struct phial_json *object = phial_json_add_object(array, NULL);

		phial_json_add_copy(object, "name", g);
		phial_json_add_string(object, "advice", advice_of(g));
	}
	return phial_cli_print_json(root, err);
}

static void print_answer(const struct phial_json *workload, bool would_start)
{
	const struct phial_json *gates = phial_json_member(workload, "gates");
	const struct phial_json *reasons = phial_json_member(workload, "reasons");

	if (would_start) {
		printf("yes: a container of workload %s would get %" PRId64 " file(s) in ",
		       phial_cli_text_of(workload, "name", "?"),
		       phial_cli_number_of(workload, "files"));
		phial_cli_print_safe(stdout, phial_cli_text_of(workload, "target", "?"));
		printf("\n");
	} else {
		printf("no: a container of workload %s would be refused:\n",
		       phial_cli_text_of(workload, "name", "?"));
	}
	for (const struct phial_json *r = phial_json_first(reasons); r; r = phial_json_next(r)) {
		const char *reason = phial_json_string(r);

		printf("  ");
		phial_cli_print_safe(stdout, reason ? reason : "?");
		printf("\n");
	}
	if (phial_json_count(gates) > 0) {
		printf("gates that it must meet:\n");
	}
	for (const struct phial_json *g = phial_json_first(gates); g; g = phial_json_next(g)) {
		printf("  %s: %s\n", phial_json_string(g), advice_of(g));
	}
}

enum phial_status phial_doctor_would_start(const struct phial_doctor *doctor, const char *name,
					   bool is_json, struct phial_error *err)
{
	if (!doctor->agent) {
		return phial_fail(err, doctor->agent_status, 0, "%s", doctor->agent_problem);
	}
	const struct phial_json *workload = find_workload(doctor, name);

	if (!workload) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0,
				  "the agent knows no such workload: phial status lists them");
	}
	bool would_start = phial_cli_is_true(workload, "would_start");
	enum phial_status status = PHIAL_OK;

	if (is_json) {
		status = print_answer_json(workload, err);
	} else {
		print_answer(workload, would_start);
	}
	return status != PHIAL_OK || would_start
		       ? status
		       : phial_fail(err, PHIAL_REFUSED, 0, "the workload would not start");
}
