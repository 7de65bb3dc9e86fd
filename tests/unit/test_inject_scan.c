/* SPDX-License-Identifier: ISC */
/* H-02: what the hook makes of state and config without a parser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
/* The hook's objects are built for musl; this one file of it is pure. */
#include "inject/scan.c"

#define PREFIX "/run/phial/workload/"

static void test_may_grant(void **state)
{
	static const struct {
		const char *config;
		bool may_grant;
	} cases[] = {
		{ "{}", false },
		{ "", false },
		{ "{\"source\":\"/run/phial/workload/web\"}", true },
		{ "{\"source\":\"\\/run\\/phial\\/workload\\/web\"}", true },
		{ "{\"source\":\"/run/phial\\u002fworkload\\u002Fweb\"}", true },
		{ "{\"source\":\"\\u002frun/phial/workload/w\\u00e4\"}", true },
		{ "{\"source\":\"/run/phial/workload\"}", false },
		{ "{\"source\":\"/run/phial/workloads/web\"}", false },
		{ "{\"source\":\"x/run/phial/workload/web\"}", false },
		{ "{\"source\":\"\\\"/run/phial/workload/web\"}", false },
		{ "{\"source\":\"/run/phial\\u0000/workload/web\"}", false },
		{ "{\"source\":\"/run/phial/work\\u006coad/web\"}", true },
		{ "{\"a\":\"\\\\\",\"b\":\"/run/phial/workload/web\"}", true },
		{ "{\"a\":\"\\\\\\\"\",\"b\":\"/run/phial/workload/web\"}", true },
		/* As a key or in an annotation too: the agent decides. */
		{ "{\"/run/phial/workload/web\":1}", true },
		{ "[\"x\",\"/run/phial/workload/web\"]", true },
		/* Not sure means yes. */
		{ "{\"source\":\"/other", true },
		{ "{\"source\":\"/other\\\"}", true },
		{ "{\"source\":\"\\u00", true },
		{ "\"", true },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		if (phial_inject_may_grant(phial_span_of(cases[i].config), PREFIX) !=
		    cases[i].may_grant) {
			fail_msg("%s", cases[i].config);
		}
	}
}

/* Wherever a config with a grant is cut, what is left either shows it or ends in a string. */
static void test_cut_config(void **state)
{
	static const char config[] =
		"{\"a\":[1,\"b\"],\"s\":\"\\/run/phial/workload/web\",\"c\":2}";
	const size_t begin = (size_t)(strstr(config, "\\/run") - config);

	(void)state;
	for (size_t length = begin; length < sizeof(config); length++) {
		assert_true(phial_inject_may_grant((struct phial_span){ config, length }, PREFIX));
	}
}

static void test_find_pid(void **state)
{
	static const struct {
		const char *text;
		enum phial_status status;
		pid_t pid;
	} cases[] = {
		{ "{\"ociVersion\":\"1.0.2\",\"id\":\"a\",\"status\":\"creating\",\"pid\":4711,"
		  "\"bundle\":\"/b\"}",
		  PHIAL_OK, 4711 },
		{ "{\"pid\":4711}", PHIAL_OK, 4711 },
		{ " {\n\t\"pid\" : 4711\r\n}", PHIAL_OK, 4711 },
		{ "{\"p\\u0069d\":4711}", PHIAL_OK, 4711 },
		{ "{\"annotations\":{\"pid\":12},\"pid\":4711}", PHIAL_OK, 4711 },
		{ "{\"annotations\":{\"a\":\"\\\"pid\\\":12\"},\"pid\":4711}", PHIAL_OK, 4711 },
		{ "{\"a\":\"pid\",\"pid\":4711}", PHIAL_OK, 4711 },
		{ "{\"a\":[{\"pid\":5}],\"pid\":4711}", PHIAL_OK, 4711 },
		{ "{\"pidx\":5,\"Pid\":6,\"pid\":4711,\"pid_\":7}", PHIAL_OK, 4711 },
		{ "{\"pid\":4194304}", PHIAL_OK, 4194304 },
		{ "{}", PHIAL_REFUSED, 0 },
		{ "", PHIAL_REFUSED, 0 },
		{ "{\"PID\":4711}", PHIAL_REFUSED, 0 },
		{ "{\"a\":{\"pid\":4711}}", PHIAL_REFUSED, 0 },
		{ "{\"pid\":0}", PHIAL_REFUSED, 0 },
		{ "{\"pid\":1}", PHIAL_REFUSED, 0 },
		{ "{\"pid\":4194305}", PHIAL_MALFORMED, 0 },
		{ "{\"pid\":2147483648}", PHIAL_MALFORMED, 0 },
		{ "{\"pid\":-1}", PHIAL_MALFORMED, 0 },
		{ "{\"pid\":047}", PHIAL_MALFORMED, 0 },
		{ "{\"pid\":12.5}", PHIAL_MALFORMED, 0 },
		{ "{\"pid\":12e3}", PHIAL_MALFORMED, 0 },
		{ "{\"pid\":\"12\"}", PHIAL_MALFORMED, 0 },
		{ "{\"pid\":12", PHIAL_MALFORMED, 0 },
		{ "{\"pid\":}", PHIAL_MALFORMED, 0 },
		{ "{\"pid\":12,\"pid\":12}", PHIAL_MALFORMED, 0 },
		{ "{\"pid\":12,\"p\\u0069d\":13}", PHIAL_MALFORMED, 0 },
		{ "{\"pid\":12}{\"pid\":13}", PHIAL_MALFORMED, 0 },
		{ "{\"pid\":12,\"id\":\"", PHIAL_MALFORMED, 0 },
		{ "{\"pid\":12,\"id\":\"a\\", PHIAL_MALFORMED, 0 },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_error err;
		pid_t pid = 0;
		enum phial_status status =
			phial_inject_find_pid(phial_span_of(cases[i].text), &pid, &err);

		if (status != cases[i].status || pid != cases[i].pid) {
			fail_msg("%s: %s, %d", cases[i].text, phial_status_text(status), (int)pid);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_may_grant),
		cmocka_unit_test(test_cut_config),
		cmocka_unit_test(test_find_pid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
