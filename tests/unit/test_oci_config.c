/* SPDX-License-Identifier: ISC */
/*
 * A bundle's config.json as facts, and id maps. Attacks H-04 (root.path, mounts) and S-09 (huge
 * numbers, wrong types).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linux/capability.h>

#include "base/capability.h"
#include "base/text.h"
#include "oci/config.h"
#include "oci/path.h"
#include "oci/privilege.h"

static enum phial_status parse(const char *text, struct phial_oci_config *ret,
			       struct phial_error *err)
{
	return phial_oci_config_parse((const uint8_t *)text, strlen(text), ret, err);
}

static void reads_a_whole_config(void **state)
{
	static const char text[] =
		"{\"ociVersion\":\"1.0.2\",\"hostname\":\"h\",\"root\":{\"path\":\"rootfs\","
		"\"readonly\":true},\"process\":{\"user\":{\"uid\":1000,\"gid\":1001},"
		"\"noNewPrivileges\":true,\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\","
		"\"hard\":18446744073709551615,\"soft\":18446744073709551615}],"
		"\"capabilities\":{\"bounding\":[\"CAP_KILL\"]}},"
		"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
		"{\"destination\":\"run//./secrets/\",\"source\":\"/run/phial/workload/web\","
		"\"options\":[\"rbind\",\"rw\",\"ro\"]},"
		"{\"destination\":\"/x/../../y\",\"type\":\"bind\",\"source\":\"/y\"}],"
		"\"linux\":{\"mountLabel\":\"system_u:object_r:container_file_t:s0:c1,c2\","
		"\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\","
		"\"path\":\"/run/netns/a\"},{\"type\":\"user\",\"path\":\"\"},{\"type\":\"mount\"},"
		"{\"type\":\"cgroup\"}],"
		"\"resources\":{\"memory\":{\"limit\":67108864},\"pids\":{\"limit\":64},"
		"\"devices\":[{\"allow\":false,\"access\":\"rwm\"},{\"allow\":true,\"type\":\"c\","
		"\"major\":1,\"minor\":3,\"access\":\"rwm\"}]},"
		"\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\"}}}";
	phial_auto_oci_config struct phial_oci_config config = { 0 };

	(void)state;
	assert_int_equal(parse(text, &config, NULL), PHIAL_OK);
	assert_string_equal(config.root_path, "rootfs");
	assert_true(config.root_is_read_only);
	assert_int_equal(config.user_uid, 1000);
	assert_int_equal(config.user_gid, 1001);
	assert_true(config.no_new_privileges);
	assert_true(config.has_seccomp);
	assert_false(config.has_sys_admin);
	assert_false(config.has_privileged_capability);
	assert_false(config.has_all_devices);
	assert_int_equal(config.pid_namespace, PHIAL_OCI_NS_NEW);
	assert_int_equal(config.network_namespace, PHIAL_OCI_NS_JOINED);
	assert_int_equal(config.user_namespace, PHIAL_OCI_NS_NEW);
	assert_int_equal(config.mount_namespace, PHIAL_OCI_NS_NEW);
	assert_int_equal(config.memory_limit_bytes, 67108864);
	assert_int_equal(config.pids_limit, 64);
	assert_string_equal(config.mount_label, "system_u:object_r:container_file_t:s0:c1,c2");
	assert_string_equal(config.hostname, "h");
	assert_int_equal(config.mount_count, 3);
	assert_false(config.mounts[0].is_bind);
	assert_string_equal(config.mounts[1].destination, "/run/secrets");
	assert_string_equal(config.mounts[1].source, "/run/phial/workload/web");
	assert_true(config.mounts[1].is_bind);
	assert_true(config.mounts[1].is_read_only);
	assert_string_equal(config.mounts[2].destination, "/y");
	assert_true(config.mounts[2].is_bind);
	assert_false(config.mounts[2].is_read_only);
}

static void missing_parts_grant_nothing(void **state)
{
	phial_auto_oci_config struct phial_oci_config config = { 0 };

	(void)state;
	assert_int_equal(parse("{\"root\":{\"path\":\"r\"},\"process\":null,\"linux\":null,"
			       "\"mounts\":null}",
			       &config, NULL),
			 PHIAL_OK);
	assert_int_equal(config.user_uid, 0);
	assert_false(config.no_new_privileges);
	assert_false(config.root_is_read_only);
	assert_false(config.has_seccomp);
	assert_int_equal(config.pid_namespace, PHIAL_OCI_NS_HOST);
	assert_int_equal(config.memory_limit_bytes, 0);
	assert_int_equal(config.pids_limit, 0);
	assert_int_equal(config.mount_count, 0);
	assert_null(config.mount_label);
}

/* One fact of a config whose "linux" or "process" holds a text. */
static void check_fact(const char *part, const char *text, size_t offset, int64_t expected)
{
	phial_auto_oci_config struct phial_oci_config config = { 0 };
	char whole[2048];
	int64_t found = 0;

	(void)snprintf(whole, sizeof(whole), "{\"root\":{\"path\":\"r\"},\"%s\":{%s}}", part, text);
	assert_int_equal(parse(whole, &config, NULL), PHIAL_OK);
	if (offset == offsetof(struct phial_oci_config, memory_limit_bytes) ||
	    offset == offsetof(struct phial_oci_config, pids_limit)) {
		memcpy(&found, (const char *)&config + offset, sizeof(found));
	} else if (offset == offsetof(struct phial_oci_config, pid_namespace) ||
		   offset == offsetof(struct phial_oci_config, network_namespace)) {
		enum phial_oci_namespace space;

		memcpy(&space, (const char *)&config + offset, sizeof(space));
		found = (int64_t)space;
	} else {
		bool flag;

		memcpy(&flag, (const char *)&config + offset, sizeof(flag));
		found = flag;
	}
	if (found != expected) {
		fail_msg("%s: %ld, not %ld", whole, (long)found, (long)expected);
	}
}

#define FACT(name) offsetof(struct phial_oci_config, name)

static void S09_facts_err_on_the_safe_side(void **state)
{
	static const struct {
		const char *part;
		const char *text;
		size_t offset;
		int64_t expected;
	} cases[] = {
		{ "linux", "\"resources\":{\"memory\":{\"limit\":-1}}", FACT(memory_limit_bytes),
		  0 },
		{ "linux", "\"resources\":{\"memory\":{\"limit\":18446744073709551615}}",
		  FACT(memory_limit_bytes), 0 },
		{ "linux", "\"resources\":{\"memory\":{\"limit\":9223372036854771712}}",
		  FACT(memory_limit_bytes), 0 },
		{ "linux", "\"resources\":{\"memory\":{\"limit\":1e300}}", FACT(memory_limit_bytes),
		  0 },
		{ "linux", "\"resources\":{\"memory\":{\"limit\":null}}", FACT(memory_limit_bytes),
		  0 },
		{ "linux", "\"resources\":{\"pids\":{\"limit\":0}}", FACT(pids_limit), 0 },
		{ "linux", "\"resources\":{\"pids\":{\"limit\":1}}", FACT(pids_limit), 1 },
		{ "process", "\"capabilities\":{\"ambient\":[\"CAP_SYS_ADMIN\"]}",
		  FACT(has_sys_admin), 1 },
		{ "process", "\"capabilities\":{\"bounding\":[\"CAP_SYS_PTRACE\"]}",
		  FACT(has_sys_admin), 0 },
		{ "process", "\"capabilities\":{\"bounding\":[\"CAP_SYS_PTRACE\"]}",
		  FACT(has_privileged_capability), 1 },
		{ "process", "\"capabilities\":{\"bounding\":[\"CAP_CHOWN\"]}",
		  FACT(has_privileged_capability), 0 },
		{ "process", "\"capabilities\":{\"bounding\":[\"cap_sys_admin\"]}",
		  FACT(has_privileged_capability), 1 },
		{ "process", "\"capabilities\":{\"bounding\":[\"21\"]}",
		  FACT(has_privileged_capability), 1 },
		{ "linux", "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\"}", FACT(has_seccomp),
		  0 },
		{ "linux", "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{}]}",
		  FACT(has_seccomp), 1 },
		{ "linux", "\"seccomp\":{}", FACT(has_seccomp), 0 },
		{ "linux", "\"resources\":{\"devices\":[{\"allow\":true,\"access\":\"rwm\"}]}",
		  FACT(has_all_devices), 1 },
		{ "linux",
		  "\"resources\":{\"devices\":[{\"allow\":false},{\"allow\":true,"
		  "\"type\":\"a\",\"major\":-1,\"minor\":-1}]}",
		  FACT(has_all_devices), 1 },
		{ "linux", "\"resources\":{\"devices\":[{\"allow\":true,\"type\":\"b\"}]}",
		  FACT(has_all_devices), 1 },
		{ "linux", "\"resources\":{\"devices\":[{\"allow\":true},{\"allow\":false}]}",
		  FACT(has_all_devices), 0 },
		{ "linux",
		  "\"resources\":{\"devices\":[{\"allow\":true,\"type\":\"c\",\"major\":136}]}",
		  FACT(has_all_devices), 0 },
		{ "linux", "\"namespaces\":[{\"type\":\"pid\",\"path\":\"/proc/1/ns/pid\"}]",
		  FACT(pid_namespace), PHIAL_OCI_NS_HOST },
		{ "linux", "\"namespaces\":[{\"type\":\"pid\",\"path\":\"/proc/77/ns/pid\"}]",
		  FACT(pid_namespace), PHIAL_OCI_NS_JOINED },
		{ "linux", "\"namespaces\":[{\"type\":\"network\",\"path\":\"/proc/self/ns/net\"}]",
		  FACT(network_namespace), PHIAL_OCI_NS_HOST },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		check_fact(cases[i].part, cases[i].text, cases[i].offset, cases[i].expected);
	}
}

static void H04_refuses_wrong_types_and_paths(void **state)
{
	static const struct {
		const char *text;
		const char *key;
	} cases[] = {
		{ "[]", "object" },
		{ "{}", "root.path" },
		{ "{\"root\":[]}", "root.path" },
		{ "{\"root\":{\"path\":\"\"}}", "root.path" },
		{ "{\"root\":{\"path\":\"..\"}}", "root.path" },
		{ "{\"root\":{\"path\":\"/a/../b\"}}", "root.path" },
		{ "{\"root\":{\"path\":7}}", "root.path" },
		{ "{\"root\":{\"path\":\"r\",\"readonly\":\"true\"}}", "root.readonly" },
		{ "{\"root\":{\"path\":\"r\"},\"process\":[]}", "process" },
		{ "{\"root\":{\"path\":\"r\"},\"process\":{\"user\":{\"uid\":-1}}}",
		  "process.user" },
		{ "{\"root\":{\"path\":\"r\"},\"process\":{\"user\":{\"uid\":4294967295}}}",
		  "process.user" },
		{ "{\"root\":{\"path\":\"r\"},\"process\":{\"user\":{\"gid\":18446744073709551615}}}",
		  "process.user" },
		{ "{\"root\":{\"path\":\"r\"},\"process\":{\"user\":{\"uid\":\"0\"}}}",
		  "process.user" },
		{ "{\"root\":{\"path\":\"r\"},\"process\":{\"noNewPrivileges\":1}}",
		  "process.noNewPrivileges" },
		{ "{\"root\":{\"path\":\"r\"},\"mounts\":{}}", "mounts" },
		{ "{\"root\":{\"path\":\"r\"},\"mounts\":[7]}", "mounts[0]" },
		{ "{\"root\":{\"path\":\"r\"},\"mounts\":[{\"source\":\"/\"}]}", "mounts[0]" },
		{ "{\"root\":{\"path\":\"r\"},\"mounts\":[{\"destination\":\"/a\",\"options\":[1]}]}",
		  "mounts[0]" },
		{ "{\"root\":{\"path\":\"r\"},\"linux\":{\"namespaces\":[{}]}}",
		  "linux.namespaces" },
		{ "{\"root\":{\"path\":\"r\"},\"linux\":{\"namespaces\":[{\"type\":\"pid\"},"
		  "{\"type\":\"pid\",\"path\":\"/x\"}]}}",
		  "linux.namespaces" },
		{ "{\"root\":{\"path\":\"r\"},\"linux\":{\"mountLabel\":\"a:b:c,rw\"}}",
		  "linux.mountLabel" },
		{ "{\"root\":{\"path\":\"r\"},\"linux\":{\"mountLabel\":\"a:b\"}}",
		  "linux.mountLabel" },
		{ "{\"root\":{\"path\":\"r\"},\"linux\":{\"mountLabel\":\"a:b:c:\\\"s0\"}}",
		  "linux.mountLabel" },
		{ "{\"root\":{\"path\":\"r\"},\"linux\":{\"mountLabel\":\"a:b:c:\"}}",
		  "linux.mountLabel" },
		{ "{\"root\":{\"path\":\"r\"},\"linux\":{\"resources\":{\"memory\":{\"limit\":"
		  "\"1\"}}}}",
		  "linux.resources.memory" },
		{ "{\"root\":{\"path\":\"r\"},\"linux\":{\"resources\":{\"devices\":[1]}}}",
		  "linux.resources.devices" },
		{ "{\"root\":{\"path\":\"r\"},\"linux\":{\"seccomp\":[]}}", "linux.seccomp" },
		{ "{\"root\":{\"path\":\"r\"},\"root\":{\"path\":\"q\"}}", "same key" },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_oci_config config = { 0 };
		struct phial_error err = { 0 };

		assert_int_equal(parse(cases[i].text, &config, &err), PHIAL_MALFORMED);
		if (!strstr(err.text, cases[i].key)) {
			fail_msg("%s: %s", cases[i].text, err.text);
		}
		assert_null(config.document);
	}
}

static void S09_has_limits(void **state)
{
	phial_auto_text struct phial_text text = { .max = PHIAL_OCI_CONFIG_MAX_BYTES };
	phial_auto_oci_config struct phial_oci_config config = { 0 };
	phial_auto_free uint8_t *large = calloc(1, PHIAL_OCI_CONFIG_MAX_BYTES + 1);

	(void)state;
	phial_text_add(&text, "{\"root\":{\"path\":\"r\"},\"mounts\":[{\"destination\":\"/\"}");
	for (size_t i = 0; i < PHIAL_OCI_MOUNTS_MAX; i++) {
		phial_text_add(&text, ",{\"destination\":\"/\"}");
	}
	phial_text_add(&text, "]}");
	assert_false(text.has_failed);
	assert_int_equal(parse(text.bytes, &config, NULL), PHIAL_TOO_LARGE);
	assert_non_null(large);
	assert_int_equal(phial_oci_config_parse(large, PHIAL_OCI_CONFIG_MAX_BYTES + 1, &config,
						NULL),
			 PHIAL_TOO_LARGE);
}

static void cleans_paths(void **state)
{
	static const struct {
		const char *text;
		const char *plain;
	} cases[] = {
		{ "", "/" },
		{ "/", "/" },
		{ "///", "/" },
		{ "a", "/a" },
		{ "/a/", "/a" },
		{ "/a//b/./c", "/a/b/c" },
		{ "/a/../b", "/b" },
		{ "/..", "/" },
		{ "/../../a/..", "/" },
		{ "/a/b/../..", "/" },
		{ "/.a/..b", "/.a/..b" },
		{ "/a/b/..", "/a" },
		{ "..a/...", "/..a/..." },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		char plain[64];
		size_t written = phial_oci_path_clean(cases[i].text, plain);

		assert_string_equal(plain, cases[i].plain);
		assert_int_equal(written, strlen(cases[i].plain) + 1);
		assert_true(written <= strlen(cases[i].text) + 2);
	}
}

static void maps_ids(void **state)
{
	static const char text[] = "         0       1000          1\n"
				   "         1     100000      65536\n";
	struct phial_id_map map;
	uint32_t outside = 7;

	(void)state;
	assert_int_equal(phial_id_map_parse(text, strlen(text), &map, NULL), PHIAL_OK);
	assert_int_equal(map.count, 2);
	assert_true(phial_id_map_outside(&map, 0, &outside));
	assert_int_equal(outside, 1000);
	assert_true(phial_id_map_outside(&map, 65536, &outside));
	assert_int_equal(outside, 165535);
	outside = 7;
	assert_false(phial_id_map_outside(&map, 65537, &outside));
	assert_false(phial_id_map_outside(&map, UINT32_MAX, &outside));
	assert_int_equal(outside, 7);
	assert_int_equal(phial_id_map_parse("0 0 4294967295\n", 15, &map, NULL), PHIAL_OK);
	assert_true(phial_id_map_outside(&map, UINT32_MAX - 1, &outside));
	assert_int_equal(outside, UINT32_MAX - 1);
	assert_false(phial_id_map_outside(&map, UINT32_MAX, &outside));
	assert_int_equal(phial_id_map_parse("", 0, &map, NULL), PHIAL_OK);
	assert_false(phial_id_map_outside(&map, 0, &outside));
}

/* What a reader sees in whose user namespace some of the ids do not exist. */
static void passes_over_ids_that_do_not_exist_here(void **state)
{
	static const char text[] = "0 1 1000\n1000 0 1\n1001 4294967295 64536\n";
	struct phial_id_map map;
	uint32_t outside = 7;

	(void)state;
	assert_int_equal(phial_id_map_parse(text, strlen(text), &map, NULL), PHIAL_OK);
	assert_int_equal(map.count, 2);
	assert_true(phial_id_map_outside(&map, 1000, &outside));
	assert_int_equal(outside, 0);
	assert_false(phial_id_map_outside(&map, 1001, &outside));
}

static void refuses_bad_maps(void **state)
{
	static const char *const cases[] = {
		"0 0 1",     "0 0\n",	 "0 0 1 2\n",	     "\n",
		"0 0 0\n",   "-1 0 1\n", "1 0 4294967295\n", "0 0 4294967296\n",
		"0 0 1\n\n", "a 0 1\n",	 "00 0 1\n",
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_id_map map;

		if (phial_id_map_parse(cases[i], strlen(cases[i]), &map, NULL) != PHIAL_MALFORMED) {
			fail_msg("accepted: %s", cases[i]);
		}
	}
	phial_auto_text struct phial_text text = { .max = 65536 };
	struct phial_id_map map;

	for (unsigned int i = 0; i < 340; i++) {
		phial_text_add(&text, "%u %u 1\n", i, i);
	}
	assert_int_equal(phial_id_map_parse(text.bytes, text.length, &map, NULL), PHIAL_OK);
	phial_text_add(&text, "340 340 1\n");
	assert_int_equal(phial_id_map_parse(text.bytes, text.length, &map, NULL), PHIAL_MALFORMED);
}

/* The gate asks by name for what a config has, and by bits for what a process has. */
static void privileges_have_a_name_and_a_bit(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		unsigned int number;
		bool is_privileged;
	} cases[] = {
		{ "CAP_SYS_ADMIN", CAP_SYS_ADMIN, true },
		{ "CAP_SYS_PTRACE", CAP_SYS_PTRACE, true },
		{ "CAP_CHECKPOINT_RESTORE", CAP_CHECKPOINT_RESTORE, true },
		{ "CAP_NET_RAW", CAP_NET_RAW, false },
		{ "CAP_DAC_OVERRIDE", CAP_DAC_OVERRIDE, false },
	};

	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		uint64_t bit = PHIAL_CAPABILITY(cases[i].number);

		assert_int_equal(phial_capability_is_privileged(cases[i].name),
				 cases[i].is_privileged);
		assert_int_equal(phial_capabilities_are_privileged(bit), cases[i].is_privileged);
	}
	assert_true(phial_capability_is_privileged("CAP_SYS_ADMIN "));
	assert_false(phial_capabilities_are_privileged(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(privileges_have_a_name_and_a_bit),
		cmocka_unit_test(reads_a_whole_config),
		cmocka_unit_test(missing_parts_grant_nothing),
		cmocka_unit_test(S09_facts_err_on_the_safe_side),
		cmocka_unit_test(H04_refuses_wrong_types_and_paths),
		cmocka_unit_test(S09_has_limits),
		cmocka_unit_test(cleans_paths),
		cmocka_unit_test(maps_ids),
		cmocka_unit_test(passes_over_ids_that_do_not_exist_here),
		cmocka_unit_test(refuses_bad_maps),
	};

	return cmocka_run_group_tests_name("oci_config", tests, NULL, NULL);
}
