/* SPDX-License-Identifier: ISC */
/* link: -Wl,--push-state,--no-as-needed -lz -Wl,--pop-state */
/*
 * The public age vectors (C2SP/CCTV), each with its documented result, one TAP line each. They
 * are read where they lie: PHIAL_CCTV, or ../shared/cctv-age beside the source (PHIAL_SRC, or
 * the working directory). Post-quantum vectors are skipped by name.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypt/crypt.h"

#define VECTOR_MAX_BYTES ((size_t)1024 * 1024)
#define FILE_MAX_BYTES	 ((size_t)32 * 1024 * 1024)

/* One vector: its header and the age file under test. */
struct vector {
	struct phial_span expect;
	struct phial_span payload;
	struct phial_span file_key;
	struct phial_span passphrase;
	struct phial_text identities; /* a key file of all identity lines */
	bool is_compressed;
	const uint8_t *file;
	size_t file_length;
	uint8_t *owned;
};

static bool read_fields(struct phial_span *rest, struct vector *vector)
{
	struct phial_span line;

	while (phial_next_line(rest, &line, NULL) && line.length > 0) {
		if (phial_span_skip(&line, "expect: ")) {
			vector->expect = line;
		} else if (phial_span_skip(&line, "payload: ")) {
			vector->payload = line;
		} else if (phial_span_skip(&line, "file key: ")) {
			vector->file_key = line;
		} else if (phial_span_skip(&line, "passphrase: ")) {
			vector->passphrase = line;
		} else if (phial_span_skip(&line, "identity: ")) {
			phial_text_add(&vector->identities, "%.*s\n", (int)line.length, line.text);
		} else if (phial_span_is(line, "compressed: zlib")) {
			vector->is_compressed = true;
		} else if (!phial_span_is(line, "armored: yes") &&
			   !phial_span_skip(&line, "comment: ")) {
			return false;
		}
	}
	return true;
}

static bool inflate_file(struct phial_span rest, struct vector *vector)
{
	uLongf length = FILE_MAX_BYTES;

	vector->owned = malloc(FILE_MAX_BYTES);
	if (!vector->owned ||
	    uncompress(vector->owned, &length, (const Bytef *)rest.text, rest.length) != Z_OK) {
		return false;
	}
	vector->file = vector->owned;
	vector->file_length = length;
	return true;
}

/* Unwrap with whichever secret the vector gives. */
static enum phial_status unwrap(const struct vector *vector, const struct phial_age_file *file,
				struct phial_age_key *key, struct phial_error *err)
{
	phial_auto_secret struct phial_secret *secret = NULL;
	struct phial_identities *identities = NULL;
	bool has_passphrase = vector->passphrase.text != NULL;
	const char *text = has_passphrase ? vector->passphrase.text : vector->identities.bytes;
	size_t length = has_passphrase ? vector->passphrase.length : vector->identities.length;
	enum phial_status status = phial_secret_new(4096, &secret, err);

	if (status == PHIAL_OK) {
		status = phial_secret_append(secret, text, length, err);
	}
	if (status == PHIAL_OK && has_passphrase) {
		return phial_age_unwrap_passphrase(file, secret, key, err);
	}
	if (status == PHIAL_OK) {
		status = phial_identities_parse(secret, NULL, &identities, err);
	}
	if (status == PHIAL_OK) {
		status = phial_age_unwrap(file, identities, NULL, key, err);
	}
	phial_identities_free(identities);
	return status;
}

static bool is_hex(struct phial_span expected, const uint8_t *bytes, size_t length)
{
	char hex[2 * crypto_hash_sha256_BYTES + 1];

	sodium_bin2hex(hex, sizeof(hex), bytes, length);
	return phial_span_is(expected, hex);
}

/* Decrypt; on success the plaintext and the file key must be the documented ones. */
static enum phial_status decrypt(const struct vector *vector, const struct phial_age_file *file,
				 const struct phial_age_key *key, bool *ret_is_same,
				 struct phial_error *err)
{
	uint8_t digest[crypto_hash_sha256_BYTES];
	phial_auto_free uint8_t *out = malloc(file->plaintext_length + 1);
	phial_auto_secret struct phial_secret *secret = NULL;
	enum phial_status status =
		out ? phial_age_decrypt_bytes(file, key, out, file->plaintext_length, err)
		    : phial_fail(err, PHIAL_SYSTEM, 0, "memory");

	if (status != PHIAL_OK) {
		return status;
	}
	crypto_hash_sha256(digest, out, file->plaintext_length);
	*ret_is_same = is_hex(vector->payload, digest, sizeof(digest)) &&
		       is_hex(vector->file_key, key->b, sizeof(key->b));
	if (file->plaintext_length > PHIAL_SECRET_MAX_BYTES) {
		return PHIAL_OK;
	}
	/* The way that values take gives the same. */
	status = phial_secret_new(PHIAL_SECRET_MAX_BYTES, &secret, err);
	if (status == PHIAL_OK) {
		status = phial_age_decrypt(file, key, NULL, 0, secret, err);
	}
	if (status == PHIAL_OK) {
		*ret_is_same &=
			phial_secret_length(secret) == file->plaintext_length &&
			memcmp(phial_secret_const_bytes(secret), out, file->plaintext_length) == 0;
	}
	return status;
}

/* The result in the words of the vectors. */
static const char *name_result(enum phial_status status, const struct phial_error *err)
{
	static const struct {
		const char *prefix;
		const char *result;
	} results[] = {
		{ "age armor:", "armor failure" },
		{ "age header:", "header failure" },
		{ "age body:", "payload failure" },
	};

	if (status == PHIAL_OK) {
		return "success";
	}
	if (status == PHIAL_NOT_RECIPIENT || status == PHIAL_BAD_PASSPHRASE) {
		return "no match";
	}
	if (status == PHIAL_TAMPERED && strncmp(err->text, "age header:", 11) == 0) {
		return "HMAC failure";
	}
	for (size_t i = 0; i < PHIAL_COUNT(results); i++) {
		if (strncmp(err->text, results[i].prefix, strlen(results[i].prefix)) == 0) {
			return results[i].result;
		}
	}
	return "another failure";
}

static bool run_vector(const struct vector *vector)
{
	phial_auto_age_file struct phial_age_file file = { 0 };
	struct phial_age_key key;
	struct phial_error err = { 0 };
	bool is_same = false;
	enum phial_status status =
		phial_age_parse(vector->file, vector->file_length, PHIAL_AGE_ANY_FORM, &file, &err);

	if (status == PHIAL_OK) {
		status = unwrap(vector, &file, &key, &err);
	}
	if (status == PHIAL_OK) {
		status = decrypt(vector, &file, &key, &is_same, &err);
	}
	const char *result = name_result(status, &err);

	if (!phial_span_is(vector->expect, result)) {
		printf("# expected %.*s, got %s: %s\n", (int)vector->expect.length,
		       vector->expect.text, result, err.text);
		return false;
	}
	return status != PHIAL_OK || is_same;
}

/* Only what has a hybrid (ML-KEM) recipient is beyond age v1 as phial has it. */
static bool is_post_quantum(const char *name)
{
	return strncmp(name, "hybrid", 6) == 0 || strcmp(name, "armor_hybrid") == 0;
}

static bool check_file(int folder_fd, const char *name)
{
	phial_auto_fd int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
	phial_auto_free uint8_t *bytes = NULL;
	struct vector vector = { .identities = { .max = 4096 } };
	size_t length = 0;

	if (fd < 0 || phial_read_all(fd, VECTOR_MAX_BYTES, &bytes, &length, NULL) != PHIAL_OK) {
		return false;
	}
	struct phial_span rest = { (const char *)bytes, length };
	bool is_right = read_fields(&rest, &vector);

	vector.file = (const uint8_t *)rest.text;
	vector.file_length = rest.length;
	is_right = is_right && (!vector.is_compressed || inflate_file(rest, &vector)) &&
		   run_vector(&vector);
	free(vector.owned);
	phial_text_free(&vector.identities);
	return is_right;
}

static int is_vector(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && strcmp(entry->d_name, "README.md") != 0;
}

static int open_folder(void)
{
	const char *given = getenv("PHIAL_CCTV");
	const char *source = getenv("PHIAL_SRC");
	phial_auto_text struct phial_text path = { .max = 4096 };

	if (given) {
		return open(given, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	phial_text_add(&path, "%s/../shared/cctv-age", source ? source : ".");
	return path.bytes ? open(path.bytes, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

int main(void)
{
	phial_auto_fd int folder_fd = open_folder();
	struct dirent **names = NULL;
	int failures = 0;

	if (folder_fd < 0) {
		printf("1..1\nok 1 - public age vectors # SKIP no folder cctv-age, see PHIAL_CCTV\n");
		return 0;
	}
	int count = scandirat(folder_fd, ".", &names, is_vector, alphasort);

	if (count <= 0) {
		printf("1..1\nnot ok 1 - the folder of the public age vectors is empty\n");
		return 1;
	}
	printf("1..%d\n", count);
	for (int i = 0; i < count; i++) {
		const char *name = names[i]->d_name;

		if (is_post_quantum(name)) {
			printf("ok %d - %s # SKIP post-quantum recipients are not supported\n",
			       i + 1, name);
		} else if (check_file(folder_fd, name)) {
			printf("ok %d - %s\n", i + 1, name);
		} else {
			printf("not ok %d - %s\n", i + 1, name);
			failures++;
		}
		free(names[i]);
	}
	free(names);
	return failures > 0;
}
