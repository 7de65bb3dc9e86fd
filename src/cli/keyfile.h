/* SPDX-License-Identifier: ISC */
/* Secret key files and their passphrases. */
#ifndef PHIAL_CLI_KEYFILE_H
#define PHIAL_CLI_KEYFILE_H

#include <stdbool.h>

#include <phial/error.h>
#include <phial/keys.h>
#include <phial/secret.h>

#include "base/cleanup.h"

/* The longest passphrase, in bytes. */
#define PHIAL_CLI_PASSPHRASE_MAX_BYTES ((size_t)1024)

/*
 * Where passphrases come from: --passphrase-fd, else the terminal. Starts zeroed but for what
 * the options say; freed by phial_cli_passphrases_free().
 */
struct phial_cli_passphrases {
	const char *fd_text;	     /* the value of --passphrase-fd, or NULL */
	bool is_none;		     /* --no-passphrase: new keys are not encrypted */
	struct phial_secret *given;  /* what was read from that descriptor, once */
	struct phial_secret *chosen; /* typed for a new key: one question for all new keys */
	bool was_asked;		     /* the question was answered (with nothing, if !chosen) */
	bool is_just_made;	     /* the key to load was made now: chosen opens it, too */
};

#define phial_auto_passphrases phial_auto(phial_cli_passphrases_free)
/* Wipe and free what it holds. */
void phial_cli_passphrases_free(struct phial_cli_passphrases *passphrases);

/*
 * Is there a way to say how a new key is protected: an option, or a terminal? Returns PHIAL_OK
 * or PHIAL_USAGE. Asked before anything is changed; never asks the user.
 */
PHIAL_CHECKED enum phial_status
phial_cli_passphrases_check_new(const struct phial_cli_passphrases *passphrases,
				struct phial_error *err);

/*
 * The passphrase of new keys. ret_passphrase: borrowed from passphrases; NULL for none. Returns
 * PHIAL_OK; PHIAL_USAGE; PHIAL_SYSTEM. May ask on the terminal, twice.
 */
PHIAL_CHECKED enum phial_status
phial_cli_passphrases_new(struct phial_cli_passphrases *passphrases,
			  const struct phial_secret **ret_passphrase, struct phial_error *err);

/* The scope owners of keys. */
#define phial_auto_identities phial_auto(phial_cli_free_identities)
#define phial_auto_signer     phial_auto(phial_cli_free_signer)
static inline void phial_cli_free_identities(struct phial_identities **identities)
{
	phial_identities_free(*identities);
	*identities = NULL;
}
static inline void phial_cli_free_signer(struct phial_signer **signer)
{
	phial_signer_free(*signer);
	*signer = NULL;
}

/*
 * Read a secret file of at most max bytes: key files, and values of `seal --from`. Returns
 * PHIAL_OK; PHIAL_NOT_FOUND; PHIAL_DENIED; PHIAL_TOO_LARGE; PHIAL_SYSTEM. is_key: also
 * PHIAL_DENIED when a regular file may be read or written by others.
 */
PHIAL_CHECKED enum phial_status phial_cli_read_secret(const char *path, size_t max, bool is_key,
						      struct phial_secret **ret_file,
						      struct phial_error *err);

/*
 * Write a new secret file, 0600, durably. Returns PHIAL_OK; PHIAL_EXISTS (nothing is ever
 * overwritten); PHIAL_NOT_FOUND; PHIAL_DENIED; PHIAL_SYSTEM (no partial file is left).
 */
PHIAL_CHECKED enum phial_status phial_cli_write_secret(const char *path,
						       const struct phial_secret *file,
						       unsigned int mode, struct phial_error *err);

/*
 * Load the age identities of a file. path: NULL for the caller's own. Returns PHIAL_OK;
 * PHIAL_NOT_FOUND, saying what to run; what phial_identities_parse() returns, with the path.
 * May ask for the passphrase on the terminal.
 */
PHIAL_CHECKED enum phial_status phial_cli_load_identities(const char *path,
							  struct phial_cli_passphrases *passphrases,
							  struct phial_identities **ret_identities,
							  struct phial_error *err);

/*
 * Load the caller's own identities if that needs no question: *ret_identities is NULL when there
 * are none, or they are encrypted, or unreadable. Never fails, never asks.
 */
void phial_cli_try_identities(struct phial_identities **ret_identities);

/* Load a minisign secret key. path: NULL for the caller's own. As for identities. */
PHIAL_CHECKED enum phial_status phial_cli_load_signer(const char *path,
						      struct phial_cli_passphrases *passphrases,
						      struct phial_signer **ret_signer,
						      struct phial_error *err);

/*
 * Make a new age key at path. now_s: for its comment. mode: 0600, or 0400 for a host's. Returns
 * PHIAL_OK, PHIAL_EXISTS, and what writing and phial_cli_passphrases_new() return.
 */
PHIAL_CHECKED enum phial_status phial_cli_make_identity(const char *path, unsigned int mode,
							struct phial_cli_passphrases *passphrases,
							struct phial_recipient *ret_recipient,
							struct phial_error *err);

/* Make a new minisign key at path, and its public half at public_path. As for identities. */
PHIAL_CHECKED enum phial_status phial_cli_make_signer(const char *path, const char *public_path,
						      struct phial_cli_passphrases *passphrases,
						      struct phial_signer_public *ret_public,
						      struct phial_error *err);

#endif
