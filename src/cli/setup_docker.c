/* SPDX-License-Identifier: ISC */
/*
 * `phial setup docker`: phial-runtime as a runtime of dockerd, by /etc/docker/daemon.json. The
 * file is the administrator's: only our members of it change, as text, and what was there before
 * stays beside it. Does not restart or reload anything.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/program.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "cli/setup_actions.h"
#include "json/edit.h"
#include "json/json.h"

#define DAEMON_JSON	"/etc/docker/daemon.json"
#define BACKUP		"/etc/docker/daemon.json.before-phial"
#define FILE_MAX_BYTES	((size_t)256 * 1024)
#define NAME_MAX_BYTES	64
#define ENTRY_BYTES	(2 * PHIAL_SETUP_PATH_BYTES + 128)
#define DEFAULT_NAME	"phial"
#define DEFAULT_RUNTIME "runc"
#define EMPTY_FILE	"{}\n"
#define OUR_FILE	"/phial-runtime"
#define ADDED		"Docker reads it when you run: systemctl reload docker"
/* A reload leaves what the file names no more (seen with 20.10). */
#define REMOVED "Docker forgets it when you run: systemctl restart docker"

enum { RUNTIME, DEFAULT, PRINT, REMOVE, ROOT };

const struct phial_cli_option phial_cli_setup_docker_options[] = {
	[RUNTIME] = { "runtime", 0, false, "NAME=RUNTIME",
		      "Docker's name for it, and the runtime to wrap: runc, crun or a path "
		      "(default: phial=runc)" },
	[DEFAULT] = { "default-runtime", 0, false, NULL,
		      "make it the runtime of every container that names none" },
	[PRINT] = { "print", 0, false, NULL, "show the file as it would be, and write none" },
	[REMOVE] = { "remove", 0, false, NULL, "take it out again" },
	[ROOT] = PHIAL_SETUP_ROOT_OPTION,
	{ 0 },
};

struct docker {
	struct phial_setup setup;
	char name[NAME_MAX_BYTES + 1];
	char runtime[PHIAL_SETUP_PATH_BYTES];
	char path[PHIAL_SETUP_PATH_BYTES];   /* of daemon.json, below root */
	char backup[PHIAL_SETUP_PATH_BYTES]; /* of the backup, below root */
	bool is_there;
	char *text; /* of daemon.json, as it is */
};

static bool is_name(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.-";

	return text[0] != '\0' && text[strspn(text, letters)] == '\0';
}

/* A name, or an absolute path that can stand in JSON. */
static bool is_runtime(const char *text)
{
	if (text[0] != '/') {
		return is_name(text);
	}
	for (const char *c = text; *c != '\0'; c++) {
		if (*c < 0x20 || *c > 0x7e || *c == '"' || *c == '\\') {
			return false;
		}
	}
	return true;
}

/* NAME=RUNTIME, or NAME alone with --remove. */
static enum phial_status parse_runtime(const char *value, struct docker *docker,
				       struct phial_error *err)
{
	const char *equals = value ? strchr(value, '=') : NULL;
	struct phial_span name = phial_span_of(value ? value : DEFAULT_NAME);
	struct phial_span runtime = phial_span_of(equals ? equals + 1 : DEFAULT_RUNTIME);

	if (equals) {
		name.length = (size_t)(equals - value);
	}
	if (!phial_span_copy(name, docker->name, sizeof(docker->name)) || !is_name(docker->name)) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--runtime: the name is of letters, digits, \"_\", \".\", \"-\"");
	}
	if (strcmp(docker->name, "runc") == 0 || strncmp(docker->name, "io.", 3) == 0) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--runtime: the name \"%s\" is Docker's own; choose another",
				  docker->name);
	}
	if (!phial_span_copy(runtime, docker->runtime, sizeof(docker->runtime)) ||
	    !is_runtime(docker->runtime)) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--runtime: after \"=\" comes runc, crun or an absolute path");
	}
	return PHIAL_OK;
}

/* daemon.json as it is; an empty object if there is none. */
static enum phial_status read_file(struct docker *docker, struct phial_error *err)
{
	struct stat found;
	uint8_t *bytes = NULL;
	size_t length = 0;
	enum phial_status status = phial_setup_path(&docker->setup, DAEMON_JSON, docker->path, err);

	if (status == PHIAL_OK) {
		status = phial_setup_path(&docker->setup, BACKUP, docker->backup, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	docker->is_there = lstat(docker->path, &found) == 0;
	if (!docker->is_there) {
		docker->text = strdup(EMPTY_FILE);
		return docker->text ? PHIAL_OK : phial_fail(err, PHIAL_SYSTEM, errno, "read");
	}
	if (!S_ISREG(found.st_mode)) {
		return phial_fail(err, PHIAL_EXISTS, 0,
				  "%s is no regular file: what it leads to is for you to change "
				  "(--print shows how)",
				  docker->path);
	}
	status = phial_cli_read_file(docker->path, FILE_MAX_BYTES, &bytes, &length, err);
	docker->text = (char *)bytes;
	if (status == PHIAL_OK && strlen(docker->text) != length) {
		status = phial_fail(err, PHIAL_MALFORMED, 0, "%s holds NUL bytes", docker->path);
	}
	return status;
}

/* The member of "runtimes". A link by the runtime's name saves what dockerd does for arguments. */
static enum phial_status make_entry(const struct docker *docker, char entry[ENTRY_BYTES],
				    struct phial_error *err)
{
	char link[sizeof("phial-runtime-") + NAME_MAX_BYTES];
	char program[PHIAL_PROGRAM_PATH_BYTES];
	bool is_default = strcmp(docker->runtime, DEFAULT_RUNTIME) == 0;

	if (!phial_program_find("../libexec/phial", "phial-runtime", program)) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0,
				  "no phial-runtime beside this program (make install puts it "
				  "there)");
	}
	if (!is_runtime(program)) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "phial-runtime lies in a folder with an odd name");
	}
	if (!is_default && docker->runtime[0] != '/' &&
	    snprintf(link, sizeof(link), "phial-runtime-%s", docker->runtime) < (int)sizeof(link)) {
		char beside[PHIAL_SETUP_PATH_BYTES];
		size_t folder = (size_t)(strrchr(program, '/') + 1 - program);
		int length = snprintf(beside, sizeof(beside), "%.*s%s", (int)folder, program, link);

		if (length > 0 && (size_t)length < sizeof(beside) && access(beside, X_OK) == 0) {
			(void)snprintf(entry, ENTRY_BYTES, "{\"path\": \"%s\"}", beside);
			return PHIAL_OK;
		}
	}
	(void)snprintf(entry, ENTRY_BYTES, "{\"path\": \"%s\"%s%s%s}", program,
		       is_default ? "" : ", \"runtimeArgs\": [\"--phial-runtime\", \"",
		       is_default ? "" : docker->runtime, is_default ? "" : "\"]");
	return PHIAL_OK;
}

/* Replace *text by what an edit made of it. */
static enum phial_status take(enum phial_status status, char **text, char *edited)
{
	if (status == PHIAL_OK) {
		free(*text);
		*text = edited;
	}
	return status;
}

static enum phial_status set(char **text, const char *const *path, size_t depth, const char *value,
			     struct phial_error *err)
{
	char *edited = NULL;

	enum phial_status status = phial_json_edit_set(*text, path, depth, value, &edited, err);

	return take(status, text, edited);
}

static enum phial_status take_out(char **text, const char *const *path, size_t depth,
				  struct phial_error *err)
{
	char *edited = NULL;

	enum phial_status status = phial_json_edit_remove(*text, path, depth, &edited, err);

	return take(status, text, edited);
}

static enum phial_status add_ours(const struct docker *docker, bool is_default, char **text,
				  struct phial_error *err)
{
	const char *const runtime[] = { "runtimes", docker->name };
	const char *const by_default[] = { "default-runtime" };
	char quoted[NAME_MAX_BYTES + 3];
	char entry[ENTRY_BYTES];
	enum phial_status status = make_entry(docker, entry, err);

	if (status == PHIAL_OK) {
		status = set(text, runtime, PHIAL_COUNT(runtime), entry, err);
	}
	if (status == PHIAL_OK && is_default) {
		(void)snprintf(quoted, sizeof(quoted), "\"%s\"", docker->name);
		status = set(text, by_default, PHIAL_COUNT(by_default), quoted, err);
	}
	return status;
}

/* What a document says. */
struct facts {
	char default_runtime[NAME_MAX_BYTES + 1]; /* empty: none */
	bool has_runtimes;
	size_t runtime_count;
	bool has_ours; /* some runtime is phial-runtime */
};

static void look_at(const char *text, struct facts *ret_facts)
{
	phial_auto_json struct phial_json *root = NULL;

	*ret_facts = (struct facts){ .runtime_count = 0 };
	if (!text ||
	    phial_json_parse((const uint8_t *)text, strlen(text), &root, NULL) != PHIAL_OK) {
		return;
	}
	const struct phial_json *runtimes = phial_json_member(root, "runtimes");
	const char *by_default = phial_json_string(phial_json_member(root, "default-runtime"));

	ret_facts->has_runtimes = runtimes != NULL;
	ret_facts->runtime_count = phial_json_count(runtimes);
	for (const struct phial_json *r = phial_json_first(runtimes); r; r = phial_json_next(r)) {
		const char *path = phial_json_string(phial_json_member(r, "path"));
		const char *slash = path ? strrchr(path, '/') : NULL;

		ret_facts->has_ours |= slash && strncmp(slash, OUR_FILE, strlen(OUR_FILE)) == 0;
	}
	(void)phial_span_copy(phial_span_of(by_default ? by_default : ""),
			      ret_facts->default_runtime, sizeof(ret_facts->default_runtime));
}

/* The default runtime becomes again what the backup says. */
static enum phial_status restore_default(const struct docker *docker, char **text,
					 struct phial_error *err)
{
	const char *const path[] = { "default-runtime" };
	phial_auto_free uint8_t *before = NULL;
	char quoted[NAME_MAX_BYTES + 3];
	size_t length = 0;
	struct facts facts;

	if (phial_cli_read_file(docker->backup, FILE_MAX_BYTES, &before, &length, NULL) !=
	    PHIAL_OK) {
		before = NULL;
	}
	look_at((const char *)before, &facts);
	if (!is_name(facts.default_runtime) || strcmp(facts.default_runtime, docker->name) == 0) {
		return take_out(text, path, PHIAL_COUNT(path), err);
	}
	(void)snprintf(quoted, sizeof(quoted), "\"%s\"", facts.default_runtime);
	return set(text, path, PHIAL_COUNT(path), quoted, err);
}

static enum phial_status remove_ours(const struct docker *docker, char **text,
				     struct phial_error *err)
{
	const char *const path[] = { "runtimes", docker->name };
	struct facts facts;
	enum phial_status status = take_out(text, path, PHIAL_COUNT(path), err);

	look_at(*text, &facts);
	if (status == PHIAL_OK && strcmp(facts.default_runtime, docker->name) == 0) {
		status = restore_default(docker, text, err);
	}
	if (status == PHIAL_OK && facts.has_runtimes && facts.runtime_count == 0) {
		status = take_out(text, path, 1, err);
	}
	return status;
}

/* The file as it was before phial: its inode, which keeps owner and mode; the new one is another. */
static enum phial_status keep_backup(const struct docker *docker, struct phial_error *err)
{
	struct facts facts;

	look_at(docker->text, &facts);
	if (!docker->is_there || facts.has_ours) {
		return PHIAL_OK;
	}
	if (!docker->setup.only_print && ((unlink(docker->backup) != 0 && errno != ENOENT) ||
					  link(docker->path, docker->backup) != 0)) {
		return phial_fail(err, phial_cli_open_status(errno), errno, "keep %s",
				  docker->backup);
	}
	phial_setup_say(&docker->setup, docker->setup.only_print ? "keep" : "kept",
			BACKUP " (as it was)");
	return PHIAL_OK;
}

/* next: what makes Docker know of it. */
static enum phial_status write_file(const struct docker *docker, const char *text, const char *next,
				    struct phial_error *err)
{
	if (strcmp(text, docker->text) == 0) {
		phial_setup_say(&docker->setup, docker->setup.only_print ? "keep" : "kept",
				DAEMON_JSON);
		return PHIAL_OK;
	}
	enum phial_status status = keep_backup(docker, err);

	if (status == PHIAL_OK) {
		status = phial_setup_file(&docker->setup, DAEMON_JSON, text, err);
	}
	if (status == PHIAL_OK && docker->setup.only_print) {
		printf("%s", text);
	} else if (status == PHIAL_OK) {
		printf("%s\n", next);
	}
	return status;
}

static bool is_as_before(const struct docker *docker, const char *text)
{
	phial_auto_free uint8_t *before = NULL;
	size_t length = 0;

	return phial_cli_read_file(docker->backup, FILE_MAX_BYTES, &before, &length, NULL) ==
		       PHIAL_OK &&
	       length == strlen(text) && memcmp(before, text, length) == 0;
}

/* After --remove: a file that only ever held ours goes, and a backup that says the same. */
static enum phial_status write_without(const struct docker *docker, const char *text,
				       struct phial_error *err)
{
	bool had_none = docker->is_there && strcmp(text, EMPTY_FILE) == 0 &&
			!phial_setup_exists(&docker->setup, BACKUP);
	bool is_same = strcmp(text, docker->text) == 0;
	enum phial_status status = PHIAL_OK;

	if (had_none && !is_same) {
		status = phial_setup_remove(&docker->setup, DAEMON_JSON, err);
		if (status == PHIAL_OK && !docker->setup.only_print) {
			printf(REMOVED "\n");
		}
		return status;
	}
	status = write_file(docker, text, REMOVED, err);
	return status == PHIAL_OK && is_as_before(docker, text)
		       ? phial_setup_remove(&docker->setup, BACKUP, err)
		       : status;
}

static enum phial_status run(struct docker *docker, const struct phial_cli_call *call, char **text,
			     struct phial_error *err)
{
	bool is_removal = call->values[REMOVE] != NULL;
	enum phial_status status = read_file(docker, err);

	if (status != PHIAL_OK) {
		return status;
	}
	*text = strdup(docker->text);
	if (!*text) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "read");
	}
	status = is_removal ? remove_ours(docker, text, err)
			    : add_ours(docker, call->values[DEFAULT] != NULL, text, err);
	if (status != PHIAL_OK) {
		return status == PHIAL_MALFORMED
			       ? phial_fail_prefix(err, "%s is left as it is", docker->path)
			       : status;
	}
	return is_removal ? write_without(docker, *text, err)
			  : write_file(docker, *text, ADDED, err);
}

enum phial_status phial_cli_setup_docker(const struct phial_cli_call *call, struct phial_error *err)
{
	struct docker docker = { .text = NULL };
	phial_auto_free char *text = NULL;
	enum phial_status status =
		phial_setup_begin(call, call->values[ROOT], call->values[PRINT] != NULL,
				  &docker.setup, err);

	if (status == PHIAL_OK && call->values[REMOVE] && call->values[DEFAULT]) {
		status = phial_fail(err, PHIAL_USAGE, 0,
				    "--remove puts the default runtime back by itself");
	}
	if (status == PHIAL_OK) {
		status = parse_runtime(call->values[RUNTIME], &docker, err);
	}
	if (status == PHIAL_OK) {
		status = run(&docker, call, &text, err);
	}
	free(docker.text);
	return status;
}
