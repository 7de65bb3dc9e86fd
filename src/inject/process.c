/* SPDX-License-Identifier: ISC */
/*
 * Runtimes start hooks in what happens to be their own state: crun with blocked signals and the
 * container's limits, and with its output in a file of the image's choice. All that is undone
 * here. Knows nothing of containers.
 */
#include "inject/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/capability.h"
#include "base/harden.h"

#define TIME_LIMIT_S 10
#define NEEDED_FDS   64

/* Whose time is limited: a signal handler takes no argument. */
static const char *program_name;

static void end_by_alarm(int signal_number)
{
	static const char text[] = ": not done in 10 seconds; is phiald overloaded?\n";

	(void)signal_number;
	if (write(STDERR_FILENO, program_name, strlen(program_name)) < 0 ||
	    write(STDERR_FILENO, text, sizeof(text) - 1) < 0) {
		_exit(PHIAL_SYSTEM);
	}
	_exit(PHIAL_NO_AGENT);
}

/* A blocked SIGALRM would never come; an ignored or inherited handler is gone by execve(2). */
static int reset_signals(void)
{
	const struct sigaction on_alarm = { .sa_handler = end_by_alarm };
	const struct sigaction ignored = { .sa_handler = SIG_IGN };
	sigset_t none;

	sigemptyset(&none);
	if (sigaction(SIGALRM, &on_alarm, NULL) != 0 || sigaction(SIGPIPE, &ignored, NULL) != 0 ||
	    sigprocmask(SIG_SETMASK, &none, NULL) != 0) {
		return -1;
	}
	(void)alarm(TIME_LIMIT_S);
	return 0;
}

/* Should work without: if it does not, the call that lacks a descriptor says so. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < NEEDED_FDS) {
		limit.rlim_cur = NEEDED_FDS;
		limit.rlim_max = limit.rlim_max > NEEDED_FDS ? limit.rlim_max : NEEDED_FDS;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/*
 * crun opens the file that the annotation run.oci.hooks.stderr names, and Podman takes
 * annotations from images: a regular file there is not to be written to.
 */
static int leave_regular_files(void)
{
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
		struct stat found;

		if (fstat(fd, &found) != 0 || !S_ISREG(found.st_mode)) {
			continue;
		}
		int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

		if (null_fd < 0 || dup2(null_fd, fd) < 0 || close(null_fd) != 0) {
			return -1;
		}
	}
	return 0;
}

enum phial_status phial_inject_reset_process(const char *name, struct phial_error *err)
{
	program_name = name;
	if (reset_signals() != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "reset signals");
	}
	raise_descriptor_limit();
	if (leave_regular_files() != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "leave the output files");
	}
	enum phial_status status = phial_close_inherited(err);

	return status == PHIAL_OK ? phial_process_harden(err) : status;
}

enum phial_status phial_inject_cut_capabilities(struct phial_error *err)
{
	/* PTRACE opens a user-namespace container's /proc entries; DAC_OVERRIDE its directories. */
	return phial_capabilities_keep(PHIAL_CAPABILITY(CAP_SYS_ADMIN) |
					       PHIAL_CAPABILITY(CAP_SYS_CHROOT) |
					       PHIAL_CAPABILITY(CAP_SYS_PTRACE) |
					       PHIAL_CAPABILITY(CAP_DAC_OVERRIDE),
				       err);
}
