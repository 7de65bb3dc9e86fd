/* SPDX-License-Identifier: ISC */
/* Lines of the audit log: one form, written and read; nothing else is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <phial/sealed.h>

#include "audit/line.h"

#define BOOT "2c1d6c1e-5a55-4b57-9c35-0d0f4a8f7a10"

static const struct phial_audit_secret two_secrets[] = {
	{ "web/db_password", 1795304458123 },
	{ "web/tls.key", 7 },
};

/* docs/audit.md has this line. */
static const char documented[] =
	"{\"seq\":12,\"time\":\"2026-11-21T22:30:00.123Z\",\"boot\":\"" BOOT "\",\"host\":\"h7\","
	"\"kind\":\"release\",\"container\":\"c0ffee\",\"workload\":\"web\","
	"\"image\":\"docker.io/library/web:1\",\"door\":\"hook\",\"uid\":0,\"pid\":4711,"
	"\"secrets\":[{\"name\":\"web/db_password\",\"version\":1795304458123},"
	"{\"name\":\"web/tls.key\",\"version\":7}],\"decision\":\"allowed\","
	"\"reason\":\"all gates \\\"passed\\\"\",\"prev\":\"" PHIAL_AUDIT_NO_HASH "\"}\n";

static struct phial_audit_line full_line(void)
{
	return (struct phial_audit_line){
		.seq = 12,
		.time_ms = INT64_C(1795300200123),
		.boot = BOOT,
		.host = "h7",
		.entry = {
			.kind = PHIAL_AUDIT_RELEASE,
			.container = "c0ffee",
			.workload = "web",
			.image = "docker.io/library/web:1",
			.door = PHIAL_AUDIT_HOOK,
			.has_uid = true,
			.pid = 4711,
			.secrets = two_secrets,
			.secret_count = PHIAL_COUNT(two_secrets),
			.decision = PHIAL_AUDIT_ALLOWED,
			.reason = "all gates \"passed\"",
		},
		.prev = PHIAL_AUDIT_NO_HASH,
	};
}

static enum phial_status parse(const char *text, struct phial_audit_line *line)
{
	return phial_audit_line_parse(phial_span_of(text), line, NULL);
}

static void has_the_documented_form(void **state)
{
	(void)state;
	struct phial_text text = { .max = PHIAL_AUDIT_LINE_MAX_BYTES };
	struct phial_audit_line line = full_line();

	assert_int_equal(phial_audit_line_format(&line, &text, NULL), PHIAL_OK);
	assert_string_equal(text.bytes, documented);
	phial_text_free(&text);
}

static void reads_what_it_writes(void **state)
{
	(void)state;
	struct phial_audit_line line = { 0 };
	struct phial_span text = phial_span_of(documented);

	text.length--;
	assert_int_equal(phial_audit_line_parse(text, &line, NULL), PHIAL_OK);
	assert_int_equal(line.seq, 12);
	assert_int_equal(line.time_ms, INT64_C(1795300200123));
	assert_string_equal(line.boot, BOOT);
	assert_string_equal(line.entry.container, "c0ffee");
	assert_string_equal(line.entry.reason, "all gates \"passed\"");
	assert_int_equal(line.entry.door, PHIAL_AUDIT_HOOK);
	assert_int_equal(line.entry.decision, PHIAL_AUDIT_ALLOWED);
	assert_true(line.entry.has_uid);
	assert_int_equal(line.entry.pid, 4711);
	assert_int_equal(line.entry.secret_count, 2);
	assert_string_equal(line.entry.secrets[1].name, "web/tls.key");
	assert_int_equal(line.entry.secrets[0].version, 1795304458123);
	phial_audit_line_free(&line);
}

static void every_kind_comes_back(void **state)
{
	(void)state;
	for (int kind = 0; kind < PHIAL_AUDIT_KINDS; kind++) {
		struct phial_text text = { .max = PHIAL_AUDIT_LINE_MAX_BYTES };
		struct phial_audit_line line = full_line();
		struct phial_audit_line again = { 0 };

		line.entry = (struct phial_audit_entry){
			.kind = (enum phial_audit_kind)kind,
			.lost = kind == PHIAL_AUDIT_GAP ? 3 : 0,
			.first = kind == PHIAL_AUDIT_ROTATE ? 4 : 0,
		};
		assert_int_equal(phial_audit_line_format(&line, &text, NULL), PHIAL_OK);
		text.bytes[text.length - 1] = '\0';
		assert_int_equal(parse(text.bytes, &again), PHIAL_OK);
		assert_int_equal(again.entry.kind, kind);
		assert_int_equal(again.entry.lost, line.entry.lost);
		assert_int_equal(again.entry.first, line.entry.first);
		phial_audit_line_free(&again);
		phial_text_free(&text);
	}
}

/* Engines and images choose these texts: no control character, no escape, no endless text. */
static void foreign_text_is_tamed(void **state)
{
	(void)state;
	char endless[2000];
	struct phial_text text = { .max = PHIAL_AUDIT_LINE_MAX_BYTES };
	struct phial_audit_line line = full_line();
	struct phial_audit_line again = { 0 };

	memset(endless, 'x', sizeof(endless));
	endless[sizeof(endless) - 1] = '\0';
	line.entry.image = "a\n\x1b[31m\xff\xc3\xa9";
	line.entry.container = endless;
	line.entry.workload = "";
	assert_int_equal(phial_audit_line_format(&line, &text, NULL), PHIAL_OK);
	text.bytes[text.length - 1] = '\0';
	assert_int_equal(parse(text.bytes, &again), PHIAL_OK);
	assert_string_equal(again.entry.image, "a??[31m???");
	assert_int_equal(strlen(again.entry.container), PHIAL_AUDIT_TEXT_MAX_BYTES);
	assert_null(again.entry.workload);
	phial_audit_line_free(&again);
	phial_text_free(&text);
}

/* Every byte changed: another line, or none; never the same entry again. */
static void one_form_only(void **state)
{
	(void)state;
	char bytes[sizeof(documented)];

	for (size_t i = 0; i < sizeof(documented) - 2; i++) {
		for (int bit = 0; bit < 8; bit++) {
			struct phial_audit_line line = { 0 };
			struct phial_text again = { .max = PHIAL_AUDIT_LINE_MAX_BYTES };

			memcpy(bytes, documented, sizeof(bytes));
			bytes[i] = (char)(bytes[i] ^ (1 << bit));
			bytes[sizeof(bytes) - 2] = '\0';
			if (strlen(bytes) != sizeof(bytes) - 2 || parse(bytes, &line) != PHIAL_OK) {
				continue;
			}
			assert_int_equal(phial_audit_line_format(&line, &again, NULL), PHIAL_OK);
			assert_string_not_equal(again.bytes, documented);
			phial_text_free(&again);
			phial_audit_line_free(&line);
		}
	}
}

#define START  "{\"seq\":1,\"time\":\"2026-11-21T22:30:00.123Z\",\"boot\":\"b\",\"host\":\"h\","
#define FINISH ",\"prev\":\"" PHIAL_AUDIT_NO_HASH "\"}"

static void refuses(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		START "\"kind\":\"start\"" FINISH " ",
		" " START "\"kind\":\"start\"" FINISH,
		START "\"kind\": \"start\"" FINISH,
		START "\"kind\":\"start\",\"extra\":1" FINISH,
		START "\"kind\":\"start\",\"kind\":\"start\"" FINISH,
		START "\"kind\":\"Start\"" FINISH,
		START "\"kind\":\"\\u0073tart\"" FINISH,
		START "\"kind\":1" FINISH,
		START "\"door\":\"hook\"" FINISH,
		START "\"kind\":\"start\",\"door\":\"window\"" FINISH,
		START "\"kind\":\"start\",\"door\":null" FINISH,
		START "\"kind\":\"start\",\"uid\":4294967296" FINISH,
		START "\"kind\":\"start\",\"uid\":-1" FINISH,
		START "\"kind\":\"start\",\"pid\":0" FINISH,
		START "\"kind\":\"start\",\"pid\":1,\"uid\":1" FINISH,
		START "\"kind\":\"start\",\"secrets\":[]" FINISH,
		START "\"kind\":\"start\",\"secrets\":{}" FINISH,
		START "\"kind\":\"start\",\"secrets\":[1]" FINISH,
		START "\"kind\":\"start\",\"secrets\":[{\"name\":\"../a\",\"version\":1}]" FINISH,
		START "\"kind\":\"start\",\"secrets\":[{\"name\":\"a\",\"version\":0}]" FINISH,
		START "\"kind\":\"start\",\"secrets\":[{\"name\":\"a\",\"version\":1.0}]" FINISH,
		START "\"kind\":\"start\",\"secrets\":[{\"version\":1,\"name\":\"a\"}]" FINISH,
		START "\"kind\":\"start\",\"workload\":\"\"" FINISH,
		START "\"kind\":\"start\",\"workload\":\"\xc3\xa9\"" FINISH,
		START "\"kind\":\"start\",\"lost\":1" FINISH,
		START "\"kind\":\"gap\"" FINISH,
		START "\"kind\":\"rotate\"" FINISH,
		START "\"kind\":\"start\",\"prev\":\"0\"}",
		START "\"kind\":\"start\"}",
		"{\"seq\":0,\"time\":\"2026-11-21T22:30:00.123Z\",\"boot\":\"b\",\"host\":\"h\","
		"\"kind\":\"start\"" FINISH,
		"{\"seq\":1,\"time\":\"2026-11-21T22:30:00Z\",\"boot\":\"b\",\"host\":\"h\","
		"\"kind\":\"start\"" FINISH,
		"{\"seq\":1,\"time\":\"2026-13-21T22:30:00.000Z\",\"boot\":\"b\",\"host\":\"h\","
		"\"kind\":\"start\"" FINISH,
	};
	struct phial_audit_line line = { 0 };

	assert_int_equal(parse(START "\"kind\":\"start\"" FINISH, &line), PHIAL_OK);
	phial_audit_line_free(&line);
	for (size_t i = 0; i < PHIAL_COUNT(bad); i++) {
		if (parse(bad[i], &line) != PHIAL_MALFORMED) {
			fail_msg("taken: %s", bad[i]);
		}
	}
}

/* The largest version that a sealed file may have, and the one above, which JSON cannot tell from it. */
static void the_largest_version_is_exact(void **state)
{
	(void)state;
	static const struct phial_audit_secret largest = { "a", UINT64_C(1) << 53 };
	struct phial_text text = { .max = PHIAL_AUDIT_LINE_MAX_BYTES };
	struct phial_audit_line line = full_line();
	struct phial_audit_line again = { 0 };

	line.entry.secrets = &largest;
	line.entry.secret_count = 1;
	assert_int_equal(phial_audit_line_format(&line, &text, NULL), PHIAL_OK);
	assert_non_null(strstr(text.bytes, "9007199254740992"));
	text.bytes[text.length - 1] = '\0';
	assert_int_equal(parse(text.bytes, &again), PHIAL_OK);
	assert_int_equal(again.entry.secrets[0].version, UINT64_C(1) << 53);
	phial_audit_line_free(&again);
	memcpy(strstr(text.bytes, "992"), "993", 3);
	assert_int_equal(parse(text.bytes, &again), PHIAL_MALFORMED);
	phial_text_free(&text);
}

static void cannot_write_nonsense(void **state)
{
	(void)state;
	static const struct phial_audit_secret misnamed = { "a b", 1 };
	static const struct phial_audit_secret unversioned = { "a", 0 };
	struct phial_text text = { .max = PHIAL_AUDIT_LINE_MAX_BYTES };
	struct phial_audit_line lines[8];

	for (size_t i = 0; i < PHIAL_COUNT(lines); i++) {
		lines[i] = full_line();
	}
	lines[0].seq = 0;
	lines[1].seq = (uint64_t)PHIAL_AUDIT_NUMBER_LIMIT;
	lines[2].time_ms = -1;
	lines[3].host = "";
	lines[4].entry.kind = PHIAL_AUDIT_GAP;
	lines[5].entry.secrets = &misnamed;
	lines[5].entry.secret_count = 1;
	lines[6].entry.secrets = &unversioned;
	lines[6].entry.secret_count = 1;
	lines[7].entry.secret_count = PHIAL_AUDIT_SECRETS_MAX + 1;
	for (size_t i = 0; i < PHIAL_COUNT(lines); i++) {
		assert_int_equal(phial_audit_line_format(&lines[i], &text, NULL), PHIAL_USAGE);
		assert_int_equal(text.length, 0);
	}
}

/* The most that a release can say fits into a line. */
static void the_longest_line_fits(void **state)
{
	(void)state;
	static struct phial_audit_secret secrets[PHIAL_AUDIT_SECRETS_MAX];
	char name[PHIAL_NAME_MAX_BYTES + 1];
	struct phial_text text = { .max = PHIAL_AUDIT_LINE_MAX_BYTES };
	struct phial_audit_line line = full_line();

	memset(name, 'n', sizeof(name));
	name[63] = name[127] = name[191] = '/';
	name[sizeof(name) - 1] = '\0';
	for (size_t i = 0; i < PHIAL_COUNT(secrets); i++) {
		secrets[i] = (struct phial_audit_secret){ name, (UINT64_C(1) << 53) - 1 };
	}
	line.entry.secrets = secrets;
	line.entry.secret_count = PHIAL_COUNT(secrets);
	assert_int_equal(phial_audit_line_format(&line, &text, NULL), PHIAL_OK);
	phial_text_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_the_documented_form),
		cmocka_unit_test(reads_what_it_writes),
		cmocka_unit_test(every_kind_comes_back),
		cmocka_unit_test(foreign_text_is_tamed),
		cmocka_unit_test(one_form_only),
		cmocka_unit_test(refuses),
		cmocka_unit_test(the_largest_version_is_exact),
		cmocka_unit_test(cannot_write_nonsense),
		cmocka_unit_test(the_longest_line_fits),
	};

	return cmocka_run_group_tests_name("audit: line", tests, NULL, NULL);
}
