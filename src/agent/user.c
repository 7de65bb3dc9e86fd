/* SPDX-License-Identifier: ISC */
/*
 * An ordinary user's agent: where its files lie, and the user namespace in which it may do what
 * the agent of root may. Reads no secret; what comes after is the same for both.
 */
#include "agent/user.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/log.h"
#include "base/cleanup.h"
#include "base/harden.h"
#include "base/io.h"
#include "mount/private.h"

#define SUBID_FILE_MAX_BYTES ((size_t)1024 * 1024)
#define NUMBER_BYTES	     12
/* The program, the process, three for the user itself, three for each range, and the end. */
#define MAP_ARGUMENTS_MAX (2 + 3 + 3 * PHIAL_SUBIDS_MAX + 1)

/* --- paths ------------------------------------------------------------------------------ */

/* A path of the agent, and how it is made when it is not given. */
struct default_path {
	const char **path;
	const char *variable;
	const char *in_home; /* where the variable leads when it is not set, or NULL */
	const char *name;
};

/* text: PATH_MAX bytes, for as long as the process lives. */
static enum phial_status find_path(const struct default_path *wanted, char *text,
				   struct phial_error *err)
{
	const char *base = getenv(wanted->variable);
	const char *home = getenv("HOME");
	int length;

	/* The specification tells to ignore a relative path. */
	if (base && base[0] == '/') {
		length = snprintf(text, PATH_MAX, "%s/%s", base, wanted->name);
	} else if (wanted->in_home && home && home[0] == '/') {
		length = snprintf(text, PATH_MAX, "%s/%s/%s", home, wanted->in_home, wanted->name);
	} else {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "where is %s? %s names no absolute path%s; set it, or give all "
				  "of --store, --identity, --trust, --run-dir and --state-dir",
				  wanted->name, wanted->variable,
				  wanted->in_home ? ", nor does HOME" : "");
	}
	if (length >= PATH_MAX) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "%s is too long", wanted->variable);
	}
	*wanted->path = text;
	return PHIAL_OK;
}

static enum phial_status find_name(struct phial_agent_options *options, struct phial_error *err)
{
	static char name[NAME_MAX];
	const struct passwd *entry = getpwuid(geteuid());

	if (!entry || (size_t)snprintf(name, sizeof(name), "%s", entry->pw_name) >= sizeof(name)) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0, "uid %u has no name here",
				  (unsigned int)geteuid());
	}
	options->worker_user = name;
	return PHIAL_OK;
}

enum phial_status phial_user_find_paths(struct phial_agent_options *options,
					struct phial_error *err)
{
	const struct default_path paths[] = {
		{ &options->store, "XDG_CONFIG_HOME", ".config", "phial/store" },
		{ &options->identity, "XDG_CONFIG_HOME", ".config", "phial/identity" },
		{ &options->trust, "XDG_CONFIG_HOME", ".config", "phial/trust" },
		{ &options->state_dir, "XDG_STATE_HOME", ".local/state", "phial" },
		{ &options->run_dir, "XDG_RUNTIME_DIR", NULL, "phial" },
	};
	static char texts[PHIAL_COUNT(paths)][PATH_MAX];

	if (geteuid() == 0) {
		return phial_fail(
			err, PHIAL_USAGE, 0,
			"--user is for ordinary users; root's agent is phiald without it");
	}
	enum phial_status status = find_name(options, err);

	for (size_t i = 0; status == PHIAL_OK && i < PHIAL_COUNT(paths); i++) {
		if (!*paths[i].path) {
			status = find_path(&paths[i], texts[i], err);
		}
	}
	return status;
}

/* --- subordinate ids -------------------------------------------------------------------- */

/* Cut the text before the next ':' off a line; all of it when there is none. */
static struct phial_span next_field(struct phial_span *line)
{
	const char *colon = memchr(line->text, ':', line->length);
	struct phial_span field = *line;

	if (colon) {
		field.length = (size_t)(colon - line->text);
	}
	size_t used = field.length + (colon != NULL);

	line->text += used;
	line->length -= used;
	return field;
}

void phial_subids_parse(struct phial_span text, const char *user, uint32_t uid,
			struct phial_subids *ret_subids)
{
	struct phial_subids subids = { .count = 0 };
	struct phial_span line;

	while (subids.count < PHIAL_SUBIDS_MAX && phial_next_line(&text, &line, NULL)) {
		uint64_t owner = UINT64_MAX;
		uint64_t first;
		uint64_t count;
		struct phial_span name = next_field(&line);

		if (!phial_span_is(name, user) &&
		    !(phial_parse_u64(name, 0, UINT32_MAX, &owner) && owner == uid)) {
			continue;
		}
		if (phial_parse_u64(next_field(&line), 1, UINT32_MAX - 1, &first) &&
		    phial_parse_u64(line, 1, UINT32_MAX - first, &count)) {
			subids.ranges[subids.count].first = (uint32_t)first;
			subids.ranges[subids.count].count = (uint32_t)count;
			subids.count++;
		}
	}
	*ret_subids = subids;
}

static void read_subids(const char *path, const char *user, uint32_t uid,
			struct phial_subids *ret_subids)
{
	phial_auto_free uint8_t *text = NULL;
	size_t length = 0;
	phial_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct phial_error err;

	if (fd >= 0 && phial_read_all(fd, SUBID_FILE_MAX_BYTES, &text, &length, &err) != PHIAL_OK) {
		phial_log("%s: %s", path, err.text);
		length = 0;
	}
	phial_subids_parse((struct phial_span){ (const char *)text, length }, user, uid,
			   ret_subids);
}

/* --- the maps --------------------------------------------------------------------------- */

/* The arguments of newuidmap(1): process, then inside, outside, count of each range. */
struct map_arguments {
	char *list[MAP_ARGUMENTS_MAX];
	char numbers[MAP_ARGUMENTS_MAX][NUMBER_BYTES];
	int count;
};

static void add_number(struct map_arguments *arguments, uint64_t number)
{
	char *text = arguments->numbers[arguments->count];

	(void)snprintf(text, NUMBER_BYTES, "%" PRIu64, number);
	arguments->list[arguments->count++] = text;
	arguments->list[arguments->count] = NULL;
}

static void list_arguments(struct map_arguments *arguments, char *program, uint32_t own_id,
			   const struct phial_subids *subids)
{
	uint64_t inside = 1;

	arguments->list[0] = program;
	arguments->count = 1;
	add_number(arguments, (uint64_t)getpid());
	add_number(arguments, 0);
	add_number(arguments, own_id);
	add_number(arguments, 1);
	for (size_t i = 0; i < subids->count; i++) {
		add_number(arguments, inside);
		add_number(arguments, subids->ranges[i].first);
		add_number(arguments, subids->ranges[i].count);
		inside += subids->ranges[i].count;
	}
}

/*
 * In a child that stays in the old namespace: wait for the byte that says that the parent has left
 * it, then become the program. An end of the pipe without it: the parent has failed.
 */
static void map_when_told(int wait_fd, char *const arguments[]) __attribute__((noreturn));

static void map_when_told(int wait_fd, char *const arguments[])
{
	static char path[] = "PATH=/usr/local/bin:/usr/bin:/bin:/run/wrappers/bin";
	static char *const environment[] = { path, NULL };
	char go;

	if (read(wait_fd, &go, 1) != 1 || putenv(path) != 0 ||
	    phial_close_inherited_on_exec(NULL) != PHIAL_OK) {
		_exit(1);
	}
	execvpe(arguments[0], arguments, environment);
	phial_log("%s (package uidmap): %s", arguments[0], strerror(errno));
	_exit(127);
}

static bool has_ended_well(pid_t pid)
{
	int wait_status = -1;

	while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {
	}
	return WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
}

/* Both maps, written by the programs that the system trusts with it. */
struct mappers {
	pid_t pids[2];
	int go_fd; /* one byte for each */
};

static enum phial_status start_mappers(struct mappers *mappers,
				       const struct phial_subids subids[static 2],
				       struct phial_error *err)
{
	static char programs[2][12] = { "newuidmap", "newgidmap" };
	const uint32_t own_ids[2] = { geteuid(), getegid() };
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "pipe");
	}
	for (int i = 0; i < 2; i++) {
		static struct map_arguments arguments;

		list_arguments(&arguments, programs[i], own_ids[i], &subids[i]);
		mappers->pids[i] = fork();
		if (mappers->pids[i] == 0) {
			close(ends[1]);
			map_when_told(ends[0], arguments.list);
		}
	}
	close(ends[0]);
	mappers->go_fd = ends[1];
	return PHIAL_OK;
}

/* Let both write, and wait for them. Returns whether both maps are written. */
static bool finish_mappers(struct mappers *mappers)
{
	bool was_told = write(mappers->go_fd, "..", 2) == 2;
	bool is_mapped = was_told;

	phial_close_fd(&mappers->go_fd);
	for (int i = 0; i < 2; i++) {
		is_mapped = mappers->pids[i] > 0 && has_ended_well(mappers->pids[i]) && is_mapped;
	}
	return is_mapped;
}

static enum phial_status enter_mapped(struct phial_agent_options *options,
				      const struct phial_subids subids[static 2],
				      struct phial_error *err)
{
	const struct phial_private_ids own = { geteuid(), getegid() };
	const struct phial_private_ids root = { 0, 0 };
	struct mappers mappers = { .go_fd = -1 };
	bool has_subids = subids[0].count > 0 && subids[1].count > 0;
	enum phial_status status = PHIAL_OK;

	if (has_subids) {
		status = start_mappers(&mappers, subids, err);
	}
	if (status == PHIAL_OK) {
		status = phial_private_unshare_user(err);
	}
	if (status != PHIAL_OK) {
		phial_close_fd(&mappers.go_fd);
		return status;
	}
	options->has_subids = has_subids && finish_mappers(&mappers);
	if (options->has_subids) {
		return PHIAL_OK;
	}
	status = phial_private_map_one(&root, &own, err);
	/* One of the two programs may have written its map, and a map is written once. */
	return status == PHIAL_OK || !has_subids
		       ? status
		       : phial_fail_prefix(err, "newuidmap or newgidmap failed");
}

enum phial_status phial_user_enter(struct phial_agent_options *options, struct phial_error *err)
{
	struct phial_subids subids[2];

	read_subids("/etc/subuid", options->worker_user, geteuid(), &subids[0]);
	read_subids("/etc/subgid", options->worker_user, geteuid(), &subids[1]);
	/* The files of a process that may not be dumped are root's, its maps among them. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "prctl PR_SET_DUMPABLE");
	}
	enum phial_status status = enter_mapped(options, subids, err);

	return status == PHIAL_OK ? phial_process_forbid_dump(err) : status;
}
