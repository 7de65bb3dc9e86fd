/* SPDX-License-Identifier: ISC */
/* What the agent is told at start: fixed paths, command line, environment of its unit. */
#ifndef PHIAL_AGENT_OPTIONS_H
#define PHIAL_AGENT_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

#include <phial/error.h>

struct phial_agent_options {
	const char *store;	 /* --store, PHIAL_STORE */
	const char *identity;	 /* --identity, PHIAL_IDENTITY */
	const char *trust;	 /* --trust, PHIAL_TRUST */
	const char *run_dir;	 /* --run-dir */
	const char *state_dir;	 /* --state-dir */
	const char *worker_user; /* --worker-user: whom the worker runs as */
	const char *cdi;	 /* --cdi, or NULL: no CDI file is kept */
	const char *boot_dir;	 /* --boot-dir, or NULL: nothing is kept for the next boot */
	const char *audit_copy;	 /* --audit-copy: a syslog socket, or NULL: no copy */
	const char *metrics;	 /* --metrics: a file for Prometheus, or NULL */
	bool audit_drops;	 /* --audit=drop: releases do not wait for the log */
	int passphrase_fd;	 /* --passphrase-fd, or -1 */
	bool is_user;		 /* --user: the agent of an ordinary user */
	bool has_subids;	 /* of a user's agent: its subordinate ids are mapped */
	bool wants_help;
	bool wants_version;
	uid_t uid; /* of the worker, in the agent's namespace */
	gid_t gid;
};

/*
 * Read the command line and the environment. argv: kept, options point into it. With --user, uid
 * and gid are 0, which is this user in the namespace of phial_user_enter(). Returns PHIAL_OK;
 * PHIAL_USAGE with what is wrong; PHIAL_NOT_FOUND when the worker's user does not exist.
 */
PHIAL_CHECKED enum phial_status phial_agent_options_parse(int argc, char **argv,
							  struct phial_agent_options *ret_options,
							  struct phial_error *err);

#endif
