/* SPDX-License-Identifier: ISC */
/*
 * The runtime's state JSON: real ones of runc, crun and Podman, and hostile ones. Attacks H-01
 * (pid), H-02 (JSON) and H-03 (id, bundle).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "oci/state.h"

static enum phial_status parse(const char *text, struct phial_oci_state *ret,
			       struct phial_error *err)
{
	return phial_oci_state_parse((const uint8_t *)text, strlen(text), ret, err);
}

static void reads_what_runtimes_send(void **state)
{
	static const struct {
		const char *text;
		const char *id;
		pid_t pid;
		const char *status;
		const char *bundle;
	} cases[] = {
		{ "{\"ociVersion\":\"1.0.2-dev\",\"id\":\"hp-runc\",\"status\":\"creating\","
		  "\"pid\":10134,\"bundle\":\"/srv/bundle\",\"annotations\":{\"io.test/with-slash\":"
		  "\"v\xc3\xa9\\\"q\",\"org.example.secret\":\"db-pass\"}}",
		  "hp-runc", 10134, "creating", "/srv/bundle" },
		{ "{\"ociVersion\":\"1.0\",\"id\":\"hp-crun\",\"pid\":10149,\"root\":\"rootfs\","
		  "\"bundle\":\"/srv/bundle\",\"status\":\"created\",\"annotations\":{}}",
		  "hp-crun", 10149, "created", "/srv/bundle" },
		{ "{\"id\":\"a\",\"pid\":4194304,\"bundle\":\"/\",\"status\":\"created\"}\n", "a",
		  4194304, "created", "/" },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_oci_state found;

		assert_int_equal(parse(cases[i].text, &found, NULL), PHIAL_OK);
		assert_string_equal(found.id, cases[i].id);
		assert_int_equal(found.pid, cases[i].pid);
		assert_string_equal(found.status, cases[i].status);
		assert_string_equal(found.bundle, cases[i].bundle);
	}
}

struct member_case {
	const char *value; /* JSON text, or NULL: the member is missing */
	enum phial_status status;
};

/* A good state with one member replaced. */
static void check_member(const char *key, const struct member_case *cases, size_t count)
{
	static const char *const keys[] = { "id", "pid", "status", "bundle" };
	static const char *const good[] = { "\"x\"", "77", "\"created\"", "\"/b\"" };

	for (size_t i = 0; i < count; i++) {
		struct phial_oci_state found;
		struct phial_error err = { 0 };
		char text[8192];
		size_t length = 1;

		text[0] = '{';
		for (size_t k = 0; k < PHIAL_COUNT(keys); k++) {
			bool is_it = strcmp(keys[k], key) == 0;
			const char *value = is_it ? cases[i].value : good[k];

			if (value) {
				length += (size_t)snprintf(text + length, sizeof(text) - length,
							   "%s\"%s\":%s", length > 1 ? "," : "",
							   keys[k], value);
			}
		}
		text[length++] = '}';
		text[length] = '\0';
		enum phial_status status = parse(text, &found, &err);

		if (status != cases[i].status) {
			fail_msg("%s: status %d, %s", text, status, err.text);
		}
		if (status == PHIAL_MALFORMED) {
			assert_non_null(strstr(err.text, key));
		}
	}
}

static void H01_pids(void **state)
{
	static const struct member_case cases[] = {
		{ NULL, PHIAL_REFUSED },
		{ "0", PHIAL_REFUSED },
		{ "1", PHIAL_REFUSED },
		{ "2", PHIAL_OK },
		{ "-1", PHIAL_MALFORMED },
		{ "4194305", PHIAL_MALFORMED },
		{ "2147483648", PHIAL_MALFORMED },
		{ "4294967298", PHIAL_MALFORMED },
		{ "1.5", PHIAL_MALFORMED },
		{ "1e2", PHIAL_MALFORMED },
		{ "\"77\"", PHIAL_MALFORMED },
		{ "null", PHIAL_MALFORMED },
		{ "18446744073709551615", PHIAL_MALFORMED },
		{ "18446744073709551693", PHIAL_MALFORMED }, /* 77 modulo 2^64 */
	};

	(void)state;
	check_member("pid", cases, PHIAL_COUNT(cases));
}

static void H02_stages(void **state)
{
	static const struct member_case cases[] = {
		{ NULL, PHIAL_MALFORMED },	   { "\"creating\"", PHIAL_OK },
		{ "\"starting\"", PHIAL_REFUSED }, { "\"running\"", PHIAL_REFUSED },
		{ "\"stopped\"", PHIAL_REFUSED },  { "\"Created\"", PHIAL_MALFORMED },
		{ "\"\"", PHIAL_MALFORMED },	   { "\"createdcreatedcreated\"", PHIAL_MALFORMED },
		{ "7", PHIAL_MALFORMED },
	};

	(void)state;
	check_member("status", cases, PHIAL_COUNT(cases));
}

static void H03_ids(void **state)
{
	static const struct member_case cases[] = {
		{ NULL, PHIAL_MALFORMED },
		{ "\"a.b_c-D9\"", PHIAL_OK },
		{ "\"\"", PHIAL_MALFORMED },
		{ "\"..\"", PHIAL_MALFORMED },
		{ "\"-a\"", PHIAL_MALFORMED },
		{ "\"a/b\"", PHIAL_MALFORMED },
		{ "\"a\\nb\"", PHIAL_MALFORMED },
		{ "\"a\\u001b[31m\"", PHIAL_MALFORMED },
		{ "\"\xc3\xa9\"", PHIAL_MALFORMED },
		{ "[\"a\"]", PHIAL_MALFORMED },
		/* 128 bytes, and 129 */
		{ "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
		  PHIAL_OK },
		{ "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
		  PHIAL_MALFORMED },
	};

	(void)state;
	check_member("id", cases, PHIAL_COUNT(cases));
}

static void H03_bundles(void **state)
{
	static const struct member_case cases[] = {
		{ NULL, PHIAL_MALFORMED },
		{ "\"\"", PHIAL_MALFORMED },
		{ "\"b\"", PHIAL_MALFORMED },
		{ "\"/a/../b\"", PHIAL_MALFORMED },
		{ "\"/..\"", PHIAL_MALFORMED },
		{ "\"/./b\"", PHIAL_MALFORMED },
		{ "\"/a/.\"", PHIAL_MALFORMED },
		{ "\"/a\\nb\"", PHIAL_MALFORMED },
		{ "\"/a\\u007f\"", PHIAL_MALFORMED },
		{ "\"/...\"", PHIAL_OK },
		{ "\"/a/..b/.c\"", PHIAL_OK },
		{ "\"/a/\"", PHIAL_OK },
		{ "{}", PHIAL_MALFORMED },
	};

	(void)state;
	check_member("bundle", cases, PHIAL_COUNT(cases));
}

static void H03_a_bundle_of_4096_bytes(void **state)
{
	static char value[PHIAL_OCI_PATH_MAX_BYTES + 4];
	struct member_case one = { value, PHIAL_OK };

	(void)state;
	memset(value, 'a', sizeof(value));
	memcpy(value, "\"/", 2);
	memcpy(value + 1 + PHIAL_OCI_PATH_MAX_BYTES, "\"", 2);
	check_member("bundle", &one, 1);
	memcpy(value + 1 + PHIAL_OCI_PATH_MAX_BYTES, "a\"", 3);
	one.status = PHIAL_MALFORMED;
	check_member("bundle", &one, 1);
}

static void H02_documents(void **state)
{
	static const char *const cases[] = {
		"",
		"{",
		"[]",
		"null",
		"\"x\"",
		"{\"id\":\"x\",\"pid\":77,\"status\":\"created\",\"bundle\":\"/b\"} x",
		"{\"id\":\"x\",\"pid\":77,\"status\":\"created\",\"bundle\":\"/b\"",
		"{\"id\":\"x\",\"pid\":77,\"pid\":1,\"status\":\"created\",\"bundle\":\"/b\"}",
		"{\"id\":\"x\",\"pid\":77,\"\\u0070id\":1,\"status\":\"created\",\"bundle\":\"/b\"}",
		"{\"ID\":\"x\",\"pid\":77,\"status\":\"created\",\"bundle\":\"/b\"}",
		"{\"id\":\"x\",\"pid\":77,\"status\":\"created\",\"bundle\":\"/b\\u0000c\"}",
		"{\"id\":\"x\",\"pid\":77,\"status\":\"created\",\"bundle\":\"/b\xff\"}",
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_oci_state found;

		struct phial_error err = { 0 };

		if (parse(cases[i], &found, &err) != PHIAL_MALFORMED) {
			fail_msg("%s: %s", cases[i], err.text);
		}
	}
}

static void H02_a_huge_document(void **state)
{
	struct phial_oci_state found;
	phial_auto_free char *text = malloc(PHIAL_OCI_STATE_MAX_BYTES + 1);

	(void)state;
	assert_non_null(text);
	memset(text, ' ', PHIAL_OCI_STATE_MAX_BYTES + 1);
	static const char good[] =
		"{\"id\":\"x\",\"pid\":77,\"status\":\"created\",\"bundle\":\"/b\"}";

	memcpy(text, good, sizeof(good) - 1);
	assert_int_equal(phial_oci_state_parse((uint8_t *)text, PHIAL_OCI_STATE_MAX_BYTES, &found,
					       NULL),
			 PHIAL_OK);
	assert_int_equal(phial_oci_state_parse((uint8_t *)text, PHIAL_OCI_STATE_MAX_BYTES + 1,
					       &found, NULL),
			 PHIAL_MALFORMED);
}

/* What phial-runtime sends: the same grammar. */
static void H03_made_states(void **state)
{
	static const struct {
		pid_t pid;
		const char *id;
		const char *bundle;
		enum phial_status status;
	} cases[] = {
		{ 2, "web-1", "/run/b", PHIAL_OK },
		{ 1, "web-1", "/run/b", PHIAL_MALFORMED },
		{ (1 << 22) + 1, "web-1", "/run/b", PHIAL_MALFORMED },
		{ 2, "", "/run/b", PHIAL_MALFORMED },
		{ 2, "../web", "/run/b", PHIAL_MALFORMED },
		{ 2, "web\n", "/run/b", PHIAL_MALFORMED },
		{ 2, "web", "run/b", PHIAL_MALFORMED },
		{ 2, "web", "/run/../b", PHIAL_MALFORMED },
		{ 2, "web", "/run/\nb", PHIAL_MALFORMED },
	};
	struct phial_oci_state made;

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		if (phial_oci_state_make(cases[i].pid, cases[i].id, cases[i].bundle, &made, NULL) !=
		    cases[i].status) {
			fail_msg("case %zu", i);
		}
	}
	assert_int_equal(phial_oci_state_make(cases[0].pid, cases[0].id, cases[0].bundle, &made,
					      NULL),
			 PHIAL_OK);
	assert_int_equal(made.pid, 2);
	assert_string_equal(made.id, "web-1");
	assert_string_equal(made.bundle, "/run/b");
	assert_string_equal(made.status, "created");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_runtimes_send),
		cmocka_unit_test(H01_pids),
		cmocka_unit_test(H02_stages),
		cmocka_unit_test(H03_ids),
		cmocka_unit_test(H03_bundles),
		cmocka_unit_test(H03_a_bundle_of_4096_bytes),
		cmocka_unit_test(H02_documents),
		cmocka_unit_test(H02_a_huge_document),
		cmocka_unit_test(H03_made_states),
	};

	return cmocka_run_group_tests_name("oci_state", tests, NULL, NULL);
}
