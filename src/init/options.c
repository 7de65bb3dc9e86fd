/* SPDX-License-Identifier: ISC */
/*
 * The command line of phial-init. It reads no file and no environment variable: an image has a say
 * in both, and the operator writes here.
 */
#include "init/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <phial/sealed.h>

#include "base/cleanup.h"
#include "base/parse.h"

#define WAIT_DEFAULT_S 5
#define WAIT_MAX_S     3600

enum option_code {
	OPTION_USER = 256,
	OPTION_NO_NEW_PRIVS,
	OPTION_FILE_ENV,
	OPTION_ENV,
	OPTION_WAIT,
	OPTION_EXEC,
	OPTION_NO_SECRETS,
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

static enum phial_status take_value(int code, struct phial_init_options *options,
				    struct phial_error *err)
{
	uint64_t number;

	switch (code) {
	case OPTION_USER:
		options->has_user = true;
		return phial_parse_owner(phial_span_of(optarg), &options->uid, &options->gid)
			       ? PHIAL_OK
			       : phial_fail(
					 err, PHIAL_USAGE, 0,
					 "--user takes UID:GID, two numbers (phial-init reads no "
					 "/etc/passwd)");
	case OPTION_NO_NEW_PRIVS:
		options->may_gain = strcmp(optarg, "off") == 0;
		return options->may_gain || strcmp(optarg, "on") == 0
			       ? PHIAL_OK
			       : phial_fail(err, PHIAL_USAGE, 0, "--no-new-privs takes on or off");
	case OPTION_WAIT:
		if (!phial_parse_u64(phial_span_of(optarg), 0, WAIT_MAX_S, &number)) {
			return phial_fail(err, PHIAL_USAGE, 0, "--wait takes 0 to %d seconds",
					  WAIT_MAX_S);
		}
		options->wait_s = (uint32_t)number;
		return PHIAL_OK;
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
	if (!options->command[0]) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "no command; usage: phial-init [OPTION...] [--] COMMAND "
				  "[ARGUMENT...]");
	}
	if (!options->has_secrets && (options->sets_paths || options->env_count > 0)) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--no-secrets leaves nothing for --env and --file-env");
	}
	if (options->is_direct && options->to_group) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--exec leaves nobody to pass signals on, as -g asks");
	}
	if (options->has_user && options->uid == 0 && options->may_gain) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--user 0:... keeps no capability, but with --no-new-privs=off "
				  "the kernel gives them back when the command starts");
	}
	return PHIAL_OK;
}

enum phial_status phial_init_options_parse(int argc, char **argv,
					   struct phial_init_options *ret_options,
					   struct phial_error *err)
{
	struct phial_init_options options = { .has_secrets = true, .wait_s = WAIT_DEFAULT_S };
	phial_auto_free const char **names = calloc((size_t)argc + 1, sizeof(*names));
	int code;

	if (!names) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "read the options");
	}
	options.env_names = names;
	opterr = 0;
	while ((code = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
		const char *word = optind > 0 && optind <= argc ? argv[optind - 1] : "";
		enum phial_status status = take_option(code, word, &options, err);

		if (status != PHIAL_OK) {
			return status;
		}
	}
	options.command = argv + optind;
	if (!options.wants_help && !options.wants_version) {
		enum phial_status status = check_together(&options, err);

		if (status != PHIAL_OK) {
			return status;
		}
	}
	(void)phial_take_pointer(names);
	*ret_options = options;
	return PHIAL_OK;
}
