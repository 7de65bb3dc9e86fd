/* SPDX-License-Identifier: ISC */
/*
 * `phial doctor`: would the container engines of this host ask phial? By their configuration on
 * disk, as far as that tells; options of a running daemon are not known here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/doctor.h"
#include "cli/setup_podman.h"
#include "host/file.h"
#include "host/podman.h"

#define DAEMON_JSON	"/etc/docker/daemon.json"
#define CONTAINERD_TOML "/etc/containerd/config.toml"
#define CDI_FILE	"/etc/cdi/phial.json"

/* --- seccomp: may a container use up the key quota? ------------------------------------------- */

/* Is a text among the strings of an array? */
static bool holds(const struct phial_json *array, const char *wanted)
{
	for (const struct phial_json *v = phial_json_first(array); v; v = phial_json_next(v)) {
		const char *text = phial_json_string(v);

		if (text && strcmp(text, wanted) == 0) {
			return true;
		}
	}
	return false;
}

/* Does a profile let an ordinary container make this call? Rules for some capabilities are not his. */
static bool profile_allows(const struct phial_json *profile, const char *call)
{
	static const char allow[] = "SCMP_ACT_ALLOW";
	const char *action = phial_json_string(phial_json_member(profile, "defaultAction"));
	bool is_allowed = action && strcmp(action, allow) == 0;
	const struct phial_json *rules = phial_json_member(profile, "syscalls");

	for (const struct phial_json *r = phial_json_first(rules); r; r = phial_json_next(r)) {
		const struct phial_json *only = phial_json_member(r, "includes");

		if (holds(phial_json_member(r, "names"), call) &&
		    phial_json_count(phial_json_member(only, "caps")) == 0) {
			action = phial_json_string(phial_json_member(r, "action"));
			is_allowed = action && strcmp(action, allow) == 0;
		}
	}
	return is_allowed;
}

static void check_profile(struct phial_doctor *doctor, const char *id, const char *path)
{
	phial_auto_json struct phial_json *profile = NULL;
	struct phial_error err = { .status = PHIAL_OK };

	if (phial_doctor_read_json(doctor, path, &profile, &err) != PHIAL_OK) {
		phial_doctor_add(doctor, id, PHIAL_CHECK_UNKNOWN, NULL, "%s", err.text);
		return;
	}
	bool allows_add = profile_allows(profile, "add_key");
	bool allows_keyctl = profile_allows(profile, "keyctl");

	phial_doctor_add(doctor, id, allows_add ? PHIAL_CHECK_WARN : PHIAL_CHECK_OK,
			 allows_add
				 ? "take add_key out of the profile, or start containers in a user "
				   "namespace"
				 : NULL,
			 "%s: containers %s", path,
			 allows_add ? "may call add_key: without a user namespace they can use up "
				      "root's key quota, and the agent then cannot load more"
			 : allows_keyctl
				 ? "may call keyctl, which reaches none of the agent's keys, "
				   "and not add_key"
				 : "may call neither keyctl nor add_key");
}

/* --- Podman ----------------------------------------------------------------------------------- */

/* Is the program static? A dynamic one would load what an environment names. See elf(5). */
static bool is_static(const struct phial_doctor *doctor, const char *path)
{
	char full[PHIAL_SETUP_PATH_BYTES];
	unsigned char head[4096];

	if (phial_setup_path(&doctor->host, path, full, NULL) != PHIAL_OK) {
		return false;
	}
	phial_auto_fd int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t got = fd < 0 ? -1 : read(fd, head, sizeof(head));

	/* The path of the dynamic linker stands near the beginning of every dynamic ELF file. */
	return got > 4 && memcmp(head, "\177ELF", 4) == 0 &&
	       !memmem(head, (size_t)got, "/ld-linux", 9) &&
	       !memmem(head, (size_t)got, "/ld-musl", 8);
}

static bool is_right_stage(const struct phial_json *root)
{
	const struct phial_json *stages = phial_json_member(root, "stages");

	return phial_json_count(stages) == 1 &&
	       (holds(stages, "createRuntime") || holds(stages, "prestart"));
}

static void check_hook_file(struct phial_doctor *doctor, const char *path)
{
	static const char id[] = "podman.hook_file";
	phial_auto_json struct phial_json *root = NULL;
	struct phial_error err = { .status = PHIAL_OK };
	bool flag = false;
	char how[PHIAL_SETUP_PATH_BYTES + 64];

	if (phial_doctor_read_json(doctor, path, &root, &err) != PHIAL_OK) {
		phial_doctor_add(doctor, id, PHIAL_CHECK_BAD, "run phial setup podman", "%s",
				 err.text);
		return;
	}
	const struct phial_json *hook = phial_json_member(root, "hook");
	const struct phial_json *environment = phial_json_member(hook, "env");
	const char *program = phial_json_string(phial_json_member(hook, "path"));
	bool is_for_binds =
		phial_json_bool(phial_json_member(phial_json_member(root, "when"), "hasBindMounts"),
				&flag) &&
		flag;

	if (!program || !is_for_binds || !is_right_stage(root) || !environment ||
	    phial_json_count(environment) != 0) {
		phial_doctor_add(doctor, id, PHIAL_CHECK_BAD, "run phial setup podman",
				 "%s is not as phial writes it (%s)", path,
				 !program	 ? "no path"
				 : !is_for_binds ? "not for every container with bind mounts"
				 : !is_right_stage(root) ? "not the stage createRuntime alone"
							 : "the hook's environment is not empty");
		return;
	}
	if (!phial_doctor_check_program(doctor, id, path, program)) {
		return;
	}
	if (phial_doctor_is_loose(doctor, path, how, sizeof(how)) || !is_static(doctor, program)) {
		bool is_dynamic = !is_static(doctor, program);

		phial_doctor_add(doctor, id, PHIAL_CHECK_BAD, "install phial again",
				 is_dynamic ? "%s is not a static program" : "%s",
				 is_dynamic ? program : how);
		return;
	}
	phial_doctor_add(doctor, id, PHIAL_CHECK_OK, NULL, "%s runs %s", path, program);
}

/* As Podman reads them; a rootless one goes on with its user's. */
static void find_hooks(const struct phial_doctor *doctor, struct phial_podman_hooks *hooks,
		       bool *is_complete)
{
	phial_auto_free char *own = NULL;

	phial_podman_find_hooks(doctor->host.root, hooks, is_complete);
	if (doctor->is_own && phial_setup_find_user_containers(&own, NULL) == PHIAL_OK) {
		phial_podman_add_user_hooks(own, "", hooks, is_complete);
	}
}

/* The hook file in one of the folders that Podman reads, or where phial setup writes it. */
static void check_hooks(struct phial_doctor *doctor)
{
	struct phial_podman_hooks hooks;
	char path[PHIAL_PODMAN_FOLDER_BYTES + sizeof(PHIAL_SETUP_HOOK_NAME) + 1];
	bool is_complete;

	find_hooks(doctor, &hooks, &is_complete);
	for (size_t i = hooks.count; i-- > 0;) { /* a user's own stands last */
		(void)snprintf(path, sizeof(path), "%s/" PHIAL_SETUP_HOOK_NAME, hooks.folders[i]);
		if (phial_setup_exists(&doctor->host, path)) {
			phial_doctor_add(doctor, "podman.hooks_folder", PHIAL_CHECK_OK, NULL,
					 "Podman reads %s", hooks.folders[i]);
			check_hook_file(doctor, path);
			return;
		}
	}
	if (phial_setup_exists(&doctor->host, PHIAL_SETUP_PODMAN_HOOK)) {
		phial_doctor_add(doctor, "podman.hooks_folder", PHIAL_CHECK_BAD,
				 "add " PHIAL_PODMAN_DEFAULT_HOOKS_DIR " to it",
				 "Podman does not read " PHIAL_SETUP_PODMAN_HOOK
				 ": hooks_dir in %s names other folders",
				 hooks.set_by);
		return;
	}
	phial_doctor_add(doctor, "podman.hooks_folder",
			 is_complete ? PHIAL_CHECK_WARN : PHIAL_CHECK_UNKNOWN,
			 is_complete ? "run phial setup podman" : "look as root",
			 is_complete
				 ? "Podman has no hook file of phial's in %s: containers get no "
				   "secrets, but through CDI or phial-init"
				 : "not all of Podman's configuration may be read (%s)",
			 hooks.count > 0 ? hooks.folders[0] : "any folder");
}

static void check_cdi(struct phial_doctor *doctor)
{
	phial_auto_json struct phial_json *root = NULL;
	struct phial_error err = { .status = PHIAL_OK };
	enum phial_status status = phial_doctor_read_json(doctor, CDI_FILE, &root, &err);

	if (status == PHIAL_NOT_FOUND) {
		phial_doctor_add(doctor, "cdi.file", PHIAL_CHECK_OK, NULL,
				 "no " CDI_FILE " (phial setup cdi makes one)");
		return;
	}
	if (status != PHIAL_OK) {
		phial_doctor_add(doctor, "cdi.file", PHIAL_CHECK_BAD, "run phial setup cdi", "%s",
				 err.text);
		return;
	}
	const struct phial_json *devices = phial_json_member(root, "devices");

	for (const struct phial_json *d = phial_json_first(devices); d; d = phial_json_next(d)) {
		const struct phial_json *hooks =
			phial_json_member(phial_json_member(d, "containerEdits"), "hooks");
		const struct phial_json *hook = phial_json_first(hooks);
		const char *path = hook ? phial_json_string(phial_json_member(hook, "path")) : NULL;

		if (!phial_doctor_check_program(doctor, "cdi.file", CDI_FILE, path ? path : "")) {
			return;
		}
	}
	phial_doctor_add(doctor, "cdi.file", PHIAL_CHECK_OK, NULL, CDI_FILE ": %zu workload%s",
			 phial_json_count(devices), phial_json_count(devices) == 1 ? "" : "s");
}

void phial_doctor_podman(struct phial_doctor *doctor)
{
	static const char *const profiles[] = { "/etc/containers/seccomp.json",
						"/usr/share/containers/seccomp.json" };
	char podman[PHIAL_SETUP_PATH_BYTES];
	char line[128] = "";

	check_cdi(doctor);
	if (!phial_doctor_find(doctor, "podman", podman)) {
		phial_doctor_add(doctor, "podman.version", PHIAL_CHECK_OK, NULL, "no Podman here");
		return;
	}
	const char *const command[] = { podman, "--version", NULL };

	phial_doctor_add(doctor, "podman.version", PHIAL_CHECK_OK, NULL, "%s",
			 phial_doctor_run(doctor, command, line, sizeof(line)) ? line : podman);
	check_hooks(doctor);
	for (size_t i = 0; i < PHIAL_COUNT(profiles); i++) {
		if (phial_setup_exists(&doctor->host, profiles[i])) {
			check_profile(doctor, "podman.seccomp", profiles[i]);
			return;
		}
	}
	phial_doctor_add(doctor, "podman.seccomp", PHIAL_CHECK_UNKNOWN, NULL,
			 "no seccomp profile on disk: Podman uses one of its own");
}

/* --- Docker and containerd ---------------------------------------------------------------------- */

/* Is a runtime phial-runtime? phial-runtime-crun and the like are links to it. */
static bool is_phials(const struct phial_json *runtime)
{
	const char *path = phial_json_string(phial_json_member(runtime, "path"));
	const char *name = path ? strrchr(path, '/') : NULL;

	return path && strncmp(name ? name + 1 : path, "phial-runtime", 13) == 0;
}

/* Phial's runtime in daemon.json: the default one if it is phial's, else the first; or NULL. */
static const struct phial_json *find_runtime(const struct phial_json *daemon, const char *chosen)
{
	const struct phial_json *runtimes = phial_json_member(daemon, "runtimes");
	const struct phial_json *by_default = chosen ? phial_json_member(runtimes, chosen) : NULL;

	if (is_phials(by_default)) {
		return by_default;
	}
	for (const struct phial_json *r = phial_json_first(runtimes); r; r = phial_json_next(r)) {
		if (is_phials(r)) {
			return r;
		}
	}
	return NULL;
}

static void check_runtime(struct phial_doctor *doctor, const struct phial_json *daemon)
{
	const char *chosen = phial_json_string(phial_json_member(daemon, "default-runtime"));
	const struct phial_json *runtime = find_runtime(daemon, chosen);

	if (!runtime) {
		phial_doctor_add(doctor, "docker.runtime", PHIAL_CHECK_WARN,
				 "run phial setup docker",
				 "phial-runtime is not registered in " DAEMON_JSON
				 ": containers get no secrets, but through phial-init");
		return;
	}
	const char *name = phial_json_key(runtime);
	const char *path = phial_json_string(phial_json_member(runtime, "path"));

	if (!phial_doctor_check_program(doctor, "docker.runtime", DAEMON_JSON, path)) {
		return;
	}
	phial_doctor_add(doctor, "docker.runtime", PHIAL_CHECK_OK, NULL, "%s, %s", name, path);
	if (chosen && strcmp(chosen, name) == 0) {
		phial_doctor_add(doctor, "docker.default_runtime", PHIAL_CHECK_OK, NULL,
				 "%s: every container is asked for a grant", name);
		return;
	}
	phial_doctor_add(doctor, "docker.default_runtime", PHIAL_CHECK_WARN,
			 "start containers with --runtime NAME, or run phial setup docker "
			 "--default-runtime",
			 "%s is not the default: only containers with --runtime %s get secrets",
			 name, name);
}

static void check_docker_seccomp(struct phial_doctor *doctor, const struct phial_json *daemon)
{
	const char *profile = phial_json_string(phial_json_member(daemon, "seccomp-profile"));

	if (!profile) {
		phial_doctor_add(doctor, "docker.seccomp", PHIAL_CHECK_OK, NULL,
				 "Docker's own profile: containers may call neither keyctl nor "
				 "add_key");
	} else if (strcmp(profile, "unconfined") == 0) {
		phial_doctor_add(
			doctor, "docker.seccomp", PHIAL_CHECK_WARN,
			"take seccomp-profile out of " DAEMON_JSON,
			"unconfined: containers without a user namespace can use up root's "
			"key quota");
	} else {
		check_profile(doctor, "docker.seccomp", profile);
	}
}

static void check_containerd(struct phial_doctor *doctor, bool has_docker)
{
	phial_auto_free char *text = NULL;
	char path[PHIAL_SETUP_PATH_BYTES];

	if (!phial_doctor_find(doctor, "containerd", path)) {
		phial_doctor_add(doctor, "containerd.runtime", PHIAL_CHECK_OK, NULL,
				 "no containerd here");
		return;
	}
	enum phial_status status = phial_doctor_read(doctor, CONTAINERD_TOML, &text, NULL);
	bool names_it = status == PHIAL_OK && strstr(text, "phial-runtime") != NULL;

	phial_doctor_add(
		doctor, "containerd.runtime", PHIAL_CHECK_OK, NULL, "%s",
		names_it ? CONTAINERD_TOML " names phial-runtime"
		: has_docker
			? "used by Docker; for others (ctr, CRI) phial-runtime is not in " CONTAINERD_TOML
			: "phial-runtime is not in " CONTAINERD_TOML
			  ": name it with ctr run --runc-binary, or use phial-init");
}

void phial_doctor_docker(struct phial_doctor *doctor)
{
	phial_auto_json struct phial_json *daemon = NULL;
	struct phial_error err = { .status = PHIAL_OK };
	char path[PHIAL_SETUP_PATH_BYTES];
	bool has_docker = phial_doctor_find(doctor, "dockerd", path);

	check_containerd(doctor, has_docker);
	if (!has_docker) {
		phial_doctor_add(doctor, "docker.runtime", PHIAL_CHECK_OK, NULL, "no Docker here");
		return;
	}
	enum phial_status status = phial_doctor_read_json(doctor, DAEMON_JSON, &daemon, &err);

	if (status != PHIAL_OK && status != PHIAL_NOT_FOUND) {
		phial_doctor_add(doctor, "docker.runtime",
				 status == PHIAL_DENIED ? PHIAL_CHECK_UNKNOWN : PHIAL_CHECK_WARN,
				 "put " DAEMON_JSON " right, Docker cannot read it either", "%s",
				 err.text);
		return;
	}
	check_runtime(doctor, daemon);
	check_docker_seccomp(doctor, daemon);
}
