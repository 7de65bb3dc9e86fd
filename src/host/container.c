/* SPDX-License-Identifier: ISC */
/*
 * Facts about containers from /proc. Everything of one process is read through one descriptor of
 * its folder, so that a pid that is given again meanwhile is noticed. Judges nothing.
 */
#include "host/container.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/capability.h"
#include "base/cleanup.h"
#include "host/file.h"

#define BARE_MAX 4096

static const uint64_t reads_any_file =
	PHIAL_CAPABILITY(CAP_DAC_OVERRIDE) | PHIAL_CAPABILITY(CAP_DAC_READ_SEARCH);

/* --- mountinfo ---------------------------------------------------------------------------- */

/* Skip the optional fields up to the "-" that ends them. */
static bool skip_optional(struct phial_span *line)
{
	struct phial_span word;

	while (phial_next_word(line, &word)) {
		if (phial_span_is(word, "-")) {
			return true;
		}
	}
	return false;
}

bool phial_mountinfo_next(struct phial_span *rest, struct phial_mount_line *ret_line)
{
	struct phial_span line;

	while (phial_next_line(rest, &line, NULL)) {
		struct phial_span word;
		struct phial_mount_line found;

		if (phial_next_word(&line, &found.id) && phial_next_word(&line, &word) &&
		    phial_next_word(&line, &found.device) && phial_next_word(&line, &found.root) &&
		    phial_next_word(&line, &found.place) &&
		    phial_next_word(&line, &found.options) && skip_optional(&line) &&
		    phial_next_word(&line, &found.type) && phial_next_word(&line, &word) &&
		    phial_next_word(&line, &found.super_options)) {
			*ret_line = found;
			return true;
		}
	}
	return false;
}

bool phial_mountinfo_find_line(const char *mountinfo, uint64_t mount_id,
			       struct phial_mount_line *ret_line)
{
	struct phial_span rest = phial_span_of(mountinfo);
	uint64_t id;

	while (phial_mountinfo_next(&rest, ret_line)) {
		if (phial_parse_u64(ret_line->id, 0, UINT64_MAX, &id) && id == mount_id) {
			return true;
		}
	}
	return false;
}

/* Is this word in a list with commas? */
static bool has_option(struct phial_span list, const char *word)
{
	size_t length = strlen(word);

	while (list.length > 0) {
		const char *comma = memchr(list.text, ',', list.length);
		size_t item = comma ? (size_t)(comma - list.text) : list.length;

		if (item == length && memcmp(list.text, word, length) == 0) {
			return true;
		}
		item += comma ? 1 : 0;
		list.text += item;
		list.length -= item;
	}
	return false;
}

static enum phial_secrets_kind kind_of(const struct phial_mount_line *line)
{
	if (phial_span_is(line->type, "ramfs")) {
		return PHIAL_SECRETS_UNSWAPPED;
	}
	if (!phial_span_is(line->type, "tmpfs")) {
		return PHIAL_SECRETS_OTHER;
	}
	return has_option(line->super_options, "noswap") ? PHIAL_SECRETS_UNSWAPPED
							 : PHIAL_SECRETS_SWAPPABLE;
}

/* Is a mount point this path? The kernel writes blanks and the like as \\040. */
static bool is_place(struct phial_span place, const char *path)
{
	size_t at = 0;

	for (; *path != '\0' && at < place.length; path++) {
		unsigned char byte = (unsigned char)place.text[at++];

		if (byte == '\\' && place.length - at >= 3) {
			byte = (unsigned char)((place.text[at] - '0') * 64 +
					       (place.text[at + 1] - '0') * 8 +
					       (place.text[at + 2] - '0'));
			at += 3;
		}
		if (byte != (unsigned char)*path) {
			return false;
		}
	}
	return *path == '\0' && at == place.length;
}

void phial_container_read_mounts(const char *mountinfo, const char *target,
				 struct phial_container_facts *ret_facts)
{
	struct phial_span rest = phial_span_of(mountinfo);
	struct phial_mount_line line;

	ret_facts->secrets = PHIAL_SECRETS_NONE;
	ret_facts->secrets_are_writable = false;
	while (phial_mountinfo_next(&rest, &line)) {
		if (is_place(line.place, target)) {
			ret_facts->secrets = kind_of(&line);
			ret_facts->secrets_are_writable = !has_option(line.options, "ro");
		}
	}
}

/* --- status ------------------------------------------------------------------------------- */

/* The text behind "\nKEY:\t", or NULL. */
static const char *find_field(const char *status, const char *key)
{
	size_t length = strlen(key);

	for (const char *line = status; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, length) == 0 && line[length] == ':') {
			return line + length + 1;
		}
	}
	return NULL;
}

/* Numbers of a field, separated by white space. Returns how many were read, at most max. */
static size_t read_numbers(const char *status, const char *key, int base, uint64_t *ret_numbers,
			   size_t max)
{
	const char *at = find_field(status, key);
	size_t count = 0;

	while (at && count < max) {
		char *end;

		at += strspn(at, " \t");
		if (!isxdigit((unsigned char)*at)) {
			break;
		}
		ret_numbers[count++] = strtoull(at, &end, base);
		at = end;
	}
	return count;
}

bool phial_container_read_status(const char *status, struct phial_container_facts *ret_facts)
{
	uint64_t uids[2];
	uint64_t permitted;
	uint64_t effective;
	uint64_t bounding;
	uint64_t inside[16];
	uint64_t seccomp;
	uint64_t no_new_privileges;

	if (read_numbers(status, "Uid", 10, uids, 2) != 2 ||
	    read_numbers(status, "CapPrm", 16, &permitted, 1) != 1 ||
	    read_numbers(status, "CapEff", 16, &effective, 1) != 1 ||
	    read_numbers(status, "CapBnd", 16, &bounding, 1) != 1 ||
	    read_numbers(status, "Seccomp", 10, &seccomp, 1) != 1 ||
	    read_numbers(status, "NoNewPrivs", 10, &no_new_privileges, 1) != 1) {
		return false;
	}
	size_t depth = read_numbers(status, "NSpid", 10, inside, PHIAL_COUNT(inside));

	if (depth == 0) {
		return false;
	}
	ret_facts->uid = (uint32_t)uids[1];
	/* Without no_new_privs a set-user-ID program in the image gets the whole bounding set. */
	ret_facts->capabilities = permitted | (no_new_privileges != 0 ? 0 : bounding);
	ret_facts->bounding = bounding;
	ret_facts->reads_any_file = (effective & reads_any_file) != 0;
	ret_facts->has_seccomp = seccomp != 0;
	ret_facts->has_no_new_privileges = no_new_privileges != 0;
	ret_facts->joined_pid_namespace = inside[depth - 1] != 1;
	return true;
}

/* --- one process ---------------------------------------------------------------------------- */

/* Is a process in the same namespace of this kind ("pid") as the host's first process? */
static enum phial_status is_shared(int process_fd, const char *kind, bool *ret_is_shared,
				   struct phial_error *err)
{
	char path[64];
	struct stat own;
	struct stat host;

	(void)snprintf(path, sizeof(path), "/proc/1/ns/%s", kind);
	/* Without root /proc/1 is closed; an ordinary host's own session is in the same ones. */
	if (stat(path, &host) != 0) {
		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
		if (stat(path, &host) != 0) {
			return phial_fail(err, PHIAL_SYSTEM, errno, "%s", path);
		}
	}
	(void)snprintf(path, sizeof(path), "ns/%s", kind);
	if (fstatat(process_fd, path, &own, 0) != 0) {
		return phial_fail(err,
				  errno == EACCES || errno == EPERM ? PHIAL_DENIED
								    : PHIAL_NOT_FOUND,
				  errno, "its %s namespace", kind);
	}
	*ret_is_shared = own.st_ino == host.st_ino && own.st_dev == host.st_dev;
	return PHIAL_OK;
}

static int open_process(pid_t pid)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

enum phial_status phial_container_look(pid_t pid, const char *target,
				       struct phial_container_facts *ret_facts,
				       struct phial_error *err)
{
	struct phial_container_facts facts = { .is_known = true };
	phial_auto_free char *text = NULL;
	phial_auto_free char *mounts = NULL;
	phial_auto_fd int fd = open_process(pid);

	if (fd < 0) {
		return phial_fail(err, PHIAL_NOT_FOUND, errno, "process %d", (int)pid);
	}
	enum phial_status status = is_shared(fd, "user", &facts.shares_user_namespace, err);

	if (status == PHIAL_OK) {
		status = is_shared(fd, "pid", &facts.shares_pid_namespace, err);
	}
	if (status == PHIAL_OK) {
		status = is_shared(fd, "net", &facts.shares_network_namespace, err);
	}
	if (status == PHIAL_OK) {
		status = phial_host_read(fd, "mountinfo", &mounts, err);
	}
	if (status == PHIAL_OK) {
		status = phial_host_read(fd, "status", &text, err);
	}
	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "process %d", (int)pid);
	}
	if (!phial_container_read_status(text, &facts)) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "/proc/%d/status", (int)pid);
	}
	phial_container_read_mounts(mounts, target, &facts);
	*ret_facts = facts;
	return PHIAL_OK;
}

enum phial_status phial_container_find_owner(pid_t pid, const char *target,
					     struct phial_secret_owner *ret_owner,
					     struct phial_error *err)
{
	char path[4200];
	const struct dirent *entry;
	bool is_found = false;
	int length = snprintf(path, sizeof(path), "/proc/%d/root%s/..data/", (int)pid, target);
	DIR *folder = length > 0 && (size_t)length < sizeof(path) ? opendir(path) : NULL;

	if (!folder) {
		return phial_fail(err, PHIAL_NOT_FOUND, errno, "%s", path);
	}
	while (!is_found && (entry = readdir(folder)) != NULL) {
		struct stat status;

		if (entry->d_name[0] == '.') { /* the counter of generations, which all may read */
			continue;
		}
		is_found =
			fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISREG(status.st_mode);
		if (is_found) {
			ret_owner->uid = status.st_uid;
			ret_owner->is_for_others = (status.st_mode & 044) != 0;
		}
	}
	closedir(folder);
	return is_found ? PHIAL_OK : phial_fail(err, PHIAL_NOT_FOUND, 0, "no file in %s", path);
}

/* --- grants that nobody covered --------------------------------------------------------------- */

struct search {
	const char *workload_dir;
	uint64_t own_namespace;
	struct phial_bare_grant *grants;
	size_t count;
	size_t unseen;
	uint64_t *seen; /* mount namespaces */
	size_t seen_count;
	size_t seen_room;
};

static bool is_new_namespace(struct search *search, uint64_t inode)
{
	for (size_t i = 0; i < search->seen_count; i++) {
		if (search->seen[i] == inode) {
			return false;
		}
	}
	if (search->seen_count == search->seen_room) {
		size_t room = search->seen_room * 2 + 64;
		uint64_t *larger = reallocarray(search->seen, room, sizeof(*larger));

		if (!larger) {
			return true; /* looked at twice at worst */
		}
		search->seen = larger;
		search->seen_room = room;
	}
	search->seen[search->seen_count++] = inode;
	return true;
}

/* Does one text end with the other, at the beginning of a component? */
static bool ends_with(struct phial_span text, struct phial_span end)
{
	return text.length >= end.length && end.length > 0 && end.text[0] == '/' &&
	       memcmp(text.text + text.length - end.length, end.text, end.length) == 0;
}

/*
 * "web" when a mount's root is the directory of workload web. The root counts from its own file
 * system: /phial/workload/web where /run is a tmpfs, /run/phial/workload/web where it is none.
 */
static bool workload_of(struct phial_span root, const char *workload_dir,
			char ret_name[PHIAL_NAME_COMPONENT_MAX_BYTES + 1])
{
	const struct phial_span whole = phial_span_of(workload_dir);
	const char *slash = memrchr(root.text, '/', root.length);

	if (!slash) {
		return false;
	}
	const struct phial_span folder = { root.text, (size_t)(slash - root.text) };
	const struct phial_span name = { slash + 1, root.length - folder.length - 1 };

	return (ends_with(whole, folder) || ends_with(folder, whole)) && name.length > 0 &&
	       phial_span_copy(name, ret_name, PHIAL_NAME_COMPONENT_MAX_BYTES + 1);
}

/*
 * Is something mounted later at the same place? Told by the table alone: a path would lead through
 * what the container may have mounted, and could wait there for good.
 */
static bool is_covered(struct phial_span later, struct phial_span place)
{
	struct phial_mount_line line;

	while (phial_mountinfo_next(&later, &line)) {
		if (line.place.length == place.length &&
		    memcmp(line.place.text, place.text, place.length) == 0) {
			return true;
		}
	}
	return false;
}

static void keep_grant(struct search *search, const struct phial_bare_grant *grant)
{
	struct phial_bare_grant *larger =
		reallocarray(search->grants, search->count + 1, sizeof(*larger));

	if (larger) {
		search->grants = larger;
		search->grants[search->count++] = *grant;
	}
}

static void search_mounts(struct search *search, struct phial_bare_grant *grant, const char *mounts)
{
	struct phial_span rest = phial_span_of(mounts);
	struct phial_mount_line line;

	while (search->count < BARE_MAX && phial_mountinfo_next(&rest, &line)) {
		if (workload_of(line.root, search->workload_dir, grant->workload) &&
		    phial_span_copy(line.place, grant->place, sizeof(grant->place)) &&
		    !is_covered(rest, line.place)) {
			keep_grant(search, grant);
		}
	}
}

static void search_process(struct search *search, pid_t pid)
{
	struct phial_bare_grant grant = { .pid = pid };
	phial_auto_free char *mounts = NULL;
	struct stat namespace;
	phial_auto_fd int fd = open_process(pid);

	if (fd < 0) {
		return;
	}
	if (fstatat(fd, "ns/mnt", &namespace, 0) != 0) {
		search->unseen += errno == EACCES || errno == EPERM;
		return;
	}
	grant.mount_namespace = namespace.st_ino;
	if (namespace.st_ino == search->own_namespace ||
	    !is_new_namespace(search, namespace.st_ino) ||
	    phial_host_read(fd, "mountinfo", &mounts, NULL) != PHIAL_OK) {
		return;
	}
	search_mounts(search, &grant, mounts);
}

enum phial_status phial_container_find_bare(const char *workload_dir,
					    struct phial_bare_grant **ret_grants, size_t *ret_count,
					    size_t *ret_unseen, struct phial_error *err)
{
	struct search search = { .workload_dir = workload_dir };
	const struct dirent *entry;
	struct stat found;

	if (stat(workload_dir, &found) != 0) {
		return phial_fail(err, errno == ENOENT ? PHIAL_NOT_FOUND : PHIAL_SYSTEM, errno,
				  "%s", workload_dir);
	}
	if (stat("/proc/self/ns/mnt", &found) == 0) {
		search.own_namespace = found.st_ino;
	}
	DIR *folder = opendir("/proc");

	if (!folder) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "/proc");
	}
	while ((entry = readdir(folder)) != NULL) {
		uint64_t pid;

		/* Process 1 is no container; in a sandbox even root may not look at it. */
		if (phial_parse_u64(phial_span_of(entry->d_name), 2, INT32_MAX, &pid)) {
			search_process(&search, (pid_t)pid);
		}
	}
	closedir(folder);
	free(search.seen);
	*ret_grants = search.grants;
	*ret_count = search.count;
	*ret_unseen = search.unseen;
	return PHIAL_OK;
}
