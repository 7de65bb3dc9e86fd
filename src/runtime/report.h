/* SPDX-License-Identifier: ISC */
/* Telling people and engines why a container does not start. */
#ifndef PHIAL_RUNTIME_REPORT_H
#define PHIAL_RUNTIME_REPORT_H

/*
 * Print a text of one problem a line on stderr, and append it as one error to the engine's log
 * file, as runc and crun do: engines show the last error that they find there. log: the runtime's
 * --log, or NULL; log_format: its --log-format, or NULL for text. A log that cannot be written to
 * is left out: stderr has it.
 */
void phial_runtime_report(const char *text, const char *log, const char *log_format);

#endif
