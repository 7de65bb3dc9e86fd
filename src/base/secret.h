/* SPDX-License-Identifier: ISC */
/* The scope owner for secret memory; the type itself is public: <phial/secret.h>. */
#ifndef PHIAL_BASE_SECRET_H
#define PHIAL_BASE_SECRET_H

#include <phial/secret.h>

#include "base/cleanup.h"

#define phial_auto_secret phial_auto(phial_free_secret_pointer)

/* Wipe and free the secret that a variable owns. */
static inline void phial_free_secret_pointer(struct phial_secret **secret)
{
	phial_secret_free(*secret);
	*secret = NULL;
}

/* The library that guards the memory and does the cryptography (libsodium), e.g. "1.0.18". Static. */
const char *phial_secret_library(void);

#endif
