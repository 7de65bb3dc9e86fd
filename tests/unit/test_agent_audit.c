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

/* link: -Wl,--wrap=phial_live_on_audited */
void __wrap_phial_live_on_audited(struct phial_worker *worker, uint64_t request,
				  enum phial_status status, const char *text);

static struct {
	uint64_t request;
	enum phial_status status;
	char text[PHIAL_ERROR_TEXT_BYTES];
} told;

void __wrap_phial_live_on_audited(struct phial_worker *worker, uint64_t request,
				  enum phial_status status, const char *text)
{
	(void)worker;
	told.request = request;
	told.status = status;
	(void)snprintf(told.text, sizeof(told.text), "%s", text);
}

#define MANY 300

struct fixture {
	struct phial_agent_options options;
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
	f->start.options = &f->options;
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
		phial_audit_refusal(f->worker, NULL, PHIAL_DOOR_HOOK, "c1", "web", "no");
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
	phial_audit_refusal(f->worker, NULL, PHIAL_DOOR_INIT, NULL, NULL, "no");
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
		releases[i] = (struct phial_release){ .name = name, .version = i + 1 };
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
	struct phial_release release = { .name = name, .version = 1 };
	struct phial_record record = { .releases = &release, .release_count = 1 };
	struct phial_audit_change change = { .kind = PHIAL_AUDIT_ROTATION, .record = &record };
	enum phial_status status = PHIAL_OK;
	uint64_t number = 0;

	client->record = &record;
	for (int i = 0; i < 100000 && status == PHIAL_OK; i++) {
		status = phial_audit_release(f->worker, client, NULL);
	}
	assert_int_equal(status, PHIAL_SYSTEM);
	assert_int_equal(phial_audit_change(f->worker, &change, &number, NULL), PHIAL_SYSTEM);
	assert_int_equal(f->worker->audit.suppressed, 0); /* it is not done */
	assert_int_equal(phial_audit_change(f->worker, &change, NULL, NULL), PHIAL_SYSTEM);
	assert_int_equal(f->worker->audit.suppressed, 1); /* a removal is, without its entry */
	phial_audit_refusal(f->worker, NULL, PHIAL_DOOR_HOOK, "c1", "web", "no");
	assert_int_equal(f->worker->audit.suppressed, 2);
}

/* --audit=drop: nothing waits, nothing is refused, and what found no room is counted. */
static void drop_waits_for_nothing(void **state)
{
	struct fixture *f = *state;
	struct phial_client *client = &f->worker->clients[0];
	char name[] = "web/db";
	struct phial_release release = { .name = name, .version = 1 };
	struct phial_record record = { .releases = &release, .release_count = 1 };
	struct phial_audit_change change = { .kind = PHIAL_AUDIT_ROTATION, .record = &record };
	static struct message message;
	uint64_t written = 0;
	uint64_t request = 1;

	f->options.audit_drops = true;
	client->record = &record;
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(phial_audit_release(f->worker, client, NULL), PHIAL_OK);
		assert_int_equal(client->audit_left, 0);
	}
	assert_true(f->worker->audit.suppressed > 0);
	assert_int_equal(phial_audit_change(f->worker, &change, &request, NULL), PHIAL_OK);
	assert_int_equal(request, 0);
	while (receive(f, &message)) {
		written++;
	}
	assert_int_equal(written + f->worker->audit.suppressed, 2001);
	f->worker->audit.refilled_ms -= 60000;
	assert_int_equal(phial_audit_flush(f->worker), -1);
	assert_true(receive(f, &message));
	assert_int_equal(message.entry.kind, PHIAL_AUDIT_GAP);
	assert_int_equal(message.entry.lost, 2001 - written);
}

/* Answer a request as the auditor would. */
static void answer(const struct fixture *f, const struct phial_auditor_entry *entry,
		   enum phial_status status)
{
	struct phial_auditor_done done = {
		.request = entry->request,
		.first = entry->first,
		.status = status,
		.text = "full",
	};

	assert_int_equal(phial_frame_send(f->auditor_fd, PHIAL_AUDITOR_DONE, &done, sizeof(done),
					  NULL, 0, NULL),
			 PHIAL_OK);
	assert_true(phial_audit_on_answer(f->worker));
}

/* A change of many secrets: the last entry's request stands for all of them. */
static void a_change_is_whole(void **state)
{
	struct fixture *f = *state;
	struct phial_audit_secret secrets[MANY];
	struct phial_client client = { .has_peer = true, .peer_uid = 7, .peer_pid = 42 };
	struct phial_record record = { .container = "c1", .workload = "web" };
	struct phial_audit_change change = {
		.kind = PHIAL_AUDIT_REVOCATION,
		.record = &record,
		.client = &client,
		.secrets = secrets,
		.secret_count = MANY,
		.reason = "leaked",
	};
	static struct message message;
	uint64_t request = 0;
	size_t seen = 0;

	for (size_t i = 0; i < MANY; i++) {
		secrets[i] = (struct phial_audit_secret){ "web/db", i + 1 };
	}
	assert_int_equal(phial_audit_change(f->worker, &change, &request, NULL), PHIAL_OK);
	while (receive(f, &message)) {
		assert_int_equal(message.entry.kind, PHIAL_AUDIT_REVOCATION);
		assert_int_equal(message.entry.decision, PHIAL_AUDIT_ALLOWED);
		assert_string_equal(message.entry.container, "c1");
		assert_string_equal(message.entry.workload, "web");
		assert_string_equal(message.entry.reason, "leaked");
		assert_int_equal(message.entry.uid, 7);
		assert_int_equal(message.entry.pid, 42);
		assert_int_equal(message.entry.first, 1);
		for (size_t i = 0; i < message.entry.secret_count; i++) {
			assert_int_equal(message.secrets[i].version, ++seen);
		}
	}
	assert_int_equal(seen, MANY);
	assert_int_equal(request, 2);
	/* One of two failed: as a whole it did. */
	answer(f, &(struct phial_auditor_entry){ .request = 1, .first = 1 }, PHIAL_SYSTEM);
	answer(f, &(struct phial_auditor_entry){ .request = 2, .first = 1 }, PHIAL_OK);
	assert_int_equal(told.request, 2);
	assert_int_equal(told.status, PHIAL_SYSTEM);
	assert_string_equal(told.text, "full");
	/* The next one has nothing to do with that. */
	answer(f, &(struct phial_auditor_entry){ .request = 3, .first = 3 }, PHIAL_OK);
	assert_int_equal(told.request, 3);
	assert_int_equal(told.status, PHIAL_OK);
}

/* Nobody's command, of no container, of nothing in particular; and one that is refused. */
static void a_change_may_be_bare(void **state)
{
	struct fixture *f = *state;
	struct phial_audit_change change = { .kind = PHIAL_AUDIT_EXPIRY, .workload = "web" };
	static struct message message;

	assert_int_equal(phial_audit_change(f->worker, &change, NULL, NULL), PHIAL_OK);
	assert_true(receive(f, &message));
	assert_int_equal(message.entry.decision, PHIAL_AUDIT_NO_DECISION);
	assert_string_equal(message.entry.workload, "web");
	assert_string_equal(message.entry.container, "");
	assert_int_equal(message.entry.secret_count, 0);
	assert_false(message.entry.has_peer);
	change.kind = PHIAL_AUDIT_OVERRIDE;
	change.is_refused = true;
	assert_int_equal(phial_audit_change(f->worker, &change, NULL, NULL), PHIAL_OK);
	assert_true(receive(f, &message));
	assert_int_equal(message.entry.decision, PHIAL_AUDIT_REFUSED);
	assert_false(receive(f, &message));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_flood_is_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(a_release_is_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(drop_waits_for_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_change_is_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(a_change_may_be_bare, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_queue_refuses, setup, teardown),
	};

	return cmocka_run_group_tests_name("agent: audit", tests, NULL, NULL);
}
