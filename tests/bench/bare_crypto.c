/* SPDX-License-Identifier: ISC */
/*
 * The libsodium calls of loading a store, and nothing else: the same primitives, as often, over
 * as many bytes, for a store of COUNT files like the one given. What phial's loading is compared
 * with. It reads and checks nothing in that time.
 *
 *	bare_crypto COUNT FILE.sealed
 */
#include <sodium.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "bench.h"
#include "crypt/crypt.h"
#include "sealed/sealed.h"

#define TAG_BYTES crypto_aead_chacha20poly1305_ietf_ABYTES
#define COMMENT	  PHIAL_SEALED_TRUSTED_COMMENT

/* How many bytes each primitive works on for one file. */
struct sizes {
	size_t file;
	size_t signed_part;
	size_t header;
	size_t age_header;
	size_t chunk; /* with its tag */
};

/* Inputs that are as costly as real ones: the signatures and tags are right. */
struct inputs {
	uint8_t bytes[64 * 1024];
	uint8_t plaintext[64 * 1024];
	uint8_t chunk[64 * 1024 + TAG_BYTES];
	uint8_t digest[64];
	uint8_t global[64 + sizeof(COMMENT) - 1];
	uint8_t signature[64];
	uint8_t global_signature[64];
	uint8_t public_key[32];
	uint8_t secret[32];
	uint8_t share[32];
	uint8_t wrapped[32];
	uint8_t key[32];
	uint8_t nonce[12];
};

static struct sizes measure(const char *path)
{
	phial_auto_free uint8_t *bytes = NULL;
	phial_auto_sealed struct phial_sealed *sealed = NULL;
	phial_auto_age_file struct phial_age_file body = { 0 };
	struct sizes sizes = { .file = 0 };
	phial_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 ||
	    phial_read_all(fd, PHIAL_SEALED_MAX_BYTES, &bytes, &sizes.file, NULL) != PHIAL_OK ||
	    phial_sealed_parse(bytes, sizes.file, &sealed, NULL) != PHIAL_OK ||
	    phial_age_parse((const uint8_t *)sealed->body.text, sealed->body.length,
			    PHIAL_AGE_STRICT_ARMOR, &body, NULL) != PHIAL_OK) {
		bench_fail(path);
	}
	sizes.signed_part = sealed->signed_part.length;
	sizes.header = sealed->header_bytes.length;
	sizes.age_header = body.header_length;
	sizes.chunk = body.plaintext_length + TAG_BYTES;
	if (sizes.file > sizeof(((struct inputs *)0)->bytes)) {
		errno = EFBIG;
		bench_fail(path);
	}
	return sizes;
}

static void make_inputs(const struct sizes *sizes, struct inputs *in)
{
	uint8_t sign_key[64];

	randombytes_buf(in, sizeof(*in));
	crypto_sign_ed25519_keypair(in->public_key, sign_key);
	crypto_generichash_blake2b(in->digest, 64, in->bytes, sizes->signed_part, NULL, 0);
	crypto_sign_ed25519_detached(in->signature, NULL, in->digest, 64, sign_key);
	crypto_sign_ed25519_detached(in->global_signature, NULL, in->global, sizeof(in->global),
				     sign_key);
	crypto_aead_chacha20poly1305_ietf_encrypt(in->wrapped, NULL, in->bytes, 16, NULL, 0, NULL,
						  in->nonce, in->key);
	crypto_aead_chacha20poly1305_ietf_encrypt(in->chunk, NULL, in->plaintext,
						  sizes->chunk - TAG_BYTES, NULL, 0, NULL,
						  in->nonce, in->key);
}

static void hmac(const uint8_t *key, size_t key_length, const uint8_t *bytes, size_t length,
		 uint8_t *out)
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, key, key_length);
	crypto_auth_hmacsha256_update(&state, bytes, length);
	crypto_auth_hmacsha256_final(&state, out);
}

static void hkdf(const struct inputs *in, size_t input_length, size_t salt_length, uint8_t *out)
{
	hmac(in->bytes, salt_length, in->key, input_length, out);
	hmac(out, 32, in->bytes, 32, out); /* a label of some 30 bytes and a counter */
}

/* What minisign's and age's rules ask for one file. Returns false if anything was wrong. */
static bool open_one(const struct sizes *sizes, struct inputs *in)
{
	uint8_t digest[64];
	uint8_t key[32];
	bool is_right = true;

	crypto_generichash_blake2b(digest, 32, in->bytes, sizes->file, NULL, 0); /* for the mark */
	crypto_generichash_blake2b(digest, 64, in->bytes, sizes->signed_part, NULL, 0);
	is_right &=
		crypto_sign_ed25519_verify_detached(in->signature, digest, 64, in->public_key) == 0;
	is_right &= crypto_sign_ed25519_verify_detached(in->global_signature, in->global,
							sizeof(in->global), in->public_key) == 0;
	is_right &= crypto_scalarmult_curve25519(key, in->secret, in->share) == 0;
	hkdf(in, 32, 64, key); /* wrapping key */
	is_right &= crypto_aead_chacha20poly1305_ietf_decrypt(digest, NULL, NULL, in->wrapped, 32,
							      NULL, 0, in->nonce, in->key) == 0;
	hkdf(in, 16, 0, key); /* MAC key */
	hmac(key, 32, in->bytes, sizes->age_header, digest);
	hkdf(in, 16, 16, key); /* body key */
	is_right &= crypto_aead_chacha20poly1305_ietf_decrypt(in->plaintext, NULL, NULL, in->chunk,
							      sizes->chunk, NULL, 0, in->nonce,
							      in->key) == 0;
	crypto_generichash_blake2b(digest, 32, in->bytes, sizes->header, NULL, 0); /* binding */
	return is_right;
}

int main(int argc, char **argv)
{
	static struct inputs in;

	errno = EINVAL;
	if (argc != 3 || sodium_init() < 0) {
		bench_fail("usage: bare_crypto COUNT FILE.sealed");
	}
	size_t count = bench_parse_number(argv[1], 1000000);
	const struct sizes sizes = measure(argv[2]);

	make_inputs(&sizes, &in);
	for (size_t i = 0; i < count; i++) {
		if (!open_one(&sizes, &in)) {
			errno = 0;
			bench_fail("a check");
		}
	}
	return 0;
}
