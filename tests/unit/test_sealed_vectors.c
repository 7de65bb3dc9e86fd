/* SPDX-License-Identifier: ISC */
/*
 * The committed vectors (tests/vectors/sealed), one test each: a good one opens to the value
 * with the right hash, a bad one fails with its class and gives nothing.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include <phial/phial.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/secret.h"

#define VECTORS_MAX  256
#define VECTORS_PATH "tests/vectors/sealed"

/* One row of the manifest; the texts lie in the manifest's bytes. */
struct vector {
	const char *file;
	const char *expected;
	const char *sha256_hex;
};

static const struct {
	const char *name;
	enum phial_status status;
} classes[] = {
	{ "ok", PHIAL_OK },
	{ "malformed", PHIAL_MALFORMED },
	{ "tampered", PHIAL_TAMPERED },
	{ "untrusted", PHIAL_UNTRUSTED },
	{ "not-recipient", PHIAL_NOT_RECIPIENT },
	{ "bad-name", PHIAL_BAD_NAME },
	{ "too-large", PHIAL_TOO_LARGE },
};

static struct phial_identities *identities;
static struct phial_trusted_signer signers[2];
static const char *const bob_patterns[] = { "web/*" };
static struct phial_secret *value;

static uint8_t *read_file(const char *relative, size_t *ret_length)
{
	char path[512];
	uint8_t *bytes = NULL;

	(void)snprintf(path, sizeof(path), "%s/%s", VECTORS_PATH, relative);
	phial_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 ||
	    phial_read_all(fd, PHIAL_SEALED_MAX_BYTES * 2, &bytes, ret_length, NULL) != PHIAL_OK) {
		(void)fprintf(stderr, "cannot read %s (run from the project's top)\n", path);
		exit(1);
	}
	return bytes;
}

static enum phial_status class_status(const char *name)
{
	for (size_t i = 0; i < PHIAL_COUNT(classes); i++) {
		if (strcmp(classes[i].name, name) == 0) {
			return classes[i].status;
		}
	}
	fail_msg("manifest: no class %s", name);
	return PHIAL_SYSTEM;
}

static enum phial_status open_vector(const uint8_t *bytes, size_t length, struct phial_error *err)
{
	struct phial_sealed *sealed = NULL;
	enum phial_status status = phial_sealed_parse(bytes, length, &sealed, err);

	if (status == PHIAL_OK) {
		status = phial_sealed_verify(sealed, signers, PHIAL_COUNT(signers), NULL, err);
	}
	if (status == PHIAL_OK) {
		status = phial_sealed_open(sealed, identities, value, err);
	}
	phial_sealed_free(sealed);
	return status;
}

static void check_vector(void **state)
{
	const struct vector *vector = *state;
	struct phial_error err = { 0 };
	size_t length;
	phial_auto_free uint8_t *bytes = read_file(vector->file, &length);

	phial_secret_wipe(value);
	enum phial_status status = open_vector(bytes, length, &err);

	if (status != class_status(vector->expected)) {
		fail_msg("%s: expected %s, got status %d (%s)", vector->file, vector->expected,
			 (int)status, err.text);
	}
	if (status != PHIAL_OK) {
		assert_int_equal(phial_secret_length(value), 0);
		assert_true(sodium_is_zero(phial_secret_bytes(value), 4096));
		assert_true(strlen(err.text) > 0);
		return;
	}
	uint8_t hash[crypto_hash_sha256_BYTES];
	char hex[2 * sizeof(hash) + 1];

	crypto_hash_sha256(hash, phial_secret_const_bytes(value), phial_secret_length(value));
	sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
	assert_string_equal(hex, vector->sha256_hex);
}

/* keys/signers: alice, who may seal everything, and bob with his patterns. */
static void load_signers(void)
{
	size_t length;
	phial_auto_free uint8_t *bytes = read_file("keys/signers", &length);
	struct phial_span rest = { (const char *)bytes, length };
	struct phial_span line;
	struct phial_span word;
	char text[PHIAL_SIGNER_TEXT_BYTES];

	for (size_t i = 0; i < 2; i++) {
		assert_true(phial_next_line(&rest, &line, NULL));
		assert_true(phial_next_word(&line, &word));
		assert_true(phial_span_copy(word, signers[i].name, sizeof(signers[i].name)));
		assert_true(phial_next_word(&line, &word));
		assert_true(phial_span_copy(word, text, sizeof(text)));
		assert_int_equal(phial_signer_public_parse(text, &signers[i].key, NULL), PHIAL_OK);
	}
	signers[1].patterns = bob_patterns;
	signers[1].pattern_count = 1;
}

static int load_keys(void **state)
{
	size_t length;
	phial_auto_free uint8_t *bytes = read_file("keys/h7.key", &length);
	phial_auto_secret struct phial_secret *file = NULL;

	(void)state;
	assert_int_equal(phial_secret_new(length, &file, NULL), PHIAL_OK);
	assert_int_equal(phial_secret_append(file, bytes, length, NULL), PHIAL_OK);
	assert_int_equal(phial_identities_parse(file, NULL, &identities, NULL), PHIAL_OK);
	assert_int_equal(phial_secret_new(PHIAL_SECRET_MAX_BYTES, &value, NULL), PHIAL_OK);
	load_signers();
	return 0;
}

static int free_keys(void **state)
{
	(void)state;
	phial_identities_free(identities);
	phial_secret_free(value);
	return 0;
}

/* Cut the manifest into rows. manifest: changed, and pointed into. */
static size_t read_manifest(char *manifest, struct vector vectors[static VECTORS_MAX])
{
	char *rest = manifest;
	size_t count = 0;

	for (char *row = strsep(&rest, "\n"); row && count < VECTORS_MAX;
	     row = strsep(&rest, "\n")) {
		if (row[0] == '#' || row[0] == '\0') {
			continue;
		}
		vectors[count].file = strsep(&row, "\t");
		vectors[count].expected = strsep(&row, "\t");
		vectors[count].sha256_hex = strsep(&row, "\t");
		count++;
	}
	return count;
}

int main(void)
{
	static struct vector vectors[VECTORS_MAX];
	static struct CMUnitTest tests[VECTORS_MAX];
	size_t length;
	phial_auto_free uint8_t *manifest = read_file("manifest.tsv", &length);
	size_t count = read_manifest((char *)manifest, vectors);

	for (size_t i = 0; i < count; i++) {
		tests[i] = (struct CMUnitTest){ .name = vectors[i].file,
						.test_func = check_vector,
						.initial_state = &vectors[i] };
	}
	return count < 80 ? 1
			  : _cmocka_run_group_tests("sealed vectors", tests, count, load_keys,
						    free_keys);
}
