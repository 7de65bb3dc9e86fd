/* SPDX-License-Identifier: ISC */
/*
 * For LD_PRELOAD: a wall clock that is off by $CLOCK_SHIFT_S seconds, or by the number (int64_t) in the
 * file $CLOCK_SHIFT_FILE, which may change meanwhile: it is mapped, so that children see it from
 * wherever they are. Every other clock stays right. Built by the tests that need it.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shared;

__attribute__((constructor)) static void map_shift(void)
{
	const char *path = getenv("CLOCK_SHIFT_FILE");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		void *page = mmap(NULL, sizeof(*shared), PROT_READ, MAP_SHARED, fd, 0);

		shared = page == MAP_FAILED ? NULL : page;
		close(fd);
	}
}

static int64_t shift_s(void)
{
	const char *shift = getenv("CLOCK_SHIFT_S");

	if (shared) {
		return *shared;
	}
	return shift ? strtol(shift, NULL, 10) : 0;
}

int clock_gettime(clockid_t id, struct timespec *now)
{
	long status = syscall(SYS_clock_gettime, id, now);

	if (status == 0 && id == CLOCK_REALTIME) {
		now->tv_sec += shift_s();
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
