/* SPDX-License-Identifier: ISC */
/*
 * Podman's hook folders from containers.conf(5), in the order in which Podman reads its files.
 * No TOML parser: one key of one table, whose value is a list of strings.
 */
#include "host/podman.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "host/file.h"

/* Skip white space, line ends and comments. */
static const char *skip_blank(const char *at)
{
	for (;;) {
		at += strspn(at, " \t\r\n");
		if (*at != '#') {
			return at;
		}
		at += strcspn(at, "\n");
	}
}

/* One quoted string into folder, with no '/' at its end. Returns what follows it, or NULL. */
static const char *take_string(const char *at, char *folder)
{
	char quote = *at;

	if (quote != '"' && quote != '\'') {
		return NULL;
	}
	const char *end = strchr(at + 1, quote);

	if (!end) {
		return NULL;
	}
	struct phial_span text = { at + 1, (size_t)(end - at) - 1 };

	while (text.length > 1 && text.text[text.length - 1] == '/') {
		text.length--;
	}
	return phial_span_copy(text, folder, PHIAL_PODMAN_FOLDER_BYTES) ? end + 1 : NULL;
}

/* ["a", 'b',] from behind the '='. */
static bool take_list(const char *at, struct phial_podman_hooks *ret_hooks)
{
	struct phial_podman_hooks hooks = { .count = 0 };

	at = skip_blank(at);
	if (*at != '[') {
		return false;
	}
	at = skip_blank(at + 1);
	while (*at != ']') {
		if (hooks.count == PHIAL_PODMAN_FOLDERS_MAX) {
			return false;
		}
		at = take_string(at, hooks.folders[hooks.count++]);
		if (!at) {
			return false;
		}
		at = skip_blank(at);
		at = *at == ',' ? skip_blank(at + 1) : at;
	}
	*ret_hooks = hooks;
	return true;
}

bool phial_podman_parse_hooks(const char *text, struct phial_podman_hooks *ret_hooks)
{
	struct phial_span rest = phial_span_of(text);
	struct phial_span line;
	bool is_engine = false;
	bool is_set = false;

	while (phial_next_line(&rest, &line, NULL)) {
		const char *end = line.text + line.length;

		while (line.length > 0 && (*line.text == ' ' || *line.text == '\t')) {
			line.text++;
			line.length--;
		}
		if (line.length > 0 && *line.text == '[') {
			is_engine = phial_span_skip(&line, "[engine]");
		} else if (is_engine && phial_span_skip(&line, "hooks_dir")) {
			const char *equals = memchr(line.text, '=', (size_t)(end - line.text));

			is_set |= equals && take_list(equals + 1, ret_hooks);
		}
	}
	return is_set;
}

static void read_file(const char *root, const char *path, struct phial_podman_hooks *hooks,
		      bool *is_complete)
{
	char full[2 * PHIAL_PODMAN_FOLDER_BYTES];
	phial_auto_free char *text = NULL;

	(void)snprintf(full, sizeof(full), "%s%s", root, path);
	enum phial_status status = phial_host_read(AT_FDCWD, full, &text, NULL);

	if (status != PHIAL_OK) {
		*is_complete &= status == PHIAL_NOT_FOUND;
	} else if (phial_podman_parse_hooks(text, hooks)) {
		(void)snprintf(hooks->set_by, sizeof(hooks->set_by), "%s", path);
	}
}

static int is_conf(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0;
}

/* except: a name that is passed over, or "". */
static void read_folder(const char *root, const char *path, const char *except,
			struct phial_podman_hooks *hooks, bool *is_complete)
{
	char full[2 * PHIAL_PODMAN_FOLDER_BYTES];
	struct dirent **entries;

	(void)snprintf(full, sizeof(full), "%s%s", root, path);
	int count = scandir(full, &entries, is_conf, alphasort);

	for (int i = 0; i < count; i++) {
		(void)snprintf(full, sizeof(full), "%s/%s", path, entries[i]->d_name);
		if (strcmp(entries[i]->d_name, except) != 0) {
			read_file(root, full, hooks, is_complete);
		}
		free(entries[i]);
	}
	if (count >= 0) {
		free(entries);
	}
}

void phial_podman_find_hooks(const char *root, struct phial_podman_hooks *ret_hooks,
			     bool *ret_is_complete)
{
	*ret_hooks = (struct phial_podman_hooks){ .folders = { PHIAL_PODMAN_DEFAULT_HOOKS_DIR },
						  .count = 1 };
	*ret_is_complete = true;
	read_file(root, "/usr/share/containers/containers.conf", ret_hooks, ret_is_complete);
	read_folder(root, "/usr/share/containers/containers.conf.d", "", ret_hooks,
		    ret_is_complete);
	read_file(root, "/etc/containers/containers.conf", ret_hooks, ret_is_complete);
	read_folder(root, "/etc/containers/containers.conf.d", "", ret_hooks, ret_is_complete);
}

void phial_podman_add_user_hooks(const char *folder, const char *except,
				 struct phial_podman_hooks *hooks, bool *is_complete)
{
	char path[PHIAL_PODMAN_FOLDER_BYTES];

	(void)snprintf(path, sizeof(path), "%s/containers.conf", folder);
	read_file("", path, hooks, is_complete);
	(void)snprintf(path, sizeof(path), "%s/containers.conf.d", folder);
	read_folder("", path, except, hooks, is_complete);
}

bool phial_podman_reads(const struct phial_podman_hooks *hooks, const char *folder)
{
	for (size_t i = 0; i < hooks->count; i++) {
		if (strcmp(hooks->folders[i], folder) == 0) {
			return true;
		}
	}
	return false;
}
