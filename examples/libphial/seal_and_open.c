/* SPDX-License-Identifier: ISC */
/*
 * libphial from outside: make keys, seal a value, look at the file, verify it, open it.
 *
 *	cc seal_and_open.c $(pkg-config --cflags --libs phial) -o seal_and_open
 *
 * Reads the value from standard input and writes it to standard output again; what it tells
 * about the file goes to standard error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <phial/phial.h>

/* Every call says in err what went wrong, and its status is a fit exit code. */
static struct phial_error err;

static void need(enum phial_status status)
{
	if (status != PHIAL_OK) {
		fprintf(stderr, "seal_and_open: %s\n", err.text);
		exit((int)status);
	}
}

/* One host that may read, one person who may write. A program would read key files here. */
static struct phial_identities *host;
static struct phial_named_recipient recipient = { .name = "h7" };
static struct phial_signer *alice;
static struct phial_trusted_signer trusted = { .name = "alice" };

static void make_keys(void)
{
	struct phial_secret *file;
	char *public_file;

	need(phial_identity_generate((int64_t)time(NULL), &file, &recipient.key, &err));
	need(phial_identities_parse(file, NULL, &host, &err));
	phial_secret_free(file);
	need(phial_signer_generate(NULL, &file, &public_file, &trusted.key, &err));
	need(phial_signer_parse(file, NULL, &alice, &err));
	phial_secret_free(file);
	free(public_file);
}

static void seal(struct phial_secret *value, uint8_t **ret_bytes, size_t *ret_length)
{
	const struct phial_sealed_header header = {
		.name = "web/db_password",
		.version = (uint64_t)time(NULL) * 1000,
		.created_s = (int64_t)time(NULL),
		.mode = 0400,
		.owner_uid = PHIAL_ID_UNSET,
		.owner_gid = PHIAL_ID_UNSET,
		.recipients = &recipient,
		.recipient_count = 1,
	};

	need(phial_seal(&header, value, alice, ret_bytes, ret_length, &err));
}

static void open_again(const uint8_t *bytes, size_t length, struct phial_secret *value)
{
	struct phial_sealed *sealed;

	need(phial_sealed_parse(bytes, length, &sealed, &err)); /* needs no key */
	const struct phial_sealed_header *header = phial_sealed_get_header(sealed);

	fprintf(stderr, "%s, version %llu, for %s\n", header->name,
		(unsigned long long)header->version, header->recipients[0].name);
	need(phial_sealed_verify(sealed, &trusted, 1, NULL, &err));
	need(phial_sealed_open(sealed, host, value, &err));
	phial_sealed_free(sealed);
}

int main(void)
{
	struct phial_secret *value;
	uint8_t *bytes;
	size_t length;

	need(phial_secret_new(PHIAL_SECRET_MAX_BYTES, &value, &err));
	need(phial_secret_read_fd(value, STDIN_FILENO, &err));
	make_keys();
	seal(value, &bytes, &length);
	phial_secret_wipe(value);
	open_again(bytes, length, value);
	need(phial_secret_write_fd(value, STDOUT_FILENO, &err));
	free(bytes);
	phial_secret_free(value);
	phial_identities_free(host);
	phial_signer_free(alice);
	return 0;
}
