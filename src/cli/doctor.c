/* SPDX-License-Identifier: ISC */
/*
 * `phial doctor`: what this host can do for secrets, and what is wrong with it. The list of checks
 * and its printing; what is looked at is in the other doctor_*.c. Changes nothing.
 */
#include "cli/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/agent.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "cli/format.h"

enum { JSON, WOULD_START, RUN_DIR, ROOT };

const struct phial_cli_option phial_cli_doctor_options[] = {
	[JSON] = { "json", 0, false, NULL, "print JSON" },
	[WOULD_START] = { "would-start", 0, false, "W",
			  "would a container of workload W get its secrets now?" },
	[RUN_DIR] = PHIAL_CLI_RUN_DIR_OPTION,
	[ROOT] = PHIAL_SETUP_ROOT_OPTION,
	{ 0 },
};

static const char *const states[] = {
	[PHIAL_CHECK_OK] = "ok",
	[PHIAL_CHECK_UNKNOWN] = "unknown",
	[PHIAL_CHECK_WARN] = "warn",
	[PHIAL_CHECK_BAD] = "bad",
};

void phial_doctor_add(struct phial_doctor *doctor, const char *id, enum phial_check_state state,
		      const char *fix, const char *format, ...)
{
	struct phial_check check = { .state = state };
	struct phial_check *larger =
		reallocarray(doctor->checks, doctor->count + 1, sizeof(*larger));
	va_list arguments;

	if (!larger) {
		doctor->is_short = true;
		return;
	}
	doctor->checks = larger;
	va_start(arguments, format);
	if (vasprintf(&check.text, format, arguments) < 0) {
		check.text = NULL;
	}
	va_end(arguments);
	check.id = strdup(id);
	check.fix = fix ? strdup(fix) : NULL;
	if (!check.text || !check.id || (fix && !check.fix)) {
		free(check.text);
		free(check.id);
		free(check.fix);
		doctor->is_short = true;
		return;
	}
	larger[doctor->count++] = check;
}

static void free_checks(struct phial_doctor *doctor)
{
	for (size_t i = 0; i < doctor->count; i++) {
		free(doctor->checks[i].id);
		free(doctor->checks[i].text);
		free(doctor->checks[i].fix);
	}
	free(doctor->checks);
	phial_json_free(doctor->agent);
}

static size_t count_of(const struct phial_doctor *doctor, enum phial_check_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < doctor->count; i++) {
		count += doctor->checks[i].state == state;
	}
	return count;
}

static void print_check(const struct phial_check *check)
{
	printf("%-8s %s: ", states[check->state], check->id);
	phial_cli_print_safe(stdout, check->text);
	if (check->fix) {
		printf("\n%-8s   do: ", "");
		phial_cli_print_safe(stdout, check->fix);
	}
	printf("\n");
}

/* Worst first: a person reads the beginning. */
static void print_checks(const struct phial_doctor *doctor)
{
	for (int state = PHIAL_CHECK_BAD; state >= PHIAL_CHECK_OK; state--) {
		for (size_t i = 0; i < doctor->count; i++) {
			if (doctor->checks[i].state == (enum phial_check_state)state) {
				print_check(&doctor->checks[i]);
			}
		}
	}

	const size_t warnings = count_of(doctor, PHIAL_CHECK_WARN);

	printf("%zu bad, %zu warning%s, %zu not looked at, %zu ok%s\n",
	       count_of(doctor, PHIAL_CHECK_BAD), warnings, warnings == 1 ? "" : "s",
	       count_of(doctor, PHIAL_CHECK_UNKNOWN), count_of(doctor, PHIAL_CHECK_OK),
	       doctor->is_root ? "" : " (root sees more: sudo phial doctor)");
}

static void add_container(struct phial_json *containers, const struct phial_json *container)
{
	struct phial_json *object = phial_json_add_object(containers, NULL);

	phial_json_add_copy(object, "id", phial_json_member(container, "id"));
	phial_json_add_copy(object, "pid", phial_json_member(container, "pid"));
	phial_json_add_copy(object, "workload", phial_json_member(container, "workload"));
	phial_cli_add_grade(object, container);
}

static enum phial_status print_json(const struct phial_doctor *doctor, struct phial_error *err)
{
	phial_auto_json struct phial_json *root = phial_json_new_object();

	phial_json_add_bool(root, "ok", count_of(doctor, PHIAL_CHECK_BAD) == 0);
	phial_json_add_bool(root, "is_root", doctor->is_root);
	struct phial_json *checks = phial_json_add_array(root, "checks");

	for (size_t i = 0; i < doctor->count; i++) {
		const struct phial_check *check = &doctor->checks[i];
		struct phial_json *object = phial_json_add_object(checks, NULL);

		phial_json_add_string(object, "id", check->id);
		phial_json_add_string(object, "state", states[check->state]);
		phial_json_add_string(object, "text", check->text);
		if (check->fix) {
			phial_json_add_string(object, "fix", check->fix);
		} else {
			phial_json_add_null(object, "fix");
		}
	}
	struct phial_json *containers = phial_json_add_array(root, "containers");

	for (const struct phial_json *c =
		     phial_json_first(phial_json_member(doctor->agent, "containers"));
	     c; c = phial_json_next(c)) {
		add_container(containers, c);
	}
	return phial_cli_print_json(root, err);
}

/* Files, which an image has as well as a host. */
static void look_at_files(struct phial_doctor *doctor)
{
	phial_doctor_install(doctor);
	phial_doctor_podman(doctor);
	phial_doctor_docker(doctor);
}

/* What only the host has that this runs on. */
static void look_at_host(struct phial_doctor *doctor)
{
	phial_doctor_kernel(doctor);
	phial_doctor_memory(doctor);
	phial_doctor_keys(doctor);
	phial_doctor_agent(doctor);
	phial_doctor_boot(doctor);
	phial_doctor_containers(doctor);
}

/* An image, whose kernel, agent and containers are not here. */
static bool is_image(const struct phial_doctor *doctor)
{
	return doctor->host.root[0] != '\0';
}

static void ask_agent(struct phial_doctor *doctor, const char *run_dir)
{
	struct phial_error problem = { .status = PHIAL_OK };

	doctor->agent_status =
		phial_cli_ask_agent(run_dir, PHIAL_ADMIN_STATUS, &doctor->agent, &problem);
	doctor->is_own = doctor->agent && !doctor->is_root;
	(void)snprintf(doctor->agent_problem, sizeof(doctor->agent_problem), "%s", problem.text);
}

static enum phial_status run(struct phial_doctor *doctor, const struct phial_cli_call *call,
			     struct phial_error *err)
{
	if (call->values[WOULD_START] && is_image(doctor)) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--would-start asks the agent of this host: not with --root");
	}
	if (!is_image(doctor)) {
		ask_agent(doctor, call->values[RUN_DIR]);
	}
	if (call->values[WOULD_START]) {
		return phial_doctor_would_start(doctor, call->values[WOULD_START],
						call->values[JSON] != NULL, err);
	}
	if (!is_image(doctor)) {
		look_at_host(doctor);
	}
	look_at_files(doctor);
	if (doctor->is_short) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "list the checks");
	}
	if (call->values[JSON]) {
		enum phial_status status = print_json(doctor, err);

		if (status != PHIAL_OK) {
			return status;
		}
	} else {
		print_checks(doctor);
	}
	size_t bad = count_of(doctor, PHIAL_CHECK_BAD);

	/* Exit 1, as monitors expect: not the number of a class of failure of doctor itself. */
	return bad == 0 ? PHIAL_OK
			: phial_fail(err, PHIAL_SYSTEM, 0,
				     "doctor: %zu check%s found a promise broken (\"bad\")", bad,
				     bad == 1 ? "" : "s");
}

enum phial_status phial_cli_doctor(const struct phial_cli_call *call, struct phial_error *err)
{
	phial_auto_free char *run_dir = NULL;
	struct phial_doctor doctor = { .is_root = geteuid() == 0 };
	enum phial_status status =
		phial_setup_begin(call, call->values[ROOT], true, &doctor.host, err);

	if (status == PHIAL_OK) {
		status = phial_cli_run_dir(call->values[RUN_DIR], &run_dir, err);
	}
	if (status == PHIAL_OK) {
		doctor.run_dir = run_dir;
		status = run(&doctor, call, err);
	}
	free_checks(&doctor);
	return status;
}
