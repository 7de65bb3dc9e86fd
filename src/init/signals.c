/* SPDX-License-Identifier: ISC */
/*
 * Holding signals back and taking them off the queue. Decides nothing about where they go:
 * supervise.c does.
 */
#include "init/signals.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const uint64_t all_signals = UINT64_MAX;

enum phial_status phial_init_signals_hold(struct phial_init_signals *ret_found,
					  struct phial_error *err)
{
	const struct sigaction as_usual = { .sa_handler = SIG_DFL };
	struct phial_init_signals found;
	struct sigaction before;

	if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all_signals, &found.mask,
		    sizeof(found.mask)) != 0 ||
	    sigaction(SIGCHLD, &as_usual, &before) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "block signals");
	}
	found.ignored_child = before.sa_handler == SIG_IGN;
	*ret_found = found;
	return PHIAL_OK;
}

void phial_init_signals_release(const struct phial_init_signals *found)
{
	const struct sigaction ignored = { .sa_handler = SIG_IGN };

	if (found->ignored_child) {
		(void)sigaction(SIGCHLD, &ignored, NULL);
	}
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &found->mask, NULL, sizeof(found->mask));
}

void phial_init_signals_take(siginfo_t *ret_info)
{
	while (syscall(SYS_rt_sigtimedwait, &all_signals, ret_info, NULL, sizeof(all_signals)) <
	       0) {
		/* EINTR, after SIGSTOP and SIGCONT */
	}
}

bool phial_init_signals_try(siginfo_t *ret_info)
{
	const struct timespec now = { 0, 0 };

	return syscall(SYS_rt_sigtimedwait, &all_signals, ret_info, &now, sizeof(all_signals)) > 0;
}
