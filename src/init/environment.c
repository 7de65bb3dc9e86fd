/* SPDX-License-Identifier: ISC */
/*
 * The command's environment. Values go from their file to locked pages by read(2) and from there
 * to execve(2), through nothing else; which variable a file is says base/env_name.h.
 */
#include "init/environment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env_name.h"
#include "base/harden.h"

/* The kernel's limit for one string, its NUL included: MAX_ARG_STRLEN, see execve(2). */
#define STRING_MAX_BYTES ((size_t)128 * 1024)
/* More files than this in one workload do not fit an environment either. */
#define FILES_MAX 16384

static const char *const pid_names[PHIAL_INIT_PID_VARIABLES] = { "LISTEN_PID=", "WATCHDOG_PID=" };

static enum phial_status no_memory(struct phial_error *err)
{
	return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "make the command's environment");
}

/* Whether two entries are of the same variable. */
static bool is_same_name(const char *a, const char *b)
{
	size_t length = strcspn(a, "=");

	return strncmp(a, b, length) == 0 && (b[length] == '=' || b[length] == '\0');
}

/* Put an entry in, in the place of an inherited one of that name. text: kept, not copied. */
static enum phial_status put(struct phial_init_environment *environment, char *text,
			     struct phial_error *err)
{
	char **list = environment->list;

	for (size_t i = environment->first_made; i < environment->count; i++) {
		if (is_same_name(list[i], text)) {
			return phial_fail(err, PHIAL_EXISTS, 0,
					  "two secrets would be the variable %.*s; rename one",
					  (int)strcspn(text, "="), text);
		}
	}
	for (size_t i = 0; i < environment->first_made;) {
		if (!is_same_name(list[i], text)) {
			i++;
			continue;
		}
		memmove(&list[i], &list[i + 1], (environment->count - i) * sizeof(*list));
		environment->first_made--;
		environment->count--;
	}
	char **longer = realloc(list, (environment->count + 2) * sizeof(*list));

	if (!longer) {
		return no_memory(err);
	}
	longer[environment->count++] = text;
	longer[environment->count] = NULL;
	environment->list = longer;
	return PHIAL_OK;
}

/* Put in what is no secret: NAME=DIRECTORY or NAME=DIRECTORY/FILE. */
static enum phial_status put_path(struct phial_init_environment *environment, const char *name,
				  const char *directory, const char *file, struct phial_error *err)
{
	char *text;
	char **longer =
		realloc(environment->paths, (environment->path_count + 1) * sizeof(*longer));

	if (!longer) {
		return no_memory(err);
	}
	environment->paths = longer;
	if (asprintf(&text, "%s=%s%s%s", name, directory, *file != '\0' ? "/" : "", file) < 0) {
		return no_memory(err);
	}
	longer[environment->path_count++] = text;
	return put(environment, text, err);
}

static void close_directory(DIR **directory)
{
	if (*directory) {
		(void)closedir(*directory);
	}
}

/* Names that begin with a dot are of the layout (..data, ..1), not secrets. */
static enum phial_status put_all_paths(struct phial_init_environment *environment,
				       const char *target, struct phial_error *err)
{
	phial_auto(close_directory) DIR *directory = opendir(target);
	enum phial_status status = PHIAL_OK;
	const struct dirent *entry;
	size_t files = 0;

	if (!directory) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "open %s", target);
	}
	while (status == PHIAL_OK && (entry = readdir(directory))) {
		char name[PHIAL_ENV_NAME_BYTES];

		if (entry->d_name[0] == '.' ||
		    strlen(entry->d_name) > PHIAL_NAME_COMPONENT_MAX_BYTES) {
			continue;
		}
		if (++files > FILES_MAX) {
			return phial_fail(err, PHIAL_TOO_LARGE, 0, "--file-env: over %d files",
					  FILES_MAX);
		}
		phial_env_name_make(entry->d_name, PHIAL_ENV_PATH, name);
		status = put_path(environment, name, target, entry->d_name, err);
	}
	return status;
}

/* Pages for one entry, locked before anything is in them. */
static enum phial_status lock_pages(struct phial_init_environment *environment, size_t room,
				    struct phial_init_secret **ret_secret, struct phial_error *err)
{
	char *text = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (text == MAP_FAILED) {
		return no_memory(err);
	}
	if (mlock(text, room) != 0 || madvise(text, room, MADV_DONTDUMP) != 0) {
		int reason = errno;

		(void)munmap(text, room);
		return phial_fail(
			err, PHIAL_SYSTEM, reason,
			"cannot keep %zu bytes out of swap (raise the container's memlock "
			"limit)",
			room);
	}
	*ret_secret = &environment->secrets[environment->secret_count++];
	**ret_secret = (struct phial_init_secret){ text, room };
	return PHIAL_OK;
}

/* Read exactly size bytes, after which the file ends. */
static enum phial_status read_value(int fd, char *bytes, size_t size, struct phial_error *err)
{
	size_t done = 0;

	for (;;) {
		/* One byte more than it should have: the entry's NUL stands there afterwards. */
		ssize_t got = read(fd, bytes + done, size + 1 - done);

		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got < 0) {
			return phial_fail(err, PHIAL_SYSTEM, errno, "read");
		}
		done += (size_t)got;
		if (got == 0 || done > size) {
			break;
		}
	}
	if (done != size) {
		return phial_fail(err, PHIAL_SYSTEM, 0, "changed while it was read");
	}
	if (memchr(bytes, '\0', size)) {
		return phial_fail(
			err, PHIAL_MALFORMED, 0,
			"holds a NUL byte, which no environment can; let the program read "
			"the file");
	}
	return PHIAL_OK;
}

static enum phial_status put_open_value(struct phial_init_environment *environment, int fd,
					const char *file, struct phial_error *err)
{
	char name[PHIAL_ENV_NAME_BYTES];
	struct phial_init_secret *secret = NULL;
	struct stat found;

	phial_env_name_make(file, PHIAL_ENV_VALUE, name);
	if (fstat(fd, &found) != 0 || !S_ISREG(found.st_mode)) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "is no regular file");
	}
	size_t prefix = strlen(name) + 1;
	size_t size = (size_t)found.st_size;

	if (size > STRING_MAX_BYTES || prefix + size + 1 > STRING_MAX_BYTES) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0,
				  "too large for a variable (%zu bytes, at most %zu); let the "
				  "program read the file",
				  size, STRING_MAX_BYTES - prefix - 1);
	}
	enum phial_status status = lock_pages(environment, prefix + size + 1, &secret, err);

	if (status == PHIAL_OK) {
		(void)snprintf(secret->text, secret->room, "%s=", name);
		status = read_value(fd, secret->text + prefix, size, err);
	}
	if (status == PHIAL_OK) {
		secret->text[prefix + size] = '\0';
		status = put(environment, secret->text, err);
	}
	return status;
}

static enum phial_status put_value(struct phial_init_environment *environment, const char *target,
				   const char *file, struct phial_error *err)
{
	phial_auto_fd int directory = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
	phial_auto_fd int fd = openat(directory, file, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		return phial_fail(err, errno == ENOENT ? PHIAL_NOT_FOUND : PHIAL_SYSTEM, errno,
				  "--env %s: %s/%s", file, target, file);
	}
	if (put_open_value(environment, fd, file, err) != PHIAL_OK) {
		return phial_fail_prefix(err, "--env %s: ", file);
	}
	return PHIAL_OK;
}

static enum phial_status put_values(struct phial_init_environment *environment,
				    const struct phial_init_options *options, const char *target,
				    struct phial_error *err)
{
	enum phial_status status = phial_process_forbid_dump(err);

	if (status != PHIAL_OK) {
		return status;
	}
	environment->secrets = calloc(options->env_count, sizeof(*environment->secrets));
	if (!environment->secrets) {
		return no_memory(err);
	}
	for (size_t i = 0; status == PHIAL_OK && i < options->env_count; i++) {
		status = put_value(environment, target, options->env_names[i], err);
	}
	return status;
}

enum phial_status phial_init_environment_make(const struct phial_init_options *options,
					      const char *target,
					      struct phial_init_environment *ret_environment,
					      struct phial_error *err)
{
	struct phial_init_environment *made = ret_environment;
	enum phial_status status;

	*made = (struct phial_init_environment){ .list = environ };
	while (environ[made->count]) {
		made->count++;
	}
	made->first_made = made->count;
	if (!target) {
		return PHIAL_OK;
	}
	made->list = calloc(made->count + 1, sizeof(*made->list));
	if (!made->list) {
		return no_memory(err);
	}
	memcpy(made->list, environ, made->count * sizeof(*made->list));
	status = put_path(made, PHIAL_ENV_DIRECTORY, target, "", err);
	if (status == PHIAL_OK && options->sets_paths) {
		status = put_all_paths(made, target, err);
	}
	if (status == PHIAL_OK && options->env_count > 0) {
		status = put_values(made, options, target, err);
	}
	return status;
}

/* Whether an entry is this variable and its value this number. */
static bool is_pid(const char *entry, const char *name, pid_t pid)
{
	char expected[32];

	(void)snprintf(expected, sizeof(expected), "%s%d", name, (int)pid);
	return strcmp(entry, expected) == 0;
}

void phial_init_environment_set_pid(struct phial_init_environment *environment, pid_t ours,
				    pid_t command)
{
	for (size_t i = 0; i < environment->count; i++) {
		for (size_t k = 0; k < PHIAL_INIT_PID_VARIABLES; k++) {
			/* Two letters tell nearly every other variable apart, for less than printf. */
			if (environment->list[i][0] != pid_names[k][0] ||
			    !is_pid(environment->list[i], pid_names[k], ours)) {
				continue;
			}
			(void)snprintf(environment->pids[k], sizeof(environment->pids[k]), "%s%d",
				       pid_names[k], (int)command);
			environment->list[i] = environment->pids[k];
		}
	}
}

void phial_init_environment_wipe(struct phial_init_environment *environment)
{
	for (size_t i = 0; i < environment->secret_count; i++) {
		explicit_bzero(environment->secrets[i].text, environment->secrets[i].room);
		(void)munmap(environment->secrets[i].text, environment->secrets[i].room);
	}
	for (size_t i = 0; i < environment->path_count; i++) {
		free(environment->paths[i]);
	}
	free(environment->secrets);
	free(environment->paths);
	if (environment->list != environ) {
		free(environment->list);
	}
	*environment = (struct phial_init_environment){ .list = NULL };
}
