/* SPDX-License-Identifier: ISC */
/* One log line, one write(2): lines of several processes never mix. Keeps no state. */
#include "agent/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void phial_log(const char *format, ...)
{
	char raw[PHIAL_ERROR_TEXT_BYTES];
	char line[PHIAL_ERROR_TEXT_BYTES + 16];
	struct phial_error printable;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	(void)phial_fail(&printable, PHIAL_OK, 0, "%s", raw); /* escapes */
	int length = snprintf(line, sizeof(line), "phiald: %s\n", printable.text);

	if (length > 0) {
		/* Nobody is left to tell when the log itself cannot be written. */
		ssize_t ignored = write(STDERR_FILENO, line, (size_t)length);

		(void)ignored;
	}
}
