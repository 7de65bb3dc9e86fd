/* SPDX-License-Identifier: ISC */
/*
 * The names of environment variables for secrets: text in, text out. Reads no environment and
 * sets none; never sees a value.
 */
#include "base/env_name.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* By hand, because toupper(3) asks the locale. */
static char to_variable(char c)
{
	if (c >= 'a' && c <= 'z') {
		return (char)(c - 'a' + 'A');
	}
	return (c >= 'A' && c <= 'Z') || is_digit(c) ? c : '_';
}

void phial_env_name_make(const char *file, enum phial_env_kind kind,
			 char ret_name[PHIAL_ENV_NAME_BYTES])
{
	static const char path_suffix[] = "_FILE";
	size_t length = strlen(file);
	size_t used = 0;

	assert(length > 0 && length <= PHIAL_NAME_COMPONENT_MAX_BYTES);
	if (is_digit(file[0])) {
		ret_name[used++] = '_';
	}
	for (size_t i = 0; i < length; i++) {
		ret_name[used++] = to_variable(file[i]);
	}
	if (kind == PHIAL_ENV_PATH) {
		memcpy(ret_name + used, path_suffix, sizeof(path_suffix) - 1);
		used += sizeof(path_suffix) - 1;
	}
	ret_name[used] = '\0';
}
