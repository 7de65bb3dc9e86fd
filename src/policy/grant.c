/* SPDX-License-Identifier: ISC */
/*
 * Who gets what: the grant in a container's config, and the files of a workload. A grant is
 * the operator's act: only bind mounts and the hook's own argument are looked at, because all
 * else in a config may come from an image.
 */
#include "policy/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "oci/path.h"
#include "store/store.h"

const struct phial_workload *phial_policy_find(const struct phial_policy *policy,
					       const char *workload)
{
	for (size_t i = 0; i < policy->workload_count; i++) {
		if (strcmp(policy->workloads[i].name, workload) == 0) {
			return &policy->workloads[i];
		}
	}
	return NULL;
}

const char *phial_workload_target(const struct phial_workload *entry)
{
	return entry && entry->target ? entry->target : PHIAL_DEFAULT_TARGET;
}

unsigned int phial_workload_gates(const struct phial_workload *entry)
{
	return entry ? entry->gates : PHIAL_DEFAULT_GATES;
}

/* --- the files of a workload ---------------------------------------------------------- */

struct names {
	const char *const *list; /* sorted */
	size_t count;
};

struct grant {
	struct phial_grant_file *files;
	size_t count;
	size_t room;
};

/* The first name that is not before a prefix of so many bytes. */
static size_t first_with_prefix(struct names names, const char *prefix, size_t length)
{
	size_t low = 0;
	size_t high = names.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strncmp(names.list[middle], prefix, length) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

static bool is_granted(const struct grant *grant, const char *name)
{
	for (size_t i = 0; i < grant->count; i++) {
		if (strcmp(grant->files[i].secret, name) == 0) {
			return true;
		}
	}
	return false;
}

static const char *last_component(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

static enum phial_status make_room(struct grant *grant, struct phial_error *err)
{
	if (grant->count == PHIAL_GRANT_FILES_MAX) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "more than %d secrets in one workload",
				  PHIAL_GRANT_FILES_MAX);
	}
	if (grant->count < grant->room) {
		return PHIAL_OK;
	}
	size_t room = grant->room == 0 ? 16 : grant->room * 2;
	struct phial_grant_file *larger = reallocarray(grant->files, room, sizeof(*larger));

	if (!larger) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "grant");
	}
	grant->files = larger;
	grant->room = room;
	return PHIAL_OK;
}

static enum phial_status add_file(struct grant *grant, const char *name,
				  const struct phial_policy_rule *rule, struct phial_error *err)
{
	const char *file = rule->file ? rule->file : last_component(name);

	for (size_t i = 0; i < grant->count; i++) {
		if (strcmp(grant->files[i].file, file) == 0) {
			return phial_fail(err, PHIAL_REFUSED, 0,
					  "%s and %s would both be the file \"%s\"; give one of "
					  "them another with \"file\" in policy.json",
					  grant->files[i].secret, name, file);
		}
	}
	enum phial_status status = make_room(grant, err);

	if (status != PHIAL_OK) {
		return status;
	}
	struct phial_grant_file *added = &grant->files[grant->count++];

	*added = (struct phial_grant_file){
		.secret = name,
		.mode = rule->mode,
		.owner_uid = rule->owner_uid,
		.owner_gid = rule->owner_gid,
		.is_required = rule->is_required,
	};
	/* Never cut: a checked name's component and a checked file name fit. */
	(void)phial_span_copy(phial_span_of(file), added->file, sizeof(added->file));
	return PHIAL_OK;
}

/* Add all names that a rule matches and no rule before it did. */
static enum phial_status apply_rule(struct grant *grant, const struct phial_policy_rule *rule,
				    struct names names, struct phial_error *err)
{
	size_t prefix = strcspn(rule->pattern, "*");
	bool is_exact = rule->pattern[prefix] == '\0';
	bool has_matched = false;

	for (size_t i = first_with_prefix(names, rule->pattern, prefix);
	     i < names.count && strncmp(names.list[i], rule->pattern, prefix) == 0; i++) {
		if (!phial_pattern_matches(rule->pattern, names.list[i])) {
			continue;
		}
		has_matched = true;
		if (is_granted(grant, names.list[i])) {
			continue;
		}
		enum phial_status status = add_file(grant, names.list[i], rule, err);

		if (status != PHIAL_OK) {
			return status;
		}
	}
	if (is_exact && rule->is_required && !has_matched) {
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "the required secret %s is not there; seal it, or set "
				  "\"required\": false in policy.json",
				  rule->pattern);
	}
	return PHIAL_OK;
}

static enum phial_status apply_rules(struct grant *grant, const struct phial_workload *entry,
				     const char *workload, struct names names,
				     struct phial_error *err)
{
	char own_names[PHIAL_NAME_COMPONENT_MAX_BYTES + sizeof("/*")];
	const struct phial_policy_rule convention = {
		.pattern = own_names,
		.mode = PHIAL_MODE_UNSET,
		.owner_uid = PHIAL_ID_UNSET,
		.owner_gid = PHIAL_ID_UNSET,
		.is_required = true,
	};

	if (!entry || entry->rule_count == 0) {
		(void)snprintf(own_names, sizeof(own_names), "%s/*", workload);
		return apply_rule(grant, &convention, names, err);
	}
	for (size_t i = 0; i < entry->rule_count; i++) {
		enum phial_status status = apply_rule(grant, &entry->rules[i], names, err);

		if (status != PHIAL_OK) {
			return status;
		}
	}
	return PHIAL_OK;
}

/* The workload's owner is for all files that have none of their own. */
static void apply_owner(struct grant *grant, const struct phial_workload *entry)
{
	for (size_t i = 0; entry && i < grant->count; i++) {
		struct phial_grant_file *file = &grant->files[i];

		if (file->owner_uid == PHIAL_ID_UNSET) {
			file->owner_uid = entry->owner_uid;
			file->owner_gid = entry->owner_gid;
		}
	}
}

/* Keep the one of two words that is more like a workload's name; ret_near is "" at first. */
static void keep_nearer(const char *workload, struct phial_span word,
			char ret_near[static PHIAL_NAME_COMPONENT_MAX_BYTES + 1])
{
	char text[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];

	if (!phial_span_copy(word, text, sizeof(text))) {
		return;
	}
	const char *const candidates[] = { ret_near, text };

	if (phial_nearest(workload, candidates, PHIAL_COUNT(candidates)) == text) {
		memcpy(ret_near, text, sizeof(text));
	}
}

/* A workload of the policy, or one that secrets are named for, like this word; or "". */
static void find_near_workload(const struct phial_policy *policy, const char *workload,
			       struct names names,
			       char ret_near[static PHIAL_NAME_COMPONENT_MAX_BYTES + 1])
{
	ret_near[0] = '\0';
	for (size_t i = 0; i < policy->workload_count; i++) {
		keep_nearer(workload, phial_span_of(policy->workloads[i].name), ret_near);
	}
	for (size_t i = 0; i < names.count; i++) {
		const char *slash = strchr(names.list[i], '/');

		if (slash) {
			struct phial_span first = { names.list[i],
						    (size_t)(slash - names.list[i]) };

			keep_nearer(workload, first, ret_near);
		}
	}
}

static enum phial_status fail_without_files(const struct phial_policy *policy,
					    const struct phial_workload *entry,
					    const char *workload, struct names names,
					    struct phial_error *err)
{
	char near[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];

	if (entry) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0,
				  "workload \"%s\": none of its secrets is there", workload);
	}
	find_near_workload(policy, workload, names, near);
	if (near[0] != '\0') {
		return phial_fail(err, PHIAL_NOT_FOUND, 0,
				  "no workload \"%s\", did you mean \"%s\"?", workload, near);
	}
	return phial_fail(err, PHIAL_NOT_FOUND, 0,
			  "no workload \"%s\": there is no secret %s/NAME and no entry in "
			  "policy.json",
			  workload, workload);
}

enum phial_status phial_policy_grant(const struct phial_policy *policy, const char *workload,
				     const char *const *names, size_t name_count,
				     struct phial_grant_file **ret_files, size_t *ret_count,
				     struct phial_error *err)
{
	const struct phial_workload *entry = phial_policy_find(policy, workload);
	struct names all = { names, name_count };
	struct grant grant = { 0 };

	if (strchr(workload, '/') || phial_name_check(workload, NULL) != PHIAL_OK) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0, "\"%.80s\" cannot name a workload",
				  workload);
	}
	enum phial_status status = apply_rules(&grant, entry, workload, all, err);

	if (status == PHIAL_OK && grant.count == 0) {
		status = fail_without_files(policy, entry, workload, all, err);
	}
	if (status != PHIAL_OK) {
		free(grant.files);
		return status;
	}
	apply_owner(&grant, entry);
	*ret_files = grant.files;
	*ret_count = grant.count;
	return PHIAL_OK;
}

/* --- the grant in a config ------------------------------------------------------------ */

/* True if a path lies in the directory of grants or is it; both in their plain form. */
static bool is_inside(const char *path, const char *directory)
{
	struct phial_span rest = phial_span_of(path);

	return phial_span_skip(&rest, directory) && (rest.length == 0 || rest.text[0] == '/');
}

/*
 * The workload that a bind mount's source names. Returns PHIAL_NOT_FOUND if the mount is
 * something else.
 */
static enum phial_status read_source(const char *source, const char *workload_dir,
				     char ret_workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1],
				     struct phial_error *err)
{
	phial_auto_free char *plain = malloc(strlen(source) + 2);

	if (!plain) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "grant");
	}
	(void)phial_oci_path_clean(source, plain);
	if (!is_inside(plain, workload_dir)) {
		return PHIAL_NOT_FOUND;
	}
	struct phial_span name = phial_span_of(source);

	if (!phial_span_skip(&name, workload_dir) || !phial_span_skip(&name, "/") ||
	    memchr(name.text, '/', name.length) || phial_name_check(name.text, NULL) != PHIAL_OK ||
	    !phial_span_copy(name, ret_workload, PHIAL_NAME_COMPONENT_MAX_BYTES + 1)) {
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "the grant mount's source must be exactly %s/WORKLOAD",
				  workload_dir);
	}
	return PHIAL_OK;
}

static enum phial_status read_grant_mount(const struct phial_oci_mount *mount,
					  const char *workload_dir,
					  char ret_workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1],
					  struct phial_error *err)
{
	if (!mount->is_bind || !mount->source) {
		return PHIAL_NOT_FOUND;
	}
	enum phial_status status = read_source(mount->source, workload_dir, ret_workload, err);

	if (status == PHIAL_OK && !mount->is_read_only) {
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "the grant mount of %s/%s is writable; add \"ro\" to it",
				  workload_dir, ret_workload);
	}
	return status;
}

/* Look at every mount: one that is refused counts even if another one is good. */
static enum phial_status find_mount(const struct phial_oci_config *config, const char *workload_dir,
				    char ret_workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1],
				    const char **ret_destination, struct phial_error *err)
{
	enum phial_status found = PHIAL_NOT_FOUND;

	for (size_t i = 0; i < config->mount_count; i++) {
		char workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
		const struct phial_oci_mount *mount = &config->mounts[i];
		enum phial_status status = read_grant_mount(mount, workload_dir, workload, err);

		if (status == PHIAL_NOT_FOUND) {
			continue;
		}
		if (status != PHIAL_OK) {
			return status;
		}
		if (found == PHIAL_OK && (strcmp(workload, ret_workload) != 0 ||
					  strcmp(mount->destination, *ret_destination) != 0)) {
			return phial_fail(err, PHIAL_REFUSED, 0,
					  "two grant mounts, %s at %s and %s at %s; one "
					  "container is one workload",
					  ret_workload, *ret_destination, workload,
					  mount->destination);
		}
		memcpy(ret_workload, workload, sizeof(workload));
		*ret_destination = mount->destination;
		found = PHIAL_OK;
	}
	return found;
}

enum phial_status phial_grant_find(const struct phial_oci_config *config, const char *workload_dir,
				   const char *argument,
				   char ret_workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1],
				   const char **ret_destination, struct phial_error *err)
{
	char workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1] = "";
	const char *destination = NULL;
	enum phial_status status = find_mount(config, workload_dir, workload, &destination, err);

	if (status != PHIAL_OK && status != PHIAL_NOT_FOUND) {
		return status;
	}
	if (status == PHIAL_NOT_FOUND && !argument) {
		return phial_fail(err, status, 0,
				  "no grant: the container has no bind mount of %s/WORKLOAD",
				  workload_dir);
	}
	if (argument && (strchr(argument, '/') || phial_name_check(argument, NULL) != PHIAL_OK ||
			 strlen(argument) > PHIAL_NAME_COMPONENT_MAX_BYTES)) {
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "the hook's --workload cannot name a workload");
	}
	if (argument && status == PHIAL_OK && strcmp(argument, workload) != 0) {
		return phial_fail(err, PHIAL_REFUSED, 0,
				  "the hook's --workload %s and the grant mount of %s differ",
				  argument, workload);
	}
	(void)snprintf(ret_workload, PHIAL_NAME_COMPONENT_MAX_BYTES + 1, "%s",
		       argument ? argument : workload);
	*ret_destination = destination;
	return PHIAL_OK;
}
