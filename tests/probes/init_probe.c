/* SPDX-License-Identifier: ISC */
/*
 * What phial-init's command finds and gets, in words. Needs nothing of its surroundings.
 *
 *	init_probe state [VARIABLE...]	what survives execve(2): signals, limits, ids, descriptors
 *	init_probe signals		a line for each signal of any number, until it is killed
 *	init_probe storm		count signals until SIGTERM, say how many of each, exit 7
 *	init_probe orphans COUNT	make orphans that end at once, say so, wait for SIGTERM
 *	init_probe children COUNT	children in its group, each saying which signal ends it
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint64_t all_signals = UINT64_MAX;

static void fail(const char *what)
{
	perror(what);
	exit(99);
}

/* libc keeps three signals to itself, so by hand. */
static void block_all(void)
{
	if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all_signals, NULL, 8) != 0) {
		fail("block");
	}
}

static int take(siginfo_t *info)
{
	while (syscall(SYS_rt_sigtimedwait, &all_signals, info, NULL, 8) < 0) {
	}
	return info->si_signo;
}

static void show_signals(void)
{
	uint64_t blocked = 0;
	uint64_t ignored = 0;

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &blocked, 8);
	for (int i = 1; i <= 64; i++) {
		uintptr_t action[8] = { 0 };

		syscall(SYS_rt_sigaction, i, NULL, action, 8);
		ignored |= action[0] == (uintptr_t)SIG_IGN ? UINT64_C(1) << (i - 1) : 0;
	}
	printf("blocked %016llx\nignored %016llx\n", (unsigned long long)blocked,
	       (unsigned long long)ignored);
}

static void show_limits(void)
{
	static const struct {
		const char *name;
		int number;
	} limits[] = { { "core", RLIMIT_CORE },
		       { "nofile", RLIMIT_NOFILE },
		       { "memlock", RLIMIT_MEMLOCK },
		       { "nproc", RLIMIT_NPROC } };

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit limit;

		getrlimit(limits[i].number, &limit);
		printf("limit_%s %lld %lld\n", limits[i].name, (long long)limit.rlim_cur,
		       (long long)limit.rlim_max);
	}
}

static void show_ids(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	uid_t uids[3];
	gid_t gids[3];

	getresuid(&uids[0], &uids[1], &uids[2]);
	getresgid(&gids[0], &gids[1], &gids[2]);
	printf("uids %u %u %u\ngids %u %u %u\ngroups %d\n", uids[0], uids[1], uids[2], gids[0],
	       gids[1], gids[2], getgroups(0, NULL));
	if (syscall(SYS_capget, &header, data) == 0) {
		printf("capabilities %x%08x %x%08x %x%08x\n", data[1].permitted, data[0].permitted,
		       data[1].effective, data[0].effective, data[1].inheritable,
		       data[0].inheritable);
	}
}

static void show_process(void)
{
	int death_signal = 0;
	int subreaper = 0;
	mode_t mask = umask(0);
	char directory[4096];

	umask(mask);
	prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0);
	prctl(PR_GET_CHILD_SUBREAPER, &subreaper, 0, 0, 0);
	printf("pid %d\nppid %d\ngroup %d\nsession %d\nterminal_group %d\n", (int)getpid(),
	       (int)getppid(), (int)getpgrp(), (int)getsid(0), (int)tcgetpgrp(0));
	printf("umask %03o\ndumpable %d\nno_new_privs %d\ndeath_signal %d\nsubreaper %d\ncwd %s\n",
	       (unsigned int)mask, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0),
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), death_signal, subreaper,
	       getcwd(directory, sizeof(directory)) ? directory : "?");
	printf("fds");
	for (int fd = 0; fd < 256; fd++) {
		if (fcntl(fd, F_GETFD) >= 0) {
			printf(" %d", fd);
		}
	}
	printf("\n");
}

static int state(char **variables)
{
	show_signals();
	show_limits();
	show_ids();
	show_process();
	for (; *variables; variables++) {
		const char *value = getenv(*variables);

		printf("%s%s%s\n", *variables, value ? "=" : " is not set", value ? value : "");
	}
	return 0;
}

__attribute__((noreturn)) static void signals(void)
{
	siginfo_t info;

	printf("ready %d\n", (int)getpid());
	for (;;) {
		fflush(stdout);
		take(&info);
		printf("%d", info.si_signo);
		if (info.si_code == SI_QUEUE) {
			printf(" %d", info.si_value.sival_int);
		}
		printf("\n");
	}
}

static int storm(void)
{
	unsigned long counts[65] = { 0 };
	siginfo_t info;

	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	while (take(&info) != SIGTERM) {
		counts[info.si_signo]++;
	}
	for (int i = 1; i <= 64; i++) {
		if (counts[i] > 0) {
			printf("%d %lu\n", i, counts[i]);
		}
	}
	return 7;
}

static int orphans(long count)
{
	siginfo_t info;

	for (long i = 0; i < count; i++) {
		pid_t child = fork();

		if (child < 0) {
			fail("fork");
		}
		if (child == 0) {
			(void)fork(); /* one of the two ends as nobody's child, dead or alive */
			_exit(0);
		}
		if (waitpid(child, NULL, 0) != child) {
			fail("waitpid");
		}
	}
	printf("done\n");
	fflush(stdout);
	while (take(&info) != SIGTERM) {
	}
	return 0;
}

static int children(long count)
{
	siginfo_t info;

	for (long i = 0; i < count; i++) {
		if (fork() == 0) {
			dprintf(1, "child\n");
			while (take(&info) == SIGCHLD) {
			}
			dprintf(1, "child %d\n", info.si_signo);
			_exit(0);
		}
	}
	while (take(&info) == SIGCHLD) {
	}
	dprintf(1, "parent %d\n", info.si_signo);
	while (wait(NULL) > 0) {
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	long count = argc > 2 ? strtol(argv[2], NULL, 10) : 0;

	if (strcmp(mode, "state") == 0) {
		return state(argv + 2);
	}
	block_all();
	if (strcmp(mode, "signals") == 0) {
		signals();
	}
	if (strcmp(mode, "storm") == 0) {
		return storm();
	}
	if (strcmp(mode, "orphans") == 0) {
		return orphans(count);
	}
	if (strcmp(mode, "children") == 0) {
		return children(count);
	}
	errno = EINVAL;
	fail("init_probe state|signals|storm|orphans|children");
}
