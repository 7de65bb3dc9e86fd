/* SPDX-License-Identifier: ISC */
/*
 * The environment variables that stand for secrets, one rule for all doors (`--file-env`, `--env`).
 * Links nothing, so that static programs can use it.
 */
#ifndef PHIAL_BASE_ENV_NAME_H
#define PHIAL_BASE_ENV_NAME_H

#include <phial/sealed.h>

/* Names the directory that the secrets are in, as systemd does for its credentials. */
#define PHIAL_ENV_DIRECTORY "CREDENTIALS_DIRECTORY"

/* Bytes of the longest variable: "_", a file name, "_FILE", NUL. */
#define PHIAL_ENV_NAME_BYTES (1 + PHIAL_NAME_COMPONENT_MAX_BYTES + sizeof("_FILE"))

/* What a variable holds. */
enum phial_env_kind {
	PHIAL_ENV_VALUE, /* the secret itself: db_password -> DB_PASSWORD */
	PHIAL_ENV_PATH,	 /* the path of its file: db_password -> DB_PASSWORD_FILE */
};

/*
 * The variable for a secret's file name. The name goes to upper case, every byte that is then
 * outside [A-Z0-9_] becomes '_', and one '_' goes before a leading digit. Different files may
 * have the same variable ("a.b", "a-b"): the caller looks. file: 1 to
 * PHIAL_NAME_COMPONENT_MAX_BYTES bytes (asserted). ret_name: NUL-terminated. Cannot fail, neither
 * allocates nor blocks.
 */
void phial_env_name_make(const char *file, enum phial_env_kind kind,
			 char ret_name[PHIAL_ENV_NAME_BYTES]);

#endif
