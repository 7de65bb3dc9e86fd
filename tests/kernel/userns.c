/* SPDX-License-Identifier: ISC */
/*
 * What the agent of a user rests on: user namespaces of one user, side by side. Who reads an id map
 * sees ids of its own namespace; keys are counted for the uid outside; memory that is never swapped
 * can be mounted without root.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include "tap.h"

/* A user that nobody is, so that its count of keys begins at nothing. */
#define OWN_ID	     1777000001
#define OWN_ID_TEXT  "1777000001"
#define KEYCTL_JOIN  1
#define MAP_OF_ONE   "         0          0          1\n"
#define MAP_FROM_OUT "         0 " OWN_ID_TEXT "          1\n"

/* What a child of become_user_root() returns when namespaces are not to be had. */
#define NO_NAMESPACE 77

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool is_written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	return fd >= 0 && close(fd) == 0 && is_written;
}

static bool read_text(const char *path, char *text, size_t text_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, text, text_bytes - 1) : -1;

	text[got > 0 ? got : 0] = '\0';
	return fd >= 0 && close(fd) == 0 && got > 0;
}

static bool become_user(void)
{
	return setresgid(OWN_ID, OWN_ID, OWN_ID) == 0 && setresuid(OWN_ID, OWN_ID, OWN_ID) == 0 &&
	       prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

static bool become_user_root(void)
{
	return become_user() && unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
	       write_text("/proc/self/setgroups", "deny") &&
	       write_text("/proc/self/gid_map", "0 " OWN_ID_TEXT " 1") &&
	       write_text("/proc/self/uid_map", "0 " OWN_ID_TEXT " 1");
}

/* A process of the user in a namespace of its own, until it is killed. */
static pid_t start_neighbour(void)
{
	int ready[2];
	char byte = 0;

	if (pipe(ready) != 0) {
		return -1;
	}
	pid_t child = fork();

	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(!become_user_root() || write(ready[1], &byte, 1) != 1 || pause());
	}
	(void)close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		child = -1;
	}
	(void)close(ready[0]);
	return child;
}

static pid_t neighbour;

/* 0 if the neighbour's map, read from a namespace beside it, is counted by the reader's. */
static int read_map_from_beside(void)
{
	char path[64];
	char text[256];

	(void)snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)neighbour);
	if (!become_user_root()) {
		return NO_NAMESPACE;
	}
	return !read_text(path, text, sizeof(text)) || strcmp(text, MAP_OF_ONE) != 0;
}

static int read_map_from_outside(void)
{
	char path[64];
	char text[256];

	(void)snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)neighbour);
	return !read_text(path, text, sizeof(text)) || strcmp(text, MAP_FROM_OUT) != 0;
}

/* 0 if uid 0 of the namespace has the limits of an ordinary user, in its own line. */
static int count_keys(void)
{
	char limit[32];
	char text[4096];
	char wanted[64];

	if (!become_user_root()) {
		return NO_NAMESPACE;
	}
	if (syscall(SYS_keyctl, KEYCTL_JOIN, NULL) < 0 ||
	    !read_text("/proc/sys/kernel/keys/maxkeys", limit, sizeof(limit)) ||
	    !read_text("/proc/key-users", text, sizeof(text))) {
		return 1;
	}
	limit[strcspn(limit, "\n")] = '\0';
	(void)snprintf(wanted, sizeof(wanted), "/%s ", limit);
	return strncmp(text, "    0:", 6) != 0 || strstr(text, wanted) == NULL;
}

static int make_ramfs(void)
{
	if (!become_user_root()) {
		return NO_NAMESPACE;
	}
	int fd = (int)syscall(SYS_fsopen, "ramfs", 0);

	return fd < 0 || syscall(SYS_fsconfig, fd, 6 /* CREATE */, NULL, NULL, 0) != 0 ||
	       syscall(SYS_fsmount, fd, 0, 0) < 0;
}

static void try(int (*function)(void), const char *fact)
{
	int outcome = tap_in_child(function);

	if (outcome == NO_NAMESPACE) {
		tap_skip("ordinary users get no user namespace here", fact);
	} else {
		tap(outcome == 0, fact);
	}
}

int main(void)
{
	if (geteuid() != 0) {
		return tap_skip_all("needs root, to be a user that nobody is");
	}
	neighbour = start_neighbour();
	if (neighbour < 0) {
		return tap_skip_all("ordinary users get no user namespace here");
	}
	try(read_map_from_outside, "an id map read from outside has the ids of outside");
	try(read_map_from_beside, "read from a namespace beside it, it has the ids of that one");
	try(count_keys, "uid 0 of a user's namespace has the user's quota of keys");
	try(make_ramfs, "ramfs can be made in it");
	(void)kill(neighbour, SIGKILL);
	(void)waitpid(neighbour, NULL, 0);
	return tap_end();
}
