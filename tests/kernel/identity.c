/* SPDX-License-Identifier: ISC */
/*
 * Processes and namespaces: what a pidfd, a peer's credentials and /proc say, before and after
 * setns(2).
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "tap.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static int open_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool has_exited(int pidfd)
{
	struct pollfd exit = { .fd = pidfd, .events = POLLIN };

	return poll(&exit, 1, 0) == 1;
}

/* A child in a mount namespace of its own; with hides_proc, something lies over its /proc. */
static pid_t start_child(bool hides_proc)
{
	int ready[2];
	char byte = 0;

	if (pipe(ready) != 0) {
		return -1;
	}
	pid_t child = fork();

	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		bool is_made = unshare(CLONE_NEWNS) == 0 &&
			       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
			       (!hides_proc || mount("t", "/proc", "tmpfs", 0, NULL) == 0);

		_exit(!is_made || write(ready[1], &byte, 1) != 1 || pause());
	}
	(void)close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		child = -1;
	}
	(void)close(ready[0]);
	return child;
}

static void end_child(pid_t child)
{
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
}

static void pidfds(void)
{
	pid_t child = start_child(false);
	int pidfd = open_pidfd(child);
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d", (int)child);
	int proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	tap(child > 0 && pidfd >= 0 && !has_exited(pidfd), "f1 a pidfd of a living process");
	(void)kill(child, SIGKILL);
	siginfo_t info;

	(void)waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
	tap(has_exited(pidfd), "g2 it polls readable once the process has ended, unreaped too");
	(void)waitpid(child, NULL, 0);
	tap(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) < 0 && errno == ESRCH,
	    "f3 and names nobody afterwards");
	tap(openat(proc, "stat", O_RDONLY | O_CLOEXEC) < 0 && errno == ESRCH,
	    "f3 its /proc directory, held open, is no other process's");
	(void)close(proc);
	(void)close(pidfd);
}

static void peers(void)
{
	struct utsname name;
	unsigned int major = 0;
	unsigned int minor = 0;
	int ends[2];
	int pidfd = -1;
	socklen_t length = sizeof(pidfd);

	(void)uname(&name);
	(void)sscanf(name.release, "%u.%u", &major, &minor);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
		tap(false, "a socket pair");
		return;
	}
	int failed = getsockopt(ends[0], SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length);

	if (major > 6 || (major == 6 && minor >= 5)) {
		tap(failed == 0 && pidfd >= 0, "f1 SO_PEERPIDFD from 6.5");
	} else {
		tap(failed != 0 && errno == ENOPROTOOPT, "F-09 before 6.5 no SO_PEERPIDFD");
	}
	struct ucred peer;

	length = sizeof(peer);
	tap(getsockopt(ends[0], SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
		    peer.pid == getpid() && peer.uid == geteuid(),
	    "f2 SO_PEERCRED names who connected");
}

static pid_t entered;

/* r5, in a child: after entering a namespace its /proc is what one sees. */
static int enters_and_looks(void)
{
	char path[64];
	struct stat before;
	struct stat its;
	struct stat after;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)entered);
	int namespace = open(path, O_RDONLY | O_CLOEXEC);
	int own = open("/proc/self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fstat(namespace, &its) != 0 || fstatat(own, "mnt", &before, 0) != 0 ||
	    setns(namespace, CLONE_NEWNS) != 0) {
		return 1;
	}
	bool is_hidden = access("/proc/self/ns/mnt", F_OK) != 0 && errno == ENOENT;
	bool is_entered = fstatat(own, "mnt", &after, 0) == 0 && after.st_ino == its.st_ino &&
			  before.st_ino != its.st_ino;

	return !is_hidden + 2 * !is_entered;
}

static int drops_and_enters(void)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)entered);
	int namespace = open(path, O_RDONLY | O_CLOEXEC);

	if (setresuid(4242, 4242, 4242) != 0) {
		return 1;
	}
	return setns(namespace, CLONE_NEWNS) == 0 || errno != EPERM;
}

static void namespaces(void)
{
	entered = start_child(true);
	int seen = tap_in_child(enters_and_looks);

	tap((seen & 1) == 0, "r5 after setns /proc is the container's, and may be hidden");
	tap((seen & 2) == 0, "r5 /proc/self/ns opened before shows the namespace entered");
	tap(tap_in_child(drops_and_enters) == 0, "finding 7: setns without rights fails (EPERM)");
	end_child(entered);
}

int main(void)
{
	if (geteuid() != 0) {
		return tap_skip_all("needs root");
	}
	pidfds();
	peers();
	namespaces();
	return tap_end();
}
