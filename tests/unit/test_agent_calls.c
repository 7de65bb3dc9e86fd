/* SPDX-License-Identifier: ISC */
/*
 * What a compromised worker may ask of the supervisor (C-12): sizes are exact, names are checked,
 * only memory is filled. Nothing here needs root or a running agent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/link.h"
#include "agent/supervisor_internal.h"
#include "base/cleanup.h"

struct fixture {
	struct supervisor supervisor;
	int worker_fd;
	_Alignas(8) uint8_t pages[PHIAL_KEY_PAYLOAD_MAX + 1];
};

static int setup(void **state)
{
	static struct fixture fixture;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		return -1;
	}
	fixture = (struct fixture){ .worker_fd = pair[1] };
	fixture.supervisor.call_fd = pair[0];
	fixture.supervisor.workload_fd = -1;
	fixture.supervisor.pages.bytes = fixture.pages;
	fixture.supervisor.pages.length = sizeof(fixture.pages);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	close(fixture->worker_fd);
	close(fixture->supervisor.call_fd);
	return 0;
}

/* Send one call as a worker would. */
static struct phial_link_answer ask_for(struct fixture *fixture, uint32_t type, const void *record,
					size_t length, const int *fds, size_t fd_count)
{
	struct phial_link_answer answer;
	struct phial_frame frame;

	assert_int_equal(phial_frame_send(fixture->worker_fd, type, record, length, fds, fd_count,
					  NULL),
			 PHIAL_OK);
	assert_true(supervisor_answer_call(&fixture->supervisor));
	assert_int_equal(phial_frame_receive(fixture->worker_fd, &answer, sizeof(answer), &frame,
					     NULL),
			 PHIAL_OK);
	assert_int_equal(frame.type, PHIAL_LINK_ANSWER);
	return answer;
}

/* The same; returns the answer's status. */
static enum phial_status ask(struct fixture *fixture, uint32_t type, const void *record,
			     size_t length, const int *fds, size_t fd_count)
{
	return (enum phial_status)ask_for(fixture, type, record, length, fds, fd_count).status;
}

static void C12_nonsense_is_refused(void **state)
{
	static const uint8_t record[8192];
	static const struct {
		uint32_t type;
		size_t length;
	} cases[] = {
		{ 0, 0 },
		{ 60, 0 },
		{ PHIAL_LINK_ANSWER, sizeof(struct phial_link_answer) },
		{ PHIAL_LINK_STORE, 0 },
		{ 0xffffffff, 0 },
		{ PHIAL_LINK_ADD_KEY, 0 },
		{ PHIAL_LINK_ADD_KEY, sizeof(struct phial_link_add_key) - 1 },
		{ PHIAL_LINK_ADD_KEY, sizeof(struct phial_link_add_key) + 1 },
		{ PHIAL_LINK_WORKLOAD, sizeof(struct phial_link_workload) - 1 },
		{ PHIAL_LINK_FILL, 0 },
		{ PHIAL_LINK_FILL, sizeof(struct phial_fill_part) }, /* without descriptors */
		{ PHIAL_LINK_GIVE, 0 },
		{ PHIAL_LINK_GIVE, sizeof(struct phial_fill_part) }, /* the same */
		{ PHIAL_LINK_WIPE, 1 },
		{ PHIAL_LINK_ALIVE, 4 },
		{ PHIAL_LINK_MAPS, 4 },
		{ PHIAL_LINK_QUOTA, 1 },
		{ PHIAL_LINK_RELOAD, 1 },
		{ PHIAL_LINK_LOADED, 1 },
		{ PHIAL_LINK_FATAL, 1 },
		{ PHIAL_LINK_PEER, 4 },
		{ PHIAL_LINK_MOUNTER, sizeof(struct phial_link_process) }, /* without its pidfd */
		{ PHIAL_LINK_METRICS, sizeof(struct phial_metrics) - 1 },
		{ PHIAL_LINK_METRICS, 0 },
		{ PHIAL_LINK_REATTACH, sizeof(struct phial_link_reattach) - 1 },
		{ PHIAL_LINK_REATTACH, sizeof(struct phial_link_reattach) }, /* no container's */
		{ PHIAL_LINK_CALLER, sizeof(struct phial_link_process) },    /* the same */
		{ PHIAL_LINK_SIGNAL, sizeof(struct phial_link_signal) - 8 },
	};

	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		if (ask(*state, cases[i].type, record, cases[i].length, NULL, 0) !=
		    PHIAL_MALFORMED) {
			fail_msg("call %u of %zu bytes was taken", cases[i].type, cases[i].length);
		}
	}
}

static void C12_a_key_longer_than_the_shared_pages_is_refused(void **state)
{
	struct phial_link_add_key call = { .length = PHIAL_KEY_PAYLOAD_MAX + 2 };

	assert_int_equal(ask(*state, PHIAL_LINK_ADD_KEY, &call, sizeof(call), NULL, 0),
			 PHIAL_MALFORMED);
	call.length = UINT32_MAX;
	assert_int_equal(ask(*state, PHIAL_LINK_ADD_KEY, &call, sizeof(call), NULL, 0),
			 PHIAL_MALFORMED);
}

static void C12_workloads_outside_their_folder_are_refused(void **state)
{
	static const char *const names[] = { "",  ".",	"..",	"../x", "a/b",
					     "/", "/x", ".ssh", "a\n",	"x\\" };

	for (size_t i = 0; i < PHIAL_COUNT(names); i++) {
		struct phial_link_workload call = { .name = "" };

		memcpy(call.name, names[i], strlen(names[i]));
		if (ask(*state, PHIAL_LINK_WORKLOAD, &call, sizeof(call), NULL, 0) !=
		    PHIAL_BAD_NAME) {
			fail_msg("\"%s\" was taken", names[i]);
		}
	}
	struct phial_link_workload unended;

	memset(unended.name, 'a', sizeof(unended.name));
	unended.name[sizeof(unended.name) - 1] = '/';
	/* Cut to a good name, and then there is no folder to make it in. */
	assert_int_equal(ask(*state, PHIAL_LINK_WORKLOAD, &unended, sizeof(unended), NULL, 0),
			 PHIAL_SYSTEM);
}

static void C12_only_memory_is_filled(void **state)
{
	static const char *const places[] = { "/proc", "/sys", "/etc", "/var", "." };
	const struct {
		struct phial_link_job job;
		struct phial_fill_part part;
	} call = { .part = { .part_count = 1, .file = "x" } };
	size_t tried = 0;

	for (size_t i = 0; i < PHIAL_COUNT(places); i++) {
		phial_auto_fd int place_fd = open(places[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		phial_auto_fd int other_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		const int fds[] = { other_fd, place_fd };

		struct statfs found;

		/* In an initramfs these are memory themselves. */
		if (place_fd < 0 || fstatfs(place_fd, &found) != 0 || found.f_type == TMPFS_MAGIC ||
		    found.f_type == RAMFS_MAGIC) {
			continue;
		}
		tried++;
		if (ask(*state, PHIAL_LINK_FILL, &call, sizeof(call), fds, 2) != PHIAL_REFUSED ||
		    ask(*state, PHIAL_LINK_GIVE, &call, sizeof(call), fds, 2) != PHIAL_REFUSED) {
			fail_msg("%s would be filled", places[i]);
		}
	}
	assert_true(tried >= 2);
}

/* Without --metrics no file is written, whatever the worker asks for; with it only numbers are. */
static void C12_metrics_are_numbers(void **state)
{
	struct fixture *fixture = *state;
	static const struct phial_agent_options none = { .metrics = NULL };
	char folder[] = "/tmp/phial-metrics.XXXXXX";
	char file[sizeof(folder) + 16];
	struct phial_metrics metrics;
	char text[32768];

	fixture->supervisor.options = &none;
	memset(&metrics, 'A', sizeof(metrics));
	assert_int_equal(ask(fixture, PHIAL_LINK_METRICS, &metrics, sizeof(metrics), NULL, 0),
			 PHIAL_USAGE);
	assert_non_null(mkdtemp(folder));
	(void)snprintf(file, sizeof(file), "%s/phial.prom", folder);
	const struct phial_agent_options some = { .metrics = file };

	fixture->supervisor.options = &some;
	assert_int_equal(ask(fixture, PHIAL_LINK_METRICS, &metrics, sizeof(metrics), NULL, 0),
			 PHIAL_OK);
	phial_auto_fd int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t length = read(fd, text, sizeof(text) - 1);

	assert_true(length > 0);
	text[length] = '\0';
	assert_null(strstr(text, "AAAA"));
	assert_non_null(strstr(text, "phial_releases_total 4702111234474983745\n"));
	supervisor_remove_metrics(&fixture->supervisor);
	assert_int_equal(rmdir(folder), 0); /* nothing else is left in it */
}

static void C12_numbers_are_only_looked_up(void **state)
{
	const struct phial_link_container container = { .number = UINT64_MAX };
	const struct phial_link_process self = { .pid = (int32_t)getpid(), .start_time = 1 };
	const struct phial_link_process all = { .pid = -1 };

	assert_int_equal(ask(*state, PHIAL_LINK_WIPE, &container, sizeof(container), NULL, 0),
			 PHIAL_OK);
	assert_int_equal(ask(*state, PHIAL_LINK_ALIVE, &self, sizeof(self), NULL, 0), PHIAL_OK);
	assert_int_equal(ask(*state, PHIAL_LINK_ALIVE, &all, sizeof(all), NULL, 0), PHIAL_OK);
}

/* Whom it is for is asked only then: none of the containers is held here. */
static void C12_only_signals_and_names_that_can_be(void **state)
{
	static const struct {
		uint32_t signal;
		const char *process;
		enum phial_status status;
	} cases[] = {
		{ SIGHUP, "", PHIAL_GONE },
		{ 64, "Web Content", PHIAL_GONE },
		{ 0, "", PHIAL_MALFORMED },
		{ 65, "", PHIAL_MALFORMED },
		{ UINT32_MAX, "", PHIAL_MALFORMED },
		{ SIGKILL, "", PHIAL_MALFORMED },
		{ SIGSTOP, "", PHIAL_MALFORMED },
		{ SIGHUP, "a\nb", PHIAL_MALFORMED },
		{ SIGHUP, "0123456789abcdef", PHIAL_MALFORMED }, /* not ended */
	};

	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_link_signal call = { .number = 7, .signal = cases[i].signal };

		memcpy(call.process, cases[i].process, strlen(cases[i].process));
		if (ask(*state, PHIAL_LINK_SIGNAL, &call, sizeof(call), NULL, 0) !=
		    cases[i].status) {
			fail_msg("case %zu", i);
		}
	}
}

/* F-02: of a record that a worker made up, or whose process is not the one any more. */
static void F02_only_recorded_processes_are_entered(void **state)
{
	static const struct phial_agent_options options = { .is_user = false };
	static struct phial_link_reattach good; /* 4 KB */
	struct fixture *fixture = *state;
	struct phial_link_reattach call;

	fixture->supervisor.options = &options;
	fixture->supervisor.last_number = 7;
	good = (struct phial_link_reattach){
		.number = 7,
		.pid = (int32_t)getpid(),
		.target = "/run/secrets",
	};
	assert_int_equal(phial_target_find_start_time(good.pid, &good.start_time, NULL), PHIAL_OK);
	/* It is there, but which filesystem is its own is not known. */
	assert_int_equal(ask(fixture, PHIAL_LINK_REATTACH, &good, sizeof(good), NULL, 0),
			 PHIAL_UNSUPPORTED);
	call = good;
	call.start_time++;
	struct phial_link_answer answer =
		ask_for(fixture, PHIAL_LINK_REATTACH, &call, sizeof(call), NULL, 0);

	assert_int_equal(answer.status, PHIAL_OK);
	assert_int_equal(answer.number, 0); /* gone */
	assert_null(fixture->supervisor.reattachers);
	for (int i = 0; i < 6; i++) {
		call = good;
		call.number = i == 0 ? 0 : i == 1 ? 8 : call.number; /* none, not given yet */
		call.pid = i == 2 ? 1 : i == 3 ? -1 : call.pid;
		if (i == 4) {
			memset(call.target, 'x', sizeof(call.target));
		} else if (i == 5) {
			call.target[0] = '.';
		}
		if (ask(fixture, PHIAL_LINK_REATTACH, &call, sizeof(call), NULL, 0) !=
		    PHIAL_MALFORMED) {
			fail_msg("case %d", i);
		}
	}
}

/* A pid alone names no process: with its start time it does. */
static void maps_are_those_of_the_process_meant(void **state)
{
	struct fixture *fixture = *state;
	const struct phial_link_maps *maps = (const void *)fixture->pages;
	struct phial_link_process call = { .pid = (int32_t)getpid() };

	assert_int_equal(phial_target_find_start_time(call.pid, &call.start_time, NULL), PHIAL_OK);
	assert_int_equal(ask(fixture, PHIAL_LINK_MAPS, &call, sizeof(call), NULL, 0), PHIAL_OK);
	for (int i = 0; i < 2; i++) {
		assert_in_range(maps->lengths[i], 1, PHIAL_LINK_MAP_BYTES);
		assert_int_equal(maps->texts[i][maps->lengths[i] - 1], '\n');
	}
	call.start_time++;
	assert_int_equal(ask(fixture, PHIAL_LINK_MAPS, &call, sizeof(call), NULL, 0), PHIAL_GONE);
	call.pid = -1;
	assert_int_not_equal(ask(fixture, PHIAL_LINK_MAPS, &call, sizeof(call), NULL, 0), PHIAL_OK);
}

/* A process may pass the pidfd of another one, which sees another mount namespace. */
static void C12_a_caller_is_the_process_of_its_pidfd(void **state)
{
	struct phial_link_process call = { .pid = (int32_t)getpid() };
	phial_auto_fd int own = (int)syscall(SYS_pidfd_open, getpid(), 0U);
	phial_auto_fd int others = (int)syscall(SYS_pidfd_open, getppid(), 0U);
	phial_auto_fd int none = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_int_equal(ask(*state, PHIAL_LINK_CALLER, &call, sizeof(call), &own, 1), PHIAL_OK);
	assert_int_equal(ask(*state, PHIAL_LINK_CALLER, &call, sizeof(call), &others, 1),
			 PHIAL_GONE);
	assert_int_equal(ask(*state, PHIAL_LINK_CALLER, &call, sizeof(call), &none, 1),
			 PHIAL_SYSTEM);
	call.pid = -1;
	assert_int_equal(ask(*state, PHIAL_LINK_CALLER, &call, sizeof(call), &own, 1), PHIAL_GONE);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(C12_nonsense_is_refused),
		TEST(C12_a_key_longer_than_the_shared_pages_is_refused),
		TEST(C12_workloads_outside_their_folder_are_refused),
		TEST(C12_only_memory_is_filled),
		TEST(C12_metrics_are_numbers),
		TEST(C12_numbers_are_only_looked_up),
		TEST(C12_only_signals_and_names_that_can_be),
		TEST(F02_only_recorded_processes_are_entered),
		TEST(C12_a_caller_is_the_process_of_its_pidfd),
		TEST(maps_are_those_of_the_process_meant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
