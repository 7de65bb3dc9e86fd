/* SPDX-License-Identifier: ISC */
/*
 * `phial keygen` and `phial signer keygen`: new key files, as age-keygen(1) and minisign(1)
 * make them, never over an old one.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "cli/keyfile.h"

enum { OUTPUT, NO_PASSPHRASE, PASSPHRASE_FD };

const struct phial_cli_option phial_cli_keygen_options[] = {
	[OUTPUT] = { "output", 'o', false, "FILE", "write the key here, not to your own place" },
	[NO_PASSPHRASE] = { "no-passphrase", 0, false, NULL, "do not encrypt the key file" },
	[PASSPHRASE_FD] = { "passphrase-fd", 0, false, "N",
			    "read the passphrase from descriptor N" },
	{ 0 },
};

/* Where to write: -o, or the caller's own place, whose folder is made. */
static enum phial_status output_path(const struct phial_cli_call *call, const char *own_name,
				     char **ret_path, struct phial_error *err)
{
	if (call->values[OUTPUT]) {
		*ret_path = strdup(call->values[OUTPUT]);
		return *ret_path ? PHIAL_OK : phial_fail(err, PHIAL_SYSTEM, 0, "no memory");
	}
	enum phial_status status = phial_cli_config_make(err);

	return status == PHIAL_OK ? phial_cli_config_path(own_name, ret_path, err) : status;
}

enum phial_status phial_cli_keygen(const struct phial_cli_call *call, struct phial_error *err)
{
	phial_auto_passphrases struct phial_cli_passphrases passphrases = {
		.fd_text = call->values[PASSPHRASE_FD],
		.is_none = call->values[NO_PASSPHRASE] != NULL,
	};
	phial_auto_free char *path = NULL;
	struct phial_recipient recipient;
	char text[PHIAL_RECIPIENT_TEXT_BYTES];
	enum phial_status status = phial_cli_passphrases_check_new(&passphrases, err);

	if (status == PHIAL_OK) {
		status = output_path(call, "identity", &path, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_make_identity(path, 0600, &passphrases, &recipient, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	phial_recipient_format(&recipient, text);
	fprintf(stderr, "Wrote a new age key to %s. This is its public half:\n", path);
	printf("%s\n", text);
	return PHIAL_OK;
}

/* FILE.pub beside FILE, as signer.pub beside signer.key. */
static enum phial_status public_path_of(const char *path, char **ret_path, struct phial_error *err)
{
	size_t length = strlen(path);
	bool ends_in_key = length > 4 && strcmp(path + length - 4, ".key") == 0;

	if (asprintf(ret_path, "%.*s.pub", (int)(ends_in_key ? length - 4 : length), path) < 0) {
		*ret_path = NULL;
		return phial_fail(err, PHIAL_SYSTEM, 0, "no memory");
	}
	return PHIAL_OK;
}

enum phial_status phial_cli_signer_keygen(const struct phial_cli_call *call,
					  struct phial_error *err)
{
	phial_auto_passphrases struct phial_cli_passphrases passphrases = {
		.fd_text = call->values[PASSPHRASE_FD],
		.is_none = call->values[NO_PASSPHRASE] != NULL,
	};
	phial_auto_free char *path = NULL;
	phial_auto_free char *public_path = NULL;
	struct phial_signer_public public_key;
	char text[PHIAL_SIGNER_TEXT_BYTES];
	enum phial_status status = phial_cli_passphrases_check_new(&passphrases, err);

	if (status == PHIAL_OK) {
		status = output_path(call, "signer.key", &path, err);
	}
	if (status == PHIAL_OK) {
		status = public_path_of(path, &public_path, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_make_signer(path, public_path, &passphrases, &public_key, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	phial_signer_public_format(&public_key, text);
	fprintf(stderr, "Wrote a new minisign key to %s and %s. This is its public half:\n", path,
		public_path);
	printf("%s\n", text);
	return PHIAL_OK;
}
