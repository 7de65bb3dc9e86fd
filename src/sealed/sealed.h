/* SPDX-License-Identifier: ISC */
/*
 * Inside the rooms: the parsed sealed file, and opening in two steps, for an agent that keeps
 * the file key of a large secret and decrypts the body again later. The public face is
 * <phial/sealed.h>.
 */
#ifndef PHIAL_SEALED_SEALED_H
#define PHIAL_SEALED_SEALED_H

#include <stdbool.h>

#include <phial/sealed.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "crypt/crypt.h"

/* What minisign calls the trusted comment; it keeps a signature over another kind of file
 * (a trust list) from being taken for one over a sealed file. */
#define PHIAL_SEALED_TRUSTED_COMMENT "phial sealed file v1"

/* In front of the value: "phial ", the header's hash in hexadecimal, LF. */
#define PHIAL_SEALED_BINDING_BYTES 71

/* A file that was parsed: its parts lie in the caller's bytes. */
struct phial_sealed {
	struct phial_sealed_header header;
	struct phial_span header_bytes;
	struct phial_span body;	       /* armored age file, its last LF included */
	struct phial_span signed_part; /* header and body */
	struct phial_span signature;   /* four lines */
	bool may_open;		       /* verified, or accepted unsigned */
	struct phial_named_recipient recipients[];
};

/* Write the line that binds a body to header bytes; not NUL-terminated. */
void phial_sealed_format_binding(struct phial_span header_bytes,
				 char ret_line[static PHIAL_SEALED_BINDING_BYTES]);

/*
 * The first half of phial_sealed_open(): parse the body and unwrap its file key. ret_file: freed
 * by the caller with phial_age_file_free(); points into sealed's bytes. ret_key: wiped by the
 * caller. Returns as phial_sealed_open(). Allocates the decoded body.
 */
PHIAL_CHECKED enum phial_status phial_sealed_unwrap(const struct phial_sealed *sealed,
						    const struct phial_identities *identities,
						    struct phial_age_file *ret_file,
						    struct phial_age_key *ret_key,
						    struct phial_error *err);

/*
 * The second half: decrypt and check the binding line. file, key: as phial_sealed_unwrap() gave
 * them. value: as in phial_sealed_open(). Returns PHIAL_OK; PHIAL_TAMPERED; PHIAL_MALFORMED;
 * PHIAL_TOO_LARGE. Allocates nothing.
 */
PHIAL_CHECKED enum phial_status phial_sealed_decrypt(const struct phial_sealed *sealed,
						     const struct phial_age_file *file,
						     const struct phial_age_key *key,
						     struct phial_secret *value,
						     struct phial_error *err);

#define phial_auto_sealed phial_auto(phial_free_sealed_pointer)

/* Free the sealed file that a variable owns. */
static inline void phial_free_sealed_pointer(struct phial_sealed **sealed)
{
	phial_sealed_free(*sealed);
	*sealed = NULL;
}

#endif
