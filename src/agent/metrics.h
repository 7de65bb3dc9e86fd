/* SPDX-License-Identifier: ISC */
/*
 * Numbers for Prometheus: what happened since the worker began, and what is now. The worker counts,
 * the supervisor writes them as text to the file of --metrics (docs/metrics.md). Only numbers pass
 * between them: a worker that was taken over cannot put a value into a file that all may read.
 */
#ifndef PHIAL_AGENT_METRICS_H
#define PHIAL_AGENT_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include <phial/error.h>

struct phial_worker;
struct phial_client;
struct phial_text;

enum phial_metric {
	PHIAL_METRIC_SECRETS_LOADED,
	PHIAL_METRIC_SECRETS_REFUSED,
	PHIAL_METRIC_SECRETS_MISSING,
	PHIAL_METRIC_STORE_PROBLEM,
	PHIAL_METRIC_CONTAINERS,
	PHIAL_METRIC_CONTAINERS_BEHIND,
	PHIAL_METRIC_RELEASES,
	PHIAL_METRIC_ROTATIONS,
	PHIAL_METRIC_ROTATION_LAG, /* milliseconds; the text has seconds */
	PHIAL_METRIC_REMOVALS,
	PHIAL_METRIC_REVOCATIONS,
	PHIAL_METRIC_OVERRIDES,
	PHIAL_METRIC_NEXT_EXPIRY, /* seconds since 1970; 0: none, and not in the text */
	PHIAL_METRIC_KEYS_USED,
	PHIAL_METRIC_KEYS_MAX,
	PHIAL_METRIC_KEY_BYTES_USED,
	PHIAL_METRIC_KEY_BYTES_MAX,
	PHIAL_METRIC_WORKER_RESTARTS,
	PHIAL_METRIC_AUDIT_PROBLEM,
	PHIAL_METRIC_AUDIT_LOST,
	PHIAL_METRIC_AUDIT_COPY_LOST,
	PHIAL_METRIC_COUNT,
};

/* Why a start was refused, in words that alerts can rely on. */
enum phial_refusal {
	PHIAL_REFUSAL_OTHER,
	PHIAL_REFUSAL_GATE,
	PHIAL_REFUSAL_BUSY,  /* too many starts of its workload at once */
	PHIAL_REFUSAL_AUDIT, /* it could not be written down */
	PHIAL_REFUSAL_POLICY,
	PHIAL_REFUSAL_NOT_FOUND,
	PHIAL_REFUSAL_NOT_RECIPIENT,
	PHIAL_REFUSAL_EXPIRED,
	PHIAL_REFUSAL_REVOKED,
	PHIAL_REFUSAL_ROLLBACK,
	PHIAL_REFUSAL_TAMPERED,
	PHIAL_REFUSAL_UNTRUSTED,
	PHIAL_REFUSAL_MALFORMED,
	PHIAL_REFUSAL_TOO_LARGE,
	PHIAL_REFUSAL_UNSUPPORTED,
	PHIAL_REFUSAL_SYSTEM,
	PHIAL_REFUSAL_GONE, /* the start did not come to its end */
	PHIAL_REFUSAL_COUNT,
};

/* Bits of enum phial_gate. */
#define PHIAL_METRICS_GATES 10

/* All of it, as it goes to the supervisor. */
struct phial_metrics {
	uint64_t values[PHIAL_METRIC_COUNT];
	uint64_t refusals[PHIAL_REFUSAL_COUNT];
	uint64_t gates[PHIAL_METRICS_GATES];
};

/* The worker's: what it has counted (the rest is looked up), and when to write next. */
struct phial_counts {
	struct phial_metrics metrics;
	struct phial_metrics written;
	int64_t looked_ms; /* boot time; 0: never */
	int64_t written_ms;
	bool is_idle; /* nothing had changed at the last look, and nothing happened since */
	char problem[PHIAL_ERROR_TEXT_BYTES]; /* why the file could not be written; empty: it was */
};

/* Count one more, of what is only ever counted up. */
void phial_metrics_add(struct phial_worker *worker, enum phial_metric metric, uint64_t count);

/* Count a client's start as refused; only the first reason counts. */
void phial_metrics_refuse(struct phial_worker *worker, struct phial_client *client,
			  enum phial_refusal refusal);

/* Count gates that a start did not meet. gates: a set of enum phial_gate. */
void phial_metrics_fail_gates(struct phial_worker *worker, unsigned int gates);

/* The reason for a class of failure. */
enum phial_refusal phial_metrics_refusal(enum phial_status status);

/* A container has a version now that was loaded then, in milliseconds since boot; 0: not known. */
void phial_metrics_set_lag(struct phial_worker *worker, int64_t loaded_ms);

/*
 * Have the file written when something has changed, at most every five seconds, and once a minute
 * in any case. Called in each turn of the loop. Returns how long to wait for the next look, in
 * milliseconds, or -1. What cannot be written is logged once.
 */
int64_t phial_metrics_run(struct phial_worker *worker);

/* Write all as Prometheus' text format. Sets text->has_failed when it does not fit. */
void phial_metrics_format(const struct phial_metrics *metrics, struct phial_text *text);

#endif
