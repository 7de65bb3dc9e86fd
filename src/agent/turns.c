/* SPDX-License-Identifier: ISC */
/*
 * Whose start is served now, who waits, and who gives way. Knows a request's workload and no more:
 * what is granted is request_start.c's.
 */
#include "agent/turns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/log.h"
#include "base/cleanup.h"

static bool is_served(const struct phial_client *client)
{
	return client->state == PHIAL_CLIENT_HOOK_MOUNT ||
	       client->state == PHIAL_CLIENT_HOOK_FILLING ||
	       client->state == PHIAL_CLIENT_HOOK_ATTACHED;
}

/* How many starts of this workload (NULL: of all) are being served. */
static size_t count_served(const struct phial_worker *worker, const char *workload)
{
	size_t count = 0;

	for (size_t i = 0; i < PHIAL_CLIENTS_MAX; i++) {
		const struct phial_client *client = &worker->clients[i];

		count += is_served(client) &&
			 (!workload || strcmp(client->record->workload, workload) == 0);
	}
	return count;
}

static size_t count_waiting(const struct phial_worker *worker, const char *workload)
{
	size_t count = 0;

	for (size_t i = 0; i < PHIAL_CLIENTS_MAX; i++) {
		const struct phial_client *client = &worker->clients[i];

		count += client->waiting && strcmp(client->waiting->workload, workload) == 0;
	}
	return count;
}

bool phial_turns_may_go(const struct phial_worker *worker, const struct phial_client *client,
			const char *workload)
{
	return client->has_turn || (count_served(worker, NULL) < PHIAL_TURNS_OF_ALL &&
				    count_served(worker, workload) < PHIAL_TURNS_OF_ONE &&
				    count_waiting(worker, workload) == 0);
}

enum phial_status phial_turns_wait(struct phial_client *client, const struct phial_frame *frame,
				   const void *payload, const struct phial_waiting *who,
				   struct phial_error *err)
{
	phial_auto_free struct phial_waiting *waiting = malloc(sizeof(*waiting) + frame->length);

	if (!waiting) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "keep a request");
	}
	*waiting = *who;
	waiting->frame = *frame;
	waiting->frame.fds[0] = fcntl(frame->fds[0], F_DUPFD_CLOEXEC, 0);
	if (waiting->frame.fds[0] < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "keep a request");
	}
	memcpy(waiting->payload, payload, frame->length);
	client->waiting = phial_take_pointer(waiting);
	client->state = PHIAL_CLIENT_HOOK_WAITING;
	client->deadline_ms -= PHIAL_CLIENT_DEADLINE_MS - PHIAL_TURNS_WAIT_MS;
	return PHIAL_OK;
}

void phial_turns_forget(struct phial_client *client)
{
	if (client->waiting) {
		phial_frame_close_fds(&client->waiting->frame);
	}
	free(client->waiting);
	client->waiting = NULL;
	client->has_turn = false;
}

/* --- turns ---------------------------------------------------------------------------------- */

/* Of the workload with the fewest being served the one that came first; NULL: nobody may go. */
static struct phial_client *find_next(struct phial_worker *worker)
{
	struct phial_client *next = NULL;
	const char *counted = "";
	size_t served = 0;
	size_t fewest = PHIAL_TURNS_OF_ONE;

	for (size_t i = 0; i < PHIAL_CLIENTS_MAX; i++) {
		struct phial_client *client = &worker->clients[i];

		if (!client->waiting) {
			continue;
		}
		if (strcmp(counted, client->waiting->workload) != 0) { /* mostly the same one */
			counted = client->waiting->workload;
			served = count_served(worker, counted);
		}
		if (served < fewest ||
		    (next && served == fewest && client->number < next->number)) {
			next = client;
			fewest = served;
		}
	}
	return next;
}

static void serve(struct phial_worker *worker, struct phial_client *client)
{
	phial_auto_free struct phial_waiting *waiting = phial_take_pointer(client->waiting);
	bool goes_on = false;

	client->has_turn = true;
	client->state = PHIAL_CLIENT_HOOK_START;
	client->deadline_ms += PHIAL_CLIENT_DEADLINE_MS - PHIAL_TURNS_WAIT_MS;
	if (lseek(waiting->frame.fds[0], 0, SEEK_SET) == 0) {
		goes_on = phial_request_on_start(worker, client, &waiting->frame, waiting->payload);
	}
	phial_frame_close_fds(&waiting->frame);
	if (!goes_on) {
		phial_client_close(worker, client);
	}
}

void phial_turns_serve(struct phial_worker *worker)
{
	struct phial_client *next;

	while (count_served(worker, NULL) < PHIAL_TURNS_OF_ALL && (next = find_next(worker))) {
		serve(worker, next);
	}
}

/* --- who gives way -------------------------------------------------------------------------- */

void phial_turns_refuse(struct phial_worker *worker, struct phial_client *client)
{
	const struct phial_waiting *waiting = client->waiting;
	char text[PHIAL_ERROR_TEXT_BYTES];

	(void)snprintf(text, sizeof(text),
		       "%zu starts of workload %s wait already, and only %d are served at once: "
		       "start the container again when there are fewer",
		       count_waiting(worker, waiting->workload) - 1, waiting->workload,
		       PHIAL_TURNS_OF_ONE);
	phial_log("refused workload %s to container %s: %s", waiting->workload, waiting->container,
		  text);
	phial_audit_refusal(worker, client, waiting->door, waiting->container, waiting->workload,
			    text);
	phial_metrics_refuse(worker, client, PHIAL_REFUSAL_BUSY);
	phial_request_refuse(worker, client, PHIAL_TOO_LARGE, text);
	phial_client_close(worker, client);
}

/* The last who came of the workload with the most that wait. */
static struct phial_client *find_last(struct phial_worker *worker)
{
	struct phial_client *last = NULL;
	const char *counted = "";
	size_t waiting = 0;
	size_t most = 0;

	for (size_t i = 0; i < PHIAL_CLIENTS_MAX; i++) {
		struct phial_client *client = &worker->clients[i];

		if (!client->waiting) {
			continue;
		}
		if (strcmp(counted, client->waiting->workload) != 0) {
			counted = client->waiting->workload;
			waiting = count_waiting(worker, counted);
		}
		if (waiting > most || (last && waiting == most && client->number > last->number)) {
			last = client;
			most = waiting;
		}
	}
	return last;
}

static bool is_silent(const struct phial_client *client)
{
	return client->state == PHIAL_CLIENT_HOOK_START || client->state == PHIAL_CLIENT_ADMIN;
}

static struct phial_client *find_silent(struct phial_worker *worker)
{
	struct phial_client *first = NULL;

	for (size_t i = 0; i < PHIAL_CLIENTS_MAX; i++) {
		struct phial_client *client = &worker->clients[i];

		if (is_silent(client) && (!first || client->number < first->number)) {
			first = client;
		}
	}
	return first;
}

bool phial_turns_have_place(const struct phial_worker *worker)
{
	for (size_t i = 0; i < worker->start->clients_max; i++) {
		const struct phial_client *client = &worker->clients[i];

		if (client->state == PHIAL_CLIENT_FREE || client->waiting || is_silent(client)) {
			return true;
		}
	}
	return false;
}

struct phial_client *phial_turns_find_place(struct phial_worker *worker)
{
	struct phial_client *place =
		phial_worker_free_client(worker, 0, worker->start->clients_max);

	if (place) {
		return place;
	}
	place = find_last(worker);
	if (place) {
		phial_turns_refuse(worker, place);
		return place;
	}
	place = find_silent(worker);
	if (place) {
		phial_log("a client that said nothing gives way to another");
		phial_client_close(worker, place);
	}
	return place;
}
