/* SPDX-License-Identifier: ISC */
/*
 * The kernel work of giving a container its secrets, and nothing else: the mount with its two
 * clones, the files, the container's namespace, the attachment. The benchmarks' base line for
 * phial-hook. It asks nobody, checks nothing and holds no secret.
 *
 *	bench_bare PID ROOTFS COUNT BYTES	attaches at ROOTFS/run/secrets
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/parse.h"
#include "mount/sys.h"

#define BYTES_MAX	(64 * 1024)
#define DIRECTORY_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef MS_PRIVATE
#define MS_PRIVATE (1 << 18)
#endif

static int check(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		_exit(1);
	}
	return result;
}

static uint64_t number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	check(*end == '\0' && end != text ? 0 : -1, text);
	return value;
}

/* One superblock, attached in a namespace of our own, and two clones of it. */
static void make_mount(int *ret_rw_fd, int *ret_ro_fd)
{
	const struct mount_attr private = { .propagation = MS_PRIVATE };
	const struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	const unsigned int clone_flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
	int fs_fd = check(sys_fsopen("tmpfs", FSOPEN_CLOEXEC), "fsopen");

	/* Older kernels have no noswap; ramfs would cost about the same. */
	(void)sys_fsconfig(fs_fd, FSCONFIG_SET_FLAG, "noswap", NULL);
	check(sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, "size", "16777216"), "size");
	check(sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, "nr_inodes", "1024"), "nr_inodes");
	(void)sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, "huge", "never");
	check(sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, "mode", "0755"), "mode");
	check(sys_fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL), "create");
	int original_fd =
		check(sys_fsmount(fs_fd, FSMOUNT_CLOEXEC,
				  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC),
		      "fsmount");

	check(unshare(CLONE_NEWNS), "unshare");
	check(sys_mount_setattr(AT_FDCWD, "/", 0, &private), "private");
	check(sys_move_mount(original_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH), "move");
	*ret_rw_fd = check(sys_open_tree(original_fd, "", clone_flags), "clone");
	*ret_ro_fd = check(sys_open_tree(original_fd, "", clone_flags), "clone");
	check(sys_mount_setattr(*ret_ro_fd, "", AT_EMPTY_PATH, &read_only), "read-only");
}

static void make_file(int mount_fd, int dir_fd, uint64_t i, size_t length)
{
	static uint8_t value[BYTES_MAX];
	char name[32];
	char target[48];

	(void)snprintf(name, sizeof(name), "s%03u", (unsigned int)i);
	(void)snprintf(target, sizeof(target), "..data/%s", name);
	int fd = check(openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), name);

	check(fchmod(fd, 0400), "fchmod");
	check(fchown(fd, 1000, 1000), "fchown");
	check(write(fd, value, length) == (ssize_t)length ? 0 : -1, "write");
	close(fd);
	check(symlinkat(target, mount_fd, name), "symlink");
}

static void attach(const char *pid, const char *rootfs, int mount_fd)
{
	static const char *const parts[] = { "run", "secrets" };
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%s/ns/mnt", pid);
	int namespace_fd = check(open(path, O_RDONLY | O_CLOEXEC), path);

	check(setns(namespace_fd, CLONE_NEWNS), "setns");
	int fd = check(open(rootfs, DIRECTORY_FLAGS), rootfs);

	for (size_t i = 0; i < 2; i++) {
		fd = check(sys_openat2(fd, parts[i], DIRECTORY_FLAGS, 0,
				       RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS),
			   parts[i]);
	}
	check(sys_move_mount(mount_fd, "", fd, "",
			     MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH),
	      "attach");
}

int main(int argc, char **argv)
{
	int rw_fd;
	int ro_fd;

	check(argc == 5 ? 0 : -1, "usage: bench_bare PID ROOTFS COUNT BYTES");
	uint64_t count = number(argv[3]);
	size_t length = (size_t)number(argv[4]);

	check(length <= BYTES_MAX ? 0 : -1, "BYTES");
	make_mount(&rw_fd, &ro_fd);
	check(mkdirat(rw_fd, "..1", 0755), "mkdir");
	int dir_fd = check(openat(rw_fd, "..1", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "..1");

	for (uint64_t i = 0; i < count; i++) {
		make_file(rw_fd, dir_fd, i, length);
	}
	check(symlinkat("..1", rw_fd, "..data"), "symlink");
	attach(argv[1], argv[2], ro_fd);
	return 0;
}
