/* SPDX-License-Identifier: ISC */
/*
 * What the worker counts for Prometheus, and when the supervisor is to write it. Counts begin anew
 * with each worker, which Prometheus knows how to take. Knows no text and no file.
 */
#include "agent/metrics.h"

#include <string.h>

#include "agent/expiry.h"
#include "agent/link.h"
#include "agent/log.h"
#include "agent/revocations.h"
#include "agent/worker.h"
#include "base/cleanup.h"

#define WRITE_MIN_MS 5000
#define WRITE_MAX_MS 60000

void phial_metrics_add(struct phial_worker *worker, enum phial_metric metric, uint64_t count)
{
	worker->counts.metrics.values[metric] += count;
}

void phial_metrics_refuse(struct phial_worker *worker, struct phial_client *client,
			  enum phial_refusal refusal)
{
	worker->counts.metrics.refusals[refusal] += !client->is_refused;
	client->is_refused = true;
}

void phial_metrics_fail_gates(struct phial_worker *worker, unsigned int gates)
{
	for (unsigned int i = 0; i < PHIAL_METRICS_GATES; i++) {
		worker->counts.metrics.gates[i] += gates >> i & 1;
	}
}

enum phial_refusal phial_metrics_refusal(enum phial_status status)
{
	static const struct {
		enum phial_status status;
		enum phial_refusal refusal;
	} known[] = {
		{ PHIAL_REFUSED, PHIAL_REFUSAL_POLICY },
		{ PHIAL_NOT_FOUND, PHIAL_REFUSAL_NOT_FOUND },
		{ PHIAL_NOT_RECIPIENT, PHIAL_REFUSAL_NOT_RECIPIENT },
		{ PHIAL_EXPIRED, PHIAL_REFUSAL_EXPIRED },
		{ PHIAL_REVOKED, PHIAL_REFUSAL_REVOKED },
		{ PHIAL_ROLLBACK, PHIAL_REFUSAL_ROLLBACK },
		{ PHIAL_TAMPERED, PHIAL_REFUSAL_TAMPERED },
		{ PHIAL_UNTRUSTED, PHIAL_REFUSAL_UNTRUSTED },
		{ PHIAL_MALFORMED, PHIAL_REFUSAL_MALFORMED },
		{ PHIAL_TOO_LARGE, PHIAL_REFUSAL_TOO_LARGE },
		{ PHIAL_UNSUPPORTED, PHIAL_REFUSAL_UNSUPPORTED },
		{ PHIAL_SYSTEM, PHIAL_REFUSAL_SYSTEM },
		{ PHIAL_GONE, PHIAL_REFUSAL_GONE },
	};

	for (size_t i = 0; i < PHIAL_COUNT(known); i++) {
		if (known[i].status == status) {
			return known[i].refusal;
		}
	}
	return PHIAL_REFUSAL_OTHER;
}

void phial_metrics_set_lag(struct phial_worker *worker, int64_t loaded_ms)
{
	int64_t now_ms = phial_worker_clock_ms();

	if (loaded_ms > 0 && loaded_ms <= now_ms) {
		worker->counts.metrics.values[PHIAL_METRIC_ROTATION_LAG] =
			(uint64_t)(now_ms - loaded_ms);
	}
}

/* --- what is now ---------------------------------------------------------------------------- */

static void look_at_secrets(const struct phial_worker *worker, uint64_t *values)
{
	for (size_t i = 0; i < worker->index.count; i++) {
		const struct phial_entry *entry = &worker->index.entries[i];
		bool is_loaded = phial_loaded_exists(&entry->loaded);

		values[PHIAL_METRIC_SECRETS_LOADED] += is_loaded;
		values[PHIAL_METRIC_SECRETS_MISSING] += entry->is_missing;
		values[PHIAL_METRIC_SECRETS_REFUSED] +=
			entry->status != PHIAL_OK && !phial_entry_is_foreign(entry);
	}
	values[PHIAL_METRIC_SECRETS_REFUSED] += worker->file_problem_count;
	values[PHIAL_METRIC_NEXT_EXPIRY] = (uint64_t)phial_expiry_next_s(worker);
	values[PHIAL_METRIC_STORE_PROBLEM] = worker->store_problem[0] != '\0';
}

static void look_at_containers(const struct phial_worker *worker, uint64_t *values)
{
	for (const struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		values[PHIAL_METRIC_CONTAINERS] += r->is_committed;
		values[PHIAL_METRIC_CONTAINERS_BEHIND] +=
			r->is_committed && r->live.problem[0] != '\0';
	}
}

static void look_at_revocations(const struct phial_worker *worker, uint64_t *values)
{
	for (size_t i = 0; i < phial_revocations_count(worker->revocations); i++) {
		const struct phial_revocation *one = phial_revocations_at(worker->revocations, i);
		bool is_override = one->scope == PHIAL_REVOKED_OVERRIDE;

		values[PHIAL_METRIC_REVOCATIONS] += !is_override;
		values[PHIAL_METRIC_OVERRIDES] += is_override && one->is_in_force;
	}
}

static void look_at_quota(const struct phial_worker *worker, uint64_t *values)
{
	struct phial_link_answer answer;

	if (phial_link_call(worker->start->call_fd, PHIAL_LINK_QUOTA, NULL, 0, NULL, &answer,
			    NULL) != PHIAL_OK) {
		return;
	}
	values[PHIAL_METRIC_KEYS_USED] = answer.quota.keys_used;
	values[PHIAL_METRIC_KEYS_MAX] = answer.quota.keys_max;
	values[PHIAL_METRIC_KEY_BYTES_USED] = answer.quota.bytes_used;
	values[PHIAL_METRIC_KEY_BYTES_MAX] = answer.quota.bytes_max;
}

/* What was counted, and what there is now. */
static struct phial_metrics take(const struct phial_worker *worker)
{
	struct phial_metrics metrics = worker->counts.metrics;

	look_at_secrets(worker, metrics.values);
	look_at_containers(worker, metrics.values);
	look_at_revocations(worker, metrics.values);
	look_at_quota(worker, metrics.values);
	metrics.values[PHIAL_METRIC_WORKER_RESTARTS] = worker->start->restarts;
	metrics.values[PHIAL_METRIC_AUDIT_PROBLEM] = worker->audit.problem[0] != '\0';
	metrics.values[PHIAL_METRIC_AUDIT_COPY_LOST] = worker->audit.copy_lost;
	return metrics;
}

/* --- writing -------------------------------------------------------------------------------- */

static void write_file(struct phial_worker *worker, const struct phial_metrics *metrics)
{
	struct phial_counts *counts = &worker->counts;
	struct phial_link_answer answer;
	struct phial_error err = { .status = PHIAL_OK };

	if (phial_link_call(worker->start->call_fd, PHIAL_LINK_METRICS, metrics, sizeof(*metrics),
			    NULL, &answer, &err) != PHIAL_OK) {
		if (strcmp(counts->problem, err.text) != 0) {
			phial_log("metrics are not written: %s", err.text);
		}
	} else if (counts->problem[0] != '\0') {
		phial_log("metrics are written again");
	}
	memcpy(counts->problem, err.text, sizeof(counts->problem));
	counts->written = *metrics;
	counts->written_ms = counts->looked_ms;
}

int64_t phial_metrics_run(struct phial_worker *worker)
{
	struct phial_counts *counts = &worker->counts;
	int64_t now_ms = phial_worker_clock_ms();

	if (!worker->start->options->metrics || !worker->is_loaded) {
		return -1;
	}
	if (counts->looked_ms != 0 && now_ms - counts->looked_ms < WRITE_MIN_MS) {
		counts->is_idle = false; /* something woke the worker: look again when it is time */
		return counts->looked_ms + WRITE_MIN_MS - now_ms;
	}
	struct phial_metrics metrics = take(worker);

	counts->is_idle = memcmp(&metrics, &counts->written, sizeof(metrics)) == 0;
	counts->looked_ms = now_ms;
	if (!counts->is_idle || now_ms - counts->written_ms >= WRITE_MAX_MS) {
		write_file(worker, &metrics);
	}
	return counts->is_idle ? counts->written_ms + WRITE_MAX_MS - now_ms : WRITE_MIN_MS;
}
