/* SPDX-License-Identifier: ISC */
/*
 * Attaching into a stand-in for a container: a child with a mount namespace and a root of its
 * own. Hostile roots (I-01 to I-05, I-07, X-01), sharing (h1), wrong processes (H-01), roots
 * that are none (H-04), and a setns() that does not do its work (finding 7).
 */
/* link: -Wl,--wrap=setns */
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

#define SKIP_UNLESS_ROOT()     \
	do {                   \
		if (geteuid()) \
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
	SHARED_VOLUME = 2, /* a shared mount on /run */
	PRIVATE_VOLUME = 4, /* a private tmpfs on /run, without "secrets" */
	MOUNT_ON_TARGET = 8,
	GRANT_ON_TARGET = 16, /* victim bound on /run/secrets, read-only */
	ROOT_IS_NO_MOUNT = 32,
	SLAVE_VOLUME = 64,
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

static void test_attach_before_and_after_pivot(void **state)
{
	struct fixture *f = *state;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	for (unsigned int shape = PLAIN; shape <= PIVOTED; shape++) {
		start_container(f, shape);
		if (attach_to(f, "/run/secrets") != PHIAL_OK) {
			fail_msg("%s", f->err.text);
		}
		assert_attached(f, shape, "/run/secrets");
		assert_host_is_clean(f);
		(void)kill(f->container, SIGKILL);
		(void)waitpid(f->container, NULL, 0);
		f->container = 0;
	}
}

/* Missing directories are made, one by one, on the root mount. */
static void test_missing_directories_on_the_root(void **state)
{
	struct fixture *f = *state;
	struct stat made;

	SKIP_UNLESS_ROOT();
	start_container(f, PLAIN);
	if (attach_to(f, "/run/secrets/deep") != PHIAL_OK) {
		fail_msg("%s", f->err.text);
	}
	assert_attached(f, PLAIN, "/run/secrets/deep");
	assert_int_equal(stat(in_root(f, "/run/secrets"), &made), 0);
	assert_int_equal(made.st_mode, S_IFDIR | 0755);
}

static void test_hostile_images(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *name;
		const char *link; /* what /run or /run/secrets points to; "%s": the victim */
		bool is_middle;
		const char *text;
	} cases[] = {
		{ "I-01 absolute link", "%s", false, "symbolic link" },
		{ "I-01 relative link", "../../victim", false, "symbolic link" },
		{ "I-02 middle to host", "%s", true, "symbolic link" },
		{ "I-02 middle upwards", "../../..", true, "symbolic link" },
		{ "I-03 loop", "secrets", false, "symbolic link" },
		{ "I-04 magic link", "/proc/self/root/tmp", false, "symbolic link" },
		{ "I-04 magic link of init", "/proc/1/root", true, "symbolic link" },
	};

	SKIP_UNLESS_ROOT();
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		char to[128];
		const char *where = cases[i].is_middle ? "/run" : "/run/secrets";

		(void)snprintf(to, sizeof(to), "%s", cases[i].link);
		if (strcmp(cases[i].link, "%s") == 0) {
			(void)snprintf(to, sizeof(to), "%s", f->victim);
		}
		if (!cases[i].is_middle) {
			(void)mkdir(in_root(f, "/run"), 0755);
		}
		assert_int_equal(symlink(to, in_root(f, where)), 0);
		start_container(f, PLAIN);
		enum phial_status status = attach_to(f, "/run/secrets");

		(void)kill(f->container, SIGKILL);
		(void)waitpid(f->container, NULL, 0);
		f->container = 0;
		assert_int_equal(unlink(in_root(f, where)), 0);
		(void)rmdir(in_root(f, "/run"));
		if (status != PHIAL_REFUSED || !strstr(f->err.text, cases[i].text)) {
			fail_msg("%s: %s", cases[i].name, f->err.text);
		}
		assert_host_is_clean(f);
	}
}

/* I-03: no hang on a pipe, no opening of a device. */
static void test_i03_not_a_directory(void **state)
{
	struct fixture *f = *state;
	static const mode_t kinds[] = { S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR };

	SKIP_UNLESS_ROOT();
	assert_int_equal(mkdir(in_root(f, "/run"), 0755), 0);
	start_container(f, PLAIN);
	for (size_t i = 0; i < PHIAL_COUNT(kinds); i++) {
		assert_int_equal(mknod(in_root(f, "/run/secrets"), kinds[i] | 0600, 0), 0);
		assert_int_equal(attach_to(f, "/run/secrets"), PHIAL_REFUSED);
		assert_non_null(strstr(f->err.text, "is not a directory"));
		assert_int_equal(attach_to(f, "/run/secrets/below"), PHIAL_REFUSED);
		assert_int_equal(unlink(in_root(f, "/run/secrets")), 0);
	}
}

static void test_i05_missing_on_a_volume(void **state)
{
	struct fixture *f = *state;

	SKIP_UNLESS_ROOT();
	assert_int_equal(mkdir(in_root(f, "/run"), 0755), 0);
	start_container(f, PRIVATE_VOLUME);
	assert_int_equal(attach_to(f, "/run/secrets"), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "lies on a volume"));
	assert_int_equal(open_in_container(f, PLAIN, "/run/secrets"), -1);
}

static void test_i07_something_is_there(void **state)
{
	struct fixture *f = *state;
	struct attempt attempt;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	start_container(f, MOUNT_ON_TARGET);
	assert_int_equal(attach_to(f, "/run/secrets"), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "something else is mounted there"));
	attempt = (struct attempt){ f->container, f->root, "/run/secrets", false, f->victim };
	assert_int_equal(attach_in_child(f, &attempt), PHIAL_REFUSED);
	attempt.may_over = true;
	assert_int_equal(attach_in_child(f, &attempt), PHIAL_OK);
	assert_attached(f, MOUNT_ON_TARGET, "/run/secrets");
}

static void test_i07_files_are_there(void **state)
{
	struct fixture *f = *state;
	struct attempt attempt;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	assert_int_equal(mknod(in_root(f, "/run/secrets/.a"), S_IFREG | 0600, 0), 0);
	start_container(f, PLAIN);
	assert_int_equal(attach_to(f, "/run/secrets"), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "not empty"));
	attempt = (struct attempt){ f->container, f->root, "/run/secrets", true, NULL };
	assert_int_equal(attach_in_child(f, &attempt), PHIAL_OK);
	assert_attached(f, PLAIN, "/run/secrets");
}

static void test_grant_mount_may_be_covered(void **state)
{
	struct fixture *f = *state;
	struct attempt attempt;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	start_container(f, GRANT_ON_TARGET);
	assert_int_equal(attach_to(f, "/run/secrets"), PHIAL_REFUSED);
	attempt = (struct attempt){ f->container, f->root, "/run/secrets", false, f->root };
	assert_int_equal(attach_in_child(f, &attempt), PHIAL_REFUSED);
	attempt.grant = f->victim;
	if (attach_in_child(f, &attempt) != PHIAL_OK) {
		fail_msg("%s", f->err.text);
	}
	assert_attached(f, GRANT_ON_TARGET, "/run/secrets");
	assert_host_is_clean(f);
}

static void test_h1_shared_and_slave(void **state)
{
	struct fixture *f = *state;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	start_container(f, SHARED_VOLUME);
	assert_int_equal(attach_to(f, "/run/secrets"), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "shared mount"));
	struct attempt over = { f->container, f->root, "/run/secrets", true, NULL };

	assert_int_equal(attach_in_child(f, &over), PHIAL_REFUSED);
	(void)kill(f->container, SIGKILL);
	(void)waitpid(f->container, NULL, 0);
	start_container(f, SLAVE_VOLUME);
	if (attach_to(f, "/run/secrets") != PHIAL_OK) {
		fail_msg("%s", f->err.text);
	}
	assert_attached(f, SLAVE_VOLUME, "/run/secrets");
}

static void test_h04_roots(void **state)
{
	struct fixture *f = *state;
	struct attempt attempt;
	char link[96];

	SKIP_UNLESS_ROOT();
	make_directories(f);
	start_container(f, PLAIN);
	attempt = (struct attempt){ f->container, "/", "/tmp", true, NULL };
	assert_int_equal(attach_in_child(f, &attempt), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "host's own root"));
	attempt.rootfs = f->victim;
	assert_int_equal(attach_in_child(f, &attempt), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "not a mount point"));
	attempt.rootfs = "/nonexistent/phial";
	assert_int_equal(attach_in_child(f, &attempt), PHIAL_GONE);
	attempt.rootfs = "/proc/1/root";
	assert_int_equal(attach_in_child(f, &attempt), PHIAL_SYSTEM);
	/* A link of the engine's above the root is its own business. */
	(void)snprintf(link, sizeof(link), "%s/link", f->top);
	assert_int_equal(symlink(f->root, link), 0);
	attempt = (struct attempt){ f->container, link, "/run/secrets", false, NULL };
	assert_int_equal(attach_in_child(f, &attempt), PHIAL_OK);
	assert_host_is_clean(f);
}

static void test_h04_root_that_is_no_mount(void **state)
{
	struct fixture *f = *state;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	start_container(f, ROOT_IS_NO_MOUNT);
	assert_int_equal(attach_to(f, "/run/secrets"), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "not a mount point"));
}

static void test_target_paths(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = { "",	   "/",	    "run",	"run/secrets", "/run/",
					   "//run", "/run/..", "/./run", "/run//secrets", "/.." };

	SKIP_UNLESS_ROOT();
	make_directories(f);
	start_container(f, PLAIN);
	for (size_t i = 0; i < PHIAL_COUNT(bad); i++) {
		if (attach_to(f, bad[i]) != PHIAL_REFUSED) {
			fail_msg("\"%s\": %s", bad[i], f->err.text);
		}
	}
}

/* H-01, H-07: processes that are no container. */
static void test_h01_wrong_processes(void **state)
{
	struct fixture *f = *state;
	struct phial_target target = PHIAL_TARGET_NONE;
	static const pid_t none[] = { 0, 1, -1 };

	SKIP_UNLESS_ROOT();
	for (size_t i = 0; i < PHIAL_COUNT(none); i++) {
		assert_int_equal(phial_target_open(none[i], &target, &f->err), PHIAL_REFUSED);
	}
	assert_int_equal(phial_target_open(getpid(), &target, &f->err), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "on the host"));
	pid_t dead = fork();

	if (dead == 0) {
		_exit(0);
	}
	/* A zombie first, then nobody. */
	siginfo_t info;

	assert_int_equal(waitid(P_PID, (id_t)dead, &info, WEXITED | WNOWAIT), 0);
	assert_int_not_equal(phial_target_open(dead, &target, &f->err), PHIAL_OK);
	assert_int_equal(waitpid(dead, NULL, 0), dead);
	assert_int_equal(phial_target_open(dead, &target, &f->err), PHIAL_GONE);
	assert_int_equal(target.pidfd, -1);
}

static void test_target_facts(void **state)
{
	struct fixture *f = *state;
	phial_auto_target struct phial_target target = PHIAL_TARGET_NONE;
	char map[256];
	size_t length = 0;

	SKIP_UNLESS_ROOT();
	start_container(f, PIVOTED);
	assert_int_equal(phial_target_open(f->container, &target, &f->err), PHIAL_OK);
	assert_true(target.is_pivoted);
	assert_true(target.start_time > 0);
	assert_int_equal(phial_target_read_map(&target, "uid_map", map, sizeof(map), &length,
					       &f->err),
			 PHIAL_OK);
	assert_true(length > 10);
	assert_int_equal(phial_target_read_map(&target, "gid_map", map, 8, &length, &f->err),
			 PHIAL_TOO_LARGE);
	(void)kill(f->container, SIGKILL);
	(void)waitpid(f->container, NULL, 0);
	f->container = 0;
	assert_int_equal(phial_target_read_map(&target, "uid_map", map, sizeof(map), &length,
					       &f->err),
			 PHIAL_GONE);
}

/* Finding 7: a setns() that did not happen must not mount on the host. */
static void test_setns_without_effect(void **state)
{
	struct fixture *f = *state;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	start_container(f, PLAIN);
	setns_does_nothing = 1;
	assert_int_equal(attach_to(f, "/run/secrets"), PHIAL_SYSTEM);
	assert_non_null(strstr(f->err.text, "was not entered"));
	assert_host_is_clean(f);
}

/* A sibling swaps /run/secrets between a directory and a link to the host, as fast as it can. */
static pid_t start_swapper(const struct fixture *f)
{
	char directory[256];
	char link[256];

	(void)snprintf(directory, sizeof(directory), "%s", in_root(f, "/run/secrets"));
	(void)snprintf(link, sizeof(link), "%s", in_root(f, "/run/other"));
	assert_int_equal(symlink(f->victim, link), 0);
	pid_t child = fork();

	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			(void)renameat2(AT_FDCWD, directory, AT_FDCWD, link, RENAME_EXCHANGE);
		}
	}
	return child;
}

static void test_x01_race_with_swapped_link(void **state)
{
	struct fixture *f = *state;
	int attached = 0;
	int refused = 0;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	pid_t swapper = start_swapper(f);

	for (int i = 0; i < 60; i++) {
		start_container(f, PLAIN);
		enum phial_status status = attach_to(f, "/run/secrets");

		attached += status == PHIAL_OK;
		refused += status == PHIAL_REFUSED;
		(void)kill(f->container, SIGKILL);
		(void)waitpid(f->container, NULL, 0);
		f->container = 0;
	}
	(void)kill(swapper, SIGKILL);
	(void)waitpid(swapper, NULL, 0);
	/* Either the real directory, wherever it was renamed to, or a refusal; never the host. */
	assert_int_equal(attached + refused, 60);
	assert_host_is_clean(f);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_attach_before_and_after_pivot),
		CASE(test_missing_directories_on_the_root),
		CASE(test_hostile_images),
		CASE(test_i03_not_a_directory),
		CASE(test_i05_missing_on_a_volume),
		CASE(test_i07_something_is_there),
		CASE(test_i07_files_are_there),
		CASE(test_grant_mount_may_be_covered),
		CASE(test_h1_shared_and_slave),
		CASE(test_h04_roots),
		CASE(test_h04_root_that_is_no_mount),
		CASE(test_target_paths),
		CASE(test_h01_wrong_processes),
		CASE(test_target_facts),
		CASE(test_setns_without_effect),
		CASE(test_x01_race_with_swapped_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
