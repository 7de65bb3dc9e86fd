/* SPDX-License-Identifier: ISC */
/*
 * phial-hook: the OCI hook that brings a container's secrets mount into it. It decides nothing
 * about secrets and sees none: it asks the agent, makes the mount, hands it over to be filled, and
 * attaches it. It never reads its environment, starts no program and opens no file of an image.
 *
 * Static-pie on musl; see phial-hook(8), docs/agent-protocol.md.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "inject/config.h"
#include "inject/inject.h"
#include "inject/process.h"
#include "inject/scan.h"
#include "inject/talk.h"

struct hook {
	const char *run_dir;
	/* START, as it goes out: the record, then the state. */
	struct {
		struct phial_hook_start start;
		char state[PHIAL_HOOK_STATE_MAX];
	} request;
	int config_fd;
	pid_t pid;
	int socket_fd;
	struct phial_hook_verdict verdict;
};

/* Print a text of one or more lines, each with our name. */
static void print_problems(const char *text)
{
	struct phial_span rest = phial_span_of(text);
	char line[PHIAL_HOOK_TEXT_BYTES];

	while (phial_inject_next_problem(&rest, line, sizeof(line))) {
		dprintf(STDERR_FILENO, "phial-hook: %s\n", line);
	}
}

static const char usage[] =
	"usage: phial-hook [--run-dir DIR] [--workload NAME]\n"
	"An OCI hook for the createRuntime (or prestart) stage: container engines run it, with the\n"
	"container's state on stdin and the bundle as working directory.\n";

/* Stage 1. Should: take the operator's arguments. Mustn't: guess at unknown ones. */
static enum phial_status take_arguments(struct hook *hook, int argc, char **argv,
					struct phial_error *err)
{
	for (int i = 1; i < argc; i += 2) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		struct phial_span span = phial_span_of(value ? value : "");

		if (strcmp(argv[i], "--workload") != 0 && strcmp(argv[i], "--run-dir") != 0) {
			return phial_fail(err, PHIAL_USAGE, 0,
					  "unknown argument \"%s\"; see --help", argv[i]);
		}
		if (span.length == 0) {
			return phial_fail(err, PHIAL_USAGE, 0, "%s needs a value", argv[i]);
		}
		if (strcmp(argv[i], "--run-dir") == 0) {
			hook->run_dir = value;
		} else if (!phial_span_copy(span, hook->request.start.workload,
					    PHIAL_HOOK_ARGUMENT_MAX)) {
			return phial_fail(err, PHIAL_USAGE, 0, "--workload: the name is too long");
		}
	}
	if (hook->run_dir[0] != '/' || strlen(hook->run_dir) > PHIAL_INJECT_RUN_DIR_MAX_BYTES) {
		return phial_fail(err, PHIAL_USAGE, 0, "--run-dir: not an absolute path");
	}
	return PHIAL_OK;
}

/*
 * Stage 2. Should: read all of stdin (crun fails the container if nobody does). Mustn't: keep
 * more than the limit, or look into it yet.
 */
static enum phial_status read_state(struct hook *hook, struct phial_error *err)
{
	size_t length = 0;
	char beyond[4096];
	bool is_too_long = false;

	if (isatty(STDIN_FILENO)) {
		return phial_fail(
			err, PHIAL_USAGE, 0,
			"container engines run this program, as an OCI hook; to set it up, "
			"run \"phial setup\"");
	}
	for (;;) {
		size_t room = sizeof(hook->request.state) - length;
		ssize_t got = read(STDIN_FILENO, room > 0 ? hook->request.state + length : beyond,
				   room > 0 ? room : sizeof(beyond));

		if (got < 0 && errno != EINTR) {
			return phial_fail(err, PHIAL_SYSTEM, errno, "read the state on stdin");
		}
		if (got == 0) {
			break;
		}
		is_too_long |= room == 0;
		length += got > 0 && room > 0 ? (size_t)got : 0;
	}
	if (length == 0 || is_too_long) {
		return phial_fail(err, length == 0 ? PHIAL_USAGE : PHIAL_TOO_LARGE, 0,
				  length == 0
					  ? "no container state on stdin: container engines run "
					    "this program, as an OCI hook"
					  : "the container state on stdin is over 64 KiB");
	}
	hook->request.start.state_length = (uint32_t)length;
	return PHIAL_OK;
}

/*
 * Stage 3. Should: end here, at once and without the agent, for a container that asks for
 * nothing. Mustn't: trust anything in the config; the agent reads it for itself.
 */
static enum phial_status look_for_grant(struct hook *hook, bool *ret_may_grant,
					struct phial_error *err)
{
	enum phial_status status = phial_inject_open_config("config.json", &hook->config_fd, err);

	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "in the working directory (this hook belongs to the "
					      "createRuntime or prestart stage)");
	}
	if (hook->request.start.workload[0] != '\0') {
		*ret_may_grant = true;
		return PHIAL_OK;
	}
	return phial_inject_config_may_grant(hook->config_fd, hook->run_dir, ret_may_grant, err);
}

/* Stage 4. Should: put the request to the agent. Mustn't: keep a capability that is not needed. */
static enum phial_status ask_agent(struct hook *hook, struct phial_error *err)
{
	const struct phial_span state = { hook->request.state, hook->request.start.state_length };

	if (geteuid() != 0) {
		return phial_fail(err, PHIAL_DENIED, 0,
				  "must run as root: it mounts inside the container");
	}
	enum phial_status status = phial_inject_find_pid(state, &hook->pid, err);

	if (status == PHIAL_OK) {
		status = phial_inject_cut_capabilities(err);
	}
	if (status == PHIAL_OK) {
		status = phial_inject_connect(hook->run_dir, &hook->socket_fd, err);
	}
	if (status == PHIAL_OK) {
		status = phial_inject_ask(hook->socket_fd, &hook->request.start, hook->config_fd,
					  err);
	}
	return status;
}

static enum phial_status inject(struct hook *hook, struct phial_error *err)
{
	bool may_grant = false;
	enum phial_status status = read_state(hook, err);

	if (status == PHIAL_OK) {
		status = look_for_grant(hook, &may_grant, err);
	}
	if (status != PHIAL_OK || !may_grant) {
		return status;
	}
	status = ask_agent(hook, err);
	if (status == PHIAL_OK) { /* stages 5 to 7 */
		status = phial_inject(hook->socket_fd, hook->pid, &hook->verdict, err);
	}
	if (status == PHIAL_OK && hook->verdict.decision == PHIAL_HOOK_REFUSED) {
		print_problems(hook->verdict.text);
		err->text[0] = '\0'; /* said */
		status = (enum phial_status)hook->verdict.status;
	}
	return status;
}

int main(int argc, char **argv)
{
	static struct hook hook = {
		.run_dir = PHIAL_RUN_DIR,
		.config_fd = -1,
		.socket_fd = -1,
	};
	struct phial_error err = { .status = PHIAL_OK };

	if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "--help") == 0)) {
		dprintf(STDOUT_FILENO, "%s",
			argv[1][2] == 'v' ? "phial-hook " PHIAL_VERSION "\n" : usage);
		return PHIAL_OK;
	}
	enum phial_status status = phial_inject_reset_process("phial-hook", &err);

	if (status == PHIAL_OK) {
		status = take_arguments(&hook, argc, argv, &err);
	}
	if (status == PHIAL_OK) {
		status = inject(&hook, &err);
	}
	if (status != PHIAL_OK && err.text[0] != '\0') {
		print_problems(err.text);
	}
	return (int)status; /* the kernel closes what is still open */
}
