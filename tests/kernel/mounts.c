/* SPDX-License-Identifier: ISC */
/*
 * What the secrets mount relies on, shown with bare system calls in a mount namespace of this
 * program's own.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "mount/sys.h"
#include "tap.h"

#define CLONE_FLAGS (OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)
#define INSIDE	    (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
#define PRIVATE	    (1 << 18) /* MS_PRIVATE */

static char work[] = "/tmp/phial-kernel.XXXXXX";

static int new_mount(const char *type, const char *option, const char *value)
{
	int fs = sys_fsopen(type, FSOPEN_CLOEXEC);

	if (option &&
	    sys_fsconfig(fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, option, value) != 0) {
		(void)close(fs);
		return -1;
	}
	int fd = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL) != 0
			 ? -1
			 : sys_fsmount(fs, FSMOUNT_CLOEXEC, 0);

	(void)close(fs);
	return fd;
}

static bool is_listed(const char *what)
{
	static char table[1 << 20];
	size_t length = 0;
	ssize_t got;
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

	while ((got = read(fd, table + length, sizeof(table) - 1 - length)) > 0) {
		length += (size_t)got;
	}
	(void)close(fd);
	table[length] = '\0';
	return strstr(table, what) != NULL;
}

static bool is_at_least(unsigned int major, unsigned int minor)
{
	struct utsname name;
	unsigned int a = 0;
	unsigned int b = 0;

	return uname(&name) == 0 && sscanf(name.release, "%u.%u", &a, &b) == 2 &&
	       (a > major || (a == major && b >= minor));
}

static void detached(void)
{
	int fd = new_mount("tmpfs", "source", "phial-detached-test");
	int file = openat(fd, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat root;
	struct stat above;

	tap(file >= 0 && write(file, "x", 1) == 1, "a a detached tmpfs can be filled");
	tap(!is_listed("phial-detached-test"), "a it is in no mount table");
	tap(fstat(fd, &root) == 0 && fstatat(fd, "..", &above, 0) == 0 &&
		    root.st_ino == above.st_ino && root.st_dev == above.st_dev,
	    "a .. does not leave it");
	int reopened = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)close(fd);
	tap(pread(file, &(char){ 0 }, 1, 0) == 1, "g1 it lives as long as a file of it is open");
	tap(sys_open_tree(reopened, "", CLONE_FLAGS) < 0 && errno == EINVAL,
	    "r9 a reopened directory of it cannot be cloned");
	(void)close(reopened);
	(void)close(file);
}

/* The way of phial_mount_create(), step by step. */
static void two_clones(void)
{
	const struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	int original = new_mount("tmpfs", "mode", "0755");
	struct stat root;
	struct stat above;

	tap(sys_move_mount(original, "", AT_FDCWD, work, MOVE_MOUNT_F_EMPTY_PATH) == 0,
	    "r12 attach in a namespace of one's own");
	int rw = sys_open_tree(original, "", CLONE_FLAGS);
	int ro = sys_open_tree(original, "", CLONE_FLAGS);

	tap(rw >= 0 && ro >= 0, "r12 two clones of what is attached");
	tap(sys_mount_setattr(ro, "", AT_EMPTY_PATH, &read_only) == 0, "c1 one made read-only");
	int file = openat(rw, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	tap(file >= 0 && faccessat(ro, "f", F_OK, 0) == 0, "c2 writing through the other");
	tap(openat(ro, "g", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 && errno == EROFS,
	    "c1 the flag is the mount's, not the file system's");
	tap(fstat(ro, &root) == 0 && fstatat(ro, "..", &above, 0) == 0 &&
		    root.st_ino == above.st_ino && root.st_dev == above.st_dev,
	    "r12 .. of a clone stays inside");
	bool leaves = fstatat(original, "..", &above, 0) == 0 && root.st_dev != above.st_dev;

	tap(leaves, "r12 .. of the original does not: it is never given out");
	(void)close(file);
	(void)close(rw);
	(void)close(ro);
	(void)close(original);
	(void)syscall(SYS_umount2, work, 2 /* MNT_DETACH */);
}

static void swap(void)
{
	int noswap = new_mount("tmpfs", "noswap", NULL);

	if (is_at_least(6, 4)) {
		tap(noswap >= 0, "gate tmpfs has noswap from 6.4");
	} else {
		tap(noswap < 0 && errno == EINVAL, "F-09 before 6.4 noswap is EINVAL");
	}
	int ramfs = new_mount("ramfs", "size", "4096");
	int file = openat(ramfs, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	static const char block[16384];

	tap(ramfs >= 0 && write(file, block, sizeof(block)) == (ssize_t)sizeof(block),
	    "r11 ramfs takes size= and ignores it");
	(void)close(file);
	(void)close(ramfs);
	(void)close(noswap);
}

static void limits(void)
{
	int fd = new_mount("tmpfs", "size", "65536");
	int file = openat(fd, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	static const char block[65537];
	ssize_t wrote = write(file, block, sizeof(block));

	tap(wrote <= 65536 && write(file, block, sizeof(block)) < 0 && errno == ENOSPC,
	    "h6 a full tmpfs says ENOSPC");
	(void)close(file);
	(void)close(fd);
}

static void overwriting(void)
{
	int fd = new_mount("tmpfs", "mode", "0755");
	int file = openat(fd, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	bool is_written = write(file, "canary", 6) == 6;
	const char *mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);

	is_written &= mapped != MAP_FAILED && memcmp(mapped, "canary", 6) == 0;
	is_written &= pwrite(file, "\0\0\0\0\0\0", 6, 0) == 6 && unlinkat(fd, "f", 0) == 0;
	tap(is_written && memcmp(mapped, "\0\0\0\0\0\0", 6) == 0,
	    "r18 overwriting in place shows zeros in mappings, after unlink too");
	(void)close(file);
	(void)close(fd);
}

static int foreign_fd;

static int without_capabilities(void)
{
	if (setresgid(4242, 4242, 4242) != 0 || setresuid(4242, 4242, 4242) != 0) {
		return 1;
	}
	bool opens = openat(foreign_fd, "f", O_RDONLY | O_CLOEXEC) >= 0;
	bool chmods = fchmodat(foreign_fd, "f", 0666, 0) == 0;
	bool unlinks = unlinkat(foreign_fd, "f", 0) == 0;

	return opens || chmods || !unlinks;
}

static void foreign_files(void)
{
	foreign_fd = new_mount("tmpfs", "uid", "4242");
	int file = openat(foreign_fd, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0400);
	bool is_given = fchown(file, 1000, 1000) == 0;

	(void)close(file);
	tap(is_given && tap_in_child(without_capabilities) == 0,
	    "r4 without capabilities a file of another uid can only be unlinked");
	(void)close(foreign_fd);
}

static void store_clone(void)
{
	const struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	int fd = sys_open_tree(AT_FDCWD, work, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	char path[64];
	struct stat root;
	struct stat above;

	(void)snprintf(path, sizeof(path), "%s/new", work);
	int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	tap(fd >= 0 && sys_mount_setattr(fd, "", AT_EMPTY_PATH, &read_only) == 0,
	    "r14 a detached read-only clone of a directory");
	tap(fstat(fd, &root) == 0 && fstatat(fd, "../../etc", &above, 0) < 0 && errno == ENOENT &&
		    fstatat(fd, "..", &above, 0) == 0 && root.st_ino == above.st_ino,
	    "r14 .. stays inside");
	tap(faccessat(fd, "new", F_OK, 0) == 0, "r14 files made later are seen");
	(void)close(file);
	(void)unlink(path);
	(void)close(fd);
}

/* e2, e3: the target after it was opened. */
static void moved_targets(void)
{
	char there[64];
	char moved[64];

	(void)snprintf(there, sizeof(there), "%s/t", work);
	(void)snprintf(moved, sizeof(moved), "%s/m", work);
	int fd = new_mount("tmpfs", "mode", "0755");
	bool is_ready = mkdir(there, 0755) == 0;
	int target = open(there, O_PATH | O_DIRECTORY | O_CLOEXEC);

	is_ready &= rename(there, moved) == 0 && symlink("/", there) == 0;
	is_ready &= sys_move_mount(fd, "", target, "",
				   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0;
	tap(is_ready && is_listed(moved), "e2 attaching by descriptor lands where it was opened");
	(void)syscall(SYS_umount2, moved, 2);
	(void)unlink(there);
	(void)close(fd);
	fd = new_mount("tmpfs", "mode", "0755");
	bool is_removed = rmdir(moved) == 0;

	tap(is_removed &&
		    sys_move_mount(fd, "", target, "",
				   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 &&
		    errno == ENOENT,
	    "e3 attaching to a removed directory is ENOENT");
	(void)close(target);
	(void)close(fd);
}

static void resolving(void)
{
	static const struct {
		const char *to;
		int error;
	} links[] = {
		{ "/etc", ELOOP }, { "..", ELOOP }, { "/proc/self/root", ELOOP }, { "l", ELOOP }
	};
	int fd = open(work, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool all = true;

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		all &= symlinkat(links[i].to, fd, "l") == 0;
		all &= sys_openat2(fd, "l", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, INSIDE) < 0 &&
		       errno == links[i].error;
		all &= unlinkat(fd, "l", 0) == 0;
	}
	tap(all, "e openat2 follows no link that a hostile root may hold");
	tap(sys_openat2(fd, "..", O_PATH | O_CLOEXEC, 0, INSIDE) < 0 && errno == EXDEV,
	    "e nor .. out of it");
	(void)close(fd);
}

int main(void)
{
	const struct mount_attr private = { .propagation = PRIVATE };

	if (geteuid() != 0) {
		return tap_skip_all("needs root");
	}
	if (!mkdtemp(work) || unshare(CLONE_NEWNS) != 0) {
		printf("Bail out! %s\n", strerror(errno));
		return 1;
	}
	tap(sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &private) == 0,
	    "gate mount_setattr (5.12)");
	detached();
	two_clones();
	swap();
	limits();
	overwriting();
	foreign_files();
	store_clone();
	moved_targets();
	resolving();
	(void)rmdir(work);
	return tap_end();
}
