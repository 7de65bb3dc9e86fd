/* SPDX-License-Identifier: ISC */
/* minisign keys and signatures: published ones, every flipped bit, other forms, passphrases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypt/crypt.h"

/* The key and the signatures of "test" in the tests of rust-minisign-verify. */
#define AUTHOR_KEY "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
#define AUTHOR_SIGNATURE                                                                       \
	"untrusted comment: signature from minisign secret key\n"                              \
	"RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJy" \
	"lDOocrCo8KLzZwo=\n"                                                                   \
	"trusted comment: timestamp:1633700835\tfile:test\tprehashed\n"                        \
	"wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAoo" \
	"BQ==\n"
#define LEGACY_SIGNATURE                                                                       \
	"untrusted comment: signature from minisign secret key\n"                              \
	"RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC" \
	"351vwIasSSbXxwA=\n"                                                                   \
	"trusted comment: timestamp:1555779966\tfile:test\n"                                   \
	"QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaO" \
	"AA==\n"

/* Made by minisign -G 0.11 with the passphrase "canary pass". */
#define COMMENT		"untrusted comment: minisign encrypted secret key\n"
#define MINISIGN_PUBLIC "RWThm99HhKc5ewdkpijjs/vaaWG4g3uQ2Zh9IuxGTiYQN5bPIuiqDirP"
#define MINISIGN_SECRET                                                                            \
	COMMENT "RWRTY0IyGe6D6gQHYEyW3qjZn3BIvHtTykN4nGs0inyPJDye0ZkAAAACAAAAAAAAAEAAAAAAxm/CYlU5" \
		"pxpS5NR7SNkh91NhBi2IujVoMkbsoJpqZIpfM5LkcaLvmmBBGNRBbgu5ub2z0X0ELTZPUp2abuM2Vw3H" \
		"IED7/umpPjw94u+HqijuS6Z/IDycRb7hiyPuu/APCS21l33ZlcA=\n"

/* Seed 00..1f, key id 01..08: masked with little work, with 2 GiB of it, and not masked. */
#define SMALL_PUBLIC "RWQBAgMEBQYHCAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
#define SMALL_SALT   "RWRTY0IyZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoMAgAAAAAAAAAAAA"
#define SMALL_BODY                                                                               \
	"AAAAA1kmvtTz5r6+u45lC8/CJT2MR74hwBJeWS9PUfHfP3DocxO5wGR650fxXa0mNN0IDZSjusCyy7SiVIlJVY" \
	"9m8MZFUP+kFRh96MwE6zcGSMLbdlYubyKP5pgIo5HGZMDQ9ffPHh0UpMSQ=\n"
#define SMALL_SECRET COMMENT SMALL_SALT "AE" SMALL_BODY
#define LARGE_SECRET COMMENT SMALL_SALT "IA" SMALL_BODY
#define OPEN_HEAD \
	"RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQIDBAUGBwgAAQ"
#define OPEN_TAIL                                                                               \
	"JCgsMDQ4PEBESExQVFhcYGRobHB0eHwOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4AAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
#define OPEN_SECRET COMMENT OPEN_HEAD "IDBAUGBwg" OPEN_TAIL

static struct phial_secret *secret_of(const char *text)
{
	struct phial_secret *secret = NULL;

	assert_int_equal(phial_secret_new(strlen(text) + 1, &secret, NULL), PHIAL_OK);
	assert_int_equal(phial_secret_append(secret, text, strlen(text), NULL), PHIAL_OK);
	return secret;
}

static struct phial_signer_public public_of(const char *text)
{
	struct phial_signer_public key;

	assert_int_equal(phial_signer_public_parse(text, &key, NULL), PHIAL_OK);
	return key;
}

static enum phial_status verify(const char *message, const char *signature, const char *key_text,
				struct phial_error *err)
{
	struct phial_signer_public key = public_of(key_text);

	return phial_minisign_verify((const uint8_t *)message, strlen(message), signature,
				     strlen(signature), &key, NULL, err);
}

static struct phial_signer *open_signer(const char *file_text, const char *passphrase_text)
{
	phial_auto_secret struct phial_secret *file = secret_of(file_text);
	phial_auto_secret struct phial_secret *passphrase =
		passphrase_text ? secret_of(passphrase_text) : NULL;
	struct phial_signer *signer = NULL;

	assert_int_equal(phial_signer_parse(file, passphrase, &signer, NULL), PHIAL_OK);
	return signer;
}

static void public_keys_have_one_text(void **state)
{
	static const char *const bad[] = {
		"",
		" " AUTHOR_KEY,
		AUTHOR_KEY "\n",
		AUTHOR_KEY "=",
		"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO",
		"RUQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3", /* "ED" */
		"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj",
	};
	struct phial_signer_public key = public_of(AUTHOR_KEY);
	struct phial_signer_public other = key;
	char text[PHIAL_SIGNER_TEXT_BYTES];

	(void)state;
	phial_signer_public_format(&key, text);
	assert_string_equal(text, AUTHOR_KEY);
	for (size_t i = 0; i < PHIAL_COUNT(bad); i++) {
		assert_int_equal(phial_signer_public_parse(bad[i], &key, NULL), PHIAL_BAD_KEY);
	}
	assert_true(phial_signer_public_equal(&key, &other));
	other.key[31] ^= 1;
	assert_false(phial_signer_public_equal(&key, &other));
	other = key;
	other.key_id[0] ^= 1;
	assert_false(phial_signer_public_equal(&key, &other));
}

static void published_signature_is_right(void **state)
{
	(void)state;
	assert_int_equal(verify("test", AUTHOR_SIGNATURE, AUTHOR_KEY, NULL), PHIAL_OK);
	assert_int_equal(verify("Test", AUTHOR_SIGNATURE, AUTHOR_KEY, NULL), PHIAL_TAMPERED);
	assert_int_equal(verify("", AUTHOR_SIGNATURE, AUTHOR_KEY, NULL), PHIAL_TAMPERED);
	assert_int_equal(verify("test", AUTHOR_SIGNATURE, SMALL_PUBLIC, NULL), PHIAL_UNTRUSTED);
	assert_int_equal(verify("test", LEGACY_SIGNATURE, AUTHOR_KEY, NULL), PHIAL_MALFORMED);
}

/* Only the untrusted comment, which says so itself, may change. */
static void every_flipped_bit_is_refused(void **state)
{
	char text[] = AUTHOR_SIGNATURE;
	const char *first_end = strchr(text, '\n');

	(void)state;
	assert_non_null(first_end);
	size_t first = (size_t)(first_end - text);

	for (size_t bit = first * 8; bit < strlen(AUTHOR_SIGNATURE) * 8; bit++) {
		text[bit / 8] ^= (char)(1 << bit % 8);
		if (verify("test", text, AUTHOR_KEY, NULL) == PHIAL_OK) {
			fail_msg("bit %zu of byte %zu does not matter", bit % 8, bit / 8);
		}
		text[bit / 8] ^= (char)(1 << bit % 8);
	}
}

/* Replace the first occurrence of what by with; the caller frees. */
static char *replaced(const char *text, const char *what, const char *with)
{
	struct phial_text changed = { .max = 4096 };
	const char *at = strstr(text, what);

	assert_non_null(at);
	phial_text_add(&changed, "%.*s%s%s", (int)(at - text), text, with, at + strlen(what));
	assert_false(changed.has_failed);
	return changed.bytes;
}

static void other_forms_are_malformed(void **state)
{
	static const struct {
		const char *what;
		const char *with;
	} cases[] = {
		{ "untrusted", "Untrusted" },
		{ "key\nR", "key\r\nR" },
		{ "\ntrusted", "\n\ntrusted" },
		{ "\ntrusted comment: ", "\ntrusted comment:" },
		{ "BQ==\n", "BQ==" },
		{ "BQ==\n", "BQ==\r\n" },
		{ "BQ==\n", "BQ==\n\n" },
		{ "BQ==\n", "BR==\n" },
		{ "BQ==\n", "BQ\n" },
		{ "prehashed", "pre\x01hashed" },
		{ "RUQf", "RVQf" },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		phial_auto_free char *text =
			replaced(AUTHOR_SIGNATURE, cases[i].what, cases[i].with);

		if (verify("test", text, AUTHOR_KEY, NULL) != PHIAL_MALFORMED) {
			fail_msg("case %zu", i);
		}
	}
}

static void what_we_sign_we_verify(void **state)
{
	struct phial_signer *signer = open_signer(OPEN_SECRET, NULL);
	phial_auto_free char *signature = NULL;
	phial_auto_free char *again = NULL;
	struct phial_signer_public key;
	struct phial_error err = { 0 };

	(void)state;
	phial_signer_get_public(signer, &key);
	assert_int_equal(phial_minisign_sign(signer, (const uint8_t *)"hello", 5, "phial v1",
					     &signature, NULL),
			 PHIAL_OK);
	assert_memory_equal(signature, PHIAL_MINISIGN_UNTRUSTED_LINE "\nRUQ",
			    strlen(PHIAL_MINISIGN_UNTRUSTED_LINE) + 4);
	assert_int_equal(verify("hello", signature, SMALL_PUBLIC, NULL), PHIAL_OK);
	/* Ed25519 needs no random number: the same bytes give the same signature. */
	assert_int_equal(phial_minisign_sign(signer, (const uint8_t *)"hello", 5, "phial v1",
					     &again, NULL),
			 PHIAL_OK);
	assert_string_equal(signature, again);
	assert_int_equal(phial_minisign_verify((const uint8_t *)"hello", 5, signature,
					       strlen(signature), &key, "phial v1", NULL),
			 PHIAL_OK);
	assert_int_equal(phial_minisign_verify((const uint8_t *)"hello", 5, signature,
					       strlen(signature), &key, "phial v2", &err),
			 PHIAL_MALFORMED);
	phial_signer_free(signer);
}

static void trusted_comments_are_one_short_line(void **state)
{
	struct phial_signer *signer = open_signer(OPEN_SECRET, NULL);
	char *signature = NULL;
	char comment[258];

	(void)state;
	memset(comment, 'c', sizeof(comment));
	comment[257] = '\0';
	assert_int_equal(phial_minisign_sign(signer, NULL, 0, comment, &signature, NULL),
			 PHIAL_USAGE);
	assert_int_equal(phial_minisign_sign(signer, NULL, 0, "a\nb", &signature, NULL),
			 PHIAL_USAGE);
	assert_null(signature);
	comment[256] = '\0';
	assert_int_equal(phial_minisign_sign(signer, NULL, 0, comment, &signature, NULL), PHIAL_OK);
	assert_int_equal(verify("", signature, SMALL_PUBLIC, NULL), PHIAL_OK);
	free(signature);
	phial_signer_free(signer);
}

static void secret_key_files_open(void **state)
{
	static const struct {
		const char *file;
		const char *passphrase;
		const char *public_text;
	} cases[] = {
		{ OPEN_SECRET, NULL, SMALL_PUBLIC },
		{ OPEN_SECRET, "not needed", SMALL_PUBLIC },
		{ SMALL_SECRET, "canary pass", SMALL_PUBLIC },
		{ MINISIGN_SECRET, "canary pass", MINISIGN_PUBLIC },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_signer *signer = open_signer(cases[i].file, cases[i].passphrase);
		struct phial_signer_public key;
		char text[PHIAL_SIGNER_TEXT_BYTES];

		phial_signer_get_public(signer, &key);
		phial_signer_public_format(&key, text);
		assert_string_equal(text, cases[i].public_text);
		phial_signer_free(signer);
	}
}

static void wrong_secret_key_files_are_refused(void **state)
{
	static const struct {
		const char *file;
		const char *passphrase;
		enum phial_status expected;
	} cases[] = {
		{ SMALL_SECRET, NULL, PHIAL_BAD_PASSPHRASE },
		{ SMALL_SECRET, "", PHIAL_BAD_PASSPHRASE },
		{ SMALL_SECRET, "canary pasS", PHIAL_BAD_PASSPHRASE },
		{ LARGE_SECRET, "canary pass", PHIAL_BAD_KEY }, /* asks for 2 GiB */
		{ "", NULL, PHIAL_BAD_KEY },
		{ COMMENT, NULL, PHIAL_BAD_KEY },
		{ COMMENT AUTHOR_KEY "\n", NULL, PHIAL_BAD_KEY },
		{ OPEN_SECRET "more\n", NULL, PHIAL_BAD_KEY },
		{ COMMENT OPEN_HEAD "IDBAUGBwh" OPEN_TAIL, NULL, PHIAL_BAD_KEY }, /* one bit */
		{ "AGE-SECRET-KEY-1CANARY\n", NULL, PHIAL_BAD_KEY },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		phial_auto_secret struct phial_secret *file = secret_of(cases[i].file);
		phial_auto_secret struct phial_secret *passphrase =
			cases[i].passphrase ? secret_of(cases[i].passphrase) : NULL;
		struct phial_signer *signer = NULL;
		struct phial_error err = { 0 };

		if (phial_signer_parse(file, passphrase, &signer, &err) != cases[i].expected) {
			fail_msg("case %zu: %s", i, err.text);
		}
		assert_null(signer);
		assert_null(strstr(err.text, "CANARY"));
		assert_null(strstr(err.text, "canary"));
	}
}

static void which_files_need_a_passphrase(void **state)
{
	phial_auto_secret struct phial_secret *open = secret_of(OPEN_SECRET);
	phial_auto_secret struct phial_secret *masked = secret_of(SMALL_SECRET);
	phial_auto_secret struct phial_secret *other = secret_of("something else");

	(void)state;
	assert_false(phial_signer_needs_passphrase(open));
	assert_true(phial_signer_needs_passphrase(masked));
	assert_false(phial_signer_needs_passphrase(other));
}

/* passphrase: may be NULL. */
static void check_generated(const struct phial_secret *passphrase)
{
	phial_auto_secret struct phial_secret *file = NULL;
	phial_auto_free char *public_file = NULL;
	struct phial_signer_public made;
	struct phial_signer_public read;
	struct phial_signer *signer = NULL;
	char text[PHIAL_SIGNER_TEXT_BYTES];

	assert_int_equal(phial_signer_generate(passphrase, &file, &public_file, &made, NULL),
			 PHIAL_OK);
	assert_int_equal(phial_signer_needs_passphrase(file), passphrase != NULL);
	assert_int_equal(phial_signer_parse(file, passphrase, &signer, NULL), PHIAL_OK);
	phial_signer_get_public(signer, &read);
	assert_true(phial_signer_public_equal(&made, &read));
	phial_signer_free(signer);
	phial_signer_public_format(&made, text);
	assert_memory_equal(public_file, "untrusted comment: minisign public key ", 39);
	assert_non_null(strstr(public_file, text));
	if (passphrase) {
		assert_int_equal(phial_signer_parse(file, NULL, &signer, NULL),
				 PHIAL_BAD_PASSPHRASE);
	}
}

static void made_keys_open(void **state)
{
	(void)state;
	check_generated(NULL);
}

/* Takes 1 GiB and seconds, as minisign's keys do. */
static void made_keys_with_a_passphrase_open(void **state)
{
	phial_auto_secret struct phial_secret *passphrase = secret_of("canary pass");

	(void)state;
	check_generated(passphrase);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(public_keys_have_one_text),
		cmocka_unit_test(published_signature_is_right),
		cmocka_unit_test(every_flipped_bit_is_refused),
		cmocka_unit_test(other_forms_are_malformed),
		cmocka_unit_test(what_we_sign_we_verify),
		cmocka_unit_test(trusted_comments_are_one_short_line),
		cmocka_unit_test(secret_key_files_open),
		cmocka_unit_test(wrong_secret_key_files_are_refused),
		cmocka_unit_test(which_files_need_a_passphrase),
		cmocka_unit_test(made_keys_open),
		cmocka_unit_test(made_keys_with_a_passphrase_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
