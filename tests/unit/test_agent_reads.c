/* SPDX-License-Identifier: ISC */
/*
 * Reads of a real mount's files, as a container's process makes them: told once a generation, told
 * again to a new worker, found out when inotify lost them. See KERNEL-FACTS r17: inotify(7).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/reads.h"
#include "base/cleanup.h"
#include "generation_fixture.h"
#include "mount/generation.h"

#define NUMBER 41

/* A mount, and what was told about it: "41 api.key;" for each file. */
struct scene {
	struct fixture *f;
	struct phial_reads reads;
	char told[512];
};

static int scene_setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	if (!scene || generation_setup((void **)&scene->f) != 0) {
		return -1;
	}
	scene->reads.fd = -1;
	*state = scene;
	return 0;
}

static int scene_teardown(void **state)
{
	struct scene *scene = *state;

	phial_reads_forget(&scene->reads, NUMBER);
	phial_close_fd(&scene->reads.fd);
	generation_teardown((void **)&scene->f);
	free(scene);
	return 0;
}

static void note(void *context, uint64_t number, const char *file)
{
	struct scene *scene = context;
	size_t length = strlen(scene->told);

	(void)snprintf(scene->told + length, sizeof(scene->told) - length, "%llu %s;",
		       (unsigned long long)number, file);
}

static void watch_both(struct scene *scene, uint64_t number, int rw_fd)
{
	struct fixture *f = scene->f;

	for (size_t i = 0; i < 2; i++) {
		must(f, phial_reads_watch(&scene->reads, number, rw_fd, both[i], note, scene,
					  &f->err));
	}
}

static void watch_again(struct scene *scene)
{
	scene->told[0] = '\0';
	watch_both(scene, NUMBER, scene->f->rw_fd);
}

static void follow(struct scene *scene)
{
	struct fixture *f = scene->f;

	scene->told[0] = '\0';
	must(f, phial_reads_follow(&scene->reads, NUMBER, f->rw_fd, note, scene, &f->err));
}

static void assert_told(struct scene *scene, const char *expected)
{
	scene->told[0] = '\0';
	assert_int_equal(phial_reads_drain(&scene->reads, note, scene), PHIAL_OK);
	assert_string_equal(scene->told, expected);
}

static void read_file(const struct scene *scene, const char *path)
{
	char byte;
	phial_auto_fd int fd = openat(scene->f->ro_fd, path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, &byte, 1), 1);
}

static void test_told_once(void **state)
{
	struct scene *scene = *state;

	SKIP_UNLESS_ROOT();
	add_generation(scene->f, 1, both, 2, "one");
	watch_again(scene);
	assert_string_equal(scene->told, "");
	assert_told(scene, "");
	/* A loop is heard once, and the number of a generation is no secret. */
	for (int i = 0; i < 1000; i++) {
		read_file(scene, "api.key");
		read_file(scene, ".generation");
	}
	assert_told(scene, "41 api.key;");
	read_file(scene, "api.key");
	assert_told(scene, "");
	read_file(scene, "..1/db_password");
	assert_told(scene, "41 db_password;");
}

/* The event is the close: who holds the file open or mapped has not read it yet. */
static void test_r17_close_and_mmap(void **state)
{
	struct scene *scene = *state;

	SKIP_UNLESS_ROOT();
	add_generation(scene->f, 1, both, 2, "one");
	watch_again(scene);
	phial_auto_fd int fd = openat(scene->f->ro_fd, "api.key", O_RDONLY | O_CLOEXEC);
	void *mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(mapped, MAP_FAILED);
	assert_memory_equal(mapped, "one", 3);
	phial_close_fd(&fd);
	assert_told(scene, ""); /* the mapping keeps the file open */
	assert_int_equal(munmap(mapped, 4096), 0);
	assert_told(scene, "41 api.key;");
}

/* What the filler does in the mount is no read. */
static void test_own_work_is_no_read(void **state)
{
	struct scene *scene = *state;
	struct fixture *f = scene->f;
	phial_auto_fd int dir_fd = -1;

	SKIP_UNLESS_ROOT();
	add_generation(f, 1, both, 2, "one");
	watch_again(scene);
	must(f, phial_generation_begin(f->rw_fd, 2, &dir_fd, &f->err));
	must(f, phial_generation_carry(f->rw_fd, 1, "api.key", dir_fd, &f->err));
	must(f, phial_generation_commit(f->rw_fd, 2, &both[1], 1, &f->err));
	must(f, phial_generation_wipe_old(f->rw_fd, &f->err));
	assert_told(scene, "");
	assert_false(phial_reads_holds(&scene->reads, NUMBER)); /* both files are gone */
	watch_again(scene);
	must(f, phial_generation_remove(f->rw_fd, both, 2, &f->err));
	assert_told(scene, "");
	assert_false(phial_reads_holds(&scene->reads, NUMBER));
}

static void test_next_generation_and_worker(void **state)
{
	struct scene *scene = *state;

	SKIP_UNLESS_ROOT();
	add_generation(scene->f, 1, both, 2, "one");
	watch_again(scene);
	read_file(scene, "api.key");
	assert_told(scene, "41 api.key;");
	/* A worker that comes anew asks again, and is told what the one before knew. */
	watch_again(scene);
	assert_string_equal(scene->told, "41 api.key;");
	read_file(scene, "db_password");
	assert_told(scene, "41 db_password;");
	add_generation(scene->f, 2, both, 2, "two");
	watch_again(scene);
	assert_string_equal(scene->told, "");
	read_file(scene, "..1/api.key");
	assert_told(scene, "");
	read_file(scene, "api.key");
	assert_told(scene, "41 api.key;");
	/* The supervisor goes on by itself, with the files that it knows. */
	add_generation(scene->f, 3, both, 1, "three");
	follow(scene);
	assert_string_equal(scene->told, "");
	read_file(scene, both[0]);
	assert_told(scene, "41 db_password;");
	follow(scene);
	assert_string_equal(scene->told, "41 db_password;");
}

/* Two containers, and one that goes. */
static void test_forget(void **state)
{
	struct scene *scene = *state;
	struct fixture *f = scene->f;
	struct fixture *other = NULL;

	SKIP_UNLESS_ROOT();
	add_generation(f, 1, both, 2, "one");
	assert_int_equal(generation_setup((void **)&other), 0);
	add_generation(other, 1, both, 2, "other");
	watch_again(scene);
	watch_both(scene, 42, other->rw_fd);
	phial_auto_fd int fd = openat(other->ro_fd, "api.key", O_RDONLY | O_CLOEXEC);

	phial_close_fd(&fd);
	read_file(scene, "db_password");
	assert_told(scene, "42 api.key;41 db_password;");
	phial_reads_forget(&scene->reads, 42);
	assert_false(phial_reads_holds(&scene->reads, 42));
	assert_true(phial_reads_holds(&scene->reads, NUMBER));
	fd = openat(other->ro_fd, "db_password", O_RDONLY | O_CLOEXEC);
	phial_close_fd(&fd);
	assert_told(scene, "");
	must(f, phial_mount_wipe(other->rw_fd, &f->err));
	watch_both(scene, 42, other->rw_fd);
	assert_false(phial_reads_holds(&scene->reads, 42)); /* an empty mount */
	generation_teardown((void **)&other);
}

/* inotify drops events when its queue is full: asking the kernel tells which were read. */
static void test_overflow(void **state)
{
	struct scene *scene = *state;
	struct fixture *f = scene->f;
	char text[16] = { 0 };
	phial_auto_fd int limit_fd =
		open("/proc/sys/fs/inotify/max_queued_events", O_RDONLY | O_CLOEXEC);
	phial_auto_fd int dir_fd = -1;

	SKIP_UNLESS_ROOT();
	assert_true(read(limit_fd, text, sizeof(text) - 1) > 0);
	add_generation(f, 1, both, 2, "one");
	watch_again(scene);
	/* Its own instance, so that the queue can be filled with something else. */
	dir_fd = openat(f->ro_fd, "..1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned long limit = strtoul(text, NULL, 10);
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", dir_fd);
	assert_true(inotify_add_watch(scene->reads.fd, path, IN_OPEN | IN_CLOSE_NOWRITE) > 0);
	for (unsigned long i = 0; i <= limit / 2; i++) {
		close(openat(dir_fd, ".generation", O_RDONLY | O_CLOEXEC));
	}
	read_file(scene, "api.key");
	scene->told[0] = '\0';
	assert_int_equal(phial_reads_drain(&scene->reads, note, scene), PHIAL_PROBLEMS);
	assert_string_equal(scene->told, "");
	follow(scene);
	assert_string_equal(scene->told, "41 api.key;");
	watch_again(scene);
	assert_string_equal(scene->told, "41 api.key;");
	read_file(scene, "db_password");
	assert_told(scene, "41 db_password;");
}

/* What is no file of ours is not watched, and a hostile `..data` is refused. */
static void test_h7_hostile(void **state)
{
	struct scene *scene = *state;
	struct fixture *f = scene->f;
	phial_auto_fd int dir_fd = -1;

	SKIP_UNLESS_ROOT();
	add_generation(f, 1, both, 1, "one");
	dir_fd = openat(f->rw_fd, "..1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(symlinkat("/etc/passwd", dir_fd, "link"), 0);
	assert_int_equal(mkfifoat(dir_fd, "fifo", 0600), 0);
	assert_int_equal(mkdirat(dir_fd, "directory", 0700), 0);
	assert_int_equal(mknodat(dir_fd, "bad name", S_IFREG | 0600, 0), 0);
	watch_again(scene);
	for (size_t i = 0; i < 4; i++) {
		static const char *const names[] = { "link", "fifo", "directory", "missing" };

		must(f, phial_reads_watch(&scene->reads, NUMBER, f->rw_fd, names[i], note, scene,
					  &f->err));
	}
	for (size_t i = 0; i < 4; i++) {
		static const char *const names[] = { "bad name", "..", "../..1/db_password",
						     "a/b" };

		assert_int_equal(phial_reads_watch(&scene->reads, NUMBER, f->rw_fd, names[i], note,
						   scene, &f->err),
				 i == 3 ? PHIAL_OK : PHIAL_BAD_NAME);
	}
	phial_auto_fd int passwd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	phial_close_fd(&passwd);
	assert_told(scene, "");
	read_file(scene, "db_password");
	assert_told(scene, "41 db_password;");
	assert_int_equal(unlinkat(f->rw_fd, "..data", 0), 0);
	assert_int_equal(symlinkat("/etc", f->rw_fd, "..data"), 0);
	assert_int_equal(phial_reads_watch(&scene->reads, NUMBER, f->rw_fd, both[0], note, scene,
					   &f->err),
			 PHIAL_TAMPERED);
}

/* Keep a directory's lock for ever: list it into a page that nobody brings. Returns the process. */
static pid_t list_for_ever(int dir_fd)
{
	pid_t pid = fork();

	if (pid != 0) {
		return pid;
	}
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = { .api = UFFD_API };
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register range = { .range = { (uintptr_t)page, 4096 },
					 .mode = UFFDIO_REGISTER_MODE_MISSING };

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) != 0 || ioctl(fd, UFFDIO_REGISTER, &range) != 0) {
		_exit(77);
	}
	_exit((int)syscall(SYS_getdents64, dir_fd, page, 4096));
}

/* And have everybody after it wait, too, by waiting for the same lock to write. */
static pid_t make_for_ever(int dir_fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		_exit(mkdirat(dir_fd, "new", 0700));
	}
	return pid;
}

static void end_child(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* A container that has FUSE or userfaultfd(2) can lock its directories: nobody here waits for that. */
static void test_locked_directory(void **state)
{
	struct scene *scene = *state;
	struct fixture *f = scene->f;
	phial_auto_fd int dir_fd = -1;
	int how = 0;

	SKIP_UNLESS_ROOT();
	add_generation(f, 1, both, 2, "one");
	dir_fd = openat(f->ro_fd, "..1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t lister = list_for_ever(dir_fd);

	usleep(200 * 1000);
	if (waitpid(lister, &how, WNOHANG) == lister) {
		skip(); /* no userfaultfd(2) here */
	}
	pid_t maker = make_for_ever(dir_fd);

	usleep(200 * 1000);
	(void)alarm(5);
	watch_again(scene);
	must(f,
	     phial_reads_watch(&scene->reads, NUMBER, f->rw_fd, "missing", note, scene, &f->err));
	read_file(scene, both[0]);
	assert_told(scene, "41 db_password;");
	follow(scene);
	(void)alarm(0);
	end_child(lister);
	end_child(maker);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_told_once),
		CASE(test_r17_close_and_mmap),
		CASE(test_own_work_is_no_read),
		CASE(test_next_generation_and_worker),
		CASE(test_forget),
		CASE(test_overflow),
		CASE(test_h7_hostile),
		CASE(test_locked_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
