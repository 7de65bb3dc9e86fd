/* SPDX-License-Identifier: ISC */
/*
 * For LD_PRELOAD: a wall clock that is $CLOCK_SHIFT_S seconds off, for one program. Every other
 * clock stays right. Built by the tests that need it.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *now)
{
	const char *shift = getenv("CLOCK_SHIFT_S");
	long status = syscall(SYS_clock_gettime, id, now);

	if (status == 0 && id == CLOCK_REALTIME && shift) {
		now->tv_sec += strtol(shift, NULL, 10);
	}
	return (int)status;
}

time_t time(time_t *ret_now)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (ret_now) {
		*ret_now = now.tv_sec;
	}
	return now.tv_sec;
}
