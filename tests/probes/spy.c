/* SPDX-License-Identifier: ISC */
/*
 * Tries what one process of the host can try on another to read its memory or take its
 * descriptors. Prints a line for each way: its name and the errno, or GOT.
 *
 *	spy PID
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static void report(const char *what, bool got)
{
	printf("%s: %s\n", what, got ? "GOT" : strerror(errno));
}

static void try_file(const char *pid, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
	int fd = open(path, O_RDONLY);

	report(name, fd >= 0);
}

static void try_memory(pid_t pid)
{
	char bytes[16];
	struct iovec local = { bytes, sizeof(bytes) };
	struct iovec remote = { bytes, sizeof(bytes) };

	/* A wrong address would be EFAULT: only EPERM means that the door is shut. */
	errno = 0;
	bool got = process_vm_readv(pid, &local, 1, &remote, 1, 0) >= 0 || errno == EFAULT;

	report("process_vm_readv", got);
}

static void try_descriptors(pid_t pid)
{
	long pidfd = syscall(SYS_pidfd_open, pid, 0);
	bool got = false;

	for (int fd = 0; fd < 32 && pidfd >= 0 && !got; fd++) {
		/* EBADF: it would be given if it were there. */
		got = syscall(SYS_pidfd_getfd, pidfd, fd, 0) >= 0 || errno == EBADF;
	}
	report("pidfd_getfd", got);
}

int main(int argc, char **argv)
{
	static const char *const files[] = { "mem",	   "environ", "maps",	     "syscall",
					     "auxv",	   "stack",   "map_files/0", "pagemap",
					     "clear_refs", "fd/0",    "root/." };

	if (argc != 2) {
		return 2;
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		try_file(argv[1], files[i]);
	}
	pid_t pid = (pid_t)strtol(argv[1], NULL, 10);

	try_memory(pid);
	try_descriptors(pid);
	report("ptrace seize", ptrace(PTRACE_SEIZE, pid, 0, 0) == 0);
	report("ptrace attach", ptrace(PTRACE_ATTACH, pid, 0, 0) == 0);
	return 0;
}
