/* SPDX-License-Identifier: ISC */
/*
 * Trust files and pins: the first byte says which ('r', 's', else pins). A list that is accepted is
 * written again byte for byte.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/trust.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void read_list(enum phial_trust_kind kind, const uint8_t *bytes, size_t length)
{
	struct phial_trust_list list = { 0 };
	char *again = NULL;
	size_t again_length = 0;

	if (phial_trust_list_parse(kind, bytes, length, &list, NULL) != PHIAL_OK) {
		return;
	}
	if (phial_trust_list_format(kind, &list, &again, &again_length, NULL) != PHIAL_OK ||
	    again_length != length || memcmp(again, bytes, length) != 0) {
		abort();
	}
	free(again);
	phial_trust_list_free(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct phial_pins pins;
	struct phial_error err;

	if (length == 0) {
		return 0;
	}
	if (bytes[0] == 'r') {
		read_list(PHIAL_TRUST_RECIPIENTS, bytes + 1, length - 1);
	} else if (bytes[0] == 's') {
		read_list(PHIAL_TRUST_SIGNERS, bytes + 1, length - 1);
	} else if (phial_pins_parse((const char *)bytes + 1, length - 1, &pins, &err) == PHIAL_OK &&
		   (pins.count == 0 || pins.count > PHIAL_PINS_MAX)) {
		abort();
	}
	return 0;
}
