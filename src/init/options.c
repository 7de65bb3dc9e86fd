/* SPDX-License-Identifier: ISC */
/*
 * The command line of phial-init. It reads no file and no environment variable: an image has a say
 * in both, and the operator writes here.
 */
#include "init/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <phial/sealed.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/signal_name.h"

#define WAIT_DEFAULT_S 5
#define WAIT_MAX_S     3600
#define STOP_DEFAULT_S 10 /* as Docker's and Podman's */
#define READY_FD_MAX   1023

enum option_code {
	OPTION_USER = 256,
	OPTION_NO_NEW_PRIVS,
	OPTION_FILE_ENV,
	OPTION_ENV,
	OPTION_WAIT,
	OPTION_EXEC,
	OPTION_NO_SECRETS,
	OPTION_ON_ROTATION,
	OPTION_STOP_TIMEOUT,
	OPTION_READY_FD,
	OPTION_READY,
};

/* "+": the first word that is no option is the command, whose own options are its own. */
static const char short_options[] = "+:ghV";
static const struct option long_options[] = {
	{ "user", required_argument, NULL, OPTION_USER },
	{ "no-new-privs", required_argument, NULL, OPTION_NO_NEW_PRIVS },
	{ "file-env", no_argument, NULL, OPTION_FILE_ENV },
	{ "env", required_argument, NULL, OPTION_ENV },
	{ "wait", required_argument, NULL, OPTION_WAIT },
	{ "group", no_argument, NULL, 'g' },
	{ "exec", no_argument, NULL, OPTION_EXEC },
	{ "no-secrets", no_argument, NULL, OPTION_NO_SECRETS },
	{ "on-rotation", required_argument, NULL, OPTION_ON_ROTATION },
	{ "stop-timeout", required_argument, NULL, OPTION_STOP_TIMEOUT },
	{ "ready-fd", required_argument, NULL, OPTION_READY_FD },
	{ "ready", no_argument, NULL, OPTION_READY },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static enum phial_status take_env(struct phial_init_options *options, struct phial_error *err)
{
	enum phial_status status = phial_name_check(optarg, err);

	if (status == PHIAL_OK && strchr(optarg, '/')) {
		status = phial_fail(err, PHIAL_BAD_NAME, 0,
				    "--env takes the secret's file name, without a '/'");
	}
	if (status == PHIAL_OK) {
		options->env_names[options->env_count++] = optarg;
	}
	return status;
}

static enum phial_status take_user(struct phial_init_options *options, struct phial_error *err)
{
	options->has_user = true;
	return phial_parse_owner(phial_span_of(optarg), &options->uid, &options->gid)
		       ? PHIAL_OK
		       : phial_fail(err, PHIAL_USAGE, 0,
				    "--user takes UID:GID, two numbers (phial-init reads no "
				    "/etc/passwd)");
}

static enum phial_status take_no_new_privs(struct phial_init_options *options,
					   struct phial_error *err)
{
	options->may_gain = strcmp(optarg, "off") == 0;
	return options->may_gain || strcmp(optarg, "on") == 0
		       ? PHIAL_OK
		       : phial_fail(err, PHIAL_USAGE, 0, "--no-new-privs takes on or off");
}

static enum phial_status take_seconds(const char *name, uint32_t *ret_seconds,
				      struct phial_error *err)
{
	uint64_t number;

	if (!phial_parse_u64(phial_span_of(optarg), 0, WAIT_MAX_S, &number)) {
		return phial_fail(err, PHIAL_USAGE, 0, "%s takes 0 to %d seconds", name,
				  WAIT_MAX_S);
	}
	*ret_seconds = (uint32_t)number;
	return PHIAL_OK;
}

static enum phial_status take_rotation(struct phial_init_options *options, struct phial_error *err)
{
	if (strcmp(optarg, "nothing") == 0) {
		options->on_rotation = PHIAL_INIT_ROTATION_NOTHING;
		return PHIAL_OK;
	}
	if (strcmp(optarg, "restart") == 0) {
		options->on_rotation = PHIAL_INIT_ROTATION_RESTART;
		return PHIAL_OK;
	}
	options->on_rotation = PHIAL_INIT_ROTATION_SIGNAL;
	options->rotation_signal = phial_signal_parse(optarg);
	return options->rotation_signal != 0
		       ? PHIAL_OK
		       : phial_fail(
				 err, PHIAL_USAGE, 0,
				 "--on-rotation takes nothing, restart, or one of the signals " PHIAL_SIGNAL_NAMES);
}

static enum phial_status take_ready_fd(struct phial_init_options *options, struct phial_error *err)
{
	uint64_t number;

	if (!phial_parse_u64(phial_span_of(optarg), STDERR_FILENO + 1, READY_FD_MAX, &number)) {
		return phial_fail(err, PHIAL_USAGE, 0, "--ready-fd takes a descriptor, %d to %d",
				  STDERR_FILENO + 1, READY_FD_MAX);
	}
	options->ready_fd = (int)number;
	return PHIAL_OK;
}

static enum phial_status take_value(int code, struct phial_init_options *options,
				    struct phial_error *err)
{
	switch (code) {
	case OPTION_USER:
		return take_user(options, err);
	case OPTION_NO_NEW_PRIVS:
		return take_no_new_privs(options, err);
	case OPTION_WAIT:
		return take_seconds("--wait", &options->wait_s, err);
	case OPTION_ON_ROTATION:
		return take_rotation(options, err);
	case OPTION_STOP_TIMEOUT:
		options->has_stop_timeout = true;
		return take_seconds("--stop-timeout", &options->stop_timeout_s, err);
	case OPTION_READY_FD:
		return take_ready_fd(options, err);
	default:
		return take_env(options, err);
	}
}

static enum phial_status take_option(int code, const char *word, struct phial_init_options *options,
				     struct phial_error *err)
{
	switch (code) {
	case 'g':
		options->to_group = true;
		return PHIAL_OK;
	case 'h':
		options->wants_help = true;
		return PHIAL_OK;
	case 'V':
		options->wants_version = true;
		return PHIAL_OK;
	case OPTION_FILE_ENV:
		options->sets_paths = true;
		return PHIAL_OK;
	case OPTION_EXEC:
		options->is_direct = true;
		return PHIAL_OK;
	case OPTION_NO_SECRETS:
		options->has_secrets = false;
		return PHIAL_OK;
	case OPTION_READY:
		options->tells_ready = true;
		return PHIAL_OK;
	case '?':
	case ':':
		return phial_fail(err, PHIAL_USAGE, 0,
				  code == '?' ? "unknown option \"%s\"; see --help"
					      : "option \"%s\" needs a value; see --help",
				  word);
	default:
		return take_value(code, options, err);
	}
}

/* Options that are right one by one and make no sense together. */
static enum phial_status check_together(const struct phial_init_options *options,
					struct phial_error *err)
{
	bool rotates = options->on_rotation != PHIAL_INIT_ROTATION_NOTHING;
	const char *problem = NULL;

	if (!options->command[0]) {
		problem = "no command; usage: phial-init [OPTION...] [--] COMMAND [ARGUMENT...]";
	} else if (!options->has_secrets && (options->sets_paths || options->env_count > 0)) {
		problem = "--no-secrets leaves nothing for --env and --file-env";
	} else if (!options->has_secrets && (rotates || options->ready_fd >= 0)) {
		problem = "--no-secrets leaves nothing for --on-rotation and --ready-fd";
	} else if (options->is_direct && options->to_group) {
		problem = "--exec leaves nobody to pass signals on, as -g asks";
	} else if (options->is_direct && (rotates || options->ready_fd >= 0)) {
		problem = "--exec leaves nobody to watch, as --on-rotation and --ready-fd ask";
	} else if (options->has_stop_timeout &&
		   options->on_rotation != PHIAL_INIT_ROTATION_RESTART) {
		problem = "--stop-timeout is for --on-rotation=restart";
	} else if (options->has_user && options->uid == 0 && options->may_gain) {
		problem = "--user 0:... keeps no capability, but with --no-new-privs=off the "
			  "kernel gives them back when the command starts";
	}
	return problem ? phial_fail(err, PHIAL_USAGE, 0, "%s", problem) : PHIAL_OK;
}

enum phial_status phial_init_options_parse(int argc, char **argv,
					   struct phial_init_options *ret_options,
					   struct phial_error *err)
{
	struct phial_init_options options = { .has_secrets = true,
					      .wait_s = WAIT_DEFAULT_S,
					      .ready_fd = -1,
					      .stop_timeout_s = STOP_DEFAULT_S };
	phial_auto_free const char **names = calloc((size_t)argc + 1, sizeof(*names));
	bool has_others = false; /* than --ready and --wait */
	int code;

	if (!names) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "read the options");
	}
	options.env_names = names;
	opterr = 0;
	while ((code = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
		const char *word = optind > 0 && optind <= argc ? argv[optind - 1] : "";
		enum phial_status status = take_option(code, word, &options, err);

		has_others |= code != OPTION_READY && code != OPTION_WAIT;
		if (status != PHIAL_OK) {
			return status;
		}
	}
	options.command = argv + optind;
	if (options.tells_ready && (has_others || options.command[0])) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--ready takes no command, and no option but --wait");
	}
	if (!options.wants_help && !options.wants_version && !options.tells_ready) {
		enum phial_status status = check_together(&options, err);

		if (status != PHIAL_OK) {
			return status;
		}
	}
	(void)phial_take_pointer(names);
	*ret_options = options;
	return PHIAL_OK;
}
