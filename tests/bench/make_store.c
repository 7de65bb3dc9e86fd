/* SPDX-License-Identifier: ISC */
/*
 * Makes a store of many secrets, and the keys that go with it, for the benchmarks.
 *
 *	make_store DIR COUNT BYTES
 *
 * DIR gets store/, identity, trust, signers, one.sealed, and body.age (the body of that one, for
 * the age program). Workloads: one, ten and hundred have so many secrets; the rest go to w000, w001, ...
 * with up to 100 each. Nothing is synced to disk, so this is no way to make a real store.
 */
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/secret.h"
#include "bench.h"
#include "crypt/crypt.h"
#include "sealed/sealed.h"
#include "store/trust.h"

#define PER_WORKLOAD 100

struct maker {
	const char *directory;
	size_t bytes;
	struct phial_signer *signer;
	struct phial_named_recipient recipients[2]; /* the host, and the usual recovery key */
	struct phial_secret *value;
	struct phial_error err;
};

static void must(struct maker *maker, enum phial_status status)
{
	if (status != PHIAL_OK) {
		fprintf(stderr, "bench: %s\n", maker->err.text);
		exit(1);
	}
}

static void write_file(struct maker *maker, const char *name, const void *bytes, size_t length)
{
	mode_t mode =
		strcmp(name, "identity") == 0 || strcmp(name, "signer.key") == 0 ? 0600 : 0644;
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", maker->directory, name);
	phial_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	if (fd < 0) {
		bench_fail(path);
	}
	must(maker, phial_write_all(fd, bytes, length, &maker->err));
}

static void make_directory(const struct maker *maker, const char *name)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", maker->directory, name);
	if (mkdir(path, 0755) != 0 && errno != EEXIST) {
		bench_fail(path);
	}
}

/* A host key, a recovery key that nobody keeps, and a signer who is also the admin. */
static void make_keys(struct maker *maker)
{
	struct phial_secret *file;
	struct phial_signer_public public_key;
	char *public_file;
	char line[PHIAL_SIGNER_TEXT_BYTES + 32];
	char key[PHIAL_SIGNER_TEXT_BYTES];

	memcpy(maker->recipients[0].name, "host", sizeof("host"));
	memcpy(maker->recipients[1].name, "recovery", sizeof("recovery"));
	must(maker, phial_identity_generate(0, &file, &maker->recipients[1].key, &maker->err));
	phial_secret_free(file);
	must(maker, phial_identity_generate(0, &file, &maker->recipients[0].key, &maker->err));
	write_file(maker, "identity", phial_secret_const_bytes(file), phial_secret_length(file));
	phial_secret_free(file);
	must(maker, phial_signer_generate(NULL, &file, &public_file, &public_key, &maker->err));
	must(maker, phial_signer_parse(file, NULL, &maker->signer, &maker->err));
	write_file(maker, "signer.key", phial_secret_const_bytes(file), phial_secret_length(file));
	phial_secret_free(file);
	free(public_file);
	phial_signer_public_format(&public_key, key);
	(void)snprintf(line, sizeof(line), "%s\n", key);
	write_file(maker, "trust", line, strlen(line));
	(void)snprintf(line, sizeof(line), "bench %s\n", key);
	write_file(maker, "signers", line, strlen(line));
}

static void write_list(struct maker *maker, int store_fd, enum phial_trust_kind kind,
		       const struct phial_trust_entry *entries, size_t count)
{
	struct phial_trust_list list = { .serial = 1 };
	char *text;
	size_t length;

	for (size_t i = 0; i < count; i++) {
		must(maker, phial_trust_list_add(&list, &entries[i], &maker->err));
	}
	must(maker, phial_trust_list_format(kind, &list, &text, &length, &maker->err));
	must(maker,
	     phial_trust_write(store_fd, kind == PHIAL_TRUST_SIGNERS ? "signers" : "recipients",
			       (const uint8_t *)text, length, maker->signer, &maker->err));
	free(text);
	phial_trust_list_free(&list);
}

static void write_trust(struct maker *maker)
{
	struct phial_trust_entry hosts[2] = { { .pattern_count = 0 }, { .pattern_count = 0 } };
	struct phial_trust_entry signer = { .name = "bench" };
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/store", maker->directory);
	phial_auto_fd int store_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (store_fd < 0) {
		bench_fail(path);
	}
	for (size_t i = 0; i < PHIAL_COUNT(hosts); i++) {
		memcpy(hosts[i].name, maker->recipients[i].name, sizeof(hosts[i].name));
		hosts[i].recipient = maker->recipients[i].key;
	}
	phial_signer_get_public(maker->signer, &signer.signer);
	write_list(maker, store_fd, PHIAL_TRUST_RECIPIENTS, hosts, PHIAL_COUNT(hosts));
	write_list(maker, store_fd, PHIAL_TRUST_SIGNERS, &signer, 1);
}

/* The age file in a sealed file. */
static void write_body(struct maker *maker, const uint8_t *bytes, size_t length)
{
	struct phial_sealed *sealed;

	must(maker, phial_sealed_parse(bytes, length, &sealed, &maker->err));
	write_file(maker, "body.age", sealed->body.text, sealed->body.length);
	phial_sealed_free(sealed);
}

/* One secret of random letters. */
static void seal_one(struct maker *maker, const char *workload, size_t number)
{
	struct phial_sealed_header header = {
		.version = 1700000000000,
		.created_s = 1700000000,
		.mode = PHIAL_MODE_UNSET,
		.owner_uid = PHIAL_ID_UNSET,
		.owner_gid = PHIAL_ID_UNSET,
		.recipients = maker->recipients,
		.recipient_count = PHIAL_COUNT(maker->recipients),
	};
	char path[PHIAL_NAME_MAX_BYTES + 32];
	uint8_t *value = phial_secret_bytes(maker->value);
	uint8_t *sealed;
	size_t length;

	must(maker, phial_random_bytes(value, maker->bytes, &maker->err));
	for (size_t i = 0; i < maker->bytes; i++) {
		value[i] = (uint8_t)('a' + value[i] % 26);
	}
	phial_secret_set_length(maker->value, maker->bytes);
	(void)snprintf(header.name, sizeof(header.name), "%s/s%03zu", workload, number);
	must(maker,
	     phial_seal(&header, maker->value, maker->signer, &sealed, &length, &maker->err));
	(void)snprintf(path, sizeof(path), "store/%s.sealed", header.name);
	write_file(maker, path, sealed, length);
	if (strcmp(workload, "one") == 0) {
		write_file(maker, "one.sealed", sealed, length);
		write_body(maker, sealed, length);
	}
	free(sealed);
}

static size_t seal_workload(struct maker *maker, const char *workload, size_t count, size_t left)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "store/%s", workload);
	make_directory(maker, path);
	count = count < left ? count : left;
	for (size_t i = 0; i < count; i++) {
		seal_one(maker, workload, i);
	}
	return left - count;
}

int main(int argc, char **argv)
{
	struct maker maker = { .value = NULL };
	char workload[32];

	errno = EINVAL;
	if (argc != 4) {
		bench_fail("usage: make_store DIR COUNT BYTES");
	}
	umask(022);
	maker.directory = argv[1];
	maker.bytes = bench_parse_number(argv[3], PHIAL_SECRET_MAX_BYTES);
	must(&maker, phial_secret_new(maker.bytes, &maker.value, &maker.err));
	make_directory(&maker, "store");
	make_directory(&maker, "store/.phial");
	make_keys(&maker);
	write_trust(&maker);
	size_t left = seal_workload(&maker, "one", 1, bench_parse_number(argv[2], 100000));

	left = seal_workload(&maker, "ten", 10, left);
	left = seal_workload(&maker, "hundred", 100, left);
	for (size_t i = 0; left > 0; i++) {
		(void)snprintf(workload, sizeof(workload), "w%03zu", i);
		left = seal_workload(&maker, workload, PER_WORKLOAD, left);
	}
	phial_signer_free(maker.signer);
	phial_secret_free(maker.value);
	return 0;
}
