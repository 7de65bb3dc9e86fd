/* SPDX-License-Identifier: ISC */
/*
 * G6 with readers at work: thousands of rotations of a real mount, while other processes read it.
 * One pins the directory and reads every file of the set, one goes by path. The grace here is no
 * time: an old generation is wiped when every pass that began before the swap is over.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "generation_fixture.h"
#include "mount/generation.h"
#include "mount/mount.h"

#define ROTATIONS 2000
#define READERS	  2
/* Between two looks at a reader, which needs the processor more than its writer. */
#define PAUSE_US 20

static const char *const set[] = { "a", "b", "c", "d", "e", "f", "g", "h" };

/* One reader's, in memory that it shares with the writer. */
struct reader {
	atomic_ulong passes; /* begun and over */
	atomic_ulong torn;   /* files of different generations, or wiped ones, in one pass */
	atomic_ulong missing;
	atomic_ulong backwards; /* an older generation after a newer one */
	pid_t pid;
};

struct shared {
	atomic_bool is_over;
	struct reader readers[READERS];
};

struct scene {
	struct fixture *f;
	struct shared *shared;
};

static int scene_setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	if (!scene || generation_setup((void **)&scene->f) != 0) {
		return -1;
	}
	scene->shared = mmap(NULL, sizeof(*scene->shared), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*state = scene;
	return scene->shared == MAP_FAILED ? -1 : 0;
}

/* Also after a failed assertion: no reader outlives its test. */
static int scene_teardown(void **state)
{
	struct scene *scene = *state;

	for (size_t i = 0; i < READERS; i++) {
		struct reader *reader = &scene->shared->readers[i];

		if (reader->pid > 0) {
			kill(reader->pid, SIGKILL);
			waitpid(reader->pid, NULL, 0);
		}
	}
	munmap(scene->shared, sizeof(*scene->shared));
	generation_teardown((void **)&scene->f);
	free(scene);
	return 0;
}

/* The number in a file; 0 if it was wiped, UINT32_MAX if it is not there. */
static uint32_t read_number(int dir_fd, const char *name)
{
	char text[16] = { 0 };
	phial_auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		return UINT32_MAX;
	}
	return read(fd, text, sizeof(text) - 1) > 0 ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

/* Read all files by way of one directory. Returns the generation, or 0 and counts what is wrong. */
static uint32_t read_set(struct reader *reader, int dir_fd)
{
	uint32_t generation = read_number(dir_fd, ".generation");

	for (size_t i = 0; i < PHIAL_COUNT(set); i++) {
		uint32_t number = read_number(dir_fd, set[i]);

		if (number == UINT32_MAX || generation == UINT32_MAX) {
			atomic_fetch_add(&reader->missing, 1);
			return 0;
		}
		if (number == 0 || number != generation) {
			atomic_fetch_add(&reader->torn, 1);
			return 0;
		}
	}
	return generation;
}

static uint32_t read_pinned(struct reader *reader, int mount_fd)
{
	phial_auto_fd int fd = openat(mount_fd, "..data", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		atomic_fetch_add(&reader->missing, 1);
		return 0;
	}
	return read_set(reader, fd);
}

/* By path a set may be of two generations; but each name is there, and never goes back. */
static uint32_t read_by_path(struct reader *reader, int mount_fd)
{
	uint32_t last = 0;

	for (size_t i = 0; i < PHIAL_COUNT(set); i++) {
		uint32_t number = read_number(mount_fd, set[i]);

		if (number == UINT32_MAX) {
			atomic_fetch_add(&reader->missing, 1);
			return 0;
		}
		if (number == 0 || number < last) {
			atomic_fetch_add(&reader->torn, 1);
			return 0;
		}
		last = number;
	}
	return last;
}

static void run_reader(struct shared *shared, struct reader *reader, int mount_fd, bool is_pinning)
{
	uint32_t last = 0;

	while (!atomic_load(&shared->is_over)) {
		uint32_t number =
			is_pinning ? read_pinned(reader, mount_fd) : read_by_path(reader, mount_fd);

		if (number != 0 && number < last) {
			atomic_fetch_add(&reader->backwards, 1);
		}
		last = number > last ? number : last;
		atomic_fetch_add(&reader->passes, 1);
	}
	_exit(0);
}

static void start_readers(struct scene *scene)
{
	for (size_t i = 0; i < READERS; i++) {
		struct reader *reader = &scene->shared->readers[i];
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			run_reader(scene->shared, reader, scene->f->ro_fd, i < READERS - 1);
		}
		reader->pid = pid;
	}
}

/* Every pass that is under way now is over when this returns. */
static void await_passes(struct shared *shared)
{
	for (size_t i = 0; i < READERS; i++) {
		unsigned long now = atomic_load(&shared->readers[i].passes);

		while (atomic_load(&shared->readers[i].passes) == now) {
			(void)usleep(PAUSE_US);
		}
	}
}

static void rotate(struct scene *scene, uint32_t expected_present)
{
	struct fixture *f = scene->f;
	char value[16];
	uint32_t present;
	uint32_t next;

	must(f, phial_generation_next(f->rw_fd, &present, &next, &f->err));
	assert_int_equal(present, expected_present);
	(void)snprintf(value, sizeof(value), "%u", (unsigned int)next);
	add_generation(f, next, set, PHIAL_COUNT(set), value);
}

static void test_g6_readers(void **state)
{
	struct scene *scene = *state;
	struct shared *shared = scene->shared;

	SKIP_UNLESS_ROOT();
	rotate(scene, 0);
	start_readers(scene);
	for (uint32_t i = 1; i < ROTATIONS; i++) {
		rotate(scene, i);
		await_passes(shared);
		must(scene->f, phial_generation_wipe_old(scene->f->rw_fd, &scene->f->err));
	}
	atomic_store(&shared->is_over, true);
	for (size_t i = 0; i < READERS; i++) {
		struct reader *reader = &shared->readers[i];
		int status = 1;

		assert_int_equal(waitpid(reader->pid, &status, 0), reader->pid);
		reader->pid = 0;
		assert_int_equal(status, 0);
		assert_int_equal(atomic_load(&reader->torn), 0);
		assert_int_equal(atomic_load(&reader->missing), 0);
		assert_int_equal(atomic_load(&reader->backwards), 0);
		assert_true(atomic_load(&reader->passes) >= ROTATIONS - 1);
	}
	assert_content(scene->f, ".generation", "2000\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_g6_readers, scene_setup, scene_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
