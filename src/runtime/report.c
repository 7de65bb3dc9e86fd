/* SPDX-License-Identifier: ISC */
/*
 * The same reason twice: for who looks at stderr, and for the engine, which reads the runtime's log
 * file. Decides nothing, and prints nothing that did not come as text.
 */
#include "runtime/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/text.h"
#include "inject/talk.h"

#define PROGRAM	      "phial-runtime"
#define LOG_MAX_BYTES ((size_t)4 * PHIAL_HOOK_TEXT_BYTES)

/* Add a plain text inside double quotes: JSON's and logfmt's rules are the same for it. */
static void add_quoted(struct phial_text *entry, const char *text)
{
	for (; *text != '\0'; text++) {
		phial_text_add(entry, "%s%c", *text == '"' || *text == '\\' ? "\\" : "", *text);
	}
}

/* One error of several problems. */
static void add_message(struct phial_text *entry, const char *text)
{
	struct phial_span rest = phial_span_of(text);
	char line[PHIAL_HOOK_TEXT_BYTES];
	const char *between = PROGRAM ": ";

	while (phial_inject_next_problem(&rest, line, sizeof(line))) {
		phial_text_add(entry, "%s", between);
		add_quoted(entry, line);
		between = "; ";
	}
}

static void make_entry(struct phial_text *entry, const char *text, bool is_json)
{
	char now[PHIAL_TIME_TEXT_BYTES];

	phial_format_time((int64_t)time(NULL), now);
	if (is_json) {
		phial_text_add(entry, "{\"level\":\"error\",\"time\":\"%s\",\"msg\":\"", now);
	} else {
		phial_text_add(entry, "time=\"%s\" level=error msg=\"", now);
	}
	add_message(entry, text);
	phial_text_add(entry, "%s\n", is_json ? "\"}" : "\"");
}

/* crun also logs to "journald:NAME" and "syslog:NAME", which no engine reads errors from. */
static const char *log_path(const char *log)
{
	if (strncmp(log, "file:", 5) == 0) {
		return log + 5;
	}
	return strncmp(log, "journald:", 9) == 0 || strncmp(log, "syslog:", 7) == 0 ? NULL : log;
}

static void append(const char *path, const struct phial_text *entry)
{
	phial_auto_fd int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || phial_write_all(fd, entry->bytes, entry->length, NULL) != PHIAL_OK) {
		dprintf(STDERR_FILENO, PROGRAM ": write %s: %s\n", path, strerror(errno));
	}
}

void phial_runtime_report(const char *text, const char *log, const char *log_format)
{
	phial_auto_text struct phial_text entry = { .max = LOG_MAX_BYTES };
	struct phial_span rest = phial_span_of(text);
	const char *path = log ? log_path(log) : NULL;
	char line[PHIAL_HOOK_TEXT_BYTES];

	while (phial_inject_next_problem(&rest, line, sizeof(line))) {
		dprintf(STDERR_FILENO, PROGRAM ": %s\n", line);
	}
	if (!path || path[0] == '\0') {
		return;
	}
	make_entry(&entry, text, log_format && strcmp(log_format, "json") == 0);
	if (!entry.has_failed) {
		append(path, &entry);
	}
}
