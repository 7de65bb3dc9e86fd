/* SPDX-License-Identifier: ISC */
/*
 * A bundle's config.json, and the grant and gates over it; or, if it begins with a digit or space,
 * an id map.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci/config.h"
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void require(bool is_true)
{
	if (!is_true) {
		abort();
	}
}

static void read_map(const uint8_t *bytes, size_t length)
{
	struct phial_id_map map;
	uint32_t outside = 0;

	if (phial_id_map_parse((const char *)bytes, length, &map, NULL) != PHIAL_OK) {
		return;
	}
	for (size_t i = 0; i < map.count; i++) {
		uint32_t last = map.ranges[i].inside + (map.ranges[i].count - 1);

		require(phial_id_map_outside(&map, last, &outside) && outside != UINT32_MAX);
	}
	require(!phial_id_map_outside(&map, UINT32_MAX, &outside));
}

static void read_grant(const struct phial_oci_config *config)
{
	char workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	const char *destination = NULL;

	if (phial_grant_find(config, "/run/phial/workload", NULL, workload, &destination, NULL) !=
	    PHIAL_OK) {
		return;
	}
	require(destination && destination[0] == '/' && !strstr(destination, "/../") &&
		!strstr(destination, "//"));
	require(phial_name_check(workload, NULL) == PHIAL_OK && !strchr(workload, '/'));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	phial_auto_oci_config struct phial_oci_config config = { 0 };
	phial_auto_text struct phial_text reasons = { .max = 8192 };

	if (length > 0 && ((bytes[0] >= '0' && bytes[0] <= '9') || bytes[0] == ' ')) {
		read_map(bytes, length);
		return 0;
	}
	if (phial_oci_config_parse(bytes, length, &config, NULL) != PHIAL_OK) {
		return 0;
	}
	unsigned int failed = phial_gates_failed(0x3ff, &config, &reasons);

	require((failed == 0) == (reasons.length == 0));
	require(!reasons.has_failed);
	require(!config.mount_label || !strpbrk(config.mount_label, " \"\\/\n"));
	read_grant(&config);
	return 0;
}
