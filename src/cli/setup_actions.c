/* SPDX-License-Identifier: ISC */
/*
 * Folders, files, links and programs for `phial setup`, each of them idempotent. What is to
 * be made is said by setup.c and setup_*.c.
 */
#include "cli/setup_actions.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/config.h"

#define TEXT_MAX_BYTES ((size_t)64 * 1024)

enum phial_status phial_setup_begin(const struct phial_cli_call *call, const char *root,
				    bool only_print, struct phial_setup *ret_setup,
				    struct phial_error *err)
{
	const char *name = call->command->name;

	*ret_setup = (struct phial_setup){ .only_print = only_print };
	if (geteuid() != 0 && !only_print) {
		return phial_fail(err, PHIAL_DENIED, 0,
				  "%s changes the system: run sudo phial %s, or phial %s --print "
				  "to see what it would do",
				  name, name, name);
	}
	phial_auto_free char *path = root ? realpath(root, NULL) : NULL;

	if (root && (!path || strlen(path) >= sizeof(ret_setup->root))) {
		return phial_fail(err, phial_cli_open_status(errno), errno, "--root");
	}
	if (path && strcmp(path, "/") != 0) {
		(void)snprintf(ret_setup->root, sizeof(ret_setup->root), "%s", path);
	}
	return PHIAL_OK;
}

enum phial_status phial_setup_path(const struct phial_setup *setup, const char *path,
				   char ret_path[PHIAL_SETUP_PATH_BYTES], struct phial_error *err)
{
	int length = snprintf(ret_path, PHIAL_SETUP_PATH_BYTES, "%s%s", setup->root, path);

	if (length < 0 || length >= PHIAL_SETUP_PATH_BYTES) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "path of %s", path);
	}
	return PHIAL_OK;
}

void phial_setup_say(const struct phial_setup *setup, const char *verb, const char *text)
{
	printf("%s%-8s %s%s\n", setup->only_print ? "would " : "", verb,
	       text[0] == '/' ? setup->root : "", text);
}

bool phial_setup_exists(const struct phial_setup *setup, const char *path)
{
	char full[PHIAL_SETUP_PATH_BYTES];
	struct stat status;

	return phial_setup_path(setup, path, full, NULL) == PHIAL_OK && lstat(full, &status) == 0;
}

static enum phial_status fail_on(const char *what, const char *path, struct phial_error *err)
{
	return phial_fail(err, phial_cli_open_status(errno), errno, "%s %s", what, path);
}

/* Correct what differs, by descriptor, so that no link is followed. */
static enum phial_status correct_folder(const char *path, mode_t mode, uid_t uid, gid_t gid,
					bool *ret_changed, struct phial_error *err)
{
	struct stat status;
	phial_auto_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) {
		return phial_fail(err, PHIAL_EXISTS, 0,
				  "%s is there and is no folder: move it away", path);
	}
	if (fd < 0 || fstat(fd, &status) != 0) {
		return fail_on("open", path, err);
	}
	bool wrong_owner = (uid != (uid_t)-1 && status.st_uid != uid) ||
			   (gid != (gid_t)-1 && status.st_gid != gid);
	bool wrong_mode = (status.st_mode & 07777) != mode;

	if (wrong_owner && fchown(fd, uid, gid) != 0) {
		return fail_on("change the owner of", path, err);
	}
	if (wrong_mode && fchmod(fd, mode) != 0) {
		return fail_on("change the mode of", path, err);
	}
	*ret_changed = wrong_owner || wrong_mode;
	return PHIAL_OK;
}

/* mkdir -p for the folders above a path. */
static enum phial_status make_parents(const struct phial_setup *setup, char *full,
				      struct phial_error *err)
{
	size_t skip = strlen(setup->root) + 1;

	for (char *slash = strchr(full + skip, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		bool made = mkdir(full, 0755) == 0;

		if (!made && errno != EEXIST) {
			return fail_on("make", full, err);
		}
		if (made && chmod(full, 0755) != 0) { /* the umask is 077 */
			return fail_on("change the mode of", full, err);
		}
		*slash = '/';
	}
	return PHIAL_OK;
}

enum phial_status phial_setup_folder(const struct phial_setup *setup, const char *path, mode_t mode,
				     uid_t uid, gid_t gid, struct phial_error *err)
{
	char full[PHIAL_SETUP_PATH_BYTES];
	bool is_there = phial_setup_exists(setup, path);
	bool changed = false;
	enum phial_status status = phial_setup_path(setup, path, full, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (setup->only_print) {
		phial_setup_say(setup, is_there ? "keep" : "make", path);
		return PHIAL_OK;
	}
	status = make_parents(setup, full, err);
	if (status != PHIAL_OK) {
		return status;
	}
	if (!is_there && mkdir(full, mode) != 0) {
		return fail_on("make", full, err);
	}
	status = correct_folder(full, mode, uid, gid, &changed, err);
	if (status == PHIAL_OK) {
		phial_setup_say(setup, !is_there ? "made" : changed ? "changed" : "kept", path);
	}
	return status;
}

enum phial_status phial_setup_file(const struct phial_setup *setup, const char *path,
				   const char *text, struct phial_error *err)
{
	char full[PHIAL_SETUP_PATH_BYTES];
	phial_auto_free uint8_t *old = NULL;
	size_t old_length = 0;
	struct stat found;
	enum phial_status status = phial_setup_path(setup, path, full, err);

	if (status != PHIAL_OK) {
		return status;
	}
	bool is_there =
		phial_cli_read_file(full, TEXT_MAX_BYTES, &old, &old_length, NULL) == PHIAL_OK;

	if (is_there && old_length == strlen(text) && memcmp(old, text, old_length) == 0) {
		phial_setup_say(setup, setup->only_print ? "keep" : "kept", path);
		return PHIAL_OK;
	}
	if (setup->only_print) {
		phial_setup_say(setup, "write", path);
		return PHIAL_OK;
	}
	mode_t mode =
		lstat(full, &found) == 0 && S_ISREG(found.st_mode) ? found.st_mode & 0777 : 0644;

	status = make_parents(setup, full, err);
	if (status == PHIAL_OK) {
		status = phial_cli_write_file(full, text, strlen(text), mode, err);
	}
	if (status == PHIAL_OK) {
		phial_setup_say(setup, "wrote", path);
	}
	return status;
}

/* A link is turned by renaming a new one over it, so that it always leads somewhere. */
static enum phial_status replace_link(const char *full, const char *target, struct phial_error *err)
{
	char temporary[PHIAL_SETUP_PATH_BYTES + 8];

	(void)snprintf(temporary, sizeof(temporary), "%s.new", full);
	if (unlink(temporary) != 0 && errno != ENOENT) {
		return fail_on("remove", temporary, err);
	}
	if (symlink(target, temporary) != 0) {
		return fail_on("make the link", temporary, err);
	}
	if (rename(temporary, full) != 0) {
		enum phial_status status = fail_on("turn the link", full, err);

		(void)unlink(temporary);
		return status;
	}
	return PHIAL_OK;
}

enum phial_status phial_setup_link(const struct phial_setup *setup, const char *path,
				   const char *target, struct phial_error *err)
{
	char full[PHIAL_SETUP_PATH_BYTES];
	char old[PHIAL_SETUP_PATH_BYTES];
	char text[2 * PHIAL_SETUP_PATH_BYTES + 8];
	enum phial_status status = phial_setup_path(setup, path, full, err);

	if (status != PHIAL_OK) {
		return status;
	}
	ssize_t length = readlink(full, old, sizeof(old) - 1);

	if (length < 0 && errno != ENOENT) {
		return phial_fail(err,
				  errno == EINVAL ? PHIAL_EXISTS : phial_cli_open_status(errno),
				  errno == EINVAL ? 0 : errno,
				  "%s is there and is no link: move it away, or leave out --store",
				  full);
	}
	(void)snprintf(text, sizeof(text), "%s -> %s", path, target);
	if (length >= 0) {
		old[length] = '\0';
		if (strcmp(old, target) == 0) {
			phial_setup_say(setup, setup->only_print ? "keep" : "kept", text);
			return PHIAL_OK;
		}
	}
	if (!setup->only_print) {
		status = replace_link(full, target, err);
	}
	if (status == PHIAL_OK) {
		phial_setup_say(setup, setup->only_print ? "link" : "linked", text);
	}
	return status;
}

enum phial_status phial_setup_remove(const struct phial_setup *setup, const char *path,
				     struct phial_error *err)
{
	char full[PHIAL_SETUP_PATH_BYTES];
	struct stat status;
	enum phial_status result = phial_setup_path(setup, path, full, err);

	if (result != PHIAL_OK || lstat(full, &status) != 0) {
		return result;
	}
	if (!setup->only_print) {
		int failed = S_ISDIR(status.st_mode) ? rmdir(full) : unlink(full);

		if (failed != 0 && (errno == ENOTEMPTY || errno == EEXIST)) {
			phial_setup_say(setup, "kept", path);
			return PHIAL_OK;
		}
		if (failed != 0) {
			return fail_on("remove", full, err);
		}
	}
	phial_setup_say(setup, setup->only_print ? "remove" : "removed", path);
	return PHIAL_OK;
}

static void say_command(const struct phial_setup *setup, const char *const argv[])
{
	printf("%s%-8s", setup->only_print ? "would " : "", setup->only_print ? "run" : "running");
	for (size_t i = 0; argv[i]; i++) {
		printf(" %s", argv[i]);
	}
	printf("\n");
	fflush(stdout); /* before what the program itself prints */
}

enum phial_status phial_setup_spawn(const char *const argv[],
				    const posix_spawn_file_actions_t *actions, pid_t *ret_child,
				    struct phial_error *err)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";
	static char locale[] = "LC_ALL=C";
	char *environment[] = { path, locale, NULL };
	char *arguments[16] = { NULL };

	for (size_t i = 0; argv[i] && i + 1 < PHIAL_COUNT(arguments); i++) {
		memcpy(&arguments[i], &argv[i],
		       sizeof(arguments[i])); /* posix_spawn() lacks a const */
	}
	int failed = posix_spawnp(ret_child, argv[0], actions, NULL, arguments, environment);

	return failed == 0 ? PHIAL_OK
			   : phial_fail(err, failed == ENOENT ? PHIAL_NOT_FOUND : PHIAL_SYSTEM,
					failed, "run %s", argv[0]);
}

enum phial_status phial_setup_run(const struct phial_setup *setup, const char *const argv[],
				  struct phial_error *err)
{
	int status;
	pid_t child;

	say_command(setup, argv);
	if (setup->only_print) {
		return PHIAL_OK;
	}
	enum phial_status started = phial_setup_spawn(argv, NULL, &child, err);

	if (started != PHIAL_OK) {
		return started;
	}
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR) {
			return phial_fail(err, PHIAL_SYSTEM, errno, "wait for %s", argv[0]);
		}
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, 0, "%s failed (%s %d)", argv[0],
				  WIFEXITED(status) ? "exit code" : "signal",
				  WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	}
	return PHIAL_OK;
}
