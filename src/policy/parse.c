/* SPDX-License-Identifier: ISC */
/*
 * policy.json into a struct phial_policy, strictly. Goes on after a problem, so that a person
 * sees all of them at once; nothing is used of a file that has one. Decides no grant.
 */
#include "policy/reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "store/store.h"
#include "json/json.h"

#define FORMAT_NAME	 "policy v1"
#define SERIAL_MAX	 ((INT64_C(1) << 53) - 1)
#define RULES_MAX	 1024
#define SIZE_MAX_BYTES	 (INT64_C(1) << 31)
#define TARGET_MAX_BYTES 1023
#define MODE_MAX	 0777

void phial_policy_add_problem(struct phial_policy_reader *reader, const struct phial_json *value,
			      const char *format, ...)
{
	char text[PHIAL_ERROR_TEXT_BYTES];
	struct phial_error problem;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)phial_fail(&problem, PHIAL_MALFORMED, 0, "line %zu: %s", phial_json_line(value),
			 text);
	if (reader->problem_count++ == 0) {
		reader->first = problem;
	}
	if (reader->problems) {
		phial_text_add(reader->problems, "%s\n", problem.text);
	}
}

void phial_policy_check_keys(struct phial_policy_reader *reader, const struct phial_json *object,
			     const char *const *known, size_t count)
{
	for (const struct phial_json *member = phial_json_first(object); member;
	     member = phial_json_next(member)) {
		const char *key = phial_json_key(member);
		bool is_known = false;

		for (size_t i = 0; i < count; i++) {
			is_known |= strcmp(key, known[i]) == 0;
		}
		if (is_known) {
			continue;
		}
		const char *near = phial_nearest(key, known, count);

		phial_policy_add_problem(reader, member, "unknown key \"%.80s\"%s%s%s", key,
					 near ? ", did you mean \"" : "", near ? near : "",
					 near ? "\"?" : "");
	}
}

/* A copy of a text; out of memory is noted. */
static char *copy_text(struct phial_policy_reader *reader, const char *text)
{
	char *copy = strdup(text);

	reader->is_out_of_memory |= copy == NULL;
	return copy;
}

bool phial_policy_is_other_type(struct phial_policy_reader *reader, const struct phial_json *value,
				enum phial_json_type type, const char *expected)
{
	if (phial_json_type(value) == type) {
		return false;
	}
	phial_policy_add_problem(reader, value, "%s is expected", expected);
	return true;
}

static void read_owner(struct phial_policy_reader *reader, const struct phial_json *value,
		       uint32_t *ret_uid, uint32_t *ret_gid)
{
	const char *text = phial_json_string(value);

	if (value && !(text && phial_parse_owner(phial_span_of(text), ret_uid, ret_gid))) {
		phial_policy_add_problem(reader, value, "owner must be \"UID:GID\" in numbers");
	}
}

static void read_flag(struct phial_policy_reader *reader, const struct phial_json *value,
		      bool *ret_flag)
{
	if (value && !phial_json_bool(value, ret_flag)) {
		phial_policy_add_problem(reader, value, "%s must be true or false",
					 phial_json_key(value));
	}
}

/* --- secrets -------------------------------------------------------------------------- */

static void read_pattern(struct phial_policy_reader *reader, const struct phial_json *where,
			 const char *text, struct phial_policy_rule *rule)
{
	struct phial_error problem;

	if (phial_pattern_check(text, &problem) != PHIAL_OK) {
		phial_policy_add_problem(reader, where, "%s", problem.text);
		return;
	}
	rule->pattern = copy_text(reader, text);
}

static void read_file_name(struct phial_policy_reader *reader, const struct phial_json *value,
			   struct phial_policy_rule *rule)
{
	const char *text = phial_json_string(value);

	if (!value) {
		return;
	}
	if (!text || strchr(text, '/') || phial_name_check(text, NULL) != PHIAL_OK) {
		phial_policy_add_problem(reader, value,
					 "file must be one name of letters, digits, '.', '_', '-'");
		return;
	}
	if (rule->pattern && strchr(rule->pattern, '*')) {
		phial_policy_add_problem(reader, value,
					 "several secrets cannot share one file name");
		return;
	}
	rule->file = copy_text(reader, text);
}

static void read_rule_object(struct phial_policy_reader *reader, const struct phial_json *value,
			     struct phial_policy_rule *rule)
{
	static const char *const keys[] = { "name", "file", "owner", "mode", "required" };
	const struct phial_json *name = phial_json_member(value, "name");
	const struct phial_json *mode = phial_json_member(value, "mode");

	phial_policy_check_keys(reader, value, keys, PHIAL_COUNT(keys));
	if (!name || !phial_json_string(name)) {
		phial_policy_add_problem(reader, name ? name : value,
					 "a secret needs a \"name\" that is a string");
	} else {
		read_pattern(reader, name, phial_json_string(name), rule);
	}
	read_file_name(reader, phial_json_member(value, "file"), rule);
	read_owner(reader, phial_json_member(value, "owner"), &rule->owner_uid, &rule->owner_gid);
	read_flag(reader, phial_json_member(value, "required"), &rule->is_required);
	const char *digits = phial_json_string(mode);

	if (mode && !(digits && phial_parse_mode(phial_span_of(digits), MODE_MAX, &rule->mode))) {
		phial_policy_add_problem(reader, mode,
					 "mode must be a string of four octal digits, as \"0400\"");
	}
}

/* An exact name behind a pattern that takes it already would have no effect. */
static void check_reach(struct phial_policy_reader *reader, const struct phial_json *value,
			const struct phial_workload *workload)
{
	const char *name = workload->rules[workload->rule_count - 1].pattern;

	if (!name || strchr(name, '*')) {
		return;
	}
	for (size_t i = 0; i + 1 < workload->rule_count; i++) {
		const char *before = workload->rules[i].pattern;

		if (before && phial_pattern_matches(before, name)) {
			phial_policy_add_problem(
				reader, value, "\"%s\" is taken by \"%s\" before it; put it first",
				name, before);
			return;
		}
	}
}

static void read_rules(struct phial_policy_reader *reader, const struct phial_json *list,
		       struct phial_workload *workload)
{
	if (!list ||
	    phial_policy_is_other_type(reader, list, PHIAL_JSON_ARRAY, "a list of secrets")) {
		return;
	}
	size_t count = phial_json_count(list);

	if (count == 0 || count > RULES_MAX) {
		phial_policy_add_problem(reader, list,
					 count == 0 ? "an empty list of secrets; leave it out for "
						      "the workload's own"
						    : "too many secrets");
		return;
	}
	workload->rules = calloc(count, sizeof(*workload->rules));
	if (!workload->rules) {
		reader->is_out_of_memory = true;
		return;
	}
	for (const struct phial_json *value = phial_json_first(list); value;
	     value = phial_json_next(value)) {
		struct phial_policy_rule *rule = &workload->rules[workload->rule_count++];

		rule->mode = PHIAL_MODE_UNSET;
		rule->owner_uid = PHIAL_ID_UNSET;
		rule->owner_gid = PHIAL_ID_UNSET;
		rule->is_required = true;
		if (phial_json_string(value)) {
			read_pattern(reader, value, phial_json_string(value), rule);
		} else if (!phial_policy_is_other_type(reader, value, PHIAL_JSON_OBJECT,
						       "a name, a pattern or an object")) {
			read_rule_object(reader, value, rule);
		}
		check_reach(reader, value, workload);
	}
}

/* --- workloads ------------------------------------------------------------------------ */

/* What is wrong with a target, or NULL. */
static const char *target_problem(const char *text)
{
	static const char *const refused[] = { "/proc", "/sys", "/dev" };

	if (text[0] != '/' || text[1] == '\0' || strlen(text) > TARGET_MAX_BYTES) {
		return "target must be an absolute path, and not \"/\"";
	}
	for (const char *part = text; *part != '\0'; part += strcspn(part, "/")) {
		part++;
		struct phial_span component = { part, strcspn(part, "/") };

		if (component.length == 0 || phial_span_is(component, ".") ||
		    phial_span_is(component, "..")) {
			return "target must have no empty, \".\" or \"..\" component";
		}
	}
	for (const char *c = text; *c != '\0'; c++) {
		if (*c <= 0x20 || *c > 0x7e) {
			return "target must be printable ASCII without spaces";
		}
	}
	for (size_t i = 0; i < PHIAL_COUNT(refused); i++) {
		struct phial_span rest = phial_span_of(text);

		if (phial_span_skip(&rest, refused[i]) &&
		    (rest.length == 0 || rest.text[0] == '/')) {
			return "target must not lie in /proc, /sys or /dev";
		}
	}
	return NULL;
}

static void read_target(struct phial_policy_reader *reader, const struct phial_json *value,
			struct phial_workload *workload)
{
	const char *text = phial_json_string(value);

	if (!value) {
		return;
	}
	const char *problem = text ? target_problem(text) : "target must be a string";

	if (problem) {
		phial_policy_add_problem(reader, value, "%s", problem);
		return;
	}
	workload->target = copy_text(reader, text);
}

static void read_gates(struct phial_policy_reader *reader, const struct phial_json *list,
		       struct phial_workload *workload)
{
	if (!list ||
	    phial_policy_is_other_type(reader, list, PHIAL_JSON_ARRAY, "a list of gates")) {
		return;
	}
	workload->gates = 0;
	for (const struct phial_json *value = phial_json_first(list); value;
	     value = phial_json_next(value)) {
		const char *name = phial_json_string(value);
		unsigned int gate = name ? phial_gate_parse(name) : 0;

		if (gate == 0) {
			phial_policy_add_problem(reader, value,
						 "unknown gate%s%.40s%s; see phial-policy(5)",
						 name ? " \"" : "", name ? name : "",
						 name ? "\"" : "");
		} else if (workload->gates & gate) {
			phial_policy_add_problem(reader, value, "gate \"%s\" stands twice", name);
		}
		workload->gates |= gate;
	}
}

static void read_size(struct phial_policy_reader *reader, const struct phial_json *value,
		      struct phial_workload *workload)
{
	int64_t size = 0;

	if (value && !phial_json_integer(value, 1, SIZE_MAX_BYTES, &size)) {
		phial_policy_add_problem(reader, value,
					 "size must be a number of bytes, at most 2147483648");
	}
	workload->size_bytes = (uint64_t)size;
}

static void read_workload(struct phial_policy_reader *reader, const struct phial_json *value)
{
	static const char *const keys[] = { "secrets", "target", "owner",	"size",
					    "gates",   "over",	 "keep",	"linger",
					    "grace",   "ttl",	 "warn_before", "notify" };
	struct phial_workload *workload =
		&reader->policy.workloads[reader->policy.workload_count++];
	struct phial_span name = phial_span_of(phial_json_key(value));
	struct phial_error problem;

	workload->owner_uid = PHIAL_ID_UNSET;
	workload->owner_gid = PHIAL_ID_UNSET;
	workload->gates = PHIAL_DEFAULT_GATES;
	workload->life = *phial_workload_life(NULL);
	if (phial_name_check(name.text, &problem) != PHIAL_OK) {
		phial_policy_add_problem(reader, value, "%s", problem.text);
	} else if (strchr(name.text, '/') ||
		   !phial_span_copy(name, workload->name, sizeof(workload->name))) {
		phial_policy_add_problem(reader, value, "the name of a workload cannot hold '/'");
	}
	if (phial_policy_is_other_type(reader, value, PHIAL_JSON_OBJECT, "an object")) {
		return;
	}
	phial_policy_check_keys(reader, value, keys, PHIAL_COUNT(keys));
	read_rules(reader, phial_json_member(value, "secrets"), workload);
	read_target(reader, phial_json_member(value, "target"), workload);
	read_owner(reader, phial_json_member(value, "owner"), &workload->owner_uid,
		   &workload->owner_gid);
	read_size(reader, phial_json_member(value, "size"), workload);
	read_gates(reader, phial_json_member(value, "gates"), workload);
	read_flag(reader, phial_json_member(value, "over"), &workload->may_mount_over);
	phial_policy_read_life(reader, value, &workload->life);
}

static void read_workloads(struct phial_policy_reader *reader, const struct phial_json *root)
{
	const struct phial_json *object = phial_json_member(root, "workloads");

	if (!object) {
		phial_policy_add_problem(reader, root, "\"workloads\" is missing");
		return;
	}
	if (phial_policy_is_other_type(reader, object, PHIAL_JSON_OBJECT,
				       "an object of workloads")) {
		return;
	}
	size_t count = phial_json_count(object);

	if (count > PHIAL_WORKLOADS_MAX) {
		phial_policy_add_problem(reader, object, "more than %d workloads",
					 PHIAL_WORKLOADS_MAX);
		return;
	}
	reader->policy.workloads = calloc(count + 1, sizeof(*reader->policy.workloads));
	if (!reader->policy.workloads) {
		reader->is_out_of_memory = true;
		return;
	}
	for (const struct phial_json *value = phial_json_first(object); value;
	     value = phial_json_next(value)) {
		read_workload(reader, value);
	}
}

static void read_document(struct phial_policy_reader *reader, const struct phial_json *root)
{
	static const char *const keys[] = { "phial", "serial", "workloads" };
	const struct phial_json *format = phial_json_member(root, "phial");
	const struct phial_json *serial = phial_json_member(root, "serial");
	int64_t number = 0;

	if (phial_policy_is_other_type(reader, root, PHIAL_JSON_OBJECT, "an object")) {
		return;
	}
	phial_policy_check_keys(reader, root, keys, PHIAL_COUNT(keys));
	if (!phial_json_string(format) || strcmp(phial_json_string(format), FORMAT_NAME) != 0) {
		phial_policy_add_problem(reader, format ? format : root,
					 "\"phial\" must be \"" FORMAT_NAME "\"");
	}
	if (!phial_json_integer(serial, 1, SERIAL_MAX, &number)) {
		phial_policy_add_problem(
			reader, serial ? serial : root,
			"\"serial\" must be a number from 1 that grows with each change");
	}
	reader->policy.serial = (uint64_t)number;
	read_workloads(reader, root);
}

/* The verdict on what was read. */
static enum phial_status conclude(const struct phial_policy_reader *reader, struct phial_error *err)
{
	if (reader->is_out_of_memory || (reader->problems && reader->problems->has_failed)) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "policy");
	}
	if (reader->problem_count == 0) {
		return PHIAL_OK;
	}
	if (reader->problem_count == 1) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "policy.json: %s", reader->first.text);
	}
	return phial_fail(err, PHIAL_MALFORMED, 0,
			  "policy.json: %s (and %zu more; see `phial policy check`)",
			  reader->first.text, reader->problem_count - 1);
}

enum phial_status phial_policy_parse(const uint8_t *bytes, size_t length,
				     struct phial_policy *ret_policy, struct phial_text *problems,
				     struct phial_error *err)
{
	struct phial_policy_reader reader = { .problems = problems };
	phial_auto_json struct phial_json *root = NULL;
	struct phial_error problem = { 0 };

	if (!bytes) {
		*ret_policy = (struct phial_policy){ 0 };
		return PHIAL_OK;
	}
	enum phial_status status = phial_json_parse(bytes, length, &root, &problem);

	if (status != PHIAL_OK) {
		if (problems && status == PHIAL_MALFORMED) {
			phial_text_add(problems, "%s\n", problem.text);
		}
		return phial_fail(err, status, problem.os_error, "policy.json: %s", problem.text);
	}
	read_document(&reader, root);
	status = conclude(&reader, err);
	if (status != PHIAL_OK) {
		phial_policy_free(&reader.policy);
		return status;
	}
	*ret_policy = reader.policy;
	return PHIAL_OK;
}

static void free_workload(struct phial_workload *workload)
{
	for (size_t i = 0; i < workload->rule_count; i++) {
		free(workload->rules[i].pattern);
		free(workload->rules[i].file);
	}
	free(workload->rules);
	free(workload->target);
}

void phial_policy_free(struct phial_policy *policy)
{
	for (size_t i = 0; i < policy->workload_count; i++) {
		free_workload(&policy->workloads[i]);
	}
	free(policy->workloads);
	*policy = (struct phial_policy){ 0 };
}
