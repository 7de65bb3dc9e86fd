/* SPDX-License-Identifier: ISC */
/*
 * A bundle's config.json as facts. The engine wrote it, partly from what the image said, so each
 * used key must have its right type and each fact errs on the side that grants less: a limit
 * too large to be exact is no limit, a namespace with a path is not the container's own.
 */
#include "oci/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "oci/path.h"
#include "oci/privilege.h"
#include "oci/state.h"
#include "json/json.h"

#define LARGEST_EXACT_INTEGER ((INT64_C(1) << 53) - 1)

static enum phial_status refuse_key(struct phial_error *err, const char *key)
{
	return phial_fail(err, PHIAL_MALFORMED, 0, "config.json: \"%s\" is missing or bad", key);
}

/* A member, or NULL also when it is null: Go's encoder writes absent pointers that way. */
static const struct phial_json *member(const struct phial_json *value, const char *key)
{
	const struct phial_json *found = phial_json_member(value, key);

	return found && phial_json_type(found) != PHIAL_JSON_NULL ? found : NULL;
}

/* A member that is absent or of this type; anything else is false. */
static bool typed_member(const struct phial_json *value, const char *key, enum phial_json_type type,
			 const struct phial_json **ret_member)
{
	*ret_member = member(value, key);
	return !*ret_member || phial_json_type(*ret_member) == type;
}

/* A bool that is false when absent. */
static bool read_bool(const struct phial_json *value, const char *key, bool *ret)
{
	const struct phial_json *found = member(value, key);

	*ret = false;
	return !found || phial_json_bool(found, ret);
}

/* A text that is NULL when absent or empty. */
static bool read_string(const struct phial_json *value, const char *key, const char **ret)
{
	const struct phial_json *found = NULL;

	*ret = NULL;
	if (!typed_member(value, key, PHIAL_JSON_STRING, &found)) {
		return false;
	}
	if (found && phial_json_string(found)[0] != '\0') {
		*ret = phial_json_string(found);
	}
	return true;
}

/* An id that is 0 when absent, as runtimes read it. */
static bool read_id(const struct phial_json *value, const char *key, uint32_t *ret)
{
	const struct phial_json *found = member(value, key);
	int64_t id = 0;

	if (found && !phial_json_integer(found, 0, (int64_t)UINT32_MAX - 1, &id)) {
		return false;
	}
	*ret = (uint32_t)id;
	return true;
}

/* A limit: 0 when absent, negative, zero, or too large to be one (18446744073709551615). */
static bool read_limit(const struct phial_json *value, const char *key, int64_t *ret)
{
	const struct phial_json *found = NULL;

	*ret = 0;
	if (!typed_member(value, key, PHIAL_JSON_NUMBER, &found)) {
		return false;
	}
	(void)phial_json_integer(found, 1, LARGEST_EXACT_INTEGER, ret);
	return true;
}

/* --- process -------------------------------------------------------------------------- */

static bool read_capabilities(const struct phial_json *process, struct phial_oci_config *config)
{
	const struct phial_json *sets = NULL;

	if (!typed_member(process, "capabilities", PHIAL_JSON_OBJECT, &sets)) {
		return false;
	}
	for (const struct phial_json *set = phial_json_first(sets); set;
	     set = phial_json_next(set)) {
		for (const struct phial_json *item = phial_json_first(set); item;
		     item = phial_json_next(item)) {
			const char *name = phial_json_string(item);

			if (!name) {
				return false;
			}
			config->has_privileged_capability |= phial_capability_is_privileged(name);
			config->has_sys_admin |= strcmp(name, "CAP_SYS_ADMIN") == 0;
		}
	}
	return true;
}

static enum phial_status read_process(const struct phial_json *root,
				      struct phial_oci_config *config, struct phial_error *err)
{
	const struct phial_json *process = NULL;
	const struct phial_json *user = NULL;

	if (!typed_member(root, "process", PHIAL_JSON_OBJECT, &process)) {
		return refuse_key(err, "process");
	}
	if (!typed_member(process, "user", PHIAL_JSON_OBJECT, &user) ||
	    !read_id(user, "uid", &config->user_uid) || !read_id(user, "gid", &config->user_gid)) {
		return refuse_key(err, "process.user");
	}
	if (!read_bool(process, "noNewPrivileges", &config->no_new_privileges)) {
		return refuse_key(err, "process.noNewPrivileges");
	}
	if (!read_capabilities(process, config)) {
		return refuse_key(err, "process.capabilities");
	}
	return PHIAL_OK;
}

/* --- root and mounts ------------------------------------------------------------------ */

static bool has_parent_component(const char *path)
{
	for (const char *part = path;; part++) {
		struct phial_span component = { part, strcspn(part, "/") };

		if (phial_span_is(component, "..")) {
			return true;
		}
		part += component.length;
		if (*part == '\0') {
			return false;
		}
	}
}

static enum phial_status read_root(const struct phial_json *root, struct phial_oci_config *config,
				   struct phial_error *err)
{
	const struct phial_json *member_root = NULL;

	if (!typed_member(root, "root", PHIAL_JSON_OBJECT, &member_root) ||
	    !read_string(member_root, "path", &config->root_path) || !config->root_path ||
	    strlen(config->root_path) > PHIAL_OCI_PATH_MAX_BYTES ||
	    has_parent_component(config->root_path)) {
		return refuse_key(err, "root.path");
	}
	if (!read_bool(member_root, "readonly", &config->root_is_read_only)) {
		return refuse_key(err, "root.readonly");
	}
	return PHIAL_OK;
}

/* Options in order: the last of several that say the same counts, as in mount(8). */
static bool read_mount_options(const struct phial_json *value, struct phial_oci_mount *mount)
{
	const struct phial_json *options = NULL;

	if (!typed_member(value, "options", PHIAL_JSON_ARRAY, &options)) {
		return false;
	}
	for (const struct phial_json *item = phial_json_first(options); item;
	     item = phial_json_next(item)) {
		const char *option = phial_json_string(item);

		if (!option) {
			return false;
		}
		if (strcmp(option, "bind") == 0 || strcmp(option, "rbind") == 0) {
			mount->is_bind = true;
		} else if (strcmp(option, "ro") == 0 || strcmp(option, "rro") == 0) {
			mount->is_read_only = true;
		} else if (strcmp(option, "rw") == 0 || strcmp(option, "rrw") == 0) {
			mount->is_read_only = false;
		}
	}
	return true;
}

/* texts: where the destination's plain form goes; moved behind it. */
static bool read_mount(const struct phial_json *value, struct phial_oci_mount *mount, char **texts)
{
	const char *destination;
	const char *type;

	if (phial_json_type(value) != PHIAL_JSON_OBJECT ||
	    !read_string(value, "destination", &destination) || !destination ||
	    !read_string(value, "source", &mount->source) || !read_string(value, "type", &type)) {
		return false;
	}
	mount->is_bind = type && strcmp(type, "bind") == 0;
	mount->destination = *texts;
	*texts += phial_oci_path_clean(destination, *texts);
	return read_mount_options(value, mount);
}

/* Bytes for the plain form of all destinations. */
static size_t count_destination_bytes(const struct phial_json *mounts)
{
	size_t bytes = 0;

	for (const struct phial_json *item = phial_json_first(mounts); item;
	     item = phial_json_next(item)) {
		const char *destination = phial_json_string(phial_json_member(item, "destination"));

		bytes += destination ? strlen(destination) + 2 : 0;
	}
	return bytes;
}

static enum phial_status read_mounts(const struct phial_json *root, struct phial_oci_config *config,
				     struct phial_error *err)
{
	const struct phial_json *mounts = NULL;

	if (!typed_member(root, "mounts", PHIAL_JSON_ARRAY, &mounts)) {
		return refuse_key(err, "mounts");
	}
	size_t count = phial_json_count(mounts);

	if (count > PHIAL_OCI_MOUNTS_MAX) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "config.json: more than %d mounts",
				  PHIAL_OCI_MOUNTS_MAX);
	}
	config->mounts = calloc(count + 1, sizeof(*config->mounts));
	config->destinations = malloc(count_destination_bytes(mounts) + 1);
	if (!config->mounts || !config->destinations) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "config.json");
	}
	char *texts = config->destinations;

	for (const struct phial_json *item = phial_json_first(mounts); item;
	     item = phial_json_next(item)) {
		if (!read_mount(item, &config->mounts[config->mount_count], &texts)) {
			return phial_fail(err, PHIAL_MALFORMED, 0,
					  "config.json: mounts[%zu] is bad", config->mount_count);
		}
		config->mount_count++;
	}
	return PHIAL_OK;
}

/* --- linux ---------------------------------------------------------------------------- */

/* A path that any process sees as the host's namespace, or the runtime's own. */
static bool is_host_namespace_path(const char *path)
{
	static const char *const starts[] = { "/proc/1/", "/proc/self/", "/proc/thread-self/" };

	for (size_t i = 0; i < PHIAL_COUNT(starts); i++) {
		if (strncmp(path, starts[i], strlen(starts[i])) == 0) {
			return true;
		}
	}
	return false;
}

static bool read_namespace(const struct phial_json *value, struct phial_oci_config *config)
{
	const struct {
		const char *type;
		enum phial_oci_namespace *fact;
	} kinds[] = {
		{ "pid", &config->pid_namespace },
		{ "network", &config->network_namespace },
		{ "user", &config->user_namespace },
		{ "mount", &config->mount_namespace },
	};
	const char *type;
	const char *path;

	if (phial_json_type(value) != PHIAL_JSON_OBJECT || !read_string(value, "type", &type) ||
	    !type || !read_string(value, "path", &path)) {
		return false;
	}
	for (size_t i = 0; i < PHIAL_COUNT(kinds); i++) {
		if (strcmp(type, kinds[i].type) != 0) {
			continue;
		}
		if (*kinds[i].fact != PHIAL_OCI_NS_HOST) {
			return false; /* listed twice: which one counts is the runtime's secret */
		}
		if (!path) {
			*kinds[i].fact = PHIAL_OCI_NS_NEW;
		} else if (!is_host_namespace_path(path)) {
			*kinds[i].fact = PHIAL_OCI_NS_JOINED;
		}
	}
	return true;
}

static enum phial_status read_namespaces(const struct phial_json *linux_part,
					 struct phial_oci_config *config, struct phial_error *err)
{
	const struct phial_json *list = NULL;

	if (!typed_member(linux_part, "namespaces", PHIAL_JSON_ARRAY, &list)) {
		return refuse_key(err, "linux.namespaces");
	}
	for (const struct phial_json *item = phial_json_first(list); item;
	     item = phial_json_next(item)) {
		if (!read_namespace(item, config)) {
			return refuse_key(err, "linux.namespaces");
		}
	}
	return PHIAL_OK;
}

/* True if a device number of a rule is absent or a wildcard. */
static bool is_any_number(const struct phial_json *rule, const char *key)
{
	const struct phial_json *number = member(rule, key);
	int64_t value;

	return !number || phial_json_integer(number, -1, -1, &value);
}

/* Rules in order; the last one for all devices counts. See config-linux.md "Device cgroup". */
static bool read_device_rule(const struct phial_json *rule, bool *has_all_devices)
{
	const char *type;
	bool is_allowed;

	if (phial_json_type(rule) != PHIAL_JSON_OBJECT || !read_bool(rule, "allow", &is_allowed) ||
	    !read_string(rule, "type", &type)) {
		return false;
	}
	/* "b" or "c" with both numbers wild: all block or all character devices, enough harm. */
	if (!is_any_number(rule, "major") || !is_any_number(rule, "minor")) {
		return true;
	}
	bool covers_all_types = !type || strcmp(type, "a") == 0;

	if (is_allowed) {
		*has_all_devices = true;
	} else if (covers_all_types) {
		*has_all_devices = false;
	}
	return true;
}

static enum phial_status read_resources(const struct phial_json *linux_part,
					struct phial_oci_config *config, struct phial_error *err)
{
	const struct phial_json *resources = NULL;
	const struct phial_json *memory = NULL;
	const struct phial_json *pids = NULL;
	const struct phial_json *devices = NULL;

	if (!typed_member(linux_part, "resources", PHIAL_JSON_OBJECT, &resources)) {
		return refuse_key(err, "linux.resources");
	}
	if (!typed_member(resources, "memory", PHIAL_JSON_OBJECT, &memory) ||
	    !read_limit(memory, "limit", &config->memory_limit_bytes)) {
		return refuse_key(err, "linux.resources.memory");
	}
	if (!typed_member(resources, "pids", PHIAL_JSON_OBJECT, &pids) ||
	    !read_limit(pids, "limit", &config->pids_limit)) {
		return refuse_key(err, "linux.resources.pids");
	}
	if (!typed_member(resources, "devices", PHIAL_JSON_ARRAY, &devices)) {
		return refuse_key(err, "linux.resources.devices");
	}
	for (const struct phial_json *rule = phial_json_first(devices); rule;
	     rule = phial_json_next(rule)) {
		if (!read_device_rule(rule, &config->has_all_devices)) {
			return refuse_key(err, "linux.resources.devices");
		}
	}
	return PHIAL_OK;
}

/* A filter that allows all by default and has no rule is none. */
static enum phial_status read_seccomp(const struct phial_json *linux_part,
				      struct phial_oci_config *config, struct phial_error *err)
{
	const struct phial_json *seccomp = NULL;
	const struct phial_json *syscalls = NULL;
	const char *action;

	if (!typed_member(linux_part, "seccomp", PHIAL_JSON_OBJECT, &seccomp) ||
	    !read_string(seccomp, "defaultAction", &action) ||
	    !typed_member(seccomp, "syscalls", PHIAL_JSON_ARRAY, &syscalls)) {
		return refuse_key(err, "linux.seccomp");
	}
	config->has_seccomp =
		seccomp && action &&
		(strcmp(action, "SCMP_ACT_ALLOW") != 0 || phial_json_count(syscalls) > 0);
	return PHIAL_OK;
}

/* USER:ROLE:TYPE, with or without a level: what selinux(8) calls a context, and no more. */
static bool is_mount_label(const char *label)
{
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	static const char inner[] = LETTERS "_.-";
	static const char level[] = LETTERS "_.,:-";
#undef LETTERS
	size_t length = strlen(label);

	if (length > PHIAL_OCI_LABEL_MAX_BYTES) {
		return false;
	}
	for (int part = 0; part < 3; part++) {
		size_t part_length = strspn(label, inner);

		label += part_length;
		if (part_length == 0) {
			return false;
		}
		if (part < 2 && *label++ != ':') {
			return false;
		}
	}
	if (*label == '\0') {
		return true;
	}
	/* The level: "s0", "s0:c1,c2", "s0-s0:c0.c1023". */
	return label[0] == ':' && label[1] != '\0' && label[1 + strspn(label + 1, level)] == '\0';
}

static enum phial_status read_linux(const struct phial_json *root, struct phial_oci_config *config,
				    struct phial_error *err)
{
	const struct phial_json *linux_part = NULL;

	if (!typed_member(root, "linux", PHIAL_JSON_OBJECT, &linux_part)) {
		return refuse_key(err, "linux");
	}
	if (!read_string(linux_part, "mountLabel", &config->mount_label) ||
	    (config->mount_label && !is_mount_label(config->mount_label))) {
		return refuse_key(err, "linux.mountLabel");
	}
	enum phial_status status = read_namespaces(linux_part, config, err);

	if (status == PHIAL_OK) {
		status = read_resources(linux_part, config, err);
	}
	return status == PHIAL_OK ? read_seccomp(linux_part, config, err) : status;
}

/* --- all ------------------------------------------------------------------------------ */

static enum phial_status read_all(const struct phial_json *root, struct phial_oci_config *config,
				  struct phial_error *err)
{
	if (phial_json_type(root) != PHIAL_JSON_OBJECT) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "config.json: not an object");
	}
	if (!read_string(root, "hostname", &config->hostname)) {
		return refuse_key(err, "hostname");
	}
	enum phial_status status = read_root(root, config, err);

	if (status == PHIAL_OK) {
		status = read_process(root, config, err);
	}
	if (status == PHIAL_OK) {
		status = read_mounts(root, config, err);
	}
	return status == PHIAL_OK ? read_linux(root, config, err) : status;
}

enum phial_status phial_oci_config_parse(const uint8_t *bytes, size_t length,
					 struct phial_oci_config *ret_config,
					 struct phial_error *err)
{
	phial_auto_oci_config struct phial_oci_config config = { 0 };

	if (length > PHIAL_OCI_CONFIG_MAX_BYTES) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "config.json: more than %zu bytes",
				  PHIAL_OCI_CONFIG_MAX_BYTES);
	}
	enum phial_status status = phial_json_parse(bytes, length, &config.document, err);

	if (status != PHIAL_OK) {
		(void)phial_fail_prefix(err, "config.json");
		return status;
	}
	status = read_all(config.document, &config, err);
	if (status != PHIAL_OK) {
		return status;
	}
	*ret_config = config;
	config = (struct phial_oci_config){ 0 };
	return PHIAL_OK;
}

void phial_oci_config_free(struct phial_oci_config *config)
{
	phial_json_free(config->document);
	free(config->mounts);
	free(config->destinations);
	*config = (struct phial_oci_config){ 0 };
}
