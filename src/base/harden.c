/* SPDX-License-Identifier: ISC */
/*
 * Process hardening that needs no library. The raw close_range() is used because neither
 * musl 1.2.3 nor glibc before 2.34 have a wrapper.
 */
#include "base/harden.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Fill the gaps among 0 to 2, lest a later open() become somebody's stdout. */
static int ensure_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0) {
			return -1;
		}
		if (fd <= 2 && fcntl(fd, F_SETFD, 0) != 0) {
			return -1;
		}
	} while (fd <= 2);
	return close(fd);
}

enum phial_status phial_process_forbid_dump(struct phial_error *err)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "prctl PR_SET_DUMPABLE");
	}
	return PHIAL_OK;
}

enum phial_status phial_process_harden(struct phial_error *err)
{
	const struct rlimit no_core = { 0, 0 };

	if (ensure_standard_fds() != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "open /dev/null");
	}
	umask(077);
	if (setrlimit(RLIMIT_CORE, &no_core) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "setrlimit RLIMIT_CORE");
	}
	return phial_process_forbid_dump(err);
}

enum phial_status phial_close_inherited_on_exec(struct phial_error *err)
{
	if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "close_range");
	}
	return PHIAL_OK;
}

enum phial_status phial_close_inherited(struct phial_error *err)
{
	if (syscall(SYS_close_range, 3U, ~0U, 0U) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "close_range");
	}
	return PHIAL_OK;
}

/* The smallest kept descriptor from lowest on, or -1. */
static int next_kept(const int *keep, size_t count, int lowest)
{
	int found = -1;

	for (size_t i = 0; i < count; i++) {
		if (keep[i] >= lowest && (found < 0 || keep[i] < found)) {
			found = keep[i];
		}
	}
	return found;
}

enum phial_status phial_keep_descriptors(const int *keep, size_t count, struct phial_error *err)
{
	int lowest = 3;

	for (;;) {
		int kept = next_kept(keep, count, lowest);
		unsigned int last = kept < 0 ? ~0U : (unsigned int)kept - 1;

		if ((kept < 0 || kept > lowest) &&
		    syscall(SYS_close_range, (unsigned int)lowest, last, 0U) != 0) {
			return phial_fail(err, PHIAL_SYSTEM, errno, "close_range");
		}
		if (kept < 0) {
			return PHIAL_OK;
		}
		lowest = kept + 1;
	}
}
