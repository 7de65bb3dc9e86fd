/* SPDX-License-Identifier: ISC */
/* Command lines as engines give them, and as they should not: which command, which bundle, whose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "runtime/arguments.h"

#define WORDS_MAX  24
#define LINE_BYTES 256

struct expected {
	const char *name;
	const char *line;
	enum phial_runtime_act act;
	const char *bundle;
	const char *id;
	const char *pid_file;
	const char *log;
	size_t global_count;
};

/* A line as main()'s argv. words: what argv points into. */
static void split(const char *line, char words[static LINE_BYTES], char *argv[static WORDS_MAX])
{
	size_t count = 0;

	assert_true(strlen(line) < LINE_BYTES);
	memcpy(words, line, strlen(line) + 1);
	for (char *word = words; word; count++) {
		char *space = strchr(word, ' ');

		assert_true(count + 1 < WORDS_MAX);
		argv[count] = word;
		if (space) {
			*space++ = '\0';
		}
		word = space;
	}
	argv[count] = NULL;
}

static void same(const char *name, const char *field, const char *got, const char *wanted)
{
	if ((got == NULL) != (wanted == NULL) || (got && strcmp(got, wanted) != 0)) {
		fail_msg("%s: %s is %s, wanted %s", name, field, got ? got : "unset",
			 wanted ? wanted : "unset");
	}
}

static void reads_calls_of_engines(void **state)
{
	static const struct expected cases[] = {
		{ "docker",
		  "runc --root /r --log /b/log.json --log-format json --systemd-cgroup create --bundle /b --pid-file /b/init.pid abc",
		  PHIAL_RUNTIME_CREATE, "/b", "abc", "/b/init.pid", "/b/log.json", 7 },
		{ "podman",
		  "crun --cgroup-manager systemd create -b /b --pid-file /p --no-pivot abc",
		  PHIAL_RUNTIME_CREATE, "/b", "abc", "/p", NULL, 2 },
		{ "glued values", "x --root=/r --log=/l create --bundle=/b --pid-file=/p abc",
		  PHIAL_RUNTIME_CREATE, "/b", "abc", "/p", "/l", 2 },
		{ "one dash, as Go takes it", "x -log /l create -bundle /b -pid-file=/p abc",
		  PHIAL_RUNTIME_CREATE, "/b", "abc", "/p", "/l", 2 },
		{ "one dash, and no letter with its value",
		  "x -rootless true -log-level debug create -b /b abc", PHIAL_RUNTIME_CREATE, "/b",
		  "abc", NULL, NULL, 4 },
		{ "a glued letter", "x create -b/b abc", PHIAL_RUNTIME_CREATE, "/b", "abc", NULL,
		  NULL, 0 },
		{ "options behind the id", "x create abc --bundle /b", PHIAL_RUNTIME_CREATE, "/b",
		  "abc", NULL, NULL, 0 },
		{ "run", "x run --detach --bundle /b abc", PHIAL_RUNTIME_START_AT_ONCE, "/b", "abc",
		  NULL, NULL, 0 },
		{ "restore", "x restore --image-path /i --bundle /b abc",
		  PHIAL_RUNTIME_START_AT_ONCE, "/b", "abc", NULL, NULL, 0 },
		{ "other commands pass", "x --log /l start create", PHIAL_RUNTIME_PASS_ON, NULL,
		  NULL, NULL, "/l", 2 },
		{ "a value that looks like a command", "x --root create delete abc",
		  PHIAL_RUNTIME_PASS_ON, NULL, NULL, NULL, NULL, 2 },
		{ "an unknown option's value", "x --new value create --bundle /b abc",
		  PHIAL_RUNTIME_CREATE, "/b", "abc", NULL, NULL, 2 },
		{ "an unknown flag", "x --new create --bundle /b abc", PHIAL_RUNTIME_CREATE, "/b",
		  "abc", NULL, NULL, 1 },
		{ "an unknown option of create", "x create --new value --bundle /b abc",
		  PHIAL_RUNTIME_CREATE, "/b", "abc", NULL, NULL, 0 },
		{ "no bundle", "x create abc", PHIAL_RUNTIME_CREATE, NULL, "abc", NULL, NULL, 0 },
		{ "no id", "x create --bundle /b", PHIAL_RUNTIME_CREATE, "/b", NULL, NULL, NULL,
		  0 },
		{ "a value is missing", "x create --bundle", PHIAL_RUNTIME_CREATE, NULL, NULL, NULL,
		  NULL, 0 },
		{ "a version", "x --version", PHIAL_RUNTIME_PASS_ON, NULL, NULL, NULL, NULL, 0 },
		{ "nothing", "x", PHIAL_RUNTIME_PASS_ON, NULL, NULL, NULL, NULL, 0 },
		{ "a dash", "x -", PHIAL_RUNTIME_PASS_ON, NULL, NULL, NULL, NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_runtime_call call;
		char words[LINE_BYTES];
		char *argv[WORDS_MAX];

		split(cases[i].line, words, argv);
		assert_int_equal(phial_runtime_read_call(argv, &call, NULL), PHIAL_OK);
		if (call.act != cases[i].act || call.global_count != cases[i].global_count) {
			fail_msg("%s: act %d, %zu words before it", cases[i].name, (int)call.act,
				 call.global_count);
		}
		same(cases[i].name, "bundle", call.bundle, cases[i].bundle);
		same(cases[i].name, "id", call.id, cases[i].id);
		same(cases[i].name, "pid file", call.pid_file, cases[i].pid_file);
		same(cases[i].name, "log", call.log, cases[i].log);
		same(cases[i].name, "runtime", call.runtime, "runc");
		same(cases[i].name, "run directory", call.run_dir, "/run/phial");
		assert_ptr_equal(call.argv, argv);
	}
}

static void takes_its_own_options(void **state)
{
	static const struct {
		const char *name;
		const char *line;
		enum phial_status status;
		size_t own_words;
		const char *runtime;
		const char *run_dir;
	} cases[] = {
		{ "name", "/x/phial-runtime-crun state", PHIAL_OK, 0, "crun", "/run/phial" },
		{ "empty name", "phial-runtime-", PHIAL_OK, 0, "runc", "/run/phial" },
		{ "both",
		  "phial-runtime-crun --phial-run-dir /d --phial-runtime=/o/youki --root /r state a",
		  PHIAL_OK, 3, "/o/youki", "/d" },
		{ "only in front", "x state --phial-runtime crun", PHIAL_OK, 0, "runc",
		  "/run/phial" },
		{ "no value", "x --phial-runtime", PHIAL_USAGE, 0, NULL, NULL },
		{ "empty value", "x --phial-runtime=", PHIAL_USAGE, 0, NULL, NULL },
		{ "relative path", "x --phial-runtime ./runc", PHIAL_USAGE, 0, NULL, NULL },
		{ "relative folder", "x --phial-run-dir run", PHIAL_USAGE, 0, NULL, NULL },
		{ "no value of the folder", "x --phial-run-dir", PHIAL_USAGE, 0, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_runtime_call call;
		char words[LINE_BYTES];
		char *argv[WORDS_MAX];

		split(cases[i].line, words, argv);
		if (phial_runtime_read_call(argv, &call, NULL) != cases[i].status) {
			fail_msg("%s: wrong status", cases[i].name);
		}
		if (cases[i].status == PHIAL_OK) {
			same(cases[i].name, "runtime", call.runtime, cases[i].runtime);
			same(cases[i].name, "run directory", call.run_dir, cases[i].run_dir);
			assert_ptr_equal(call.argv, argv + cases[i].own_words);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_calls_of_engines),
		cmocka_unit_test(takes_its_own_options),
	};

	return cmocka_run_group_tests_name("runtime_arguments", tests, NULL, NULL);
}
