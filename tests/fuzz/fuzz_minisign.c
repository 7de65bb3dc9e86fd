/* SPDX-License-Identifier: ISC */
/*
 * minisign's texts: the first byte says which. 'p': a public key; 's': a secret key file,
 * without a passphrase; else a signature over "test".
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <phial/keys.h>

/* The key of the published signature in the corpus. */
#define PUBLIC_KEY "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void require(bool is_true)
{
	if (!is_true) {
		abort();
	}
}

static void read_public(const uint8_t *bytes, size_t length)
{
	struct phial_signer_public key;
	char text[PHIAL_SIGNER_TEXT_BYTES];
	char *given = calloc(1, length + 1);

	require(given != NULL);
	memcpy(given, bytes, length);
	if (phial_signer_public_parse(given, &key, NULL) == PHIAL_OK) {
		phial_signer_public_format(&key, text);
		require(strcmp(text, given) == 0);
	}
	free(given);
}

static void read_secret(const uint8_t *bytes, size_t length)
{
	struct phial_secret *file = NULL;
	struct phial_signer *signer = NULL;

	require(phial_secret_new(length + 1, &file, NULL) == PHIAL_OK);
	require(phial_secret_append(file, bytes, length, NULL) == PHIAL_OK);
	if (phial_signer_parse(file, NULL, &signer, NULL) == PHIAL_OK) {
		require(!phial_signer_needs_passphrase(file));
	}
	phial_signer_free(signer);
	phial_secret_free(file);
}

static void read_signature(const uint8_t *bytes, size_t length)
{
	static const uint8_t message[] = { 't', 'e', 's', 't' };
	struct phial_signer_public key;

	require(phial_signer_public_parse(PUBLIC_KEY, &key, NULL) == PHIAL_OK);
	/* With another message the same text must never be right. */
	if (phial_minisign_verify(message, sizeof(message), (const char *)bytes, length, &key, NULL,
				  NULL) == PHIAL_OK) {
		require(phial_minisign_verify(message, sizeof(message) - 1, (const char *)bytes,
					      length, &key, NULL, NULL) == PHIAL_TAMPERED);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	if (length > 0 && bytes[0] == 'p') {
		read_public(bytes + 1, length - 1);
	} else if (length > 0 && bytes[0] == 's') {
		read_secret(bytes + 1, length - 1);
	} else {
		read_signature(bytes, length);
	}
	return 0;
}
