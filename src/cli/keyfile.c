/* SPDX-License-Identifier: ISC */
/*
 * Secret key files: reading, writing and making them, with the passphrase from a descriptor
 * or the terminal. Formats are the crypt room's.
 */
#include "cli/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/parse.h"
#include "base/secret.h"
#include "cli/config.h"
#include "cli/terminal.h"

/* age's own scrypt work factor. */
#define IDENTITY_LOG_N 18

void phial_cli_passphrases_free(struct phial_cli_passphrases *passphrases)
{
	phial_secret_free(passphrases->given);
	phial_secret_free(passphrases->chosen);
	passphrases->given = NULL;
	passphrases->chosen = NULL;
}

/* Keep what stands before the first newline. */
static void keep_first_line(struct phial_secret *secret)
{
	const uint8_t *bytes = phial_secret_const_bytes(secret);
	const uint8_t *newline = memchr(bytes, '\n', phial_secret_length(secret));

	if (newline) {
		phial_secret_set_length(secret, (size_t)(newline - bytes));
	}
}

/* Read --passphrase-fd, the first time that it is needed. */
static enum phial_status read_given(struct phial_cli_passphrases *passphrases,
				    struct phial_error *err)
{
	phial_auto_secret struct phial_secret *given = NULL;
	uint64_t fd;

	if (passphrases->given) {
		return PHIAL_OK;
	}
	if (!phial_parse_u64(phial_span_of(passphrases->fd_text), 0, 65535, &fd)) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--passphrase-fd takes the number of an open descriptor (not the "
				  "passphrase), e.g. --passphrase-fd 3 3<FILE");
	}
	enum phial_status status = phial_secret_new(PHIAL_CLI_PASSPHRASE_MAX_BYTES, &given, err);

	if (status == PHIAL_OK) {
		status = phial_secret_read_fd(given, (int)fd, err);
	}
	/* A program that phial runs could read a file once more. */
	if (status == PHIAL_OK && fd > STDERR_FILENO && fcntl((int)fd, F_SETFD, FD_CLOEXEC) != 0) {
		status = phial_fail(err, PHIAL_SYSTEM, errno, "close on exec");
	}
	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "--passphrase-fd");
	}
	keep_first_line(given);
	if (phial_secret_length(given) == 0) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--passphrase-fd gave an empty passphrase; --no-passphrase says "
				  "that a new key shall have none");
	}
	passphrases->given = phial_take_pointer(given);
	return PHIAL_OK;
}

enum phial_status phial_cli_passphrases_check_new(const struct phial_cli_passphrases *passphrases,
						  struct phial_error *err)
{
	if (passphrases->is_none && passphrases->fd_text) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--no-passphrase and --passphrase-fd exclude each other");
	}
	if (passphrases->is_none || passphrases->fd_text || phial_cli_has_terminal()) {
		return PHIAL_OK;
	}
	return phial_fail(
		err, PHIAL_USAGE, 0,
		"no key is made without a word on its passphrase, and there is no terminal "
		"to ask on: give --passphrase-fd N or --no-passphrase");
}

enum phial_status phial_cli_passphrases_new(struct phial_cli_passphrases *passphrases,
					    const struct phial_secret **ret_passphrase,
					    struct phial_error *err)
{
	enum phial_status status = phial_cli_passphrases_check_new(passphrases, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (passphrases->is_none) {
		*ret_passphrase = NULL;
		return PHIAL_OK;
	}
	if (passphrases->fd_text) {
		status = read_given(passphrases, err);
		*ret_passphrase = passphrases->given;
		return status;
	}
	if (!passphrases->was_asked) {
		status = phial_cli_ask_twice("Passphrase for the new key (empty: none): ",
					     "The same again: ", &passphrases->chosen, err);
		if (status != PHIAL_OK) {
			return status;
		}
		passphrases->was_asked = true;
	}
	*ret_passphrase = phial_secret_length(passphrases->chosen) > 0 ? passphrases->chosen : NULL;
	return PHIAL_OK;
}

/* The passphrase of a key that exists. ret_typed: owner of a typed one. */
static enum phial_status passphrase_of(const char *path, struct phial_cli_passphrases *passphrases,
				       struct phial_secret **ret_typed,
				       const struct phial_secret **ret_passphrase,
				       struct phial_error *err)
{
	char prompt[256];
	enum phial_status status;

	if (passphrases->fd_text) {
		status = read_given(passphrases, err);
		*ret_passphrase = passphrases->given;
		return status;
	}
	if (passphrases->is_just_made && passphrases->chosen) {
		*ret_passphrase = passphrases->chosen;
		return PHIAL_OK;
	}
	if (!phial_cli_has_terminal()) {
		return phial_fail(err, PHIAL_BAD_PASSPHRASE, 0,
				  "%s is encrypted, and there is no terminal to ask on: give "
				  "--passphrase-fd N",
				  path);
	}
	status = phial_secret_new(PHIAL_CLI_LINE_MAX_BYTES + 2, ret_typed, err);
	if (status == PHIAL_OK) {
		(void)snprintf(prompt, sizeof(prompt), "Passphrase of %.200s: ", path);
		status = phial_cli_ask(prompt, *ret_typed, err);
	}
	*ret_passphrase = *ret_typed;
	return status;
}

/* A key that others can read is not secret any more; as ssh(1), refuse it. */
static enum phial_status check_mode(const char *path, int fd, struct phial_error *err)
{
	struct stat status;

	if (fstat(fd, &status) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "stat %s", path);
	}
	if (S_ISREG(status.st_mode) && (status.st_mode & 077) != 0) {
		return phial_fail(err, PHIAL_DENIED, 0,
				  "%s may be used by others (mode %04o): chmod 600 it, and make a "
				  "new key if somebody may have read it",
				  path, (unsigned int)status.st_mode & 07777U);
	}
	return PHIAL_OK;
}

enum phial_status phial_cli_read_secret(const char *path, size_t max, bool is_key,
					struct phial_secret **ret_file, struct phial_error *err)
{
	phial_auto_secret struct phial_secret *file = NULL;
	phial_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0) {
		return phial_fail(err, phial_cli_open_status(errno), errno, "open %s", path);
	}
	enum phial_status status = is_key ? check_mode(path, fd, err) : PHIAL_OK;

	if (status != PHIAL_OK) {
		return status;
	}
	status = phial_secret_new(max, &file, err);
	if (status == PHIAL_OK) {
		status = phial_secret_read_fd(file, fd, err);
	}
	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "%s", path);
	}
	*ret_file = phial_take_pointer(file);
	return PHIAL_OK;
}

/* Make the folder's entry durable. A file system that cannot is not an error of the key. */
static void sync_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	phial_auto_free char *folder =
		slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	phial_auto_fd int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		(void)fsync(fd);
	}
}

enum phial_status phial_cli_write_secret(const char *path, const struct phial_secret *file,
					 unsigned int mode, struct phial_error *err)
{
	phial_auto_fd int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

	if (fd < 0 && (errno == EEXIST || errno == ELOOP)) {
		return phial_fail(err, PHIAL_EXISTS, 0, "%s exists already and is left as it is",
				  path);
	}
	if (fd < 0) {
		return phial_fail(err, phial_cli_open_status(errno), errno, "make %s", path);
	}
	enum phial_status status = phial_secret_write_fd(file, fd, err);

	if (status == PHIAL_OK && fsync(fd) != 0) {
		status = phial_fail(err, PHIAL_SYSTEM, errno, "sync");
	}
	if (status != PHIAL_OK) {
		(void)unlink(path);
		return phial_fail_prefix(err, "%s", path);
	}
	sync_folder_of(path);
	return PHIAL_OK;
}

/* Give ret_path the caller's own file of this name, unless path is given already. */
static enum phial_status default_path(const char **path, const char *name, char **ret_owned,
				      struct phial_error *err)
{
	if (*path) {
		return PHIAL_OK;
	}
	enum phial_status status = phial_cli_config_path(name, ret_owned, err);

	*path = *ret_owned;
	return status;
}

enum phial_status phial_cli_load_identities(const char *path,
					    struct phial_cli_passphrases *passphrases,
					    struct phial_identities **ret_identities,
					    struct phial_error *err)
{
	phial_auto_free char *own = NULL;
	phial_auto_secret struct phial_secret *file = NULL;
	phial_auto_secret struct phial_secret *typed = NULL;
	const struct phial_secret *passphrase = NULL;
	bool is_own = !path;
	enum phial_status status = default_path(&path, "identity", &own, err);

	if (status == PHIAL_OK) {
		status = phial_cli_read_secret(path, PHIAL_KEY_FILE_MAX_BYTES, true, &file, err);
	}
	if (status == PHIAL_NOT_FOUND && is_own) {
		return phial_fail(err, status, 0,
				  "you have no age key (%s): run phial keygen, or name one with -i",
				  path);
	}
	if (status == PHIAL_OK && phial_identities_need_passphrase(file)) {
		status = passphrase_of(path, passphrases, &typed, &passphrase, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	status = phial_identities_parse(file, passphrase, ret_identities, err);
	return status == PHIAL_OK ? status : phial_fail_prefix(err, "%s", path);
}

void phial_cli_try_identities(struct phial_identities **ret_identities)
{
	phial_auto_free char *path = NULL;
	phial_auto_secret struct phial_secret *file = NULL;
	enum phial_status status = phial_cli_config_path("identity", &path, NULL);

	*ret_identities = NULL;
	if (status == PHIAL_OK) {
		status = phial_cli_read_secret(path, PHIAL_KEY_FILE_MAX_BYTES, true, &file, NULL);
	}
	if (status == PHIAL_OK && !phial_identities_need_passphrase(file)) {
		status = phial_identities_parse(file, NULL, ret_identities, NULL);
	}
	if (status != PHIAL_OK) {
		*ret_identities = NULL;
	}
}

enum phial_status phial_cli_load_signer(const char *path, struct phial_cli_passphrases *passphrases,
					struct phial_signer **ret_signer, struct phial_error *err)
{
	phial_auto_free char *own = NULL;
	phial_auto_secret struct phial_secret *file = NULL;
	phial_auto_secret struct phial_secret *typed = NULL;
	const struct phial_secret *passphrase = NULL;
	bool is_own = !path;
	enum phial_status status = default_path(&path, "signer.key", &own, err);

	if (status == PHIAL_OK) {
		status = phial_cli_read_secret(path, PHIAL_KEY_FILE_MAX_BYTES, true, &file, err);
	}
	if (status == PHIAL_NOT_FOUND && is_own) {
		return phial_fail(
			err, status, 0,
			"you have no signer key (%s): run phial signer keygen, or name one "
			"with -s",
			path);
	}
	if (status == PHIAL_OK && phial_signer_needs_passphrase(file)) {
		status = passphrase_of(path, passphrases, &typed, &passphrase, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	status = phial_signer_parse(file, passphrase, ret_signer, err);
	return status == PHIAL_OK ? status : phial_fail_prefix(err, "%s", path);
}

/* Fail early, before a passphrase is asked, when a file is there. */
static enum phial_status check_absent(const char *path, struct phial_error *err)
{
	struct stat status;

	if (lstat(path, &status) == 0) {
		return phial_fail(err, PHIAL_EXISTS, 0, "%s exists already and is left as it is",
				  path);
	}
	return PHIAL_OK;
}

enum phial_status phial_cli_make_identity(const char *path, unsigned int mode,
					  struct phial_cli_passphrases *passphrases,
					  struct phial_recipient *ret_recipient,
					  struct phial_error *err)
{
	phial_auto_secret struct phial_secret *plain = NULL;
	phial_auto_secret struct phial_secret *encrypted = NULL;
	const struct phial_secret *passphrase = NULL;
	struct phial_recipient recipient;
	enum phial_status status = check_absent(path, err);

	if (status == PHIAL_OK) {
		status = phial_cli_passphrases_new(passphrases, &passphrase, err);
	}
	if (status == PHIAL_OK) {
		status = phial_identity_generate((int64_t)time(NULL), &plain, &recipient, err);
	}
	if (status == PHIAL_OK && passphrase) {
		status = phial_passphrase_encrypt(plain, passphrase, IDENTITY_LOG_N, &encrypted,
						  err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_write_secret(path, encrypted ? encrypted : plain, mode, err);
	}
	if (status == PHIAL_OK) {
		*ret_recipient = recipient;
	}
	return status;
}

enum phial_status phial_cli_make_signer(const char *path, const char *public_path,
					struct phial_cli_passphrases *passphrases,
					struct phial_signer_public *ret_public,
					struct phial_error *err)
{
	phial_auto_secret struct phial_secret *file = NULL;
	phial_auto_free char *public_file = NULL;
	const struct phial_secret *passphrase = NULL;
	struct phial_signer_public public_key;
	enum phial_status status = check_absent(path, err);

	if (status == PHIAL_OK) {
		status = check_absent(public_path, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_passphrases_new(passphrases, &passphrase, err);
	}
	if (status == PHIAL_OK) {
		status = phial_signer_generate(passphrase, &file, &public_file, &public_key, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_write_secret(path, file, 0600, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	status = phial_cli_write_file(public_path, public_file, strlen(public_file), 0644, err);
	if (status != PHIAL_OK) {
		(void)unlink(path);
		return status;
	}
	*ret_public = public_key;
	return PHIAL_OK;
}
