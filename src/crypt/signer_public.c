/* SPDX-License-Identifier: ISC */
/*
 * minisign public keys: "RW..." is base64 of the algorithm, 8 bytes of key id and 32 bytes of
 * Ed25519 key. It reads the text of the key, not the file with its comment line.
 */
#include <string.h>

#include "crypt/crypt.h"
#include "crypt/encoding.h"
#include "crypt/signer.h"

struct public_record {
	char algorithm[2];
	struct phial_signer_public key;
};

_Static_assert(sizeof(struct public_record) == 42, "no padding");
_Static_assert(PHIAL_SIGNER_TEXT_BYTES == PHIAL_BASE64_TEXT_BYTES(42), "room for the text");

enum phial_status phial_signer_public_parse(const char *text,
					    struct phial_signer_public *ret_public,
					    struct phial_error *err)
{
	struct phial_span span = { text, strnlen(text, PHIAL_SIGNER_TEXT_BYTES) };
	struct public_record record;

	if (!phial_base64_decode_exactly(span, PHIAL_BASE64_PADDED, (uint8_t *)&record,
					 sizeof(record)) ||
	    memcmp(record.algorithm, PHIAL_MINISIGN_KEY_ALGORITHM, 2) != 0) {
		return phial_fail(err, PHIAL_BAD_KEY, 0,
				  "not a minisign public key (RW and 54 more characters)");
	}
	*ret_public = record.key;
	return PHIAL_OK;
}

void phial_signer_public_format(const struct phial_signer_public *public_key,
				char ret_text[PHIAL_SIGNER_TEXT_BYTES])
{
	struct public_record record = { .key = *public_key };

	memcpy(record.algorithm, PHIAL_MINISIGN_KEY_ALGORITHM, 2);
	phial_base64_encode(&record, sizeof(record), PHIAL_BASE64_PADDED, ret_text,
			    PHIAL_SIGNER_TEXT_BYTES);
}

bool phial_signer_public_equal(const struct phial_signer_public *a,
			       const struct phial_signer_public *b)
{
	return memcmp(a->key_id, b->key_id, sizeof(a->key_id)) == 0 &&
	       memcmp(a->key, b->key, sizeof(a->key)) == 0;
}
