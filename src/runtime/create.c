/* SPDX-License-Identifier: ISC */
/*
 * One container, in stages: the real runtime creates it, a child attaches its secrets as phial-hook
 * does, and if that fails the real runtime deletes it again. The config is not changed, and no
 * secret comes by here.
 */
#include "runtime/create.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "inject/inject.h"
#include "inject/process.h"
#include "inject/scan.h"
#include "inject/talk.h"
#include "runtime/child.h"

#define FAILED		  1  /* as runc and crun fail */
#define COMMAND_LIMIT_S	  10 /* of state and delete */
#define STATE_MAX_BYTES	  ((size_t)1024 * 1024)
#define PID_FILE_MAX	  32
#define PID_MAX		  4194304 /* PID_MAX_LIMIT of the kernel */
#define MESSAGE_MAX_BYTES ((size_t)PHIAL_HOOK_TEXT_BYTES)

struct creation {
	struct phial_runtime_call *call;
	const char *path;
	int config_fd;
	struct phial_runtime_signals before;
	struct phial_hook_created created;
};

/* Stage 1. Should: know id and bundle before anything exists. Mustn't: guess. */
static enum phial_status describe(struct creation *creation, struct phial_error *err)
{
	const struct phial_runtime_call *call = creation->call;
	phial_auto_free char *bundle = realpath(call->bundle ? call->bundle : ".", NULL);

	if (!call->id || strlen(call->id) >= sizeof(creation->created.id)) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "cannot make out the container's id in the runtime's arguments");
	}
	if (!bundle || strlen(bundle) >= sizeof(creation->created.bundle)) {
		return phial_fail(err, PHIAL_SYSTEM, bundle ? ENAMETOOLONG : errno,
				  "find the bundle's folder");
	}
	(void)snprintf(creation->created.id, sizeof(creation->created.id), "%s", call->id);
	(void)snprintf(creation->created.bundle, sizeof(creation->created.bundle), "%s", bundle);
	/* A pid file of an earlier container would name another process. */
	if (call->pid_file && unlink(call->pid_file) != 0 && errno != ENOENT) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "remove the old pid file %s",
				  call->pid_file);
	}
	return PHIAL_OK;
}

/*
 * Run another command of the real runtime on this container: its global options, then these words.
 * out_fd: for its stdout; everything else goes to /dev/null. Returns PHIAL_OK if it exits 0.
 */
static enum phial_status run_command(const struct creation *creation, const char *const *words,
				     size_t word_count, int out_fd, struct phial_error *err)
{
	const size_t globals = creation->call->global_count;
	phial_auto_free char **argv = calloc(globals + word_count + 2, sizeof(*argv));
	phial_auto_fd int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	const struct phial_runtime_stdio stdio = { { null_fd, out_fd < 0 ? null_fd : out_fd,
						     null_fd } };

	if (!argv || null_fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "run %s", creation->path);
	}
	memcpy(argv, creation->call->argv, (globals + 1) * sizeof(*argv));
	for (size_t i = 0; i < word_count; i++) {
		/* execve(2) changes none of them; its type is older than const. */
		memcpy(&argv[globals + 1 + i], &words[i], sizeof(*argv));
	}
	pid_t child = phial_runtime_spawn(&creation->before, &stdio, creation->path, argv);
	int status = child > 0 ? phial_runtime_wait(child, COMMAND_LIMIT_S) : -1;

	if (status != 0) {
		return phial_fail(err, PHIAL_SYSTEM, 0, "%s %s failed", creation->path, words[0]);
	}
	return PHIAL_OK;
}

static enum phial_status read_pid_file(const char *path, pid_t *ret_pid, struct phial_error *err)
{
	phial_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	phial_auto_free uint8_t *bytes = NULL;
	size_t length = 0;
	uint64_t pid = 0;

	if (fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "open the runtime's pid file %s", path);
	}
	enum phial_status status = phial_read_all(fd, PID_FILE_MAX, &bytes, &length, err);
	struct phial_span digits = { (const char *)bytes, length };

	if (status == PHIAL_OK && length > 0 && bytes[length - 1] == '\n') {
		digits.length--;
	}
	if (status != PHIAL_OK || !phial_parse_u64(digits, 2, PID_MAX, &pid)) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "the runtime's pid file %s does not hold a process id", path);
	}
	*ret_pid = (pid_t)pid;
	return PHIAL_OK;
}

/* Without a pid file the runtime is asked. */
static enum phial_status ask_for_pid(const struct creation *creation, pid_t *ret_pid,
				     struct phial_error *err)
{
	const char *const words[] = { "state", creation->created.id };
	/* A file: a pipe could be too small for annotations. */
	phial_auto_fd int out_fd = memfd_create("phial-runtime", MFD_CLOEXEC);
	phial_auto_free uint8_t *bytes = NULL;
	size_t length = 0;

	if (out_fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "memfd_create");
	}
	enum phial_status status = run_command(creation, words, PHIAL_COUNT(words), out_fd, err);

	if (status == PHIAL_OK && lseek(out_fd, 0, SEEK_SET) != 0) {
		status = phial_fail(err, PHIAL_SYSTEM, errno, "read the container's state");
	}
	if (status == PHIAL_OK) {
		status = phial_read_all(out_fd, STATE_MAX_BYTES, &bytes, &length, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	return phial_inject_find_pid((struct phial_span){ (const char *)bytes, length }, ret_pid,
				     err);
}

/*
 * Stage 3, in a child, which afterwards is in the container's mount namespace and must end.
 * Should: do what phial-hook does. Mustn't: hold a descriptor of the engine's: stdin is the config,
 * stdout and stderr are the text for the wrapper.
 */
static enum phial_status attach(const struct creation *creation, struct phial_error *err)
{
	static struct phial_hook_verdict verdict;
	int socket_fd = -1;
	enum phial_status status = phial_inject_reset_process("attaching the secrets", err);

	if (status == PHIAL_OK && geteuid() != 0) {
		status = phial_fail(err, PHIAL_DENIED, 0,
				    "must run as root: it mounts inside the container");
	}
	if (status == PHIAL_OK) {
		status = phial_inject_cut_capabilities(err);
	}
	if (status == PHIAL_OK) {
		status = phial_inject_connect(creation->call->run_dir, &socket_fd, err);
	}
	if (status == PHIAL_OK) {
		status = phial_inject_ask_created(socket_fd, &creation->created, STDIN_FILENO, err);
	}
	if (status == PHIAL_OK) {
		status = phial_inject(socket_fd, creation->created.pid, &verdict, err);
	}
	if (status == PHIAL_OK && verdict.decision == PHIAL_HOOK_REFUSED) {
		dprintf(STDOUT_FILENO, "%s\n", verdict.text);
		err->text[0] = '\0'; /* said */
		status = (enum phial_status)verdict.status;
	}
	return status;
}

static _Noreturn void attach_and_end(const struct creation *creation)
{
	struct phial_error err = { .status = PHIAL_OK };
	enum phial_status status = attach(creation, &err);

	if (status != PHIAL_OK && err.text[0] != '\0') {
		dprintf(STDOUT_FILENO, "%s\n", err.text);
	}
	_exit((int)status);
}

/* What the child said, which a pipe holds at once, or how it ended. */
static enum phial_status hear_attach(int text_fd, int wait_status, struct phial_text *problems,
				     struct phial_error *err)
{
	char text[MESSAGE_MAX_BYTES];
	ssize_t length = read(text_fd, text, sizeof(text));

	if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == PHIAL_OK) {
		return PHIAL_OK;
	}
	if (length > 0) {
		phial_text_add_bytes(problems, text, (size_t)length);
		return PHIAL_REFUSED;
	}
	return phial_fail(err, PHIAL_SYSTEM, 0, "attaching the secrets was ended by signal %d",
			  WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0);
}

static enum phial_status attach_in_child(const struct creation *creation,
					 struct phial_text *problems, struct phial_error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "pipe");
	}
	phial_auto_fd int text_fd = ends[0];
	phial_auto_fd int write_fd = ends[1];
	const struct phial_runtime_stdio stdio = { { creation->config_fd, write_fd, write_fd } };
	pid_t child = phial_runtime_fork(&creation->before, &stdio);

	if (child < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "fork");
	}
	if (child == 0) {
		attach_and_end(creation);
	}
	phial_close_fd(&write_fd);
	return hear_attach(text_fd, phial_runtime_wait(child, 0), problems, err);
}

/* Stages 2 and 3. */
static enum phial_status attach_secrets(struct creation *creation, struct phial_text *problems,
					struct phial_error *err)
{
	enum phial_status status =
		creation->call->pid_file
			? read_pid_file(creation->call->pid_file, &creation->created.pid, err)
			: ask_for_pid(creation, &creation->created.pid, err);

	return status == PHIAL_OK ? attach_in_child(creation, problems, err) : status;
}

/* Stage 4. Should: leave nothing that somebody could start without its secrets. */
static void take_back(const struct creation *creation, struct phial_text *problems)
{
	const char *const words[] = { "delete", "--force", creation->created.id };
	struct phial_error err;

	if (run_command(creation, words, PHIAL_COUNT(words), -1, &err) != PHIAL_OK) {
		phial_text_add(problems,
			       "the container was created, has no secrets and could not be deleted "
			       "(%s): do not start it\n",
			       err.text);
	}
}

int phial_runtime_create(struct phial_runtime_call *call, const char *path, int config_fd,
			 struct phial_text *problems)
{
	struct creation creation = { .call = call, .path = path, .config_fd = config_fd };
	const struct phial_runtime_stdio own = PHIAL_RUNTIME_STDIO_OWN;
	struct phial_error err = { .status = PHIAL_OK };
	enum phial_status status = describe(&creation, &err);

	if (status == PHIAL_OK) {
		status = phial_runtime_take_signals(&creation.before, &err);
	}
	if (status != PHIAL_OK) {
		phial_text_add(problems, "%s\n", err.text);
		return FAILED;
	}
	pid_t child = phial_runtime_spawn(&creation.before, &own, path, call->argv);

	if (child < 0) {
		phial_text_add(problems, "fork: %s\n", strerror(errno));
		return FAILED;
	}
	int wait_status = phial_runtime_wait(child, 0);

	if (wait_status != 0) {
		phial_runtime_end_as(wait_status); /* it has said why */
	}
	status = attach_secrets(&creation, problems, &err);
	if (status == PHIAL_OK) {
		return 0;
	}
	if (err.text[0] != '\0') {
		phial_text_add(problems, "%s\n", err.text);
	}
	take_back(&creation, problems);
	return FAILED;
}
