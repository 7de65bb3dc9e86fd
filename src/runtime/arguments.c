/* SPDX-License-Identifier: ISC */
/*
 * Just enough of runc's and crun's command lines to find the command and its bundle. A word that
 * is not known is left to the runtime; where it could hide a `create`, one is assumed, and the
 * bundle's config decides. Touches no file.
 */
#include "runtime/arguments.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "inject/config.h"
#include "wire/hook_protocol.h"

#define PROGRAM		"phial-runtime"
#define DEFAULT_RUNTIME "runc"

/* Where an option's value goes; NOWHERE: it has one that does not matter, FLAG: it has none. */
#define NOWHERE	  ((size_t)-1)
#define FLAG	  ((size_t)-2)
#define TO(field) offsetof(struct phial_runtime_call, field)

struct option {
	const char *name;
	char letter;
	size_t field;
};

static const struct option own_options[] = {
	{ "phial-runtime", '\0', TO(runtime) },
	{ "phial-run-dir", '\0', TO(run_dir) },
	{ NULL, '\0', 0 },
};

/* Before the command: runc, crun and youki. */
static const struct option global_options[] = {
	{ "root", 'r', NOWHERE },
	{ "log", 'l', TO(log) },
	{ "log-format", '\0', TO(log_format) },
	{ "log-level", '\0', NOWHERE },
	{ "criu", '\0', NOWHERE },
	{ "rootless", '\0', NOWHERE },
	{ "cgroup-manager", '\0', NOWHERE },
	{ "debug", '\0', FLAG },
	{ "systemd-cgroup", 's', FLAG },
	{ NULL, '\0', 0 },
};

/* Of create, run and restore. */
static const struct option command_options[] = {
	{ "bundle", 'b', TO(bundle) },
	{ "config", 'f', TO(config) },
	{ "pid-file", '\0', TO(pid_file) },
	{ "console-socket", '\0', NOWHERE },
	{ "preserve-fds", '\0', NOWHERE },
	{ "image-path", '\0', NOWHERE },
	{ "work-path", '\0', NOWHERE },
	{ "parent-path", '\0', NOWHERE },
	{ "manage-cgroups-mode", '\0', NOWHERE },
	{ "lsm-profile", '\0', NOWHERE },
	{ "lsm-mount-context", '\0', NOWHERE },
	{ "empty-ns", '\0', NOWHERE },
	{ NULL, '\0', 0 },
};

static const struct {
	const char *name;
	enum phial_runtime_act act;
} commands[] = {
	{ "create", PHIAL_RUNTIME_CREATE },
	{ "run", PHIAL_RUNTIME_START_AT_ONCE },
	{ "restore", PHIAL_RUNTIME_START_AT_ONCE },
};

static enum phial_runtime_act act_of(const char *word)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(word, commands[i].name) == 0) {
			return commands[i].act;
		}
	}
	return PHIAL_RUNTIME_PASS_ON;
}

/* "--name", "--name=value"; Go's flags take one dash, too. ret_value: what is glued to it, or NULL. */
static bool is_long(const char *word, const struct option *option, const char **ret_value)
{
	const char *name = word + (word[1] == '-' ? 2 : 1);
	size_t length = strlen(option->name);

	if (strncmp(name, option->name, length) != 0 ||
	    (name[length] != '\0' && name[length] != '=')) {
		return false;
	}
	*ret_value = name[length] == '=' ? name + length + 1 : NULL;
	return true;
}

/* "-n", "-nvalue", "-n=value". */
static bool is_short(const char *word, const struct option *option, const char **ret_value)
{
	*ret_value = NULL;
	if (option->letter == '\0' || word[1] != option->letter) {
		return false;
	}
	if (word[2] != '\0') {
		*ret_value = word + (word[2] == '=' ? 3 : 2);
	}
	return true;
}

/* The option that a word is, or NULL. Long names first: "-rootless" is no "-r" with a value. */
static const struct option *find_option(const struct option *options, const char *word,
					const char **ret_value)
{
	for (const struct option *option = options; option->name; option++) {
		if (is_long(word, option, ret_value)) {
			return option;
		}
	}
	for (const struct option *option = options; option->name; option++) {
		if (is_short(word, option, ret_value)) {
			return option;
		}
	}
	return NULL;
}

static bool is_option_word(const char *word)
{
	return word[0] == '-' && word[1] != '\0';
}

/* Take argv[*index] if it is one of these options, its value with it. Returns whether it was. */
static bool take_option(const struct option *options, char **argv, size_t *index,
			struct phial_runtime_call *call)
{
	const char *value = NULL;
	const struct option *option = find_option(options, argv[*index], &value);

	if (!option) {
		return false;
	}
	if (option->field == FLAG) {
		return true;
	}
	if (!value && argv[*index + 1]) {
		(*index)++;
		value = argv[*index];
	}
	if (option->field != NOWHERE) {
		*(const char **)(void *)((char *)call + option->field) = value;
	}
	return true;
}

/* The command, its options and its operand: the container's id is the last word. */
static void read_command(struct phial_runtime_call *call)
{
	size_t i = call->global_count + 1;

	call->command = call->argv[i];
	call->act = act_of(call->command);
	for (i++; call->act != PHIAL_RUNTIME_PASS_ON && call->argv[i]; i++) {
		if (!is_option_word(call->argv[i])) {
			call->id = call->argv[i];
		} else {
			/* An unknown one is a flag, or has a value; the id comes after both. */
			(void)take_option(command_options, call->argv, &i, call);
		}
	}
}

/*
 * What follows an unknown option may be its value or the command: it is the command if it is one
 * of those that matter.
 */
static void read_globals(struct phial_runtime_call *call)
{
	bool is_after_unknown = false;

	for (size_t i = 1; call->argv[i]; i++) {
		const char *word = call->argv[i];

		if (is_option_word(word)) {
			is_after_unknown = !take_option(global_options, call->argv, &i, call);
		} else if (!is_after_unknown || act_of(word) != PHIAL_RUNTIME_PASS_ON) {
			call->global_count = i - 1;
			read_command(call);
			return;
		} else {
			is_after_unknown = false;
		}
	}
}

/* "phial-runtime-crun" says which; an engine that gives no arguments can choose by a link. */
static const char *runtime_of_name(const char *program)
{
	const char *slash = strrchr(program, '/');
	const char *name = slash ? slash + 1 : program;
	size_t length = strlen(PROGRAM "-");

	return strncmp(name, PROGRAM "-", length) == 0 && name[length] != '\0' ? name + length
									       : DEFAULT_RUNTIME;
}

static enum phial_status check_own(const struct phial_runtime_call *call, struct phial_error *err)
{
	if (!call->runtime || !call->run_dir) {
		return phial_fail(err, PHIAL_USAGE, 0, "%s needs a value",
				  call->runtime ? "--phial-run-dir" : "--phial-runtime");
	}
	if (call->run_dir[0] != '/' || strlen(call->run_dir) > PHIAL_INJECT_RUN_DIR_MAX_BYTES) {
		return phial_fail(err, PHIAL_USAGE, 0, "--phial-run-dir: not an absolute path");
	}
	if (call->runtime[0] == '\0' || (call->runtime[0] != '/' && strchr(call->runtime, '/'))) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--phial-runtime: neither a name (crun) nor an absolute path");
	}
	return PHIAL_OK;
}

enum phial_status phial_runtime_read_call(char **argv, struct phial_runtime_call *ret_call,
					  struct phial_error *err)
{
	struct phial_runtime_call call = {
		.runtime = runtime_of_name(argv[0] ? argv[0] : PROGRAM),
		.run_dir = PHIAL_RUN_DIR,
	};
	size_t i = 1;

	while (argv[0] && argv[i] && is_option_word(argv[i]) &&
	       take_option(own_options, argv, &i, &call)) {
		i++;
	}
	enum phial_status status = check_own(&call, err);

	if (status != PHIAL_OK) {
		return status;
	}
	call.argv = argv[0] ? argv + i - 1 : argv;
	if (argv[0]) {
		read_globals(&call);
	}
	*ret_call = call;
	return PHIAL_OK;
}
