/* SPDX-License-Identifier: ISC */
/*
 * Becoming the command of `phial run`, and the process that cleans up behind it. The command takes
 * phial's place instead of being its child, so that signals, job control and exit status are what
 * they are without phial, with nothing to forward. Knows no secret.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/capability.h"
#include "base/harden.h"
#include "cli/run.h"
#include "mount/generation.h"

#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND	    127

/*
 * How long the files outlive the command. sendfile(2) and splice(2), which some cat(1)s use, put
 * the file's own pages into a pipe or socket: wiped at once, a reader would find zeros.
 */
#define GRACE_MS 1000

/*
 * The descriptors that it needs take the place of stdin and stdout, which may be ends of pipes
 * that somebody waits to see closed; everything else goes.
 */
static bool keep_only(int process_fd, int mount_fd)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	return null_fd >= 0 && dup2(process_fd, STDIN_FILENO) >= 0 &&
	       dup2(mount_fd, STDOUT_FILENO) >= 0 && dup2(null_fd, STDERR_FILENO) >= 0 &&
	       phial_close_inherited(NULL) == PHIAL_OK;
}

/*
 * Should: outlive the command by the grace and the wiping only. Mustn't: be ended with the command's
 * process group or session, or keep anything of the caller's in use.
 */
_Noreturn static void wipe_afterwards(int process_fd, int mount_fd)
{
	struct pollfd ended = { .fd = STDIN_FILENO, .events = POLLIN };
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	(void)setsid();
	(void)prctl(PR_SET_NAME, "phial-wipe", 0, 0, 0);
	/* Files may be of a mode that not even their owner can write. */
	if (chdir("/") != 0 || !keep_only(process_fd, mount_fd) ||
	    phial_capabilities_keep(PHIAL_CAPABILITY(CAP_DAC_OVERRIDE), NULL) != PHIAL_OK) {
		_exit(PHIAL_SYSTEM);
	}
	while (poll(&ended, 1, -1) < 0) {
	}
	(void)poll(NULL, 0, GRACE_MS);
	_exit((int)phial_mount_wipe(STDOUT_FILENO, NULL));
}

enum phial_status phial_cli_start_wiper(int mount_fd, struct phial_error *err)
{
	int status = 0;
	phial_auto_fd int process_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (process_fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "pidfd_open");
	}
	pid_t pid = fork();

	if (pid == 0) {
		/* Once more: the command must not find a child that it did not start. */
		pid = fork();
		if (pid == 0) {
			wipe_afterwards(process_fd, mount_fd);
		}
		_exit(pid < 0 ? PHIAL_SYSTEM : PHIAL_OK);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
		return phial_fail(err, PHIAL_SYSTEM, pid < 0 ? errno : 0,
				  "start the process that wipes the secrets afterwards");
	}
	return PHIAL_OK;
}

_Noreturn void phial_cli_become(const struct phial_cli_call *call, char *const *strings)
{
	struct phial_error err = { 0 };

	umask(call->inherited->umask);
	sigaction(SIGPIPE, &call->inherited->on_sigpipe, NULL);
	execvpe(call->program[0], call->program, strings);
	int code = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;

	(void)phial_fail(&err, PHIAL_SYSTEM, errno, "run %s", call->program[0]);
	fprintf(stderr, "phial: %s\n", err.text);
	exit(code);
}
