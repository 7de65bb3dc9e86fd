/* SPDX-License-Identifier: ISC */
/*
 * The secrets mount on the real kernel: flags, limits, invisibility, the fall-backs of older
 * kernels (F-09) and every call failing once (F-05), by a wrapped syscall().
 */
/* link: -Wl,--wrap=syscall */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "mount/mount.h"

#define SKIP_UNLESS_ROOT()      \
	do {                    \
		if (geteuid())  \
			skip(); \
	} while (0)

/* Which of the wrapped calls is to fail, and how. */
static struct {
	const char *refused_key;  /* of fsconfig */
	const char *refused_type; /* of fsopen */
	long refused_number;	  /* any call with this number */
	int fail_at;		  /* the nth call, from 1; 0: none */
	int calls;
	int error;
} faults;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

static int is_refused(long number, const char *text, const char *key)
{
	faults.calls++;
	return (faults.fail_at != 0 && faults.calls == faults.fail_at) ||
	       (faults.refused_number != 0 && number == faults.refused_number) ||
	       (faults.refused_type && number == SYS_fsopen &&
		strcmp(text, faults.refused_type) == 0) ||
	       (faults.refused_key && number == SYS_fsconfig && key &&
		strcmp(key, faults.refused_key) == 0);
}

long __wrap_syscall(long number, ...)
{
	va_list list;
	long a[6];

	va_start(list, number);
	for (size_t i = 0; i < 6; i++) {
		a[i] = va_arg(list, long);
	}
	va_end(list);
	if (is_refused(number, (const char *)a[0], (const char *)a[2])) {
		errno = faults.error;
		return -1;
	}
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

struct fixture {
	struct phial_mount_options options;
	int rw_fd;
	int ro_fd;
	enum phial_mount_kind kind;
	struct phial_error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	memset(&faults, 0, sizeof(faults));
	if (!f) {
		return -1;
	}
	f->options = (struct phial_mount_options){ .size_bytes = 65536, .inodes = 16 };
	f->rw_fd = -1;
	f->ro_fd = -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	memset(&faults, 0, sizeof(faults));
	phial_close_fd(&f->rw_fd);
	phial_close_fd(&f->ro_fd);
	free(f);
	return 0;
}

static enum phial_status create(struct fixture *f)
{
	return phial_mount_create(&f->options, &f->rw_fd, &f->ro_fd, &f->kind, &f->err);
}

static void must_create(struct fixture *f)
{
	if (create(f) != PHIAL_OK) {
		fail_msg("%s", f->err.text);
	}
}

static int count_open_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++) {
		count += fcntl(fd, F_GETFD) >= 0;
	}
	return count;
}

static void test_clones(void **state)
{
	struct fixture *f = *state;
	struct statvfs rw;
	struct statvfs ro;
	struct stat root;

	SKIP_UNLESS_ROOT();
	must_create(f);
	assert_int_equal(fstatvfs(f->rw_fd, &rw), 0);
	assert_int_equal(fstatvfs(f->ro_fd, &ro), 0);
	assert_int_equal(rw.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC),
			 ST_NOSUID | ST_NODEV | ST_NOEXEC);
	assert_int_equal(ro.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC),
			 ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC);
	assert_int_equal(fcntl(f->rw_fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(f->ro_fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fstat(f->rw_fd, &root), 0);
	assert_int_equal(root.st_mode & 07777, 0755);
	phial_auto_fd int fd = openat(f->rw_fd, "x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(faccessat(f->ro_fd, "x", F_OK, 0), 0);
	assert_int_equal(openat(f->ro_fd, "y", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), -1);
	assert_int_equal(errno, EROFS);
}

/* r12: ".." of a clone stays inside. */
static void test_dotdot_stays_inside(void **state)
{
	struct fixture *f = *state;
	struct stat root;
	struct stat above;

	SKIP_UNLESS_ROOT();
	must_create(f);
	assert_int_equal(fstat(f->ro_fd, &root), 0);
	assert_int_equal(fstatat(f->ro_fd, "../../..", &above, 0), 0);
	assert_int_equal(root.st_dev, above.st_dev);
	assert_int_equal(root.st_ino, above.st_ino);
}

static size_t read_mount_table(pid_t pid, uint8_t **ret_text)
{
	char path[64];
	size_t length = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
	phial_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_int_equal(phial_read_all(fd, 1 << 24, ret_text, &length, NULL), PHIAL_OK);
	return length;
}

/* G2: the table of the parent process, which stays on the host, does not change. */
static void test_host_mount_table_is_unchanged(void **state)
{
	struct fixture *f = *state;
	phial_auto_free uint8_t *before = NULL;
	phial_auto_free uint8_t *after = NULL;

	SKIP_UNLESS_ROOT();
	size_t length = read_mount_table(getppid(), &before);

	must_create(f);
	assert_int_equal(read_mount_table(getppid(), &after), length);
	assert_memory_equal(before, after, length);
}

/* h6, F-05 */
static void test_h6_limits(void **state)
{
	struct fixture *f = *state;
	static const char block[4096];
	ssize_t wrote = 0;
	size_t total = 0;

	SKIP_UNLESS_ROOT();
	must_create(f);
	if (f->kind == PHIAL_MOUNT_RAMFS) {
		skip();
	}
	int fd = openat(f->rw_fd, "x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	while (total <= f->options.size_bytes && (wrote = write(fd, block, sizeof(block))) > 0) {
		total += (size_t)wrote;
	}
	assert_int_equal(wrote, -1);
	assert_int_equal(errno, ENOSPC);
	assert_true(total <= f->options.size_bytes);
	phial_close_fd(&fd);
	for (unsigned int i = 0; i < f->options.inodes; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "f%u", i);
		fd = openat(f->rw_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0) {
			break;
		}
		phial_close_fd(&fd);
	}
	assert_int_equal(fd, -1);
	assert_int_equal(errno, ENOSPC);
}

static void test_f09_kinds(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *name;
		const char *refused_key;
		const char *refused_type;
		bool needs_noswap; /* on an older kernel the first try ends before */
		enum phial_status status;
		enum phial_mount_kind kind;
	} cases[] = {
		{ "no noswap", "noswap", NULL, false, PHIAL_OK, PHIAL_MOUNT_RAMFS },
		{ "no ramfs either", "noswap", "ramfs", false, PHIAL_UNSUPPORTED, 0 },
		{ "no limits", "size", NULL, true, PHIAL_SYSTEM, 0 },
		{ "no tmpfs", NULL, "tmpfs", true, PHIAL_SYSTEM, 0 },
	};

	SKIP_UNLESS_ROOT();
	must_create(f);
	bool has_noswap = f->kind == PHIAL_MOUNT_TMPFS_NOSWAP;

	phial_close_fd(&f->rw_fd);
	phial_close_fd(&f->ro_fd);
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		if (cases[i].needs_noswap && !has_noswap) {
			continue;
		}
		faults.error = EINVAL;
		faults.refused_key = cases[i].refused_key;
		faults.refused_type = cases[i].refused_type;
		f->kind = 0;
		enum phial_status status = create(f);

		if (status != cases[i].status || f->kind != cases[i].kind) {
			fail_msg("%s: %s, %s", cases[i].name, phial_status_text(status),
				 phial_mount_kind_text(f->kind));
		}
		phial_close_fd(&f->rw_fd);
		phial_close_fd(&f->ro_fd);
	}
}

/* r11: ramfs as the container will see it. */
static void test_ramfs_root_and_flags(void **state)
{
	struct fixture *f = *state;
	struct stat root;
	struct statvfs ro;

	SKIP_UNLESS_ROOT();
	faults.refused_key = "noswap";
	faults.error = EINVAL;
	must_create(f);
	assert_int_equal(f->kind, PHIAL_MOUNT_RAMFS);
	assert_int_equal(fstat(f->ro_fd, &root), 0);
	assert_int_equal(root.st_mode & 07777, 0755);
	assert_int_equal(fstatvfs(f->ro_fd, &ro), 0);
	assert_true(ro.f_flag & ST_RDONLY);
}

static void test_f05_every_call_fails_once(void **state)
{
	struct fixture *f = *state;

	SKIP_UNLESS_ROOT();
	must_create(f);
	int total = faults.calls;

	phial_close_fd(&f->rw_fd);
	phial_close_fd(&f->ro_fd);
	int before = count_open_fds();

	assert_true(total > 8);
	for (int at = 1; at <= total; at++) {
		faults.calls = 0;
		faults.fail_at = at;
		faults.error = EIO;
		enum phial_status status = create(f);

		if (status == PHIAL_OK) { /* the one option that may be missing */
			phial_close_fd(&f->rw_fd);
			phial_close_fd(&f->ro_fd);
			assert_int_equal(at, 5);
		} else {
			assert_int_equal(status, PHIAL_SYSTEM);
			assert_int_equal(f->rw_fd, -1);
			assert_int_equal(f->ro_fd, -1);
		}
		assert_int_equal(count_open_fds(), before);
	}
}

static void test_label_that_the_kernel_does_not_know(void **state)
{
	struct fixture *f = *state;

	SKIP_UNLESS_ROOT();
	/* ramfs ignores what it does not know; without SELinux there is nothing to enforce. */
	if (access("/sys/fs/selinux", F_OK) == 0 || phial_mount_best_kind() == PHIAL_MOUNT_RAMFS) {
		skip();
	}
	f->options.mount_label = "system_u:object_r:container_file_t:s0";
	assert_int_equal(create(f), PHIAL_SYSTEM);
	assert_non_null(strstr(f->err.text, "SELinux"));
}

static void test_clone_directory(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/phial-clone.XXXXXX";
	char file[64];
	phial_auto_fd int clone_fd = -1;
	struct stat inside;
	struct stat above;

	SKIP_UNLESS_ROOT();
	assert_non_null(mkdtemp(path));
	(void)snprintf(file, sizeof(file), "%s/new", path);
	enum phial_status status = phial_mount_clone_directory(path, true, &clone_fd, &f->err);
	int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	enum phial_status not_directory =
		phial_mount_clone_directory(file, true, &f->ro_fd, &f->err);
	int sees_new = clone_fd >= 0 && faccessat(clone_fd, "new", F_OK, 0) == 0;
	int can_write = clone_fd >= 0 && openat(clone_fd, "bad", O_WRONLY | O_CREAT, 0600) >= 0;
	int write_errno = errno;

	(void)fstat(clone_fd, &inside);
	(void)fstatat(clone_fd, "..", &above, 0);
	phial_close_fd(&fd);
	(void)unlink(file);
	(void)rmdir(path);
	assert_int_equal(status, PHIAL_OK);
	assert_true(sees_new);
	assert_false(can_write);
	assert_int_equal(write_errno, EROFS);
	assert_int_equal(inside.st_ino, above.st_ino);
	assert_int_equal(not_directory, PHIAL_SYSTEM);
	assert_int_equal(phial_mount_clone_directory(path, true, &f->ro_fd, &f->err),
			 PHIAL_NOT_FOUND);
}

static void test_kind_texts(void **state)
{
	(void)state;
	assert_string_equal(phial_mount_kind_text(PHIAL_MOUNT_TMPFS_NOSWAP), "tmpfs (noswap)");
	assert_string_equal(phial_mount_kind_text(PHIAL_MOUNT_RAMFS), "ramfs");
	assert_string_equal(phial_mount_kind_text((enum phial_mount_kind)9), "unknown");
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_clones),
		CASE(test_dotdot_stays_inside),
		CASE(test_host_mount_table_is_unchanged),
		CASE(test_h6_limits),
		CASE(test_f09_kinds),
		CASE(test_ramfs_root_and_flags),
		CASE(test_f05_every_call_fails_once),
		CASE(test_label_that_the_kernel_does_not_know),
		CASE(test_clone_directory),
		CASE(test_kind_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
