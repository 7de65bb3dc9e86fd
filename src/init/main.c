/* SPDX-License-Identifier: ISC */
/*
 * phial-init: the entrypoint of a container that no hook and no runtime wrapper serves. It asks
 * the agent for this container's secrets, which the agent mounts from outside, and becomes the
 * init of the command. It needs nothing of the image: no library, shell, /proc, /dev or
 * /etc/passwd. Static-pie on musl; see phial-init(1).
 */
#include <stdio.h>
#include <unistd.h>

#include "base/parse.h"
#include "init/ask.h"
#include "init/environment.h"
#include "init/identity.h"
#include "init/options.h"
#include "init/ready.h"
#include "init/say.h"
#include "init/signals.h"
#include "init/supervise.h"

static const char usage[] =
	"usage: phial-init [OPTION...] [--] COMMAND [ARGUMENT...]\n"
	"Gets this container's secrets and is the init of COMMAND. The grant: a read-only bind mount\n"
	"of the host's /run/phial/workload/NAME at /run/phial. See phial-init(1).\n"
	"\n"
	"  --user UID:GID         run COMMAND as this user, without groups and capabilities\n"
	"  --no-new-privs on|off  whether set-user-id programs stay powerless (default: on)\n"
	"  --file-env             DB_PASSWORD_FILE=<path> for each secret db_password\n"
	"  --env FILE             DB_PASSWORD=<value> for one secret (repeatable; weak)\n"
	"  --wait SECONDS         how long to wait for an agent that is not up (default: 5)\n"
	"  -g, --group            signals go to the process group of COMMAND\n"
	"  --exec                 become COMMAND instead of being its init\n"
	"  --on-rotation HOW      nothing (default), restart COMMAND, or a signal for it: SIGHUP ...\n"
	"  --stop-timeout SECONDS how long COMMAND may take to end before a restart (default: 10)\n"
	"  --ready-fd N           COMMAND writes a newline to descriptor N when it is ready\n"
	"  --ready                only tell the agent that this container is ready (no COMMAND)\n"
	"  --no-secrets           be an init only: ask nobody\n"
	"  -h, --help  -V, --version\n"
	"\n"
	"Exit status: COMMAND's, 128 + n when signal n ended it, 127 if it was not found, 126 if it\n"
	"could not be run, 125 if phial-init failed or the agent refused.\n";

/* Print a failure and give the exit code for it. */
static int own_failure(const struct phial_error *err)
{
	phial_init_say(phial_span_of(err->text));
	return PHIAL_INIT_EXIT_OWN;
}

/* Ask for secrets. Returns 0 and the path, or the exit code of phial-init. */
static int get_secrets(const struct phial_init_options *options, const char **ret_target)
{
	static struct phial_init_answer answer;
	struct phial_error err;
	int signal_number = 0;

	if (!options->has_secrets) {
		phial_init_say(phial_span_of("no secrets are asked for (--no-secrets)"));
		*ret_target = NULL;
		return 0;
	}
	if (phial_init_ask_agent(options, &answer, &signal_number, &err) != PHIAL_OK) {
		int code = own_failure(&err);

		return signal_number == 0 ? code : PHIAL_INIT_EXIT_SIGNAL_BASE + signal_number;
	}
	if (answer.status != PHIAL_OK) {
		phial_init_say_lines(answer.text);
		return PHIAL_INIT_EXIT_OWN;
	}
	*ret_target = answer.target;
	return 0;
}

static int run(const struct phial_init_options *options, const struct phial_init_signals *inherited)
{
	static struct phial_init_job job;
	struct phial_error err;
	int code;

	job.options = options;
	job.inherited = *inherited;
	/* Before asking: the agent's gates see the user and no_new_privs of the command. */
	if (phial_init_take_identity(options, &err) != PHIAL_OK) {
		return own_failure(&err);
	}
	code = get_secrets(options, &job.target);
	if (code != 0) {
		return code;
	}
	if (options->env_count > 0) {
		phial_init_say(phial_span_of(
			"--env: secrets in an environment reach every child of the command "
			"and are easily printed; files are safer"));
	}
	/* Watched before they are read: no rotation comes in between unseen. */
	if (phial_init_watch_open(options, job.target, &job.watch, &err) != PHIAL_OK) {
		return own_failure(&err);
	}
	if (phial_init_environment_make(options, job.target, &job.around, &err) != PHIAL_OK) {
		phial_init_environment_wipe(&job.around);
		return own_failure(&err);
	}
	if (options->is_direct) {
		return phial_init_become(&job);
	}
	return phial_init_supervise(&job, &code, &err) == PHIAL_OK ? code : own_failure(&err);
}

int main(int argc, char **argv)
{
	struct phial_init_options options;
	struct phial_init_signals inherited;
	struct phial_error err;

	if (phial_init_signals_hold(&inherited, &err) != PHIAL_OK ||
	    phial_init_options_parse(argc, argv, &options, &err) != PHIAL_OK) {
		return own_failure(&err);
	}
	if (options.wants_help || options.wants_version) {
		dprintf(STDOUT_FILENO, "%s",
			options.wants_help ? usage : "phial-init " PHIAL_VERSION "\n");
		return 0;
	}
	return options.tells_ready ? phial_init_ready_tell(&options) : run(&options, &inherited);
}
