/* SPDX-License-Identifier: ISC */
/*
 * The private view of `phial run`: which switch is named when user namespaces are off, and where
 * the mount goes. Each view lives in a child, because it cannot be left again.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "mount/generation.h"
#include "mount/private.h"
#include "temp_dir.h"

#define STRANGER 65533

static void write_text(const struct temp_dir *dir, const char *name, const char *text)
{
	int fd = openat(dir->fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void names_the_switch(void **state)
{
	static const struct {
		const char *file;
		const char *text;
		const char *says;
	} cases[] = {
		{ "user/max_user_namespaces", "0\n", "sysctl -w user.max_user_namespaces=15000" },
		{ "user/max_user_namespaces", "0", "user.max_user_namespaces is 0" },
		{ "user/max_user_namespaces", "09\n", "seccomp" },
		{ "user/max_user_namespaces", "", "seccomp" },
		{ "kernel/unprivileged_userns_clone", "0\n", "unprivileged_userns_clone=1" },
		{ "kernel/unprivileged_userns_clone", "1\n", "seccomp" },
		{ "kernel/apparmor_restrict_unprivileged_userns", "1\n",
		  "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0" },
		{ "kernel/apparmor_restrict_unprivileged_userns", "0\n", "step for an own" },
	};
	struct temp_dir *dir = *state;

	assert_int_equal(mkdirat(dir->fd, "user", 0755), 0);
	assert_int_equal(mkdirat(dir->fd, "kernel", 0755), 0);
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct phial_error err = { 0 };

		write_text(dir, cases[i].file, cases[i].text);
		assert_int_equal(phial_private_explain(dir->path, "step", EPERM, &err),
				 PHIAL_UNSUPPORTED);
		if (!strstr(err.text, cases[i].says)) {
			fail_msg("case %zu: %s", i, err.text);
		}
		assert_int_equal(unlinkat(dir->fd, cases[i].file, 0), 0);
	}
}

/* What a view is to show; run in the child. Returns NULL or what is wrong. */
typedef const char *view_fn(const struct temp_dir *dir, struct phial_error *err);

static void in_child(const struct temp_dir *dir, view_fn *look)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct phial_error err = { 0 };
		const char *wrong = "enter";

		/* An ordinary user, who owns nothing here. */
		if (geteuid() != 0 || (setgid(STRANGER) == 0 && setuid(STRANGER) == 0)) {
			wrong = phial_private_enter(&err) == PHIAL_OK ? look(dir, &err) : wrong;
		}
		if (wrong) {
			fprintf(stderr, "%s: %s\n", wrong, err.text);
		}
		_exit(wrong ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static enum phial_status attach(const struct temp_dir *dir, const char *name, int *ret_fd,
				size_t *ret_frozen, struct phial_error *err)
{
	const struct phial_mount_options options = { .size_bytes = 65536, .inodes = 16 };
	char target[4096];

	(void)snprintf(target, sizeof(target), "%s/%s", dir->path, name);
	return phial_private_attach(&options, target, ret_fd, ret_frozen, err);
}

static bool put(int mount_fd, const char *name, struct phial_error *err)
{
	const char *const names[] = { name };
	int dir_fd = -1;
	int fd = -1;

	return phial_generation_begin(mount_fd, 1, &dir_fd, err) == PHIAL_OK &&
	       phial_generation_add(dir_fd, name, 0400, geteuid(), getegid(), &fd, err) ==
		       PHIAL_OK &&
	       write(fd, "value", 5) == 5 &&
	       phial_generation_commit(mount_fd, 1, names, 1, err) == PHIAL_OK;
}

static bool holds(const char *folder, const char *name, const char *text)
{
	char path[4096];
	char found[16] = "";

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	phial_auto_fd int fd = open(path, O_RDONLY);

	return fd >= 0 && read(fd, found, sizeof(found)) == (ssize_t)strlen(text) &&
	       memcmp(found, text, strlen(text)) == 0;
}

static const char *look_at_present(const struct temp_dir *dir, struct phial_error *err)
{
	char path[4096];
	struct statvfs found;
	size_t frozen = 1;
	int fd = -1;

	if (attach(dir, "there", &fd, &frozen, err) != PHIAL_OK || !put(fd, "db", err)) {
		return "attach";
	}
	if (frozen != 0 || !holds(dir->path, "there/db", "value") ||
	    !holds(dir->path, "file", "old")) {
		return "content";
	}
	(void)snprintf(path, sizeof(path), "%s/there", dir->path);
	if (statvfs(path, &found) != 0 ||
	    (~found.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC))) {
		return "flags";
	}
	return phial_mount_wipe(fd, err) == PHIAL_OK && !holds(dir->path, "there/db", "value")
		       ? NULL
		       : "wipe";
}

static const char *look_at_missing(const struct temp_dir *dir, struct phial_error *err)
{
	char path[4096];
	size_t frozen = 1;
	int fd = -1;

	if (attach(dir, "a/b/secrets", &fd, &frozen, err) != PHIAL_OK || !put(fd, "db", err)) {
		return "attach";
	}
	if (frozen != 0 || !holds(dir->path, "a/b/secrets/db", "value")) {
		return "content";
	}
	if (!holds(dir->path, "file", "old") || !holds(dir->path, "there/inner", "inner")) {
		return "the entries of the covered directory";
	}
	(void)snprintf(path, sizeof(path), "%s/new", dir->path);
	if (mkdir(path, 0755) == 0 || errno != EROFS) {
		return "the cover is read-only";
	}
	/* Again below the same directory, as `phial run` in `phial run` would. */
	if (attach(dir, "c/d", &fd, &frozen, err) != PHIAL_OK || !put(fd, "db", err)) {
		return "attach twice";
	}
	return holds(dir->path, "c/d/db", "value") && holds(dir->path, "a/b/secrets/db", "value") &&
			       holds(dir->path, "file", "old")
		       ? NULL
		       : "content twice";
}

static const char *look_at_own(const struct temp_dir *dir, struct phial_error *err)
{
	size_t frozen = 0;
	int fd = -1;

	if (attach(dir, "own/x/y", &fd, &frozen, err) != PHIAL_OK) {
		return "attach";
	}
	return frozen == strlen(dir->path) + strlen("/own") ? NULL : "a frozen directory";
}

static const char *look_at_bad(const struct temp_dir *dir, struct phial_error *err)
{
	const struct phial_mount_options options = { .size_bytes = 65536, .inodes = 16 };
	size_t frozen;
	int fd = -1;

	if (attach(dir, "file", &fd, &frozen, err) != PHIAL_REFUSED) {
		return "a file as target";
	}
	if (attach(dir, "file/x", &fd, &frozen, err) == PHIAL_OK) {
		return "a file above the target";
	}
	if (attach(dir, "dangling/x", &fd, &frozen, err) == PHIAL_OK) {
		return "a link to nothing above the target";
	}
	if (attach(dir, "closed/x", &fd, &frozen, err) != PHIAL_DENIED) {
		return "a directory that cannot be read";
	}
	if (phial_private_attach(&options, "/phial-not-there/x", &fd, &frozen, err) !=
	    PHIAL_REFUSED) {
		return "nothing but / above the target";
	}
	return fd == -1 ? NULL : "a descriptor after a failure";
}

static void attaches(void **state)
{
	struct temp_dir *dir = *state;
	struct stat found;

	assert_int_equal(fchmod(dir->fd, 0755), 0);
	assert_int_equal(mkdirat(dir->fd, "there", 0755), 0);
	assert_int_equal(mkdirat(dir->fd, "own", 0777), 0);
	assert_int_equal(fchmodat(dir->fd, "own", 0777, 0), 0);
	assert_int_equal(mkdirat(dir->fd, "closed", 0711), 0);
	assert_int_equal(symlinkat("nowhere", dir->fd, "dangling"), 0);
	write_text(dir, "file", "old");
	write_text(dir, "there/inner", "inner");
	in_child(dir, look_at_present);
	if (geteuid() != 0) {
		skip(); /* the directory is the caller's own: the rest needs a stranger */
	}
	in_child(dir, look_at_missing);
	in_child(dir, look_at_own);
	in_child(dir, look_at_bad);
	assert_int_equal(fstatat(dir->fd, "a", &found, 0), -1);
	assert_int_equal(fstatat(dir->fd, ".phial", &found, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_the_switch, temp_dir_setup,
						temp_dir_teardown),
		cmocka_unit_test_setup_teardown(attaches, temp_dir_setup, temp_dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
