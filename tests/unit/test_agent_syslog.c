/* SPDX-License-Identifier: ISC */
/* Lines for syslog: their form, what is too long, and a daemon that does not read or is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/syslog.h"
#include "base/cleanup.h"

static int setup(void **state)
{
	static int pair[2];

	*state = pair;
	return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state)
{
	int *pair = *state;

	phial_close_fd(&pair[0]);
	phial_close_fd(&pair[1]);
	return 0;
}

static void a_line_has_its_form(void **state)
{
	const int *pair = *state;
	char wanted[64];
	char got[64];

	assert_int_equal(phial_syslog_send(pair[0], phial_span_of("head 1:ab {}")), 0);
	(void)snprintf(wanted, sizeof(wanted), "<85>phial-audit[%d]: head 1:ab {}", (int)getpid());
	ssize_t length = read(pair[1], got, sizeof(got));

	assert_int_equal(length, strlen(wanted));
	assert_memory_equal(got, wanted, strlen(wanted));
}

static void what_is_too_long_is_cut(void **state)
{
	const int *pair = *state;
	static char text[3 * PHIAL_SYSLOG_TEXT_BYTES];
	static char got[sizeof(text)];

	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(phial_syslog_send(pair[0], phial_span_of(text)), 0);
	ssize_t length = read(pair[1], got, sizeof(got) - 1);

	assert_in_range(length, PHIAL_SYSLOG_TEXT_BYTES, PHIAL_SYSLOG_TEXT_BYTES + 64);
	assert_string_equal(got + length - 7, "x [cut]");
}

static void nothing_waits_for_a_daemon(void **state)
{
	int *pair = *state;
	int error = 0;

	for (int i = 0; i < 100000 && error == 0; i++) {
		error = phial_syslog_send(pair[0], phial_span_of("x"));
	}
	assert_int_equal(error, EAGAIN);
	phial_close_fd(&pair[1]);
	assert_int_not_equal(phial_syslog_send(pair[0], phial_span_of("x")), 0);
}

static void nobody_listens(void **state)
{
	(void)state;
	char path[200];
	int fd = -1;

	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(phial_syslog_connect("/nonexistent/log", &fd, NULL), PHIAL_NOT_FOUND);
	assert_int_equal(phial_syslog_connect(path, &fd, NULL), PHIAL_TOO_LARGE);
	assert_int_equal(fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_line_has_its_form, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_too_long_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_waits_for_a_daemon, setup, teardown),
		cmocka_unit_test(nobody_listens),
	};

	return cmocka_run_group_tests_name("agent: syslog", tests, NULL, NULL);
}
