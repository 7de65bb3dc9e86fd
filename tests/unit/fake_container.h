/* SPDX-License-Identifier: ISC */
/*
 * A stand-in for a container, for tests of the mount room: a child with a mount namespace and a
 * root of its own, and what the hook does to it. The program that includes this wraps setns().
 */
#ifndef PHIAL_TESTS_FAKE_CONTAINER_H
#define PHIAL_TESTS_FAKE_CONTAINER_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "mount/generation.h"
#include "mount/mount.h"

static int setns_does_nothing;

int __real_setns(int fd, int kind);
int __wrap_setns(int fd, int kind);

int __wrap_setns(int fd, int kind)
{
	return setns_does_nothing ? 0 : __real_setns(fd, kind);
}

#define SKIP_UNLESS_ROOT()      \
	do {                    \
		if (geteuid())  \
			skip(); \
	} while (0)

struct fixture {
	char top[64];	 /* temporary directory on the host */
	char root[80];	 /* the container's root in it */
	char victim[80]; /* a host directory that must stay empty */
	pid_t container;
	struct phial_error err;
};

/* How the stand-in prepares its namespace. */
enum shape {
	PLAIN = 0,
	PIVOTED = 1,
	SHARED_VOLUME = 2,  /* a shared mount on /run */
	PRIVATE_VOLUME = 4, /* a private tmpfs on /run, without "secrets" */
	MOUNT_ON_TARGET = 8,
	GRANT_ON_TARGET = 16, /* victim bound on /run/secrets, read-only */
	ROOT_IS_NO_MOUNT = 32,
	SLAVE_VOLUME = 64,
	HOST_VOLUME = 128,     /* victim bound on /run */
	READ_ONLY_ROOT = 256,  /* the mount, not the file system */
	SPENT_ON_TARGET = 512, /* an empty read-only tmpfs */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	setns_does_nothing = 0;
	if (!f) {
		return -1;
	}
	(void)snprintf(f->top, sizeof(f->top), "/tmp/phial-attach.XXXXXX");
	if (!mkdtemp(f->top)) {
		return -1;
	}
	(void)snprintf(f->root, sizeof(f->root), "%s/root", f->top);
	(void)snprintf(f->victim, sizeof(f->victim), "%s/victim", f->top);
	*state = f;
	return mkdir(f->root, 0755) != 0 || mkdir(f->victim, 0755) != 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *ftw)
{
	(void)status;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	setns_does_nothing = 0;
	if (f->container > 0) {
		(void)kill(f->container, SIGKILL);
		(void)waitpid(f->container, NULL, 0);
	}
	(void)nftw(f->top, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	free(f);
	return 0;
}

/* A path below the container's root, as the host sees it before anything is mounted. */
static const char *in_root(const struct fixture *f, const char *path)
{
	static char whole[256];

	(void)snprintf(whole, sizeof(whole), "%s%s", f->root, path);
	return whole;
}

static int mount_shapes(const struct fixture *f, unsigned int shape)
{
	const unsigned long bind = MS_BIND | MS_REC;
	int failed = mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);

	if (!(shape & ROOT_IS_NO_MOUNT)) {
		failed |= mount(f->root, f->root, NULL, bind, NULL);
		failed |= mount(NULL, f->root, NULL, MS_PRIVATE, NULL);
	}
	if (shape & (SHARED_VOLUME | PRIVATE_VOLUME | SLAVE_VOLUME)) {
		failed |= mount("v", in_root(f, "/run"), "tmpfs", 0, NULL);
		failed |= mount(NULL, in_root(f, "/run"), NULL,
				shape & PRIVATE_VOLUME ? MS_PRIVATE : MS_SHARED, NULL);
	}
	if (shape & SHARED_VOLUME) {
		failed |= mkdir(in_root(f, "/run/secrets"), 0755);
	}
	if (shape & SLAVE_VOLUME) {
		failed |= mkdir(in_root(f, "/run/secrets"), 0755);
		failed |= unshare(CLONE_NEWNS); /* the old namespace's copy stays the master */
		failed |= mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
	}
	if (shape & MOUNT_ON_TARGET) {
		failed |= mount("t", in_root(f, "/run/secrets"), "tmpfs", 0, NULL);
		failed |= mount(NULL, in_root(f, "/run/secrets"), NULL, MS_PRIVATE, NULL);
	}
	if (shape & GRANT_ON_TARGET) {
		failed |= mount(f->victim, in_root(f, "/run/secrets"), NULL, bind, NULL);
		failed |= mount(NULL, in_root(f, "/run/secrets"), NULL, MS_PRIVATE, NULL);
		failed |= mount(NULL, in_root(f, "/run/secrets"), NULL,
				MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
	}
	if (shape & HOST_VOLUME) {
		failed |= mount(f->victim, in_root(f, "/run"), NULL, MS_BIND, NULL);
		failed |= mount(NULL, in_root(f, "/run"), NULL, MS_PRIVATE, NULL);
	}
	if (shape & SPENT_ON_TARGET) {
		failed |= mount("t", in_root(f, "/run/secrets"), "tmpfs", MS_RDONLY, NULL);
		failed |= mount(NULL, in_root(f, "/run/secrets"), NULL, MS_PRIVATE, NULL);
	}
	if (shape & READ_ONLY_ROOT) {
		failed |= mount(NULL, f->root, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
	}
	if (shape & PIVOTED) {
		failed |= chdir(f->root);
		failed |= (int)syscall(SYS_pivot_root, ".", ".");
		failed |= umount2(".", MNT_DETACH);
		failed |= chdir("/");
	}
	return failed;
}

/* Start the stand-in, and wait until its namespace is ready. */
static void start_container(struct fixture *f, unsigned int shape)
{
	int ready[2];
	char answer = 1;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	f->container = fork();
	assert_true(f->container >= 0);
	if (f->container == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		char failed = unshare(CLONE_NEWNS) != 0 || mount_shapes(f, shape) != 0;

		if (write(ready[1], &failed, 1) != 1) {
			_exit(1);
		}
		for (;;) {
			pause();
		}
	}
	phial_close_fd(&ready[1]);
	ssize_t got = read(ready[0], &answer, 1);

	phial_close_fd(&ready[0]);
	assert_int_equal(got, 1);
	assert_int_equal(answer, 0);
}

struct attempt {
	pid_t pid;
	const char *rootfs;
	const char *path;
	bool may_over;
	const char *grant; /* directory whose device and inode are the grant's */
};

/* What the hook does, in this process. */
static enum phial_status attach(const struct attempt *attempt, struct phial_error *err)
{
	const struct phial_mount_options options = { .size_bytes = 65536, .inodes = 16 };
	struct phial_attach_options where = { .rootfs = attempt->rootfs,
					      .path = attempt->path,
					      .may_over = attempt->may_over };
	const char *const names[] = { "s" };
	phial_auto_target struct phial_target target = PHIAL_TARGET_NONE;
	phial_auto_fd int rw_fd = -1;
	phial_auto_fd int ro_fd = -1;
	phial_auto_fd int dir_fd = -1;
	phial_auto_fd int file_fd = -1;
	enum phial_mount_kind kind;
	struct stat grant;

	if (attempt->grant && stat(attempt->grant, &grant) == 0) {
		where.grant_device = grant.st_dev;
		where.grant_inode = grant.st_ino;
	}
	enum phial_status status = phial_target_open(attempt->pid, &target, err);

	if (status == PHIAL_OK) {
		status = phial_mount_create(&options, &rw_fd, &ro_fd, &kind, err);
	}
	if (status == PHIAL_OK) {
		status = phial_generation_begin(rw_fd, 1, &dir_fd, err);
	}
	if (status == PHIAL_OK) {
		status = phial_generation_add(dir_fd, "s", 0400, 0, 0, &file_fd, err);
	}
	if (status == PHIAL_OK) {
		status = phial_write_all(file_fd, "canary", 6, err);
	}
	if (status == PHIAL_OK) {
		status = phial_generation_commit(rw_fd, 1, names, 1, err);
	}
	if (status == PHIAL_OK) {
		status = phial_target_attach(&target, ro_fd, &where, err);
	}
	return status;
}

/* The same in a child, as attaching leaves this process in the container's namespace. */
static enum phial_status attach_in_child(struct fixture *f, const struct attempt *attempt)
{
	int result[2];

	memset(&f->err, 0, sizeof(f->err));
	assert_int_equal(pipe2(result, O_CLOEXEC), 0);
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		struct phial_error err = { 0 };

		err.status = attach(attempt, &err);
		_exit(write(result[1], &err, sizeof(err)) != (ssize_t)sizeof(err));
	}
	phial_close_fd(&result[1]);
	ssize_t got = read(result[0], &f->err, sizeof(f->err));

	phial_close_fd(&result[0]);
	(void)waitpid(child, NULL, 0);
	assert_int_equal(got, sizeof(f->err));
	return f->err.status;
}

static enum phial_status attach_to(struct fixture *f, const char *path)
{
	const struct attempt attempt = { f->container, f->root, path, false, NULL };

	return attach_in_child(f, &attempt);
}

/* Read a file in the container, following its own mounts but not its links. */
static int open_in_container(const struct fixture *f, unsigned int shape, const char *path)
{
	char whole[256];

	(void)snprintf(whole, sizeof(whole), "/proc/%d/root%s%s", (int)f->container,
		       shape & PIVOTED ? "" : f->root, path);
	return open(whole, O_RDONLY | O_CLOEXEC);
}

static void assert_attached(const struct fixture *f, unsigned int shape, const char *path)
{
	char file[128];
	char value[8] = { 0 };
	struct statvfs flags;

	(void)snprintf(file, sizeof(file), "%s/s", path);
	phial_auto_fd int fd = open_in_container(f, shape, file);

	if (fd < 0) {
		fail_msg("%s: %s (%s)", file, strerror(errno), f->err.text);
	}
	assert_int_equal(read(fd, value, sizeof(value)), 6);
	assert_string_equal(value, "canary");
	assert_int_equal(fstatvfs(fd, &flags), 0);
	assert_int_equal(flags.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC),
			 ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC);
}

/* Nothing on the host: no mount of ours in its table, the victim as it was. */
static void assert_host_is_clean(const struct fixture *f)
{
	phial_auto_free uint8_t *table = NULL;
	size_t length;
	phial_auto_fd int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

	assert_int_equal(phial_read_all(fd, 1 << 24, &table, &length, NULL), PHIAL_OK);
	assert_null(strstr((const char *)table, f->top));
	assert_int_equal(rmdir(f->victim), 0);
	assert_int_equal(mkdir(f->victim, 0755), 0);
}

static void make_directories(const struct fixture *f)
{
	assert_int_equal(mkdir(in_root(f, "/run"), 0755), 0);
	assert_int_equal(mkdir(in_root(f, "/run/secrets"), 0755), 0);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

#endif
