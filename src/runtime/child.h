/* SPDX-License-Identifier: ISC */
/* Programs that the wrapper runs and waits for, as if it were not there. */
#ifndef PHIAL_RUNTIME_CHILD_H
#define PHIAL_RUNTIME_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include <phial/error.h>

/* How signals stood when the wrapper began, for the programs that it starts. */
struct phial_runtime_signals {
	sigset_t mask;
	struct sigaction on_child;
};

/* Where a child's standard descriptors come from; -1: the wrapper's own. */
struct phial_runtime_stdio {
	int fds[3];
};

#define PHIAL_RUNTIME_STDIO_OWN       \
	{                             \
		.fds = { -1, -1, -1 } \
	}

/*
 * Block every signal that can be, so that phial_runtime_wait() hears them, and let children be
 * waited for whatever was inherited. Returns PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_runtime_take_signals(struct phial_runtime_signals *ret_before,
							   struct phial_error *err);

/*
 * Fork. The child is killed when the wrapper dies, has these standard descriptors, and the signals
 * as they were before. Returns its process id, 0 in the child, or -1 with errno.
 */
pid_t phial_runtime_fork(const struct phial_runtime_signals *before,
			 const struct phial_runtime_stdio *stdio);

/* The same, and execute a program there: path with argv, in the wrapper's environment. */
pid_t phial_runtime_spawn(const struct phial_runtime_signals *before,
			  const struct phial_runtime_stdio *stdio, const char *path, char **argv);

/*
 * Wait for a child. limit_s: 0 passes every signal that somebody sends to the wrapper on to the
 * child and waits for ever; otherwise signals are dropped, and the child is killed after so many
 * seconds. Returns the status as waitpid(2) gives it.
 */
int phial_runtime_wait(pid_t child, unsigned int limit_s);

/* End as a child ended: with its exit code, or by its signal. */
_Noreturn void phial_runtime_end_as(int wait_status);

#endif
