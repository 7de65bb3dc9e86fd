/* SPDX-License-Identifier: ISC */
/*
 * Writes a sealed file: header, age body bound to it, signature over both. Takes time and
 * version from its caller and writes no file.
 */
#include "sealed/sealed.h"

#include <string.h>

#include "base/secret.h"
#include "base/text.h"
#include "sealed/header.h"

#define BINDING_PREFIX "phial "

void phial_sealed_format_binding(struct phial_span header_bytes,
				 char ret_line[static PHIAL_SEALED_BINDING_BYTES])
{
	const size_t prefix_bytes = sizeof(BINDING_PREFIX) - 1;
	char hex[PHIAL_HASH_HEX_BYTES];

	phial_hash_256_hex(header_bytes.text, header_bytes.length, hex);
	memcpy(ret_line, BINDING_PREFIX, prefix_bytes);
	memcpy(ret_line + prefix_bytes, hex, sizeof(hex) - 1);
	ret_line[PHIAL_SEALED_BINDING_BYTES - 1] = '\n';
}

/* Append the body: binding line and value, encrypted to the header's recipients. */
static enum phial_status add_body(const struct phial_sealed_header *header,
				  const struct phial_secret *value, struct phial_text *text,
				  struct phial_error *err)
{
	char binding[PHIAL_SEALED_BINDING_BYTES];
	phial_auto_secret struct phial_secret *plaintext = NULL;
	phial_auto_free struct phial_recipient *keys =
		malloc(header->recipient_count * sizeof(*keys));
	phial_auto_free char *body = NULL;
	size_t body_length;

	if (!keys) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "memory for recipients");
	}
	for (size_t i = 0; i < header->recipient_count; i++) {
		keys[i] = header->recipients[i].key;
	}
	phial_sealed_format_binding((struct phial_span){ text->bytes, text->length }, binding);
	enum phial_status status =
		phial_secret_new(sizeof(binding) + phial_secret_length(value), &plaintext, err);

	if (status == PHIAL_OK) {
		status = phial_secret_append(plaintext, binding, sizeof(binding), err);
	}
	if (status == PHIAL_OK) {
		status = phial_secret_append(plaintext, phial_secret_const_bytes(value),
					     phial_secret_length(value), err);
	}
	if (status == PHIAL_OK) {
		status = phial_age_encrypt(keys, header->recipient_count, plaintext, &body,
					   &body_length, err);
	}
	if (status == PHIAL_OK) {
		phial_text_add_bytes(text, body, body_length);
	}
	return status;
}

/* Append the signature over all that stands there. */
static enum phial_status add_signature(const struct phial_signer *signer, struct phial_text *text,
				       struct phial_error *err)
{
	phial_auto_free char *signature = NULL;
	enum phial_status status =
		phial_minisign_sign(signer, (const uint8_t *)text->bytes, text->length,
				    PHIAL_SEALED_TRUSTED_COMMENT, &signature, err);

	if (status == PHIAL_OK) {
		phial_text_add_bytes(text, signature, strlen(signature));
	}
	return status;
}

enum phial_status phial_seal(const struct phial_sealed_header *header,
			     const struct phial_secret *value, const struct phial_signer *signer,
			     uint8_t **ret_bytes, size_t *ret_length, struct phial_error *err)
{
	phial_auto_text struct phial_text text = { .max = PHIAL_SEALED_MAX_BYTES };
	struct phial_sealed_header signed_header = *header;
	enum phial_status status = phial_sealed_header_check(header, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (phial_secret_length(value) > PHIAL_SECRET_MAX_BYTES) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0,
				  "%s: the value is larger than %zu bytes (1 MiB)", header->name,
				  PHIAL_SECRET_MAX_BYTES);
	}
	phial_signer_get_public(signer, &signed_header.signer);
	phial_sealed_header_format(&signed_header, &text);
	if (!text.has_failed) {
		status = add_body(&signed_header, value, &text, err);
	}
	if (status == PHIAL_OK && !text.has_failed) {
		status = add_signature(signer, &text, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	if (text.has_failed) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "memory for a sealed file");
	}
	*ret_length = text.length;
	*ret_bytes = (uint8_t *)phial_take_pointer(text.bytes);
	return PHIAL_OK;
}
