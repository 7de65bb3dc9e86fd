/* SPDX-License-Identifier: ISC */
/* A sealed file's earlier versions, from the git history of its store. */
#ifndef PHIAL_CLI_HISTORY_H
#define PHIAL_CLI_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>
#include <phial/sealed.h>

/* Commits looked at, the newest first. */
#define PHIAL_CLI_HISTORY_MAX 2000

/*
 * One version: commit is the newest one that has it. sealed: parsed, of this name, not verified; its
 * bytes live during the call. Returns whether to go on.
 */
typedef bool phial_cli_history_fn(void *context, const char *commit, struct phial_sealed *sealed);

/*
 * Walk through the versions of a secret that the commits of a store's present branch have, the newest
 * commit first, each version once. Files that cannot be parsed are passed over. Runs git(1) with fixed
 * arguments, without shell, pager and hooks. Returns PHIAL_OK; PHIAL_NOT_FOUND when there is no git, or
 * no history, saying what to do; PHIAL_SYSTEM. Blocks.
 */
PHIAL_CHECKED enum phial_status phial_cli_history_walk(const char *store_path, const char *name,
						       phial_cli_history_fn *each, void *context,
						       struct phial_error *err);

#endif
