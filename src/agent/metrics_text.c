/* SPDX-License-Identifier: ISC */
/*
 * Prometheus' text format: names, types and help of every metric. Pure; the supervisor writes what
 * comes of it to the file. Names never change their meaning (docs/metrics.md).
 */
#include "agent/metrics.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "policy/policy.h"

struct description {
	const char *name;
	const char *type;
	const char *help;
};

static const struct description descriptions[PHIAL_METRIC_COUNT] = {
	[PHIAL_METRIC_SECRETS_LOADED] = { "phial_secrets_loaded", "gauge",
					  "Secrets that are in the keyring." },
	[PHIAL_METRIC_SECRETS_REFUSED] = { "phial_secrets_refused", "gauge",
					   "Files of the store that are refused now." },
	[PHIAL_METRIC_SECRETS_MISSING] = { "phial_secrets_missing", "gauge",
					   "Loaded secrets whose file is gone from the store." },
	[PHIAL_METRIC_STORE_PROBLEM] = { "phial_store_problem", "gauge",
					 "1 if the store as a whole cannot be used as it is." },
	[PHIAL_METRIC_CONTAINERS] = { "phial_containers", "gauge",
				      "Running containers that have secrets." },
	[PHIAL_METRIC_CONTAINERS_BEHIND] = { "phial_containers_behind", "gauge",
					     "Running containers that could not be given what they "
					     "may have now." },
	[PHIAL_METRIC_RELEASES] = { "phial_releases_total", "counter",
				    "Containers that were started with secrets." },
	[PHIAL_METRIC_ROTATIONS] = { "phial_rotations_total", "counter",
				     "New sets of secrets put into running containers." },
	[PHIAL_METRIC_ROTATION_LAG] = { "phial_rotation_lag_seconds", "gauge",
					"From the load of a version until the container that got "
					"it last had it." },
	[PHIAL_METRIC_REMOVALS] = { "phial_removals_total", "counter",
				    "Files taken from running containers: expired, revoked, no "
				    "longer granted, or used." },
	[PHIAL_METRIC_REVOCATIONS] = { "phial_revocations_total", "counter",
				       "Revocations on this host; kept over restarts." },
	[PHIAL_METRIC_OVERRIDES] = { "phial_overrides", "gauge", "Overrides in force." },
	[PHIAL_METRIC_NEXT_EXPIRY] = { "phial_next_expiry_timestamp_seconds", "gauge",
				       "When the next loaded secret expires, since 1970; absent if "
				       "none does." },
	[PHIAL_METRIC_KEYS_USED] = { "phial_key_quota_used_keys", "gauge",
				     "Kernel keys that the agent's user has." },
	[PHIAL_METRIC_KEYS_MAX] = { "phial_key_quota_max_keys", "gauge",
				    "Kernel keys that the agent's user may have." },
	[PHIAL_METRIC_KEY_BYTES_USED] = { "phial_key_quota_used_bytes", "gauge",
					  "Bytes of kernel keys that the agent's user has." },
	[PHIAL_METRIC_KEY_BYTES_MAX] = { "phial_key_quota_max_bytes", "gauge",
					 "Bytes of kernel keys that the agent's user may have." },
	[PHIAL_METRIC_WORKER_RESTARTS] = { "phial_worker_restarts_total", "counter",
					   "Workers that ended and were replaced." },
	[PHIAL_METRIC_AUDIT_PROBLEM] = { "phial_audit_problem", "gauge",
					 "1 if the audit log cannot be written." },
	[PHIAL_METRIC_AUDIT_LOST] = { "phial_audit_lost_total", "counter",
				      "Entries that are missing from the audit log." },
	[PHIAL_METRIC_AUDIT_COPY_LOST] = { "phial_audit_copy_lost_total", "counter",
					   "Entries of the audit log that did not go to syslog." },
};

static const char *const reasons[PHIAL_REFUSAL_COUNT] = {
	[PHIAL_REFUSAL_OTHER] = "other",
	[PHIAL_REFUSAL_GATE] = "gate",
	[PHIAL_REFUSAL_BUSY] = "busy",
	[PHIAL_REFUSAL_AUDIT] = "audit",
	[PHIAL_REFUSAL_POLICY] = "policy",
	[PHIAL_REFUSAL_NOT_FOUND] = "not_found",
	[PHIAL_REFUSAL_NOT_RECIPIENT] = "not_recipient",
	[PHIAL_REFUSAL_EXPIRED] = "expired",
	[PHIAL_REFUSAL_REVOKED] = "revoked",
	[PHIAL_REFUSAL_ROLLBACK] = "rollback",
	[PHIAL_REFUSAL_TAMPERED] = "tampered",
	[PHIAL_REFUSAL_UNTRUSTED] = "untrusted",
	[PHIAL_REFUSAL_MALFORMED] = "malformed",
	[PHIAL_REFUSAL_TOO_LARGE] = "too_large",
	[PHIAL_REFUSAL_UNSUPPORTED] = "unsupported",
	[PHIAL_REFUSAL_SYSTEM] = "system",
	[PHIAL_REFUSAL_GONE] = "gone",
};

static void add_head(struct phial_text *text, const struct description *description)
{
	phial_text_add(text, "# HELP %s %s\n# TYPE %s %s\n", description->name, description->help,
		       description->name, description->type);
}

static void add_value(struct phial_text *text, const struct phial_metrics *metrics,
		      enum phial_metric metric)
{
	const struct description *description = &descriptions[metric];
	uint64_t value = metrics->values[metric];

	if (metric == PHIAL_METRIC_NEXT_EXPIRY && value == 0) {
		return;
	}
	add_head(text, description);
	if (metric == PHIAL_METRIC_ROTATION_LAG) {
		phial_text_add(text, "%s %" PRIu64 ".%03" PRIu64 "\n", description->name,
			       value / 1000, value % 1000);
	} else {
		phial_text_add(text, "%s %" PRIu64 "\n", description->name, value);
	}
}

/* With every label from the start: a counter that appears with its first count hides it. */
static void add_refusals(struct phial_text *text, const struct phial_metrics *metrics)
{
	static const struct description refusals = { "phial_refusals_total", "counter",
						     "Starts of containers that were refused." };
	static const struct description gates = {
		"phial_gate_refusals_total", "counter",
		"Starts that a gate refused, by each gate that was not met."
	};

	add_head(text, &refusals);
	for (size_t i = 0; i < PHIAL_REFUSAL_COUNT; i++) {
		phial_text_add(text, "%s{reason=\"%s\"} %" PRIu64 "\n", refusals.name, reasons[i],
			       metrics->refusals[i]);
	}
	add_head(text, &gates);
	for (unsigned int i = 0; i < PHIAL_METRICS_GATES; i++) {
		const char *gate = phial_gate_name(1U << i);

		if (gate) {
			phial_text_add(text, "%s{gate=\"%s\"} %" PRIu64 "\n", gates.name, gate,
				       metrics->gates[i]);
		}
	}
}

void phial_metrics_format(const struct phial_metrics *metrics, struct phial_text *text)
{
	static const struct description build = { "phial_build_info", "gauge",
						  "1, with the agent's version." };

	add_head(text, &build);
	phial_text_add(text, "%s{version=\"%s\"} 1\n", build.name, PHIAL_VERSION);
	for (size_t i = 0; i < PHIAL_METRIC_COUNT; i++) {
		add_value(text, metrics, (enum phial_metric)i);
	}
	add_refusals(text, metrics);
}
