/* SPDX-License-Identifier: ISC */
/*
 * `phial join`: pin the admin key of a store that somebody else made, after checking that
 * the store really is signed with it.
 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/config.h"
#include "cli/store.h"

enum { TRUST };

const struct phial_cli_option phial_cli_join_options[] = {
	[TRUST] = { "trust", 0, false, "RW...", "the admin key, as the admin told you" },
	{ 0 },
};

enum phial_status phial_cli_join(const struct phial_cli_call *call, struct phial_error *err)
{
	phial_auto_cli_store struct phial_cli_store store = PHIAL_CLI_STORE_NONE;

	if (!call->values[TRUST]) {
		return phial_fail(
			err, PHIAL_USAGE, 0,
			"join needs --trust RW...: the key that the store's admin told you "
			"on another way than the store itself");
	}
	enum phial_status status =
		phial_signer_public_parse(call->values[TRUST], &store.pins.keys[0], err);

	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "--trust");
	}
	store.pins.count = 1;
	status = phial_cli_store_locate(phial_cli_operand(call, 0), &store, err);
	if (status != PHIAL_OK) {
		return status;
	}
	status = phial_trust_read(store.fd, &store.pins, &store.trust, err);
	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "%s, nothing was pinned", store.path);
	}
	status = phial_cli_pins_add(&store.pins.keys[0], err);
	if (status != PHIAL_OK) {
		return status;
	}
	printf("%s is signed with this key: %zu hosts and people may open, %zu may seal. The key "
	       "is pinned.\n",
	       store.path, store.trust->recipients.count, store.trust->signers.count);
	printf("To open or seal yourself, run phial keygen and phial signer keygen, and let an "
	       "admin run\n  phial host add NAME age1...\n  phial signer add NAME RW...\n");
	return PHIAL_OK;
}
