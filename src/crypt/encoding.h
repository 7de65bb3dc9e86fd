/* SPDX-License-Identifier: ISC */
/* Inside crypt: base64, bech32 and age's armor. Nothing here blocks. */
#ifndef PHIAL_CRYPT_ENCODING_H
#define PHIAL_CRYPT_ENCODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

#include "base/parse.h"
#include "base/text.h"

/* Get libsodium ready; cheap when it already is. Returns PHIAL_OK or PHIAL_SYSTEM. */
PHIAL_CHECKED enum phial_status phial_crypt_start(struct phial_error *err);

/* Standard alphabet (RFC 4648 section 4), with '=' or without. */
enum phial_base64 {
	PHIAL_BASE64_PADDED,
	PHIAL_BASE64_BARE,
};

/* Bytes of the text of length bytes, padded, with its NUL. */
#define PHIAL_BASE64_TEXT_BYTES(length) (((length) + 2) / 3 * 4 + 1)

/*
 * Decode the one canonical form of at most capacity bytes. Returns false, with ret_bytes
 * undefined, for any other text. Takes no time that depends on the bytes.
 */
bool phial_base64_decode(struct phial_span text, enum phial_base64 variant, uint8_t *ret_bytes,
			 size_t capacity, size_t *ret_length);

/* The same, and the text must hold exactly expected bytes. */
bool phial_base64_decode_exactly(struct phial_span text, enum phial_base64 variant,
				 uint8_t *ret_bytes, size_t expected);

/* Encode with a NUL. text_bytes: room, enough for the padded text (asserted). */
void phial_base64_encode(const void *bytes, size_t length, enum phial_base64 variant,
			 char *ret_text, size_t text_bytes);

/* BIP 173: at most 90 characters, of which the last 6 are the checksum. */
#define PHIAL_BECH32_MAX 90

/* A bech32 text taken apart. May hold a secret: wiped by who parsed it. */
struct phial_bech32 {
	char prefix[PHIAL_BECH32_MAX + 1]; /* as written, before the last '1' */
	uint8_t values[PHIAL_BECH32_MAX];  /* 5 bits each, without the checksum */
	size_t value_count;
};

/*
 * Take a bech32 text apart and check its checksum. Returns NULL when it is right, else what is
 * wrong with it in a few words that quote nothing. See BIP 173.
 */
const char *phial_bech32_parse(struct phial_span text, struct phial_bech32 *ret_parts);

/*
 * Join the 5-bit values to exactly expected bytes, the bits left over being zero. Returns
 * false if they are not such.
 */
bool phial_bech32_bytes(const struct phial_bech32 *parts, uint8_t *ret_bytes, size_t expected);

/*
 * Write bytes as bech32 in lower case. prefix: lower case. ret_text: with a NUL; room for
 * PHIAL_BECH32_MAX + 1 bytes (asserted to suffice).
 */
void phial_bech32_format(const char *prefix, const uint8_t *bytes, size_t length,
			 char ret_text[static PHIAL_BECH32_MAX + 1]);

/* Bytes of base64 text in a full line of armor, and what they encode. */
#define PHIAL_ARMOR_COLUMNS    64
#define PHIAL_ARMOR_LINE_BYTES 48

/*
 * Take off the armor. is_strict: only the form that phial_armor_format() writes; else CRLF and
 * white space around it are accepted, as age accepts them. ret_bytes: freed by the caller.
 * Returns PHIAL_OK, PHIAL_MALFORMED ("age armor: ...", with the line number) or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_armor_parse(struct phial_span text, bool is_strict,
						  uint8_t **ret_bytes, size_t *ret_length,
						  struct phial_error *err);

/* Append bytes in armor, with a '\n' after the last line. Sets text->has_failed. */
void phial_armor_format(const uint8_t *bytes, size_t length, struct phial_text *text);

#endif
