/* SPDX-License-Identifier: ISC */
/* Sealing a value as the next version of a secret: what `seal` and `revert` share. */
#ifndef PHIAL_CLI_SEALING_H
#define PHIAL_CLI_SEALING_H

#include <stdbool.h>

#include <phial/error.h>
#include <phial/sealed.h>

#include "cli/keyfile.h"
#include "cli/store.h"

/*
 * One sealing. Starts as `= { .name = ..., .store = PHIAL_CLI_STORE_NONE }`, with what the caller
 * wants in the header; freed by phial_cli_sealing_free().
 */
struct phial_cli_sealing {
	const char *name;
	const char *store_path;	 /* --store, or NULL */
	const char *signer_path; /* --signer, or NULL */
	bool sets_mode;		 /* the header has it: not as it was */
	bool sets_owner;
	bool sets_not_after;
	struct phial_cli_store store; /* fd < 0: without a store */
	struct phial_signer *signer;
	struct phial_named_recipient recipients[PHIAL_RECIPIENTS_MAX];
	struct phial_sealed_header header;
	struct phial_cli_sealed present; /* what the new file replaces, if it can be parsed */
	bool present_is_trusted;
	char *path; /* of the sealed file: below the store, or elsewhere */
};

/*
 * Open the store, and find out to whom and by whom it would be sealed, and what is there now. Notes
 * go to stderr. Returns PHIAL_OK; PHIAL_NOT_FOUND when nobody may open it; PHIAL_UNTRUSTED when hosts
 * would refuse the signer; PHIAL_BAD_NAME; what opening the store and loading the key return.
 */
PHIAL_CHECKED enum phial_status phial_cli_sealing_prepare(struct phial_cli_sealing *sealing,
							  struct phial_cli_passphrases *passphrases,
							  struct phial_error *err);

/*
 * Seal the value as a version above the present one, write it durably to sealing->path, and say so on
 * stdout. Returns PHIAL_OK; what phial_seal() and phial_store_write() return.
 */
PHIAL_CHECKED enum phial_status phial_cli_sealing_write(struct phial_cli_sealing *sealing,
							const struct phial_secret *value,
							struct phial_error *err);

/* Free what it holds and leave it empty. */
void phial_cli_sealing_free(struct phial_cli_sealing *sealing);

#endif
