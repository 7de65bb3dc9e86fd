/* SPDX-License-Identifier: ISC */
/*
 * phial-runtime: an OCI runtime for container engines that is another one, runc or crun, plus the
 * secrets of containers that were granted some. Everything but the creation of such a container is
 * the other runtime's at once, by execve(2). Sees no secret and changes no config.
 *
 * Static-pie on musl; see phial-runtime(8), docs/docker.md.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "inject/config.h"
#include "runtime/arguments.h"
#include "runtime/create.h"
#include "runtime/report.h"

#define FAILED		   1 /* as runc and crun fail */
#define PROBLEMS_MAX_BYTES ((size_t)8192)

extern char **environ;

/* Where a runtime that is given by name is looked for: root's usual folders, whatever PATH says. */
static const char *const folders[] = {
	"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin",
};

static const char usage[] =
	"usage: phial-runtime [--phial-runtime NAME|PATH] [--phial-run-dir DIR] ARGUMENT...\n"
	"An OCI runtime for Docker, containerd and other engines: it runs another one (runc, or the\n"
	"one of --phial-runtime) with the arguments, and brings secrets into the containers that\n"
	"were granted some. phial-runtime-crun, a link, runs crun. See phial-runtime(8).\n";

/* Wrapping oneself would never end. */
static bool is_this_program(const struct stat *found)
{
	struct stat own;

	return stat("/proc/self/exe", &own) == 0 && own.st_dev == found->st_dev &&
	       own.st_ino == found->st_ino;
}

static enum phial_status find_runtime(const char *name, char path[static PATH_MAX],
				      struct phial_error *err)
{
	const size_t count = name[0] == '/' ? 1 : PHIAL_COUNT(folders);
	struct stat found;

	for (size_t i = 0; i < count; i++) {
		int length = name[0] == '/' ? snprintf(path, PATH_MAX, "%s", name)
					    : snprintf(path, PATH_MAX, "%s/%s", folders[i], name);

		if (length < 0 || length >= PATH_MAX || stat(path, &found) != 0 ||
		    !S_ISREG(found.st_mode)) {
			continue;
		}
		if (is_this_program(&found)) {
			return phial_fail(err, PHIAL_USAGE, 0,
					  "%s is phial-runtime itself: name the runtime to run "
					  "with --phial-runtime",
					  path);
		}
		return PHIAL_OK;
	}
	return phial_fail(err, PHIAL_NOT_FOUND, 0,
			  "no runtime \"%s\": install it, or name another with --phial-runtime",
			  name);
}

/*
 * Open the config of the bundle and ask whether it could hold a grant. A config that is not there
 * is for the runtime to complain of.
 */
static enum phial_status look_for_grant(const struct phial_runtime_call *call, int *ret_fd,
					bool *ret_may_grant, struct phial_error *err)
{
	char path[PATH_MAX];
	int length = snprintf(path, sizeof(path), "%s%s", call->bundle ? call->bundle : ".",
			      "/config.json");
	enum phial_status status =
		length > 0 && (size_t)length < sizeof(path)
			? phial_inject_open_config(call->config ? call->config : path, ret_fd, err)
			: phial_fail(err, PHIAL_TOO_LARGE, ENAMETOOLONG, "config.json");

	*ret_may_grant = false;
	if (status == PHIAL_REFUSED && (err->os_error == ENOENT || err->os_error == ENOTDIR)) {
		return PHIAL_OK;
	}
	return status == PHIAL_OK
		       ? phial_inject_config_may_grant(*ret_fd, call->run_dir, ret_may_grant, err)
		       : status;
}

/* A call that could start a container. Returns false if the real runtime is to do it alone. */
static bool start_container(struct phial_runtime_call *call, const char *path, int *ret_exit_code,
			    struct phial_text *problems)
{
	struct phial_error err = { .status = PHIAL_OK };
	phial_auto_fd int config_fd = -1;
	bool may_grant = false;
	enum phial_status status = look_for_grant(call, &config_fd, &may_grant, &err);

	*ret_exit_code = FAILED;
	if (status != PHIAL_OK) {
		phial_text_add(problems, "%s\n", err.text);
	} else if (!may_grant) {
		return false;
	} else if (call->act == PHIAL_RUNTIME_START_AT_ONCE) {
		phial_text_add(problems,
			       "\"%s\" starts a container at once, and this one is granted "
			       "secrets: use create and start, as engines do\n",
			       call->command);
	} else {
		*ret_exit_code = phial_runtime_create(call, path, config_fd, problems);
	}
	return true;
}

static enum phial_status begin(char **argv, struct phial_runtime_call *call,
			       char path[static PATH_MAX], struct phial_error *err)
{
	enum phial_status status = phial_runtime_read_call(argv, call, err);

	if (status == PHIAL_OK) {
		status = find_runtime(call->runtime, path, err);
	}
	if (status == PHIAL_OK && call->argv[0]) {
		call->argv[0] = path;
	}
	return status;
}

int main(int argc, char **argv)
{
	phial_auto_text struct phial_text problems = { .max = PROBLEMS_MAX_BYTES };
	struct phial_runtime_call call = { .log = NULL };
	struct phial_error err = { .status = PHIAL_OK };
	char path[PATH_MAX];
	int exit_code = FAILED;

	if (argc == 2 &&
	    (strcmp(argv[1], "--phial-version") == 0 || strcmp(argv[1], "--phial-help") == 0)) {
		dprintf(STDOUT_FILENO, "%s",
			argv[1][8] == 'v' ? "phial-runtime " PHIAL_VERSION "\n" : usage);
		return 0;
	}
	if (begin(argv, &call, path, &err) != PHIAL_OK) {
		phial_text_add(&problems, "%s\n", err.text);
	} else if (call.act == PHIAL_RUNTIME_PASS_ON ||
		   !start_container(&call, path, &exit_code, &problems)) {
		execve(path, call.argv, environ);
		phial_text_add(&problems, "run %s: %s\n", path, strerror(errno));
	}
	if (problems.length > 0) {
		phial_runtime_report(problems.bytes, call.log, call.log_format);
	}
	return exit_code;
}
