/* SPDX-License-Identifier: ISC */
/*
 * The names of a store. Looks at directory entries only, so that ten thousand files cost no
 * ten thousand opens; what a file holds, and whether it is regular, is found when it is read.
 */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "store/beneath.h"

#define SUFFIX	  ".sealed"
#define NAMES_MAX ((size_t)100000)
/* Problems are for people: after so many, one line says how many more there are. */
#define PROBLEMS_MAX ((size_t)1000)
/* Everything looked at, so that a tangle of links among directories ends. */
#define VISITS_MAX ((size_t)1000000)
/*
 * Directories within directories: one more than a name can have, so that a file that lies
 * too deep is reported and does not just seem to be missing.
 */
#define DEPTH_MAX 5

struct walk {
	int store_fd;
	phial_store_directory_fn *on_directory; /* or NULL */
	void *context;
	struct phial_store_names *found;
	size_t names_room;
	size_t problems_room;
	size_t problems_left_out;
	size_t visits;
	struct {
		dev_t device;
		ino_t inode;
	} above[DEPTH_MAX + 1]; /* the directories being walked, to end loops of links */
	size_t depth;
};

/* Append a copy of text to a list of texts. */
static enum phial_status append(char ***list, size_t *count, size_t *room, const char *text,
				struct phial_error *err)
{
	if (*count == *room) {
		size_t larger_room = *room == 0 ? 64 : *room * 2;
		char **larger = reallocarray(*list, larger_room, sizeof(*larger));

		if (!larger) {
			return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "list the store");
		}
		*list = larger;
		*room = larger_room;
	}
	char *copy = strdup(text);

	if (!copy) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "list the store");
	}
	(*list)[(*count)++] = copy;
	return PHIAL_OK;
}

/* line: made by phial_fail(), whose quoting makes control characters in a path harmless. */
static enum phial_status add_problem_line(struct walk *walk, const char *line,
					  struct phial_error *err)
{
	struct phial_store_names *found = walk->found;

	if (found->problem_count == PROBLEMS_MAX) {
		walk->problems_left_out++;
		return PHIAL_OK;
	}
	return append(&found->problems, &found->problem_count, &walk->problems_room, line, err);
}

static enum phial_status add_problem(struct walk *walk, const char *path, const char *reason,
				     struct phial_error *err)
{
	struct phial_error line;

	(void)phial_fail(&line, PHIAL_PROBLEMS, 0, "%s: %s", path, reason);
	return add_problem_line(walk, line.text, err);
}

/* A file whose name ends in ".sealed"; path is changed and put right again. */
static enum phial_status add_file(struct walk *walk, char *path, struct phial_error *err)
{
	struct phial_store_names *found = walk->found;
	char *suffix = path + strlen(path) - strlen(SUFFIX);
	struct phial_error reason;

	*suffix = '\0';
	if (phial_name_check(path, &reason) != PHIAL_OK) {
		*suffix = SUFFIX[0];
		return add_problem(walk, path, reason.text, err);
	}
	if (found->count == NAMES_MAX) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0,
				  "more than %zu sealed files in the store", NAMES_MAX);
	}
	return append(&found->names, &found->count, &walk->names_room, path, err);
}

/* What an entry is, links followed inside the store: S_IFREG, S_IFDIR, ..., or 0. */
static mode_t type_of(const struct walk *walk, const char *path, unsigned char hint,
		      struct phial_error *ret_reason)
{
	phial_auto_fd int fd = -1;
	struct stat status;

	if (hint != DT_LNK && hint != DT_UNKNOWN) {
		return (mode_t)DTTOIF((mode_t)hint);
	}
	if (phial_store_open_beneath(walk->store_fd, path, O_PATH, &fd, ret_reason) != PHIAL_OK) {
		return 0;
	}
	if (fstat(fd, &status) != 0) {
		(void)phial_fail(ret_reason, PHIAL_SYSTEM, errno, "fstat");
		return 0;
	}
	return status.st_mode & S_IFMT;
}

static bool has_suffix(const char *path)
{
	size_t length = strlen(path);

	return length > strlen(SUFFIX) && strcmp(path + length - strlen(SUFFIX), SUFFIX) == 0;
}

static enum phial_status walk_directory(struct walk *walk, const char *path,
					struct phial_error *err);

static enum phial_status visit(struct walk *walk, char *path, unsigned char hint,
			       struct phial_error *err)
{
	bool is_sealed = has_suffix(path);
	struct phial_error reason = { 0 };

	if (++walk->visits > VISITS_MAX) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0,
				  "more than %zu files and directories in the store", VISITS_MAX);
	}
	if (hint == DT_REG && !is_sealed) {
		return PHIAL_OK;
	}
	mode_t type = type_of(walk, path, hint, &reason);

	if (is_sealed && type == S_IFREG) {
		return add_file(walk, path, err);
	}
	if (is_sealed) {
		return type == 0 ? add_problem_line(walk, reason.text, err)
				 : add_problem(walk, path, "not a regular file", err);
	}
	return type == S_IFDIR ? walk_directory(walk, path, err) : PHIAL_OK;
}

static enum phial_status walk_entries(struct walk *walk, DIR *directory, const char *prefix,
				      struct phial_error *err)
{
	char path[PATH_MAX];

	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(directory);

		if (!entry) {
			return errno == 0 ? PHIAL_OK
					  : add_problem(walk, prefix, "cannot be read to its end",
							err);
		}
		if (entry->d_name[0] == '.') {
			continue;
		}
		int length = snprintf(path, sizeof(path), "%s%s%s", prefix,
				      prefix[0] == '\0' ? "" : "/", entry->d_name);

		if (length < 0 || (size_t)length >= sizeof(path)) {
			continue; /* no name is that long, and depth bounds it anyway */
		}
		enum phial_status status = visit(walk, path, entry->d_type, err);

		if (status != PHIAL_OK) {
			return status;
		}
	}
}

/* True if this directory is one of those being walked, or lies too deep. */
static bool must_not_enter(const struct walk *walk, const struct stat *status)
{
	for (size_t i = 0; i < walk->depth; i++) {
		if (walk->above[i].device == status->st_dev &&
		    walk->above[i].inode == status->st_ino) {
			return true;
		}
	}
	return walk->depth == PHIAL_COUNT(walk->above);
}

/* path: "" for the store itself. */
static enum phial_status walk_directory(struct walk *walk, const char *path,
					struct phial_error *err)
{
	phial_auto_fd int fd = -1;
	struct phial_error reason;
	struct stat status;

	if (phial_store_open_beneath(walk->store_fd, path[0] == '\0' ? "." : path,
				     O_RDONLY | O_DIRECTORY, &fd, &reason) != PHIAL_OK) {
		return add_problem_line(walk, reason.text, err);
	}
	if (fstat(fd, &status) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "fstat");
	}
	if (must_not_enter(walk, &status)) {
		return PHIAL_OK;
	}
	if (walk->on_directory) {
		walk->on_directory(walk->context, fd);
	}
	DIR *directory = fdopendir(fd);

	if (!directory) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "fdopendir");
	}
	(void)phial_take_fd(&fd); /* closed with the directory */
	walk->above[walk->depth].device = status.st_dev;
	walk->above[walk->depth].inode = status.st_ino;
	walk->depth++;
	enum phial_status result = walk_entries(walk, directory, path, err);

	walk->depth--;
	closedir(directory);
	return result;
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Twins side by side, in a settled order. */
static int compare_names_without_case(const void *left, const void *right)
{
	int order = strcasecmp(*(char *const *)left, *(char *const *)right);

	return order != 0 ? order : compare_names(left, right);
}

/*
 * Take out names that differ only in case: on some file systems and in some eyes they are one,
 * and which of them is meant cannot be known.
 */
static enum phial_status remove_twins(struct walk *walk, struct phial_error *err)
{
	struct phial_store_names *found = walk->found;
	phial_auto_free bool *is_twin = calloc(found->count, sizeof(*is_twin));
	enum phial_status status = PHIAL_OK;
	size_t kept = 0;

	if (!is_twin) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "list the store");
	}
	qsort(found->names, found->count, sizeof(*found->names), compare_names_without_case);
	for (size_t i = 1; i < found->count; i++) {
		if (strcasecmp(found->names[i - 1], found->names[i]) == 0) {
			is_twin[i - 1] = true;
			is_twin[i] = true;
		}
	}
	for (size_t i = 0; i < found->count; i++) {
		if (!is_twin[i]) {
			found->names[kept++] = found->names[i];
			continue;
		}
		if (status == PHIAL_OK) {
			status = add_problem(walk, found->names[i],
					     "another name differs from it only in case; "
					     "rename one of them",
					     err);
		}
		free(found->names[i]);
	}
	found->count = kept;
	return status;
}

enum phial_status phial_store_list_watched(int store_fd, phial_store_directory_fn *on_directory,
					   void *context, struct phial_store_names *ret_names,
					   struct phial_error *err)
{
	struct phial_store_names found = { 0 };
	struct walk walk = { .store_fd = store_fd,
			     .on_directory = on_directory,
			     .context = context,
			     .found = &found };
	enum phial_status status = walk_directory(&walk, "", err);

	if (status == PHIAL_OK && found.count > 0) {
		status = remove_twins(&walk, err);
		qsort(found.names, found.count, sizeof(*found.names), compare_names);
	}
	if (status == PHIAL_OK && walk.problems_left_out > 0) {
		char more[64];

		(void)snprintf(more, sizeof(more), "and %zu more problems", walk.problems_left_out);
		status = append(&found.problems, &found.problem_count, &walk.problems_room, more,
				err);
	}
	if (status != PHIAL_OK) {
		phial_store_names_free(&found);
		return status;
	}
	*ret_names = found;
	return PHIAL_OK;
}

enum phial_status phial_store_list(int store_fd, struct phial_store_names *ret_names,
				   struct phial_error *err)
{
	return phial_store_list_watched(store_fd, NULL, NULL, ret_names, err);
}

void phial_store_names_free(struct phial_store_names *names)
{
	for (size_t i = 0; i < names->count; i++) {
		free(names->names[i]);
	}
	for (size_t i = 0; i < names->problem_count; i++) {
		free(names->problems[i]);
	}
	free(names->names);
	free(names->problems);
	*names = (struct phial_store_names){ 0 };
}
