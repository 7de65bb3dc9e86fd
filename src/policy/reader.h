/* SPDX-License-Identifier: ISC */
/* What the two halves of the parser of policy.json share. Nothing outside this room includes it. */
#ifndef PHIAL_POLICY_READER_H
#define PHIAL_POLICY_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "policy/policy.h"
#include "json/json.h"

/* A policy while it is read. */
struct phial_policy_reader {
	struct phial_policy policy;
	struct phial_text *problems; /* or NULL */
	size_t problem_count;
	struct phial_error first;
	bool is_out_of_memory;
};

/* Note a problem at the line of a value. */
void phial_policy_add_problem(struct phial_policy_reader *reader, const struct phial_json *value,
			      const char *format, ...) PHIAL_PRINTF(3, 4);

/* Find every key of an object that is not among those known, and name a near one. */
void phial_policy_check_keys(struct phial_policy_reader *reader, const struct phial_json *object,
			     const char *const *known, size_t count);

/* True, and a problem is noted ("EXPECTED is expected"), unless value is of this type. */
bool phial_policy_is_other_type(struct phial_policy_reader *reader, const struct phial_json *value,
				enum phial_json_type type, const char *expected);

/*
 * Read the keys of a workload's entry that are about the life of its secrets, and note what is wrong
 * with each and what cannot be had together. workload: an object. life: holds the defaults.
 */
void phial_policy_read_life(struct phial_policy_reader *reader, const struct phial_json *workload,
			    struct phial_life *life);

#endif
