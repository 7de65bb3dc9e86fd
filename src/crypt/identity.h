/* SPDX-License-Identifier: ISC */
/* Inside crypt: what an identity is made of. */
#ifndef PHIAL_CRYPT_IDENTITY_H
#define PHIAL_CRYPT_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

#include <phial/keys.h>

/* An age X25519 secret key and its public half, computed once. Only in secret memory. */
struct phial_identity {
	uint8_t secret[32];
	struct phial_recipient recipient;
};

/* Identity number index (asserted to be below the count); valid until they are freed. */
const struct phial_identity *phial_identities_get(const struct phial_identities *identities,
						  size_t index);

#endif
