/* SPDX-License-Identifier: ISC */
/* The runtime's state JSON: what is accepted keeps what the header promises of each field. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct phial_oci_state state;

	if (phial_oci_state_parse(bytes, length, &state, NULL) != PHIAL_OK) {
		return 0;
	}
	if (state.pid < 2 || state.pid > 1 << 22 || state.id[0] == '\0' || strchr(state.id, '/') ||
	    state.id[0] == '.' || state.bundle[0] != '/' || strstr(state.bundle, "/../") ||
	    strchr(state.bundle, '\n') || strncmp(state.status, "creat", 5) != 0) {
		abort();
	}
	return 0;
}
