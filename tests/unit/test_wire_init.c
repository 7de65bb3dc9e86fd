/* SPDX-License-Identifier: ISC */
/* Records of the init protocol: what decodes, what does not, and that their sizes never change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "wire/init_protocol.h"

/* Images keep their phial-init for years: an agent must know its records again. */
static void test_sizes_are_for_good(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct phial_init_ask), 64);
	assert_int_equal(sizeof(struct phial_init_ready), 64);
	assert_int_equal(sizeof(struct phial_init_answer), 64 + 4096 + 4096);
	assert_string_equal(PHIAL_INIT_SOCKET_PATH, "/run/phial/agent.sock");
}

static void test_ask(void **state)
{
	const struct {
		struct phial_init_ask ask;
		size_t length;
		enum phial_status status;
	} cases[] = {
		{ { .version = 1, .uid = 1000, .gid = 1000 }, 64, PHIAL_OK },
		{ { .version = 1, .flags = 3 }, 64, PHIAL_OK },
		{ { .version = 1, .flags = 3 }, 63, PHIAL_MALFORMED },
		{ { .version = 1, .flags = 3 }, 0, PHIAL_MALFORMED },
		{ { .version = 1, .flags = 3 }, 65, PHIAL_MALFORMED },
		{ { .version = 1, .flags = 4 }, 64, PHIAL_UNSUPPORTED },
		{ { .version = 2 }, 64, PHIAL_UNSUPPORTED },
		{ { .version = 0 }, 64, PHIAL_UNSUPPORTED },
		{ { .version = 1, .reserved[47] = 1 }, 64, PHIAL_UNSUPPORTED },
		{ { .version = 1, .uid = UINT32_MAX }, 64, PHIAL_MALFORMED },
		{ { .version = 1, .gid = UINT32_MAX }, 64, PHIAL_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_error err = { .status = PHIAL_OK };
		struct phial_init_ask ask = { .version = 99 };
		uint8_t bytes[65] = { 0 };

		memcpy(bytes, &cases[i].ask, sizeof(cases[i].ask));
		assert_int_equal(phial_init_decode_ask(bytes, cases[i].length, &ask, &err),
				 cases[i].status);
		assert_int_equal(ask.version, cases[i].status == PHIAL_OK ? 1 : 99);
	}
}

static void test_ready(void **state)
{
	const struct {
		struct phial_init_ready ready;
		size_t length;
		enum phial_status status;
	} cases[] = {
		{ { .version = 1 }, 64, PHIAL_OK },
		{ { .version = 1 }, 63, PHIAL_MALFORMED },
		{ { .version = 1 }, 0, PHIAL_MALFORMED },
		{ { .version = 1 }, 65, PHIAL_MALFORMED },
		{ { .version = 2 }, 64, PHIAL_UNSUPPORTED },
		{ { .version = 1, .flags = 1 }, 64, PHIAL_UNSUPPORTED },
		{ { .version = 1, .reserved[55] = 1 }, 64, PHIAL_UNSUPPORTED },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		uint8_t bytes[65] = { 0 };

		memcpy(bytes, &cases[i].ready, sizeof(cases[i].ready));
		assert_int_equal(phial_init_decode_ready(bytes, cases[i].length, NULL),
				 cases[i].status);
	}
}

static enum phial_status decode(const struct phial_init_answer *answer, size_t length)
{
	static struct phial_init_answer got;

	return phial_init_decode_answer(answer, length, &got, NULL);
}

static void test_answer(void **state)
{
	struct phial_init_answer answer = { .version = 1, .target = "/run/secrets" };

	(void)state;
	assert_int_equal(decode(&answer, sizeof(answer)), PHIAL_OK);
	assert_int_equal(decode(&answer, sizeof(answer) - 1), PHIAL_MALFORMED);
	answer.version = 9; /* a later agent's */
	assert_int_equal(decode(&answer, sizeof(answer)), PHIAL_OK);
	answer.target[0] = 'x';
	assert_int_equal(decode(&answer, sizeof(answer)), PHIAL_MALFORMED);
	answer.target[0] = '\0';
	assert_int_equal(decode(&answer, sizeof(answer)), PHIAL_MALFORMED);
	answer.status = PHIAL_REFUSED;
	assert_int_equal(decode(&answer, sizeof(answer)), PHIAL_MALFORMED);
	answer.text[0] = 'x';
	assert_int_equal(decode(&answer, sizeof(answer)), PHIAL_OK);
	answer.status = 12345; /* a later agent's */
	assert_int_equal(decode(&answer, sizeof(answer)), PHIAL_OK);
	memset(answer.text, 'x', sizeof(answer.text));
	assert_int_equal(decode(&answer, sizeof(answer)), PHIAL_MALFORMED);
	answer.text[0] = '\0';
	memset(answer.target, '/', sizeof(answer.target));
	answer.status = PHIAL_OK;
	assert_int_equal(decode(&answer, sizeof(answer)), PHIAL_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_are_for_good),
		cmocka_unit_test(test_ask),
		cmocka_unit_test(test_ready),
		cmocka_unit_test(test_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
