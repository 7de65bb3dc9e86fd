/* SPDX-License-Identifier: ISC */
/*
 * git(1) as a reader of old files: its plumbing only, which runs no pager, no hook, no filter and no
 * program that the repository's configuration names. Believes nothing that comes out: what is
 * signed is checked by the caller.
 */
#include "cli/history.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/parse.h"

#define COMMIT_DIGITS_MAX 64
#define LIST_MAX_BYTES	  ((size_t)PHIAL_CLI_HISTORY_MAX * (COMMIT_DIGITS_MAX + 1))
#define ARGUMENTS_MAX	  24

/*
 * What git may know of this process's environment: no GIT_* of the caller's. Nor may it fetch what is
 * missing, by a program that the repository names: older gits know only the second way to say so.
 */
static char *const *make_environment(char *environment[9], char texts[3][4096])
{
	static const char *const kept[] = { "PATH", "HOME", "XDG_CONFIG_HOME" };
	static char fixed[5][32] = { "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0",
				     "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=" };
	size_t used = 0;

	for (size_t i = 0; i < PHIAL_COUNT(kept); i++) {
		const char *value = getenv(kept[i]);

		if (value && (size_t)snprintf(texts[i], 4096, "%s=%s", kept[i], value) < 4096) {
			environment[used++] = texts[i];
		}
	}
	for (size_t i = 0; i < PHIAL_COUNT(fixed); i++) {
		environment[used++] = fixed[i];
	}
	environment[used] = NULL;
	return environment;
}

static enum phial_status spawn(char *const arguments[], int out_fd, pid_t *ret_pid,
			       struct phial_error *err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t defaults;
	char *environment[9];
	char texts[3][4096];

	if (posix_spawn_file_actions_init(&actions) != 0 ||
	    posix_spawnattr_init(&attributes) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "git");
	}
	(void)sigemptyset(&defaults);
	(void)sigaddset(&defaults, SIGPIPE); /* ignored by main() */
	int rc = posix_spawnattr_setsigdefault(&attributes, &defaults);

	rc = rc != 0 ? rc : posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	rc = rc != 0 ? rc : posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	for (int fd = STDIN_FILENO; rc == 0 && fd <= STDERR_FILENO; fd += 2) {
		rc = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
	}
	if (rc == 0) {
		rc = posix_spawnp(ret_pid, "git", &actions, &attributes, arguments,
				  make_environment(environment, texts));
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attributes);
	if (rc == ENOENT) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0,
				  "git is not installed: give the old file itself, with --from "
				  "FILE.sealed");
	}
	return rc == 0 ? PHIAL_OK : phial_fail(err, PHIAL_SYSTEM, rc, "run git");
}

/*
 * Run git in a folder. more: arguments behind the fixed ones, ended by NULL. ret_bytes: what it
 * wrote; freed by the caller. ret_is_good: it ended with 0.
 */
static enum phial_status run_git(const char *folder, const char *const *more, size_t max,
				 uint8_t **ret_bytes, size_t *ret_length, bool *ret_is_good,
				 struct phial_error *err)
{
	static const char *const fixed[] = { "git",
					     "--no-pager",
					     "--no-replace-objects",
					     "--literal-pathspecs",
					     "-c",
					     "core.fsmonitor=false",
					     "-c",
					     "core.hooksPath=/dev/null",
					     "-C",
					     NULL };
	const char *arguments[ARGUMENTS_MAX];
	size_t used = 0;
	int ends[2];
	pid_t pid = -1;
	int how = 0;

	for (size_t i = 0; fixed[i]; i++) {
		arguments[used++] = fixed[i];
	}
	arguments[used++] = folder;
	while (*more && used < ARGUMENTS_MAX - 1) {
		arguments[used++] = *more++;
	}
	arguments[used] = NULL;
	if (pipe2(ends, O_CLOEXEC) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "pipe");
	}
	/* execve(2) writes to none of them; its prototype is older than const. */
	enum phial_status status = spawn((char *const *)(void *)arguments, ends[1], &pid, err);

	phial_close_fd(&ends[1]);
	if (status == PHIAL_OK) {
		status = phial_read_all(ends[0], max, ret_bytes, ret_length, err);
	}
	phial_close_fd(&ends[0]);
	while (pid > 0 && waitpid(pid, &how, 0) < 0 && errno == EINTR) {
	}
	*ret_is_good = WIFEXITED(how) && WEXITSTATUS(how) == 0;
	return status;
}

/* The commits that changed a file, one a line, the newest first. */
static enum phial_status list_commits(const char *store_path, const char *name, char **ret_list,
				      size_t *ret_length, struct phial_error *err)
{
	char path[PHIAL_NAME_MAX_BYTES + 16];
	char limit[32];
	const char *const arguments[] = { "rev-list", limit, "--full-history", "HEAD", "--",
					  path,	      NULL };
	phial_auto_free uint8_t *bytes = NULL;
	bool is_good = false;

	(void)snprintf(path, sizeof(path), "%s.sealed", name);
	(void)snprintf(limit, sizeof(limit), "--max-count=%d", PHIAL_CLI_HISTORY_MAX);
	enum phial_status status =
		run_git(store_path, arguments, LIST_MAX_BYTES, &bytes, ret_length, &is_good, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (!is_good) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0,
				  "git has no history of %s (see git -C %s log): give the old "
				  "file itself, with --from FILE.sealed",
				  store_path, store_path);
	}
	*ret_list = (char *)phial_take_pointer(bytes);
	return PHIAL_OK;
}

/* Versions that were given to the caller already. */
struct seen {
	uint64_t *versions;
	size_t count;
};

static bool note_version(struct seen *seen, uint64_t version)
{
	for (size_t i = 0; i < seen->count; i++) {
		if (seen->versions[i] == version) {
			return false;
		}
	}
	uint64_t *larger = reallocarray(seen->versions, seen->count + 1, sizeof(*larger));

	if (!larger) {
		return false;
	}
	seen->versions = larger;
	larger[seen->count++] = version;
	return true;
}

/* The file as one commit has it, or PHIAL_NOT_FOUND: it removed it, or it cannot be parsed. */
static enum phial_status read_at(const char *store_path, const char *name, const char *commit,
				 uint8_t **ret_bytes, struct phial_sealed **ret_sealed)
{
	char object[COMMIT_DIGITS_MAX + PHIAL_NAME_MAX_BYTES + 16];
	const char *const arguments[] = { "cat-file", "blob", object, NULL };
	size_t length = 0;
	bool is_good = false;

	/* "./": below the folder of -C, which need not be the top of the repository. */
	(void)snprintf(object, sizeof(object), "%s:./%s.sealed", commit, name);
	if (run_git(store_path, arguments, PHIAL_SEALED_MAX_BYTES, ret_bytes, &length, &is_good,
		    NULL) != PHIAL_OK ||
	    !is_good || phial_sealed_parse(*ret_bytes, length, ret_sealed, NULL) != PHIAL_OK) {
		return PHIAL_NOT_FOUND;
	}
	return strcmp(phial_sealed_get_header(*ret_sealed)->name, name) == 0 ? PHIAL_OK
									     : PHIAL_NOT_FOUND;
}

enum phial_status phial_cli_history_walk(const char *store_path, const char *name,
					 phial_cli_history_fn *each, void *context,
					 struct phial_error *err)
{
	phial_auto_free char *list = NULL;
	size_t length = 0;
	struct seen seen = { .count = 0 };
	enum phial_status status = list_commits(store_path, name, &list, &length, err);
	struct phial_span rest = { list, length };
	struct phial_span line;
	char commit[COMMIT_DIGITS_MAX + 1];
	bool goes_on = status == PHIAL_OK;

	while (goes_on && phial_next_line(&rest, &line, NULL)) {
		phial_auto_free uint8_t *bytes = NULL;
		struct phial_sealed *sealed = NULL;

		if (phial_span_copy(line, commit, sizeof(commit)) &&
		    read_at(store_path, name, commit, &bytes, &sealed) == PHIAL_OK &&
		    note_version(&seen, phial_sealed_get_header(sealed)->version)) {
			goes_on = each(context, commit, sealed);
		}
		phial_sealed_free(sealed);
	}
	free(seen.versions);
	return status;
}
