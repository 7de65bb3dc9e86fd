/* SPDX-License-Identifier: ISC */
/*
 * Status values and the error record of libphial.
 *
 * Every call that can fail returns an enum phial_status and takes, as its last
 * parameter, a struct phial_error that the caller owns (usually on its stack).
 * The record is written once, where the failure happened, and never holds
 * secret bytes, key text or passphrases. It may be NULL when the caller needs
 * only the status.
 */
#ifndef PHIAL_ERROR_H
#define PHIAL_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#define PHIAL_API     __attribute__((visibility("default")))
#define PHIAL_CHECKED __attribute__((warn_unused_result))
#define PHIAL_PRINTF(format_index, first_index) \
	__attribute__((format(printf, format_index, first_index)))

/* Bytes of a struct phial_error's text, with its NUL. */
#define PHIAL_ERROR_TEXT_BYTES 512

/*
 * What went wrong, named for what the operator can do about it. The numbers
 * are the exit codes of every phial program and never change their meaning.
 */
enum phial_status {
	PHIAL_OK = 0,
	PHIAL_SYSTEM = 1,	   /* a system call failed: disk full, no memory, I/O */
	PHIAL_USAGE = 2,	   /* the command line or an argument is wrong */
	PHIAL_MALFORMED = 3,	   /* bytes do not follow their format */
	PHIAL_TAMPERED = 4,	   /* a signature or an authentication tag is wrong */
	PHIAL_UNTRUSTED = 5,	   /* signed, but not by anyone who may do so */
	PHIAL_NOT_RECIPIENT = 6,   /* no identity at hand opens it */
	PHIAL_EXPIRED = 7,	   /* past its not-after time */
	PHIAL_ROLLBACK = 8,	   /* older than its mark, or equal but different */
	PHIAL_BAD_NAME = 9,	   /* against the name grammar, or misnamed */
	PHIAL_TOO_LARGE = 10,	   /* over a documented limit */
	PHIAL_BAD_KEY = 11,	   /* not a key of the kind asked for, or a typo in it */
	PHIAL_BAD_PASSPHRASE = 12, /* wrong passphrase, or one is needed */
	PHIAL_EXISTS = 13,	   /* would overwrite something that is there */
	PHIAL_NOT_FOUND = 14,	   /* no such file, secret, host, signer or workload */
	PHIAL_DENIED = 15,	   /* file permissions, ownership, or not root */
	PHIAL_REFUSED = 16,	   /* policy, grant or gate says no */
	PHIAL_NO_AGENT = 17,	   /* the agent is not running or does not answer */
	PHIAL_UNSUPPORTED = 18,	   /* the kernel lacks it and nothing as safe exists */
	PHIAL_PROBLEMS = 19,	   /* a check found problems and listed them */
	PHIAL_GONE = 20,	   /* the container or peer went away in between */
	PHIAL_REVOKED = 21,	   /* the secret's version was revoked on this host */
};

/* One failure. text is one line, without a newline, in printable ASCII. */
struct phial_error {
	enum phial_status status;
	int os_error; /* errno of the failed system call, 0 if there was none */
	char text[PHIAL_ERROR_TEXT_BYTES];
};

/*
 * The class of a status in a few words ("signature or authentication failed").
 * status: any value; an unknown one gives "unknown status". The string is
 * static. Never fails, never blocks, allocates nothing.
 */
PHIAL_API const char *phial_status_text(enum phial_status status);

/*
 * Record a failure and return its status, so that a caller can write
 * `return phial_fail(err, PHIAL_SYSTEM, errno, "open %s", path);`.
 *
 * err: where to record it; may be NULL. status: what to return, not PHIAL_OK.
 * os_error: an errno value whose text is appended (": No space left on
 * device"), or 0. format: printf format; the result is cut to fit, and bytes
 * that are not printable ASCII are written as \xNN, so outside input may be
 * quoted safely. Never pass secret bytes. Keeps errno. Does not block or
 * allocate.
 */
PHIAL_API enum phial_status phial_fail(struct phial_error *err, enum phial_status status,
				       int os_error, const char *format, ...) PHIAL_PRINTF(4, 5);

/*
 * Put context in front of a recorded failure: "web/db: " + what was recorded, unless that begins
 * so already.
 * err: a record that phial_fail() filled; may be NULL. Returns err's status, for
 * use in a return statement, or PHIAL_SYSTEM if err is NULL: a caller whose own
 * caller may pass NULL returns the status that it has instead.
 */
PHIAL_API enum phial_status phial_fail_prefix(struct phial_error *err, const char *format, ...)
	PHIAL_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
#endif
