/* SPDX-License-Identifier: ISC */
/* A line of the audit log: what is accepted is written again as the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "audit/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct phial_span input = { (const char *)bytes, length };
	struct phial_audit_line line = { 0 };
	phial_auto_text struct phial_text again = { .max = PHIAL_AUDIT_LINE_MAX_BYTES };

	if (phial_audit_line_parse(input, &line, NULL) != PHIAL_OK) {
		return 0;
	}
	if (phial_audit_line_format(&line, &again, NULL) != PHIAL_OK ||
	    again.length != length + 1 || memcmp(again.bytes, bytes, length) != 0 ||
	    memchr(bytes, '\n', length)) {
		abort();
	}
	phial_audit_line_free(&line);
	return 0;
}
