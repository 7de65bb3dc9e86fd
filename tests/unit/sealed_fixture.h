/* SPDX-License-Identifier: ISC */
/* Keys and sealed files for the tests of the sealed room. */
#ifndef PHIAL_TESTS_SEALED_FIXTURE_H
#define PHIAL_TESTS_SEALED_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <phial/phial.h>

#include "base/cleanup.h"
#include "base/secret.h"

#define FIXTURE_CANARY "canary-51b2e0 value of a test"

/* Two of each: one that is meant, one that is not. */
struct fixture {
	struct phial_identities *identities[2];
	struct phial_recipient recipients[2];
	struct phial_signer *signers[2];
	struct phial_trusted_signer trusted[2]; /* alice: every name; bob: web/x */
	struct phial_named_recipient named[2];
	struct phial_sealed_header header;
	struct phial_secret *value; /* holds any value */
};

static const char *const fixture_bob_patterns[] = { "web/*" };

static inline void fixture_make_keys(struct fixture *f, size_t i)
{
	phial_auto_secret struct phial_secret *identity = NULL;
	phial_auto_secret struct phial_secret *signer = NULL;
	phial_auto_free char *public_file = NULL;

	assert_int_equal(phial_identity_generate(0, &identity, &f->recipients[i], NULL), PHIAL_OK);
	assert_int_equal(phial_identities_parse(identity, NULL, &f->identities[i], NULL), PHIAL_OK);
	assert_int_equal(phial_signer_generate(NULL, &signer, &public_file, &f->trusted[i].key,
					       NULL),
			 PHIAL_OK);
	assert_int_equal(phial_signer_parse(signer, NULL, &f->signers[i], NULL), PHIAL_OK);
	f->named[i].key = f->recipients[i];
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	fixture_make_keys(f, 0);
	fixture_make_keys(f, 1);
	(void)snprintf(f->trusted[0].name, sizeof(f->trusted[0].name), "alice");
	(void)snprintf(f->trusted[1].name, sizeof(f->trusted[1].name), "bob");
	f->trusted[1].patterns = fixture_bob_patterns;
	f->trusted[1].pattern_count = 1;
	(void)snprintf(f->named[0].name, sizeof(f->named[0].name), "h7");
	(void)snprintf(f->named[1].name, sizeof(f->named[1].name), "h8");
	f->header = (struct phial_sealed_header){
		.name = "web/db_password",
		.version = UINT64_C(1795304458123),
		.created_s = 1795300000,
		.mode = PHIAL_MODE_UNSET,
		.owner_uid = PHIAL_ID_UNSET,
		.owner_gid = PHIAL_ID_UNSET,
		.recipients = f->named,
		.recipient_count = 1,
	};
	assert_int_equal(phial_secret_new(PHIAL_SECRET_MAX_BYTES + 1, &f->value, NULL), PHIAL_OK);
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < 2; i++) {
		phial_identities_free(f->identities[i]);
		phial_signer_free(f->signers[i]);
	}
	phial_secret_free(f->value);
	free(f);
	return 0;
}

/* Put a value of `length` bytes into f->value: the canary, over and over. */
static inline void fixture_fill(struct fixture *f, size_t length)
{
	uint8_t *bytes = phial_secret_bytes(f->value);

	phial_secret_set_length(f->value, 0);
	for (size_t i = 0; i < length; i++) {
		bytes[i] = (uint8_t)FIXTURE_CANARY[i % (sizeof(FIXTURE_CANARY) - 1)];
	}
	phial_secret_set_length(f->value, length);
}

/* Seal what f->value and f->header hold with signer number `signer`. */
static inline uint8_t *fixture_seal(struct fixture *f, size_t signer, size_t *ret_length)
{
	struct phial_error err;
	uint8_t *bytes = NULL;

	if (phial_seal(&f->header, f->value, f->signers[signer], &bytes, ret_length, &err) !=
	    PHIAL_OK) {
		fail_msg("phial_seal: %s", err.text);
	}
	return bytes;
}

/* How far a file is taken. */
enum fixture_trust {
	FIXTURE_VERIFY,	  /* against alice and bob */
	FIXTURE_UNSIGNED, /* no signature is looked at */
};

/*
 * Parse, verify and open with identity number `identity`. On failure f->value must be empty
 * and wiped; that is asserted here, for every test.
 */
static inline enum phial_status fixture_open(struct fixture *f, const uint8_t *bytes, size_t length,
					     enum fixture_trust trust, size_t identity,
					     struct phial_error *err)
{
	static const uint8_t nothing[256];
	struct phial_sealed *sealed = NULL;

	phial_secret_set_length(f->value, 0);
	memset(phial_secret_bytes(f->value), 0, sizeof(nothing));
	enum phial_status status = phial_sealed_parse(bytes, length, &sealed, err);

	if (status == PHIAL_OK && trust == FIXTURE_VERIFY) {
		status = phial_sealed_verify(sealed, f->trusted, 2, NULL, err);
	} else if (status == PHIAL_OK) {
		phial_sealed_accept_unsigned(sealed);
	}
	if (status == PHIAL_OK) {
		status = phial_sealed_open(sealed, f->identities[identity], f->value, err);
	}
	phial_sealed_free(sealed);
	if (status != PHIAL_OK) {
		assert_int_equal(phial_secret_length(f->value), 0);
		assert_memory_equal(phial_secret_bytes(f->value), nothing, sizeof(nothing));
	}
	return status;
}

#endif
