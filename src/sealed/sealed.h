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

#define phial_auto_sealed phial_auto(phial_free_sealed_pointer)

/* Free the sealed file that a variable owns. */
static inline void phial_free_sealed_pointer(struct phial_sealed **sealed)
{
	phial_sealed_free(*sealed);
	*sealed = NULL;
}

#endif
