/* SPDX-License-Identifier: ISC */
/*
 * Where the caller's own files lie, the pinned admin keys, and small helpers for files that
 * are not secret. Secret key files are read and written by keyfile.c.
 */
#include "cli/config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/text.h"
#include "store/store.h"
#include "wire/hook_protocol.h"

#define PIN_FILE_MAX_BYTES ((size_t)16 * 1024)

enum phial_status phial_cli_open_status(int os_error)
{
	if (os_error == ENOENT || os_error == ENOTDIR) {
		return PHIAL_NOT_FOUND;
	}
	return os_error == EACCES || os_error == EPERM || os_error == EROFS ? PHIAL_DENIED
									    : PHIAL_SYSTEM;
}

enum phial_status phial_cli_join_path(const char *folder, const char *name, char **ret_path,
				      struct phial_error *err)
{
	size_t length = strlen(folder);
	char *path = NULL;
	bool has_slash = length > 0 && folder[length - 1] == '/';

	if (asprintf(&path, "%s%s%s", folder, has_slash ? "" : "/", name) < 0) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "path of %s", name);
	}
	*ret_path = path;
	return PHIAL_OK;
}

enum phial_status phial_cli_config_path(const char *name, char **ret_path, struct phial_error *err)
{
	const char *base = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	char *path = NULL;
	int wrote;

	/* The specification tells to ignore a relative path. */
	if (base && base[0] == '/') {
		wrote = asprintf(&path, "%s/phial/%s", base, name);
	} else if (home && home[0] == '/') {
		wrote = asprintf(&path, "%s/.config/phial/%s", home, name);
	} else {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "where are your keys? Neither XDG_CONFIG_HOME nor HOME is an "
				  "absolute path");
	}
	if (wrote < 0) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "path of %s", name);
	}
	*ret_path = path;
	return PHIAL_OK;
}

enum phial_status phial_cli_user_run_dir(char **ret_path, struct phial_error *err)
{
	const char *base = getenv("XDG_RUNTIME_DIR");

	if (!base || base[0] != '/') {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "XDG_RUNTIME_DIR is not set: log in as this user (ssh, or "
				  "machinectl shell USER@), not with su or sudo");
	}
	return phial_cli_join_path(base, "phial", ret_path, err);
}

enum phial_status phial_cli_run_dir(const char *given, char **ret_path, struct phial_error *err)
{
	phial_auto_free char *own = NULL;

	if (!given && geteuid() != 0 && phial_cli_user_run_dir(&own, NULL) == PHIAL_OK &&
	    access(own, X_OK) == 0) {
		*ret_path = phial_take_pointer(own);
		return PHIAL_OK;
	}
	*ret_path = strdup(given ? given : PHIAL_RUN_DIR);
	return *ret_path ? PHIAL_OK : phial_fail(err, PHIAL_SYSTEM, ENOMEM, "run directory");
}

enum phial_status phial_cli_config_make(struct phial_error *err)
{
	phial_auto_free char *path = NULL;
	enum phial_status status = phial_cli_config_path("", &path, err);

	if (status != PHIAL_OK) {
		return status;
	}
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0700) != 0 && errno != EEXIST) {
			return phial_fail(err, phial_cli_open_status(errno), errno, "make %s",
					  path);
		}
		*slash = '/';
	}
	return PHIAL_OK;
}

enum phial_status phial_cli_read_file(const char *path, size_t max, uint8_t **ret_bytes,
				      size_t *ret_length, struct phial_error *err)
{
	phial_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0) {
		return phial_fail(err, phial_cli_open_status(errno), errno, "open %s", path);
	}
	enum phial_status status = phial_read_all(fd, max, ret_bytes, ret_length, err);

	return status == PHIAL_OK ? status : phial_fail_prefix(err, "%s", path);
}

enum phial_status phial_cli_write_file(const char *path, const void *bytes, size_t length,
				       unsigned int mode, struct phial_error *err)
{
	/* dirname() and basename() both may change what they are given. */
	phial_auto_free char *for_folder = strdup(path);
	phial_auto_free char *for_name = strdup(path);

	if (!for_folder || !for_name) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "write %s", path);
	}
	phial_auto_fd int folder = open(dirname(for_folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (folder < 0) {
		return phial_fail(err, phial_cli_open_status(errno), errno, "open the folder of %s",
				  path);
	}
	return phial_store_write(folder, basename(for_name), bytes, length, mode, err);
}

enum phial_status phial_cli_pins_read(struct phial_pins *ret_pins, struct phial_error *err)
{
	phial_auto_free char *path = NULL;
	phial_auto_free uint8_t *bytes = NULL;
	size_t length = 0;
	enum phial_status status = phial_cli_config_path("trust", &path, err);

	if (status == PHIAL_OK) {
		status = phial_cli_read_file(path, PIN_FILE_MAX_BYTES, &bytes, &length, err);
		if (status == PHIAL_NOT_FOUND) {
			return phial_fail(
				err, PHIAL_NOT_FOUND, 0,
				"no admin key is pinned in %s: run phial init for a store "
				"of your own, or phial join --trust RW... with the key that "
				"the store's admin gives you",
				path);
		}
	}
	if (status == PHIAL_OK) {
		status = phial_pins_parse((const char *)bytes, length, ret_pins, err);
		if (status != PHIAL_OK) {
			return phial_fail_prefix(err, "%s", path);
		}
	}
	return status;
}

static bool is_pinned(const struct phial_pins *pins, const struct phial_signer_public *key)
{
	for (size_t i = 0; i < pins->count; i++) {
		if (phial_signer_public_equal(&pins->keys[i], key)) {
			return true;
		}
	}
	return false;
}

enum phial_status phial_cli_pins_add_to(const char *path, const struct phial_signer_public *key,
					struct phial_error *err)
{
	phial_auto_text struct phial_text text = { .max = PIN_FILE_MAX_BYTES };
	phial_auto_free uint8_t *bytes = NULL;
	struct phial_pins pins = { 0 };
	char line[PHIAL_SIGNER_TEXT_BYTES];
	size_t length = 0;
	enum phial_status status =
		phial_cli_read_file(path, PIN_FILE_MAX_BYTES, &bytes, &length, err);

	if (status == PHIAL_OK) {
		status = phial_pins_parse((const char *)bytes, length, &pins, err);
		if (status != PHIAL_OK) {
			return phial_fail_prefix(err, "%s", path);
		}
	} else if (status != PHIAL_NOT_FOUND) {
		return status;
	}
	if (is_pinned(&pins, key)) {
		return PHIAL_OK;
	}
	if (pins.count == PHIAL_PINS_MAX) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "%s holds %d keys already: remove one",
				  path, PHIAL_PINS_MAX);
	}
	phial_signer_public_format(key, line);
	phial_text_add_bytes(&text, bytes, length);
	/* What a person wrote by hand may lack its last newline. */
	phial_text_add(&text, "%s%s\n", length > 0 && bytes[length - 1] != '\n' ? "\n" : "", line);
	if (text.has_failed) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "%s is too large", path);
	}
	return phial_cli_write_file(path, text.bytes, text.length, 0644, err);
}

enum phial_status phial_cli_pins_add(const struct phial_signer_public *key, struct phial_error *err)
{
	phial_auto_free char *path = NULL;
	enum phial_status status = phial_cli_config_make(err);

	if (status == PHIAL_OK) {
		status = phial_cli_config_path("trust", &path, err);
	}
	return status == PHIAL_OK ? phial_cli_pins_add_to(path, key, err) : status;
}
