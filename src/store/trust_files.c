/* SPDX-License-Identifier: ISC */
/*
 * The signed files of a store on disk: read and verify them, sign and write them. What they say
 * is parsed in trust.c, and the policy in its own room.
 */
#include "store/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "store/beneath.h"
#include "store/store.h"

#define PATH_BYTES	    64
#define SIGNATURE_MAX_BYTES ((size_t)4096)
#define PUBLIC_MODE	    0644

/*
 * What a signature's trusted comment must say. One text for each kind of file, so that a
 * signed file of one kind is never taken for another.
 */
static const char *trusted_comment(const char *file)
{
	static const struct {
		const char *file;
		const char *comment;
	} comments[] = {
		{ "recipients", "phial recipients of a store" },
		{ "signers", "phial signers of a store" },
		{ "policy.json", "phial policy of a store" },
	};

	for (size_t i = 0; i < PHIAL_COUNT(comments); i++) {
		if (strcmp(file, comments[i].file) == 0) {
			return comments[i].comment;
		}
	}
	return NULL;
}

/* Read a regular file below the store. */
static enum phial_status read_file(int store_fd, const char *path, size_t max, uint8_t **ret_bytes,
				   size_t *ret_length, struct phial_error *err)
{
	phial_auto_fd int fd = -1;
	struct stat file;
	enum phial_status status =
		phial_store_open_beneath(store_fd, path, O_RDONLY | O_NONBLOCK, &fd, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (fstat(fd, &file) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "fstat %s", path);
	}
	if (!S_ISREG(file.st_mode)) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "%s: not a regular file", path);
	}
	status = phial_read_all(fd, max, ret_bytes, ret_length, err);
	if (status != PHIAL_OK) {
		(void)phial_fail_prefix(err, "%s", path);
	}
	return status;
}

/* What to do about a file whose signature is not right. */
static const char *remedy(const char *file)
{
	return strcmp(file, "policy.json") == 0
		       ? "an admin signs it with \"phial policy sign\""
		       : "take back what was edited by hand; \"phial host\" and \"phial signer\" "
			 "change and sign it";
}

/* Find the pinned key that made a signature. Texts name the file. */
static enum phial_status verify(const char *file, const uint8_t *bytes, size_t length,
				const char *signature, size_t signature_length,
				const struct phial_pins *pins, struct phial_error *err)
{
	for (size_t i = 0; i < pins->count; i++) {
		enum phial_status status =
			phial_minisign_verify(bytes, length, signature, signature_length,
					      &pins->keys[i], trusted_comment(file), err);

		if (status == PHIAL_OK) {
			return PHIAL_OK;
		}
		if (status != PHIAL_UNTRUSTED) {
			return phial_fail(err, status, 0,
					  ".phial/%s does not match its signature; %s", file,
					  remedy(file));
		}
	}
	return phial_fail(err, PHIAL_UNTRUSTED, 0,
			  ".phial/%s is not signed by any of the %zu pinned admin keys; if its "
			  "admin is to be trusted, pin the key: \"phial join --trust RW...\", on a "
			  "host \"phial setup --trust RW...\"",
			  file, pins->count);
}

/* Read a file and its signature, and verify. PHIAL_NOT_FOUND: neither of them is there. */
static enum phial_status read_signed(int store_fd, const char *file, const struct phial_pins *pins,
				     uint8_t **ret_bytes, size_t *ret_length,
				     struct phial_error *err)
{
	char path[PATH_BYTES];
	char signature_path[PATH_BYTES + sizeof(".minisig")];
	phial_auto_free uint8_t *bytes = NULL;
	phial_auto_free uint8_t *signature = NULL;
	size_t length = 0;
	size_t signature_length;

	(void)snprintf(path, sizeof(path), ".phial/%s", file);
	(void)snprintf(signature_path, sizeof(signature_path), "%s.minisig", path);
	enum phial_status file_status =
		read_file(store_fd, path, PHIAL_TRUST_FILE_MAX, &bytes, &length, err);

	if (file_status != PHIAL_OK && file_status != PHIAL_NOT_FOUND) {
		return file_status;
	}
	enum phial_status status = read_file(store_fd, signature_path, SIGNATURE_MAX_BYTES,
					     &signature, &signature_length, err);

	if (status == PHIAL_NOT_FOUND && file_status == PHIAL_OK) {
		return phial_fail(err, PHIAL_UNTRUSTED, 0, "%s is not signed (%s is missing); %s",
				  path, signature_path, remedy(file));
	}
	if (status != PHIAL_OK) {
		return status;
	}
	if (file_status == PHIAL_NOT_FOUND) {
		return phial_fail(
			err, PHIAL_TAMPERED, 0,
			"%s is missing, but its signature is there; get the file again from "
			"where the store is kept",
			path);
	}
	status = verify(file, bytes, length, (const char *)signature, signature_length, pins, err);
	if (status != PHIAL_OK) {
		return status;
	}
	*ret_bytes = phial_take_pointer(bytes);
	*ret_length = length;
	return PHIAL_OK;
}

static enum phial_status read_list(int store_fd, enum phial_trust_kind kind,
				   const struct phial_pins *pins, struct phial_trust_list *ret_list,
				   uint8_t ret_digest[static PHIAL_HASH_BYTES],
				   struct phial_error *err)
{
	const char *file = kind == PHIAL_TRUST_RECIPIENTS ? "recipients" : "signers";
	phial_auto_free uint8_t *bytes = NULL;
	size_t length;
	enum phial_status status = read_signed(store_fd, file, pins, &bytes, &length, err);

	if (status == PHIAL_NOT_FOUND) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0,
				  "no .phial/%s: this is no store; make one with `phial init`",
				  file);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	phial_hash_256(bytes, length, ret_digest);
	status = phial_trust_list_parse(kind, bytes, length, ret_list, err);
	if (status != PHIAL_OK) {
		(void)phial_fail_prefix(err, ".phial/%s", file);
	}
	return status;
}

/* The signers in the form that the sealed room takes. */
static enum phial_status point_at_signers(struct phial_trust *trust, struct phial_error *err)
{
	const struct phial_trust_list *list = &trust->signers;

	/* One more, because calloc(0) may be NULL. */
	trust->trusted = calloc(list->count + 1, sizeof(*trust->trusted));
	if (!trust->trusted) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "trust");
	}
	for (size_t i = 0; i < list->count; i++) {
		struct phial_trusted_signer *signer = &trust->trusted[i];

		memcpy(signer->name, list->entries[i].name, sizeof(signer->name));
		signer->key = list->entries[i].signer;
		signer->patterns = (const char *const *)list->entries[i].patterns;
		signer->pattern_count = list->entries[i].pattern_count;
	}
	return PHIAL_OK;
}

static enum phial_status read_all_files(int store_fd, const struct phial_pins *pins,
					struct phial_trust *trust, struct phial_error *err)
{
	enum phial_status status = read_list(store_fd, PHIAL_TRUST_RECIPIENTS, pins,
					     &trust->recipients, trust->recipients_digest, err);

	if (status != PHIAL_OK) {
		return status;
	}
	status = read_list(store_fd, PHIAL_TRUST_SIGNERS, pins, &trust->signers,
			   trust->signers_digest, err);
	if (status != PHIAL_OK) {
		return status;
	}
	status = read_signed(store_fd, "policy.json", pins, &trust->policy, &trust->policy_length,
			     err);
	if (status == PHIAL_OK) {
		phial_hash_256(trust->policy, trust->policy_length, trust->policy_digest);
	} else if (status != PHIAL_NOT_FOUND) {
		return status;
	}
	return point_at_signers(trust, err);
}

enum phial_status phial_trust_read(int store_fd, const struct phial_pins *pins,
				   struct phial_trust **ret_trust, struct phial_error *err)
{
	phial_auto_trust struct phial_trust *trust = calloc(1, sizeof(*trust));

	if (!trust) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "trust");
	}
	enum phial_status status = read_all_files(store_fd, pins, trust, err);

	if (status == PHIAL_OK) {
		*ret_trust = phial_take_pointer(trust);
	}
	return status;
}

void phial_trust_free(struct phial_trust *trust)
{
	if (trust) {
		phial_trust_list_free(&trust->recipients);
		phial_trust_list_free(&trust->signers);
		free(trust->policy);
		free(trust->trusted);
		free(trust);
	}
}

enum phial_status phial_trust_write(int store_fd, const char *file, const uint8_t *bytes,
				    size_t length, const struct phial_signer *admin,
				    struct phial_error *err)
{
	char path[PATH_BYTES];
	phial_auto_free char *signature = NULL;
	const char *comment = trusted_comment(file);

	if (!comment) {
		return phial_fail(err, PHIAL_USAGE, 0, "not a signed file of a store");
	}
	enum phial_status status =
		phial_minisign_sign(admin, bytes, length, comment, &signature, err);

	if (status != PHIAL_OK) {
		(void)phial_fail_prefix(err, "sign .phial/%s", file);
		return status;
	}
	(void)snprintf(path, sizeof(path), ".phial/%s", file);
	status = phial_store_write(store_fd, path, bytes, length, PUBLIC_MODE, err);
	if (status != PHIAL_OK) {
		return status;
	}
	(void)snprintf(path, sizeof(path), ".phial/%s.minisig", file);
	return phial_store_write(store_fd, path, signature, strlen(signature), PUBLIC_MODE, err);
}
