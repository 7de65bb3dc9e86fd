/* SPDX-License-Identifier: ISC */
/*
 * The header of a sealed file: text in, fields out, and back. Each field has one accepted
 * form, so that formatting what was parsed gives the same bytes (docs/sealed-format.md).
 */
#ifndef PHIAL_SEALED_HEADER_H
#define PHIAL_SEALED_HEADER_H

#include <stddef.h>

#include <phial/sealed.h>

#include "base/parse.h"
#include "base/text.h"

#define PHIAL_SEALED_FIRST_LINE "phial v1\n"

/* Lines of a header that are not recipients: the first line and seven fields. */
#define PHIAL_SEALED_OTHER_LINES 8

/*
 * Check every field that a writer gives (the signer, a mere claim, is not looked at). header:
 * the fields and their recipients. Returns PHIAL_OK; PHIAL_BAD_NAME; PHIAL_USAGE for a field
 * out of range or a recipient given twice; PHIAL_TOO_LARGE for too many recipients. Neither
 * allocates nor blocks.
 */
PHIAL_CHECKED enum phial_status phial_sealed_header_check(const struct phial_sealed_header *header,
							  struct phial_error *err);

/*
 * Append a checked header in its canonical form. text: its has_failed says whether it fitted
 * and memory sufficed.
 */
void phial_sealed_header_format(const struct phial_sealed_header *header, struct phial_text *text);

/*
 * Parse a header strictly. bytes: from "phial v1" to the last header line's LF, at most
 * PHIAL_SEALED_HEADER_MAX_BYTES. recipients, capacity: where recipient lines go; ret_header
 * points there. Returns PHIAL_OK; PHIAL_MALFORMED, PHIAL_BAD_NAME or PHIAL_TOO_LARGE with the
 * line number. Neither allocates nor blocks. ret_header and recipients are undefined on failure.
 */
PHIAL_CHECKED enum phial_status phial_sealed_header_parse(struct phial_span bytes,
							  struct phial_named_recipient *recipients,
							  size_t capacity,
							  struct phial_sealed_header *ret_header,
							  struct phial_error *err);

#endif
