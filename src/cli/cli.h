/* SPDX-License-Identifier: ISC */
/*
 * The frame of the command line: one table of commands, from which help, the parsing of
 * options, shell completion and the check of the man page come.
 */
#ifndef PHIAL_CLI_CLI_H
#define PHIAL_CLI_CLI_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <phial/error.h>

/* The most options of one command, and the most times that a repeating one may stand. */
#define PHIAL_CLI_OPTIONS_MAX 16
#define PHIAL_CLI_REPEATS_MAX 256

/* One option. The list of a command ends with an entry without a name. */
struct phial_cli_option {
	const char *name;    /* "from" for --from */
	char letter;	     /* 'o' for -o, or 0 */
	bool repeats;	     /* may stand several times; at most one option of a command */
	const char *value;   /* what its value is called, or NULL for a flag */
	const char *summary; /* a few words for help */
};

/* Options that several commands share. */
#define PHIAL_CLI_STORE_OPTION                                                           \
	{                                                                                \
		"store", 0, false, "DIR", "the store (default: found upwards from here)" \
	}
#define PHIAL_CLI_PASSPHRASE_OPTION                                                          \
	{                                                                                    \
		"passphrase-fd", 0, false, "N", "read my key's passphrase from descriptor N" \
	}

struct phial_cli_command;

/* What main() changed for phial itself and execve(2) would keep: a program gets it as it was. */
struct phial_cli_inherited {
	mode_t umask;
	struct sigaction on_sigpipe;
};

/* A parsed command line; points into argv. */
struct phial_cli_call {
	const struct phial_cli_command *command;
	/* By index in the command's options: its value, "" for a flag, NULL if not given. */
	const char *values[PHIAL_CLI_OPTIONS_MAX];
	const char *repeated[PHIAL_CLI_REPEATS_MAX]; /* all values of the repeating option */
	size_t repeated_count;
	char *const *operands;
	size_t operand_count;
	char *const *program; /* what stands behind "--", ends with NULL; NULL if none is taken */
	const struct phial_cli_inherited *inherited; /* set by main() */
};

/*
 * Run a command: does the work and prints results to stdout and notes to stderr; a failure is
 * recorded in err and printed by main(). PHIAL_PROBLEMS: what was found is printed already.
 */
typedef enum phial_status phial_cli_run_fn(const struct phial_cli_call *call,
					   struct phial_error *err);

struct phial_cli_command {
	const char *name; /* "seal", "host add" */
	phial_cli_run_fn *run;
	const char *operands; /* "NAME age1... [PATTERN...]" */
	const char *summary;
	const struct phial_cli_option *options;
	size_t operands_min;
	size_t operands_max;
};

/* Every command, in the order of help; ends with an entry without a name. */
extern const struct phial_cli_command phial_cli_commands[];

/* Does a command start a program that stands behind "--"? Its operands say so. */
bool phial_cli_takes_program(const struct phial_cli_command *command);

/* The operand at an index, or NULL if it was not given. */
const char *phial_cli_operand(const struct phial_cli_call *call, size_t index);

/*
 * Find the command that argv begins with ("host add" needs two words). ret_words: how many
 * words its name took. Returns PHIAL_OK, or PHIAL_USAGE naming a near miss, never the word.
 */
PHIAL_CHECKED enum phial_status phial_cli_find(int argc, char *const argv[],
					       const struct phial_cli_command **ret_command,
					       int *ret_words, struct phial_error *err);

/*
 * Parse what follows a command's name. argv[0] is skipped; argv is permuted by
 * getopt_long(3). Returns PHIAL_OK or PHIAL_USAGE; the text names options by number only,
 * because a mistyped argument may hold a secret.
 */
PHIAL_CHECKED enum phial_status phial_cli_parse(const struct phial_cli_command *command, int argc,
						char *argv[], struct phial_cli_call *ret_call,
						struct phial_error *err);

/* Print "usage: phial seal NAME [...]" and the options of one command to stdout. */
void phial_cli_print_help(const struct phial_cli_command *command);

/* Print all commands to stdout. */
void phial_cli_print_commands(void);

/* Print "NAME<TAB>OPERANDS<TAB>OPTION...<TAB>SUMMARY" lines, for completion scripts and tests. */
void phial_cli_print_list(void);

/* The commands; each in the file of its name. */
phial_cli_run_fn phial_cli_init, phial_cli_join, phial_cli_keygen, phial_cli_signer_keygen,
	phial_cli_host_add, phial_cli_host_ls, phial_cli_host_rm, phial_cli_signer_add,
	phial_cli_signer_ls, phial_cli_signer_rm, phial_cli_seal, phial_cli_unseal, phial_cli_run,
	phial_cli_inspect, phial_cli_verify, phial_cli_ls, phial_cli_policy_check,
	phial_cli_policy_sign, phial_cli_reload, phial_cli_doctor, phial_cli_status,
	phial_cli_setup, phial_cli_setup_podman, phial_cli_setup_docker, phial_cli_setup_cdi,
	phial_cli_audit_verify, phial_cli_audit_log, phial_cli_revoke, phial_cli_revocations,
	phial_cli_override, phial_cli_revert;

/* Their options, beside them. */
extern const struct phial_cli_option phial_cli_init_options[], phial_cli_join_options[],
	phial_cli_keygen_options[], phial_cli_trust_add_options[], phial_cli_trust_ls_options[],
	phial_cli_trust_rm_options[], phial_cli_seal_options[], phial_cli_unseal_options[],
	phial_cli_run_options[], phial_cli_inspect_options[], phial_cli_verify_options[],
	phial_cli_ls_options[], phial_cli_policy_check_options[], phial_cli_policy_sign_options[],
	phial_cli_reload_options[], phial_cli_doctor_options[], phial_cli_status_options[],
	phial_cli_setup_options[], phial_cli_setup_podman_options[],
	phial_cli_setup_docker_options[], phial_cli_setup_cdi_options[],
	phial_cli_audit_verify_options[], phial_cli_audit_log_options[], phial_cli_revoke_options[],
	phial_cli_revocations_options[], phial_cli_override_options[], phial_cli_revert_options[];

#endif
