/* SPDX-License-Identifier: ISC */
/*
 * The life of a workload's secrets: the keys of policy.json that say how long they stay, how
 * they change and who is told. What cannot be had together is refused here, so that nobody
 * finds out at night that it was ignored. Carries nothing out.
 */
#include "policy/reader.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/signal_name.h"

#define SECOND_MS      INT64_C(1000)
#define MINUTE_MS      (60 * SECOND_MS)
#define HOUR_MS	       (60 * MINUTE_MS)
#define DAY_MS	       (24 * HOUR_MS)
#define LONGEST_MS     (3650 * DAY_MS)
#define READ_LINGER_MS (5 * SECOND_MS)

const struct phial_life *phial_workload_life(const struct phial_workload *entry)
{
	static const struct phial_life convention = {
		.keep = PHIAL_KEEP_FOREVER,
		.grace_ms = 30 * SECOND_MS,
		.warn_before_s = 7 * DAY_MS / SECOND_MS,
	};

	return entry ? &entry->life : &convention;
}

const struct phial_life *phial_policy_life(const struct phial_policy *policy, const char *workload)
{
	return phial_workload_life(phial_policy_find(policy, workload));
}

/* --- one key each --------------------------------------------------------------------- */

/* Read a length of time of min to max milliseconds, if it is there. */
static void read_duration(struct phial_policy_reader *reader, const struct phial_json *value,
			  int64_t min_ms, int64_t max_ms, int64_t *ret_ms)
{
	const char *text = phial_json_string(value);
	char min[PHIAL_DURATION_TEXT_BYTES];
	char max[PHIAL_DURATION_TEXT_BYTES];

	if (!value || (text && phial_parse_duration(phial_span_of(text), min_ms, max_ms, ret_ms))) {
		return;
	}
	phial_format_duration(min_ms, min);
	phial_format_duration(max_ms, max);
	phial_policy_add_problem(reader, value,
				 "%s must be a string with a whole number and ms, s, m, h or d, "
				 "from \"%s\" to \"%s\"",
				 phial_json_key(value), min, max);
}

/* The same in whole seconds. */
static void read_seconds(struct phial_policy_reader *reader, const struct phial_json *value,
			 int64_t min_ms, int64_t *ret_seconds)
{
	int64_t ms = *ret_seconds * SECOND_MS;

	read_duration(reader, value, min_ms, LONGEST_MS, &ms);
	if (ms % SECOND_MS != 0) {
		phial_policy_add_problem(reader, value, "%s must be whole seconds",
					 phial_json_key(value));
	}
	*ret_seconds = ms / SECOND_MS;
}

static void read_keep(struct phial_policy_reader *reader, const struct phial_json *value,
		      struct phial_life *life)
{
	static const struct {
		const char *name;
		enum phial_keep keep;
		int64_t linger_ms;
	} words[] = {
		{ "forever", PHIAL_KEEP_FOREVER, 0 },
		{ "until-ready", PHIAL_KEEP_UNTIL_READY, 0 },
		{ "until-read", PHIAL_KEEP_UNTIL_READ, READ_LINGER_MS },
	};
	const char *text = phial_json_string(value);

	if (!value) {
		return;
	}
	for (size_t i = 0; text && i < PHIAL_COUNT(words); i++) {
		if (strcmp(text, words[i].name) == 0) {
			life->keep = words[i].keep;
			life->linger_ms = words[i].linger_ms;
			return;
		}
	}
	life->keep = PHIAL_KEEP_TIME;
	if (!text ||
	    !phial_parse_duration(phial_span_of(text), SECOND_MS, LONGEST_MS, &life->keep_ms)) {
		phial_policy_add_problem(reader, value,
					 "keep must be \"forever\", \"until-ready\", "
					 "\"until-read\" or a time after the start, from \"1s\" to "
					 "\"3650d\"");
	}
}

static void read_signal(struct phial_policy_reader *reader, const struct phial_json *value,
			struct phial_life *life)
{
	const char *name = phial_json_string(value);

	life->notify_signal = name ? phial_signal_parse(name) : 0;
	if (name && (strcmp(name, "SIGKILL") == 0 || strcmp(name, "SIGSTOP") == 0)) {
		phial_policy_add_problem(reader, value,
					 "no program can answer %s; to have it end, send SIGTERM",
					 name);
	} else if (life->notify_signal == 0) {
		phial_policy_add_problem(reader, value, "a signal is " PHIAL_SIGNAL_NAMES);
	}
}

static void read_process(struct phial_policy_reader *reader, const struct phial_json *value,
			 struct phial_life *life)
{
	const char *name = phial_json_string(value);
	bool is_good = name && name[0] != '\0' &&
		       phial_span_copy(phial_span_of(name), life->notify_process,
				       sizeof(life->notify_process));

	for (const char *c = name; is_good && *c != '\0'; c++) {
		is_good = *c >= 0x20 && *c <= 0x7e;
	}
	if (value && !is_good) {
		phial_policy_add_problem(
			reader, value,
			"process must be a name as /proc/PID/comm has it: 1 to 15 "
			"printable ASCII characters (the kernel cuts longer ones)");
	}
}

static void read_notify(struct phial_policy_reader *reader, const struct phial_json *value,
			struct phial_life *life)
{
	static const char *const keys[] = { "signal", "process" };

	if (!value) {
		return;
	}
	if (phial_json_string(value)) {
		read_signal(reader, value, life);
		return;
	}
	if (phial_policy_is_other_type(reader, value, PHIAL_JSON_OBJECT,
				       "a signal or {\"signal\", \"process\"}")) {
		return;
	}
	const struct phial_json *name = phial_json_member(value, "signal");

	phial_policy_check_keys(reader, value, keys, PHIAL_COUNT(keys));
	read_signal(reader, name ? name : value, life);
	read_process(reader, phial_json_member(value, "process"), life);
}

/* --- what cannot be had together ------------------------------------------------------ */

/* A time that a shorter one cuts would never be what it says. */
static void check_within(struct phial_policy_reader *reader, const struct phial_json *value,
			 int64_t value_ms, int64_t limit_ms, const char *limit_name)
{
	char limit[PHIAL_DURATION_TEXT_BYTES];

	if (!value || limit_ms == 0 || value_ms <= limit_ms) {
		return;
	}
	phial_format_duration(limit_ms, limit);
	phial_policy_add_problem(reader, value, "%s cannot be longer than %s (\"%s\")",
				 phial_json_key(value), limit_name, limit);
}

/*
 * A signal after the rotation of what was read: with until-* there is none, since what was read is
 * on its way out, and a program that has not said "ready" may not have its handler yet.
 */
static void check_keep(struct phial_policy_reader *reader, const struct phial_json *workload,
		       const struct phial_life *life)
{
	const struct phial_json *notify = phial_json_member(workload, "notify");
	const struct phial_json *linger = phial_json_member(workload, "linger");

	if (linger && (life->keep == PHIAL_KEEP_FOREVER || life->keep == PHIAL_KEEP_TIME)) {
		phial_policy_add_problem(reader, linger,
					 "linger has a meaning only with keep \"until-ready\" or "
					 "\"until-read\"");
	}
	if (notify && life->keep == PHIAL_KEEP_UNTIL_READY) {
		phial_policy_add_problem(
			reader, notify,
			"notify cannot be had with keep \"until-ready\": before it "
			"is ready a program may have no handler, and afterwards "
			"there is nothing to rotate");
	}
	if (notify && life->keep == PHIAL_KEEP_UNTIL_READ) {
		phial_policy_add_problem(reader, notify,
					 "notify cannot be had with keep \"until-read\": what was "
					 "read is removed and not rotated");
	}
}

void phial_policy_read_life(struct phial_policy_reader *reader, const struct phial_json *workload,
			    struct phial_life *life)
{
	const struct phial_json *grace = phial_json_member(workload, "grace");
	const struct phial_json *warn_before = phial_json_member(workload, "warn_before");
	size_t problems_before = reader->problem_count;

	read_keep(reader, phial_json_member(workload, "keep"), life);
	read_duration(reader, phial_json_member(workload, "linger"), 0, DAY_MS, &life->linger_ms);
	read_duration(reader, grace, 0, HOUR_MS, &life->grace_ms);
	read_seconds(reader, phial_json_member(workload, "ttl"), MINUTE_MS, &life->ttl_s);
	read_seconds(reader, warn_before, 0, &life->warn_before_s);
	read_notify(reader, phial_json_member(workload, "notify"), life);
	if (reader->problem_count > problems_before) {
		return;
	}
	check_keep(reader, workload, life);
	check_within(reader, grace, life->grace_ms, life->keep_ms, "keep");
	check_within(reader, grace, life->grace_ms, life->ttl_s * SECOND_MS, "ttl");
	check_within(reader, warn_before, life->warn_before_s * SECOND_MS, life->ttl_s * SECOND_MS,
		     "ttl");
	if (!warn_before && life->ttl_s != 0 && life->ttl_s / 4 < life->warn_before_s) {
		/* Else each version of a short ttl would be warned about all its life. */
		life->warn_before_s = life->ttl_s / 4;
	}
}
