/* SPDX-License-Identifier: ISC */
/*
 * How `phial doctor` looks at this host: files below its root, programs and who could change them,
 * and what programs print. Judges nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/doctor.h"
#include "host/file.h"

#define RUN_TIMEOUT_MS 5000
#define RUN_MAX_BYTES  ((size_t)64 * 1024)

enum phial_status phial_doctor_read(const struct phial_doctor *doctor, const char *path,
				    char **ret_text, struct phial_error *err)
{
	char full[PHIAL_SETUP_PATH_BYTES];
	enum phial_status status = phial_setup_path(&doctor->host, path, full, err);

	return status == PHIAL_OK ? phial_host_read(AT_FDCWD, full, ret_text, err) : status;
}

enum phial_status phial_doctor_read_json(const struct phial_doctor *doctor, const char *path,
					 struct phial_json **ret_root, struct phial_error *err)
{
	phial_auto_free char *text = NULL;
	enum phial_status status = phial_doctor_read(doctor, path, &text, err);

	if (status != PHIAL_OK) {
		return status;
	}
	status = phial_json_parse((const uint8_t *)text, strlen(text), ret_root, err);
	return status == PHIAL_OK ? PHIAL_OK : phial_fail_prefix(err, "%s", path);
}

bool phial_doctor_find(const struct phial_doctor *doctor, const char *name,
		       char ret_path[PHIAL_SETUP_PATH_BYTES])
{
	static const char *const folders[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
					       "/usr/bin",	  "/sbin",	    "/bin",
					       "/opt/bin" };

	for (size_t i = 0; i < PHIAL_COUNT(folders); i++) {
		(void)snprintf(ret_path, PHIAL_SETUP_PATH_BYTES, "%s/%s", folders[i], name);
		if (phial_setup_exists(&doctor->host, ret_path)) {
			return true;
		}
	}
	return false;
}

/* --- what programs print ------------------------------------------------------------------ */

static bool start_program(const char *const argv[], int output_fd, pid_t *ret_child)
{
	posix_spawn_file_actions_t actions;
	int failed = posix_spawn_file_actions_init(&actions);

	if (failed == 0) {
		failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
							  O_RDONLY, 0);
		failed |= posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
		failed |= posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null",
							   O_WRONLY, 0);
		if (failed == 0) {
			failed = phial_setup_spawn(argv, &actions, ret_child, NULL) != PHIAL_OK;
		}
		posix_spawn_file_actions_destroy(&actions);
	}
	return failed == 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Read until the end. Returns false when time runs out first, or there is too much. */
static bool read_output(int fd, struct phial_text *text)
{
	int64_t deadline_ms = now_ms() + RUN_TIMEOUT_MS;
	char piece[4096];

	for (;;) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		int64_t left_ms = deadline_ms - now_ms();

		if (left_ms <= 0 || poll(&poll_fd, 1, (int)left_ms) <= 0) {
			return false;
		}
		ssize_t got = read(fd, piece, sizeof(piece));

		if (got <= 0) {
			return got == 0 && !text->has_failed;
		}
		phial_text_add_bytes(text, piece, (size_t)got);
	}
}

bool phial_doctor_run_all(const struct phial_doctor *doctor, const char *const argv[],
			  char **ret_text)
{
	phial_auto_text struct phial_text text = { .max = RUN_MAX_BYTES };
	phial_auto_fd int read_fd = -1;
	int status = -1;
	int pair[2];
	pid_t child;

	if (doctor->host.root[0] != '\0' || pipe2(pair, O_CLOEXEC) != 0) {
		return false;
	}
	read_fd = pair[0];
	bool is_running = start_program(argv, pair[1], &child);

	close(pair[1]);
	if (!is_running) {
		return false;
	}
	bool is_whole = read_output(read_fd, &text);

	if (!is_whole) {
		kill(child, SIGKILL);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
	}
	if (!is_whole || text.length == 0) {
		return false;
	}
	*ret_text = phial_take_pointer(text.bytes);
	return true;
}

bool phial_doctor_run(const struct phial_doctor *doctor, const char *const argv[], char *ret_line,
		      size_t line_bytes)
{
	phial_auto_free char *text = NULL;

	if (!phial_doctor_run_all(doctor, argv, &text)) {
		return false;
	}
	(void)snprintf(ret_line, line_bytes, "%.*s", (int)strcspn(text, "\n"), text);
	return true;
}

enum phial_status phial_doctor_in_child(phial_doctor_step_fn *step, void *context,
					struct phial_error *err)
{
	struct phial_error said;
	phial_auto_fd int read_fd = -1;
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "pipe");
	}
	read_fd = pair[0];
	pid_t child = fork();

	if (child == 0) {
		said = (struct phial_error){ .status = PHIAL_OK };
		alarm(RUN_TIMEOUT_MS / 1000);
		said.status = step(context, &said);
		_exit(write(pair[1], &said, sizeof(said)) == (ssize_t)sizeof(said) ? 0 : 1);
	}
	close(pair[1]);
	if (child < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "fork");
	}
	bool has_answered = read(read_fd, &said, sizeof(said)) == (ssize_t)sizeof(said);

	while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
	}
	if (!has_answered) {
		return phial_fail(err, PHIAL_GONE, 0, "no answer in time");
	}
	*err = said;
	return said.status;
}

/* --- who could change a program ------------------------------------------------------------- */

static bool is_loose_here(const char *path, uid_t also, char *ret_how, size_t how_bytes)
{
	struct stat status;

	if (stat(path, &status) != 0) {
		return false;
	}
	if (status.st_uid != 0 && status.st_uid != also) {
		(void)snprintf(ret_how, how_bytes, "%s belongs to uid %u", path, status.st_uid);
		return true;
	}
	/* In a sticky folder such as /tmp nobody replaces what is another's. */
	if ((status.st_mode & 022) != 0 && !(S_ISDIR(status.st_mode) && status.st_mode & S_ISVTX)) {
		(void)snprintf(ret_how, how_bytes, "%s may be written by others", path);
		return true;
	}
	return false;
}

bool phial_doctor_is_loose(const struct phial_doctor *doctor, const char *path, char *ret_how,
			   size_t how_bytes)
{
	char full[PHIAL_SETUP_PATH_BYTES];
	size_t above = strlen(doctor->host.root);
	uid_t also = doctor->is_own ? geteuid() : 0;

	if (phial_setup_path(&doctor->host, path, full, NULL) != PHIAL_OK) {
		return false;
	}
	/* With --root only what is below it is the image's. */
	for (;;) {
		if (is_loose_here(full, also, ret_how, how_bytes)) {
			return true;
		}
		char *slash = strrchr(full, '/');

		if (!slash || (size_t)(slash - full) <= above) {
			return false;
		}
		*slash = '\0';
	}
}

bool phial_doctor_check_program(struct phial_doctor *doctor, const char *id, const char *what,
				const char *path)
{
	char full[PHIAL_SETUP_PATH_BYTES];
	char how[PHIAL_SETUP_PATH_BYTES + 64];
	struct stat status;

	if (path[0] != '/' || phial_setup_path(&doctor->host, path, full, NULL) != PHIAL_OK) {
		phial_doctor_add(doctor, id, PHIAL_CHECK_BAD, "run phial setup again",
				 "%s names %s, which is no absolute path", what, path);
		return false;
	}
	if (stat(full, &status) != 0) {
		phial_doctor_add(doctor, id,
				 errno == EACCES ? PHIAL_CHECK_UNKNOWN : PHIAL_CHECK_BAD,
				 errno == EACCES ? "look as root"
						 : "install phial and run phial setup again",
				 "%s names %s: %s", what, path, strerror(errno));
		return false;
	}
	if (!S_ISREG(status.st_mode) || (status.st_mode & 0111) == 0) {
		phial_doctor_add(doctor, id, PHIAL_CHECK_BAD, "install phial again",
				 "%s names %s, which cannot be executed", what, path);
		return false;
	}
	if (phial_doctor_is_loose(doctor, path, how, sizeof(how))) {
		phial_doctor_add(doctor, id, PHIAL_CHECK_BAD,
				 "chown it to root and chmod go-w, or install phial elsewhere",
				 "%s runs %s as root, but %s", what, path, how);
		return false;
	}
	return true;
}
