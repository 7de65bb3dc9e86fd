/* SPDX-License-Identifier: ISC */
/*
 * Who gets the signal of a notice, with real processes: those of the name in the container's own
 * process namespace, and nobody else, whatever he is called. Cgroups: tests/e2e/notify.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/notifier.h"
#include "base/cleanup.h"

#define ALL_MAX (PHIAL_NOTIFIER_PROCESSES_MAX + 44)
#define NAME	"phial-web"

/* How often each process was signalled; shared with all of them. */
struct tally {
	atomic_uint counts[ALL_MAX];
};

struct fixture {
	struct tally *tally;
	int ready[2];
	int end[2]; /* its end ends them all */
	pid_t children[4];
	size_t child_count;
};

static atomic_uint *own_count;

static void on_signal(int number)
{
	(void)number;
	(*own_count)++;
}

/*
 * Be one process: say that it is there, and count signals until the test is over. What was sent
 * before that is counted: the kernel runs the handler before read(2) returns.
 */
static void live(const struct fixture *f, const char *name, size_t slot)
{
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	char byte = 0;

	own_count = &f->tally->counts[slot];
	if (sigaction(SIGUSR1, &action, NULL) != 0 || prctl(PR_SET_NAME, name, 0, 0, 0) != 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
		_exit(1);
	}
	close(f->end[1]);
	if (write(f->ready[1], &byte, 1) != 1 || read(f->end[0], &byte, 1) != 0) {
		_exit(1);
	}
	while (wait(NULL) > 0) {
	}
	_exit(0);
}

static void start(const struct fixture *f, const char *name, size_t slot)
{
	if (fork() == 0) {
		live(f, name, slot);
	}
}

/* The first process of a namespace of its own; inside: what it starts there. */
static pid_t start_container(struct fixture *f, const char *name, size_t slot,
			     void (*inside)(const struct fixture *f))
{
	int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);

	assert_true(own >= 0);
	assert_int_equal(unshare(CLONE_NEWPID), 0);
	pid_t pid = fork();

	if (pid == 0) {
		inside(f);
		live(f, name, slot);
	}
	assert_true(pid > 0);
	assert_int_equal(setns(own, CLONE_NEWPID), 0);
	close(own);
	f->children[f->child_count++] = pid;
	return pid;
}

static void await(const struct fixture *f, size_t count)
{
	char byte;

	for (size_t i = 0; i < count; i++) {
		assert_int_equal(read(f->ready[0], &byte, 1), 1);
	}
}

/* From here on the counts are final. */
static void end_all(struct fixture *f)
{
	phial_close_fd(&f->end[1]);
	for (size_t i = 0; i < f->child_count; i++) {
		(void)waitpid(f->children[i], NULL, 0);
	}
	f->child_count = 0;
}

static int setup(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){ .ready = { -1, -1 } };
	fixture.tally = mmap(NULL, sizeof(*fixture.tally), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*state = &fixture;
	return fixture.tally == MAP_FAILED || pipe2(fixture.ready, O_CLOEXEC) != 0 ||
			       pipe2(fixture.end, O_CLOEXEC) != 0
		       ? -1
		       : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	end_all(f);
	phial_close_fd(&f->end[0]);
	phial_close_fd(&f->ready[0]);
	phial_close_fd(&f->ready[1]);
	return munmap(f->tally, sizeof(*f->tally));
}

static enum phial_status tell(pid_t pid, const char *name, uint32_t *ret_count)
{
	struct phial_notice notice = { .pidfd = (int)syscall(SYS_pidfd_open, pid, 0U),
				       .signal_number = SIGUSR1 };
	struct phial_error err = { .status = PHIAL_OK };

	assert_true(notice.pidfd >= 0);
	memcpy(notice.process, name, strlen(name));
	enum phial_status status = phial_notifier_tell(&notice, ret_count, &err);

	close(notice.pidfd);
	assert_int_equal(status, err.status);
	return status;
}

static void in_nested(const struct fixture *f)
{
	if (unshare(CLONE_NEWPID) != 0) {
		_exit(1);
	}
	start(f, NAME, 5);
}

static void in_first(const struct fixture *f)
{
	start(f, NAME, 1);
	start(f, NAME, 2);
	start(f, NAME "\n", 3);
	start(f, NAME "\nx", 4);
	start(f, NAME "x", 6);
	start(f, "phial-we", 7);
	in_nested(f);
}

static void in_other(const struct fixture *f)
{
	start(f, NAME, 9);
}

static void in_none(const struct fixture *f)
{
	(void)f;
}

static bool is_root(void)
{
	return geteuid() == 0;
}

static void only_processes_of_the_name_in_the_namespace_are_told(void **state)
{
	struct fixture *f = *state;
	uint32_t count = 0;

	if (!is_root()) {
		skip();
	}
	pid_t first = start_container(f, "phial-first", 0, in_first);

	(void)start_container(f, NAME, 8, in_other);
	f->children[f->child_count] = fork(); /* on the host */
	if (f->children[f->child_count] == 0) {
		live(f, NAME, 10);
	}
	f->child_count++;
	await(f, 11);
	assert_int_equal(tell(first, NAME, &count), PHIAL_OK);
	assert_int_equal(count, 2);
	assert_int_equal(tell(first, "", &count), PHIAL_OK);
	assert_int_equal(count, 1);
	assert_int_equal(tell(first, "phial-nobody", &count), PHIAL_NOT_FOUND);
	assert_int_equal(count, 0);
	/* A process of the host's namespace: a name would be anybody's there. */
	assert_int_equal(tell(f->children[2], NAME, &count), PHIAL_REFUSED);
	end_all(f);
	for (size_t i = 0; i < 11; i++) {
		if (f->tally->counts[i] != (i <= 2)) {
			fail_msg("process %zu was told %u times", i, f->tally->counts[i]);
		}
	}
}

static void in_crowd(const struct fixture *f)
{
	for (size_t i = 1; i < ALL_MAX; i++) {
		start(f, NAME, i);
	}
}

static void a_notice_is_for_so_many_processes(void **state)
{
	struct fixture *f = *state;
	uint32_t count = 0;
	size_t told = 0;

	if (!is_root()) {
		skip();
	}
	pid_t first = start_container(f, "phial-first", 0, in_crowd);

	await(f, ALL_MAX);
	assert_int_equal(tell(first, NAME, &count), PHIAL_TOO_LARGE);
	assert_int_equal(count, PHIAL_NOTIFIER_PROCESSES_MAX);
	end_all(f);
	for (size_t i = 0; i < ALL_MAX; i++) {
		told += f->tally->counts[i];
	}
	assert_int_equal(told, PHIAL_NOTIFIER_PROCESSES_MAX);
}

/* As between "create" and "start": a program that lies on no mount of the container. */
static void a_container_that_has_not_begun_is_not_told(void **state)
{
	uint32_t count = 0;
	phial_auto_fd int program = open("/bin/sleep", O_RDONLY | O_CLOEXEC);
	phial_auto_fd int memory = (int)syscall(SYS_memfd_create, "runtime", MFD_CLOEXEC);
	int begun[2];
	char byte;

	(void)state;
	if (!is_root()) {
		skip();
	}
	assert_true(program >= 0 && memory >= 0);
	while (sendfile(memory, program, NULL, 1 << 20) > 0) {
	}
	assert_int_equal(pipe2(begun, O_CLOEXEC), 0);
	pid_t pid = fork();

	if (pid == 0) {
		char *const argv[] = { (char[]){ "sleep" }, (char[]){ "1000" }, NULL };

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		(void)fexecve(memory, argv, environ);
		_exit(1);
	}
	close(begun[1]);
	assert_int_equal(read(begun[0], &byte, 1), 0); /* closed by execve(2) */
	close(begun[0]);
	enum phial_status status = tell(pid, "", &count);
	pid_t ended = waitpid(pid, NULL, WNOHANG);

	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	assert_int_equal(status, PHIAL_NOT_FOUND);
	assert_int_equal(count, 0);
	assert_int_equal(ended, 0);
}

static void a_container_that_has_ended_is_not_told(void **state)
{
	uint32_t count = 0;
	struct fixture *f = *state;

	if (!is_root()) {
		skip();
	}
	pid_t first = start_container(f, NAME, 0, in_none);

	await(f, 1);
	(void)kill(first, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)first, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	assert_int_equal(tell(first, "", &count), PHIAL_GONE);
	assert_int_equal(tell(first, NAME, &count), PHIAL_GONE);
	assert_int_equal(count, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_processes_of_the_name_in_the_namespace_are_told),
		TEST(a_notice_is_for_so_many_processes),
		TEST(a_container_that_has_not_begun_is_not_told),
		TEST(a_container_that_has_ended_is_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
