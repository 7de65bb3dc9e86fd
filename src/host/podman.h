/* SPDX-License-Identifier: ISC */
/* Where Podman looks for hook files, by its configuration. See containers.conf(5), oci-hooks(5). */
#ifndef PHIAL_HOST_PODMAN_H
#define PHIAL_HOST_PODMAN_H

#include <stdbool.h>
#include <stddef.h>

#define PHIAL_PODMAN_FOLDERS_MAX       16
#define PHIAL_PODMAN_FOLDER_BYTES      512
#define PHIAL_PODMAN_DEFAULT_HOOKS_DIR "/usr/share/containers/oci/hooks.d"

struct phial_podman_hooks {
	char folders[PHIAL_PODMAN_FOLDERS_MAX][PHIAL_PODMAN_FOLDER_BYTES];
	size_t count;
	char set_by[PHIAL_PODMAN_FOLDER_BYTES]; /* the file that says so; "" for the default */
};

/*
 * Read `hooks_dir` of the table [engine] from the text of one containers.conf. Returns true, with
 * ret_hooks' folders set, when it is there; false, with ret_hooks untouched, when it is not. Only
 * as much TOML as that needs. Pure.
 */
bool phial_podman_parse_hooks(const char *text, struct phial_podman_hooks *ret_hooks);

/*
 * The hook folders of the host's Podman: of the last of its containers.conf files that sets them,
 * else the default. root: "" or a folder that all paths are below. Files that cannot be read are
 * as if they were not there; *ret_is_complete is false then.
 */
void phial_podman_find_hooks(const char *root, struct phial_podman_hooks *ret_hooks,
			     bool *ret_is_complete);

/*
 * Go on with the files of a user, which a rootless Podman reads after those. folder: its
 * `containers` folder in XDG_CONFIG_HOME. except: the name of a drop-in that is passed over. hooks,
 * is_complete: as phial_podman_find_hooks() set them.
 */
void phial_podman_add_user_hooks(const char *folder, const char *except,
				 struct phial_podman_hooks *hooks, bool *is_complete);

/* Is a folder among them? folder: without a '/' at its end. */
bool phial_podman_reads(const struct phial_podman_hooks *hooks, const char *folder);

#endif
