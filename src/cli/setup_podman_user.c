/* SPDX-License-Identifier: ISC */
/*
 * `phial setup podman --user`: the hook file for a user's rootless Podman and the user's own agent,
 * and the drop-in by which Podman reads it. Both are phial's own files; nobody's are edited.
 */
#include "cli/setup_podman.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/config.h"

#define DROP_IN_NAME	   "50-phial.conf"
#define DROP_IN_MAX_BYTES  ((size_t)16 * 1024)
#define CHARACTERS_REFUSED "\"\\\n"

/* Where everything is for this user; all but run_dir below XDG_CONFIG_HOME. */
struct places {
	char *run_dir;
	char *hooks;	  /* phial/hooks.d */
	char *hook;	  /* a file in it */
	char *containers; /* Podman's folder */
	char *drop_in;
};

static void free_places(struct places *places)
{
	free(places->run_dir);
	free(places->hooks);
	free(places->hook);
	free(places->containers);
	free(places->drop_in);
}

enum phial_status phial_setup_find_user_containers(char **ret_path, struct phial_error *err)
{
	phial_auto_free char *path = NULL;
	enum phial_status status = phial_cli_config_path("", &path, err);

	if (status != PHIAL_OK) {
		return status;
	}
	path[strlen(path) - strlen("phial/")] = '\0';
	return phial_cli_join_path(path, "containers", ret_path, err);
}

static enum phial_status find_places(struct places *places, struct phial_error *err)
{
	enum phial_status status = phial_cli_user_run_dir(&places->run_dir, err);

	if (status == PHIAL_OK) {
		status = phial_cli_config_path("hooks.d", &places->hooks, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_join_path(places->hooks, PHIAL_SETUP_HOOK_NAME, &places->hook,
					     err);
	}
	if (status == PHIAL_OK) {
		status = phial_setup_find_user_containers(&places->containers, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_join_path(places->containers, "containers.conf.d/" DROP_IN_NAME,
					     &places->drop_in, err);
	}
	return status;
}

/* The folders that Podman reads now, and ours: a list in a later file replaces earlier ones. */
static enum phial_status make_drop_in(const struct places *places, struct phial_text *text,
				      struct phial_error *err)
{
	struct phial_podman_hooks hooks;
	bool is_complete;

	phial_podman_find_hooks("", &hooks, &is_complete);
	phial_podman_add_user_hooks(places->containers, DROP_IN_NAME, &hooks, &is_complete);
	phial_text_add(
		text,
		"# Written by phial setup podman --user, which also removes it (--remove).\n"
		"# A list replaces those of earlier files: these are their folders, and phial's.\n"
		"# Run it again when you change hooks_dir elsewhere.\n"
		"[engine]\nhooks_dir = [");
	for (size_t i = 0; i < hooks.count; i++) {
		if (strpbrk(hooks.folders[i], CHARACTERS_REFUSED)) {
			return phial_fail(err, PHIAL_USAGE, 0,
					  "%s sets hooks_dir to a folder with an odd name",
					  hooks.set_by);
		}
		if (strcmp(hooks.folders[i], places->hooks) != 0) {
			phial_text_add(text, "\"%s\", ", hooks.folders[i]);
		}
	}
	phial_text_add(text, "\"%s\"]\n", places->hooks);
	if (strpbrk(places->hooks, CHARACTERS_REFUSED)) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "your configuration lies in a folder with an odd name");
	}
	return text->has_failed ? phial_fail(err, PHIAL_SYSTEM, ENOMEM, "make the drop-in")
				: PHIAL_OK;
}

static void say_next(const struct places *places)
{
	if (getenv("CONTAINERS_CONF")) {
		fprintf(stderr,
			"phial: warning: with CONTAINERS_CONF set Podman reads no drop-in: add %s "
			"to hooks_dir in that file\n",
			places->hooks);
	}
	printf("Next: systemctl --user enable --now phiald (or run phiald --user), then\n"
	       "  podman run --mount type=bind,src=%s/workload/NAME,dst=/run/secrets,ro ...\n",
	       places->run_dir);
}

static enum phial_status set_up(const struct phial_setup *setup, const struct places *places,
				struct phial_error *err)
{
	phial_auto_text struct phial_text drop_in = { .max = DROP_IN_MAX_BYTES };
	char hook[PHIAL_SETUP_HOOK_BYTES];
	enum phial_status status = phial_setup_make_hook(places->run_dir, hook, err);

	if (status == PHIAL_OK) {
		status = make_drop_in(places, &drop_in, err);
	}
	if (status == PHIAL_OK && !setup->only_print) {
		status = phial_cli_config_make(err);
	}
	if (status == PHIAL_OK) {
		status = phial_setup_file(setup, places->hook, hook, err);
	}
	if (status == PHIAL_OK) {
		status = phial_setup_file(setup, places->drop_in, drop_in.bytes, err);
	}
	if (status == PHIAL_OK && setup->only_print) {
		printf("%s%s", hook, drop_in.bytes);
	}
	if (status == PHIAL_OK) {
		say_next(places);
	}
	return status;
}

static enum phial_status take_back(const struct phial_setup *setup, const struct places *places,
				   struct phial_error *err)
{
	const char *const paths[] = { places->drop_in, places->hook, places->hooks };
	enum phial_status status = PHIAL_OK;

	for (size_t i = 0; status == PHIAL_OK && i < PHIAL_COUNT(paths); i++) {
		status = phial_setup_remove(setup, paths[i], err);
	}
	return status;
}

enum phial_status phial_setup_podman_user(bool only_print, bool is_removed, struct phial_error *err)
{
	const struct phial_setup setup = { .only_print = only_print };
	struct places places = { .run_dir = NULL };

	if (geteuid() == 0) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--user is for ordinary users: run it as the one whose Podman it "
				  "is, without sudo");
	}
	enum phial_status status = find_places(&places, err);

	if (status == PHIAL_OK) {
		status =
			is_removed ? take_back(&setup, &places, err) : set_up(&setup, &places, err);
	}
	free_places(&places);
	return status;
}
