/* SPDX-License-Identifier: ISC */
/*
 * The table of grades: one row for each thing that makes a container weak or insecure, with what
 * a person does about it. Decides from facts only, and refuses nothing: that is the gates'.
 */
#include "host/grade.h"

#include <linux/capability.h>

#include "base/capability.h"
#include "base/cleanup.h"
#include "oci/privilege.h"

static bool is_admin(const struct phial_container_facts *facts)
{
	return facts->shares_user_namespace &&
	       (facts->capabilities & PHIAL_CAPABILITY(CAP_SYS_ADMIN)) != 0;
}

static bool is_privileged(const struct phial_container_facts *facts)
{
	return facts->shares_user_namespace && !is_admin(facts) &&
	       phial_capabilities_are_privileged(facts->capabilities);
}

static bool sees_host_processes(const struct phial_container_facts *facts)
{
	return facts->shares_pid_namespace;
}

static bool lost_its_secrets(const struct phial_container_facts *facts)
{
	return facts->secrets == PHIAL_SECRETS_NONE || facts->secrets == PHIAL_SECRETS_OTHER;
}

static bool may_be_swapped(const struct phial_container_facts *facts)
{
	return facts->secrets == PHIAL_SECRETS_SWAPPABLE;
}

static bool may_write_secrets(const struct phial_container_facts *facts)
{
	return facts->secrets_are_writable;
}

static bool has_weak_release(const struct phial_container_facts *facts)
{
	return facts->has_weak_release;
}

static bool sees_other_processes(const struct phial_container_facts *facts)
{
	return facts->joined_pid_namespace && !facts->shares_pid_namespace;
}

static bool is_host_root(const struct phial_container_facts *facts)
{
	return facts->shares_user_namespace && facts->uid == 0;
}

static bool has_no_filter(const struct phial_container_facts *facts)
{
	return !facts->has_seccomp;
}

static const struct rule {
	enum phial_grade grade;
	bool (*is_met)(const struct phial_container_facts *facts);
	const char *reason;
} rules[] = {
	{ PHIAL_GRADE_INSECURE, is_admin,
	  "it has CAP_SYS_ADMIN on the host, and so can reach what others have; start it without "
	  "--privileged and --cap-add SYS_ADMIN, or in a user namespace" },
	{ PHIAL_GRADE_INSECURE, is_privileged,
	  "it has a capability that reaches processes, devices or memory of the host; start it "
	  "without --cap-add, or in a user namespace" },
	{ PHIAL_GRADE_INSECURE, sees_host_processes,
	  "it is in the host's process namespace, and so sees what other containers have; start it "
	  "without --pid host" },
	{ PHIAL_GRADE_INSECURE, may_be_swapped,
	  "its secrets lie in memory that can be swapped to disk; start it again through phial" },
	{ PHIAL_GRADE_WEAK, lost_its_secrets,
	  "its secrets are not where they were put; it unmounted or covered them, start it again" },
	{ PHIAL_GRADE_WEAK, may_write_secrets,
	  "its own mount of the secrets is writable; start it without CAP_SYS_ADMIN" },
	{ PHIAL_GRADE_WEAK, has_weak_release,
	  "a secret is in its environment, which its children inherit and crash reports show; let "
	  "the program read the file, or NAME_FILE" },
	{ PHIAL_GRADE_WEAK, sees_other_processes,
	  "it shares its process namespace with others, which may look into its root; start it "
	  "without --pid" },
	{ PHIAL_GRADE_WEAK, is_host_root,
	  "it runs as the host's root, in no user namespace: root's key quota is shared, and a way "
	  "out is a way to all; start it with --user UID:GID or --userns=auto" },
	{ PHIAL_GRADE_WEAK, has_no_filter,
	  "it has no seccomp filter; start it without --security-opt seccomp=unconfined" },
};

enum phial_grade phial_container_grade(const struct phial_container_facts *facts,
				       struct phial_text *reasons)
{
	enum phial_grade grade = PHIAL_GRADE_SECURE;

	if (!facts->is_known) {
		return PHIAL_GRADE_UNKNOWN;
	}
	for (size_t i = 0; i < PHIAL_COUNT(rules); i++) {
		if (!rules[i].is_met(facts)) {
			continue;
		}
		grade = rules[i].grade > grade ? rules[i].grade : grade;
		if (reasons) {
			phial_text_add(reasons, "%s\n", rules[i].reason);
		}
	}
	return grade;
}

const char *phial_grade_text(enum phial_grade grade)
{
	switch (grade) {
	case PHIAL_GRADE_SECURE:
		return "secure";
	case PHIAL_GRADE_WEAK:
		return "weak";
	case PHIAL_GRADE_INSECURE:
		return "insecure";
	case PHIAL_GRADE_UNKNOWN:
		break;
	}
	return "unknown";
}
