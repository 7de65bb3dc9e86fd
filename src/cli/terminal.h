/* SPDX-License-Identifier: ISC */
/* Secrets to and from the controlling terminal. */
#ifndef PHIAL_CLI_TERMINAL_H
#define PHIAL_CLI_TERMINAL_H

#include <stdbool.h>

#include <phial/error.h>
#include <phial/secret.h>

/*
 * The most bytes of one typed line. The kernel's line editing drops what is beyond 4095 without
 * a word, see termios(3).
 */
#define PHIAL_CLI_LINE_MAX_BYTES ((size_t)4094)

/* True if the process has a controlling terminal (/dev/tty). */
bool phial_cli_has_terminal(void);

/*
 * Ask for one line with echo off. prompt: printed as it is. into: replaced; capacity at least
 * PHIAL_CLI_LINE_MAX_BYTES + 2. The line's newline is not kept. Terminal settings are put back
 * also when a signal ends or stops the process. Returns PHIAL_OK; PHIAL_USAGE without a terminal
 * or at its end of file; PHIAL_TOO_LARGE; PHIAL_SYSTEM. Blocks until a line is typed.
 */
PHIAL_CHECKED enum phial_status phial_cli_ask(const char *prompt, struct phial_secret *into,
					      struct phial_error *err);

/* The same, twice: PHIAL_USAGE when the two differ. ret_secret: freed by the caller. */
PHIAL_CHECKED enum phial_status phial_cli_ask_twice(const char *prompt, const char *again,
						    struct phial_secret **ret_secret,
						    struct phial_error *err);

/* Write secret bytes to the terminal, and nowhere else. PHIAL_OK, PHIAL_USAGE, PHIAL_SYSTEM. */
PHIAL_CHECKED enum phial_status phial_cli_show(const struct phial_secret *secret,
					       struct phial_error *err);

#endif
