/* SPDX-License-Identifier: ISC */
/* The table of grades, and the facts that it goes by, from texts as the kernel writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "base/capability.h"
#include "base/cleanup.h"
#include "host/container.h"
#include "host/grade.h"

/* Docker's default capabilities. */
#define ORDINARY UINT64_C(0xa80425fb)

static struct phial_container_facts good(void)
{
	return (struct phial_container_facts){
		.is_known = true,
		.shares_user_namespace = true,
		.uid = 1000,
		.capabilities = ORDINARY,
		.has_seccomp = true,
		.has_no_new_privileges = true,
		.secrets = PHIAL_SECRETS_UNSWAPPED,
	};
}

static void expect(const struct phial_container_facts *facts, enum phial_grade grade,
		   const char *reason)
{
	phial_auto_text struct phial_text reasons = { .max = 4096 };

	assert_int_equal(phial_container_grade(facts, &reasons), grade);
	assert_int_equal(phial_container_grade(facts, NULL), grade);
	if (!reason) {
		assert_null(reasons.bytes);
		return;
	}
	assert_non_null(reasons.bytes);
	assert_non_null(strstr(reasons.bytes, reason));
}

static void test_secure(void **state)
{
	struct phial_container_facts facts = good();

	(void)state;
	expect(&facts, PHIAL_GRADE_SECURE, NULL);
	facts.shares_network_namespace = true;
	facts.has_no_new_privileges = false;
	expect(&facts, PHIAL_GRADE_SECURE, NULL);
	facts.shares_user_namespace = false; /* a namespace's root is nobody outside */
	facts.uid = 100000;
	facts.capabilities = UINT64_MAX;
	expect(&facts, PHIAL_GRADE_SECURE, NULL);
}

static void test_unknown(void **state)
{
	struct phial_container_facts facts = { .is_known = false, .shares_pid_namespace = true };

	(void)state;
	expect(&facts, PHIAL_GRADE_UNKNOWN, NULL);
}

static void test_insecure(void **state)
{
	static const unsigned int capabilities[] = {
		CAP_SYS_ADMIN,	     CAP_SYS_MODULE, CAP_SYS_RAWIO,    CAP_SYS_PTRACE,
		CAP_DAC_READ_SEARCH, CAP_BPF,	     CAP_MAC_OVERRIDE, CAP_CHECKPOINT_RESTORE,
	};
	struct phial_container_facts facts;

	(void)state;
	for (size_t i = 0; i < PHIAL_COUNT(capabilities); i++) {
		facts = good();
		facts.capabilities |= PHIAL_CAPABILITY(capabilities[i]);
		expect(&facts, PHIAL_GRADE_INSECURE, i == 0 ? "CAP_SYS_ADMIN" : "a capability");
		facts.shares_user_namespace = false;
		expect(&facts, PHIAL_GRADE_SECURE, NULL);
	}
	facts = good();
	facts.shares_pid_namespace = true;
	expect(&facts, PHIAL_GRADE_INSECURE, "--pid host");
	facts = good();
	facts.secrets = PHIAL_SECRETS_SWAPPABLE;
	expect(&facts, PHIAL_GRADE_INSECURE, "swapped");
}

static void test_weak(void **state)
{
	struct phial_container_facts facts = good();

	(void)state;
	facts.uid = 0;
	expect(&facts, PHIAL_GRADE_WEAK, "host's root");
	facts = good();
	facts.has_seccomp = false;
	expect(&facts, PHIAL_GRADE_WEAK, "seccomp");
	facts = good();
	facts.joined_pid_namespace = true;
	expect(&facts, PHIAL_GRADE_WEAK, "shares its process namespace");
	facts = good();
	facts.has_weak_release = true;
	expect(&facts, PHIAL_GRADE_WEAK, "environment");
	facts = good();
	facts.secrets = PHIAL_SECRETS_NONE;
	expect(&facts, PHIAL_GRADE_WEAK, "not where they were put");
	facts = good();
	facts.secrets_are_writable = true;
	expect(&facts, PHIAL_GRADE_WEAK, "writable");
}

static void test_all_reasons_and_the_worst_grade(void **state)
{
	struct phial_container_facts facts = good();

	(void)state;
	facts.uid = 0;
	facts.has_seccomp = false;
	facts.capabilities |= PHIAL_CAPABILITY(CAP_SYS_ADMIN);
	expect(&facts, PHIAL_GRADE_INSECURE, "host's root");
	expect(&facts, PHIAL_GRADE_INSECURE, "seccomp");
	expect(&facts, PHIAL_GRADE_INSECURE, "CAP_SYS_ADMIN");
	assert_string_equal(phial_grade_text(PHIAL_GRADE_INSECURE), "insecure");
	assert_string_equal(phial_grade_text(PHIAL_GRADE_UNKNOWN), "unknown");
}

#define STATUS(nnp, nspid)                                                             \
	"Name:\tsleep\nUid:\t1000\t1001\t1000\t1000\nGid:\t0\t0\t0\t0\nNSpid:\t" nspid \
	"\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000003\nCapEff:\t0\n"         \
	"CapBnd:\t00000000a80425fb\nNoNewPrivs:\t" nnp "\nSeccomp:\t2\nSeccomp_filters:\t1\n"

static void test_status(void **state)
{
	struct phial_container_facts facts = { .is_known = true };

	(void)state;
	assert_true(phial_container_read_status(STATUS("1", "4711\t1"), &facts));
	assert_int_equal(facts.uid, 1001);
	assert_int_equal(facts.capabilities, 3);
	assert_true(facts.has_seccomp);
	assert_true(facts.has_no_new_privileges);
	assert_false(facts.joined_pid_namespace);
	assert_true(phial_container_read_status(STATUS("0", "4711\t7"), &facts));
	assert_int_equal(facts.capabilities, ORDINARY);
	assert_false(facts.has_no_new_privileges);
	assert_true(facts.joined_pid_namespace);
	assert_false(phial_container_read_status("Name:\tx\nUid:\t0\t0\t0\t0\n", &facts));
	assert_false(phial_container_read_status("", &facts));
}

static void test_mounts(void **state)
{
	static const char grant[] = "90 80 0:40 /phial/workload/web /run/secrets ro,relatime "
				    "shared:3 master:1 - tmpfs tmpfs rw\n";
	static const char noswap[] = "91 90 0:55 / /run/secrets ro,nosuid,nodev,noexec,relatime - "
				     "tmpfs none rw,size=68k,nr_inodes=9,mode=755,noswap\n";
	static const char swappable[] = "91 90 0:55 / /run/secrets rw - tmpfs none rw,size=68k\n";
	static const char ramfs[] = "91 90 0:55 / /run/secrets ro - ramfs none rw,mode=755\n";
	struct phial_container_facts facts = good();
	char text[1024];

	(void)state;
	(void)snprintf(text, sizeof(text), "%s%s", grant, noswap);
	phial_container_read_mounts(text, "/run/secrets", &facts);
	assert_int_equal(facts.secrets, PHIAL_SECRETS_UNSWAPPED);
	assert_false(facts.secrets_are_writable);
	phial_container_read_mounts(text, "/run/secret", &facts);
	assert_int_equal(facts.secrets, PHIAL_SECRETS_NONE);
	phial_container_read_mounts(ramfs, "/run/secrets", &facts);
	assert_int_equal(facts.secrets, PHIAL_SECRETS_UNSWAPPED);
	phial_container_read_mounts(swappable, "/run/secrets", &facts);
	assert_int_equal(facts.secrets, PHIAL_SECRETS_SWAPPABLE);
	assert_true(facts.secrets_are_writable);
	phial_container_read_mounts("9 1 0:5 / /a\\040b ro - ramfs none rw\n", "/a b", &facts);
	assert_int_equal(facts.secrets, PHIAL_SECRETS_UNSWAPPED);
	phial_container_read_mounts("9 1 0:5 / /a\\040b ro - ramfs none rw\n", "/a", &facts);
	assert_int_equal(facts.secrets, PHIAL_SECRETS_NONE);
	phial_container_read_mounts("9 1 0:5 / /a ro - ramfs none rw\n", "/a b", &facts);
	assert_int_equal(facts.secrets, PHIAL_SECRETS_NONE);
	phial_container_read_mounts("91 90 0:5 / /run/secrets ro - ext4 x rw\nodd line\n",
				    "/run/secrets", &facts);
	assert_int_equal(facts.secrets, PHIAL_SECRETS_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secure),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_insecure),
		cmocka_unit_test(test_weak),
		cmocka_unit_test(test_all_reasons_and_the_worst_grade),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_mounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
