/* SPDX-License-Identifier: ISC */
/*
 * What this program was built from. The Makefile compiles this file with the commit and the
 * flags, and no other, so that a commit rebuilds little.
 */
#include "cli/version.h"

#include <stdio.h>

#include "base/secret.h"

/* gcc's __VERSION__ is a number only; clang's begins with its name. */
#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif
#ifndef PHIAL_COMMIT
#define PHIAL_COMMIT "unknown"
#endif
#ifndef PHIAL_BUILD_FLAGS
#define PHIAL_BUILD_FLAGS "unknown"
#endif

void phial_cli_print_version(void)
{
	printf("phial %s\ncommit: %s\ncompiler: %s\nflags: %s\nlibsodium: %s\n", PHIAL_VERSION,
	       PHIAL_COMMIT, COMPILER, PHIAL_BUILD_FLAGS, phial_secret_library());
}
