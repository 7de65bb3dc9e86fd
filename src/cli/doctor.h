/* SPDX-License-Identifier: ISC */
/*
 * Inside `phial doctor` only: the list of checks, and the groups of them, one file each. A check has
 * a stable id, a state, a text, and, unless all is well, what to do.
 */
#ifndef PHIAL_CLI_DOCTOR_H
#define PHIAL_CLI_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include <phial/error.h>

#include "cli/setup_actions.h"
#include "json/json.h"

enum phial_check_state {
	PHIAL_CHECK_OK,
	PHIAL_CHECK_UNKNOWN, /* could not be looked at */
	PHIAL_CHECK_WARN,    /* weaker than it could be, or something will not work */
	PHIAL_CHECK_BAD,     /* a promise is broken */
};

struct phial_check {
	enum phial_check_state state;
	char *id;   /* "kernel.swap"; of a container "container.ID" */
	char *text; /* what was found */
	char *fix;  /* or NULL */
};

struct phial_doctor {
	struct phial_setup host; /* where files and programs are; root "" but for --root */
	const char *run_dir;
	bool is_root;
	bool is_own;		  /* an ordinary user asks an agent of his own (phiald --user) */
	struct phial_json *agent; /* its status document, or NULL */
	enum phial_status agent_status;
	char agent_problem[PHIAL_ERROR_TEXT_BYTES]; /* why there is no document */
	struct phial_check *checks;
	size_t count;
	bool is_short; /* there was no memory for all */
};

/* Add a check. fix: what to do, or NULL; copied. The text may hold anything: it is printed safely. */
void phial_doctor_add(struct phial_doctor *doctor, const char *id, enum phial_check_state state,
		      const char *fix, const char *format, ...) PHIAL_PRINTF(5, 6);

/* Read a file below the host's root. ret_text: freed by the caller; status as phial_host_read(). */
PHIAL_CHECKED enum phial_status phial_doctor_read(const struct phial_doctor *doctor,
						  const char *path, char **ret_text,
						  struct phial_error *err);

/* The same for a JSON file. Also PHIAL_MALFORMED. ret_root: freed with phial_json_free(). */
PHIAL_CHECKED enum phial_status phial_doctor_read_json(const struct phial_doctor *doctor,
						       const char *path,
						       struct phial_json **ret_root,
						       struct phial_error *err);

/* Is there a program of this name in the usual folders? ret_path: its path without the root. */
bool phial_doctor_find(const struct phial_doctor *doctor, const char *name,
		       char ret_path[PHIAL_SETUP_PATH_BYTES]);

/*
 * Run a program of this host with a clean environment and take the first line that it prints. argv:
 * ends with NULL; its first is an absolute path. ret_line: cut to fit. Returns false with --root,
 * when it cannot be run, prints nothing, or takes over five seconds (it is killed then).
 */
bool phial_doctor_run(const struct phial_doctor *doctor, const char *const argv[], char *ret_line,
		      size_t line_bytes);

/* The same for all that it prints, at most 64 KiB. ret_text: freed by the caller. */
bool phial_doctor_run_all(const struct phial_doctor *doctor, const char *const argv[],
			  char **ret_text);

typedef enum phial_status phial_doctor_step_fn(void *context, struct phial_error *err);

/*
 * Run a step in a child, whose namespaces, session or user it may change, and which is killed when
 * it takes over five seconds. err: the step's. Returns what the step returns; PHIAL_GONE when it
 * was killed; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_doctor_in_child(phial_doctor_step_fn *step, void *context,
						      struct phial_error *err);

/*
 * Could somebody but root (and, of his own agent, the user) change a file, or put another in its place? path: below the host's root.
 * Returns true and says how in ret_how; false also when it is not there.
 */
bool phial_doctor_is_loose(const struct phial_doctor *doctor, const char *path, char *ret_how,
			   size_t how_bytes);

/*
 * Check a program that an engine's configuration names: there, to be executed, changed by nobody but
 * root. what: who names it. Returns true when it is good; else a check of this id is added.
 */
bool phial_doctor_check_program(struct phial_doctor *doctor, const char *id, const char *what,
				const char *path);

/* The groups. */
void phial_doctor_kernel(struct phial_doctor *doctor);
void phial_doctor_memory(struct phial_doctor *doctor);
void phial_doctor_keys(struct phial_doctor *doctor);
void phial_doctor_podman(struct phial_doctor *doctor);
void phial_doctor_docker(struct phial_doctor *doctor);
void phial_doctor_boot(struct phial_doctor *doctor);
void phial_doctor_install(struct phial_doctor *doctor);
void phial_doctor_agent(struct phial_doctor *doctor);
void phial_doctor_containers(struct phial_doctor *doctor);

/*
 * Answer --would-start. Prints (is_json: JSON). Returns PHIAL_OK when a container of the workload
 * would get its secrets now; PHIAL_REFUSED when it would not; PHIAL_NOT_FOUND for no such workload;
 * what asking the agent returned.
 */
PHIAL_CHECKED enum phial_status phial_doctor_would_start(const struct phial_doctor *doctor,
							 const char *workload, bool is_json,
							 struct phial_error *err);

#endif
