/* SPDX-License-Identifier: ISC */
/*
 * The agent's proof, at every start, that this kernel's keyrings protect as the design asks: no
 * reading from another session, and timeouts that end. Not a test of this code: a refusal to
 * run on a kernel, or below a filter, where the ring would protect nothing.
 */
#include "keyring/keyring.h"

#include <errno.h>
#include <keyutils.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXPIRY_WAIT_MS	    3000
#define EXPIRY_POLL_MS	    50
#define CHILD_ALL_IS_DENIED 0
#define CHILD_COULD_READ    1
#define CHILD_COULD_NOT_TRY 2

static const char probe_payload[PHIAL_KEY_HEADER_BYTES] = "phial self-test";

/* In a child: leave the session and try what a stranger with the serial could try. */
static int try_as_stranger(int32_t ring, int32_t serial)
{
	char byte;

	if (phial_keyring_leave(NULL) != PHIAL_OK) {
		return CHILD_COULD_NOT_TRY;
	}
	if (keyctl_read(serial, &byte, 1) >= 0 || errno != EACCES ||
	    keyctl_describe(serial, &byte, 1) >= 0 || errno != EACCES ||
	    keyctl_link(serial, KEY_SPEC_SESSION_KEYRING) == 0 || errno != EACCES ||
	    keyctl_read(ring, &byte, 1) >= 0 || errno != EACCES ||
	    keyctl_link(ring, KEY_SPEC_SESSION_KEYRING) == 0 || errno != EACCES) {
		return CHILD_COULD_READ;
	}
	return CHILD_ALL_IS_DENIED;
}

static enum phial_status check_other_session(int32_t ring, int32_t serial, struct phial_error *err)
{
	int outcome;
	pid_t child = fork();

	if (child < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "fork");
	}
	if (child == 0) {
		_exit(try_as_stranger(ring, serial));
	}
	while (waitpid(child, &outcome, 0) < 0) {
		if (errno != EINTR) {
			return phial_fail(err, PHIAL_SYSTEM, errno, "wait for the self-test");
		}
	}
	if (!WIFEXITED(outcome) || WEXITSTATUS(outcome) != CHILD_ALL_IS_DENIED) {
		return phial_fail(err, PHIAL_UNSUPPORTED, 0,
				  "self-test: another session can reach a key in the kernel "
				  "keyring, or could not try; secrets would not be safe there");
	}
	return PHIAL_OK;
}

static enum phial_status check_expiry(int32_t ring, int32_t serial, struct phial_error *err)
{
	const struct timespec pause = { 0, EXPIRY_POLL_MS * 1000000L };

	(void)ring;
	for (int waited_ms = 0; waited_ms < EXPIRY_WAIT_MS; waited_ms += EXPIRY_POLL_MS) {
		char byte;

		if (keyctl_read(serial, &byte, 1) < 0) {
			break;
		}
		(void)nanosleep(&pause, NULL);
	}
	char byte;

	if (keyctl_read(serial, &byte, 1) >= 0 || errno != EKEYEXPIRED) {
		return phial_fail(err, PHIAL_UNSUPPORTED, 0,
				  "self-test: a key with a timeout of one second does not expire; "
				  "secrets could outlive their time");
	}
	return PHIAL_OK;
}

/* Add a key, try something on it, drop it. timeout_s: as phial_keyring_add() takes it. */
static enum phial_status with_key(int32_t ring, uint32_t timeout_s,
				  enum phial_status (*check)(int32_t, int32_t,
							     struct phial_error *),
				  struct phial_error *err)
{
	int32_t serial;
	enum phial_status status = phial_keyring_add(ring, probe_payload, sizeof(probe_payload),
						     timeout_s, &serial, err);

	if (status != PHIAL_OK) {
		return status;
	}
	status = check(ring, serial, err);
	enum phial_status dropped = phial_keyring_drop(ring, serial, status ? NULL : err);

	return status != PHIAL_OK ? status : dropped;
}

enum phial_status phial_keyring_self_test(int32_t ring, struct phial_error *err)
{
	/* Two keys: one that expired while a busy machine started the child proves nothing. */
	enum phial_status status = with_key(ring, 0, check_other_session, err);

	return status == PHIAL_OK ? with_key(ring, 1, check_expiry, err) : status;
}
