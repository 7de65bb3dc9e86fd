/* SPDX-License-Identifier: ISC */
/*
 * The sealed file (`NAME.sealed`): bytes in, verdict out. No file, no clock, no
 * global. The format is specified to the byte in docs/sealed-format.md.
 *
 * Order of use: phial_sealed_parse(), then phial_sealed_verify() against the signers
 * one trusts, then phial_sealed_open(). Opening something that was not verified is
 * refused unless the caller says phial_sealed_accept_unsigned() explicitly.
 */
#ifndef PHIAL_SEALED_H
#define PHIAL_SEALED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>
#include <phial/keys.h>
#include <phial/secret.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Limits, checked before anything is allocated. Sizes in bytes, with no NUL. */
#define PHIAL_NAME_MAX_BYTES	       200
#define PHIAL_NAME_COMPONENT_MAX_BYTES 63
#define PHIAL_RECIPIENTS_MAX	       256
#define PHIAL_SEALED_HEADER_MAX_BYTES  ((size_t)64 * 1024)
#define PHIAL_SEALED_MAX_BYTES	       ((size_t)2 * 1024 * 1024)

/* Values of mode and owner that mean "not given". */
#define PHIAL_MODE_UNSET UINT32_MAX
#define PHIAL_ID_UNSET	 UINT32_MAX

/* Somebody a secret is sealed to: a name (one component of the name grammar) and a key. */
struct phial_named_recipient {
	char name[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	struct phial_recipient key;
};

/*
 * Somebody whose signature is believed for some names. patterns: `*` does not cross `/`;
 * no pattern at all means every name.
 */
struct phial_trusted_signer {
	char name[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	struct phial_signer_public key;
	const char *const *patterns; /* not owned */
	size_t pattern_count;
};

/* What a sealed file says in the open. */
struct phial_sealed_header {
	char name[PHIAL_NAME_MAX_BYTES + 1];
	uint64_t version;    /* milliseconds since 1970 or more, 1 to 2^53 */
	int64_t created_s;   /* seconds since 1970 */
	int64_t not_after_s; /* seconds since 1970; 0: does not expire */
	uint32_t mode;	     /* of the file in the container, 0000 to 0777, or PHIAL_MODE_UNSET */
	uint32_t owner_uid;  /* in the container, or PHIAL_ID_UNSET (both or none) */
	uint32_t owner_gid;
	struct phial_signer_public signer;
	const struct phial_named_recipient *recipients;
	size_t recipient_count; /* 1 to PHIAL_RECIPIENTS_MAX */
};

struct phial_sealed;

/*
 * Seal a value: write header, age body and signature. header: every field is used;
 * header->signer is ignored and taken from signer. value: 0 to 1 MiB. ret_bytes,
 * ret_length: the file, freed by the caller with free(). Returns PHIAL_OK;
 * PHIAL_BAD_NAME; PHIAL_USAGE for a header field out of range; PHIAL_BAD_KEY for a
 * low-order recipient key; PHIAL_TOO_LARGE; PHIAL_SYSTEM.
 */
PHIAL_API PHIAL_CHECKED enum phial_status phial_seal(const struct phial_sealed_header *header,
						     const struct phial_secret *value,
						     const struct phial_signer *signer,
						     uint8_t **ret_bytes, size_t *ret_length,
						     struct phial_error *err);

/*
 * Parse a sealed file strictly: the one canonical form or nothing. bytes: borrowed, must
 * outlive the result. ret_sealed: freed with phial_sealed_free(). No key is needed and
 * nothing is authenticated yet. Returns PHIAL_OK; PHIAL_MALFORMED (with the line number,
 * and a hint for CRLF and for git conflict markers); PHIAL_BAD_NAME; PHIAL_TOO_LARGE;
 * PHIAL_SYSTEM.
 */
PHIAL_API PHIAL_CHECKED enum phial_status phial_sealed_parse(const uint8_t *bytes, size_t length,
							     struct phial_sealed **ret_sealed,
							     struct phial_error *err);

/* Free. sealed: may be NULL. */
PHIAL_API void phial_sealed_free(struct phial_sealed *sealed);

/* The header; valid until sealed is freed. */
PHIAL_API const struct phial_sealed_header *
phial_sealed_get_header(const struct phial_sealed *sealed);

/*
 * Check the signature, and that its signer is one of signers and may sign this name.
 * ret_signer: may be NULL; set to the entry that matched. Returns PHIAL_OK;
 * PHIAL_UNTRUSTED for an unknown signer or a name outside the signer's patterns;
 * PHIAL_TAMPERED; PHIAL_MALFORMED for a signature in another form.
 */
PHIAL_API PHIAL_CHECKED enum phial_status
phial_sealed_verify(struct phial_sealed *sealed, const struct phial_trusted_signer *signers,
		    size_t signer_count, const struct phial_trusted_signer **ret_signer,
		    struct phial_error *err);

/*
 * Say that the caller accepts a file whose signature was not verified
 * (`--insecure-unsigned`).
 */
PHIAL_API void phial_sealed_accept_unsigned(struct phial_sealed *sealed);

/*
 * Open: find the recipient line of one of the identities, unwrap its stanza, decrypt,
 * and check that the body is bound to this header. value: secret memory with room for
 * PHIAL_SECRET_MAX_BYTES; replaced on success, wiped on failure. The caller checks
 * expiry (it has the clock) and versions (it has the marks). Returns PHIAL_OK;
 * PHIAL_REFUSED if the file was neither verified nor accepted unsigned;
 * PHIAL_NOT_RECIPIENT; PHIAL_TAMPERED; PHIAL_MALFORMED; PHIAL_TOO_LARGE.
 */
PHIAL_API PHIAL_CHECKED enum phial_status
phial_sealed_open(const struct phial_sealed *sealed, const struct phial_identities *identities,
		  struct phial_secret *value, struct phial_error *err);

/*
 * Check a secret name: 1 to 4 components `[A-Za-z0-9][A-Za-z0-9._-]{0,62}` joined by `/`,
 * at most 200 bytes. Returns PHIAL_OK or PHIAL_BAD_NAME with the reason.
 */
PHIAL_API PHIAL_CHECKED enum phial_status phial_name_check(const char *name,
							   struct phial_error *err);

/*
 * Check a pattern: a name in which `*` may also stand for any run of bytes within one
 * component. Returns PHIAL_OK or PHIAL_BAD_NAME.
 */
PHIAL_API PHIAL_CHECKED enum phial_status phial_pattern_check(const char *pattern,
							      struct phial_error *err);

/* True if a checked pattern matches a checked name. `*` never matches `/`. */
PHIAL_API bool phial_pattern_matches(const char *pattern, const char *name);

#ifdef __cplusplus
}
#endif
#endif
