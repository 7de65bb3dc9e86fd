/* SPDX-License-Identifier: ISC */
/* Shared secret pages. Not struct phial_secret: that type keeps its pages from children. */
#include "agent/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define PAGES_BYTES ((size_t)32 * 1024)

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

static void *map_hidden(void)
{
	phial_auto_fd int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)PAGES_BYTES) != 0) {
		return MAP_FAILED;
	}
	return mmap(NULL, PAGES_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void *map_locked(void)
{
	void *bytes =
		mmap(NULL, PAGES_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (bytes == MAP_FAILED) {
		return bytes;
	}
	if (mlock(bytes, PAGES_BYTES) != 0 || madvise(bytes, PAGES_BYTES, MADV_DONTDUMP) != 0) {
		munmap(bytes, PAGES_BYTES);
		return MAP_FAILED;
	}
	return bytes;
}

enum phial_status phial_pages_make(struct phial_pages *ret_pages, struct phial_error *err)
{
	bool is_kernel_hidden = true;
	void *bytes = map_hidden();

	if (bytes == MAP_FAILED) {
		is_kernel_hidden = false;
		bytes = map_locked();
	}
	if (bytes == MAP_FAILED) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "lock secret pages in memory");
	}
	ret_pages->bytes = bytes;
	ret_pages->length = PAGES_BYTES;
	ret_pages->is_kernel_hidden = is_kernel_hidden;
	return PHIAL_OK;
}
