/* SPDX-License-Identifier: ISC */
/* age keys: texts, key files in the open and with a passphrase, and what is refused and how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypt/crypt.h"
#include "crypt/identity.h"

/* The key of 32 bytes 0x42, and its public half as age-keygen -y gives it. */
#define SECRET_TEXT "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
#define PUBLIC_TEXT "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"

static struct phial_secret *secret_of(const char *text)
{
	struct phial_secret *secret = NULL;

	assert_int_equal(phial_secret_new(strlen(text) + 1, &secret, NULL), PHIAL_OK);
	assert_int_equal(phial_secret_append(secret, text, strlen(text), NULL), PHIAL_OK);
	return secret;
}

static enum phial_status parse(const char *text, struct phial_identities **ret_identities,
			       struct phial_error *err)
{
	phial_auto_secret struct phial_secret *file = secret_of(text);

	return phial_identities_parse(file, NULL, ret_identities, err);
}

static void known_key_has_its_public_half(void **state)
{
	struct phial_identities *identities = NULL;
	struct phial_recipient recipient;
	char text[PHIAL_RECIPIENT_TEXT_BYTES];
	uint8_t expected[32];

	(void)state;
	assert_int_equal(parse(SECRET_TEXT "\n", &identities, NULL), PHIAL_OK);
	assert_int_equal(phial_identities_count(identities), 1);
	memset(expected, 0x42, sizeof(expected));
	assert_memory_equal(phial_identities_get(identities, 0)->secret, expected, 32);
	phial_identities_recipient(identities, 0, &recipient);
	phial_recipient_format(&recipient, text);
	assert_string_equal(text, PUBLIC_TEXT);
	phial_identities_free(identities);
	assert_int_equal(phial_recipient_parse(PUBLIC_TEXT, &recipient, NULL), PHIAL_OK);
}

static void every_changed_character_of_a_recipient_is_refused(void **state)
{
	char text[] = PUBLIC_TEXT;

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		struct phial_recipient recipient;
		struct phial_error err = { 0 };
		char was = text[i];

		text[i] = was == 'q' ? 'p' : 'q';
		assert_int_equal(phial_recipient_parse(text, &recipient, &err), PHIAL_BAD_KEY);
		text[i] = '\0'; /* cut short here */
		assert_int_equal(phial_recipient_parse(text, &recipient, &err), PHIAL_BAD_KEY);
		text[i] = was;
	}
}

static void other_recipients_are_refused(void **state)
{
	static const char *const cases[] = {
		"",
		" " PUBLIC_TEXT,
		PUBLIC_TEXT " ",
		PUBLIC_TEXT "\n",
		PUBLIC_TEXT PUBLIC_TEXT,
		"AGE1ZVKYG2LQZRAA2LNJVQEJ32NKUU0UES2S82HZRYE869XEEXVN73EQUNUJWJ",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICANARY",
		"age1pq1canary",
		"age1yubikey1canary",
		"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3",
		SECRET_TEXT,
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_recipient recipient;
		struct phial_error err = { 0 };

		assert_int_equal(phial_recipient_parse(cases[i], &recipient, &err), PHIAL_BAD_KEY);
		assert_null(strstr(err.text, "canary"));
		assert_null(strstr(err.text, "CANARY"));
		assert_null(strstr(err.text, "GFPYYS")); /* of the secret key */
	}
}

static void key_files_are_read_as_age_reads_them(void **state)
{
	static const struct {
		const char *text;
		size_t count; /* 0: refused */
		const char *says;
	} cases[] = {
		{ SECRET_TEXT, 1, NULL },
		{ "# created: today\n\n# public key: " PUBLIC_TEXT "\n" SECRET_TEXT "\n", 1, NULL },
		{ "# a\r\n\r\n" SECRET_TEXT "\r\n", 1, NULL },
		{ SECRET_TEXT "\n" SECRET_TEXT "\n", 2, NULL },
		{ "", 0, "no age key" },
		{ "# only a comment\n", 0, "no age key" },
		{ " " SECRET_TEXT "\n", 0, "line 1" },
		{ SECRET_TEXT " \n", 0, "line 1" },
		{ "#\n\n" PUBLIC_TEXT "\n", 0, "line 3" },
		{ SECRET_TEXT "\nCANARY\n", 0, "line 2" },
		{ "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEY\n", 0,
		  "checksum" },
		{ "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAE\n", 0,
		  "checksum" },
		{ "age-secret-key-1gfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpyysjzgfpq4egaex\n", 0,
		  "line 1" },
		{ "AGE-SECRET-KEY-PQ-1HZLGZUPT4ETPKDEV8HSGFDCYZ4E522W0A7PU2LHT8EH9W6YLNC3SW78XKG\n",
		  0, "line 1" },
		{ "AGE-PLUGIN-YUBIKEY-1CANARY\n", 0, "line 1" },
		{ "-----BEGIN OPENSSH PRIVATE KEY-----\nCANARY\n", 0, "line 1" },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_identities *identities = NULL;
		struct phial_error err = { 0 };
		enum phial_status status = parse(cases[i].text, &identities, &err);

		if (cases[i].count > 0) {
			assert_int_equal(status, PHIAL_OK);
			assert_int_equal(phial_identities_count(identities), cases[i].count);
			phial_identities_free(identities);
			continue;
		}
		assert_int_equal(status, PHIAL_BAD_KEY);
		assert_null(identities);
		assert_non_null(strstr(err.text, cases[i].says));
		assert_null(strstr(err.text, "GFPYYS"));
		assert_null(strstr(err.text, "CANARY"));
	}
}

static void too_many_keys_are_refused(void **state)
{
	phial_auto_text struct phial_text text = { .max = PHIAL_KEY_FILE_MAX_BYTES };
	struct phial_identities *identities = NULL;
	struct phial_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < PHIAL_IDENTITIES_MAX; i++) {
		phial_text_add(&text, "%s\n", SECRET_TEXT);
	}
	assert_int_equal(parse(text.bytes, &identities, &err), PHIAL_OK);
	assert_int_equal(phial_identities_count(identities), PHIAL_IDENTITIES_MAX);
	phial_identities_free(identities);
	phial_text_add(&text, "%s\n", SECRET_TEXT);
	assert_int_equal(parse(text.bytes, &identities, &err), PHIAL_BAD_KEY);
}

static void made_keys_are_new_and_well_formed(void **state)
{
	phial_auto_secret struct phial_secret *first = NULL;
	phial_auto_secret struct phial_secret *second = NULL;
	struct phial_identities *identities = NULL;
	struct phial_recipient made;
	struct phial_recipient read;
	char recipient_text[PHIAL_RECIPIENT_TEXT_BYTES];

	(void)state;
	assert_int_equal(phial_identity_generate(1795304458, &first, &made, NULL), PHIAL_OK);
	assert_int_equal(phial_identities_parse(first, NULL, &identities, NULL), PHIAL_OK);
	phial_identities_recipient(identities, 0, &read);
	assert_memory_equal(&made, &read, sizeof(made));
	phial_identities_free(identities);
	assert_int_equal(phial_identity_generate(0, &second, &read, NULL), PHIAL_OK);
	assert_memory_not_equal(&made, &read, sizeof(made));

	/* The comments are age-keygen's, to the byte. */
	phial_auto_text struct phial_text expected = { .max = 512 };

	phial_recipient_format(&made, recipient_text);
	phial_text_add(&expected, "# created: 2026-11-21T23:40:58Z\n# public key: %s\n%s",
		       recipient_text, "AGE-SECRET-KEY-1");
	assert_int_equal(phial_secret_length(first), expected.length + 58 + 1);
	assert_memory_equal(phial_secret_const_bytes(first), expected.bytes, expected.length);
	assert_false(phial_identities_need_passphrase(first));
}

static void passphrases_open_what_they_encrypted(void **state)
{
	phial_auto_secret struct phial_secret *value = secret_of("CANARY");
	phial_auto_secret struct phial_secret *right = secret_of("correct horse");
	phial_auto_secret struct phial_secret *wrong = secret_of("correct horsf");
	phial_auto_secret struct phial_secret *out = secret_of("what was there before");
	phial_auto_secret struct phial_secret *file = NULL;

	(void)state;
	assert_int_equal(phial_passphrase_encrypt(value, right, 9, &file, NULL), PHIAL_USAGE);
	assert_int_equal(phial_passphrase_encrypt(value, right, 21, &file, NULL), PHIAL_USAGE);
	assert_int_equal(phial_passphrase_encrypt(value, right, 10, &file, NULL), PHIAL_OK);
	const uint8_t *bytes = phial_secret_const_bytes(file);
	size_t length = phial_secret_length(file);

	assert_int_equal(phial_age_open_passphrase(bytes, length, wrong, out, NULL),
			 PHIAL_BAD_PASSPHRASE);
	assert_int_equal(phial_age_open_passphrase(bytes, length, right, out, NULL), PHIAL_OK);
	assert_int_equal(phial_secret_length(out), 6);
	assert_memory_equal(phial_secret_const_bytes(out), "CANARY", 6);
}

/* A key does not open it. */
static void keys_do_not_open_passphrase_files(void **state)
{
	phial_auto_secret struct phial_secret *value = secret_of("CANARY");
	phial_auto_secret struct phial_secret *passphrase = secret_of("correct horse");
	phial_auto_secret struct phial_secret *encrypted = NULL;
	phial_auto_age_file struct phial_age_file file = { 0 };
	struct phial_identities *identities = NULL;
	struct phial_age_key key;

	(void)state;
	assert_int_equal(parse(SECRET_TEXT, &identities, NULL), PHIAL_OK);
	assert_int_equal(phial_passphrase_encrypt(value, passphrase, 10, &encrypted, NULL),
			 PHIAL_OK);
	assert_int_equal(phial_age_parse(phial_secret_const_bytes(encrypted),
					 phial_secret_length(encrypted), PHIAL_AGE_STRICT_ARMOR,
					 &file, NULL),
			 PHIAL_OK);
	assert_true(file.has_passphrase);
	assert_int_equal(phial_age_unwrap(&file, identities, NULL, &key, NULL),
			 PHIAL_NOT_RECIPIENT);
	phial_identities_free(identities);
}

static void encrypted_key_files_need_their_passphrase(void **state)
{
	phial_auto_secret struct phial_secret *plain = secret_of("# mine\n" SECRET_TEXT "\n");
	phial_auto_secret struct phial_secret *right = secret_of("correct horse");
	phial_auto_secret struct phial_secret *wrong = secret_of("wrong CANARY");
	phial_auto_secret struct phial_secret *file = NULL;
	struct phial_identities *identities = NULL;
	struct phial_error err = { 0 };

	(void)state;
	assert_int_equal(phial_passphrase_encrypt(plain, right, 10, &file, NULL), PHIAL_OK);
	assert_true(phial_identities_need_passphrase(file));
	assert_int_equal(phial_identities_parse(file, NULL, &identities, &err),
			 PHIAL_BAD_PASSPHRASE);
	assert_int_equal(phial_identities_parse(file, wrong, &identities, &err),
			 PHIAL_BAD_PASSPHRASE);
	assert_null(strstr(err.text, "CANARY"));
	assert_int_equal(phial_identities_parse(file, right, &identities, &err), PHIAL_OK);
	assert_int_equal(phial_identities_count(identities), 1);
	phial_identities_free(identities);
	/* Broken inside: the class of failure says so, and it is not the passphrase. */
	phial_secret_bytes(file)[phial_secret_length(file) - 50] ^= 4;
	enum phial_status status = phial_identities_parse(file, right, &identities, &err);

	assert_true(status == PHIAL_TAMPERED || status == PHIAL_MALFORMED);
}

static void files_encrypted_to_keys_are_no_key_files(void **state)
{
	phial_auto_secret struct phial_secret *plain = secret_of(SECRET_TEXT "\n");
	phial_auto_secret struct phial_secret *passphrase = secret_of("correct horse");
	phial_auto_free char *text = NULL;
	struct phial_identities *identities = NULL;
	struct phial_recipient recipient;
	size_t length = 0;

	(void)state;
	assert_int_equal(phial_recipient_parse(PUBLIC_TEXT, &recipient, NULL), PHIAL_OK);
	assert_int_equal(phial_age_encrypt(&recipient, 1, plain, &text, &length, NULL), PHIAL_OK);
	phial_auto_secret struct phial_secret *file = secret_of(text);

	assert_int_equal(phial_identities_parse(file, passphrase, &identities, NULL),
			 PHIAL_BAD_KEY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_key_has_its_public_half),
		cmocka_unit_test(every_changed_character_of_a_recipient_is_refused),
		cmocka_unit_test(other_recipients_are_refused),
		cmocka_unit_test(key_files_are_read_as_age_reads_them),
		cmocka_unit_test(too_many_keys_are_refused),
		cmocka_unit_test(made_keys_are_new_and_well_formed),
		cmocka_unit_test(passphrases_open_what_they_encrypted),
		cmocka_unit_test(keys_do_not_open_passphrase_files),
		cmocka_unit_test(encrypted_key_files_need_their_passphrase),
		cmocka_unit_test(files_encrypted_to_keys_are_no_key_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
