/* SPDX-License-Identifier: ISC */
/*
 * Versions whose time has come: their keys leave the ring, what was in containers goes by
 * phial_live_review(). A version ends at its own not-after, and for a workload with a ttl so long
 * after it was sealed; its key stays as long as any workload may have it. docs/expiry.md.
 */
#ifndef PHIAL_AGENT_EXPIRY_H
#define PHIAL_AGENT_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

#include <phial/error.h>

struct phial_worker;
struct phial_entry;

/*
 * When does a version end for a workload? All in seconds since 1970, ttl_s a length. 0: not known
 * (created_s), none (the others). Returns 0 if never.
 */
int64_t phial_expiry_end_s(int64_t not_after_s, int64_t created_s, int64_t ttl_s);

/* The policy or the names have been read: find out for each entry which ttl and warnings it has. */
void phial_expiry_prepare(struct phial_worker *worker);

/*
 * Is there anybody who may have a version now? not_after_s, created_s: of its header. Returns PHIAL_OK,
 * or PHIAL_EXPIRED with the reason and what to do.
 */
PHIAL_CHECKED enum phial_status phial_expiry_check(const struct phial_worker *worker,
						   const struct phial_entry *entry,
						   int64_t not_after_s, int64_t created_s,
						   struct phial_error *err);

/* The store was read, or the clock was set: all is looked at in the next turn of the loop. */
void phial_expiry_review(struct phial_worker *worker);

/*
 * The clock was set, and with it the kernel's timeouts of keys, which are meant to come after the
 * agent's: what the kernel has ended before its time is loaded again.
 */
void phial_expiry_find_lost_keys(struct phial_worker *worker);

/*
 * Do what is due: drop keys, warn. Called in each turn of the loop; costs nothing when nothing is
 * due. Returns when the next thing is, in milliseconds since boot, or -1.
 */
int64_t phial_expiry_run(struct phial_worker *worker);

/* When the first workload loses what is loaded of an entry, in seconds since 1970; 0: never. */
int64_t phial_expiry_first_s(const struct phial_entry *entry);

/* Is that so soon that somebody should know? */
bool phial_expiry_must_warn(const struct phial_worker *worker, const struct phial_entry *entry);

/* The soonest of all, in seconds since 1970, for metrics; 0: nothing that is loaded expires. */
int64_t phial_expiry_next_s(const struct phial_worker *worker);

#endif
