/* SPDX-License-Identifier: ISC */
/*
 * Finds the other programs of this installation by where the running one lies. Searches no PATH,
 * believes no environment.
 */
#include "base/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

bool phial_program_find(const char *relative, const char *name,
			char ret_path[PHIAL_PROGRAM_PATH_BYTES])
{
	const char *const folders[] = { relative, "." };
	char own[PHIAL_PROGRAM_PATH_BYTES];
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);

	if (length <= 0) {
		return false;
	}
	own[length] = '\0';
	*strrchr(own, '/') = '\0';
	for (size_t i = 0; i < PHIAL_COUNT(folders); i++) {
		char path[2 * PHIAL_PROGRAM_PATH_BYTES];

		(void)snprintf(path, sizeof(path), "%s/%s/%s", own, folders[i], name);
		phial_auto_free char *found = realpath(path, NULL);

		if (found && strlen(found) < PHIAL_PROGRAM_PATH_BYTES) {
			memcpy(ret_path, found, strlen(found) + 1);
			return true;
		}
	}
	return false;
}
