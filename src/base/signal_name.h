/* SPDX-License-Identifier: ISC */
/* Names of the signals with which a program is told of new secrets. */
#ifndef PHIAL_BASE_SIGNAL_NAME_H
#define PHIAL_BASE_SIGNAL_NAME_H

#define PHIAL_SIGNAL_TEXT_BYTES 16

/* All of them, for messages. */
#define PHIAL_SIGNAL_NAMES                                                          \
	"SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGQUIT, SIGWINCH, SIGCONT or " \
	"SIGRTMIN+0 to SIGRTMIN+30"

/*
 * The number of one of PHIAL_SIGNAL_NAMES; 0 for anything else. SIGRTMIN is 34, as glibc and Go
 * count. Pure. See signal(7).
 */
int phial_signal_parse(const char *name);

/* Write the name of such a signal with its NUL; of another one, its number. */
void phial_signal_format(int signal, char ret_name[PHIAL_SIGNAL_TEXT_BYTES]);

#endif
