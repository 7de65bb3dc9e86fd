/* SPDX-License-Identifier: ISC */
/*
 * Running containers: what each has is compared with what it may have now, and a difference
 * becomes a job on its mount. Rotation, expiry, revocation, removal after use and a changed policy
 * are all the same to it: whoever changes what containers may have calls phial_live_review().
 * docs/life.md describes it.
 */
#ifndef PHIAL_AGENT_LIVE_H
#define PHIAL_AGENT_LIVE_H

#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

struct phial_worker;
struct phial_record;
struct phial_live_look;

/* Jobs under way at once: starts of other containers come in between. */
#define PHIAL_LIVE_JOBS_MAX 8

/* Something that containers may have has changed: all are looked at in the next turn of the loop. */
void phial_live_review(struct phial_worker *worker);

/*
 * The same after a revocation of a name: what an old generation holds of it goes at once, too, and
 * not after its grace time.
 */
void phial_live_revoked(struct phial_worker *worker, const char *name);

/* A container's start has come to its end, or it is held again: begin with it. */
void phial_live_begin(struct phial_worker *worker, struct phial_record *record);

/* A job on a container's mount is done. number: of its record; one that is unknown is ignored. */
void phial_live_on_done(struct phial_worker *worker, uint64_t number, enum phial_status status,
			const char *text);

/* The audit entry of a change is durable, or has failed. */
void phial_live_on_audited(struct phial_worker *worker, uint64_t request, enum phial_status status,
			   const char *text);

/* A container says that it is ready: with keep "until-ready" its secrets go. */
void phial_live_on_ready(struct phial_worker *worker, struct phial_record *record);

/* One of its files was read and closed: with keep "until-read" it goes. */
void phial_live_on_read(struct phial_worker *worker, uint64_t number, const char *file);

/* How many live containers still have a secret that they may not have any more. */
size_t phial_live_unsettled(const struct phial_worker *worker, const char *secret);

/*
 * Do what is due. Called in each turn of the loop; costs nothing when nothing is due. Returns when
 * the next thing is, in milliseconds since boot, or -1. Waits for nothing but the supervisor.
 */
int64_t phial_live_run(struct phial_worker *worker);

#endif
