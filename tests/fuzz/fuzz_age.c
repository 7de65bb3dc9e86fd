/* SPDX-License-Identifier: ISC */
/*
 * Age files, armored and binary, as anybody may write them. What the strict form accepts must
 * be what phial would have written for the same bytes. scrypt is left out: it only takes time.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypt/crypt.h"
#include "crypt/encoding.h"

/* The key of 32 bytes 0x42, to which the corpus is encrypted. */
static const char key_file[] =
	"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n";

static struct phial_identities *identities;
static struct phial_secret *out;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void require(bool is_true)
{
	if (!is_true) {
		abort();
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct phial_secret *file = NULL;

	(void)argc;
	(void)argv;
	require(phial_secret_new(sizeof(key_file), &file, NULL) == PHIAL_OK);
	require(phial_secret_append(file, key_file, sizeof(key_file) - 1, NULL) == PHIAL_OK);
	require(phial_identities_parse(file, NULL, &identities, NULL) == PHIAL_OK);
	require(phial_secret_new(PHIAL_SECRET_MAX_BYTES, &out, NULL) == PHIAL_OK);
	phial_secret_free(file);
	return 0;
}

static void open_file(const struct phial_age_file *file)
{
	struct phial_age_key key = { { 0 } };
	struct phial_error err = { 0 };
	uint8_t prefix[71];
	enum phial_status status = phial_age_unwrap(file, identities, NULL, &key, &err);

	/* A body that is decrypted with a wrong key must be refused, not read astray. */
	if (phial_age_decrypt(file, &key, prefix, sizeof(prefix), out, &err) == PHIAL_OK) {
		require(status == PHIAL_OK);
		require(phial_secret_length(out) + sizeof(prefix) == file->plaintext_length);
	} else {
		require(phial_secret_length(out) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct phial_age_file file = { 0 };
	struct phial_error err = { 0 };

	if (phial_age_parse(bytes, length, PHIAL_AGE_STRICT_ARMOR, &file, &err) == PHIAL_OK) {
		struct phial_text text = { .max = 2 * length + 1024 };

		phial_armor_format(file.owned, (size_t)(file.body - file.owned) + file.body_length,
				   &text);
		require(text.length == length && memcmp(text.bytes, bytes, length) == 0);
		phial_text_free(&text);
		phial_age_file_free(&file);
	}
	if (phial_age_parse(bytes, length, PHIAL_AGE_ANY_FORM, &file, &err) == PHIAL_OK) {
		require(file.stanza_count >= 1 && file.x25519_count <= file.stanza_count);
		open_file(&file);
		phial_age_file_free(&file);
	}
	return 0;
}
