/* SPDX-License-Identifier: ISC */
/*
 * C-01 to C-03, from inside a container: tries whatever a process there can try to reach the
 * agent's keys. It gets the serials of ring and key as arguments, as if it had guessed them.
 *
 *	probe_keyring [--uid N] RING KEY
 *
 * Prints TAP; exit 0 when every attempt failed. Static: images have no library.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/keyctl.h>

static int count;
static int failures;

static long keyctl(long operation, long a, long b, long c, long d)
{
	return syscall(SYS_keyctl, operation, a, b, c, d);
}

/* An attempt that must fail, and leave nothing. */
static void refused(long answer, const char *what, long on)
{
	int reason = errno;

	count++;
	failures += answer >= 0;
	printf("%sok %d - C-01 %s %ld: %s\n", answer >= 0 ? "not " : "", count, what, on,
	       answer >= 0 ? "worked" : strerror(reason));
}

/* What would give possession, if the agent had put anything where all of a uid can reach it. */
static void gather_possession(void)
{
	(void)keyctl(KEYCTL_LINK, KEY_SPEC_USER_KEYRING, KEY_SPEC_SESSION_KEYRING, 0, 0);
	(void)keyctl(KEYCTL_LINK, KEY_SPEC_USER_SESSION_KEYRING, KEY_SPEC_SESSION_KEYRING, 0, 0);
	(void)keyctl(KEYCTL_GET_PERSISTENT, -1, KEY_SPEC_SESSION_KEYRING, 0, 0);
	(void)keyctl(KEYCTL_GET_PERSISTENT, 0, KEY_SPEC_SESSION_KEYRING, 0, 0);
	(void)keyctl(KEYCTL_GET_PERSISTENT, (long)geteuid(), KEY_SPEC_SESSION_KEYRING, 0, 0);
}

static void try_serial(long serial)
{
	static char buffer[65536];
	const long into = (long)(intptr_t)buffer;

	refused(keyctl(KEYCTL_READ, serial, into, sizeof(buffer), 0), "read", serial);
	refused(keyctl(KEYCTL_DESCRIBE, serial, into, sizeof(buffer), 0), "describe", serial);
	refused(keyctl(KEYCTL_LINK, serial, KEY_SPEC_SESSION_KEYRING, 0, 0), "link", serial);
	refused(keyctl(KEYCTL_LINK, serial, KEY_SPEC_USER_KEYRING, 0, 0), "link to @u", serial);
	refused(keyctl(KEYCTL_SETPERM, serial, 0x3f3f3f3f, 0, 0), "setperm", serial);
	refused(keyctl(KEYCTL_CHOWN, serial, (long)geteuid(), -1, 0), "chown", serial);
	refused(keyctl(KEYCTL_SET_TIMEOUT, serial, 1, 0, 0), "set timeout of", serial);
	refused(keyctl(KEYCTL_UPDATE, serial, into, 1, 0), "update", serial);
	refused(keyctl(KEYCTL_REVOKE, serial, 0, 0, 0), "revoke", serial);
	refused(keyctl(KEYCTL_INVALIDATE, serial, 0, 0, 0), "invalidate", serial);
	refused(keyctl(KEYCTL_CLEAR, serial, 0, 0, 0), "clear", serial);
	refused(keyctl(KEYCTL_SEARCH, serial, (long)(intptr_t) "user", (long)(intptr_t) "phial", 0),
		"search", serial);
}

/* /proc/keys, where it is not masked, names no key of phial's (they begin with "phial:"). */
static void look_at_proc_keys(void)
{
	char line[512];
	FILE *keys = fopen("/proc/keys", "r");
	int names = 0;

	while (keys && fgets(line, sizeof(line), keys)) {
		names += strstr(line, "phial:") != NULL;
	}
	if (keys) {
		(void)fclose(keys);
	}
	count++;
	failures += names > 0;
	printf("%sok %d - C-01 /proc/keys %s: %d names of phial's\n", names > 0 ? "not " : "",
	       count, keys ? "read" : "cannot be read", names);
}

/* A part of the serials around the key's, as a scan would meet them. */
static void scan_around(long serial)
{
	char text[256];
	int found = 0;

	for (long at = serial - 50000; at < serial + 50000; at++) {
		long length =
			keyctl(KEYCTL_DESCRIBE, at, (long)(intptr_t)text, sizeof(text) - 1, 0);

		if (length > 0 && length < (long)sizeof(text)) {
			text[length] = '\0';
			found += strstr(text, "phial:") != NULL;
		}
	}
	count++;
	failures += found > 0;
	printf("%sok %d - C-01 scan of 100000 serials: %d of phial's\n", found > 0 ? "not " : "",
	       count, found);
}

int main(int argc, char **argv)
{
	int at = 1;

	if (argc > 3 && strcmp(argv[1], "--uid") == 0) {
		uid_t uid = (uid_t)strtoul(argv[2], NULL, 10);

		if (setgid((gid_t)uid) != 0 || setuid(uid) != 0) {
			printf("Bail out! setuid: %s\n", strerror(errno));
			return 1;
		}
		at = 3;
	}
	if (argc != at + 2) {
		fprintf(stderr, "usage: probe_keyring [--uid N] RING KEY\n");
		return 2;
	}
	long ring = strtol(argv[at], NULL, 10);
	long key = strtol(argv[at + 1], NULL, 10);

	look_at_proc_keys();
	gather_possession();
	try_serial(ring);
	try_serial(key);
	scan_around(key);
	(void)keyctl(KEYCTL_JOIN_SESSION_KEYRING, (long)(intptr_t) "_ses", 0, 0, 0);
	gather_possession();
	try_serial(ring);
	try_serial(key);
	printf("1..%d\n", count);
	return failures != 0;
}
