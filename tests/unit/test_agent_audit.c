/* SPDX-License-Identifier: ISC */
/*
 * What the worker sends to the auditor: releases whole, refusals at a limited rate with what was
 * left out counted, and never a wait. Attack: a flood of refused containers.
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
#include <sys/socket.h>
#include <unistd.h>

#include "agent/audit.h"
#include "agent/auditor.h"
#include "agent/worker.h"

#define MANY 300

struct fixture {
	struct phial_worker_start start;
	struct phial_worker *worker;
	int auditor_fd;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fds[2];

	if (!f || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) {
		return -1;
	}
	f->worker = calloc(1, sizeof(*f->worker));
	f->start.audit_fd = fds[0];
	f->auditor_fd = fds[1];
	f->worker->start = &f->start;
	*state = f;
	return f->worker ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->start.audit_fd);
	close(f->auditor_fd);
	free(f->worker);
	free(f);
	return 0;
}

struct message {
	struct phial_auditor_entry entry;
	struct phial_auditor_secret secrets[PHIAL_AUDITOR_SECRETS_MAX];
};

/* The next entry, or false when none waits. */
static bool receive(const struct fixture *f, struct message *message)
{
	struct phial_frame frame;

	return phial_frame_receive(f->auditor_fd, message, sizeof(*message), &frame, NULL) ==
	       PHIAL_OK;
}

static void a_flood_is_counted(void **state)
{
	struct fixture *f = *state;
	static struct message message;
	uint64_t written = 0;

	for (int i = 0; i < MANY; i++) {
		phial_audit_refusal(f->worker, PHIAL_DOOR_HOOK, "c1", "web", "no");
		while (receive(f, &message)) {
			assert_int_equal(message.entry.kind, PHIAL_AUDIT_REFUSAL);
			assert_string_equal(message.entry.container, "c1");
			written++;
		}
	}
	assert_true(written >= 32 && written < MANY / 2);
	assert_int_equal(f->worker->audit.suppressed, MANY - written);
	/* As if time had passed: what was left out is told, and then refusals are written again. */
	f->worker->audit.refilled_ms -= 60000;
	assert_int_equal(phial_audit_flush(f->worker), -1);
	assert_true(receive(f, &message));
	assert_int_equal(message.entry.kind, PHIAL_AUDIT_GAP);
	assert_int_equal(message.entry.lost, MANY - written);
	assert_int_equal(phial_audit_flush(f->worker), -1);
	phial_audit_refusal(f->worker, PHIAL_DOOR_INIT, NULL, NULL, "no");
	assert_true(receive(f, &message));
	assert_int_equal(message.entry.kind, PHIAL_AUDIT_REFUSAL);
}

/* A release of many secrets is several entries, and complete. */
static void a_release_is_whole(void **state)
{
	struct fixture *f = *state;
	struct phial_client *client = &f->worker->clients[0];
	struct phial_release releases[MANY];
	struct phial_record record = { .releases = releases, .release_count = MANY };
	static struct message message;
	char name[] = "web/db";
	size_t seen = 0;

	for (size_t i = 0; i < MANY; i++) {
		releases[i] = (struct phial_release){ name, i + 1 };
	}
	client->record = &record;
	assert_int_equal(phial_audit_release(f->worker, client, NULL), PHIAL_OK);
	assert_int_equal(client->audit_left, 2);
	while (receive(f, &message)) {
		assert_true(message.entry.request >= client->audit_first);
		assert_true(message.entry.request <= client->audit_last);
		for (size_t i = 0; i < message.entry.secret_count; i++) {
			assert_int_equal(message.secrets[i].version, ++seen);
			assert_string_equal(message.secrets[i].name, name);
		}
	}
	assert_int_equal(seen, MANY);
}

/* An auditor that reads nothing: the release fails, a refusal is counted, the worker goes on. */
static void a_full_queue_refuses(void **state)
{
	struct fixture *f = *state;
	struct phial_client *client = &f->worker->clients[0];
	char name[] = "web/db";
	struct phial_release release = { name, 1 };
	struct phial_record record = { .releases = &release, .release_count = 1 };
	enum phial_status status = PHIAL_OK;

	client->record = &record;
	for (int i = 0; i < 100000 && status == PHIAL_OK; i++) {
		status = phial_audit_release(f->worker, client, NULL);
	}
	assert_int_equal(status, PHIAL_SYSTEM);
	phial_audit_refusal(f->worker, PHIAL_DOOR_HOOK, "c1", "web", "no");
	assert_int_equal(f->worker->audit.suppressed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_flood_is_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(a_release_is_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_queue_refuses, setup, teardown),
	};

	return cmocka_run_group_tests_name("agent: audit", tests, NULL, NULL);
}
