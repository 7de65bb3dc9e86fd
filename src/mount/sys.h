/* SPDX-License-Identifier: ISC */
/*
 * The mount calls by number: musl has no wrappers for them, and glibc's <sys/mount.h> cannot
 * stand beside <linux/mount.h>. Each is as its manual page says: -1 and errno on failure.
 */
#ifndef PHIAL_MOUNT_SYS_H
#define PHIAL_MOUNT_SYS_H

#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* From headers that cannot stand beside <linux/mount.h>. */
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef MS_PRIVATE
#define MS_PRIVATE (1 << 18)
#endif

static inline int sys_fsopen(const char *type, unsigned int flags)
{
	return (int)syscall(SYS_fsopen, type, flags);
}

static inline int sys_fsconfig(int fd, unsigned int command, const char *key, const char *value)
{
	return (int)syscall(SYS_fsconfig, fd, command, key, value, 0);
}

static inline int sys_fsmount(int fd, unsigned int flags, unsigned int attributes)
{
	return (int)syscall(SYS_fsmount, fd, flags, attributes);
}

static inline int sys_open_tree(int dir_fd, const char *path, unsigned int flags)
{
	return (int)syscall(SYS_open_tree, dir_fd, path, flags);
}

static inline int sys_move_mount(int from_fd, const char *from, int to_fd, const char *to,
				 unsigned int flags)
{
	return (int)syscall(SYS_move_mount, from_fd, from, to_fd, to, flags);
}

static inline int sys_mount_setattr(int dir_fd, const char *path, unsigned int flags,
				    const struct mount_attr *attributes)
{
	return (int)syscall(SYS_mount_setattr, dir_fd, path, flags, attributes,
			    sizeof(*attributes));
}

/* mode: for O_CREAT, else 0. */
static inline int sys_openat2(int dir_fd, const char *path, int flags, uint32_t mode,
			      uint64_t resolve)
{
	const struct open_how how = { .flags = (uint64_t)(unsigned int)flags,
				      .mode = mode,
				      .resolve = resolve };

	return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
}

#endif
