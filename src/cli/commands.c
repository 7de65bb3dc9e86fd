/* SPDX-License-Identifier: ISC */
/*
 * The table of commands, finding one in it, parsing its options, and printing help from it.
 * Runs nothing.
 */
#include "cli/cli.h"

#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "store/store.h"

#define MANY SIZE_MAX

const struct phial_cli_command phial_cli_commands[] = {
	{ "init", phial_cli_init, "[DIR]", "make a store, and my keys if I have none",
	  phial_cli_init_options, 0, 1 },
	{ "join", phial_cli_join, "[DIR]", "pin the admin key of a store that others made",
	  phial_cli_join_options, 0, 1 },
	{ "keygen", phial_cli_keygen, "", "make an age key, to open secrets with",
	  phial_cli_keygen_options, 0, 0 },
	{ "host add", phial_cli_host_add, "NAME age1... [PATTERN...]",
	  "let a host or a person open secrets", phial_cli_trust_add_options, 2, MANY },
	{ "host ls", phial_cli_host_ls, "", "list who may open what", phial_cli_trust_ls_options, 0,
	  0 },
	{ "host rm", phial_cli_host_rm, "NAME", "take a host or a person out",
	  phial_cli_trust_rm_options, 1, 1 },
	{ "signer keygen", phial_cli_signer_keygen, "", "make a minisign key, to seal with",
	  phial_cli_keygen_options, 0, 0 },
	{ "signer add", phial_cli_signer_add, "NAME RW... [PATTERN...]",
	  "let a person seal secrets", phial_cli_trust_add_options, 2, MANY },
	{ "signer ls", phial_cli_signer_ls, "", "list who may seal what",
	  phial_cli_trust_ls_options, 0, 0 },
	{ "signer rm", phial_cli_signer_rm, "NAME", "take a signer out", phial_cli_trust_rm_options,
	  1, 1 },
	{ "seal", phial_cli_seal, "NAME", "seal a value from the terminal, stdin or a file",
	  phial_cli_seal_options, 1, 1 },
	{ "unseal", phial_cli_unseal, "NAME|FILE", "verify and open a secret to stdout",
	  phial_cli_unseal_options, 1, 1 },
	{ "revert", phial_cli_revert, "NAME", "seal an old value as a new version",
	  phial_cli_revert_options, 1, 1 },
	{ "run", phial_cli_run, "[WORKLOAD] -- CMD [ARG...]",
	  "run a command here with a workload's secrets", phial_cli_run_options, 0, 1 },
	{ "inspect", phial_cli_inspect, "FILE...", "show all of a sealed file but the value",
	  phial_cli_inspect_options, 1, MANY },
	{ "verify", phial_cli_verify, "[DIR]", "check every file of a store",
	  phial_cli_verify_options, 0, 1 },
	{ "ls", phial_cli_ls, "", "list the secrets of a store", phial_cli_ls_options, 0, 0 },
	{ "policy check", phial_cli_policy_check, "[FILE|DIR]",
	  "check a policy, all problems at once", phial_cli_policy_check_options, 0, 1 },
	{ "policy sign", phial_cli_policy_sign, "", "check and sign a store's policy.json",
	  phial_cli_policy_sign_options, 0, 0 },
	{ "status", phial_cli_status, "", "what the agent of this host holds and refuses",
	  phial_cli_status_options, 0, 0 },
	{ "doctor", phial_cli_doctor, "", "what this host can do, and what is wrong with it",
	  phial_cli_doctor_options, 0, 0 },
	{ "audit verify", phial_cli_audit_verify, "[FILE|DIR...]",
	  "check that nothing was cut from the audit log", phial_cli_audit_verify_options, 0,
	  MANY },
	{ "audit log", phial_cli_audit_log, "[FILE|DIR...]", "who has had what, and when",
	  phial_cli_audit_log_options, 0, MANY },
	{ "reload", phial_cli_reload, "", "let the agent of this host read its store again",
	  phial_cli_reload_options, 0, 0 },
	{ "revoke", phial_cli_revoke, "NAME",
	  "take a secret from this host and its containers, now", phial_cli_revoke_options, 1, 1 },
	{ "revocations", phial_cli_revocations, "", "what was revoked on this host, and why",
	  phial_cli_revocations_options, 0, 0 },
	{ "override", phial_cli_override, "NAME", "give a value by hand, in memory, for a while",
	  phial_cli_override_options, 1, 1 },
	{ "setup", phial_cli_setup, "", "make this host ready for the agent",
	  phial_cli_setup_options, 0, 0 },
	{ "setup podman", phial_cli_setup_podman, "", "let Podman and CRI-O run phial's hook",
	  phial_cli_setup_podman_options, 0, 0 },
	{ "setup docker", phial_cli_setup_docker, "", "let Docker use phial's runtime",
	  phial_cli_setup_docker_options, 0, 0 },
	{ "setup cdi", phial_cli_setup_cdi, "", "make workloads devices of container engines",
	  phial_cli_setup_cdi_options, 0, 0 },
	{ 0 },
};

const char *phial_cli_operand(const struct phial_cli_call *call, size_t index)
{
	return index < call->operand_count ? call->operands[index] : NULL;
}

bool phial_cli_takes_program(const struct phial_cli_command *command)
{
	return strstr(command->operands, "-- CMD") != NULL;
}

/* How many of the words begin with the command's name; 0 if they do not. */
static int words_matched(const struct phial_cli_command *command, int argc, char *const argv[])
{
	const char *space = strchr(command->name, ' ');
	size_t first = space ? (size_t)(space - command->name) : strlen(command->name);

	if (argc < 1 || strlen(argv[0]) != first || memcmp(argv[0], command->name, first) != 0) {
		return 0;
	}
	if (!space) {
		return 1;
	}
	return argc > 1 && strcmp(argv[1], space + 1) == 0 ? 2 : 0;
}

/* "add, ls, rm" for the second words that follow a first word. */
static void list_second_words(const char *first, char *text, size_t text_bytes)
{
	size_t length = strlen(first);
	size_t used = 0;

	text[0] = '\0';
	for (const struct phial_cli_command *c = phial_cli_commands; c->name; c++) {
		if (strncmp(c->name, first, length) != 0 || c->name[length] != ' ') {
			continue;
		}
		int wrote = snprintf(text + used, text_bytes - used, "%s%s", used > 0 ? ", " : "",
				     c->name + length + 1);

		if (wrote < 0 || (size_t)wrote >= text_bytes - used) {
			return;
		}
		used += (size_t)wrote;
	}
}

static const char *nearest_command(const char *word)
{
	const char *names[sizeof(phial_cli_commands) / sizeof(phial_cli_commands[0])];
	size_t count = 0;

	for (const struct phial_cli_command *c = phial_cli_commands; c->name; c++) {
		names[count++] = c->name;
	}
	return phial_nearest(word, names, count);
}

enum phial_status phial_cli_find(int argc, char *const argv[],
				 const struct phial_cli_command **ret_command, int *ret_words,
				 struct phial_error *err)
{
	char second_words[128];
	int best = 0;

	/* "setup podman" is a command, and so is "setup": the longer name counts. */
	for (const struct phial_cli_command *c = phial_cli_commands; c->name; c++) {
		int words = words_matched(c, argc, argv);

		if (words > best) {
			*ret_command = c;
			best = words;
		}
	}
	if (best > 0) {
		*ret_words = best;
		return PHIAL_OK;
	}
	if (argc < 1) {
		return phial_fail(err, PHIAL_USAGE, 0, "no command given, see phial help");
	}
	list_second_words(argv[0], second_words, sizeof(second_words));
	if (second_words[0] != '\0') {
		return phial_fail(err, PHIAL_USAGE, 0, "%s needs one of: %s", argv[0],
				  second_words);
	}
	const char *near = nearest_command(argv[0]);

	if (near) {
		return phial_fail(err, PHIAL_USAGE, 0, "no such command, did you mean \"%s\"?",
				  near);
	}
	return phial_fail(err, PHIAL_USAGE, 0, "no such command, see phial help");
}

/* The tables of getopt_long(3), made from a command's options. */
struct getopt_tables {
	struct option options[PHIAL_CLI_OPTIONS_MAX + 1];
	char letters[2 * PHIAL_CLI_OPTIONS_MAX + 2];
};

/* Values that getopt_long() returns for options, above every letter. */
#define FIRST_OPTION_VALUE 256

static void make_tables(const struct phial_cli_command *command, struct getopt_tables *tables)
{
	size_t used = 0;

	*tables = (struct getopt_tables){ 0 };
	tables->letters[used++] = ':';
	for (int i = 0; command->options[i].name; i++) {
		const struct phial_cli_option *option = &command->options[i];

		tables->options[i].name = option->name;
		tables->options[i].has_arg = option->value ? required_argument : no_argument;
		tables->options[i].val = FIRST_OPTION_VALUE + i;
		if (option->letter != 0) {
			tables->letters[used++] = option->letter;
			if (option->value) {
				tables->letters[used++] = ':';
			}
		}
	}
}

/* The index of an option by what getopt_long() returned, or -1. */
static int option_index(const struct phial_cli_command *command, int value)
{
	if (value >= FIRST_OPTION_VALUE) {
		return value - FIRST_OPTION_VALUE;
	}
	for (int i = 0; command->options[i].name; i++) {
		if (command->options[i].letter == (char)value) {
			return i;
		}
	}
	return -1;
}

static enum phial_status note_option(struct phial_cli_call *call, int index,
				     struct phial_error *err)
{
	const struct phial_cli_option *option = &call->command->options[index];

	if (call->values[index] && !option->repeats) {
		return phial_fail(err, PHIAL_USAGE, 0, "--%s is given twice", option->name);
	}
	call->values[index] = option->value ? optarg : "";
	if (!option->repeats) {
		return PHIAL_OK;
	}
	if (call->repeated_count == PHIAL_CLI_REPEATS_MAX) {
		return phial_fail(err, PHIAL_USAGE, 0, "--%s is given more than %d times",
				  option->name, PHIAL_CLI_REPEATS_MAX);
	}
	call->repeated[call->repeated_count++] = optarg;
	return PHIAL_OK;
}

static enum phial_status check_operands(const struct phial_cli_call *call, struct phial_error *err)
{
	const struct phial_cli_command *command = call->command;

	if (call->operand_count < command->operands_min) {
		return phial_fail(err, PHIAL_USAGE, 0, "%s needs: %s (see phial help %s)",
				  command->name, command->operands, command->name);
	}
	if (call->operand_count <= command->operands_max) {
		return PHIAL_OK;
	}
	if (command->run == phial_cli_seal || command->run == phial_cli_override) {
		return phial_fail(
			err, PHIAL_USAGE, 0,
			"an argument too many (not shown): a value is never given as "
			"an argument, everybody could read it in the process list; "
			"type it, pipe it or use --from FILE, and clear your shell history");
	}
	return phial_fail(err, PHIAL_USAGE, 0,
			  "an argument too many (not shown), see phial help %s", command->name);
}

/* Find the program, and end the command's own arguments before it: getopt_long(3) would mix them. */
static enum phial_status cut_program(struct phial_cli_call *call, int *argc, char *argv[],
				     struct phial_error *err)
{
	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--") == 0 && i + 1 < *argc) {
			call->program = argv + i + 1;
			*argc = i;
			return PHIAL_OK;
		}
	}
	return phial_fail(err, PHIAL_USAGE, 0,
			  "what to run stands behind \"--\": phial %s %s (see phial help %s)",
			  call->command->name, call->command->operands, call->command->name);
}

enum phial_status phial_cli_parse(const struct phial_cli_command *command, int argc, char *argv[],
				  struct phial_cli_call *ret_call, struct phial_error *err)
{
	struct getopt_tables tables;

	make_tables(command, &tables);
	*ret_call = (struct phial_cli_call){ .command = command };
	if (phial_cli_takes_program(command)) {
		enum phial_status status = cut_program(ret_call, &argc, argv, err);

		if (status != PHIAL_OK) {
			return status;
		}
	}
	opterr = 0;
	optind = 0; /* glibc: start anew, also in tests that parse many times */
	for (;;) {
		int value = getopt_long(argc, argv, tables.letters, tables.options, NULL);

		if (value == -1) {
			break;
		}
		if (value == ':') {
			return phial_fail(err, PHIAL_USAGE, 0,
					  "the last option needs a value, see phial help %s",
					  command->name);
		}
		int index = value == '?' ? -1 : option_index(command, value);

		if (index < 0) {
			return phial_fail(
				err, PHIAL_USAGE, 0,
				"there is an unknown option (not shown), see phial help %s",
				command->name);
		}
		enum phial_status status = note_option(ret_call, index, err);

		if (status != PHIAL_OK) {
			return status;
		}
	}
	ret_call->operands = argv + optind;
	ret_call->operand_count = (size_t)(argc - optind);
	return check_operands(ret_call, err);
}

void phial_cli_print_help(const struct phial_cli_command *command)
{
	printf("usage: phial %s%s%s%s\n%s\n", command->name,
	       command->options[0].name ? " [OPTION...]" : "",
	       command->operands[0] != '\0' ? " " : "", command->operands, command->summary);
	for (const struct phial_cli_option *o = command->options; o->name; o++) {
		char left[64];
		char letter[] = { '-', o->letter, ',', ' ', '\0' };

		(void)snprintf(left, sizeof(left), "%s--%s%s%s", o->letter ? letter : "    ",
			       o->name, o->value ? " " : "", o->value ? o->value : "");
		printf("  %-28s %s\n", left, o->summary);
	}
	printf("See also: man phial\n");
}

void phial_cli_print_commands(void)
{
	printf("usage: phial COMMAND [OPTION...] [ARGUMENT...]\n"
	       "Put secrets into containers, and nowhere else.\n\n");
	for (const struct phial_cli_command *c = phial_cli_commands; c->name; c++) {
		printf("  %-14s %s\n", c->name, c->summary);
	}
	printf("  %-14s %s\n", "help", "explain a command: phial help COMMAND");
	printf("\nphial --version prints what this program was built from.\n");
}

void phial_cli_print_list(void)
{
	for (const struct phial_cli_command *c = phial_cli_commands; c->name; c++) {
		printf("%s\t%s\t", c->name, c->operands);
		for (const struct phial_cli_option *o = c->options; o->name; o++) {
			printf("%s--%s%s", o == c->options ? "" : " ", o->name,
			       o->value ? "=" : "");
			if (o->letter) {
				printf(" -%c%s", o->letter, o->value ? "=" : "");
			}
		}
		printf("\t%s\n", c->summary);
	}
}
