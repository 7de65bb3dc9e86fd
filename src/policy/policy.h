/* SPDX-License-Identifier: ISC */
/*
 * Workloads, grants and gates: facts in, verdict out (DESIGN: convention first). Without a
 * policy, workload W gets the secrets `W/x` as files named by their last component in
 * /run/secrets, 0400, owned by the container's user, behind the gates not_privileged and
 * private_pid. policy.json holds exceptions. Format: docs/policy.md, phial-policy(5).
 */
#ifndef PHIAL_POLICY_POLICY_H
#define PHIAL_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>
#include <phial/sealed.h>

#include "base/text.h"
#include "oci/config.h"

#define PHIAL_WORKLOADS_MAX   4096
#define PHIAL_GRANT_FILES_MAX 1024
#define PHIAL_DEFAULT_TARGET  "/run/secrets"

/* Conditions on a container; bits of a set. */
enum phial_gate {
	PHIAL_GATE_NON_ROOT = 1 << 0,
	PHIAL_GATE_NO_NEW_PRIVILEGES = 1 << 1,
	PHIAL_GATE_READ_ONLY_ROOTFS = 1 << 2,
	PHIAL_GATE_SECCOMP = 1 << 3,
	PHIAL_GATE_NOT_PRIVILEGED = 1 << 4,
	PHIAL_GATE_PRIVATE_PID = 1 << 5,
	PHIAL_GATE_PRIVATE_NETWORK = 1 << 6,
	PHIAL_GATE_USER_NAMESPACE = 1 << 7,
	PHIAL_GATE_MEMORY_LIMIT = 1 << 8,
	PHIAL_GATE_PIDS_LIMIT = 1 << 9,
};

#define PHIAL_DEFAULT_GATES \
	((unsigned int)PHIAL_GATE_NOT_PRIVILEGED | (unsigned int)PHIAL_GATE_PRIVATE_PID)

/* One rule of a workload's "secrets": a pattern, or one name with exceptions. */
struct phial_policy_rule {
	char *pattern;
	char *file;	    /* file name to use, or NULL for the last component */
	uint32_t mode;	    /* or PHIAL_MODE_UNSET */
	uint32_t owner_uid; /* in the container, or PHIAL_ID_UNSET */
	uint32_t owner_gid;
	bool is_required; /* default true */
};

/* How long a container keeps its secrets. */
enum phial_keep {
	PHIAL_KEEP_FOREVER,	/* as long as it runs */
	PHIAL_KEEP_TIME,	/* so long after its start */
	PHIAL_KEEP_UNTIL_READY, /* until it says so: then all files go */
	PHIAL_KEEP_UNTIL_READ,	/* each file goes after its first close behind an open */
};

#define PHIAL_COMM_BYTES 16 /* TASK_COMM_LEN, with the NUL */

/* The life of a workload's secrets in its running containers: docs/life.md. */
struct phial_life {
	enum phial_keep keep;
	int64_t keep_ms;   /* with PHIAL_KEEP_TIME from the start, else 0 */
	int64_t linger_ms; /* with PHIAL_KEEP_UNTIL_*: from the event to the removal, else 0 */
	int64_t grace_ms;  /* for so long at most the generation before is kept; 0: not at all */
	int64_t ttl_s;	   /* a version is good for so long after it was sealed; 0: no limit */
	int64_t warn_before_s; /* so long before a version expires a warning is given; 0: none */
	int notify_signal;     /* sent after a rotation; 0: nobody is told */
	char notify_process
		[PHIAL_COMM_BYTES]; /* to all with this comm; "": to the container's PID 1 */
};

struct phial_workload {
	char name[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	struct phial_policy_rule
		*rules; /* in the order of the file; the first that matches counts */
	size_t rule_count;
	char *target;	    /* absolute, or NULL for PHIAL_DEFAULT_TARGET */
	uint32_t owner_uid; /* for all its files, or PHIAL_ID_UNSET */
	uint32_t owner_gid;
	uint64_t size_bytes; /* room for files, or 0 for what the secrets need */
	unsigned int gates;  /* a set of enum phial_gate */
	bool may_mount_over; /* "over": the target may hold another mount or files */
	struct phial_life life;
};

struct phial_policy {
	uint64_t serial; /* 0: there is no policy file */
	struct phial_workload *workloads;
	size_t workload_count;
};

/*
 * Parse policy.json strictly. bytes, length: the verified file; NULL is the empty policy. problems:
 * every problem found is added, one "line N: ..." a line (may be NULL). ret_policy: freed with
 * phial_policy_free(). Returns PHIAL_OK; PHIAL_MALFORMED with the first problem and how many
 * there are; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_policy_parse(const uint8_t *bytes, size_t length,
						   struct phial_policy *ret_policy,
						   struct phial_text *problems,
						   struct phial_error *err);

/* Free what it holds and leave it empty. */
void phial_policy_free(struct phial_policy *policy);

/* The policy's entry for a workload, owned by the policy, or NULL: the convention then holds. */
const struct phial_workload *phial_policy_find(const struct phial_policy *policy,
					       const char *workload);

/* Where a workload's secrets go: "/run/secrets" if entry is NULL or does not say. */
const char *phial_workload_target(const struct phial_workload *entry);

/* The gates of a workload, a set of enum phial_gate: the default ones if entry is NULL. */
unsigned int phial_workload_gates(const struct phial_workload *entry);

/*
 * The life of a workload's secrets: if entry is NULL kept forever, 30 seconds of grace, no ttl,
 * warnings 7 days ahead, nobody is told. Never NULL.
 */
const struct phial_life *phial_workload_life(const struct phial_workload *entry);

/* The same of a workload by its name. */
const struct phial_life *phial_policy_life(const struct phial_policy *policy, const char *workload);

/* One file that a workload gets. */
struct phial_grant_file {
	const char *secret; /* the name; points into the caller's names */
	char file[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	uint32_t mode;	    /* PHIAL_MODE_UNSET: the sealed file's, else 0400 */
	uint32_t owner_uid; /* PHIAL_ID_UNSET: the sealed file's, else the container's user */
	uint32_t owner_gid;
	bool is_required;
};

/*
 * Which of the store's names does a workload get, and as which files? names: sorted as by
 * strcmp(3), outlive ret_files. ret_files: freed by the caller. Returns PHIAL_OK with at least one
 * file; PHIAL_NOT_FOUND when nothing matches (a near miss among the workloads is named);
 * PHIAL_REFUSED when two secrets would have the same file name, or a required exact name is not
 * among names; PHIAL_TOO_LARGE over PHIAL_GRANT_FILES_MAX; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_policy_grant(const struct phial_policy *policy,
						   const char *workload, const char *const *names,
						   size_t name_count,
						   struct phial_grant_file **ret_files,
						   size_t *ret_count, struct phial_error *err);

/*
 * Which gates of a set does a container fail? reasons: for each, one line "GATE: why; how to
 * meet it" is added (may be NULL). Returns the failed ones as a set, 0 if all are met.
 */
unsigned int phial_gates_failed(unsigned int gates, const struct phial_oci_config *config,
				struct phial_text *reasons);

/* The name of one gate, as "not_privileged"; NULL for what is no gate or several. */
const char *phial_gate_name(unsigned int gate);

/* How a container is started that meets a gate, as "start it with --read-only"; NULL as above. */
const char *phial_gate_advice(unsigned int gate);

/* The gate of a name; 0 for none. */
unsigned int phial_gate_parse(const char *name);

/*
 * Which workload does a container's config grant? The bind mounts below workload_dir
 * ("/run/phial/workload", in its plain form) are looked at and, if not NULL, the hook's own
 * argument. Annotations, labels and environment are not. ret_workload: its name;
 * ret_destination: where the grant is mounted in the container (points into config), or NULL when
 * only the argument grants. Returns PHIAL_OK; PHIAL_NOT_FOUND when there is no grant at all;
 * PHIAL_REFUSED when a grant is not read-only, not exactly a workload's directory, or there are
 * several different ones; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status
phial_grant_find(const struct phial_oci_config *config, const char *workload_dir,
		 const char *argument, char ret_workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1],
		 const char **ret_destination, struct phial_error *err);

#endif
