/* SPDX-License-Identifier: ISC */
/*
 * Owners that release at the end of their scope, and hand-over of what they own.
 *
 *	phial_auto_fd int fd = -1;
 *	...
 *	*ret_fd = phial_take_fd(&fd);
 *
 * The handlers accept "nothing", keep errno and never retry close(2). They do not run
 * on exit(), _exit() or longjmp().
 */
#ifndef PHIAL_BASE_CLEANUP_H
#define PHIAL_BASE_CLEANUP_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define phial_auto(handler) __attribute__((cleanup(handler)))
#define phial_auto_fd	    phial_auto(phial_close_fd)
#define phial_auto_free	    phial_auto(phial_free_pointer)

/* Close *fd unless it is negative, and set it to -1. Keeps errno. */
static inline void phial_close_fd(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		close(*fd);
		errno = saved;
	}
	*fd = -1;
}

/* free(*pointer), where pointer is the address of any pointer variable. Keeps errno. */
static inline void phial_free_pointer(void *pointer)
{
	int saved = errno;

	free(*(void **)pointer);
	errno = saved;
}

/* Give up ownership of *fd: return it and leave -1 behind. */
static inline int phial_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Give up ownership of a pointer variable: return it and leave NULL behind. */
#define phial_take_pointer(variable)                      \
	__extension__({                                   \
		__typeof__(variable) taken_ = (variable); \
		(variable) = NULL;                        \
		taken_;                                   \
	})

/* Elements of an array. */
#define PHIAL_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
