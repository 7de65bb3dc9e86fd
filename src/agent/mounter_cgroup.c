/* SPDX-License-Identifier: ISC */
/*
 * Which cgroup a process is in, and what that one limits: cgroup v1, v2, and both at once. Judges
 * nothing, and believes of the paths only what the host's /proc says.
 */
#include "agent/mounter.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "host/file.h"

#define ID_DIGITS (PHIAL_CGROUP_ID_BYTES - 1)
/* Kernels write "no limit" as the largest number of pages; nobody limits to so much. */
#define LIMIT_MAX (UINT64_C(1) << 53)

bool phial_cgroup_find_id(const char *cgroup, char ret_id[static PHIAL_CGROUP_ID_BYTES])
{
	while (*cgroup != '\0') {
		size_t length = strspn(cgroup, "0123456789abcdef");

		if (length == ID_DIGITS && !isalnum((unsigned char)cgroup[length])) {
			memcpy(ret_id, cgroup, ID_DIGITS);
			ret_id[ID_DIGITS] = '\0';
			return true;
		}
		cgroup += length > 0 ? length : 1;
	}
	return false;
}

/* FNV-1a: nobody gains by a collision but a shared turn. */
static uint64_t hash(const char *text)
{
	uint64_t number = UINT64_C(0xcbf29ce484222325);

	for (; *text != '\0'; text++) {
		number = (number ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	}
	return number;
}

uint64_t phial_cgroup_number(const char *cgroup)
{
	char id[PHIAL_CGROUP_ID_BYTES];

	/* Below its own cgroup a container may be able to make more. */
	return hash(phial_cgroup_find_id(cgroup, id) ? id : cgroup);
}

/* Is this controller in a list with commas? */
static bool lists(struct phial_span list, const char *controller)
{
	size_t length = strlen(controller);

	for (const char *at = list.text; at < list.text + list.length; at++) {
		size_t rest = list.length - (size_t)(at - list.text);
		bool begins = at == list.text || at[-1] == ',';

		if (begins && rest >= length && memcmp(at, controller, length) == 0 &&
		    (rest == length || at[length] == ',')) {
			return true;
		}
	}
	return false;
}

/* "9:cpu,memory:/path": its list of controllers, empty for cgroup v2, and its path. */
static bool split_line(struct phial_span line, struct phial_span *ret_list,
		       struct phial_span *ret_path)
{
	const char *end = line.text + line.length;
	const char *first = memchr(line.text, ':', line.length);
	const char *second = first ? memchr(first + 1, ':', (size_t)(end - first) - 1) : NULL;

	if (!second) {
		return false;
	}
	*ret_list = (struct phial_span){ first + 1, (size_t)(second - first) - 1 };
	*ret_path = (struct phial_span){ second + 1, (size_t)(end - second) - 1 };
	return true;
}

bool phial_cgroup_find_path(const char *cgroup, const char *controller, char ret_path[static 4096],
			    bool *ret_is_unified)
{
	struct phial_span rest = phial_span_of(cgroup);
	struct phial_span line;
	bool is_found = false;

	while (phial_next_line(&rest, &line, NULL)) {
		struct phial_span list;
		struct phial_span path;

		if (!split_line(line, &list, &path) ||
		    (list.length > 0 && !lists(list, controller))) {
			continue;
		}
		bool is_unified = list.length == 0;
		int length =
			snprintf(ret_path, 4096, "/sys/fs/cgroup%s%s%.*s", is_unified ? "" : "/",
				 is_unified ? "" : controller, (int)path.length, path.text);

		if (length < 0 || length >= 4096 || strstr(ret_path, "..")) {
			return false;
		}
		*ret_is_unified = is_unified;
		is_found = true;
		if (!is_unified) {
			return true; /* where both are, the controller is in v1 */
		}
	}
	return is_found;
}

/* A path up to the last component that holds an engine's id; the whole path if none does. */
static struct phial_span cut_below_id(struct phial_span path)
{
	size_t end = path.length;
	size_t run = 0;

	for (size_t i = 0; i < path.length; i++) {
		run = isxdigit((unsigned char)path.text[i]) && !isupper((unsigned char)path.text[i])
			      ? run + 1
			      : 0;
		if (run == ID_DIGITS) {
			const char *slash = memchr(path.text + i, '/', path.length - i);

			end = slash ? (size_t)(slash - path.text) : path.length;
		}
	}
	return (struct phial_span){ path.text, end };
}

/* Is a path the same as another, or below it? */
static bool is_below(struct phial_span path, struct phial_span top)
{
	if (top.length == 1) { /* the root */
		return true;
	}
	return path.length >= top.length && memcmp(path.text, top.text, top.length) == 0 &&
	       (path.length == top.length || path.text[top.length] == '/');
}

bool phial_cgroup_contains(const char *own, const char *other)
{
	struct phial_span own_rest = phial_span_of(own);
	struct phial_span other_rest = phial_span_of(other);
	struct phial_span own_line;
	struct phial_span other_line;

	/* The kernel writes every process's hierarchies in one order. */
	while (phial_next_line(&own_rest, &own_line, NULL)) {
		struct phial_span own_path;
		struct phial_span other_path;
		struct phial_span list;

		if (!phial_next_line(&other_rest, &other_line, NULL) ||
		    !split_line(own_line, &list, &own_path) ||
		    !split_line(other_line, &list, &other_path)) {
			return false;
		}
		size_t head = (size_t)(own_path.text - own_line.text);

		if (head != (size_t)(other_path.text - other_line.text) ||
		    memcmp(own_line.text, other_line.text, head) != 0 ||
		    !is_below(other_path, cut_below_id(own_path))) {
			return false;
		}
	}
	return other_rest.length == 0;
}

int64_t phial_cgroup_read_limit(const char *cgroup, const char *controller)
{
	static const size_t root_length = sizeof("/sys/fs/cgroup") - 1;
	char path[4096];
	bool is_unified;
	uint64_t smallest = 0;
	bool is_memory = strcmp(controller, "memory") == 0;

	if (!phial_cgroup_find_path(cgroup, controller, path, &is_unified)) {
		return 0;
	}
	const char *file = !is_memory	? "pids.max"
			   : is_unified ? "memory.max"
					: "memory.limit_in_bytes";
	size_t length = strlen(path);

	while (length > root_length) {
		char name[4096 + 32];
		uint64_t limit;

		path[length] = '\0';
		(void)snprintf(name, sizeof(name), "%s/%s", path, file);
		if (phial_host_read_number(name, &limit) && limit < LIMIT_MAX &&
		    (smallest == 0 || limit < smallest)) {
			smallest = limit > 0 ? limit : 1;
		}
		while (length > 0 && path[--length] != '/') {
		}
	}
	return (int64_t)smallest;
}
