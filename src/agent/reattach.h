/* SPDX-License-Identifier: ISC */
/*
 * The worker's side of recovery: containers that an earlier agent started, found by their records.
 * Those that still run are held again; those that have ended are forgotten; of the others it is
 * known why not. The supervisor does it (supervisor_reattach.c), a few at a time.
 */
#ifndef PHIAL_AGENT_REATTACH_H
#define PHIAL_AGENT_REATTACH_H

#include <stdint.h>

#include "agent/link.h"

struct phial_worker;
struct phial_record;

/* Try every container that is not held, soon: at the start and at a reload. Does not block. */
void phial_reattach_all(struct phial_worker *worker);

/*
 * Ask for as many as the supervisor takes. Called in each turn of the loop. Returns when it wants to
 * be called again at the latest, in milliseconds since boot, or -1.
 */
int64_t phial_reattach_run(struct phial_worker *worker);

/* The supervisor holds a container again, or could not take it back. result: its text ends. */
void phial_reattach_on_done(struct phial_worker *worker, const struct phial_link_result *result);

/* Why a container that runs is not held: a text of the record; NULL if it is, or being tried. */
const char *phial_reattach_problem(const struct phial_record *record);

#endif
