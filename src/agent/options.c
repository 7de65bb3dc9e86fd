/* SPDX-License-Identifier: ISC */
/*
 * The agent's options. There is no configuration file: every path has a fixed default, an
 * option and, for what differs between hosts, a variable that a unit can set.
 */
#include "agent/options.h"

#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/syslog.h"
#include "agent/user.h"
#include "base/parse.h"

#define DEFAULT_STORE	    "/etc/phial/store"
#define DEFAULT_IDENTITY    "/var/lib/phial/identity"
#define DEFAULT_TRUST	    "/etc/phial/trust"
#define DEFAULT_RUN_DIR	    "/run/phial"
#define DEFAULT_STATE_DIR   "/var/lib/phial/state"
#define DEFAULT_CDI	    "/etc/cdi/phial.json"
#define DEFAULT_WORKER_USER "phial"

enum option_code {
	OPTION_STORE = 256,
	OPTION_IDENTITY,
	OPTION_TRUST,
	OPTION_RUN_DIR,
	OPTION_STATE_DIR,
	OPTION_WORKER_USER,
	OPTION_USER,
	OPTION_CDI,
	OPTION_BOOT_DIR,
	OPTION_PASSPHRASE_FD,
	OPTION_AUDIT,
	OPTION_AUDIT_COPY,
	OPTION_METRICS,
};

static const struct option long_options[] = {
	{ "store", required_argument, NULL, OPTION_STORE },
	{ "identity", required_argument, NULL, OPTION_IDENTITY },
	{ "trust", required_argument, NULL, OPTION_TRUST },
	{ "run-dir", required_argument, NULL, OPTION_RUN_DIR },
	{ "state-dir", required_argument, NULL, OPTION_STATE_DIR },
	{ "worker-user", required_argument, NULL, OPTION_WORKER_USER },
	{ "user", no_argument, NULL, OPTION_USER },
	{ "cdi", required_argument, NULL, OPTION_CDI },
	{ "boot-dir", required_argument, NULL, OPTION_BOOT_DIR },
	{ "passphrase-fd", required_argument, NULL, OPTION_PASSPHRASE_FD },
	{ "audit", required_argument, NULL, OPTION_AUDIT },
	{ "audit-copy", required_argument, NULL, OPTION_AUDIT_COPY },
	{ "metrics", required_argument, NULL, OPTION_METRICS },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* A variable's value, or NULL when it is not set or empty. */
static const char *from_environment(const char *variable)
{
	const char *value = getenv(variable);

	return value && *value != '\0' ? value : NULL;
}

/* Take one option. Returns false for one that getopt or its value's form refuses. */
static bool take_option(int code, struct phial_agent_options *options)
{
	uint64_t number;

	switch (code) {
	case OPTION_STORE:
		options->store = optarg;
		return true;
	case OPTION_IDENTITY:
		options->identity = optarg;
		return true;
	case OPTION_TRUST:
		options->trust = optarg;
		return true;
	case OPTION_RUN_DIR:
		options->run_dir = optarg;
		return true;
	case OPTION_STATE_DIR:
		options->state_dir = optarg;
		return true;
	case OPTION_WORKER_USER:
		options->worker_user = optarg;
		return true;
	case OPTION_USER:
		options->is_user = true;
		return true;
	case OPTION_CDI:
		options->cdi = optarg;
		return true;
	case OPTION_BOOT_DIR:
		options->boot_dir = optarg;
		return true;
	case OPTION_PASSPHRASE_FD:
		if (!phial_parse_u64(phial_span_of(optarg), 0, 1 << 20, &number)) {
			return false;
		}
		options->passphrase_fd = (int)number;
		return true;
	case OPTION_AUDIT:
		options->audit_drops = strcmp(optarg, "drop") == 0;
		return options->audit_drops || strcmp(optarg, "refuse") == 0;
	case OPTION_AUDIT_COPY:
		options->audit_copy = strcmp(optarg, "syslog") == 0 ? PHIAL_SYSLOG_PATH : optarg;
		return options->audit_copy[0] == '/';
	case OPTION_METRICS:
		options->metrics = optarg;
		return optarg[0] == '/' && optarg[strlen(optarg) - 1] != '/';
	case 'h':
		options->wants_help = true;
		return true;
	case 'V':
		options->wants_version = true;
		return true;
	default:
		return false;
	}
}

static void set_default(const char **path, const char *fallback)
{
	if (!*path) {
		*path = fallback;
	}
}

/* Root's agent: fixed paths, and a user that must be there. */
static enum phial_status complete_for_root(struct phial_agent_options *options,
					   struct phial_error *err)
{
	set_default(&options->store, DEFAULT_STORE);
	set_default(&options->identity, DEFAULT_IDENTITY);
	set_default(&options->trust, DEFAULT_TRUST);
	set_default(&options->run_dir, DEFAULT_RUN_DIR);
	set_default(&options->state_dir, DEFAULT_STATE_DIR);
	set_default(&options->worker_user, DEFAULT_WORKER_USER);
	set_default(&options->cdi, DEFAULT_CDI);
	errno = 0;
	const struct passwd *entry = getpwnam(options->worker_user);

	if (!entry) {
		return phial_fail(err, PHIAL_NOT_FOUND, errno,
				  "there is no user \"%s\" for the worker; make one with "
				  "\"phial setup\", or name another with "
				  "--worker-user",
				  options->worker_user);
	}
	if (entry->pw_uid == 0) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "the worker must not run as root (--worker-user)");
	}
	options->uid = entry->pw_uid;
	options->gid = entry->pw_gid;
	return PHIAL_OK;
}

static enum phial_status complete(struct phial_agent_options *options, struct phial_error *err)
{
	enum phial_status status;

	if (options->is_user && options->worker_user) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--worker-user is for root's agent: that of a user has no other "
				  "user for its worker");
	}
	status = options->is_user ? phial_user_find_paths(options, err)
				  : complete_for_root(options, err);
	if (status == PHIAL_OK && options->run_dir[0] != '/') {
		status = phial_fail(err, PHIAL_USAGE, 0, "--run-dir takes an absolute path");
	}
	if (status == PHIAL_OK && options->cdi && options->cdi[0] != '/') {
		status = phial_fail(err, PHIAL_USAGE, 0, "--cdi takes an absolute path");
	}
	return status;
}

enum phial_status phial_agent_options_parse(int argc, char **argv,
					    struct phial_agent_options *ret_options,
					    struct phial_error *err)
{
	struct phial_agent_options options = {
		.store = from_environment("PHIAL_STORE"),
		.identity = from_environment("PHIAL_IDENTITY"),
		.trust = from_environment("PHIAL_TRUST"),
		.passphrase_fd = -1,
	};
	int code;

	opterr = 0;
	while ((code = getopt_long(argc, argv, "hV", long_options, NULL)) != -1) {
		if (!take_option(code, &options)) {
			return phial_fail(err, PHIAL_USAGE, 0,
					  "option \"%s\" is unknown or its value is wrong; see "
					  "phiald --help",
					  argv[optind - 1]);
		}
	}
	if (optind < argc) {
		return phial_fail(err, PHIAL_USAGE, 0, "phiald takes no arguments, only options");
	}
	if (!options.wants_help && !options.wants_version) {
		enum phial_status status = complete(&options, err);

		if (status != PHIAL_OK) {
			return status;
		}
	}
	*ret_options = options;
	return PHIAL_OK;
}
