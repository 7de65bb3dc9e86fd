/* SPDX-License-Identifier: ISC */
/*
 * The environment of a command that `phial run` starts. Values go from secret memory to execve(2)
 * without a copy elsewhere; reads no file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/env_name.h"
#include "base/text.h"
#include "cli/run.h"
#include "store/store.h"

/* The kernel's MAX_ARG_STRLEN with pages of 4 KiB: one string with its NUL. */
#define VARIABLE_MAX_BYTES ((size_t)128 * 1024)
#define PATH_MAX_BYTES	   ((size_t)8 * 1024)

extern char **environ;

static bool is_asked(const struct phial_cli_environment *environment, const char *file)
{
	for (size_t i = 0; i < environment->asked_count; i++) {
		if (strcmp(environment->asked[i], file) == 0) {
			return true;
		}
	}
	return false;
}

/* --- before a secret is opened ---------------------------------------------------------- */

static enum phial_status fail_not_a_file(const char *asked, const struct phial_grant_file *files,
					 size_t count, struct phial_error *err)
{
	phial_auto_text struct phial_text list = { .max = PHIAL_ERROR_TEXT_BYTES };

	for (size_t i = 0; i < count; i++) {
		phial_text_add(&list, "%s%s", i > 0 ? ", " : "", files[i].file);
	}
	return phial_fail(err, PHIAL_NOT_FOUND, 0,
			  "--env %.80s: the workload has no such file; it has %s", asked,
			  list.bytes ? list.bytes : "many");
}

static enum phial_status check_asked(const struct phial_cli_environment *environment,
				     const struct phial_grant_file *files, size_t count,
				     struct phial_error *err)
{
	for (size_t i = 0; i < environment->asked_count; i++) {
		size_t found = 0;

		while (found < count && strcmp(files[found].file, environment->asked[i]) != 0) {
			found++;
		}
		if (found == count) {
			return fail_not_a_file(environment->asked[i], files, count, err);
		}
	}
	return PHIAL_OK;
}

/* A variable that is going to be made, and of what. */
struct planned {
	char name[PHIAL_ENV_NAME_BYTES];
	const char *of;
};

static size_t plan_variables(const struct phial_cli_environment *environment,
			     const struct phial_grant_file *files, size_t count,
			     struct planned *planned)
{
	size_t used = 1;

	planned[0] = (struct planned){ PHIAL_ENV_DIRECTORY, "the directory" };
	for (size_t i = 0; i < count; i++) {
		if (environment->has_paths) {
			planned[used].of = files[i].secret;
			phial_env_name_make(files[i].file, PHIAL_ENV_PATH, planned[used++].name);
		}
		if (is_asked(environment, files[i].file)) {
			planned[used].of = files[i].secret;
			phial_env_name_make(files[i].file, PHIAL_ENV_VALUE, planned[used++].name);
		}
	}
	return used;
}

static int compare_planned(const void *a, const void *b)
{
	return strcmp(((const struct planned *)a)->name, ((const struct planned *)b)->name);
}

enum phial_status phial_cli_environment_check(const struct phial_cli_environment *environment,
					      const struct phial_grant_file *files, size_t count,
					      struct phial_error *err)
{
	phial_auto_free struct planned *planned = calloc(2 * count + 1, sizeof(*planned));
	enum phial_status status = check_asked(environment, files, count, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (!planned) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "environment");
	}
	size_t used = plan_variables(environment, files, count, planned);

	qsort(planned, used, sizeof(*planned), compare_planned);
	for (size_t i = 1; i < used; i++) {
		if (strcmp(planned[i - 1].name, planned[i].name) == 0) {
			return phial_fail(err, PHIAL_REFUSED, 0,
					  "%s and %s would both have the variable %s: give one "
					  "another file name in policy.json",
					  planned[i - 1].of, planned[i].of, planned[i].name);
		}
	}
	return PHIAL_OK;
}

/* --- while secrets are opened ------------------------------------------------------------- */

static enum phial_status append(struct phial_cli_environment *environment,
				struct phial_cli_variable variable, struct phial_error *err)
{
	struct phial_cli_variable *larger =
		reallocarray(environment->variables, environment->count + 1, sizeof(*larger));

	if (!larger) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "environment");
	}
	environment->variables = larger;
	larger[environment->count++] = variable;
	return PHIAL_OK;
}

/* file: NULL for the directory itself. */
static enum phial_status add_path(struct phial_cli_environment *environment, const char *name,
				  const char *file, struct phial_error *err)
{
	phial_auto_text struct phial_text text = { .max = PATH_MAX_BYTES };

	phial_text_add(&text, "%s=%s%s%s", name, environment->directory, file ? "/" : "",
		       file ? file : "");
	if (text.has_failed) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "environment");
	}
	enum phial_status status =
		append(environment, (struct phial_cli_variable){ .plain = text.bytes }, err);

	if (status == PHIAL_OK) {
		text.bytes = NULL;
	}
	return status;
}

static enum phial_status make_value(const char *name, const struct phial_secret *value,
				    struct phial_secret **ret_text, struct phial_error *err)
{
	size_t length = phial_secret_length(value);
	size_t name_length = strlen(name);
	struct phial_secret *text = NULL;

	if (length + name_length + sizeof("=") > VARIABLE_MAX_BYTES) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0,
				  "too large for a variable: use its file instead of --env");
	}
	if (length > 0 && memchr(phial_secret_const_bytes(value), '\0', length)) {
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "the value has a NUL, which no variable can hold: use its file "
				  "instead of --env");
	}
	enum phial_status status = phial_secret_new(length + name_length + sizeof("="), &text, err);

	if (status != PHIAL_OK) {
		return status;
	}
	uint8_t *bytes = phial_secret_bytes(text);

	memcpy(bytes, name, name_length);
	bytes[name_length] = '=';
	memcpy(bytes + name_length + 1, phial_secret_const_bytes(value), length);
	bytes[name_length + 1 + length] = '\0';
	phial_secret_set_length(text, name_length + 1 + length + 1);
	*ret_text = text;
	return PHIAL_OK;
}

static enum phial_status add_value(struct phial_cli_environment *environment, const char *name,
				   const struct phial_secret *value, struct phial_error *err)
{
	struct phial_secret *text = NULL;
	enum phial_status status = make_value(name, value, &text, err);

	if (status == PHIAL_OK) {
		status = append(environment, (struct phial_cli_variable){ .secret = text }, err);
	}
	if (status != PHIAL_OK) {
		phial_secret_free(text);
	}
	return status;
}

enum phial_status phial_cli_environment_add(struct phial_cli_environment *environment,
					    const char *file, const struct phial_secret *value,
					    struct phial_error *err)
{
	char name[PHIAL_ENV_NAME_BYTES];
	enum phial_status status = PHIAL_OK;

	if (environment->has_paths) {
		phial_env_name_make(file, PHIAL_ENV_PATH, name);
		status = add_path(environment, name, file, err);
	}
	if (status == PHIAL_OK && is_asked(environment, file)) {
		phial_env_name_make(file, PHIAL_ENV_VALUE, name);
		status = add_value(environment, name, value, err);
	}
	return status;
}

/* --- for execve(2) -------------------------------------------------------------------------- */

static const char *get_text(const struct phial_cli_variable *variable)
{
	return variable->plain ? variable->plain
			       : (const char *)phial_secret_const_bytes(variable->secret);
}

static bool is_replaced(const struct phial_cli_environment *environment, const char *string)
{
	size_t length = strcspn(string, "=") + 1;

	for (size_t i = 0; i < environment->count; i++) {
		if (strncmp(get_text(&environment->variables[i]), string, length) == 0) {
			return true;
		}
	}
	return false;
}

enum phial_status phial_cli_environment_make(struct phial_cli_environment *environment,
					     char *const **ret_strings, struct phial_error *err)
{
	size_t inherited = 0;
	size_t used = 0;
	enum phial_status status = add_path(environment, PHIAL_ENV_DIRECTORY, NULL, err);

	if (status != PHIAL_OK) {
		return status;
	}
	while (environ[inherited]) {
		inherited++;
	}
	environment->strings =
		calloc(inherited + environment->count + 1, sizeof(*environment->strings));
	if (!environment->strings) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "environment");
	}
	for (size_t i = 0; i < inherited; i++) {
		if (!is_replaced(environment, environ[i])) {
			environment->strings[used++] = environ[i];
		}
	}
	for (size_t i = 0; i < environment->count; i++) {
		environment->strings[used++] = get_text(&environment->variables[i]);
	}
	/* execve(2) writes to none of them; its prototype only says so in C++. */
	memcpy(ret_strings, &environment->strings, sizeof(*ret_strings));
	return PHIAL_OK;
}

void phial_cli_environment_free(struct phial_cli_environment *environment)
{
	for (size_t i = 0; i < environment->count; i++) {
		free(environment->variables[i].plain);
		phial_secret_free(environment->variables[i].secret);
	}
	free(environment->variables);
	free(environment->strings);
	environment->variables = NULL;
	environment->strings = NULL;
	environment->count = 0;
}
