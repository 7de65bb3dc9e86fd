/* SPDX-License-Identifier: ISC */
/*
 * A container engine's call of its OCI runtime: which command, on which bundle and container, and
 * where the engine reads errors. The runtimes' own arguments are not changed, and not known any
 * better than is needed; see runc(8), crun(1).
 */
#ifndef PHIAL_RUNTIME_ARGUMENTS_H
#define PHIAL_RUNTIME_ARGUMENTS_H

#include <stddef.h>

#include <phial/error.h>

enum phial_runtime_act {
	PHIAL_RUNTIME_PASS_ON = 0, /* nothing that could start a container */
	PHIAL_RUNTIME_CREATE,
	PHIAL_RUNTIME_START_AT_ONCE, /* run, restore: nothing can be attached in between */
};

/* Texts point into argv; those that were not given are NULL unless said otherwise. */
struct phial_runtime_call {
	const char *runtime; /* a name without '/', or an absolute path; never NULL */
	const char *run_dir; /* the agent's; never NULL */
	char **argv;	     /* the runtime's; [0] is to be replaced by its path */
	size_t global_count; /* words from argv[1] on that stand before the command */
	enum phial_runtime_act act;
	const char *command; /* its name, with any act but PASS_ON */
	const char *bundle;
	const char *config; /* crun's other name of config.json */
	const char *pid_file;
	const char *id;
	const char *log;
	const char *log_format;
};

/*
 * Read a call. argv: main()'s, ending with NULL; not changed, kept by reference. The name of the
 * program chooses the runtime ("phial-runtime-crun": crun) unless --phial-runtime does. Returns
 * PHIAL_OK; PHIAL_USAGE for wrong options of our own (--phial-...): all others are the runtime's to
 * judge. Pure.
 */
PHIAL_CHECKED enum phial_status
phial_runtime_read_call(char **argv, struct phial_runtime_call *ret_call, struct phial_error *err);

#endif
