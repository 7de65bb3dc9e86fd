/* SPDX-License-Identifier: ISC */
/*
 * Status texts and the error record. Prints nothing: a door does that. Allocates
 * nothing, so that it works when memory is short.
 */
#include <phial/error.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const status_texts[] = {
	[PHIAL_OK] = "ok",
	[PHIAL_SYSTEM] = "a system call failed",
	[PHIAL_USAGE] = "wrong usage",
	[PHIAL_MALFORMED] = "not in the expected format",
	[PHIAL_TAMPERED] = "signature or authentication failed",
	[PHIAL_UNTRUSTED] = "not signed by a trusted key",
	[PHIAL_NOT_RECIPIENT] = "not sealed to any key at hand",
	[PHIAL_EXPIRED] = "expired",
	[PHIAL_ROLLBACK] = "older than, or different from, what was seen before",
	[PHIAL_BAD_NAME] = "bad name",
	[PHIAL_TOO_LARGE] = "too large",
	[PHIAL_BAD_KEY] = "not a usable key",
	[PHIAL_BAD_PASSPHRASE] = "wrong or missing passphrase",
	[PHIAL_EXISTS] = "exists already",
	[PHIAL_NOT_FOUND] = "not found",
	[PHIAL_DENIED] = "permission denied",
	[PHIAL_REFUSED] = "refused by policy",
	[PHIAL_NO_AGENT] = "the agent does not answer",
	[PHIAL_UNSUPPORTED] = "not supported here",
	[PHIAL_PROBLEMS] = "problems were found",
	[PHIAL_GONE] = "went away in between",
	[PHIAL_REVOKED] = "revoked",
};

const char *phial_status_text(enum phial_status status)
{
	size_t index = (size_t)status;

	if (index >= sizeof(status_texts) / sizeof(status_texts[0]) || !status_texts[index]) {
		return "unknown status";
	}
	return status_texts[index];
}

/* Copy text as printable ASCII; anything else becomes \xNN. Cuts to fit. */
static void copy_printable(char *out, size_t out_bytes, const char *text)
{
	static const char digits[] = "0123456789abcdef";
	size_t used = 0;

	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte >= 0x20 && byte < 0x7f) {
			if (used + 2 > out_bytes) {
				break;
			}
			out[used++] = (char)byte;
			continue;
		}
		if (used + 5 > out_bytes) {
			break;
		}
		out[used++] = '\\';
		out[used++] = 'x';
		out[used++] = digits[byte >> 4];
		out[used++] = digits[byte & 15];
	}
	out[used] = '\0';
}

/* Room for what was formatted before it is made printable. */
#define RAW_TEXT_BYTES ((size_t)2 * PHIAL_ERROR_TEXT_BYTES)

enum phial_status phial_fail(struct phial_error *err, enum phial_status status, int os_error,
			     const char *format, ...)
{
	char raw[RAW_TEXT_BYTES];
	int saved = errno;
	va_list args;

	if (!err) {
		return status;
	}
	va_start(args, format);
	int written = vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	if (written < 0) {
		raw[0] = '\0';
		written = 0;
	}
	size_t length = strnlen(raw, sizeof(raw) - 1);

	if (os_error != 0) {
		(void)snprintf(raw + length, sizeof(raw) - length, ": %s", strerror(os_error));
	}
	err->status = status;
	err->os_error = os_error;
	copy_printable(err->text, sizeof(err->text), raw);
	errno = saved;
	return status;
}

enum phial_status phial_fail_prefix(struct phial_error *err, const char *format, ...)
{
	char raw[RAW_TEXT_BYTES];
	char old[PHIAL_ERROR_TEXT_BYTES];
	int saved = errno;
	va_list args;

	if (!err) {
		return PHIAL_SYSTEM;
	}
	va_start(args, format);
	(void)vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	memcpy(old, err->text, sizeof(old));
	size_t length = strnlen(raw, sizeof(raw) - 1);

	if (strncmp(old, raw, length) == 0 && strncmp(old + length, ": ", 2) == 0) {
		errno = saved; /* said once is enough */
		return err->status;
	}
	(void)snprintf(raw + length, sizeof(raw) - length, ": %s", old);
	copy_printable(err->text, sizeof(err->text), raw);
	errno = saved;
	return err->status;
}
