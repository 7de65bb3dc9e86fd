/* SPDX-License-Identifier: ISC */
/*
 * minisign secret keys: making, reading, with a passphrase or without. Files are as
 * minisign(1) 0.11 writes them. It signs nothing.
 */
#include "crypt/signer.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"
#include "crypt/crypt.h"
#include "crypt/encoding.h"

#define SECRET_COMMENT PHIAL_UNTRUSTED_PREFIX "minisign encrypted secret key"

/* What minisign itself uses; more is refused before memory is taken. */
#define KDF_OPERATIONS	 UINT64_C(33554432)
#define KDF_MEMORY_BYTES UINT64_C(1073741824)

/* The part of a secret key file that a passphrase masks. */
struct masked_part {
	uint8_t key_id[8];
	uint8_t key[64]; /* Ed25519 seed and public key */
	uint8_t checksum[32];
};

/* The base64 line of a secret key file. Numbers are little-endian. */
struct secret_record {
	char algorithm[2];
	char kdf[2]; /* "Sc", or two zero bytes when nothing is masked */
	char checksum_algorithm[2];
	uint8_t salt[32];
	uint8_t operations[8];
	uint8_t memory[8];
	struct masked_part part;
};

_Static_assert(sizeof(struct secret_record) == 158, "no padding");

#define RECORD_TEXT_BYTES PHIAL_BASE64_TEXT_BYTES(sizeof(struct secret_record))

static const char kdf_none[2];
static const char kdf_scrypt[2] = { 'S', 'c' };
static const char checksum_blake2b[2] = { 'B', '2' };

static uint64_t load_le64(const uint8_t bytes[static 8])
{
	uint64_t value = 0;

	for (size_t i = 8; i > 0; i--) {
		value = value << 8 | bytes[i - 1];
	}
	return value;
}

static void store_le64(uint64_t value, uint8_t ret_bytes[static 8])
{
	for (size_t i = 0; i < 8; i++) {
		ret_bytes[i] = (uint8_t)(value >> (8 * i));
	}
}

static void compute_checksum(const struct secret_record *record, uint8_t ret_checksum[static 32])
{
	crypto_generichash_blake2b_state state;

	crypto_generichash_blake2b_init(&state, NULL, 0, 32);
	crypto_generichash_blake2b_update(&state, (const uint8_t *)record->algorithm, 2);
	crypto_generichash_blake2b_update(&state, record->part.key_id, 8);
	crypto_generichash_blake2b_update(&state, record->part.key, 64);
	crypto_generichash_blake2b_final(&state, ret_checksum, 32);
	sodium_memzero(&state, sizeof(state));
}

/* Mask or unmask: the passphrase's stream over the key, its id and its checksum. */
static enum phial_status apply_passphrase(struct secret_record *record,
					  const struct phial_secret *passphrase,
					  struct phial_error *err)
{
	uint8_t stream[sizeof(struct masked_part)];
	uint8_t *bytes = (uint8_t *)&record->part;

	if (crypto_pwhash_scryptsalsa208sha256(stream, sizeof(stream),
					       (const char *)phial_secret_const_bytes(passphrase),
					       phial_secret_length(passphrase), record->salt,
					       load_le64(record->operations),
					       (size_t)load_le64(record->memory)) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno,
				  "scrypt needs %" PRIu64 " MiB of memory",
				  load_le64(record->memory) / 1024 / 1024);
	}
	for (size_t i = 0; i < sizeof(stream); i++) {
		bytes[i] ^= stream[i];
	}
	sodium_memzero(stream, sizeof(stream));
	return PHIAL_OK;
}

/* True if the key's second half is the public key of its first, as it must be. */
static bool is_key_pair(const uint8_t key[static 64])
{
	uint8_t public_key[32];
	uint8_t again[64];

	crypto_sign_ed25519_seed_keypair(public_key, again, key);
	bool is_same = sodium_memcmp(again, key, sizeof(again)) == 0;

	sodium_memzero(again, sizeof(again));
	return is_same;
}

/* Read a key file's two lines into a record that the caller wipes. */
static enum phial_status read_record(const struct phial_secret *file,
				     struct secret_record *ret_record, struct phial_error *err)
{
	struct phial_span rest = { (const char *)phial_secret_const_bytes(file),
				   phial_secret_length(file) };
	struct phial_span line;

	if (!phial_next_line(&rest, &line, NULL) ||
	    !phial_span_skip(&line, PHIAL_UNTRUSTED_PREFIX) ||
	    !phial_next_line(&rest, &line, NULL)) {
		return phial_fail(err, PHIAL_BAD_KEY, 0,
				  "not a minisign secret key file (a comment line and a key line)");
	}
	if (line.length > 0 && line.text[line.length - 1] == '\r') {
		line.length--;
	}
	if (rest.length > 0 ||
	    !phial_base64_decode_exactly(line, PHIAL_BASE64_PADDED, (uint8_t *)ret_record,
					 sizeof(*ret_record)) ||
	    memcmp(ret_record->algorithm, PHIAL_MINISIGN_KEY_ALGORITHM, 2) != 0 ||
	    memcmp(ret_record->checksum_algorithm, checksum_blake2b, 2) != 0) {
		return phial_fail(err, PHIAL_BAD_KEY, 0,
				  "line 2 is not a minisign secret key (a public key, or damaged)");
	}
	return PHIAL_OK;
}

static bool is_masked(const struct secret_record *record)
{
	return memcmp(record->kdf, kdf_none, sizeof(kdf_none)) != 0;
}

bool phial_signer_needs_passphrase(const struct phial_secret *file)
{
	struct secret_record record;
	bool needs = read_record(file, &record, NULL) == PHIAL_OK && is_masked(&record);

	sodium_memzero(&record, sizeof(record));
	return needs;
}

static enum phial_status unmask(struct secret_record *record, const struct phial_secret *passphrase,
				struct phial_error *err)
{
	uint8_t checksum[32];

	if (memcmp(record->kdf, kdf_scrypt, sizeof(kdf_scrypt)) != 0) {
		return phial_fail(err, PHIAL_BAD_KEY, 0,
				  "a minisign key with an unknown way of encryption");
	}
	if (!passphrase) {
		return phial_fail(err, PHIAL_BAD_PASSPHRASE, 0,
				  "the key file is encrypted and needs its passphrase");
	}
	if (load_le64(record->operations) > KDF_OPERATIONS ||
	    load_le64(record->memory) > KDF_MEMORY_BYTES) {
		return phial_fail(err, PHIAL_BAD_KEY, 0,
				  "a minisign key that asks for more work than minisign's own");
	}
	enum phial_status status = apply_passphrase(record, passphrase, err);

	if (status != PHIAL_OK) {
		return status;
	}
	compute_checksum(record, checksum);
	if (sodium_memcmp(checksum, record->part.checksum, sizeof(checksum)) != 0) {
		return phial_fail(err, PHIAL_BAD_PASSPHRASE, 0, "the passphrase is wrong");
	}
	return PHIAL_OK;
}

/* Check a record in the open and copy its key into secret memory. */
static enum phial_status make_signer(const struct secret_record *record,
				     struct phial_signer **ret_signer, struct phial_error *err)
{
	/* minisign leaves the checksum of unencrypted keys zero; the pair itself tells more. */
	if (!is_key_pair(record->part.key)) {
		return phial_fail(err, PHIAL_BAD_KEY, 0,
				  "the minisign key is damaged: its halves do not match");
	}
	struct phial_signer *signer = calloc(1, sizeof(*signer));

	if (!signer) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "minisign key");
	}
	enum phial_status status = phial_secret_new(sizeof(record->part.key), &signer->key, err);

	if (status == PHIAL_OK) {
		status = phial_secret_append(signer->key, record->part.key,
					     sizeof(record->part.key), err);
	}
	if (status != PHIAL_OK) {
		phial_signer_free(signer);
		return status;
	}
	memcpy(signer->public_key.key_id, record->part.key_id, sizeof(record->part.key_id));
	memcpy(signer->public_key.key, record->part.key + 32, 32);
	*ret_signer = signer;
	return PHIAL_OK;
}

enum phial_status phial_signer_parse(const struct phial_secret *file,
				     const struct phial_secret *passphrase,
				     struct phial_signer **ret_signer, struct phial_error *err)
{
	struct secret_record record;
	enum phial_status status = read_record(file, &record, err);

	if (status == PHIAL_OK && is_masked(&record)) {
		status = unmask(&record, passphrase, err);
	}
	if (status == PHIAL_OK) {
		status = make_signer(&record, ret_signer, err);
	}
	sodium_memzero(&record, sizeof(record));
	return status;
}

void phial_signer_free(struct phial_signer *signer)
{
	if (signer) {
		phial_secret_free(signer->key);
		phial_free_pointer(&signer);
	}
}

void phial_signer_get_public(const struct phial_signer *signer,
			     struct phial_signer_public *ret_public)
{
	*ret_public = signer->public_key;
}

/* Make a key, and mask it if there is a passphrase. The caller wipes the record. */
static enum phial_status generate_record(const struct phial_secret *passphrase,
					 struct secret_record *record,
					 struct phial_signer_public *ret_public,
					 struct phial_error *err)
{
	memset(record, 0, sizeof(*record));
	memcpy(record->algorithm, PHIAL_MINISIGN_KEY_ALGORITHM, 2);
	memcpy(record->checksum_algorithm, checksum_blake2b, 2);
	randombytes_buf(record->part.key_id, sizeof(record->part.key_id));
	crypto_sign_ed25519_keypair(ret_public->key, record->part.key);
	memcpy(ret_public->key_id, record->part.key_id, sizeof(ret_public->key_id));
	if (!passphrase || phial_secret_length(passphrase) == 0) {
		return PHIAL_OK;
	}
	memcpy(record->kdf, kdf_scrypt, sizeof(kdf_scrypt));
	randombytes_buf(record->salt, sizeof(record->salt));
	store_le64(KDF_OPERATIONS, record->operations);
	store_le64(KDF_MEMORY_BYTES, record->memory);
	compute_checksum(record, record->part.checksum);
	return apply_passphrase(record, passphrase, err);
}

/* Write the secret key file's two lines into new secret memory. */
static enum phial_status write_secret_file(const struct secret_record *record,
					   struct phial_secret **ret_file, struct phial_error *err)
{
	static const char comment[] = SECRET_COMMENT "\n";
	phial_auto_secret struct phial_secret *file = NULL;
	char text[RECORD_TEXT_BYTES];
	enum phial_status status = phial_secret_new(sizeof(comment) + sizeof(text), &file, err);

	if (status == PHIAL_OK) {
		status = phial_secret_append(file, comment, sizeof(comment) - 1, err);
	}
	if (status == PHIAL_OK) {
		phial_base64_encode(record, sizeof(*record), PHIAL_BASE64_PADDED, text,
				    sizeof(text));
		text[sizeof(text) - 1] = '\n';
		status = phial_secret_append(file, text, sizeof(text), err);
		sodium_memzero(text, sizeof(text));
	}
	if (status == PHIAL_OK) {
		*ret_file = phial_take_pointer(file);
	}
	return status;
}

/* The public key file: minisign shows the key id as one number in hexadecimal. */
static enum phial_status write_public_file(const struct phial_signer_public *public_key,
					   char **ret_file, struct phial_error *err)
{
	phial_auto_text struct phial_text text = { .max = 256 };
	char key[PHIAL_SIGNER_TEXT_BYTES];

	phial_signer_public_format(public_key, key);
	phial_text_add(&text, PHIAL_UNTRUSTED_PREFIX "minisign public key %" PRIX64 "\n%s\n",
		       load_le64(public_key->key_id), key);
	if (text.has_failed) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "public key file");
	}
	*ret_file = phial_take_pointer(text.bytes);
	return PHIAL_OK;
}

enum phial_status phial_signer_generate(const struct phial_secret *passphrase,
					struct phial_secret **ret_secret_file,
					char **ret_public_file,
					struct phial_signer_public *ret_public,
					struct phial_error *err)
{
	phial_auto_secret struct phial_secret *secret_file = NULL;
	struct phial_signer_public public_key;
	struct secret_record record;
	enum phial_status status = phial_crypt_start(err);

	if (status != PHIAL_OK) {
		return status;
	}
	status = generate_record(passphrase, &record, &public_key, err);
	if (status == PHIAL_OK) {
		status = write_secret_file(&record, &secret_file, err);
	}
	sodium_memzero(&record, sizeof(record));
	if (status == PHIAL_OK) {
		status = write_public_file(&public_key, ret_public_file, err);
	}
	if (status == PHIAL_OK) {
		*ret_secret_file = phial_take_pointer(secret_file);
		*ret_public = public_key;
	}
	return status;
}
