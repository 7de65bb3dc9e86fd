/* SPDX-License-Identifier: ISC */
/*
 * Trust files: strict text, signed by a pinned admin, one never standing for another. Attacks
 * S-06 (unsigned, unknown signers), S-13 (names), S-01 (flipped bits).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/secret.h"
#include "base/text.h"
#include "store/store.h"
#include "store/trust.h"
#include "temp_dir.h"

/* Keys of the age and minisign documentation: public, and nobody's. */
#define AGE_A  "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
#define AGE_B  "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z"
#define MINI_A "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"

static enum phial_status parse(enum phial_trust_kind kind, const char *text,
			       struct phial_trust_list *ret, struct phial_error *err)
{
	return phial_trust_list_parse(kind, (const uint8_t *)text, strlen(text), ret, err);
}

#define HEAD "phial recipients v1\nserial: 4\n"

static void what_is_parsed_is_what_is_written(void **state)
{
	static const struct {
		enum phial_trust_kind kind;
		const char *text;
		size_t count;
	} cases[] = {
		{ PHIAL_TRUST_RECIPIENTS, "phial recipients v1\nserial: 1\n", 0 },
		{ PHIAL_TRUST_RECIPIENTS,
		  "phial recipients v1\nserial: 9007199254740992\nh7 " AGE_A
		  " web/* shared/*\nh8.b " AGE_B "\n",
		  2 },
		{ PHIAL_TRUST_SIGNERS, "phial signers v1\nserial: 2\nalice " MINI_A " */db-*\n",
		  1 },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_trust_list list = { 0 };
		phial_auto_free char *again = NULL;
		size_t length;
		struct phial_error err = { 0 };

		if (parse(cases[i].kind, cases[i].text, &list, &err) != PHIAL_OK) {
			fail_msg("%s", err.text);
		}
		assert_int_equal(list.count, cases[i].count);
		assert_int_equal(phial_trust_list_format(cases[i].kind, &list, &again, &length,
							 NULL),
				 PHIAL_OK);
		assert_string_equal(again, cases[i].text);
		assert_int_equal(length, strlen(cases[i].text));
		phial_trust_list_free(&list);
	}
}

static void refuses_other_forms(void **state)
{
	static const struct {
		const char *text;
		enum phial_status status;
		const char *reason;
	} cases[] = {
		{ "", PHIAL_MALFORMED, "line 1 must be" },
		{ "phial signers v1\nserial: 1\n", PHIAL_MALFORMED, "line 1 must be" },
		{ "phial recipients v2\nserial: 1\n", PHIAL_MALFORMED, "line 1 must be" },
		{ "phial recipients v1\r\nserial: 1\r\n", PHIAL_MALFORMED, "CRLF" },
		{ "phial recipients v1\n", PHIAL_MALFORMED, "line 2 must be" },
		{ "phial recipients v1\nserial: 4", PHIAL_MALFORMED, "line 2 must be" },
		{ "phial recipients v1\nserial: 0\n", PHIAL_MALFORMED, "line 2 must be" },
		{ "phial recipients v1\nserial: 01\n", PHIAL_MALFORMED, "line 2 must be" },
		{ "phial recipients v1\nserial:  1\n", PHIAL_MALFORMED, "line 2 must be" },
		{ "phial recipients v1\nserial: 9007199254740993\n", PHIAL_MALFORMED, "line 2" },
		{ HEAD "\n", PHIAL_MALFORMED, "line 3: empty line" },
		{ HEAD "# no\n", PHIAL_BAD_NAME, "line 3: " },
		{ HEAD "h7\n", PHIAL_BAD_KEY, "line 3: \"h7\" has no key" },
		{ HEAD "h7 " AGE_A, PHIAL_MALFORMED, "line 3: the line does not end" },
		{ HEAD "h7 " AGE_A " \n", PHIAL_MALFORMED, "one space" },
		{ HEAD "h7  " AGE_A "\n", PHIAL_BAD_KEY, "line 3" },
		{ HEAD " h7 " AGE_A "\n", PHIAL_BAD_NAME, "line 3" },
		{ HEAD "h7 " AGE_A "  web/*\n", PHIAL_MALFORMED, "one space" },
		{ HEAD "h7 " AGE_A "\r\n", PHIAL_MALFORMED, "line 3: CRLF" },
		{ HEAD "<<<<<<< HEAD\n", PHIAL_MALFORMED, "line 3: git conflict marker" },
		{ HEAD "h7 " MINI_A "\n", PHIAL_BAD_KEY, "line 3" },
		{ HEAD "a/b " AGE_A "\n", PHIAL_BAD_NAME, "cannot hold '/'" },
		{ HEAD ".. " AGE_A "\n", PHIAL_BAD_NAME, "must begin with" },
		{ HEAD "h7 " AGE_A " ../x\n", PHIAL_BAD_NAME, "not a name pattern" },
		{ HEAD "h7 " AGE_A "\nh7 " AGE_B "\n", PHIAL_MALFORMED, "line 4: the name" },
		{ HEAD "h7 " AGE_A "\nH7 " AGE_B "\n", PHIAL_MALFORMED, "line 4: the name" },
		{ HEAD "h7 " AGE_A "\nh8 " AGE_A "\n", PHIAL_MALFORMED,
		  "line 4: \"h8\" has the same" },
		/* one letter changed: the checksum finds it; and upper case, which is as valid */
		{ HEAD "h7 age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwq\n",
		  PHIAL_BAD_KEY, "line 3" },
		{ HEAD "h7 AGE1ZVKYG2LQZRAA2LNJVQEJ32NKUU0UES2S82HZRYE869XEEXVN73EQUNUJWJ\n",
		  PHIAL_BAD_KEY, "line 3" },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_trust_list list = { 0 };
		struct phial_error err = { 0 };
		enum phial_status status =
			parse(PHIAL_TRUST_RECIPIENTS, cases[i].text, &list, &err);

		if (status != cases[i].status || !strstr(err.text, cases[i].reason)) {
			fail_msg("%s: %d %s", cases[i].text, status, err.text);
		}
		assert_null(strstr(err.text, "age1z"));
		assert_null(list.entries);
	}
}

static void all_problems_of_a_file_at_once(void **state)
{
	struct phial_trust_list list = { 0 };
	struct phial_error err = { 0 };

	(void)state;
	assert_int_equal(parse(PHIAL_TRUST_RECIPIENTS,
			       HEAD "h7 x\n-a " AGE_A "\nh9 " AGE_B "\nh9 " AGE_A "\n", &list,
			       &err),
			 PHIAL_BAD_KEY);
	assert_non_null(strstr(err.text, "line 3: "));
	assert_non_null(strstr(err.text, "; line 4: "));
	assert_null(strstr(err.text, "line 5: "));
	assert_non_null(strstr(err.text, "; line 6: the name"));
}

static void too_much_of_everything(void **state)
{
	phial_auto_text struct phial_text text = { .max = 65536 };
	phial_auto_free uint8_t *large = calloc(1, PHIAL_TRUST_FILE_MAX + 1);
	struct phial_trust_list list = { 0 };
	struct phial_error err = { 0 };

	(void)state;
	phial_text_add(&text, HEAD "h7 " AGE_A);
	for (int i = 0; i <= PHIAL_PATTERNS_MAX; i++) {
		phial_text_add(&text, " a/%d", i);
	}
	phial_text_add(&text, "\n");
	assert_int_equal(parse(PHIAL_TRUST_RECIPIENTS, text.bytes, &list, &err), PHIAL_TOO_LARGE);
	assert_non_null(large);
	assert_int_equal(phial_trust_list_parse(PHIAL_TRUST_SIGNERS, large,
						PHIAL_TRUST_FILE_MAX + 1, &list, NULL),
			 PHIAL_TOO_LARGE);
}

static void adds_and_removes(void **state)
{
	char star[] = "web/*";
	char *patterns[] = { star };
	struct phial_trust_list list = { .serial = 1 };
	struct phial_trust_entry entry = { .name = "h7", .patterns = patterns, .pattern_count = 1 };
	struct phial_error err = { 0 };

	(void)state;
	assert_int_equal(phial_recipient_parse(AGE_A, &entry.recipient, NULL), PHIAL_OK);
	assert_int_equal(phial_trust_list_add(&list, &entry, NULL), PHIAL_OK);
	assert_int_equal(phial_trust_list_add(&list, &entry, NULL), PHIAL_EXISTS);
	memcpy(entry.name, "h8", 3);
	assert_int_equal(phial_trust_list_add(&list, &entry, NULL), PHIAL_EXISTS);
	assert_int_equal(phial_recipient_parse(AGE_B, &entry.recipient, NULL), PHIAL_OK);
	assert_int_equal(phial_trust_list_add(&list, &entry, NULL), PHIAL_OK);
	memcpy(entry.name, "a/b", 4);
	assert_int_equal(phial_trust_list_add(&list, &entry, NULL), PHIAL_BAD_NAME);
	memcpy(entry.name, "h9", 3);
	star[0] = '.';
	assert_int_equal(phial_trust_list_add(&list, &entry, NULL), PHIAL_BAD_NAME);
	assert_int_equal(list.count, 2);
	assert_true(phial_trust_entry_allows(&list.entries[0], "web/x"));
	assert_false(phial_trust_entry_allows(&list.entries[0], "db/x"));
	assert_int_equal(phial_trust_list_remove(&list, "h9", &err), PHIAL_NOT_FOUND);
	assert_non_null(strstr(err.text, "did you mean \"h7\"?"));
	assert_int_equal(phial_trust_list_remove(&list, "h7", NULL), PHIAL_OK);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.entries[0].name, "h8");
	entry.pattern_count = 0;
	assert_true(phial_trust_entry_allows(&entry, "db/x"));
	phial_trust_list_free(&list);
}

static void pins_are_keys_alone_on_their_lines(void **state)
{
	static const struct {
		const char *text;
		enum phial_status status;
	} cases[] = {
		{ MINI_A "\n", PHIAL_OK },
		{ "# admin\n\n" MINI_A, PHIAL_OK },
		{ "", PHIAL_MALFORMED },
		{ "# nobody\n", PHIAL_MALFORMED },
		{ MINI_A " \n", PHIAL_BAD_KEY },
		{ MINI_A "\r\n", PHIAL_BAD_KEY },
		{ AGE_A "\n", PHIAL_BAD_KEY },
		{ MINI_A "\nRWQ\n", PHIAL_BAD_KEY },
		{ MINI_A "\n" MINI_A "\n" MINI_A "\n" MINI_A "\n" MINI_A "\n" MINI_A "\n" MINI_A
			 "\n" MINI_A "\n" MINI_A "\n" MINI_A "\n" MINI_A "\n" MINI_A "\n" MINI_A
			 "\n" MINI_A "\n" MINI_A "\n" MINI_A "\n" MINI_A "\n",
		  PHIAL_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_pins pins;
		struct phial_error err = { 0 };

		assert_int_equal(phial_pins_parse(cases[i].text, strlen(cases[i].text), &pins,
						  &err),
				 cases[i].status);
		assert_null(strstr(err.text, "RWQf"));
		if (cases[i].status == PHIAL_OK) {
			assert_int_equal(pins.count, 1);
		}
	}
}

/* --- signed files --------------------------------------------------------------------- */

struct fixture {
	struct temp_dir *dir;
	struct phial_signer *admin;
	struct phial_signer *other;
	struct phial_pins pins;
};

static struct phial_signer *make_signer(struct phial_signer_public *ret_public)
{
	phial_auto_secret struct phial_secret *file = NULL;
	phial_auto_free char *public_file = NULL;
	struct phial_signer *signer = NULL;

	assert_int_equal(phial_signer_generate(NULL, &file, &public_file, ret_public, NULL),
			 PHIAL_OK);
	assert_int_equal(phial_signer_parse(file, NULL, &signer, NULL), PHIAL_OK);
	return signer;
}

static const char recipients[] = HEAD "h7 " AGE_A " web/*\n";
static const char signers[] = "phial signers v1\nserial: 2\nalice " MINI_A " web/*\n";
static const char policy[] = "{}\n";

static enum phial_status write_file(const struct fixture *fixture, const char *file,
				    const char *text, const struct phial_signer *signer)
{
	return phial_trust_write(fixture->dir->fd, file, (const uint8_t *)text, strlen(text),
				 signer, NULL);
}

static int fixture_setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	void *dir = NULL;
	struct phial_signer_public unused;

	if (!fixture || temp_dir_setup(&dir) != 0) {
		return -1;
	}
	fixture->dir = dir;
	fixture->admin = make_signer(&fixture->pins.keys[1]);
	fixture->other = make_signer(&unused);
	assert_int_equal(phial_signer_public_parse(MINI_A, &fixture->pins.keys[0], NULL), PHIAL_OK);
	fixture->pins.count = 2;
	assert_int_equal(write_file(fixture, "recipients", recipients, fixture->admin), PHIAL_OK);
	assert_int_equal(write_file(fixture, "signers", signers, fixture->admin), PHIAL_OK);
	*state = fixture;
	return 0;
}

static int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;
	void *dir = fixture->dir;

	phial_signer_free(fixture->admin);
	phial_signer_free(fixture->other);
	free(fixture);
	return temp_dir_teardown(&dir);
}

static enum phial_status read_trust(const struct fixture *fixture, struct phial_error *err)
{
	phial_auto_trust struct phial_trust *trust = NULL;

	return phial_trust_read(fixture->dir->fd, &fixture->pins, &trust, err);
}

static void reads_what_an_admin_signed(void **state)
{
	struct fixture *fixture = *state;
	phial_auto_trust struct phial_trust *trust = NULL;

	assert_int_equal(phial_trust_read(fixture->dir->fd, &fixture->pins, &trust, NULL),
			 PHIAL_OK);
	assert_int_equal(trust->recipients.serial, 4);
	assert_string_equal(trust->recipients.entries[0].name, "h7");
	assert_int_equal(trust->signers.serial, 2);
	assert_string_equal(trust->trusted[0].name, "alice");
	assert_int_equal(trust->trusted[0].pattern_count, 1);
	assert_string_equal(trust->trusted[0].patterns[0], "web/*");
	assert_true(phial_signer_public_equal(&trust->trusted[0].key, &fixture->pins.keys[0]));
	assert_null(trust->policy);
	uint8_t digest[PHIAL_HASH_BYTES];

	phial_hash_256(recipients, strlen(recipients), digest);
	assert_memory_equal(trust->recipients_digest, digest, sizeof(digest));
	assert_int_equal(write_file(fixture, "policy.json", policy, fixture->admin), PHIAL_OK);
	phial_trust_free(trust);
	trust = NULL;
	assert_int_equal(phial_trust_read(fixture->dir->fd, &fixture->pins, &trust, NULL),
			 PHIAL_OK);
	assert_int_equal(trust->policy_length, strlen(policy));
	assert_memory_equal(trust->policy, policy, strlen(policy));
	assert_int_equal(write_file(fixture, "other", policy, fixture->admin), PHIAL_USAGE);
}

static void S06_unsigned_and_unknown(void **state)
{
	struct fixture *fixture = *state;
	struct phial_error err = { 0 };
	int fd = fixture->dir->fd;

	assert_int_equal(write_file(fixture, "signers", signers, fixture->other), PHIAL_OK);
	assert_int_equal(read_trust(fixture, &err), PHIAL_UNTRUSTED);
	assert_non_null(strstr(err.text, ".phial/signers is not signed by any of the 2"));
	assert_int_equal(unlinkat(fd, ".phial/signers.minisig", 0), 0);
	assert_int_equal(read_trust(fixture, &err), PHIAL_UNTRUSTED);
	assert_non_null(strstr(err.text, ".phial/signers is not signed"));
	assert_int_equal(unlinkat(fd, ".phial/signers", 0), 0);
	assert_int_equal(read_trust(fixture, &err), PHIAL_NOT_FOUND);
	assert_int_equal(write_file(fixture, "signers", signers, fixture->admin), PHIAL_OK);
	assert_int_equal(read_trust(fixture, &err), PHIAL_OK);
	/* A policy cannot be taken away by deleting the file alone. */
	assert_int_equal(write_file(fixture, "policy.json", policy, fixture->admin), PHIAL_OK);
	assert_int_equal(unlinkat(fd, ".phial/policy.json", 0), 0);
	assert_int_equal(read_trust(fixture, &err), PHIAL_TAMPERED);
	assert_non_null(strstr(err.text, ".phial/policy.json is missing"));
}

static void S06_one_file_never_stands_for_another(void **state)
{
	struct fixture *fixture = *state;
	struct phial_error err = { 0 };
	int fd = fixture->dir->fd;

	/* A signed list of recipients, moved to where the policy lies, names and all. */
	assert_int_equal(linkat(fd, ".phial/recipients", fd, ".phial/policy.json", 0), 0);
	assert_int_equal(linkat(fd, ".phial/recipients.minisig", fd, ".phial/policy.json.minisig",
				0),
			 0);
	assert_int_not_equal(read_trust(fixture, &err), PHIAL_OK);
	assert_non_null(strstr(err.text, ".phial/policy.json"));
}

static void S01_every_flipped_byte_is_found(void **state)
{
	static const char *const files[] = { ".phial/recipients", ".phial/recipients.minisig",
					     ".phial/signers", ".phial/signers.minisig" };
	struct fixture *fixture = *state;
	char bytes[1024];

	for (size_t i = 0; i < PHIAL_COUNT(files); i++) {
		ssize_t length = temp_dir_read(fixture->dir->fd, files[i], bytes, sizeof(bytes));

		assert_true(length > 0);
		for (size_t k = 0; k < (size_t)length; k++) {
			struct phial_error err = { 0 };

			bytes[k] = (char)(bytes[k] ^ 1);
			assert_int_equal(temp_dir_write(fixture->dir->fd, files[i], bytes,
							(size_t)length),
					 0);
			enum phial_status status = read_trust(fixture, &err);

			/* The untrusted comment's text is signed by nobody, minisign's format. */
			if (status == PHIAL_OK) {
				assert_non_null(strstr(files[i], ".minisig"));
				assert_true(k <
					    (size_t)((char *)memchr(bytes, '\n', (size_t)length) -
						     bytes));
			} else {
				assert_non_null(strstr(err.text, ".phial/"));
			}
			bytes[k] = (char)(bytes[k] ^ 1);
		}
		assert_int_equal(temp_dir_write(fixture->dir->fd, files[i], bytes, (size_t)length),
				 0);
	}
	assert_int_equal(read_trust(fixture, NULL), PHIAL_OK);
}

static void files_that_are_none(void **state)
{
	struct fixture *fixture = *state;
	struct phial_error err = { 0 };
	int fd = fixture->dir->fd;

	assert_int_equal(unlinkat(fd, ".phial/signers", 0), 0);
	assert_int_equal(mkfifoat(fd, ".phial/signers", 0600), 0);
	assert_int_equal(read_trust(fixture, &err), PHIAL_MALFORMED);
	assert_non_null(strstr(err.text, ".phial/signers: not a regular file"));
	assert_int_equal(unlinkat(fd, ".phial/signers", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", fd, ".phial/signers"), 0);
	assert_int_equal(read_trust(fixture, &err), PHIAL_MALFORMED);
	assert_non_null(strstr(err.text, "leads out"));
	struct phial_pins none = { .count = 0 };
	struct phial_trust *trust = NULL;

	assert_int_equal(phial_trust_read(fd, &none, &trust, NULL), PHIAL_UNTRUSTED);
	assert_null(trust);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_parsed_is_what_is_written),
		cmocka_unit_test(refuses_other_forms),
		cmocka_unit_test(all_problems_of_a_file_at_once),
		cmocka_unit_test(too_much_of_everything),
		cmocka_unit_test(adds_and_removes),
		cmocka_unit_test(pins_are_keys_alone_on_their_lines),
		TEST(reads_what_an_admin_signed),
		TEST(S06_unsigned_and_unknown),
		TEST(S06_one_file_never_stands_for_another),
		TEST(S01_every_flipped_byte_is_found),
		TEST(files_that_are_none),
	};

	return cmocka_run_group_tests_name("store_trust", tests, NULL, NULL);
}
