/* SPDX-License-Identifier: ISC */
/*
 * age key files and recipients. A recipient that is accepted must be the one text of its key.
 * Encrypted key files end at the question for the passphrase; fuzz_age has what follows.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <phial/keys.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void require(bool is_true)
{
	if (!is_true) {
		abort();
	}
}

static void read_recipient(const uint8_t *bytes, size_t length)
{
	struct phial_recipient recipient;
	char text[PHIAL_RECIPIENT_TEXT_BYTES];
	char *given = calloc(1, length + 1);

	require(given != NULL);
	memcpy(given, bytes, length);
	if (phial_recipient_parse(given, &recipient, NULL) == PHIAL_OK) {
		phial_recipient_format(&recipient, text);
		require(strcmp(text, given) == 0);
	}
	free(given);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct phial_secret *file = NULL;
	struct phial_identities *identities = NULL;

	require(phial_secret_new(length + 1, &file, NULL) == PHIAL_OK);
	require(phial_secret_append(file, bytes, length, NULL) == PHIAL_OK);
	if (phial_identities_parse(file, NULL, &identities, NULL) == PHIAL_OK) {
		require(phial_identities_count(identities) >= 1);
	}
	phial_identities_free(identities);
	phial_secret_free(file);
	if (length > 0) {
		read_recipient(bytes, length);
	}
	return 0;
}
