/* SPDX-License-Identifier: ISC */
/*
 * How well a running container keeps its secrets to itself: facts in, grade out. Pure; where the
 * facts come from is host/container.h's. The rules are explained in docs/doctor.md.
 */
#ifndef PHIAL_HOST_GRADE_H
#define PHIAL_HOST_GRADE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

enum phial_grade {
	PHIAL_GRADE_UNKNOWN = 0, /* the container could not be looked at */
	PHIAL_GRADE_SECURE,
	PHIAL_GRADE_WEAK,     /* what is promised holds, with less behind it than there could be */
	PHIAL_GRADE_INSECURE, /* what is promised does not hold for this container */
};

/* What lies at the place of the secrets. */
enum phial_secrets_kind {
	PHIAL_SECRETS_NONE = 0,	 /* no mount of its own */
	PHIAL_SECRETS_UNSWAPPED, /* tmpfs with noswap, or ramfs */
	PHIAL_SECRETS_SWAPPABLE, /* another tmpfs */
	PHIAL_SECRETS_OTHER,	 /* anything else */
};

struct phial_container_facts {
	bool is_known;
	bool shares_user_namespace; /* with the host, as the next two */
	bool shares_pid_namespace;
	bool shares_network_namespace;
	bool joined_pid_namespace; /* of another container: it is not its first process */
	uint32_t uid;		   /* effective, as the host counts */
	uint64_t capabilities;	   /* those it has, and those that programs it starts can get */
	uint64_t bounding;	   /* the most that it was ever meant to have */
	bool reads_any_file;	   /* whoever it belongs to */
	bool has_seccomp;
	bool has_no_new_privileges;
	enum phial_secrets_kind secrets;
	bool secrets_are_writable; /* through the container's own mount */
	bool has_weak_release;	   /* the agent's record says so: --env */
};

/*
 * Grade a container. reasons: for each rule that it meets one line "why; what to do" is added
 * (may be NULL), the worst first; none for a secure one.
 */
enum phial_grade phial_container_grade(const struct phial_container_facts *facts,
				       struct phial_text *reasons);

/* "secure", "weak", "insecure", "unknown". */
const char *phial_grade_text(enum phial_grade grade);

#endif
