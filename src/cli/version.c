/* SPDX-License-Identifier: ISC */
/*
 * What this program was built from. The Makefile compiles this file with the commit and the
 * flags, and no other, so that a commit rebuilds little.
 */
#include "cli/version.h"

#include <stdio.h>

#include "base/secret.h"

#ifndef PHIAL_COMMIT
#define PHIAL_COMMIT "unknown"
#endif
#ifndef PHIAL_BUILD_FLAGS
#define PHIAL_BUILD_FLAGS "unknown"
#endif

void phial_cli_print_version(void)
{
	printf("phial %s\ncommit: %s\ncompiler: %s\nflags: %s\nlibsodium: %s\n", PHIAL_VERSION,
	       PHIAL_COMMIT, __VERSION__, PHIAL_BUILD_FLAGS, phial_secret_library());
}
