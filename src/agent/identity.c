/* SPDX-License-Identifier: ISC */
/*
 * Reading the host's key at start. The file is root's own, so the supervisor may parse it; what
 * comes from outside is parsed by the worker only. The text goes into the ring, from which every
 * worker takes it; the file is not needed again.
 */
#include "agent/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/secret.h"
#include "crypt/crypt.h"
#include "keyring/keyring.h"

#define PASSPHRASE_MAX_BYTES ((size_t)4096)

/* Open a credential of the service manager by name. Returns -1 if there is none. */
static int open_credential(const char *name)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	char path[4096];

	if (!directory || directory[0] != '/' ||
	    (size_t)snprintf(path, sizeof(path), "%s/%s", directory, name) >= sizeof(path)) {
		return -1;
	}
	return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* Open the identity file and see that nobody but its owner can read it. */
static enum phial_status open_identity(const struct phial_agent_options *options, int *ret_fd,
				       struct phial_error *err)
{
	struct stat status;
	phial_auto_fd int fd = open_credential("phial-identity");

	if (fd < 0) {
		fd = open(options->identity, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	}
	if (fd < 0) {
		return phial_fail(err, errno == ENOENT ? PHIAL_NOT_FOUND : PHIAL_SYSTEM, errno,
				  "cannot open the identity %s (\"phial %s\" makes one)",
				  options->identity, options->is_user ? "keygen" : "setup");
	}
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
		return phial_fail(err, PHIAL_BAD_KEY, 0, "identity %s is not a regular file",
				  options->identity);
	}
	if ((status.st_mode & 077) != 0) {
		return phial_fail(err, PHIAL_DENIED, 0,
				  "identity %s can be read by others (mode %04o); run chmod 0400",
				  options->identity, (unsigned int)(status.st_mode & 07777));
	}
	*ret_fd = phial_take_fd(&fd);
	return PHIAL_OK;
}

static enum phial_status read_passphrase(const struct phial_agent_options *options,
					 struct phial_secret **ret_passphrase,
					 struct phial_error *err)
{
	phial_auto_secret struct phial_secret *passphrase = NULL;
	phial_auto_fd int credential_fd = open_credential("phial-passphrase");
	int fd = options->passphrase_fd >= 0 ? options->passphrase_fd : credential_fd;

	if (fd < 0) {
		return phial_fail(err, PHIAL_BAD_PASSPHRASE, 0,
				  "it needs a passphrase: give it with --passphrase-fd or as the "
				  "credential phial-passphrase");
	}
	enum phial_status status = phial_secret_new(PASSPHRASE_MAX_BYTES, &passphrase, err);

	if (status == PHIAL_OK) {
		status = phial_secret_read_fd(passphrase, fd, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	size_t length = phial_secret_length(passphrase);

	if (length > 0 && phial_secret_bytes(passphrase)[length - 1] == '\n') {
		phial_secret_set_length(passphrase, length - 1);
	}
	*ret_passphrase = phial_take_pointer(passphrase);
	return PHIAL_OK;
}

/* Put the identity's text, decrypted if need be, into text. */
static enum phial_status load_text(const struct phial_agent_options *options, int fd,
				   struct phial_secret *text, struct phial_error *err)
{
	phial_auto_secret struct phial_secret *file = NULL;
	phial_auto_secret struct phial_secret *passphrase = NULL;
	enum phial_status status = phial_secret_new(PHIAL_KEY_FILE_MAX_BYTES, &file, err);

	if (status == PHIAL_OK) {
		status = phial_secret_read_fd(file, fd, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	if (!phial_identities_need_passphrase(file)) {
		return phial_secret_append(text, phial_secret_const_bytes(file),
					   phial_secret_length(file), err);
	}
	status = read_passphrase(options, &passphrase, err);
	if (status != PHIAL_OK) {
		return status;
	}
	return phial_age_open_passphrase(phial_secret_const_bytes(file), phial_secret_length(file),
					 passphrase, text, err);
}

enum phial_status phial_agent_identity_read(const struct phial_agent_options *options,
					    struct phial_secret **ret_text,
					    char ret_public[PHIAL_RECIPIENT_TEXT_BYTES],
					    struct phial_error *err)
{
	phial_auto_fd int fd = -1;
	phial_auto_secret struct phial_secret *text = NULL;
	struct phial_identities *identities = NULL;
	struct phial_recipient recipient;
	enum phial_status status = open_identity(options, &fd, err);

	if (status == PHIAL_OK) {
		status = phial_secret_new(PHIAL_KEY_PART_MAX, &text, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	status = load_text(options, fd, text, err);
	if (status == PHIAL_OK) {
		status = phial_identities_parse(text, NULL, &identities, err);
	}
	if (status != PHIAL_OK) {
		(void)phial_fail_prefix(err, "identity %s", options->identity);
		return status;
	}
	phial_identities_recipient(identities, 0, &recipient);
	phial_identities_free(identities);
	phial_recipient_format(&recipient, ret_public);
	*ret_text = phial_take_pointer(text);
	return PHIAL_OK;
}
