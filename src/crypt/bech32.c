/* SPDX-License-Identifier: ISC */
/*
 * Bech32, the text form of age keys (BIP 173): a prefix, 5-bit values, and a checksum that
 * finds any four wrong characters. It does not know what the values mean, and not bech32m.
 */
#include "crypt/encoding.h"

#include <assert.h>
#include <string.h>

#include "crypt/crypt.h"

#define CHECKSUM_VALUES 6

static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/* One step of the checksum: the remainder of a polynomial over GF(32), BIP 173's "polymod". */
static uint32_t step(uint32_t remainder, uint32_t value)
{
	static const uint32_t generator[] = { 0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd,
					      0x2a1462b3 };
	uint32_t top = remainder >> 25;

	remainder = (remainder & 0x1ffffff) << 5 ^ value;
	for (size_t i = 0; i < 5; i++) {
		/* A mask instead of a branch: the values may be a secret key's. */
		remainder ^= generator[i] & (0 - ((top >> i) & 1));
	}
	return remainder;
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static char to_lower(char c)
{
	return (char)(is_upper(c) ? c - 'A' + 'a' : c);
}

static uint32_t checksum_prefix(const char *prefix, size_t length)
{
	uint32_t remainder = 1;

	for (size_t i = 0; i < length; i++) {
		remainder = step(remainder, (uint32_t)to_lower(prefix[i]) >> 5);
	}
	remainder = step(remainder, 0);
	for (size_t i = 0; i < length; i++) {
		remainder = step(remainder, (uint32_t)to_lower(prefix[i]) & 31);
	}
	return remainder;
}

/* Where the last '1' is, which ends the prefix; the length if there is none. */
static size_t find_separator(struct phial_span text)
{
	for (size_t i = text.length; i > 0; i--) {
		if (text.text[i - 1] == '1') {
			return i - 1;
		}
	}
	return text.length;
}

/* What is wrong with the characters and their number, or NULL. */
static const char *character_problem(struct phial_span text)
{
	bool has_upper = false;
	bool has_lower = false;

	if (text.length > PHIAL_BECH32_MAX) {
		return "too long";
	}
	for (size_t i = 0; i < text.length; i++) {
		char c = text.text[i];

		if (c < 33 || c > 126) {
			return "a character that does not belong there";
		}
		has_upper |= is_upper(c);
		has_lower |= is_lower(c);
	}
	return has_upper && has_lower ? "mixed upper and lower case" : NULL;
}

/* The 5-bit value of a character, found without leaving early; 32 if it has none. */
static uint32_t value_of(char c)
{
	uint32_t value = 32;
	char lower = to_lower(c);

	for (uint32_t i = 0; i < 32; i++) {
		value = alphabet[i] == lower ? i : value;
	}
	return value;
}

const char *phial_bech32_parse(struct phial_span text, struct phial_bech32 *ret_parts)
{
	const char *problem = character_problem(text);
	size_t separator = find_separator(text);

	if (problem) {
		return problem;
	}
	if (separator == text.length || separator == 0) {
		return "no prefix";
	}
	if (text.length - separator - 1 < CHECKSUM_VALUES) {
		return "too short";
	}
	uint32_t remainder = checksum_prefix(text.text, separator);

	ret_parts->value_count = 0;
	for (size_t i = separator + 1; i < text.length; i++) {
		uint32_t value = value_of(text.text[i]);

		if (value > 31) {
			return "a character that does not belong there";
		}
		remainder = step(remainder, value);
		ret_parts->values[ret_parts->value_count++] = (uint8_t)value;
	}
	if (remainder != 1) {
		return "the checksum is wrong (a typo, or part of it is missing)";
	}
	ret_parts->value_count -= CHECKSUM_VALUES;
	memcpy(ret_parts->prefix, text.text, separator);
	ret_parts->prefix[separator] = '\0';
	return NULL;
}

bool phial_bech32_bytes(const struct phial_bech32 *parts, uint8_t *ret_bytes, size_t expected)
{
	uint32_t bits = 0;
	uint32_t bit_count = 0;
	size_t length = 0;

	if (parts->value_count != (expected * 8 + 4) / 5) {
		return false;
	}
	for (size_t i = 0; i < parts->value_count; i++) {
		bits = (bits << 5 | parts->values[i]) & 0xfff;
		bit_count += 5;
		if (bit_count >= 8) {
			bit_count -= 8;
			ret_bytes[length++] = (uint8_t)(bits >> bit_count);
		}
	}
	/* What is left over pads the last value and must be zero: one form per key. */
	return length == expected && (bits & ((1U << bit_count) - 1)) == 0;
}

/* Cut bytes into 5-bit values, the last one padded with zero bits; returns how many. */
static size_t split_bytes(const uint8_t *bytes, size_t length, uint8_t *ret_values)
{
	size_t count = (length * 8 + 4) / 5;

	for (size_t i = 0; i < count; i++) {
		size_t bit = i * 5;
		uint32_t pair = (uint32_t)bytes[bit / 8] << 8;

		if (bit / 8 + 1 < length) {
			pair |= bytes[bit / 8 + 1];
		}
		ret_values[i] = (uint8_t)(pair >> (11 - bit % 8) & 31);
	}
	return count;
}

void phial_bech32_format(const char *prefix, const uint8_t *bytes, size_t length,
			 char ret_text[static PHIAL_BECH32_MAX + 1])
{
	uint8_t values[PHIAL_BECH32_MAX];
	size_t prefix_length = strlen(prefix);

	assert(prefix_length + 1 + (length * 8 + 4) / 5 + CHECKSUM_VALUES <= PHIAL_BECH32_MAX);
	size_t count = split_bytes(bytes, length, values);
	uint32_t remainder = checksum_prefix(prefix, prefix_length);

	for (size_t i = 0; i < count; i++) {
		remainder = step(remainder, values[i]);
	}
	for (size_t i = 0; i < CHECKSUM_VALUES; i++) {
		remainder = step(remainder, 0);
	}
	remainder ^= 1;
	for (size_t i = 0; i < CHECKSUM_VALUES; i++) {
		values[count++] = (uint8_t)(remainder >> (5 * (CHECKSUM_VALUES - 1 - i)) & 31);
	}
	memcpy(ret_text, prefix, prefix_length);
	ret_text[prefix_length] = '1';
	for (size_t i = 0; i < count; i++) {
		ret_text[prefix_length + 1 + i] = alphabet[values[i]];
	}
	ret_text[prefix_length + 1 + count] = '\0';
	phial_wipe(values, sizeof(values)); /* it may be a secret key */
}
