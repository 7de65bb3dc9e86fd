/* SPDX-License-Identifier: ISC */
/* Asking the agent of this host, and reading its status document (docs/agent-protocol.md). */
#ifndef PHIAL_CLI_AGENT_H
#define PHIAL_CLI_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include <phial/error.h>

#include "base/text.h"
#include "host/grade.h"
#include "wire/admin_protocol.h"
#include "json/json.h"

#define PHIAL_CLI_RUN_DIR_OPTION                                                      \
	{                                                                             \
		"run-dir", 0, false, "DIR",                                           \
			"the agent's folder (default: my own agent's, or /run/phial)" \
	}

/* What to ask. */
struct phial_cli_question {
	const char *run_dir; /* NULL for the usual one */
	enum phial_admin_frame request;
	const void *payload; /* as wire/admin_protocol.h says; NULL for none */
	size_t length;
	int value_fd; /* of an override, else -1; stays the caller's */
};

/* As phial_cli_ask_agent() below, for requests with something in them. */
PHIAL_CHECKED enum phial_status phial_cli_request(const struct phial_cli_question *question,
						  struct phial_json **ret_root,
						  struct phial_error *err);

/*
 * Ask the agent, and read the whole document. run_dir: NULL for the usual one. ret_root: freed
 * with phial_json_free(). Returns PHIAL_OK; PHIAL_NO_AGENT, PHIAL_DENIED with what to do;
 * PHIAL_MALFORMED for an agent of another release; the agent's own status; PHIAL_SYSTEM. Blocks up
 * to two minutes: loading a large store takes a while.
 */
PHIAL_CHECKED enum phial_status phial_cli_ask_agent(const char *run_dir,
						    enum phial_admin_frame request,
						    struct phial_json **ret_root,
						    struct phial_error *err);

/* The text of a member, or another text. Valid until the document is freed. */
const char *phial_cli_text_of(const struct phial_json *object, const char *key,
			      const char *otherwise);

/* A whole number from 0 to 2^53, or 0. */
int64_t phial_cli_number_of(const struct phial_json *object, const char *key);

/* Is a member there and true? */
bool phial_cli_is_true(const struct phial_json *object, const char *key);

/*
 * Grade one container of the document by what /proc says now. reasons: one a line, as of
 * phial_container_grade(); of an unknown one why it is not known. Root sees all containers.
 */
enum phial_grade phial_cli_grade(const struct phial_json *container, struct phial_text *reasons);

/* Add "grade" and "why" of a container of the document to an object. */
void phial_cli_add_grade(struct phial_json *object, const struct phial_json *container);

/* The container's id for people: engines' 64 digits are cut to the 12 that engines show. */
#define PHIAL_CLI_ID_BYTES 130
void phial_cli_format_id(const struct phial_json *container, char ret_text[PHIAL_CLI_ID_BYTES]);

#endif
