/* SPDX-License-Identifier: ISC */
/*
 * All 64 signals, held back and taken one by one. By raw system calls: libc keeps two or three
 * real-time signals to itself, and one of them (34) is another libc's SIGRTMIN.
 */
#ifndef PHIAL_INIT_SIGNALS_H
#define PHIAL_INIT_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <phial/error.h>

/* What was found at start and survives execve(2): the command gets it back. */
struct phial_init_signals {
	uint64_t mask; /* bit n-1: signal n was blocked */
	bool ignored_child;
};

/*
 * Block every signal and take SIGCHLD's default action (ignored, it would leave no exit status).
 * No other disposition is touched: what is blocked is queued even if it is ignored. A fault of our
 * own still ends us, since the kernel does not let one be blocked. ret_found: for
 * phial_init_signals_release(). Returns PHIAL_OK or PHIAL_SYSTEM. See signal(7).
 */
PHIAL_CHECKED enum phial_status phial_init_signals_hold(struct phial_init_signals *ret_found,
							struct phial_error *err);

/* Undo it, in the process that becomes the command. Signals that are pending stay pending. */
void phial_init_signals_release(const struct phial_init_signals *found);

/* Wait for the next signal of any number, and take it. Blocks as sigwaitinfo(2). */
void phial_init_signals_take(siginfo_t *ret_info);

/* Take one that is pending already. Returns false if there is none. */
bool phial_init_signals_try(siginfo_t *ret_info);

#endif
