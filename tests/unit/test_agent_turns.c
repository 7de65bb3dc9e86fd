/* SPDX-License-Identifier: ISC */
/*
 * Whose start is served, who waits and who gives way, without an agent: clients are put into the
 * worker's places, and what a served START would do is played here.
 */
/* link: -Wl,--wrap=phial_request_on_start -Wl,--wrap=phial_audit_refusal */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/turns.h"
#include "base/cleanup.h"
#include "wire/hook_protocol.h"

struct fixture {
	struct phial_worker worker;
	int peers[PHIAL_CLIENTS_MAX]; /* the hooks' ends */
	struct phial_client *served[PHIAL_CLIENTS_MAX];
	size_t served_count;
	char config[16]; /* what the last one that was served had in its descriptor */
};

static struct fixture fixture;

static struct phial_client *connect_hook(enum phial_client_state state)
{
	struct phial_client *client =
		phial_worker_free_client(&fixture.worker, 0, PHIAL_CLIENTS_MAX);
	int pair[2];

	assert_non_null(client);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	client->fd = pair[0];
	client->state = state;
	client->number = ++fixture.worker.last_client;
	fixture.peers[client - fixture.worker.clients] = pair[1];
	return client;
}

static void be_served(struct phial_client *client, const char *workload)
{
	client->record = calloc(1, sizeof(*client->record));
	assert_non_null(client->record);
	memcpy(client->record->workload, workload, strlen(workload) + 1);
	client->state = PHIAL_CLIENT_HOOK_MOUNT;
}

static struct phial_client *connect_served(const char *workload)
{
	struct phial_client *client = connect_hook(PHIAL_CLIENT_HOOK_START);

	be_served(client, workload);
	return client;
}

/* Its payload is the workload's name, its config.json "config", read to its end already. */
static struct phial_client *connect_waiting(const char *workload)
{
	struct phial_client *client = connect_hook(PHIAL_CLIENT_HOOK_START);
	phial_auto_fd int fd = memfd_create("config", MFD_CLOEXEC);
	struct phial_waiting who = { .door = PHIAL_DOOR_HOOK, .container = "c" };
	const struct phial_frame frame = {
		.type = PHIAL_HOOK_START,
		.length = strlen(workload) + 1,
		.fds = { fd, -1, -1, -1 },
		.fd_count = 1,
	};

	assert_int_equal(write(fd, "config", 6), 6);
	memcpy(who.workload, workload, strlen(workload) + 1);
	assert_int_equal(phial_turns_wait(client, &frame, workload, &who, NULL), PHIAL_OK);
	return client;
}

bool __wrap_phial_request_on_start(struct phial_worker *worker, struct phial_client *client,
				   const struct phial_frame *frame, const void *payload);
bool __wrap_phial_request_on_start(struct phial_worker *worker, struct phial_client *client,
				   const struct phial_frame *frame, const void *payload)
{
	assert_true(phial_turns_may_go(worker, client, payload));
	ssize_t got = read(frame->fds[0], fixture.config, sizeof(fixture.config) - 1);

	fixture.config[got > 0 ? got : 0] = '\0';
	fixture.served[fixture.served_count++] = client;
	be_served(client, payload);
	return true;
}

void __wrap_phial_audit_refusal(struct phial_worker *worker, const struct phial_client *client,
				enum phial_door door, const char *container, const char *workload,
				const char *reason);
void __wrap_phial_audit_refusal(struct phial_worker *worker, const struct phial_client *client,
				enum phial_door door, const char *container, const char *workload,
				const char *reason)
{
	(void)worker;
	(void)client;
	assert_int_equal(door, PHIAL_DOOR_HOOK);
	assert_string_equal(container, "c");
	assert_non_null(strstr(reason, workload));
}

static int setup(void **state)
{
	static const struct phial_worker_start start = { .clients_max = PHIAL_CLIENTS_MAX };

	fixture = (struct fixture){ .worker.start = &start };
	for (size_t i = 0; i < PHIAL_COUNT(fixture.worker.clients); i++) {
		fixture.worker.clients[i].fd = -1;
		fixture.worker.clients[i].document_fd = -1;
	}
	memset(fixture.peers, -1, sizeof(fixture.peers));
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < PHIAL_CLIENTS_MAX; i++) {
		struct phial_client *client = &fixture.worker.clients[i];

		phial_turns_forget(client);
		phial_record_free(client->record);
		phial_close_fd(&client->fd);
		phial_close_fd(&fixture.peers[i]);
	}
	return 0;
}

static void test_so_many_of_one(void **state)
{
	struct phial_client *last = NULL;

	(void)state;
	for (size_t i = 0; i < PHIAL_TURNS_OF_ONE; i++) {
		assert_true(
			phial_turns_may_go(&fixture.worker, &fixture.worker.clients[500], "web"));
		last = connect_served("web");
	}
	assert_false(phial_turns_may_go(&fixture.worker, &fixture.worker.clients[500], "web"));
	assert_true(phial_turns_may_go(&fixture.worker, &fixture.worker.clients[500], "mail"));
	phial_client_close(&fixture.worker, last);
	assert_true(phial_turns_may_go(&fixture.worker, &fixture.worker.clients[500], "web"));
	(void)connect_waiting("web"); /* and nobody overtakes */
	assert_false(phial_turns_may_go(&fixture.worker, &fixture.worker.clients[500], "web"));
}

static void test_so_many_of_all(void **state)
{
	static char names[PHIAL_TURNS_OF_ALL][8];

	(void)state;
	for (size_t i = 0; i < PHIAL_TURNS_OF_ALL; i++) {
		names[i][0] = (char)('a' + i / 8);
		(void)connect_served(names[i]);
	}
	assert_false(phial_turns_may_go(&fixture.worker, &fixture.worker.clients[500], "z"));
	struct phial_client *waiting = connect_waiting("z");

	phial_turns_serve(&fixture.worker);
	assert_int_equal(fixture.served_count, 0);
	phial_client_close(&fixture.worker, &fixture.worker.clients[3]);
	phial_turns_serve(&fixture.worker);
	assert_int_equal(fixture.served_count, 1);
	assert_ptr_equal(fixture.served[0], waiting);
}

/* One of web is done: of those that wait, the one whose workload is served least comes first. */
static void test_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < PHIAL_TURNS_OF_ONE; i++) {
		(void)connect_served("web");
	}
	struct phial_client *web[] = { connect_waiting("web"), connect_waiting("web") };
	struct phial_client *mail = connect_waiting("mail");

	phial_turns_serve(&fixture.worker);
	assert_int_equal(fixture.served_count, 1);
	assert_ptr_equal(fixture.served[0], mail);
	assert_string_equal(fixture.config, "config");
	phial_client_close(&fixture.worker, &fixture.worker.clients[0]);
	phial_turns_serve(&fixture.worker);
	assert_int_equal(fixture.served_count, 2);
	assert_ptr_equal(fixture.served[1], web[0]);
	assert_int_equal(web[1]->state, PHIAL_CLIENT_HOOK_WAITING);
}

static void fill_places(const char *workload)
{
	while (phial_worker_free_client(&fixture.worker, 0, PHIAL_CLIENTS_MAX)) {
		(void)connect_waiting(workload);
	}
}

static void test_the_last_of_the_most_gives_way(void **state)
{
	struct phial_hook_verdict verdict;
	struct phial_frame frame;

	(void)state;
	struct phial_client *silent = connect_hook(PHIAL_CLIENT_HOOK_START);
	struct phial_client *first = connect_waiting("web");

	(void)connect_waiting("mail");
	fill_places("web");
	assert_true(phial_turns_have_place(&fixture.worker));
	struct phial_client *place = phial_turns_find_place(&fixture.worker);

	assert_ptr_equal(place, &fixture.worker.clients[PHIAL_CLIENTS_MAX - 1]);
	assert_int_equal(place->state, PHIAL_CLIENT_FREE);
	assert_null(place->waiting);
	assert_int_equal(phial_frame_receive(fixture.peers[PHIAL_CLIENTS_MAX - 1], &verdict,
					     sizeof(verdict), &frame, NULL),
			 PHIAL_OK);
	assert_int_equal(verdict.decision, PHIAL_HOOK_REFUSED);
	assert_int_equal(verdict.status, PHIAL_TOO_LARGE);
	assert_non_null(strstr(verdict.text, "509 starts of workload web wait already"));
	assert_int_equal(silent->state, PHIAL_CLIENT_HOOK_START);
	assert_int_equal(first->state, PHIAL_CLIENT_HOOK_WAITING);
}

static void test_the_silent_give_way(void **state)
{
	(void)state;
	while (phial_worker_free_client(&fixture.worker, 0, PHIAL_CLIENTS_MAX - 2)) {
		(void)connect_served("web");
	}
	struct phial_client *older = connect_hook(PHIAL_CLIENT_ADMIN);
	struct phial_client *newer = connect_hook(PHIAL_CLIENT_HOOK_START);

	assert_ptr_equal(phial_turns_find_place(&fixture.worker), older);
	assert_int_equal(newer->state, PHIAL_CLIENT_HOOK_START);
	be_served(newer, "web");
	(void)connect_served("web");
	assert_false(phial_turns_have_place(&fixture.worker));
	assert_null(phial_turns_find_place(&fixture.worker));
}

/* Both ends of all places, which is more than most are given at first. */
static int raise_limit(void **state)
{
	struct rlimit limit;

	(void)state;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
		return -1;
	}
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_so_many_of_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_so_many_of_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_last_of_the_most_gives_way, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_the_silent_give_way, setup, teardown),
	};

	return cmocka_run_group_tests_name("agent_turns", tests, raise_limit, NULL);
}
