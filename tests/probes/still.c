/* SPDX-License-Identifier: ISC */
/*
 * Something like a container for phial-hook to work on, without a runtime: a process with a mount
 * namespace and a root of its own that does nothing. Prints its id when it is ready.
 *
 *	still ROOTFS
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

int main(int argc, char **argv)
{
	errno = EINVAL;
	if (argc != 2) {
		fail("still ROOTFS");
	}
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) != 0 ||
	    mount(argv[1], argv[1], NULL, MS_BIND, NULL) != 0 || chdir(argv[1]) != 0 ||
	    syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 ||
	    chdir("/") != 0) {
		fail("make a container");
	}
	printf("%d\n", (int)getpid());
	fflush(stdout);
	for (;;) {
		pause();
	}
}
