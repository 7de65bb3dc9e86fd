/* SPDX-License-Identifier: ISC */
/*
 * What phial needs to know of a bundle's config.json: facts for grants and gates. Unknown
 * keys are ignored here (the file belongs to the engine); keys that are used must have the
 * right type. See the OCI runtime specification, config.md and config-linux.md.
 */
#ifndef PHIAL_OCI_CONFIG_H
#define PHIAL_OCI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

#include "base/cleanup.h"

#define PHIAL_OCI_CONFIG_MAX_BYTES ((size_t)1024 * 1024)
#define PHIAL_OCI_MOUNTS_MAX	   1024
#define PHIAL_OCI_LABEL_MAX_BYTES  255

struct phial_oci_mount {
	const char *destination; /* in its plain form: absolute, no "", "." or ".." component */
	const char *source;	 /* or NULL */
	bool is_bind;
	bool is_read_only;
};

/* How a namespace of the container stands to the host's. */
enum phial_oci_namespace {
	PHIAL_OCI_NS_HOST = 0, /* not listed, or /proc/1/ns/x: the runtime's own or the host's */
	PHIAL_OCI_NS_NEW,      /* listed without a path: the container's own */
	PHIAL_OCI_NS_JOINED,   /* listed with a path: somebody else's */
};

struct phial_oci_config {
	const char *root_path; /* as written: absolute, or relative to the bundle */
	bool root_is_read_only;
	uint32_t user_uid; /* process.user, in the container */
	uint32_t user_gid;
	bool no_new_privileges;
	bool has_seccomp;
	bool has_sys_admin;		/* CAP_SYS_ADMIN in any capability set */
	bool has_privileged_capability; /* SYS_ADMIN, SYS_MODULE, SYS_RAWIO, SYS_PTRACE, BPF, ... */
	bool has_all_devices;		/* device rules allow all of a kind, as --privileged does */
	enum phial_oci_namespace pid_namespace;
	enum phial_oci_namespace network_namespace;
	enum phial_oci_namespace user_namespace;
	enum phial_oci_namespace mount_namespace;
	int64_t memory_limit_bytes; /* 0: none, or too large to be one */
	int64_t pids_limit;	    /* 0: none, or too large to be one */
	const char *mount_label;    /* SELinux, checked against its grammar, or NULL */
	const char *hostname;	    /* or NULL; for log texts only */
	struct phial_oci_mount *mounts;
	size_t mount_count;
	char *destinations;	     /* owns the destinations */
	struct phial_json *document; /* owns every other text */
};

/*
 * Parse. bytes, length: the whole file, at most PHIAL_OCI_CONFIG_MAX_BYTES; not kept.
 * ret_config: freed with phial_oci_config_free(). Returns PHIAL_OK; PHIAL_MALFORMED with the key's
 * name, never its value (also for ".." in root.path and a namespace that is listed twice);
 * PHIAL_TOO_LARGE; PHIAL_SYSTEM. Does not block.
 */
PHIAL_CHECKED enum phial_status phial_oci_config_parse(const uint8_t *bytes, size_t length,
						       struct phial_oci_config *ret_config,
						       struct phial_error *err);

/* Free what it holds and leave it empty. */
void phial_oci_config_free(struct phial_oci_config *config);

#define phial_auto_oci_config phial_auto(phial_oci_config_free)

/* One line of /proc/PID/uid_map or gid_map. See user_namespaces(7). */
struct phial_id_map {
	struct {
		uint32_t inside;
		uint32_t outside;
		uint32_t count;
	} ranges[340];
	size_t count;
};

/*
 * Parse the text of such a file; an empty one, not written yet, maps nothing, nor does a line for
 * ids that the reader's namespace does not have (their outside is 4294967295). text: need not be
 * NUL-terminated. Returns PHIAL_OK or PHIAL_MALFORMED. See user_namespaces(7).
 */
PHIAL_CHECKED enum phial_status phial_id_map_parse(const char *text, size_t length,
						   struct phial_id_map *ret_map,
						   struct phial_error *err);

/* Map an id of the container to the host's. Returns false if it is not mapped. */
bool phial_id_map_outside(const struct phial_id_map *map, uint32_t inside, uint32_t *ret_outside);

/* Map an id of the host to the container's. Returns false if it is not mapped. */
bool phial_id_map_inside(const struct phial_id_map *map, uint32_t outside, uint32_t *ret_inside);

#endif
