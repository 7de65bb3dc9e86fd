/* SPDX-License-Identifier: ISC */
/*
 * Keys. Hosts and people have age X25519 keys (`age1...` to seal to,
 * `AGE-SECRET-KEY-1...` to open with); those who may write secrets have minisign
 * keys. The files are those of age-keygen(1) and minisign(1), in both
 * directions. See https://age-encryption.org/v1 and minisign's file format.
 */
#ifndef PHIAL_KEYS_H
#define PHIAL_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>
#include <phial/secret.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of "age1..." and of "RW..." text, each with its NUL. */
#define PHIAL_RECIPIENT_TEXT_BYTES 63
#define PHIAL_SIGNER_TEXT_BYTES	   57

/* The largest key file that is read, in bytes, and the most identities in one. */
#define PHIAL_KEY_FILE_MAX_BYTES ((size_t)64 * 1024)
#define PHIAL_IDENTITIES_MAX	 64

/* An age X25519 public key. */
struct phial_recipient {
	uint8_t key[32];
};

/* A minisign public key. */
struct phial_signer_public {
	uint8_t key_id[8];
	uint8_t key[32]; /* Ed25519 */
};

/* One or more age X25519 secret keys, in secret memory. */
struct phial_identities;

/* A minisign secret key, in secret memory. */
struct phial_signer;

/*
 * Parse "age1...". text: NUL-terminated, nothing around it. Returns PHIAL_OK or
 * PHIAL_BAD_KEY (wrong kind, wrong length, checksum: the text says which, and
 * never quotes the input). See BIP 173 for the checksum.
 */
PHIAL_API PHIAL_CHECKED enum phial_status
phial_recipient_parse(const char *text, struct phial_recipient *ret_recipient,
		      struct phial_error *err);

/* Write "age1..." with its NUL. */
PHIAL_API void phial_recipient_format(const struct phial_recipient *recipient,
				      char ret_text[PHIAL_RECIPIENT_TEXT_BYTES]);

/*
 * Make a new age key. ret_file: the text of a key file as age-keygen writes it
 * (with "# created:" and "# public key:"), in secret memory that the caller frees.
 * created_s: seconds since 1970 for that comment. ret_recipient: its public half.
 * Returns PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_API PHIAL_CHECKED enum phial_status
phial_identity_generate(int64_t created_s, struct phial_secret **ret_file,
			struct phial_recipient *ret_recipient, struct phial_error *err);

/* True if the file is itself encrypted with a passphrase (armored or binary age). */
PHIAL_API bool phial_identities_need_passphrase(const struct phial_secret *file);

/*
 * Parse a key file: `AGE-SECRET-KEY-1...` lines, comments and empty lines, or an age
 * file that a passphrase opens to such text. passphrase: may be NULL when none is
 * needed. ret_identities: freed by the caller with phial_identities_free(). Returns
 * PHIAL_OK; PHIAL_BAD_KEY (line number in the text, never its content);
 * PHIAL_BAD_PASSPHRASE when it is wrong or missing; PHIAL_MALFORMED or
 * PHIAL_TAMPERED for a broken age file; PHIAL_SYSTEM.
 */
PHIAL_API PHIAL_CHECKED enum phial_status
phial_identities_parse(const struct phial_secret *file, const struct phial_secret *passphrase,
		       struct phial_identities **ret_identities, struct phial_error *err);

/* Wipe and free. identities: may be NULL. */
PHIAL_API void phial_identities_free(struct phial_identities *identities);

/* How many, at least 1. */
PHIAL_API size_t phial_identities_count(const struct phial_identities *identities);

/* The public half of identity number index (asserted to be below the count). */
PHIAL_API void phial_identities_recipient(const struct phial_identities *identities, size_t index,
					  struct phial_recipient *ret_recipient);

/*
 * Encrypt bytes to a passphrase as `age -p -a` does (scrypt, armored): for key files.
 * log_n: scrypt work factor, 10 to 20 (18 is age's own). ret_file: secret memory that
 * the caller frees. Returns PHIAL_OK, PHIAL_USAGE, PHIAL_SYSTEM. Takes about a second
 * and 256 MiB at 18.
 */
PHIAL_API PHIAL_CHECKED enum phial_status
phial_passphrase_encrypt(const struct phial_secret *plaintext,
			 const struct phial_secret *passphrase, unsigned int log_n,
			 struct phial_secret **ret_file, struct phial_error *err);

/*
 * Parse "RW..." (base64 of 42 bytes). Returns PHIAL_OK or PHIAL_BAD_KEY, never quoting
 * the input.
 */
PHIAL_API PHIAL_CHECKED enum phial_status
phial_signer_public_parse(const char *text, struct phial_signer_public *ret_public,
			  struct phial_error *err);

/* Write "RW..." with its NUL. */
PHIAL_API void phial_signer_public_format(const struct phial_signer_public *public_key,
					  char ret_text[PHIAL_SIGNER_TEXT_BYTES]);

/* True if both halves, key id and key, are equal. */
PHIAL_API bool phial_signer_public_equal(const struct phial_signer_public *a,
					 const struct phial_signer_public *b);

/*
 * Make a new minisign key. passphrase: NULL or empty makes an unencrypted secret key
 * (as `minisign -G -W`). ret_secret_file, ret_public_file: the texts of the two files,
 * which the caller frees (phial_secret_free, free). Returns PHIAL_OK or PHIAL_SYSTEM.
 * With a passphrase it takes seconds and 1 GiB of memory, as minisign itself does.
 */
PHIAL_API PHIAL_CHECKED enum phial_status
phial_signer_generate(const struct phial_secret *passphrase, struct phial_secret **ret_secret_file,
		      char **ret_public_file, struct phial_signer_public *ret_public,
		      struct phial_error *err);

/* True if the secret key file is encrypted with a passphrase. */
PHIAL_API bool phial_signer_needs_passphrase(const struct phial_secret *file);

/*
 * Parse a minisign secret key file. passphrase: may be NULL when none is needed.
 * ret_signer: freed with phial_signer_free(). Returns PHIAL_OK; PHIAL_BAD_KEY;
 * PHIAL_BAD_PASSPHRASE; PHIAL_SYSTEM.
 */
PHIAL_API PHIAL_CHECKED enum phial_status phial_signer_parse(const struct phial_secret *file,
							     const struct phial_secret *passphrase,
							     struct phial_signer **ret_signer,
							     struct phial_error *err);

/* Wipe and free. signer: may be NULL. */
PHIAL_API void phial_signer_free(struct phial_signer *signer);

/* The public half. */
PHIAL_API void phial_signer_get_public(const struct phial_signer *signer,
				       struct phial_signer_public *ret_public);

/*
 * Sign bytes as `minisign -S -H` does (prehashed Ed25519 over BLAKE2b-512, with a global
 * signature over the trusted comment). trusted_comment: one line of printable ASCII, at
 * most 256 bytes. ret_signature: the four lines of a .minisig file, freed by the caller.
 * Returns PHIAL_OK, PHIAL_USAGE, PHIAL_SYSTEM.
 */
PHIAL_API PHIAL_CHECKED enum phial_status
phial_minisign_sign(const struct phial_signer *signer, const uint8_t *bytes, size_t length,
		    const char *trusted_comment, char **ret_signature, struct phial_error *err);

/*
 * Verify a .minisig text, both signatures. bytes, length: what was signed.
 * signature, signature_length: the text. public_key: who must have signed it.
 * trusted_comment: what the trusted comment must say, or NULL for anything.
 * Returns PHIAL_OK; PHIAL_MALFORMED; PHIAL_UNTRUSTED when another key signed;
 * PHIAL_TAMPERED when a signature does not match. Legacy (not prehashed) signatures
 * are PHIAL_MALFORMED.
 */
PHIAL_API PHIAL_CHECKED enum phial_status
phial_minisign_verify(const uint8_t *bytes, size_t length, const char *signature,
		      size_t signature_length, const struct phial_signer_public *public_key,
		      const char *trusted_comment, struct phial_error *err);

#ifdef __cplusplus
}
#endif
#endif
