/* SPDX-License-Identifier: ISC */
/*
 * Secret memory: locked or refused, wiped, not given to children. Attacks L-01 (swap) and L-02
 * (core dumps) at their root.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/secret.h"
#include "temp_dir.h"

#ifdef __has_feature
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
static const bool is_sanitized = true;
#else
static const bool is_sanitized = false;
#endif

static const char canary[] = "CANARY-5f1d0c";

static struct phial_secret *new_secret(size_t capacity)
{
	struct phial_secret *secret = NULL;

	assert_int_equal(phial_secret_new(capacity, &secret, NULL), PHIAL_OK);
	return secret;
}

static void holds_up_to_its_capacity(void **state)
{
	phial_auto_secret struct phial_secret *secret = new_secret(8);

	(void)state;
	assert_int_equal(phial_secret_capacity(secret), 8);
	assert_int_equal(phial_secret_length(secret), 0);
	assert_int_equal(phial_secret_append(secret, "12345", 5, NULL), PHIAL_OK);
	assert_int_equal(phial_secret_append(secret, "6789", 4, NULL), PHIAL_TOO_LARGE);
	assert_int_equal(phial_secret_length(secret), 5);
	assert_int_equal(phial_secret_append(secret, "678", 3, NULL), PHIAL_OK);
	assert_int_equal(phial_secret_append(secret, NULL, 0, NULL), PHIAL_OK);
	assert_memory_equal(phial_secret_const_bytes(secret), "12345678", 8);
	phial_secret_set_length(secret, 2);
	assert_memory_equal(phial_secret_bytes(secret), "12\0\0\0\0\0\0", 8);
	phial_secret_wipe(secret);
	assert_int_equal(phial_secret_length(secret), 0);
	assert_memory_equal(phial_secret_bytes(secret), "\0\0\0\0\0\0\0\0", 8);
}

static void compares(void **state)
{
	static const struct {
		const char *a, *b;
		bool are_equal;
	} cases[] = {
		{ "", "", true },     { "a", "a", true }, { "a", "b", false },
		{ "a", "ab", false }, { "", "a", false }, { "abc", "abd", false },
	};

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		phial_auto_secret struct phial_secret *a = new_secret(8);
		phial_auto_secret struct phial_secret *b = new_secret(16);

		assert_int_equal(phial_secret_append(a, cases[i].a, strlen(cases[i].a), NULL),
				 PHIAL_OK);
		assert_int_equal(phial_secret_append(b, cases[i].b, strlen(cases[i].b), NULL),
				 PHIAL_OK);
		assert_int_equal(phial_secret_equal(a, b), cases[i].are_equal);
		assert_int_equal(phial_secret_equal(b, a), cases[i].are_equal);
	}
}

static void has_limits(void **state)
{
	struct phial_secret *secret = NULL;

	(void)state;
	assert_int_equal(phial_secret_new(0, &secret, NULL), PHIAL_USAGE);
	assert_int_equal(phial_secret_new((size_t)16 * 1024 * 1024 + 1, &secret, NULL),
			 PHIAL_USAGE);
	assert_int_equal(phial_secret_new(SIZE_MAX, &secret, NULL), PHIAL_USAGE);
	assert_null(secret);
	phial_secret_free(NULL);
}

static void reads_and_writes_descriptors(void **state)
{
	struct temp_dir *dir = *state;
	phial_auto_secret struct phial_secret *exact = new_secret(sizeof(canary) - 1);
	phial_auto_secret struct phial_secret *small = new_secret(sizeof(canary) - 2);
	char found[64];

	assert_int_equal(temp_dir_write(dir->fd, "in", canary, sizeof(canary) - 1), 0);
	int in = openat(dir->fd, "in", O_RDONLY | O_CLOEXEC);
	int out = openat(dir->fd, "out", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(phial_secret_read_fd(exact, in, NULL), PHIAL_OK);
	assert_int_equal(phial_secret_length(exact), sizeof(canary) - 1);
	assert_int_equal(phial_secret_write_fd(exact, out, NULL), PHIAL_OK);
	assert_int_equal(temp_dir_read(dir->fd, "out", found, sizeof(found)), sizeof(canary) - 1);
	assert_memory_equal(found, canary, sizeof(canary) - 1);
	assert_int_equal(lseek(in, 0, SEEK_SET), 0);
	assert_int_equal(phial_secret_read_fd(small, in, NULL), PHIAL_TOO_LARGE);
	assert_int_equal(phial_secret_length(small), 0);
	for (size_t i = 0; i < phial_secret_capacity(small); i++) {
		assert_int_equal(phial_secret_bytes(small)[i], 0);
	}
	assert_int_equal(phial_secret_read_fd(exact, out, NULL), PHIAL_SYSTEM);
	assert_int_equal(phial_secret_length(exact), 0);
	close(in);
	close(out);
}

/* The line of /proc/self/smaps that lists the flags of the mapping at an address. */
static void vm_flags_of(const void *address, char ret_flags[256])
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	char line[512];
	bool is_inside = false;

	ret_flags[0] = '\0';
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start;
		unsigned long end;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
			is_inside = (unsigned long)address >= start && (unsigned long)address < end;
		} else if (is_inside && strncmp(line, "VmFlags:", 8) == 0) {
			(void)snprintf(ret_flags, 256, "%.255s", line);
			break;
		}
	}
	(void)fclose(maps);
}

static void L01_L02_pages_are_locked_undumped_unforked(void **state)
{
	phial_auto_secret struct phial_secret *secret = new_secret(100);
	char flags[256];

	(void)state;
	vm_flags_of(phial_secret_bytes(secret), flags);
	/* The address sanitizer turns mlock(2) into nothing. */
	assert_true(is_sanitized || strstr(flags, " lo")); /* locked */
	assert_non_null(strstr(flags, " dd"));		   /* not in core dumps */
	assert_non_null(strstr(flags, " dc"));		   /* not in children */
}

static void a_child_has_no_copy(void **state)
{
	phial_auto_secret struct phial_secret *secret = new_secret(100);
	unsigned char residence;
	int status;

	(void)state;
	void *page = (void *)((uintptr_t)phial_secret_bytes(secret) & ~(uintptr_t)4095);

	assert_int_equal(mincore(page, 1, &residence), 0);
	pid_t child = fork();

	if (child == 0) {
		_exit(mincore(page, 1, &residence) == -1 && errno == ENOMEM ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void writing_past_the_end_kills(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		struct phial_secret *secret = NULL;

		const struct rlimit no_core = { 0, 0 };

		/* No report of a sanitizer or of cmocka's handler: only the end is looked at. */
		close(2);
		(void)setrlimit(RLIMIT_CORE, &no_core);
		(void)signal(SIGSEGV, SIG_DFL);
		if (phial_secret_new(4096, &secret, NULL) == PHIAL_OK) {
			((volatile uint8_t *)phial_secret_bytes(secret))[4096] = 1;
		}
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_up_to_its_capacity),
		cmocka_unit_test(compares),
		cmocka_unit_test(has_limits),
		cmocka_unit_test_setup_teardown(reads_and_writes_descriptors, temp_dir_setup,
						temp_dir_teardown),
		cmocka_unit_test(L01_L02_pages_are_locked_undumped_unforked),
		cmocka_unit_test(a_child_has_no_copy),
		cmocka_unit_test(writing_past_the_end_kills),
	};

	return cmocka_run_group_tests_name("base_secret", tests, NULL, NULL);
}
