/* SPDX-License-Identifier: ISC */
/* The host's age key file, opened once at start and then kept in the ring. */
#ifndef PHIAL_AGENT_IDENTITY_H
#define PHIAL_AGENT_IDENTITY_H

#include <phial/keys.h>
#include <phial/secret.h>

#include "agent/options.h"

/*
 * Read the host's identity file: $CREDENTIALS_DIRECTORY/phial-identity if there is one, else the
 * path of the options. A passphrase, where one is needed, comes from --passphrase-fd or from the
 * credential "phial-passphrase"; one newline at its end is dropped. ret_text: `AGE-SECRET-KEY-1...` lines, freed by
 * the caller. ret_public: "age1..." of its first key. Returns PHIAL_OK; PHIAL_NOT_FOUND;
 * PHIAL_DENIED when others can read the file; PHIAL_BAD_KEY; PHIAL_BAD_PASSPHRASE; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status
phial_agent_identity_read(const struct phial_agent_options *options, struct phial_secret **ret_text,
			  char ret_public[PHIAL_RECIPIENT_TEXT_BYTES], struct phial_error *err);

#endif
