/* SPDX-License-Identifier: ISC */
/*
 * Who gets what: the files of a workload, the grant in a config, the gates. Attacks I-12 (what an
 * image says grants nothing), C-09 (names of workloads), H-04 (mount sources).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

static const char *const names[] = { "db/root", "shared/tls.key", "shared/web.key", "web-api/token",
				     "web/a",	"web/b",	  "web/sub/deep",   "web2/a" };

/* The policy whose one entry is "w": { secrets }. secrets: "" for none. */
static struct phial_policy make_policy(const char *secrets)
{
	struct phial_policy policy = { 0 };
	struct phial_error err = { 0 };
	char text[1024];

	(void)snprintf(text, sizeof(text),
		       "{\"phial\":\"policy v1\",\"serial\":1,\"workloads\":{\"w\":{%s}}}",
		       secrets);
	if (phial_policy_parse((const uint8_t *)text, strlen(text), &policy, NULL, &err) !=
	    PHIAL_OK) {
		fail_msg("%s: %s", text, err.text);
	}
	return policy;
}

/* "secret>file ..." of a grant, or the status number and text of the refusal. */
static void grant(const struct phial_policy *policy, const char *workload, struct phial_text *out)
{
	phial_auto_free struct phial_grant_file *files = NULL;
	struct phial_error err = { 0 };
	size_t count = 0;
	enum phial_status status = phial_policy_grant(policy, workload, names, PHIAL_COUNT(names),
						      &files, &count, &err);

	if (status != PHIAL_OK) {
		phial_text_add(out, "%d %s", status, err.text);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		phial_text_add(out, "%s%s>%s", i > 0 ? " " : "", files[i].secret, files[i].file);
	}
}

static void the_convention_needs_no_file(void **state)
{
	static const struct {
		const char *workload;
		const char *expected;
	} cases[] = {
		{ "web", "web/a>a web/b>b" },
		{ "web2", "web2/a>a" },
		{ "db", "db/root>root" },
		{ "wbe", "14 no workload \"wbe\", did you mean \"web\"?" },
		{ "nothing", "14 no workload \"nothing\": there is no secret nothing/NAME and no "
			     "entry in policy.json" },
		{ "web/sub", "14 \"web/sub\" cannot name a workload" },
		{ "", "14 \"\" cannot name a workload" },
		{ "..", "14 \"..\" cannot name a workload" },
		{ "*", "14 \"*\" cannot name a workload" },
	};
	struct phial_policy none = { 0 };

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		phial_auto_text struct phial_text found = { .max = 1024 };

		grant(&none, cases[i].workload, &found);
		assert_string_equal(found.bytes, cases[i].expected);
	}
}

static void rules_of_the_policy(void **state)
{
	static const struct {
		const char *secrets;
		const char *expected;
	} cases[] = {
		{ "\"secrets\":[\"web/*\",\"shared/tls.key\"]",
		  "web/a>a web/b>b shared/tls.key>tls.key" },
		{ "\"secrets\":[{\"name\":\"web/a\",\"file\":\"first\"},\"web/*\"]",
		  "web/a>first web/b>b" },
		{ "\"secrets\":[\"w*/a\"]",
		  "16 web/a and web2/a would both be the file \"a\"; give "
		  "one of them another with \"file\" in policy.json" },
		{ "\"secrets\":[{\"name\":\"web2/a\",\"file\":\"other\"},\"web/*\"]",
		  "web2/a>other web/a>a web/b>b" },
		{ "\"secrets\":[\"web/*\",\"web/sub/*\"]", "web/a>a web/b>b web/sub/deep>deep" },
		{ "\"secrets\":[\"shared/*.key\"]",
		  "shared/tls.key>tls.key shared/web.key>web.key" },
		{ "\"secrets\":[\"web/c\"]",
		  "16 the required secret web/c is not there; seal it, or "
		  "set \"required\": false in policy.json" },
		{ "\"secrets\":[{\"name\":\"web/c\",\"required\":false},\"web/b\"]", "web/b>b" },
		{ "\"secrets\":[{\"name\":\"web/c\",\"required\":false}]",
		  "14 workload \"w\": none of its secrets is there" },
		{ "\"secrets\":[\"x/*\"]", "14 workload \"w\": none of its secrets is there" },
		{ "\"over\":true", "14 workload \"w\": none of its secrets is there" },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_policy policy = make_policy(cases[i].secrets);
		phial_auto_text struct phial_text found = { .max = 1024 };

		grant(&policy, "w", &found);
		assert_string_equal(found.bytes, cases[i].expected);
		phial_policy_free(&policy);
	}
}

static void owners_and_modes(void **state)
{
	struct phial_policy policy =
		make_policy("\"owner\":\"5:6\",\"secrets\":[{\"name\":\"web/a\",\"owner\":\"7:8\","
			    "\"mode\":\"0444\",\"required\":false},\"web/b\"]");
	phial_auto_free struct phial_grant_file *files = NULL;
	size_t count;

	(void)state;
	assert_int_equal(phial_policy_grant(&policy, "w", names, PHIAL_COUNT(names), &files, &count,
					    NULL),
			 PHIAL_OK);
	assert_int_equal(count, 2);
	assert_int_equal(files[0].owner_uid, 7);
	assert_int_equal(files[0].owner_gid, 8);
	assert_int_equal(files[0].mode, 0444);
	assert_false(files[0].is_required);
	assert_int_equal(files[1].owner_uid, 5);
	assert_int_equal(files[1].owner_gid, 6);
	assert_int_equal(files[1].mode, PHIAL_MODE_UNSET);
	assert_true(files[1].is_required);
	phial_policy_free(&policy);
}

static void at_most_1024_files(void **state)
{
	static char text[PHIAL_GRANT_FILES_MAX + 1][16];
	static const char *list[PHIAL_GRANT_FILES_MAX + 1];
	struct phial_policy none = { 0 };
	struct phial_grant_file *files = NULL;
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(list); i++) {
		(void)snprintf(text[i], sizeof(text[i]), "w/%05zu", i);
		list[i] = text[i];
	}
	assert_int_equal(phial_policy_grant(&none, "w", list, PHIAL_COUNT(list), &files, &count,
					    NULL),
			 PHIAL_TOO_LARGE);
	assert_null(files);
	assert_int_equal(phial_policy_grant(&none, "w", list, PHIAL_COUNT(list) - 1, &files, &count,
					    NULL),
			 PHIAL_OK);
	assert_int_equal(count, PHIAL_GRANT_FILES_MAX);
	free(files);
}

/* --- grants --------------------------------------------------------------------------- */

#define DIR "/run/phial/workload"
#define BIND(source, destination, options)                                            \
	"{\"type\":\"bind\",\"source\":\"" source "\",\"destination\":\"" destination \
	"\",\"options\":[" options "]}"

static const struct grant_case {
	const char *mounts;
	const char *argument;
	enum phial_status status;
	const char *workload;
	const char *destination;
} grant_cases[] = {
	{ "", NULL, PHIAL_NOT_FOUND, NULL, NULL },
	{ BIND("/srv", "/srv", "\"ro\""), NULL, PHIAL_NOT_FOUND, NULL, NULL },
	{ BIND(DIR "/web", "/run/secrets", "\"ro\""), NULL, PHIAL_OK, "web", "/run/secrets" },
	{ BIND(DIR "/web", "/run/secrets/", "\"rbind\",\"ro\",\"rprivate\""), NULL, PHIAL_OK, "web",
	  "/run/secrets" },
	{ BIND(DIR "/web", "/run/secrets", ""), NULL, PHIAL_REFUSED, NULL, NULL },
	{ BIND(DIR "/web", "/run/secrets", "\"ro\",\"rw\""), NULL, PHIAL_REFUSED, NULL, NULL },
	{ BIND(DIR, "/run/secrets", "\"ro\""), NULL, PHIAL_REFUSED, NULL, NULL },
	{ BIND(DIR "/", "/run/secrets", "\"ro\""), NULL, PHIAL_REFUSED, NULL, NULL },
	{ BIND(DIR "/web/", "/run/secrets", "\"ro\""), NULL, PHIAL_REFUSED, NULL, NULL },
	{ BIND(DIR "/web/sub", "/run/secrets", "\"ro\""), NULL, PHIAL_REFUSED, NULL, NULL },
	{ BIND(DIR "//web", "/run/secrets", "\"ro\""), NULL, PHIAL_REFUSED, NULL, NULL },
	{ BIND(DIR "/../workload/web", "/run/secrets", "\"ro\""), NULL, PHIAL_REFUSED, NULL, NULL },
	{ BIND("/run/./phial/workload/web", "/a", "\"ro\""), NULL, PHIAL_REFUSED, NULL, NULL },
	{ BIND(DIR "/web*", "/run/secrets", "\"ro\""), NULL, PHIAL_REFUSED, NULL, NULL },
	{ BIND(DIR "2/web", "/run/secrets", "\"ro\""), NULL, PHIAL_NOT_FOUND, NULL, NULL },
	{ BIND(DIR "/../x", "/run/secrets", "\"ro\""), NULL, PHIAL_NOT_FOUND, NULL, NULL },
	{ BIND("/run", "/run", "\"ro\""), NULL, PHIAL_NOT_FOUND, NULL, NULL },
	/* not a bind mount: the source is only a name */
	{ "{\"type\":\"tmpfs\",\"source\":\"" DIR
	  "/web\",\"destination\":\"/a\",\"options\":[\"ro\"]}",
	  NULL, PHIAL_NOT_FOUND, NULL, NULL },
	{ "{\"type\":\"none\",\"source\":\"" DIR
	  "/web\",\"destination\":\"/a\",\"options\":[\"bind\",\"ro\"]}",
	  NULL, PHIAL_OK, "web", "/a" },
	{ BIND(DIR "/web", "/a", "\"ro\"") "," BIND(DIR "/web", "/a", "\"ro\""), NULL, PHIAL_OK,
	  "web", "/a" },
	{ BIND(DIR "/web", "/a", "\"ro\"") "," BIND(DIR "/web", "/b", "\"ro\""), NULL,
	  PHIAL_REFUSED, NULL, NULL },
	{ BIND(DIR "/web", "/a", "\"ro\"") "," BIND(DIR "/db", "/a", "\"ro\""), NULL, PHIAL_REFUSED,
	  NULL, NULL },
	{ BIND(DIR "/web", "/a", "\"ro\"") "," BIND(DIR "/web/x", "/b", "\"ro\""), NULL,
	  PHIAL_REFUSED, NULL, NULL },
	{ "", "web", PHIAL_OK, "web", NULL },
	{ "", "web/a", PHIAL_REFUSED, NULL, NULL },
	{ "", "", PHIAL_REFUSED, NULL, NULL },
	{ "", "../web", PHIAL_REFUSED, NULL, NULL },
	{ BIND(DIR "/web", "/a", "\"ro\""), "web", PHIAL_OK, "web", "/a" },
	{ BIND(DIR "/web", "/a", "\"ro\""), "db", PHIAL_REFUSED, NULL, NULL },
	{ BIND(DIR "/web", "/a", ""), "web", PHIAL_REFUSED, NULL, NULL },
};

static void parse_config(const char *text, struct phial_oci_config *ret)
{
	struct phial_error err = { 0 };

	if (phial_oci_config_parse((const uint8_t *)text, strlen(text), ret, &err) != PHIAL_OK) {
		fail_msg("%s: %s", text, err.text);
	}
}

static void H04_grants_are_exact(void **state)
{
	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(grant_cases); i++) {
		const struct grant_case *c = &grant_cases[i];
		phial_auto_oci_config struct phial_oci_config config = { 0 };
		char workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1] = "untouched";
		const char *destination = NULL;
		struct phial_error err = { 0 };
		char text[2048];

		(void)snprintf(text, sizeof(text), "{\"root\":{\"path\":\"r\"},\"mounts\":[%s]}",
			       c->mounts);
		parse_config(text, &config);
		enum phial_status status =
			phial_grant_find(&config, DIR, c->argument, workload, &destination, &err);

		if (status != c->status) {
			fail_msg("%s %s: %d %s", c->mounts, c->argument ? c->argument : "", status,
				 err.text);
		}
		assert_string_equal(workload, c->workload ? c->workload : "untouched");
		if (c->destination) {
			assert_string_equal(destination, c->destination);
		} else {
			assert_null(destination);
		}
	}
}

static void I12_nothing_of_an_image_grants(void **state)
{
	phial_auto_oci_config struct phial_oci_config config = { 0 };
	char workload[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	const char *destination = NULL;

	(void)state;
	parse_config("{\"root\":{\"path\":\"r\"},\"hostname\":\"" DIR "/web\","
		     "\"annotations\":{\"phial.io/workload\":\"web\",\"io.phial\":\"" DIR "/web\"},"
		     "\"process\":{\"env\":[\"PHIAL_WORKLOAD=web\",\"X=" DIR "/web\"],"
		     "\"args\":[\"" DIR "/web\"]},"
		     "\"linux\":{\"maskedPaths\":[\"" DIR "/web\"]},"
		     "\"mounts\":[{\"destination\":\"" DIR "/web\",\"type\":\"bind\",\"source\":"
		     "\"/srv\",\"options\":[\"ro\"]}]}",
		     &config);
	assert_int_equal(phial_grant_find(&config, DIR, NULL, workload, &destination, NULL),
			 PHIAL_NOT_FOUND);
}

/* --- gates ---------------------------------------------------------------------------- */

static const unsigned int all_gates =
	(unsigned int)PHIAL_GATE_NON_ROOT | (unsigned int)PHIAL_GATE_NO_NEW_PRIVILEGES |
	(unsigned int)PHIAL_GATE_READ_ONLY_ROOTFS | (unsigned int)PHIAL_GATE_SECCOMP |
	(unsigned int)PHIAL_GATE_NOT_PRIVILEGED | (unsigned int)PHIAL_GATE_PRIVATE_PID |
	(unsigned int)PHIAL_GATE_PRIVATE_NETWORK | (unsigned int)PHIAL_GATE_USER_NAMESPACE |
	(unsigned int)PHIAL_GATE_MEMORY_LIMIT | (unsigned int)PHIAL_GATE_PIDS_LIMIT;

static struct phial_oci_config hardened(void)
{
	return (struct phial_oci_config){
		.root_is_read_only = true,
		.user_uid = 1000,
		.no_new_privileges = true,
		.has_seccomp = true,
		.pid_namespace = PHIAL_OCI_NS_NEW,
		.network_namespace = PHIAL_OCI_NS_NEW,
		.user_namespace = PHIAL_OCI_NS_NEW,
		.memory_limit_bytes = 1,
		.pids_limit = 1,
	};
}

static void a_hardened_container_meets_all_gates(void **state)
{
	struct phial_oci_config config = hardened();
	phial_auto_text struct phial_text reasons = { .max = 4096 };

	(void)state;
	assert_int_equal(phial_gates_failed(all_gates, &config, &reasons), 0);
	assert_null(reasons.bytes);
	config.network_namespace = PHIAL_OCI_NS_JOINED;
	config.user_namespace = PHIAL_OCI_NS_JOINED;
	assert_int_equal(phial_gates_failed(all_gates, &config, NULL), 0);
}

static void each_gate_fails_alone_and_says_how_to_meet_it(void **state)
{
	struct phial_oci_config configs[12];
	static const struct {
		unsigned int gate;
		const char *advice;
	} expected[] = {
		{ PHIAL_GATE_NON_ROOT, "--user" },
		{ PHIAL_GATE_NO_NEW_PRIVILEGES, "--security-opt no-new-privileges" },
		{ PHIAL_GATE_READ_ONLY_ROOTFS,
		  "read_only_rootfs: the root file system is writable; "
		  "start it with --read-only\n" },
		{ PHIAL_GATE_SECCOMP, "seccomp=unconfined" },
		{ PHIAL_GATE_NOT_PRIVILEGED, "--privileged" },
		{ PHIAL_GATE_NOT_PRIVILEGED, "--cap-add" },
		{ PHIAL_GATE_NOT_PRIVILEGED, "--privileged" },
		{ PHIAL_GATE_PRIVATE_PID, "--pid" },
		{ PHIAL_GATE_PRIVATE_NETWORK, "--network" },
		{ PHIAL_GATE_USER_NAMESPACE, "--userns" },
		{ PHIAL_GATE_MEMORY_LIMIT, "--memory" },
		{ PHIAL_GATE_PIDS_LIMIT, "--pids-limit" },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(configs); i++) {
		configs[i] = hardened();
	}
	configs[0].user_uid = 0;
	configs[1].no_new_privileges = false;
	configs[2].root_is_read_only = false;
	configs[3].has_seccomp = false;
	configs[4].has_sys_admin = true;
	configs[5].has_privileged_capability = true;
	configs[6].has_all_devices = true;
	configs[7].pid_namespace = PHIAL_OCI_NS_JOINED;
	configs[8].network_namespace = PHIAL_OCI_NS_HOST;
	configs[9].user_namespace = PHIAL_OCI_NS_HOST;
	configs[10].memory_limit_bytes = 0;
	configs[11].pids_limit = 0;
	for (size_t i = 0; i < PHIAL_COUNT(expected); i++) {
		phial_auto_text struct phial_text reasons = { .max = 4096 };

		assert_int_equal(phial_gates_failed(all_gates, &configs[i], &reasons),
				 expected[i].gate);
		assert_non_null(strstr(reasons.bytes, expected[i].advice));
		assert_ptr_equal(strstr(reasons.bytes, phial_gate_name(expected[i].gate)),
				 reasons.bytes);
		/* A gate that was not asked for is not tried. */
		assert_int_equal(phial_gates_failed(all_gates & ~expected[i].gate, &configs[i],
						    NULL),
				 0);
	}
}

static void all_failed_gates_are_named(void **state)
{
	struct phial_oci_config config = { .has_all_devices = true };
	phial_auto_text struct phial_text reasons = { .max = 4096 };
	size_t lines = 0;

	(void)state;
	assert_int_equal(phial_gates_failed(all_gates, &config, &reasons), all_gates);
	for (const char *c = reasons.bytes; *c != '\0'; c++) {
		lines += *c == '\n';
	}
	assert_int_equal(lines, 10);
}

static void gates_have_names(void **state)
{
	(void)state;
	for (unsigned int gate = 1; gate != 0 && gate <= all_gates; gate <<= 1) {
		assert_non_null(phial_gate_name(gate));
		assert_int_equal(phial_gate_parse(phial_gate_name(gate)), gate);
	}
	assert_null(phial_gate_name(0));
	assert_null(phial_gate_name(all_gates));
	assert_int_equal(phial_gate_parse("Non_root"), 0);
	assert_int_equal(phial_gate_parse(""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_convention_needs_no_file),
		cmocka_unit_test(rules_of_the_policy),
		cmocka_unit_test(owners_and_modes),
		cmocka_unit_test(at_most_1024_files),
		cmocka_unit_test(H04_grants_are_exact),
		cmocka_unit_test(I12_nothing_of_an_image_grants),
		cmocka_unit_test(a_hardened_container_meets_all_gates),
		cmocka_unit_test(each_gate_fails_alone_and_says_how_to_meet_it),
		cmocka_unit_test(all_failed_gates_are_named),
		cmocka_unit_test(gates_have_names),
	};

	return cmocka_run_group_tests_name("policy_grant", tests, NULL, NULL);
}
