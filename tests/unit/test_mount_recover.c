/* SPDX-License-Identifier: ISC */
/*
 * Taking a secrets mount back from a container that may have done anything with it meanwhile (F-02):
 * only its own filesystem is, and nothing that was put in its place.
 */
/* link: -Wl,--wrap=setns */
#include "fake_container.h"

#define TARGET "/run/secrets"

/* A pivoted container that has its secrets, and which filesystem they are in. */
static void start_served(struct fixture *f, struct phial_mount_identity *ret_identity)
{
	make_directories(f);
	start_container(f, PIVOTED);
	if (attach_to(f, TARGET) != PHIAL_OK) {
		fail_msg("%s", f->err.text);
	}
	assert_attached(f, PIVOTED, TARGET);
	phial_auto_fd int fd = open_in_container(f, PIVOTED, TARGET);

	assert_true(fd >= 0);
	assert_int_equal(phial_mount_identify(fd, ret_identity, &f->err), PHIAL_OK);
}

/* What the container does; true on success. Called in its mount namespace, as root. */
typedef bool deed_fn(void);

static bool do_nothing(void)
{
	return true;
}

static bool unmount(void)
{
	return umount2(TARGET, MNT_DETACH) == 0;
}

static bool mount_over(void)
{
	return mount("t", TARGET, "tmpfs", 0, "mode=0755") == 0;
}

static bool mount_ramfs_instead(void)
{
	return unmount() && mount("t", TARGET, "ramfs", 0, "mode=0755") == 0;
}

static bool bind_volume_over(void)
{
	return mkdir("/volume", 0777) == 0 && mount("/volume", TARGET, NULL, MS_BIND, NULL) == 0;
}

static bool bind_part_over(void)
{
	return mount(TARGET "/..1", TARGET, NULL, MS_BIND, NULL) == 0;
}

static bool move_away(void)
{
	return mount(NULL, "/", NULL, MS_PRIVATE, NULL) == 0 && mkdir("/away", 0755) == 0 &&
	       mount(TARGET, "/away", NULL, MS_MOVE, NULL) == 0;
}

static bool move_and_link(void)
{
	return move_away() && rmdir(TARGET) == 0 && symlink("/away", TARGET) == 0;
}

static bool move_and_link_parent(void)
{
	return rename("/run", "/away") == 0 && symlink("/away", "/run") == 0;
}

static bool plant_fifo(void)
{
	return move_away() && rmdir(TARGET) == 0 && mkfifo(TARGET, 0600) == 0;
}

static bool remove_directory(void)
{
	return move_away() && rmdir(TARGET) == 0;
}

static bool make_shared(void)
{
	return mount(NULL, TARGET, NULL, MS_SHARED, NULL) == 0;
}

static bool make_unbindable(void)
{
	return mount(NULL, TARGET, NULL, MS_UNBINDABLE, NULL) == 0;
}

/* Bound once more on itself: another mount, the same filesystem. */
static bool bind_itself(void)
{
	return mount(TARGET, TARGET, NULL, MS_BIND, NULL) == 0;
}

static void let_container(const struct fixture *f, deed_fn *deed)
{
	char path[64];
	int wait_status = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)f->container);
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		_exit(fd < 0 || __real_setns(fd, CLONE_NEWNS) != 0 || !deed());
	}
	assert_int_equal(waitpid(child, &wait_status, 0), child);
	assert_int_equal(wait_status, 0);
}

/* Another generation, as a filler writes it; the clone must lead nowhere else. */
static enum phial_status write_through(int fd, struct phial_error *err)
{
	const char *const names[] = { "s" };
	phial_auto_fd int dir_fd = -1;
	phial_auto_fd int file_fd = -1;
	enum phial_status status = phial_generation_begin(fd, 2, &dir_fd, err);

	if (status == PHIAL_OK) {
		status = phial_generation_add(dir_fd, "s", 0400, 0, 0, &file_fd, err);
	}
	if (status == PHIAL_OK) {
		status = phial_write_all(file_fd, "rotate", 6, err);
	}
	return status == PHIAL_OK ? phial_generation_commit(fd, 2, names, 1, err) : status;
}

/* Take it back and write, in a child: this process must stay in its namespace. */
static enum phial_status recover(struct fixture *f, const struct phial_mount_identity *identity)
{
	int result[2];

	memset(&f->err, 0, sizeof(f->err));
	assert_int_equal(pipe2(result, O_CLOEXEC), 0);
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		struct phial_error err = { 0 };
		phial_auto_target struct phial_target target = PHIAL_TARGET_NONE;
		int fd = -1;

		err.status = phial_target_open(f->container, &target, &err);
		if (err.status == PHIAL_OK) {
			err.status = phial_target_recover(&target, TARGET, identity, &fd, &err);
		}
		if (err.status == PHIAL_OK) {
			err.status = write_through(fd, &err);
		}
		_exit(write(result[1], &err, sizeof(err)) != (ssize_t)sizeof(err));
	}
	phial_close_fd(&result[1]);
	ssize_t got = read(result[0], &f->err, sizeof(f->err));

	phial_close_fd(&result[0]);
	(void)waitpid(child, NULL, 0);
	assert_int_equal(got, sizeof(f->err));
	return f->err.status;
}

static void assert_rotated(const struct fixture *f)
{
	char value[8] = { 0 };
	struct statvfs flags;
	phial_auto_fd int fd = open_in_container(f, PIVOTED, TARGET "/..data/s");

	assert_true(fd >= 0);
	assert_int_equal(read(fd, value, sizeof(value)), 6);
	assert_string_equal(value, "rotate");
	assert_int_equal(fstatvfs(fd, &flags), 0);
	assert_true((flags.f_flag & ST_RDONLY) != 0); /* the container's mount stays as it was */
}

static void test_taken_back(void **state)
{
	static deed_fn *const deeds[] = { do_nothing, make_shared, bind_itself };
	struct phial_mount_identity identity;

	SKIP_UNLESS_ROOT();
	for (size_t i = 0; i < PHIAL_COUNT(deeds); i++) {
		struct fixture *f;

		assert_int_equal(setup((void **)&f), 0);
		start_served(f, &identity);
		let_container(f, deeds[i]);
		if (recover(f, &identity) != PHIAL_OK) {
			fail_msg("deed %zu: %s", i, f->err.text);
		}
		assert_rotated(f);
		assert_host_is_clean(f);
		(void)teardown((void **)&f);
	}
	(void)state;
}

static void test_nothing_else_is_taken(void **state)
{
	static const struct {
		const char *name;
		deed_fn *deed;
		const char *text;
	} cases[] = {
		{ "unmounted", unmount, "nothing is mounted" },
		{ "a tmpfs over it", mount_over, "another filesystem" },
		{ "a ramfs instead", mount_ramfs_instead, "another filesystem" },
		{ "a volume over it", bind_volume_over, "another filesystem" },
		{ "a part of it", bind_part_over, "another filesystem" },
		{ "moved away", move_away, "nothing is mounted" },
		{ "moved, a link instead", move_and_link, "symbolic link" },
		{ "a link in the middle", move_and_link_parent, "symbolic link" },
		{ "a pipe instead", plant_fifo, "no directory" },
		{ "nothing instead", remove_directory, "not there" },
		{ "unbindable", make_unbindable, "clone" },
	};
	struct phial_mount_identity identity;

	SKIP_UNLESS_ROOT();
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		struct fixture *f;

		assert_int_equal(setup((void **)&f), 0);
		start_served(f, &identity);
		let_container(f, cases[i].deed);
		if (recover(f, &identity) == PHIAL_OK || !strstr(f->err.text, cases[i].text)) {
			fail_msg("%s: %s", cases[i].name, f->err.text);
		}
		assert_host_is_clean(f);
		(void)teardown((void **)&f);
	}
	(void)state;
}

/* Each number of the identity counts, and an unknown one is no identity. */
static void test_identity_is_exact(void **state)
{
	struct fixture *f = *state;
	struct phial_mount_identity identity;

	SKIP_UNLESS_ROOT();
	start_served(f, &identity);
	const struct phial_mount_identity others[] = {
		{ 0, identity.fsid, identity.inode },
		{ identity.device + 1, identity.fsid, identity.inode },
		{ identity.device, identity.fsid + 1, identity.inode },
		{ identity.device, identity.fsid, identity.inode + 1 },
	};

	for (size_t i = 0; i < PHIAL_COUNT(others); i++) {
		assert_int_equal(recover(f, &others[i]), PHIAL_REFUSED);
		assert_non_null(strstr(f->err.text, "another filesystem"));
	}
	assert_false(phial_mount_is_same(&others[0], &others[0]));
	assert_int_equal(recover(f, &identity), PHIAL_OK);
}

/* A container's user that owns the root directory, or may write there, has it, not the agent. */
static void test_a_directory_of_others_is_refused(void **state)
{
	struct fixture *f = *state;
	struct phial_mount_identity identity;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	start_container(f, PIVOTED);
	let_container(f, mount_over);
	phial_auto_fd int fd = open_in_container(f, PIVOTED, TARGET);

	assert_int_equal(phial_mount_identify(fd, &identity, &f->err), PHIAL_OK);
	assert_int_equal(fchmod(fd, 0777), 0);
	assert_int_equal(recover(f, &identity), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "not the agent's"));
	assert_int_equal(fchmod(fd, 0755), 0);
	assert_int_equal(fchown(fd, 4242, 0), 0);
	assert_int_equal(recover(f, &identity), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "not the agent's"));
}

/* A worker that was taken over may name any filesystem of root's: not the host's. */
static void test_what_the_host_has_mounted_is_refused(void **state)
{
	struct fixture *f = *state;
	struct phial_mount_identity identity;

	SKIP_UNLESS_ROOT();
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("h", f->victim, "tmpfs", 0, "mode=0755"), 0);
	make_directories(f);
	start_container(f, PIVOTED | GRANT_ON_TARGET);
	phial_auto_fd int fd = open_in_container(f, PIVOTED, TARGET);

	assert_int_equal(phial_mount_identify(fd, &identity, &f->err), PHIAL_OK);
	enum phial_status status = recover(f, &identity);

	assert_int_equal(umount2(f->victim, MNT_DETACH), 0);
	assert_int_equal(status, PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "mounted on the host"));
}

/* Nor a container's own, such as its /dev. */
static void test_what_holds_other_files_is_refused(void **state)
{
	static const struct {
		const char *name;
		mode_t kind;
		bool is_refused;
	} cases[] = {
		{ "file", S_IFREG, true },	{ "null", S_IFCHR, true },
		{ "directory", S_IFDIR, true }, { "..data", S_IFDIR, true },
		{ "..0", S_IFDIR, true },	{ "..1x", S_IFDIR, true },
		{ "..3", S_IFREG, true },	{ "..3", S_IFDIR, false },
	};
	struct fixture *f = *state;
	struct phial_mount_identity identity;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	start_container(f, PIVOTED);
	let_container(f, mount_over);
	phial_auto_fd int fd = open_in_container(f, PIVOTED, TARGET);

	assert_int_equal(phial_mount_identify(fd, &identity, &f->err), PHIAL_OK);
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		bool is_dir = cases[i].kind == S_IFDIR;

		assert_int_equal(is_dir ? mkdirat(fd, cases[i].name, 0755)
					: mknodat(fd, cases[i].name, cases[i].kind | 0600, 0),
				 0);
		enum phial_status status = recover(f, &identity);

		if (status != (cases[i].is_refused ? PHIAL_REFUSED : PHIAL_OK)) {
			fail_msg("%s: %s", cases[i].name, f->err.text);
		}
		if (cases[i].is_refused) {
			assert_non_null(strstr(f->err.text, "files of others"));
			assert_int_equal(unlinkat(fd, cases[i].name, is_dir ? AT_REMOVEDIR : 0), 0);
		}
	}
}

/* A setns() that did nothing would have the host's own /run/secrets looked at. */
static void test_namespace_must_be_entered(void **state)
{
	struct fixture *f = *state;
	struct phial_mount_identity identity;

	SKIP_UNLESS_ROOT();
	start_served(f, &identity);
	setns_does_nothing = 1;
	assert_int_equal(recover(f, &identity), PHIAL_SYSTEM);
	assert_non_null(strstr(f->err.text, "was not entered"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken_back),
		cmocka_unit_test(test_nothing_else_is_taken),
		CASE(test_identity_is_exact),
		CASE(test_a_directory_of_others_is_refused),
		CASE(test_what_holds_other_files_is_refused),
		CASE(test_what_the_host_has_mounted_is_refused),
		CASE(test_namespace_must_be_entered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
