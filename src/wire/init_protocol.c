/* SPDX-License-Identifier: ISC */
/*
 * Checks of the init protocol's records, the same for both sides. Pure: no descriptor, no memory
 * of its own, no order of frames (that is the doors').
 */
#include "wire/init_protocol.h"

#include <string.h>

#define KNOWN_FLAGS ((unsigned int)PHIAL_INIT_USES_ENV | (unsigned int)PHIAL_INIT_USES_FILE_ENV)

static enum phial_status malformed(struct phial_error *err, const char *frame, const char *what)
{
	return phial_fail(err, PHIAL_MALFORMED, 0, "%s message: %s", frame, what);
}

static enum phial_status unsupported(struct phial_error *err)
{
	return phial_fail(err, PHIAL_UNSUPPORTED, 0,
			  "the image's phial-init asks for what this agent (%s) does not know; "
			  "update the older of the two",
			  PHIAL_VERSION);
}

enum phial_status phial_init_decode_ask(const void *payload, size_t length,
					struct phial_init_ask *ret_ask, struct phial_error *err)
{
	static const uint8_t zeros[sizeof(ret_ask->reserved)];
	struct phial_init_ask ask;

	if (length != sizeof(ask)) {
		return malformed(err, "ASK", "wrong length");
	}
	memcpy(&ask, payload, sizeof(ask));
	if (ask.version != PHIAL_INIT_VERSION || (ask.flags & ~KNOWN_FLAGS) != 0 ||
	    memcmp(ask.reserved, zeros, sizeof(zeros)) != 0) {
		return unsupported(err);
	}
	if (ask.uid == UINT32_MAX || ask.gid == UINT32_MAX) {
		return malformed(err, "ASK", "an owner that cannot be");
	}
	*ret_ask = ask;
	return PHIAL_OK;
}

enum phial_status phial_init_decode_ready(const void *payload, size_t length,
					  struct phial_error *err)
{
	static const struct phial_init_ready known = { .version = PHIAL_INIT_VERSION };

	if (length != sizeof(known)) {
		return malformed(err, "READY", "wrong length");
	}
	return memcmp(payload, &known, sizeof(known)) == 0 ? PHIAL_OK : unsupported(err);
}

enum phial_status phial_init_decode_answer(const void *payload, size_t length,
					   struct phial_init_answer *ret_answer,
					   struct phial_error *err)
{
	/* Copied out first: it is 8 KB, and the caller's own. */
	if (length != sizeof(*ret_answer)) {
		return malformed(err, "ANSWER", "wrong length");
	}
	memcpy(ret_answer, payload, sizeof(*ret_answer));
	if (!memchr(ret_answer->target, '\0', sizeof(ret_answer->target)) ||
	    !memchr(ret_answer->text, '\0', sizeof(ret_answer->text))) {
		return malformed(err, "ANSWER", "a text without its end");
	}
	if (ret_answer->status == PHIAL_OK) {
		return ret_answer->target[0] == '/'
			       ? PHIAL_OK
			       : malformed(err, "ANSWER", "a target that is no path");
	}
	return ret_answer->text[0] != '\0' ? PHIAL_OK
					   : malformed(err, "ANSWER", "a refusal without a reason");
}
