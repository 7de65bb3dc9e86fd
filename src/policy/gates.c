/* SPDX-License-Identifier: ISC */
/*
 * The gates: what a container must look like before it gets secrets. One row for each, with what
 * a person does to meet it. Decides from facts only; where they come from is not known here.
 */
#include "policy/policy.h"

#include <string.h>

#include "base/cleanup.h"

/* Each says true if the container meets the gate. */
static bool is_non_root(const struct phial_oci_config *config)
{
	return config->user_uid != 0;
}

static bool has_no_new_privileges(const struct phial_oci_config *config)
{
	return config->no_new_privileges;
}

static bool has_read_only_rootfs(const struct phial_oci_config *config)
{
	return config->root_is_read_only;
}

static bool has_seccomp(const struct phial_oci_config *config)
{
	return config->has_seccomp;
}

static bool is_not_privileged(const struct phial_oci_config *config)
{
	return !config->has_sys_admin && !config->has_privileged_capability &&
	       !config->has_all_devices;
}

/* Joined means shared: whoever is in there may look into this container's processes. */
static bool has_private_pid(const struct phial_oci_config *config)
{
	return config->pid_namespace == PHIAL_OCI_NS_NEW;
}

/* Joined is what Podman and CNI do with a namespace that they made for this container. */
static bool has_private_network(const struct phial_oci_config *config)
{
	return config->network_namespace != PHIAL_OCI_NS_HOST;
}

static bool has_user_namespace(const struct phial_oci_config *config)
{
	return config->user_namespace != PHIAL_OCI_NS_HOST;
}

static bool has_memory_limit(const struct phial_oci_config *config)
{
	return config->memory_limit_bytes > 0;
}

static bool has_pids_limit(const struct phial_oci_config *config)
{
	return config->pids_limit > 0;
}

static const struct {
	unsigned int gate;
	const char *name;
	bool (*is_met)(const struct phial_oci_config *config);
	const char *reason;
	const char *advice;
} gates_table[] = {
	{ PHIAL_GATE_NON_ROOT, "non_root", is_non_root, "the process starts as uid 0",
	  "start it with --user UID:GID" },
	{ PHIAL_GATE_NO_NEW_PRIVILEGES, "no_new_privileges", has_no_new_privileges,
	  "programs may gain privileges", "start it with --security-opt no-new-privileges" },
	{ PHIAL_GATE_READ_ONLY_ROOTFS, "read_only_rootfs", has_read_only_rootfs,
	  "the root file system is writable", "start it with --read-only" },
	{ PHIAL_GATE_SECCOMP, "seccomp", has_seccomp, "no seccomp filter",
	  "start it without --security-opt seccomp=unconfined" },
	{ PHIAL_GATE_NOT_PRIVILEGED, "not_privileged", is_not_privileged,
	  "it has the capabilities or devices of a privileged container",
	  "start it without --privileged, --cap-add SYS_ADMIN and the like" },
	{ PHIAL_GATE_PRIVATE_PID, "private_pid", has_private_pid, "it shares its process namespace",
	  "start it without --pid" },
	{ PHIAL_GATE_PRIVATE_NETWORK, "private_network", has_private_network,
	  "it uses the host's network", "start it without --network host" },
	{ PHIAL_GATE_USER_NAMESPACE, "user_namespace", has_user_namespace,
	  "its root is the host's root",
	  "start it with --userns=auto (Podman) or set userns-remap (Docker)" },
	{ PHIAL_GATE_MEMORY_LIMIT, "memory_limit", has_memory_limit, "no memory limit",
	  "start it with --memory SIZE" },
	{ PHIAL_GATE_PIDS_LIMIT, "pids_limit", has_pids_limit, "no limit of processes",
	  "start it with --pids-limit NUMBER" },
};

unsigned int phial_gates_failed(unsigned int gates, const struct phial_oci_config *config,
				struct phial_text *reasons)
{
	unsigned int failed = 0;

	for (size_t i = 0; i < PHIAL_COUNT(gates_table); i++) {
		if ((gates & gates_table[i].gate) == 0 || gates_table[i].is_met(config)) {
			continue;
		}
		failed |= gates_table[i].gate;
		if (reasons) {
			phial_text_add(reasons, "%s: %s; %s\n", gates_table[i].name,
				       gates_table[i].reason, gates_table[i].advice);
		}
	}
	return failed;
}

const char *phial_gate_name(unsigned int gate)
{
	for (size_t i = 0; i < PHIAL_COUNT(gates_table); i++) {
		if (gates_table[i].gate == gate) {
			return gates_table[i].name;
		}
	}
	return NULL;
}

const char *phial_gate_advice(unsigned int gate)
{
	for (size_t i = 0; i < PHIAL_COUNT(gates_table); i++) {
		if (gates_table[i].gate == gate) {
			return gates_table[i].advice;
		}
	}
	return NULL;
}

unsigned int phial_gate_parse(const char *name)
{
	for (size_t i = 0; i < PHIAL_COUNT(gates_table); i++) {
		if (strcmp(gates_table[i].name, name) == 0) {
			return gates_table[i].gate;
		}
	}
	return 0;
}
