/* SPDX-License-Identifier: ISC */
/* The store that a command works on, opened and verified once. */
#ifndef PHIAL_CLI_STORE_H
#define PHIAL_CLI_STORE_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>
#include <phial/sealed.h>

#include "cli/keyfile.h"
#include "store/store.h"
#include "store/trust.h"

/* Starts as `= PHIAL_CLI_STORE_NONE`, freed by phial_cli_store_close(). */
struct phial_cli_store {
	char *path;
	int fd;
	struct phial_pins pins;
	struct phial_trust *trust;
};

#define PHIAL_CLI_STORE_NONE \
	{                    \
		.fd = -1     \
	}
#define phial_auto_cli_store phial_auto(phial_cli_store_close)

/*
 * Find the store at or above a folder, and read and verify its signed files against the pinned
 * admin keys. start: NULL for the working directory. Returns PHIAL_OK; PHIAL_NOT_FOUND, and what
 * phial_trust_read() and phial_cli_pins_read() return.
 */
PHIAL_CHECKED enum phial_status
phial_cli_store_open(const char *start, struct phial_cli_store *ret_store, struct phial_error *err);

/* The same without pins: finds and opens only; nothing is verified. */
PHIAL_CHECKED enum phial_status phial_cli_store_locate(const char *start,
						       struct phial_cli_store *ret_store,
						       struct phial_error *err);

/* Close and free what it holds; it may be opened anew afterwards. */
void phial_cli_store_close(struct phial_cli_store *store);

/*
 * Load the caller's signer key and check that it is an admin key of the store. Returns PHIAL_OK;
 * PHIAL_UNTRUSTED when it is not pinned; what phial_cli_load_signer() returns.
 */
PHIAL_CHECKED enum phial_status
phial_cli_store_load_admin(const struct phial_cli_store *store,
			   struct phial_cli_passphrases *passphrases,
			   struct phial_signer **ret_admin, struct phial_error *err);

/* Format one of the two lists with its serial raised, sign it and write it. */
PHIAL_CHECKED enum phial_status phial_cli_store_write_list(struct phial_cli_store *store,
							   enum phial_trust_kind kind,
							   const struct phial_signer *admin,
							   struct phial_error *err);

/*
 * Hold back the signals by which people end or stop a program, while files are written, so that
 * no temporary file is left. ret_before: for phial_cli_release_signals(), which lets them through.
 */
void phial_cli_hold_signals(sigset_t *ret_before);
void phial_cli_release_signals(const sigset_t *before);

/* One sealed file of a store; used for many, one after the other. Starts zeroed. */
struct phial_cli_sealed {
	uint8_t *buffer;
	size_t buffer_bytes;
	size_t length;
	struct phial_sealed *sealed;
};

#define phial_auto_cli_sealed phial_auto(phial_cli_sealed_free)

/*
 * Read and parse the sealed file of a name, and check that it says this name. Replaces what was
 * held. Returns PHIAL_OK; PHIAL_BAD_NAME when it belongs elsewhere; what phial_store_read_sealed()
 * and phial_sealed_parse() return. The text does not begin with the name.
 */
PHIAL_CHECKED enum phial_status phial_cli_sealed_read(int store_fd, const char *name,
						      struct phial_cli_sealed *sealed,
						      struct phial_error *err);

/* Is it still good by this machine's clock? Returns PHIAL_OK or PHIAL_EXPIRED. */
PHIAL_CHECKED enum phial_status phial_cli_sealed_check_expiry(const struct phial_cli_sealed *sealed,
							      struct phial_error *err);

/* Free what it holds and leave it empty. */
void phial_cli_sealed_free(struct phial_cli_sealed *sealed);

/* The entry of a list with this signer key, or NULL. */
const struct phial_trust_entry *phial_cli_find_signer(const struct phial_trust_list *list,
						      const struct phial_signer_public *key);

/* Is this recipient (name and key) among those of a header? */
bool phial_cli_is_sealed_to(const struct phial_sealed_header *header,
			    const struct phial_trust_entry *entry);

#endif
