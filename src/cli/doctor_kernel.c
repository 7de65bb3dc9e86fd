/* SPDX-License-Identifier: ISC */
/*
 * `phial doctor`: the kernel, tried; memory that could reach a disk; the key quota. Trying is done
 * where it has no effect, or in a child that ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/doctor.h"
#include "host/file.h"
#include "host/kernel.h"
#include "keyring/keyring.h"
#include "mount/mount.h"
#include "mount/private.h"
#include "mount/probe.h"

/* Linux 5.12: mount_setattr(2), the last call that nothing stands in for. */
#define FLOOR_MAJOR 5
#define FLOOR_MINOR 12
#define NOBODY	    65534

/* A quota this full is worth a word; this full, a secret may not fit any more. */
#define QUOTA_WARN_PERCENT 80
#define QUOTA_BAD_PERCENT  98

static void check_version(struct phial_doctor *doctor, const struct phial_kernel *kernel)
{
	bool is_old = kernel->major < FLOOR_MAJOR ||
		      (kernel->major == FLOOR_MAJOR && kernel->minor < FLOOR_MINOR);

	phial_doctor_add(doctor, "kernel.version", is_old ? PHIAL_CHECK_BAD : PHIAL_CHECK_OK,
			 is_old ? "boot Linux 5.12 or later" : NULL, "Linux %s", kernel->release);
}

static void check_calls(struct phial_doctor *doctor, const struct phial_kernel *kernel)
{
	struct phial_mount_calls calls;
	char missing[128] = "";

	phial_mount_try_calls(&calls);
	(void)snprintf(missing, sizeof(missing), "%s%s%s%s", calls.has_openat2 ? "" : " openat2",
		       calls.has_fsopen ? "" : " fsopen",
		       calls.has_mount_setattr ? "" : " mount_setattr",
		       kernel->has_pidfd ? "" : " pidfd_open");
	if (missing[0] != '\0') {
		phial_doctor_add(
			doctor, "kernel.calls", PHIAL_CHECK_BAD,
			"boot Linux 5.12 or later, or loosen the filter that this runs below",
			"missing:%s", missing);
		return;
	}
	phial_doctor_add(doctor, "kernel.calls", PHIAL_CHECK_OK, NULL,
			 "openat2, fsopen, mount_setattr, pidfd_open");
}

static void check_mount(struct phial_doctor *doctor)
{
	if (!doctor->is_root) {
		phial_doctor_add(doctor, "kernel.secrets_mount", PHIAL_CHECK_UNKNOWN,
				 "look as root",
				 "only root may try which file system secrets are put into");
		return;
	}
	enum phial_mount_kind kind = phial_mount_best_kind();

	phial_doctor_add(doctor, "kernel.secrets_mount", PHIAL_CHECK_OK, NULL, "%s%s",
			 phial_mount_kind_text(kind),
			 kind == PHIAL_MOUNT_RAMFS
				 ? ": never swapped; tmpfs with noswap comes with Linux 6.4"
				 : "");
}

static void check_identity(struct phial_doctor *doctor, const struct phial_kernel *kernel)
{
	phial_doctor_add(
		doctor, "kernel.peer_pidfd",
		kernel->has_peer_pidfd ? PHIAL_CHECK_OK : PHIAL_CHECK_WARN,
		kernel->has_peer_pidfd ? NULL : "boot Linux 6.5 or later",
		kernel->has_peer_pidfd
			? "SO_PEERPIDFD"
			: "no SO_PEERPIDFD: phial-init's caller is proved in a longer way");
	phial_doctor_add(
		doctor, "kernel.secret_pages",
		kernel->has_memfd_secret ? PHIAL_CHECK_OK : PHIAL_CHECK_WARN,
		kernel->has_memfd_secret ? NULL
					 : "boot with secretmem.enable=1 (Linux 5.14), or "
					   "Linux 6.5 or later",
		kernel->has_memfd_secret
			? "memfd_secret"
			: "no memfd_secret: secrets on their way are in locked memory that "
			  "the kernel maps");
}

/* What the agent does at its start, in a session ring that goes with the child. */
static enum phial_status try_keyring(void *context, struct phial_error *err)
{
	(void)context;
	int32_t ring;
	enum phial_status status = phial_keyring_join(&ring, err);

	return status == PHIAL_OK ? phial_keyring_self_test(ring, err) : status;
}

static void check_keyring(struct phial_doctor *doctor)
{
	struct phial_error err = { .status = PHIAL_OK };
	enum phial_status status = phial_doctor_in_child(try_keyring, NULL, &err);

	phial_doctor_add(doctor, "kernel.keyring",
			 status == PHIAL_OK ? PHIAL_CHECK_OK : PHIAL_CHECK_BAD,
			 status == PHIAL_OK
				 ? NULL
				 : "a kernel with CONFIG_KEYS, and no seccomp filter over "
				   "the agent that refuses keyctl",
			 "%s",
			 status == PHIAL_OK ? "keys are seen by their possessors only, and expire"
					    : err.text);
}

static enum phial_status try_user_namespace(void *context, struct phial_error *err)
{
	(void)context;
	/* Root's own are never refused: ask as an ordinary user. */
	if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
			       setresuid(NOBODY, NOBODY, NOBODY) != 0)) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "become an ordinary user");
	}
	return phial_private_enter(err);
}

static void check_user_namespaces(struct phial_doctor *doctor)
{
	struct phial_error err = { .status = PHIAL_OK };
	enum phial_status status = phial_doctor_in_child(try_user_namespace, NULL, &err);

	phial_doctor_add(doctor, "kernel.user_namespaces",
			 status == PHIAL_OK ? PHIAL_CHECK_OK : PHIAL_CHECK_WARN,
			 status == PHIAL_OK
				 ? NULL
				 : "turn the switch, if people are to use phial run or rootless "
				   "Podman here",
			 "%s", status == PHIAL_OK ? "ordinary users have them" : err.text);
}

static void check_mac(struct phial_doctor *doctor)
{
	phial_auto_free char *apparmor = NULL;
	uint64_t is_enforcing;

	if (phial_host_read_number("/sys/fs/selinux/enforce", &is_enforcing)) {
		phial_doctor_add(doctor, "kernel.mac",
				 is_enforcing ? PHIAL_CHECK_OK : PHIAL_CHECK_WARN,
				 is_enforcing ? NULL : "setenforce 1", "SELinux, %s",
				 is_enforcing ? "enforcing: secrets get the container's label"
					      : "permissive");
		return;
	}
	bool is_there = phial_host_read(AT_FDCWD, "/sys/module/apparmor/parameters/enabled",
					&apparmor, NULL) == PHIAL_OK &&
			apparmor[0] == 'Y';

	phial_doctor_add(doctor, "kernel.mac", PHIAL_CHECK_OK, NULL, "%s",
			 is_there ? "AppArmor" : "neither SELinux nor AppArmor");
}

void phial_doctor_kernel(struct phial_doctor *doctor)
{
	struct phial_kernel kernel;

	phial_kernel_try(&kernel);
	check_version(doctor, &kernel);
	check_calls(doctor, &kernel);
	check_mount(doctor);
	check_identity(doctor, &kernel);
	check_keyring(doctor);
	check_user_namespaces(doctor);
	check_mac(doctor);
}

/* --- memory that could reach a disk ----------------------------------------------------------- */

/* How many swap devices are there? ret_plain: those that can be read, as " /dev/a /dev/b". */
static size_t list_swap(struct phial_text *ret_plain)
{
	phial_auto_free char *text = NULL;
	char path[256];
	size_t count = 0;

	if (phial_host_read(AT_FDCWD, "/proc/swaps", &text, NULL) != PHIAL_OK) {
		return 0; /* a kernel without swap */
	}
	struct phial_span rest = phial_span_of(text);

	while (phial_swaps_next(&rest, path)) {
		count++;
		if (phial_swap_kind(path) == PHIAL_SWAP_PLAIN) {
			phial_text_add(ret_plain, " %s", path);
		}
	}
	return count;
}

static void check_swap(struct phial_doctor *doctor, size_t count, const struct phial_text *plain)
{
	if (plain->length > 0) {
		phial_doctor_add(doctor, "memory.swap", PHIAL_CHECK_WARN,
				 "swapoff it, encrypt it with dm-crypt, or use zram",
				 "swap that is not encrypted:%s; phial's own memory and mounts are "
				 "never swapped, but programs that have read a secret can be",
				 plain->bytes);
		return;
	}
	phial_doctor_add(doctor, "memory.swap", PHIAL_CHECK_OK, NULL, "%s",
			 count == 0 ? "no swap" : "swap is encrypted, or memory (zram)");
}

/* The kernel lists "disk" as long as nothing forbids it; without swap there is nowhere to write. */
static void check_hibernation(struct phial_doctor *doctor, size_t swap_count)
{
	phial_auto_free char *state = NULL;
	phial_auto_free char *disk = NULL;
	char target[32] = "";
	bool is_possible =
		swap_count > 0 &&
		phial_host_read(AT_FDCWD, "/sys/power/state", &state, NULL) == PHIAL_OK &&
		strstr(state, "disk") != NULL &&
		phial_host_read(AT_FDCWD, "/sys/power/disk", &disk, NULL) == PHIAL_OK &&
		strstr(disk, "[disabled]") == NULL;

	if (is_possible &&
	    readlink("/etc/systemd/system/hibernate.target", target, sizeof(target) - 1) > 0) {
		is_possible = strcmp(target, "/dev/null") != 0;
	}
	phial_doctor_add(doctor, "memory.hibernation",
			 is_possible ? PHIAL_CHECK_WARN : PHIAL_CHECK_OK,
			 is_possible
				 ? "systemctl mask hibernate.target hybrid-sleep.target, or boot "
				   "with nohibernate"
				 : NULL,
			 "%s",
			 is_possible
				 ? "this host can hibernate: that writes all memory, secrets too, "
				   "to swap"
				 : "this host cannot hibernate");
}

static void check_core(struct phial_doctor *doctor)
{
	phial_auto_free char *pattern = NULL;

	if (phial_host_read(AT_FDCWD, "/proc/sys/kernel/core_pattern", &pattern, NULL) !=
	    PHIAL_OK) {
		phial_doctor_add(doctor, "memory.core", PHIAL_CHECK_UNKNOWN, "look as root",
				 "kernel.core_pattern cannot be read");
		return;
	}
	pattern[strcspn(pattern, "\n")] = '\0';
	bool is_off = pattern[0] == '\0' || strcmp(pattern, "|/bin/false") == 0 ||
		      strcmp(pattern, "|/usr/bin/false") == 0;

	phial_doctor_add(doctor, "memory.core", is_off ? PHIAL_CHECK_OK : PHIAL_CHECK_WARN,
			 is_off ? NULL
				: "start containers with --ulimit core=0, or sysctl "
				  "kernel.core_pattern='|/bin/false'",
			 is_off ? "no core dumps (\"%s\")"
				: "phial's programs leave no core dump, but those of a container's "
				  "programs, with the secrets that they have read, go to \"%s\"",
			 pattern);
}

void phial_doctor_memory(struct phial_doctor *doctor)
{
	phial_auto_text struct phial_text plain = { .max = 4096 };
	size_t count = list_swap(&plain);

	check_swap(doctor, count, &plain);
	check_hibernation(doctor, count);
	check_core(doctor);
}

/* --- the key quota -------------------------------------------------------------------------- */

#define QUOTA_FIX                                                                                  \
	"find what runs as this user (a container's root without a user namespace is root here), " \
	"or raise sysctl kernel.keys.%smaxkeys and kernel.keys.%smaxbytes"

static void check_key_user(struct phial_doctor *doctor, const struct phial_key_user *user)
{
	unsigned int percent = phial_key_user_percent(user);
	const char *prefix = user->uid == 0 ? "root_" : "";
	char fix[256];
	enum phial_check_state state = PHIAL_CHECK_OK;

	if (percent >= QUOTA_WARN_PERCENT) {
		/* The agent's keys are root's; another user's full quota is that user's own trouble. */
		state = user->uid == 0 && percent >= QUOTA_BAD_PERCENT ? PHIAL_CHECK_BAD
								       : PHIAL_CHECK_WARN;
	}
	(void)snprintf(fix, sizeof(fix), QUOTA_FIX, prefix, prefix);
	phial_doctor_add(doctor, user->uid == 0 ? "keys.root" : "keys.user", state,
			 state == PHIAL_CHECK_OK ? NULL : fix,
			 "uid %" PRIu32 " has %" PRIu64 " of %" PRIu64 " keys, %" PRIu64
			 " of %" PRIu64 " bytes",
			 user->uid, user->keys, user->keys_max, user->bytes, user->bytes_max);
}

void phial_doctor_keys(struct phial_doctor *doctor)
{
	phial_auto_free char *text = NULL;
	struct phial_key_user user;
	struct phial_error err = { .status = PHIAL_OK };
	size_t others = 0;
	size_t full = 0;

	if (phial_host_read(AT_FDCWD, "/proc/key-users", &text, &err) != PHIAL_OK) {
		phial_doctor_add(doctor, "keys.root", PHIAL_CHECK_UNKNOWN, "look as root", "%s",
				 err.text);
		return;
	}
	struct phial_span rest = phial_span_of(text);

	while (phial_key_users_next(&rest, &user)) {
		others += user.uid != 0;
		if (user.uid == 0) {
			check_key_user(doctor, &user);
		} else if (phial_key_user_percent(&user) >= QUOTA_WARN_PERCENT) {
			check_key_user(doctor, &user);
			full++;
		}
	}
	if (full == 0) {
		phial_doctor_add(doctor, "keys.user", PHIAL_CHECK_OK, NULL,
				 "of %zu other users none is near its quota", others);
	}
}
