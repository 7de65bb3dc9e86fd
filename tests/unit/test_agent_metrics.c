/* SPDX-License-Identifier: ISC */
/*
 * Numbers for Prometheus: their text, which only numbers come into, and how refusals are counted.
 * The file, and a real parser's opinion of it, are tests/e2e/metrics.sh's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/metrics.h"
#include "agent/worker.h"
#include "base/text.h"

static bool has_line(const struct phial_text *text, const char *line)
{
	const char *found = strstr(text->bytes, line);

	return found && (found == text->bytes || found[-1] == '\n') && found[strlen(line)] == '\n';
}

static void every_number_has_its_line(void **state)
{
	(void)state;
	phial_auto_text struct phial_text text = { .max = 65536 };
	struct phial_metrics metrics = { .values = { 0 } };

	for (size_t i = 0; i < PHIAL_METRIC_COUNT; i++) {
		metrics.values[i] = 1000 + i;
	}
	metrics.values[PHIAL_METRIC_RELEASES] = UINT64_MAX;
	metrics.refusals[PHIAL_REFUSAL_GATE] = 7;
	metrics.gates[0] = 5;
	phial_metrics_format(&metrics, &text);
	assert_false(text.has_failed);
	assert_true(has_line(&text, "phial_build_info{version=\"" PHIAL_VERSION "\"} 1"));
	assert_true(has_line(&text, "# TYPE phial_releases_total counter"));
	assert_true(has_line(&text, "phial_releases_total 18446744073709551615"));
	assert_true(has_line(&text, "phial_secrets_loaded 1000"));
	assert_true(has_line(&text, "phial_rotation_lag_seconds 1.008"));
	assert_true(has_line(&text, "phial_refusals_total{reason=\"gate\"} 7"));
	assert_true(has_line(&text, "phial_refusals_total{reason=\"gone\"} 0"));
	assert_true(has_line(&text, "phial_gate_refusals_total{gate=\"non_root\"} 5"));
	assert_true(has_line(&text, "phial_gate_refusals_total{gate=\"pids_limit\"} 0"));
	assert_null(strstr(text.bytes, "(null)"));
}

static void what_is_not_known_is_not_there(void **state)
{
	(void)state;
	phial_auto_text struct phial_text text = { .max = 65536 };
	const struct phial_metrics metrics = { .values = { 0 } };

	phial_metrics_format(&metrics, &text);
	assert_null(strstr(text.bytes, "phial_next_expiry"));
	assert_true(has_line(&text, "phial_rotation_lag_seconds 0.000"));
}

/* A start is refused once, whatever is found wrong with it afterwards. */
static void the_first_reason_counts(void **state)
{
	(void)state;
	struct phial_worker *worker = calloc(1, sizeof(*worker));
	struct phial_client client = { .state = PHIAL_CLIENT_HOOK_START };

	assert_non_null(worker);
	const uint64_t *refusals = worker->counts.metrics.refusals;

	phial_metrics_refuse(worker, &client, PHIAL_REFUSAL_AUDIT);
	phial_metrics_refuse(worker, &client, PHIAL_REFUSAL_GONE);
	assert_int_equal(refusals[PHIAL_REFUSAL_AUDIT], 1);
	assert_int_equal(refusals[PHIAL_REFUSAL_GONE], 0);
	phial_metrics_fail_gates(worker, PHIAL_GATE_PRIVATE_PID | PHIAL_GATE_PIDS_LIMIT);
	assert_int_equal(worker->counts.metrics.gates[5], 1);
	assert_int_equal(worker->counts.metrics.gates[9], 1);
	assert_int_equal(worker->counts.metrics.gates[0], 0);
	free(worker);
}

static void each_class_has_a_reason(void **state)
{
	(void)state;
	assert_int_equal(phial_metrics_refusal(PHIAL_EXPIRED), PHIAL_REFUSAL_EXPIRED);
	assert_int_equal(phial_metrics_refusal(PHIAL_REVOKED), PHIAL_REFUSAL_REVOKED);
	assert_int_equal(phial_metrics_refusal(PHIAL_REFUSED), PHIAL_REFUSAL_POLICY);
	assert_int_equal(phial_metrics_refusal(PHIAL_USAGE), PHIAL_REFUSAL_OTHER);
	assert_int_equal(phial_metrics_refusal((enum phial_status)999), PHIAL_REFUSAL_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number_has_its_line),
		cmocka_unit_test(what_is_not_known_is_not_there),
		cmocka_unit_test(the_first_reason_counts),
		cmocka_unit_test(each_class_has_a_reason),
	};

	return cmocka_run_group_tests_name("agent: metrics", tests, NULL, NULL);
}
