/* SPDX-License-Identifier: ISC */
/* What this program was built from. */
#ifndef PHIAL_CLI_VERSION_H
#define PHIAL_CLI_VERSION_H

/* Print version, commit, compiler, flags and the libsodium in use to stdout. */
void phial_cli_print_version(void);

#endif
