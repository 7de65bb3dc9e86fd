/* SPDX-License-Identifier: ISC */
/*
 * Messages. What the agent sent may hold a name that an image chose: no byte of it reaches a
 * terminal raw.
 */
#include "init/say.h"

#include <stdio.h>
#include <unistd.h>

#include <phial/error.h>

void phial_init_say(struct phial_span line)
{
	struct phial_error plain;

	(void)phial_fail(&plain, PHIAL_PROBLEMS, 0, "%.*s", (int)line.length, line.text);
	dprintf(STDERR_FILENO, "phial-init: %s\n", plain.text);
}

void phial_init_say_lines(const char *text)
{
	struct phial_span rest = phial_span_of(text);
	struct phial_span line;

	while (phial_next_line(&rest, &line, NULL)) {
		if (line.length > 0) {
			phial_init_say(line);
		}
	}
}
