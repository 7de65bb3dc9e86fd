/* SPDX-License-Identifier: ISC */
/*
 * The sealed file: whatever is parsed has one form (its header, written again, is the same
 * bytes), and goes on through verifying and opening. Keys are those of the vectors; a mutated
 * input passes no signature, so it is opened unsigned as well.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sealed/header.h"
#include "sealed/sealed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* tests/vectors/sealed/keys/h7.key and alice, worth nothing. */
#define HOST_KEY "AGE-SECRET-KEY-1YJ2QQPMLXAKS5WQQ8YD3LHKZX5WXW8V7HJ95PHHHEDCLEGH8LTRQZKSQC5"
#define ALICE	 "RWQhkB/qYOA/bPS+y8v9bREx8Iqzi/QVS2iI1Oonw5M8ffUF7B5R6Y2/"

static struct phial_identities *host;
static struct phial_trusted_signer alice = { .name = "alice" };
static struct phial_secret *value;

static void must(int holds)
{
	if (!holds) {
		abort();
	}
}

static void start(void)
{
	struct phial_secret *file;

	must(phial_secret_new(256, &file, NULL) == PHIAL_OK);
	must(phial_secret_append(file, HOST_KEY, sizeof(HOST_KEY) - 1, NULL) == PHIAL_OK);
	must(phial_identities_parse(file, NULL, &host, NULL) == PHIAL_OK);
	phial_secret_free(file);
	must(phial_signer_public_parse(ALICE, &alice.key, NULL) == PHIAL_OK);
	/* A small buffer is cheap to wipe; larger values are refused for want of room. */
	must(phial_secret_new((size_t)128 * 1024, &value, NULL) == PHIAL_OK);
}

/* What the parser takes and what a writer would write are the same. */
static void check_canonical(const struct phial_sealed *sealed)
{
	struct phial_text again = { .max = PHIAL_SEALED_HEADER_MAX_BYTES };

	must(phial_sealed_header_check(&sealed->header, NULL) == PHIAL_OK);
	phial_sealed_header_format(&sealed->header, &again);
	must(!again.has_failed && again.length == sealed->header_bytes.length);
	must(memcmp(again.bytes, sealed->header_bytes.text, again.length) == 0);
	phial_text_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct phial_sealed *sealed = NULL;
	struct phial_error err;

	if (!host) {
		start();
	}
	if (phial_sealed_parse(data, size, &sealed, &err) != PHIAL_OK) {
		must(err.text[0] != '\0');
		return 0;
	}
	check_canonical(sealed);
	must(phial_sealed_open(sealed, host, value, &err) == PHIAL_REFUSED);
	if (phial_sealed_verify(sealed, &alice, 1, NULL, &err) != PHIAL_OK) {
		phial_sealed_accept_unsigned(sealed);
	}
	if (phial_sealed_open(sealed, host, value, &err) != PHIAL_OK) {
		must(phial_secret_length(value) == 0);
	}
	phial_sealed_free(sealed);
	return 0;
}
