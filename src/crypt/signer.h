/* SPDX-License-Identifier: ISC */
/* Inside crypt: what a minisign key is made of, and minisign's two-line texts. */
#ifndef PHIAL_CRYPT_SIGNER_H
#define PHIAL_CRYPT_SIGNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/keys.h>

#include "base/parse.h"

#define PHIAL_UNTRUSTED_PREFIX "untrusted comment: "

/* "Ed": the algorithm of keys. "ED": that of prehashed signatures. */
#define PHIAL_MINISIGN_KEY_ALGORITHM	   "Ed"
#define PHIAL_MINISIGN_SIGNATURE_ALGORITHM "ED"

/* A minisign key. */
struct phial_signer {
	struct phial_secret *key; /* 64 bytes: Ed25519 seed and public key */
	struct phial_signer_public public_key;
};

#endif
