/* SPDX-License-Identifier: ISC */
/* What phial-init has to say, on stderr. */
#ifndef PHIAL_INIT_SAY_H
#define PHIAL_INIT_SAY_H

#include "base/parse.h"

/* One line, "phial-init: ..."; bytes that are no plain text are written as \xNN. */
void phial_init_say(struct phial_span line);

/* Each line of a text, but for empty ones. */
void phial_init_say_lines(const char *text);

#endif
