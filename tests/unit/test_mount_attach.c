/* SPDX-License-Identifier: ISC */
/*
 * Attaching into hostile roots: I-01 to I-05, I-07, X-01, and onto shared mounts (h1).
 */
/* link: -Wl,--wrap=setns */
#include "fake_container.h"

static void test_attach_before_and_after_pivot(void **state)
{
	struct fixture *f = *state;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	for (unsigned int shape = PLAIN; shape <= PIVOTED; shape++) {
		start_container(f, shape);
		if (attach_to(f, "/run/secrets") != PHIAL_OK) {
			fail_msg("%s", f->err.text);
		}
		assert_attached(f, shape, "/run/secrets");
		assert_host_is_clean(f);
		(void)kill(f->container, SIGKILL);
		(void)waitpid(f->container, NULL, 0);
		f->container = 0;
	}
}

/* Missing directories are made, one by one, on the root mount. */
static void test_missing_directories_on_the_root(void **state)
{
	struct fixture *f = *state;
	struct stat made;

	SKIP_UNLESS_ROOT();
	start_container(f, PLAIN);
	if (attach_to(f, "/run/secrets/deep") != PHIAL_OK) {
		fail_msg("%s", f->err.text);
	}
	assert_attached(f, PLAIN, "/run/secrets/deep");
	assert_int_equal(stat(in_root(f, "/run/secrets"), &made), 0);
	assert_int_equal(made.st_mode, S_IFDIR | 0755);
}

static void test_hostile_images(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *name;
		const char *link; /* what /run or /run/secrets points to; "%s": the victim */
		bool is_middle;
		const char *text;
	} cases[] = {
		{ "I-01 absolute link", "%s", false, "symbolic link" },
		{ "I-01 relative link", "../../victim", false, "symbolic link" },
		{ "I-02 middle to host", "%s", true, "symbolic link" },
		{ "I-02 middle upwards", "../../..", true, "symbolic link" },
		{ "I-03 loop", "secrets", false, "symbolic link" },
		{ "I-04 magic link", "/proc/self/root/tmp", false, "symbolic link" },
		{ "I-04 magic link of init", "/proc/1/root", true, "symbolic link" },
	};

	SKIP_UNLESS_ROOT();
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		char to[128];
		const char *where = cases[i].is_middle ? "/run" : "/run/secrets";

		(void)snprintf(to, sizeof(to), "%s", cases[i].link);
		if (strcmp(cases[i].link, "%s") == 0) {
			(void)snprintf(to, sizeof(to), "%s", f->victim);
		}
		if (!cases[i].is_middle) {
			(void)mkdir(in_root(f, "/run"), 0755);
		}
		assert_int_equal(symlink(to, in_root(f, where)), 0);
		start_container(f, PLAIN);
		enum phial_status status = attach_to(f, "/run/secrets");

		(void)kill(f->container, SIGKILL);
		(void)waitpid(f->container, NULL, 0);
		f->container = 0;
		assert_int_equal(unlink(in_root(f, where)), 0);
		(void)rmdir(in_root(f, "/run"));
		if (status != PHIAL_REFUSED || !strstr(f->err.text, cases[i].text)) {
			fail_msg("%s: %s", cases[i].name, f->err.text);
		}
		assert_host_is_clean(f);
	}
}

/* I-03: no hang on a pipe, no opening of a device. */
static void test_i03_not_a_directory(void **state)
{
	struct fixture *f = *state;
	static const mode_t kinds[] = { S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR };

	SKIP_UNLESS_ROOT();
	assert_int_equal(mkdir(in_root(f, "/run"), 0755), 0);
	start_container(f, PLAIN);
	for (size_t i = 0; i < PHIAL_COUNT(kinds); i++) {
		assert_int_equal(mknod(in_root(f, "/run/secrets"), kinds[i] | 0600, 0), 0);
		assert_int_equal(attach_to(f, "/run/secrets"), PHIAL_REFUSED);
		assert_non_null(strstr(f->err.text, "is not a directory"));
		assert_int_equal(attach_to(f, "/run/secrets/below"), PHIAL_REFUSED);
		assert_int_equal(unlink(in_root(f, "/run/secrets")), 0);
	}
}

static void test_i05_missing_on_a_volume(void **state)
{
	struct fixture *f = *state;

	SKIP_UNLESS_ROOT();
	assert_int_equal(mkdir(in_root(f, "/run"), 0755), 0);
	start_container(f, HOST_VOLUME);
	assert_int_equal(attach_to(f, "/run/secrets"), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "lies on a volume"));
	assert_int_equal(open_in_container(f, PLAIN, "/run/secrets"), -1);
	assert_host_is_clean(f);
}

/* A tmpfs that the host has not mounted is no volume: engines put one on /run of read-only roots. */
static void test_i05_missing_on_the_containers_own_tmpfs(void **state)
{
	struct fixture *f = *state;

	SKIP_UNLESS_ROOT();
	assert_int_equal(mkdir(in_root(f, "/run"), 0755), 0);
	start_container(f, PRIVATE_VOLUME | READ_ONLY_ROOT);
	if (attach_to(f, "/run/secrets") != PHIAL_OK) {
		fail_msg("%s", f->err.text);
	}
	assert_attached(f, PRIVATE_VOLUME, "/run/secrets");
	assert_host_is_clean(f);
}

static void test_i05_missing_on_a_read_only_root(void **state)
{
	struct fixture *f = *state;
	struct statvfs root;

	SKIP_UNLESS_ROOT();
	start_container(f, READ_ONLY_ROOT | PIVOTED);
	if (attach_to(f, "/run/secrets") != PHIAL_OK) {
		fail_msg("%s", f->err.text);
	}
	assert_attached(f, READ_ONLY_ROOT | PIVOTED, "/run/secrets");
	phial_auto_fd int fd = open_in_container(f, PIVOTED, "/");

	assert_int_equal(fstatvfs(fd, &root), 0);
	assert_true((root.f_flag & ST_RDONLY) != 0);
}

static void test_what_wiped_secrets_leave_may_be_covered(void **state)
{
	struct fixture *f = *state;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	start_container(f, SPENT_ON_TARGET);
	if (attach_to(f, "/run/secrets") != PHIAL_OK) {
		fail_msg("%s", f->err.text);
	}
	assert_attached(f, SPENT_ON_TARGET, "/run/secrets");
	/* What is there now is not empty. */
	assert_int_equal(attach_to(f, "/run/secrets"), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "something else is mounted there"));
}

static void test_i07_something_is_there(void **state)
{
	struct fixture *f = *state;
	struct attempt attempt;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	start_container(f, MOUNT_ON_TARGET);
	assert_int_equal(attach_to(f, "/run/secrets"), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "something else is mounted there"));
	attempt = (struct attempt){ f->container, f->root, "/run/secrets", false, f->victim };
	assert_int_equal(attach_in_child(f, &attempt), PHIAL_REFUSED);
	attempt.may_over = true;
	assert_int_equal(attach_in_child(f, &attempt), PHIAL_OK);
	assert_attached(f, MOUNT_ON_TARGET, "/run/secrets");
}

static void test_i07_files_are_there(void **state)
{
	struct fixture *f = *state;
	struct attempt attempt;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	assert_int_equal(mknod(in_root(f, "/run/secrets/.a"), S_IFREG | 0600, 0), 0);
	start_container(f, PLAIN);
	assert_int_equal(attach_to(f, "/run/secrets"), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "not empty"));
	attempt = (struct attempt){ f->container, f->root, "/run/secrets", true, NULL };
	assert_int_equal(attach_in_child(f, &attempt), PHIAL_OK);
	assert_attached(f, PLAIN, "/run/secrets");
}

static void test_grant_mount_may_be_covered(void **state)
{
	struct fixture *f = *state;
	struct attempt attempt;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	start_container(f, GRANT_ON_TARGET);
	assert_int_equal(attach_to(f, "/run/secrets"), PHIAL_REFUSED);
	attempt = (struct attempt){ f->container, f->root, "/run/secrets", false, f->root };
	assert_int_equal(attach_in_child(f, &attempt), PHIAL_REFUSED);
	attempt.grant = f->victim;
	if (attach_in_child(f, &attempt) != PHIAL_OK) {
		fail_msg("%s", f->err.text);
	}
	assert_attached(f, GRANT_ON_TARGET, "/run/secrets");
	assert_host_is_clean(f);
}

static void test_h1_shared_and_slave(void **state)
{
	struct fixture *f = *state;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	start_container(f, SHARED_VOLUME);
	assert_int_equal(attach_to(f, "/run/secrets"), PHIAL_REFUSED);
	assert_non_null(strstr(f->err.text, "shared mount"));
	struct attempt over = { f->container, f->root, "/run/secrets", true, NULL };

	assert_int_equal(attach_in_child(f, &over), PHIAL_REFUSED);
	(void)kill(f->container, SIGKILL);
	(void)waitpid(f->container, NULL, 0);
	start_container(f, SLAVE_VOLUME);
	if (attach_to(f, "/run/secrets") != PHIAL_OK) {
		fail_msg("%s", f->err.text);
	}
	assert_attached(f, SLAVE_VOLUME, "/run/secrets");
}

/* Not even in the container's own table may anything lie over the host's directory. */
static void assert_victim_is_uncovered(const struct fixture *f)
{
	char path[64];
	phial_auto_free uint8_t *table = NULL;
	size_t length;

	(void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)f->container);
	phial_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_int_equal(phial_read_all(fd, 1 << 24, &table, &length, NULL), PHIAL_OK);
	assert_null(strstr((const char *)table, f->victim));
}

/* A sibling swaps /run/secrets between a directory and a link to the host, as fast as it can. */
static pid_t start_swapper(const struct fixture *f)
{
	char directory[256];
	char link[256];

	(void)snprintf(directory, sizeof(directory), "%s", in_root(f, "/run/secrets"));
	(void)snprintf(link, sizeof(link), "%s", in_root(f, "/run/other"));
	assert_int_equal(symlink(f->victim, link), 0);
	pid_t child = fork();

	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			(void)renameat2(AT_FDCWD, directory, AT_FDCWD, link, RENAME_EXCHANGE);
		}
	}
	return child;
}

static void test_x01_race_with_swapped_link(void **state)
{
	struct fixture *f = *state;
	int attached = 0;
	int refused = 0;

	SKIP_UNLESS_ROOT();
	make_directories(f);
	pid_t swapper = start_swapper(f);

	for (int i = 0; i < 60; i++) {
		start_container(f, PLAIN);
		enum phial_status status = attach_to(f, "/run/secrets");

		attached += status == PHIAL_OK;
		refused += status == PHIAL_REFUSED;
		assert_victim_is_uncovered(f);
		(void)kill(f->container, SIGKILL);
		(void)waitpid(f->container, NULL, 0);
		f->container = 0;
	}
	(void)kill(swapper, SIGKILL);
	(void)waitpid(swapper, NULL, 0);
	/* Either the real directory, wherever it was renamed to, or a refusal; never the host. */
	assert_int_equal(attached + refused, 60);
	assert_host_is_clean(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_attach_before_and_after_pivot),
		CASE(test_missing_directories_on_the_root),
		CASE(test_hostile_images),
		CASE(test_i03_not_a_directory),
		CASE(test_i05_missing_on_a_volume),
		CASE(test_i05_missing_on_the_containers_own_tmpfs),
		CASE(test_i05_missing_on_a_read_only_root),
		CASE(test_what_wiped_secrets_leave_may_be_covered),
		CASE(test_i07_something_is_there),
		CASE(test_i07_files_are_there),
		CASE(test_grant_mount_may_be_covered),
		CASE(test_h1_shared_and_slave),
		CASE(test_x01_race_with_swapped_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
