/* SPDX-License-Identifier: ISC */
/*
 * The signals that tell a program something, by name, in one table. Sends none, and does not say
 * what a program makes of one.
 */
#include "base/signal_name.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"

/* As glibc and Go count them; musl programs call the first one 35 (signal(7)). */
#define FIRST_REAL_TIME 34
#define LAST_REAL_TIME	64

static const struct {
	const char *name;
	int number;
} signals_table[] = {
	{ "SIGHUP", SIGHUP },	{ "SIGUSR1", SIGUSR1 },	  { "SIGUSR2", SIGUSR2 },
	{ "SIGTERM", SIGTERM }, { "SIGINT", SIGINT },	  { "SIGQUIT", SIGQUIT },
	{ "SIGCONT", SIGCONT }, { "SIGWINCH", SIGWINCH },
};

int phial_signal_parse(const char *name)
{
	struct phial_span rest = phial_span_of(name);
	uint64_t offset;

	for (size_t i = 0; i < PHIAL_COUNT(signals_table); i++) {
		if (strcmp(signals_table[i].name, name) == 0) {
			return signals_table[i].number;
		}
	}
	if (phial_span_skip(&rest, "SIGRTMIN+") &&
	    phial_parse_u64(rest, 0, LAST_REAL_TIME - FIRST_REAL_TIME, &offset)) {
		return FIRST_REAL_TIME + (int)offset;
	}
	return 0;
}

void phial_signal_format(int signal, char ret_name[PHIAL_SIGNAL_TEXT_BYTES])
{
	for (size_t i = 0; i < PHIAL_COUNT(signals_table); i++) {
		if (signals_table[i].number == signal) {
			(void)snprintf(ret_name, PHIAL_SIGNAL_TEXT_BYTES, "%s",
				       signals_table[i].name);
			return;
		}
	}
	if (signal >= FIRST_REAL_TIME && signal <= LAST_REAL_TIME) {
		(void)snprintf(ret_name, PHIAL_SIGNAL_TEXT_BYTES, "SIGRTMIN+%d",
			       signal - FIRST_REAL_TIME);
		return;
	}
	(void)snprintf(ret_name, PHIAL_SIGNAL_TEXT_BYTES, "%d", signal);
}
