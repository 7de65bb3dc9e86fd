/* SPDX-License-Identifier: ISC */
/* The steps of a change of one container; live.c takes them in order. */
#ifndef PHIAL_AGENT_LIVE_STEPS_H
#define PHIAL_AGENT_LIVE_STEPS_H

#include <stdbool.h>

#include <phial/error.h>

#include "agent/live_plan.h"
#include "agent/worker.h"

/* Have the supervisor tell of reads of its files, if its workload's keep wants to know. */
void phial_live_watch_reads(const struct phial_worker *worker, struct phial_record *record);

/*
 * Begin to take away what the container may not have any more, unless a newer version takes its
 * place in the rotation that follows (record->live.is_urgent then). Returns whether there is
 * anything.
 */
bool phial_live_remove_what_must_go(struct phial_worker *worker, struct phial_record *record,
				    const struct phial_live_grant *grant);

/*
 * Begin to give it record->live.next: the entry for the audit log goes first, and when that is
 * durable phial_live_rotate() is to be called.
 */
void phial_live_begin_rotation(struct phial_worker *worker, struct phial_record *record);
void phial_live_rotate(struct phial_worker *worker, struct phial_record *record);

/* Begin to wipe the generation before. */
void phial_live_wipe_old(struct phial_worker *worker, struct phial_record *record);

/* The step under way has come to its end, or has failed: then the container is as it was. */
void phial_live_end_step(struct phial_worker *worker, struct phial_record *record,
			 enum phial_status status, const char *text);

#endif
