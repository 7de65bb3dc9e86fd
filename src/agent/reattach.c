/* SPDX-License-Identifier: ISC */
/*
 * Which records are to be held again, in which order, and what is said of those that cannot be.
 * Believes nothing of a record: process and filesystem are the supervisor's to see.
 */
#include "agent/reattach.h"

#include <stdio.h>
#include <string.h>

#include "agent/log.h"
#include "agent/reattacher.h"
#include "agent/worker.h"

/* What could not be taken back may be so later: a frozen disk, a short quota. Also finds out ends. */
#define RETRY_MS 60000
/* The supervisor has its hands full with what an earlier worker asked for. */
#define BUSY_MS 20

/* An unheld record, and nothing of this agent's is at work on it. */
static bool is_left_over(const struct phial_record *record)
{
	return !record->is_held && record->reattach.step != PHIAL_REATTACH_ASKED;
}

void phial_reattach_all(struct phial_worker *worker)
{
	worker->reattach.is_due = false;
	worker->reattach.next_ms = 0;
	for (struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		if (is_left_over(r)) {
			r->reattach.step = PHIAL_REATTACH_DUE;
			worker->reattach.is_due = true;
		}
	}
}

/* It has ended while nobody looked, or nothing of it can be put right any more. */
static void forget(struct phial_worker *worker, struct phial_record *record, const char *why)
{
	phial_log("container %s: %s; it is forgotten", record->container, why);
	phial_records_end(worker->records, record);
}

static void note_failure(struct phial_worker *worker, struct phial_record *record, const char *why)
{
	if (!record->is_committed) { /* a start that broke off: its program asks again */
		forget(worker, record, why);
		return;
	}
	record->reattach.step = PHIAL_REATTACH_FAILED;
	worker->reattach.next_ms = phial_worker_clock_ms() + RETRY_MS;
	if (strcmp(record->reattach.problem, why) != 0) {
		(void)snprintf(record->reattach.problem, sizeof(record->reattach.problem), "%s",
			       why);
		phial_log("container %s runs but could not be re-attached: %s. Its secrets stay "
			  "as they are until it is restarted",
			  record->container, why);
	}
}

/* Ask for one. Returns false if the supervisor takes no more now, or is gone. */
static bool ask(struct phial_worker *worker, struct phial_record *record)
{
	static struct phial_link_reattach call; /* 4 KB */
	struct phial_link_answer answer;
	struct phial_error err = { .status = PHIAL_OK };

	if (strcmp(record->boot_id, worker->start->boot_id) != 0) {
		forget(worker, record, "it ran before the machine was started");
		return true;
	}
	call = (struct phial_link_reattach){
		.number = record->number,
		.pid = record->pid,
		.start_time = record->start_time,
		.mount_namespace = record->mount_namespace,
		.identity = record->identity,
	};
	(void)snprintf(call.target, sizeof(call.target), "%s", record->target);
	enum phial_status status = phial_link_call(worker->start->call_fd, PHIAL_LINK_REATTACH,
						   &call, sizeof(call), NULL, &answer, &err);

	/* GONE is the supervisor itself: it is not to be taken for the container. */
	if (status == PHIAL_EXISTS || status == PHIAL_GONE) {
		return false;
	}
	if (status != PHIAL_OK) {
		note_failure(worker, record, err.text);
	} else if (answer.number == 0) {
		forget(worker, record, "it ended while no agent looked");
	} else {
		record->reattach.step = PHIAL_REATTACH_ASKED;
		worker->reattach.asked++;
	}
	return true;
}

/* Returns false when the supervisor is to be asked again a little later. */
static bool ask_all(struct phial_worker *worker)
{
	struct phial_record *next;

	for (struct phial_record *r = phial_records_first(worker->records); r; r = next) {
		next = r->next;
		if (r->is_held || r->reattach.step != PHIAL_REATTACH_DUE) {
			continue;
		}
		if (worker->reattach.asked >= PHIAL_REATTACHERS_MAX) {
			return true; /* an answer comes, and then it goes on */
		}
		if (!ask(worker, r)) {
			return false;
		}
	}
	worker->reattach.is_due = false;
	return true;
}

int64_t phial_reattach_run(struct phial_worker *worker)
{
	int64_t now_ms = phial_worker_clock_ms();

	if (worker->reattach.next_ms != 0 && worker->reattach.next_ms <= now_ms) {
		phial_reattach_all(worker);
	}
	if (worker->reattach.is_due && worker->reattach.asked < PHIAL_REATTACHERS_MAX &&
	    !ask_all(worker)) {
		return now_ms + BUSY_MS;
	}
	return worker->reattach.next_ms != 0 ? worker->reattach.next_ms : -1;
}

void phial_reattach_on_done(struct phial_worker *worker, const struct phial_link_result *result)
{
	struct phial_record *record = phial_records_find(worker->records, result->number);

	/* It may be the answer to an earlier worker. */
	if (record && record->reattach.step == PHIAL_REATTACH_ASKED) {
		worker->reattach.asked--;
		record->reattach.step = PHIAL_REATTACH_NONE;
	}
	if (result->status == PHIAL_OK) {
		phial_worker_hold(worker, result->number);
		if (record) {
			phial_log("container %s is held again", record->container);
		}
	} else if (record && result->status == PHIAL_GONE) {
		forget(worker, record, "it ended while no agent looked");
	} else if (record) {
		note_failure(worker, record, result->text);
	}
}

const char *phial_reattach_problem(const struct phial_record *record)
{
	return record->reattach.step == PHIAL_REATTACH_FAILED ? record->reattach.problem : NULL;
}
