/* SPDX-License-Identifier: ISC */
/*
 * `phial setup podman`: the file by which Podman and CRI-O run phial-hook, see oci-hooks(5). They
 * read it at each start of a container; nothing of theirs is restarted, and no other file of
 * theirs is changed.
 */
#include "cli/setup_podman.h"

#include <stdio.h>
#include <string.h>

#include "base/program.h"
#include "cli/cli.h"

enum { PRINT, REMOVE, HOOKS_DIR, USER, ROOT };

const struct phial_cli_option phial_cli_setup_podman_options[] = {
	[PRINT] = { "print", 0, false, NULL, "show the file and where it goes, and write none" },
	[REMOVE] = { "remove", 0, false, NULL, "remove the file" },
	[HOOKS_DIR] = { "hooks-dir", 0, false, "DIR",
			"Podman's folder (default: " PHIAL_PODMAN_DEFAULT_HOOKS_DIR ")" },
	[USER] = { "user", 0, false, NULL, "for my own rootless Podman and phiald --user" },
	[ROOT] = PHIAL_SETUP_ROOT_OPTION,
	{ 0 },
};

/* As contrib/oci-hooks.d/50-phial.json.in, which a test compares. */
enum phial_status phial_setup_make_hook(const char *run_dir, char ret_text[PHIAL_SETUP_HOOK_BYTES],
					struct phial_error *err)
{
	char hook[PHIAL_SETUP_PATH_BYTES];
	char argument[PHIAL_SETUP_PATH_BYTES] = "";

	if (!phial_program_find("../libexec/phial", "phial-hook", hook)) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0,
				  "no phial-hook beside this program (make install puts it there): "
				  "no hook file is written");
	}
	if (strpbrk(hook, "\"\\\n") || (run_dir && strpbrk(run_dir, "\"\\\n"))) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "phial-hook or the agent's folder has an odd name");
	}
	if (run_dir && (size_t)snprintf(argument, sizeof(argument), ", \"--run-dir\", \"%s\"",
					run_dir) >= sizeof(argument)) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "the agent's folder has a long name");
	}
	(void)snprintf(ret_text, PHIAL_SETUP_HOOK_BYTES,
		       "{\n  \"version\": \"1.0.0\",\n  \"hook\": {\n    \"path\": \"%s\",\n"
		       "    \"args\": [\"phial-hook\"%s],\n    \"env\": [],\n    \"timeout\": 20\n"
		       "  },\n  \"when\": {\n    \"hasBindMounts\": true\n  },\n"
		       "  \"stages\": [\"createRuntime\"]\n}\n",
		       hook, argument);
	return PHIAL_OK;
}

static enum phial_status hook_path(const char *folder, char ret_path[PHIAL_SETUP_PATH_BYTES],
				   struct phial_error *err)
{
	int length =
		snprintf(ret_path, PHIAL_SETUP_PATH_BYTES, "%s/" PHIAL_SETUP_HOOK_NAME, folder);

	if (folder[0] != '/' || length >= PHIAL_SETUP_PATH_BYTES) {
		return phial_fail(err, PHIAL_USAGE, 0, "--hooks-dir takes an absolute path");
	}
	return PHIAL_OK;
}

enum phial_status phial_setup_write_podman_hook(const struct phial_setup *setup, const char *folder,
						struct phial_error *err)
{
	char path[PHIAL_SETUP_PATH_BYTES];
	char text[PHIAL_SETUP_HOOK_BYTES];
	enum phial_status status = hook_path(folder, path, err);

	if (status == PHIAL_OK) {
		status = phial_setup_make_hook(NULL, text, err);
	}
	return status == PHIAL_OK ? phial_setup_file(setup, path, text, err) : status;
}

bool phial_setup_check_podman(const struct phial_setup *setup, const char *folder)
{
	struct phial_podman_hooks hooks;
	bool is_complete;

	phial_podman_find_hooks(setup->root, &hooks, &is_complete);
	if (phial_podman_reads(&hooks, folder)) {
		return true;
	}
	if (hooks.set_by[0] == '\0') {
		fprintf(stderr,
			"phial: warning: Podman does not read %s; leave out --hooks-dir, or set "
			"hooks_dir of [engine] in /etc/containers/containers.conf\n",
			folder);
	} else {
		fprintf(stderr,
			"phial: warning: Podman does not read %s: %s%s sets hooks_dir to %s; add "
			"the folder there, or run phial setup podman --hooks-dir %s\n",
			folder, setup->root, hooks.set_by,
			hooks.count > 0 ? hooks.folders[0] : "nothing",
			hooks.count > 0 ? hooks.folders[0] : "DIR");
	}
	return false;
}

static enum phial_status show_text(struct phial_error *err)
{
	char text[PHIAL_SETUP_HOOK_BYTES];
	enum phial_status status = phial_setup_make_hook(NULL, text, err);

	if (status == PHIAL_OK) {
		printf("%s", text);
	}
	return status;
}

static enum phial_status set_up(const struct phial_setup *setup, const char *folder,
				struct phial_error *err)
{
	enum phial_status status = phial_setup_write_podman_hook(setup, folder, err);

	if (status == PHIAL_OK && setup->only_print) {
		status = show_text(err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	return phial_setup_check_podman(setup, folder) ? PHIAL_OK : PHIAL_PROBLEMS;
}

enum phial_status phial_cli_setup_podman(const struct phial_cli_call *call, struct phial_error *err)
{
	const char *folder =
		call->values[HOOKS_DIR] ? call->values[HOOKS_DIR] : PHIAL_PODMAN_DEFAULT_HOOKS_DIR;
	char path[PHIAL_SETUP_PATH_BYTES];
	struct phial_setup setup;

	if (call->values[USER]) {
		return call->values[HOOKS_DIR] || call->values[ROOT]
			       ? phial_fail(err, PHIAL_USAGE, 0,
					    "--user takes no --hooks-dir and no --root")
			       : phial_setup_podman_user(call->values[PRINT] != NULL,
							 call->values[REMOVE] != NULL, err);
	}
	enum phial_status status = phial_setup_begin(call, call->values[ROOT],
						     call->values[PRINT] != NULL, &setup, err);

	if (status == PHIAL_OK) {
		status = hook_path(folder, path, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	return call->values[REMOVE] ? phial_setup_remove(&setup, path, err)
				    : set_up(&setup, folder, err);
}
