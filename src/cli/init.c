/* SPDX-License-Identifier: ISC */
/*
 * `phial init`: a store with signed lists, my keys if I have none, and a recovery key. All
 * questions and checks come first; a failure afterwards takes back what was made here, but
 * never a key.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/secret.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "cli/keyfile.h"
#include "cli/store.h"
#include "cli/terminal.h"

enum { NAME, NO_PASSPHRASE, PASSPHRASE_FD, RECOVERY, NO_RECOVERY };

const struct phial_cli_option phial_cli_init_options[] = {
	[NAME] = { "name", 0, false, "NAME", "what I am called in the store (default: user name)" },
	[NO_PASSPHRASE] = { "no-passphrase", 0, false, NULL, "do not encrypt keys made now" },
	[PASSPHRASE_FD] = { "passphrase-fd", 0, false, "N",
			    "read the passphrase from descriptor N" },
	[RECOVERY] = { "recovery", 0, false, "FILE",
		       "write the recovery key here, to put it away" },
	[NO_RECOVERY] = { "no-recovery", 0, false, NULL, "make no recovery key" },
	{ 0 },
};

#define ATTRIBUTES_MAX_BYTES ((size_t)1024 * 1024)

/* Sealed and signed bytes must arrive as they are: no line-ending conversion. */
static const char *const attribute_lines[] = {
	"*.sealed -text diff=phial merge=phial",
	".phial/* -text",
};

struct init_state {
	struct phial_trust_list recipients;
	struct phial_trust_list signers;
	struct phial_recipient my_recipient;
	struct phial_signer *signer;
	struct phial_signer_public my_public;
	char my_name[PHIAL_NAME_COMPONENT_MAX_BYTES + 1];
	const char *folder;
	int fd; /* of the store */
	bool made_folder;
	bool made_recovery;
};

static enum phial_status check_options(const struct phial_cli_call *call,
				       const struct phial_cli_passphrases *passphrases,
				       struct phial_error *err)
{
	if (call->values[RECOVERY] && call->values[NO_RECOVERY]) {
		return phial_fail(err, PHIAL_USAGE, 0,
				  "--recovery and --no-recovery exclude each other");
	}
	if (!call->values[RECOVERY] && !call->values[NO_RECOVERY] && !phial_cli_has_terminal()) {
		return phial_fail(
			err, PHIAL_USAGE, 0,
			"there is no terminal to show the recovery key on: give --recovery "
			"FILE, or --no-recovery");
	}
	if (passphrases->is_none && passphrases->fd_text) {
		return phial_cli_passphrases_check_new(passphrases, err);
	}
	return PHIAL_OK;
}

/* My name in the store: --name, or the user name with what the grammar refuses as '-'. */
static enum phial_status choose_name(const struct phial_cli_call *call, char *ret_name,
				     size_t name_bytes, struct phial_error *err)
{
	const struct passwd *user = getpwuid(geteuid());
	const char *name = call->values[NAME];

	(void)snprintf(ret_name, name_bytes, "%s", name ? name : user ? user->pw_name : "me");
	if (name && (strlen(name) >= name_bytes || strchr(name, '/'))) {
		return phial_fail(err, PHIAL_BAD_NAME, 0,
				  "--name: one component of at most 63 letters, digits, '.', '_' "
				  "and '-'");
	}
	for (char *c = ret_name; !name && *c != '\0'; c++) {
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
		      (*c >= '0' && *c <= '9'))) {
			*c = c == ret_name ? 'u' : '-';
		}
	}
	enum phial_status status = phial_name_check(ret_name, err);

	return status == PHIAL_OK ? status : phial_fail_prefix(err, "--name");
}

/* Is one of my files there? */
static enum phial_status has_file(const char *name, char **ret_path, bool *ret_exists,
				  struct phial_error *err)
{
	struct stat status;
	enum phial_status result = phial_cli_config_path(name, ret_path, err);

	if (result == PHIAL_OK) {
		*ret_exists = stat(*ret_path, &status) == 0;
	}
	return result;
}

static enum phial_status my_identity(struct init_state *state,
				     struct phial_cli_passphrases *passphrases,
				     struct phial_error *err)
{
	phial_auto_identities struct phial_identities *identities = NULL;
	phial_auto_free char *path = NULL;
	bool exists = false;
	enum phial_status status = has_file("identity", &path, &exists, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (!exists) {
		status =
			phial_cli_make_identity(path, 0600, passphrases, &state->my_recipient, err);
		if (status == PHIAL_OK) {
			printf("Your age key (to open):       %s\n", path);
		}
		return status;
	}
	status = phial_cli_load_identities(NULL, passphrases, &identities, err);
	if (status == PHIAL_OK) {
		phial_identities_recipient(identities, 0, &state->my_recipient);
	}
	return status;
}

static enum phial_status my_signer(struct init_state *state,
				   struct phial_cli_passphrases *passphrases,
				   struct phial_error *err)
{
	phial_auto_free char *path = NULL;
	phial_auto_free char *public_path = NULL;
	bool exists = false;
	enum phial_status status = has_file("signer.key", &path, &exists, err);

	if (status == PHIAL_OK && !exists) {
		status = phial_cli_config_path("signer.pub", &public_path, err);
		if (status == PHIAL_OK) {
			status = phial_cli_make_signer(path, public_path, passphrases,
						       &state->my_public, err);
		}
		if (status == PHIAL_OK) {
			passphrases->is_just_made = true;
			printf("Your signer key (to seal):    %s\n", path);
		}
	}
	if (status == PHIAL_OK) {
		status = phial_cli_load_signer(NULL, passphrases, &state->signer, err);
	}
	if (status == PHIAL_OK) {
		phial_signer_get_public(state->signer, &state->my_public);
	}
	return status;
}

/* My keys, made where they are missing; the word on passphrases is asked for before that. */
static enum phial_status my_keys(struct init_state *state,
				 struct phial_cli_passphrases *passphrases, struct phial_error *err)
{
	phial_auto_free char *identity = NULL;
	phial_auto_free char *signer = NULL;
	bool has_identity = false;
	bool has_signer = false;
	enum phial_status status = has_file("identity", &identity, &has_identity, err);

	if (status == PHIAL_OK) {
		status = has_file("signer.key", &signer, &has_signer, err);
	}
	if (status == PHIAL_OK && (!has_identity || !has_signer)) {
		status = phial_cli_passphrases_check_new(passphrases, err);
	}
	if (status == PHIAL_OK) {
		status = phial_cli_config_make(err);
	}
	if (status == PHIAL_OK) {
		status = my_identity(state, passphrases, err);
	}
	return status == PHIAL_OK ? my_signer(state, passphrases, err) : status;
}

/* Open DIR, which is made if it is missing, and must hold no store yet. */
static enum phial_status open_folder(struct init_state *state, struct phial_error *err)
{
	struct stat status;

	if (mkdir(state->folder, 0777) == 0) {
		state->made_folder = true;
		(void)chmod(state->folder, 0755); /* a store is safe to publish */
	} else if (errno != EEXIST) {
		return phial_fail(err, phial_cli_open_status(errno), errno, "make %s",
				  state->folder);
	}
	state->fd = open(state->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (state->fd < 0) {
		return phial_fail(err, phial_cli_open_status(errno), errno, "open %s",
				  state->folder);
	}
	if (fstatat(state->fd, ".phial", &status, AT_SYMLINK_NOFOLLOW) == 0) {
		return phial_fail(
			err, PHIAL_EXISTS, 0,
			"%s is a store already: phial host add and phial signer add change "
			"it, phial join pins its key",
			state->folder);
	}
	return PHIAL_OK;
}

static enum phial_status add_recipient(struct init_state *state, const char *name,
				       const struct phial_recipient *key, struct phial_error *err)
{
	struct phial_trust_entry entry = { .recipient = *key };

	(void)snprintf(entry.name, sizeof(entry.name), "%s", name);
	return phial_trust_list_add(&state->recipients, &entry, err);
}

static const char recovery_words[] =
	"\nThis is the RECOVERY KEY of the store. It opens every secret in it, and it is shown\n"
	"only now and kept nowhere: write it down and put it where fire and thieves do not\n"
	"come. Without it, losing all hosts means typing every value again.\n\n";

/* Show the key, or write it to --recovery. */
static enum phial_status hand_out_recovery(struct init_state *state, const char *file,
					   const struct phial_secret *key, struct phial_error *err)
{
	if (file) {
		enum phial_status status = phial_cli_write_secret(file, key, 0600, err);

		state->made_recovery = status == PHIAL_OK;
		return status;
	}
	phial_auto_fd int terminal = open("/dev/tty", O_WRONLY | O_CLOEXEC | O_NOCTTY);

	if (terminal < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "open the terminal");
	}
	enum phial_status status =
		phial_write_all(terminal, recovery_words, sizeof(recovery_words) - 1, err);

	if (status == PHIAL_OK) {
		status = phial_secret_write_fd(key, terminal, err);
	}
	return status == PHIAL_OK ? phial_write_all(terminal, "\n", 1, err) : status;
}

static enum phial_status make_recovery(const struct phial_cli_call *call, struct init_state *state,
				       struct phial_error *err)
{
	phial_auto_secret struct phial_secret *key = NULL;
	struct phial_recipient recipient;

	if (call->values[NO_RECOVERY]) {
		fprintf(stderr,
			"phial: warning: no recovery key. If every host and every person's key is "
			"lost, every value has to be typed again.\n");
		return PHIAL_OK;
	}
	enum phial_status status =
		phial_identity_generate((int64_t)time(NULL), &key, &recipient, err);

	if (status == PHIAL_OK) {
		status = add_recipient(state, "recovery", &recipient, err);
	}
	return status == PHIAL_OK ? hand_out_recovery(state, call->values[RECOVERY], key, err)
				  : status;
}

static enum phial_status write_list(struct init_state *state, enum phial_trust_kind kind,
				    struct phial_error *err)
{
	bool is_recipients = kind == PHIAL_TRUST_RECIPIENTS;
	struct phial_trust_list *list = is_recipients ? &state->recipients : &state->signers;
	phial_auto_free char *text = NULL;
	size_t length = 0;

	list->serial = 1;
	enum phial_status status = phial_trust_list_format(kind, list, &text, &length, err);

	if (status != PHIAL_OK) {
		return status;
	}
	return phial_trust_write(state->fd, is_recipients ? "recipients" : "signers",
				 (const uint8_t *)text, length, state->signer, err);
}

/* Append the lines that .gitattributes lacks. */
static enum phial_status write_attributes(int fd, struct phial_error *err)
{
	phial_auto_text struct phial_text text = { .max = ATTRIBUTES_MAX_BYTES };
	phial_auto_free uint8_t *bytes = NULL;
	size_t length = 0;
	phial_auto_fd int old = openat(fd, ".gitattributes", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (old < 0 && errno != ENOENT) {
		return phial_fail(err, phial_cli_open_status(errno), errno, "open .gitattributes");
	}
	if (old >= 0) {
		enum phial_status status =
			phial_read_all(old, ATTRIBUTES_MAX_BYTES / 2, &bytes, &length, err);

		if (status != PHIAL_OK) {
			return phial_fail_prefix(err, ".gitattributes");
		}
	}
	phial_text_add_bytes(&text, bytes, length);
	if (length > 0 && bytes[length - 1] != '\n') {
		phial_text_add(&text, "\n");
	}
	for (size_t i = 0; i < PHIAL_COUNT(attribute_lines); i++) {
		if (!bytes || !strstr((const char *)bytes, attribute_lines[i])) {
			phial_text_add(&text, "%s\n", attribute_lines[i]);
		}
	}
	if (text.has_failed) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, ".gitattributes is too large");
	}
	return phial_store_write(fd, ".gitattributes", text.bytes, text.length, 0644, err);
}

static enum phial_status make_store(const struct phial_cli_call *call, struct init_state *state,
				    struct phial_error *err)
{
	struct phial_trust_entry me = { .signer = state->my_public };

	(void)snprintf(me.name, sizeof(me.name), "%s", state->my_name);
	enum phial_status status = add_recipient(state, state->my_name, &state->my_recipient, err);

	if (status == PHIAL_OK) {
		status = phial_trust_list_add(&state->signers, &me, err);
	}
	if (status == PHIAL_OK) {
		status = make_recovery(call, state, err);
	}
	if (status == PHIAL_OK) {
		status = write_list(state, PHIAL_TRUST_RECIPIENTS, err);
	}
	if (status == PHIAL_OK) {
		status = write_list(state, PHIAL_TRUST_SIGNERS, err);
	}
	if (status == PHIAL_OK) {
		status = write_attributes(state->fd, err);
	}
	return status == PHIAL_OK ? phial_cli_pins_add(&state->my_public, err) : status;
}

/* After a failure: a half store would be taken for a whole one. Keys stay. */
static void take_back(const struct phial_cli_call *call, const struct init_state *state,
		      bool had_store)
{
	static const char *const files[] = { ".phial/recipients", ".phial/recipients.minisig",
					     ".phial/signers", ".phial/signers.minisig" };

	if (had_store || state->fd < 0) {
		return;
	}
	for (size_t i = 0; i < PHIAL_COUNT(files); i++) {
		(void)unlinkat(state->fd, files[i], 0);
	}
	(void)unlinkat(state->fd, ".phial", AT_REMOVEDIR);
	if (state->made_folder) {
		(void)rmdir(state->folder);
	}
	if (state->made_recovery) {
		(void)unlink(call->values[RECOVERY]);
	}
}

static void say_what_next(const struct phial_cli_call *call, const struct init_state *state)
{
	char key[PHIAL_SIGNER_TEXT_BYTES];

	phial_signer_public_format(&state->my_public, key);
	if (call->values[RECOVERY]) {
		printf("Recovery key (opens all):     %s: move it offline\n",
		       call->values[RECOVERY]);
	}
	printf("Store:                        %s\n"
	       "Admin key, to pin on hosts:   %s\n\n"
	       "Let git show and merge sealed files (once per clone):\n"
	       "  git config diff.phial.textconv 'phial inspect'\n"
	       "  git config merge.phial.driver false\n"
	       "Next, on each host:             sudo phial setup --trust %s\n"
	       "then here, as it tells you:     phial host add NAME age1...\n"
	       "and seal a first secret:        phial seal web/db_password\n",
	       state->folder, key, key);
}

enum phial_status phial_cli_init(const struct phial_cli_call *call, struct phial_error *err)
{
	phial_auto_passphrases struct phial_cli_passphrases passphrases = {
		.fd_text = call->values[PASSPHRASE_FD],
		.is_none = call->values[NO_PASSPHRASE] != NULL,
	};
	const char *folder = phial_cli_operand(call, 0);
	struct init_state state = { .folder = folder ? folder : ".", .fd = -1 };
	bool had_store = true;
	enum phial_status status = check_options(call, &passphrases, err);

	if (status == PHIAL_OK) {
		status = choose_name(call, state.my_name, sizeof(state.my_name), err);
	}
	if (status == PHIAL_OK) {
		status = open_folder(&state, err);
		had_store = status != PHIAL_OK;
	}
	if (status == PHIAL_OK) {
		status = my_keys(&state, &passphrases, err);
	}
	sigset_t before;

	phial_cli_hold_signals(&before);
	if (status == PHIAL_OK) {
		status = make_store(call, &state, err);
	}
	if (status != PHIAL_OK) {
		take_back(call, &state, had_store);
	} else {
		say_what_next(call, &state);
	}
	phial_cli_release_signals(&before);
	phial_signer_free(state.signer);
	phial_trust_list_free(&state.recipients);
	phial_trust_list_free(&state.signers);
	phial_close_fd(&state.fd);
	return status;
}
