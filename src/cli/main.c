/* SPDX-License-Identifier: ISC */
/*
 * The door of the command line: harden, find the command, run it, print one line if it
 * failed, and exit with its status. Decides nothing about secrets.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <phial/error.h>

#include "base/harden.h"
#include "cli/cli.h"
#include "cli/version.h"

/* help, help COMMAND, help --list */
static enum phial_status run_help(int argc, char *argv[], struct phial_error *err)
{
	const struct phial_cli_command *command = NULL;
	int words = 0;

	if (argc == 0) {
		phial_cli_print_commands();
		return PHIAL_OK;
	}
	if (strcmp(argv[0], "--list") == 0) {
		phial_cli_print_list();
		return PHIAL_OK;
	}
	enum phial_status status = phial_cli_find(argc, argv, &command, &words, err);

	if (status == PHIAL_OK) {
		phial_cli_print_help(command);
	}
	return status;
}

static bool asks_for_help(int argc, char *const argv[])
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			return true;
		}
	}
	return false;
}

static enum phial_status run_command(int argc, char *argv[],
				     const struct phial_cli_inherited *inherited,
				     struct phial_error *err)
{
	const struct phial_cli_command *command = NULL;
	struct phial_cli_call call;
	int words = 0;
	enum phial_status status = phial_cli_find(argc, argv, &command, &words, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (asks_for_help(argc - words, argv + words)) {
		phial_cli_print_help(command);
		return PHIAL_OK;
	}
	/* The last word of the name stands where getopt_long() expects a program's name. */
	status = phial_cli_parse(command, argc - words + 1, argv + words - 1, &call, err);
	/* A program that the caller starts through phial gets what the caller opened for it. */
	if (status == PHIAL_OK && !phial_cli_takes_program(command)) {
		status = phial_close_inherited_on_exec(err);
	}
	call.inherited = inherited;
	return status == PHIAL_OK ? command->run(&call, err) : status;
}

static enum phial_status run(int argc, char *argv[], const struct phial_cli_inherited *inherited,
			     struct phial_error *err)
{
	enum phial_status status = phial_process_harden(err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (argc > 0 && strcmp(argv[0], "--version") == 0) {
		phial_cli_print_version();
		return PHIAL_OK;
	}
	if (argc > 0 && (strcmp(argv[0], "help") == 0 || strcmp(argv[0], "--help") == 0 ||
			 strcmp(argv[0], "-h") == 0)) {
		return run_help(argc - 1, argv + 1, err);
	}
	return run_command(argc, argv, inherited, err);
}

int main(int argc, char *argv[])
{
	struct phial_error err = { 0 };
	struct phial_cli_inherited inherited = { .umask = umask(077) };
	/* A reader that goes away shows as EPIPE, which is reported like any failed write. */
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGPIPE, &ignore, &inherited.on_sigpipe);
	enum phial_status status = run(argc - 1, argv + 1, &inherited, &err);

	if (fflush(stdout) != 0 || ferror(stdout)) {
		if (status == PHIAL_OK) {
			status = phial_fail(&err, PHIAL_SYSTEM, errno, "write to stdout");
		}
	}
	if (status != PHIAL_OK && err.text[0] != '\0') {
		fprintf(stderr, "phial: %s\n", err.text);
	}
	return (int)status;
}
