/* SPDX-License-Identifier: ISC */
/*
 * `phial setup`: makes a host ready for the agent, and takes that back. It may be run any
 * number of times; what is there and right is kept. The single actions are setup_actions.c's.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/program.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "cli/keyfile.h"
#include "cli/setup_actions.h"
#include "cli/setup_cdi.h"
#include "cli/setup_podman.h"
#include "host/podman.h"

enum { STORE, TRUST, PRINT, REMOVE, PURGE, ROOT };

const struct phial_cli_option phial_cli_setup_options[] = {
	[STORE] = { "store", 0, false, "DIR",
		    "the store's folder (default: /var/lib/phial/store)" },
	[TRUST] = { "trust", 0, false, "RW...", "pin this admin key" },
	[PRINT] = PHIAL_SETUP_PRINT_OPTION,
	[REMOVE] = { "remove", 0, false, NULL, "take it back; the host's key and marks stay" },
	[PURGE] = { "purge", 0, false, NULL,
		    "with --remove: the key, the marks and the user, too" },
	[ROOT] = PHIAL_SETUP_ROOT_OPTION,
	{ 0 },
};

#define USER	      "phial"
#define CONFIG_FOLDER "/etc/phial"
#define TRUST_FILE    "/etc/phial/trust"
#define STORE_LINK    "/etc/phial/store"
#define HOME_FOLDER   "/var/lib/phial"
#define STATE_FOLDER  "/var/lib/phial/state"
#define IDENTITY_FILE "/var/lib/phial/identity"
#define STORE_FOLDER  "/var/lib/phial/store"
#define BOOT_FOLDER   "/var/lib/phial/workload"

struct job {
	struct phial_setup setup;
	const struct phial_cli_call *call;
	char host_key[PHIAL_RECIPIENT_TEXT_BYTES]; /* "" if it is not known */
	struct phial_signer_public trust;	   /* of --trust */
	uid_t uid;				   /* of the user phial; -1 if it is not there */
	gid_t gid;
};

static enum phial_status check_call(const struct phial_cli_call *call, struct job *job,
				    struct phial_error *err)
{
	if (call->values[PURGE] && !call->values[REMOVE]) {
		return phial_fail(err, PHIAL_USAGE, 0, "--purge goes with --remove");
	}
	if (call->values[REMOVE] && (call->values[STORE] || call->values[TRUST])) {
		return phial_fail(err, PHIAL_USAGE, 0, "--remove takes no --store and no --trust");
	}
	if (call->values[TRUST]) {
		enum phial_status status =
			phial_signer_public_parse(call->values[TRUST], &job->trust, err);

		if (status != PHIAL_OK) {
			return phial_fail_prefix(err, "--trust");
		}
	}
	return PHIAL_OK;
}

/* Look up the agent's user in the passwd file below root. */
static enum phial_status find_user(struct job *job, struct phial_error *err)
{
	char path[PHIAL_SETUP_PATH_BYTES];
	const struct passwd *entry;
	enum phial_status status = phial_setup_path(&job->setup, "/etc/passwd", path, err);

	if (status != PHIAL_OK) {
		return status;
	}
	job->uid = (uid_t)-1;
	job->gid = (gid_t)-1;
	FILE *file = fopen(path, "re");

	if (!file) {
		return errno == ENOENT ? PHIAL_OK
				       : phial_fail(err, phial_cli_open_status(errno), errno,
						    "open %s", path);
	}
	while ((entry = fgetpwent(file)) != NULL) {
		if (strcmp(entry->pw_name, USER) == 0) {
			job->uid = entry->pw_uid;
			job->gid = entry->pw_gid;
			break;
		}
	}
	(void)fclose(file);
	return PHIAL_OK;
}

static enum phial_status make_user(struct job *job, struct phial_error *err)
{
	const char *command[] = { "useradd",
				  "--system",
				  "--no-create-home",
				  "--home-dir",
				  "/nonexistent",
				  "--shell",
				  "/usr/sbin/nologin",
				  USER,
				  NULL,
				  NULL,
				  NULL };
	enum phial_status status = find_user(job, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (job->uid != (uid_t)-1) {
		phial_setup_say(&job->setup, job->setup.only_print ? "keep" : "kept", "user " USER);
		return PHIAL_OK;
	}
	if (job->setup.root[0] != '\0' && !phial_setup_exists(&job->setup, "/etc/passwd")) {
		return phial_fail(
			err, PHIAL_NOT_FOUND, 0,
			"--root %s: no system is below it (no etc/passwd to put the user " USER
			" into)",
			job->setup.root);
	}
	if (job->setup.root[0] != '\0') {
		command[7] = "--prefix";
		command[8] = job->setup.root;
		command[9] = USER;
	}
	status = phial_setup_run(&job->setup, command, err);
	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "make the system user " USER);
	}
	status = find_user(job, err);
	if (status == PHIAL_OK && job->uid == (uid_t)-1 && !job->setup.only_print) {
		status = phial_fail(err, PHIAL_SYSTEM, 0, "useradd made no user " USER);
	}
	return status;
}

static enum phial_status make_folders(const struct job *job, struct phial_error *err)
{
	enum phial_status status = phial_setup_folder(&job->setup, CONFIG_FOLDER, 0755, 0, 0, err);

	if (status == PHIAL_OK) {
		status = phial_setup_folder(&job->setup, HOME_FOLDER, 0700, 0, 0, err);
	}
	if (status == PHIAL_OK) {
		status = phial_setup_folder(&job->setup, STATE_FOLDER, 0700, job->uid, job->gid,
					    err);
	}
	return status;
}

/* The host's age key: made once, then only read for its public half. */
static enum phial_status make_identity(struct job *job, struct phial_error *err)
{
	phial_auto_identities struct phial_identities *identities = NULL;
	struct phial_cli_passphrases none = { .is_none = true };
	struct phial_recipient recipient;
	char path[PHIAL_SETUP_PATH_BYTES];
	bool is_there = phial_setup_exists(&job->setup, IDENTITY_FILE);
	enum phial_status status = phial_setup_path(&job->setup, IDENTITY_FILE, path, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (job->setup.only_print && !is_there) {
		phial_setup_say(&job->setup, "make", IDENTITY_FILE);
		return PHIAL_OK;
	}
	if (is_there) {
		struct phial_error ignored = { 0 };

		phial_setup_say(&job->setup, job->setup.only_print ? "keep" : "kept",
				IDENTITY_FILE);
		status = phial_cli_load_identities(path, &none, &identities, &ignored);
		if (status != PHIAL_OK) {
			/* Encrypted, or (with --print) not mine to read: its public half stays unsaid. */
			printf("         (its public key cannot be shown: %s)\n", ignored.text);
			return PHIAL_OK;
		}
		phial_identities_recipient(identities, 0, &recipient);
	} else {
		status = phial_cli_make_identity(path, 0400, &none, &recipient, err);
		if (status != PHIAL_OK) {
			return status;
		}
		phial_setup_say(&job->setup, "made", IDENTITY_FILE);
	}
	phial_recipient_format(&recipient, job->host_key);
	return PHIAL_OK;
}

static enum phial_status pin_trust(const struct job *job, struct phial_error *err)
{
	char path[PHIAL_SETUP_PATH_BYTES];

	if (!job->call->values[TRUST]) {
		return PHIAL_OK;
	}
	enum phial_status status = phial_setup_path(&job->setup, TRUST_FILE, path, err);
	if (status == PHIAL_OK && !job->setup.only_print) {
		status = phial_cli_pins_add_to(path, &job->trust, err);
	}
	if (status == PHIAL_OK) {
		phial_setup_say(&job->setup, job->setup.only_print ? "pin" : "pinned",
				"the admin key in " TRUST_FILE);
	}
	return status;
}

/* The folder that --store names, as the host that is set up sees it. */
static enum phial_status store_target(const struct job *job, char ret_path[PHIAL_SETUP_PATH_BYTES],
				      struct phial_error *err)
{
	const char *store = job->call->values[STORE];
	struct stat status;

	if (job->setup.root[0] != '\0') {
		if (store[0] != '/' || strlen(store) >= PHIAL_SETUP_PATH_BYTES) {
			return phial_fail(
				err, PHIAL_USAGE, 0,
				"--store with --root takes an absolute path below that root");
		}
		(void)snprintf(ret_path, PHIAL_SETUP_PATH_BYTES, "%s", store);
		return PHIAL_OK;
	}
	char *path = realpath(store, NULL);

	if (!path || stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
		enum phial_status result =
			phial_fail(err, path ? PHIAL_NOT_FOUND : phial_cli_open_status(errno),
				   path ? 0 : errno, "--store %s: give the folder of a store",
				   store);

		free(path);
		return result;
	}
	(void)snprintf(ret_path, PHIAL_SETUP_PATH_BYTES, "%s", path);
	free(path);
	return PHIAL_OK;
}

static enum phial_status place_store(const struct job *job, struct phial_error *err)
{
	char target[PHIAL_SETUP_PATH_BYTES] = STORE_FOLDER;
	enum phial_status status = PHIAL_OK;

	if (job->call->values[STORE]) {
		status = store_target(job, target, err);
	} else if (phial_setup_exists(&job->setup, STORE_LINK)) {
		phial_setup_say(&job->setup, job->setup.only_print ? "keep" : "kept", STORE_LINK);
		return PHIAL_OK;
	} else {
		status = phial_setup_folder(&job->setup, STORE_FOLDER, 0755, (uid_t)-1, (gid_t)-1,
					    err);
	}
	return status == PHIAL_OK ? phial_setup_link(&job->setup, STORE_LINK, target, err) : status;
}

/* A host may have no Podman, and a phial may be installed in parts: nothing to fail for. */
static enum phial_status write_hook(const struct job *job, struct phial_error *err)
{
	enum phial_status status =
		phial_setup_write_podman_hook(&job->setup, PHIAL_PODMAN_DEFAULT_HOOKS_DIR, err);

	if (status == PHIAL_NOT_FOUND) {
		fprintf(stderr, "phial: warning: %s\n", err->text);
		return PHIAL_OK;
	}
	if (status == PHIAL_OK) {
		(void)phial_setup_check_podman(&job->setup, PHIAL_PODMAN_DEFAULT_HOOKS_DIR);
	}
	return status;
}

static bool has_unit(const struct job *job)
{
	static const char *const units[] = {
		"/etc/systemd/system/phiald.service",
		"/usr/local/lib/systemd/system/phiald.service",
		"/usr/lib/systemd/system/phiald.service",
		"/lib/systemd/system/phiald.service",
	};

	for (size_t i = 0; i < PHIAL_COUNT(units); i++) {
		if (phial_setup_exists(&job->setup, units[i])) {
			return true;
		}
	}
	return false;
}

/* Does systemd run this host? As sd_booted(3) finds out; never with --root. */
static bool is_systemd_here(const struct job *job)
{
	struct stat status;

	return job->setup.root[0] == '\0' && lstat("/run/systemd/system", &status) == 0 &&
	       S_ISDIR(status.st_mode);
}

static void say_start_by_hand(void)
{
	char agent[PHIAL_SETUP_PATH_BYTES] = "phiald";

	(void)phial_program_find("../sbin", "phiald", agent);
	printf("No systemd unit is started here. Start the agent as root, before the container "
	       "engine:\n  %s\nand let your init system restart it when it ends.\n",
	       agent);
}

static enum phial_status start_unit(const struct job *job, struct phial_error *err)
{
	static const char *const reload[] = { "systemctl", "daemon-reload", NULL };
	static const char *const enable[] = { "systemctl", "enable", "--now", "phiald.service",
					      NULL };

	if (!is_systemd_here(job) || !has_unit(job)) {
		say_start_by_hand();
		return PHIAL_OK;
	}
	enum phial_status status = phial_setup_run(&job->setup, reload, err);

	return status == PHIAL_OK ? phial_setup_run(&job->setup, enable, err) : status;
}

static void say_next(const struct job *job)
{
	char name[HOST_NAME_MAX + 1] = "NAME";

	if (gethostname(name, sizeof(name) - 1) != 0 || phial_name_check(name, NULL) != PHIAL_OK ||
	    strchr(name, '/')) {
		(void)snprintf(name, sizeof(name), "NAME");
	}
	if (job->host_key[0] != '\0') {
		printf("\nThis host's age key:\n  %s\nOn the workstation, in the store, run:\n"
		       "  phial host add %s %s\n",
		       job->host_key, job->setup.root[0] == '\0' ? name : "NAME", job->host_key);
	}
	if (!job->call->values[TRUST] && !phial_setup_exists(&job->setup, TRUST_FILE)) {
		printf("No admin key is pinned yet: run here phial setup --trust RW... with the key "
		       "that phial init printed.\n");
	}
	if (!job->call->values[STORE] && !phial_setup_exists(&job->setup, STORE_LINK "/.phial")) {
		printf("Put the store (git clone, scp) at " STORE_LINK
		       ", or name its folder: phial setup "
		       "--store DIR.\n");
	}
	printf("Podman and CRI-O read the hook file above; Docker and containerd read none.\n");
}

static enum phial_status set_up(struct job *job, struct phial_error *err)
{
	enum phial_status status = make_user(job, err);

	if (status == PHIAL_OK) {
		status = make_folders(job, err);
	}
	if (status == PHIAL_OK) {
		status = make_identity(job, err);
	}
	if (status == PHIAL_OK) {
		status = pin_trust(job, err);
	}
	if (status == PHIAL_OK) {
		status = place_store(job, err);
	}
	if (status == PHIAL_OK) {
		status = write_hook(job, err);
	}
	if (status == PHIAL_OK) {
		status = start_unit(job, err);
	}
	if (status == PHIAL_OK) {
		say_next(job);
	}
	return status;
}

static enum phial_status remove_all(const struct phial_setup *setup, const char *const paths[],
				    struct phial_error *err)
{
	enum phial_status status = PHIAL_OK;

	for (size_t i = 0; paths[i] && status == PHIAL_OK; i++) {
		status = phial_setup_remove(setup, paths[i], err);
	}
	return status;
}

/* The folders that the agent keeps for the next boot, each of them empty. */
static enum phial_status remove_boot_folders(const struct phial_setup *setup,
					     struct phial_error *err)
{
	char full[PHIAL_SETUP_PATH_BYTES];
	enum phial_status status = phial_setup_path(setup, BOOT_FOLDER, full, err);
	struct dirent **entries = NULL;
	int count = status == PHIAL_OK ? scandir(full, &entries, NULL, alphasort) : 0;

	for (int i = 0; i < count; i++) {
		char path[sizeof(BOOT_FOLDER) + NAME_MAX + 1];

		(void)snprintf(path, sizeof(path), BOOT_FOLDER "/%s", entries[i]->d_name);
		if (status == PHIAL_OK && entries[i]->d_name[0] != '.') {
			status = phial_setup_remove(setup, path, err);
		}
		free(entries[i]);
	}
	free(entries);
	return status;
}

static enum phial_status take_back(struct job *job, struct phial_error *err)
{
	static const char *const disable[] = { "systemctl", "disable", "--now", "phiald.service",
					       NULL };
	static const char *const always[] = { PHIAL_SETUP_PODMAN_HOOK,
					      PHIAL_SETUP_CDI_FILE,
					      STORE_LINK,
					      TRUST_FILE,
					      CONFIG_FOLDER,
					      NULL };
	static const char *const secrets[] = { IDENTITY_FILE,
					       STATE_FOLDER "/marks",
					       STATE_FOLDER "/revocations",
					       STATE_FOLDER "/clock",
					       STATE_FOLDER "/containers",
					       STATE_FOLDER,
					       BOOT_FOLDER,
					       STORE_FOLDER,
					       HOME_FOLDER,
					       NULL };
	const char *userdel[] = { "userdel", USER, NULL, NULL, NULL };
	enum phial_status status = find_user(job, err);

	if (status == PHIAL_OK && is_systemd_here(job) && has_unit(job)) {
		status = phial_setup_run(&job->setup, disable, err);
	}
	if (status == PHIAL_OK) {
		status = remove_all(&job->setup, always, err);
	}
	if (status != PHIAL_OK || !job->call->values[PURGE]) {
		if (status == PHIAL_OK && phial_setup_exists(&job->setup, IDENTITY_FILE)) {
			printf("The host's key and marks stay in " HOME_FOLDER " (--purge removes "
			       "them).\n");
		}
		return status;
	}
	status = remove_boot_folders(&job->setup, err);
	if (status == PHIAL_OK) {
		status = remove_all(&job->setup, secrets, err);
	}
	if (status == PHIAL_OK && job->uid != (uid_t)-1) {
		if (job->setup.root[0] != '\0') {
			userdel[1] = "--prefix";
			userdel[2] = job->setup.root;
			userdel[3] = USER;
		}
		status = phial_setup_run(&job->setup, userdel, err);
	}
	return status;
}

enum phial_status phial_cli_setup(const struct phial_cli_call *call, struct phial_error *err)
{
	struct job job = { .call = call };
	enum phial_status status = check_call(call, &job, err);

	if (status == PHIAL_OK) {
		status = phial_setup_begin(call, call->values[ROOT], call->values[PRINT] != NULL,
					   &job.setup, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	return call->values[REMOVE] ? take_back(&job, err) : set_up(&job, err);
}
