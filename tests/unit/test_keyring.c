/* SPDX-License-Identifier: ISC */
/*
 * The ring on the real kernel: C-01 and C-02 from a child in another session (also under another
 * uid), expiry, large keys, and the quota's message by a wrapped add_key().
 */
/* link: -Wl,--wrap=add_key -Wl,--wrap=keyctl_setperm -Wl,--wrap=keyctl_set_timeout */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <keyutils.h>

#include "base/cleanup.h"
#include "keyring/keyring.h"

static struct {
	int add_errno;
	int setperm_errno;
	int timeout_errno;
	int never_expires;
	int loose_masks;
} faults;

key_serial_t __real_add_key(const char *type, const char *description, const void *payload,
			    size_t length, key_serial_t ring);
key_serial_t __wrap_add_key(const char *type, const char *description, const void *payload,
			    size_t length, key_serial_t ring);
long __real_keyctl_setperm(key_serial_t id, key_perm_t mask);
long __wrap_keyctl_setperm(key_serial_t id, key_perm_t mask);
long __real_keyctl_set_timeout(key_serial_t id, unsigned int seconds);
long __wrap_keyctl_set_timeout(key_serial_t id, unsigned int seconds);

key_serial_t __wrap_add_key(const char *type, const char *description, const void *payload,
			    size_t length, key_serial_t ring)
{
	if (faults.add_errno) {
		errno = faults.add_errno;
		return -1;
	}
	return __real_add_key(type, description, payload, length, ring);
}

long __wrap_keyctl_setperm(key_serial_t id, key_perm_t mask)
{
	if (faults.setperm_errno) {
		errno = faults.setperm_errno;
		return -1;
	}
	return __real_keyctl_setperm(id, faults.loose_masks ? 0x3f3f0000 : mask);
}

long __wrap_keyctl_set_timeout(key_serial_t id, unsigned int seconds)
{
	if (faults.timeout_errno) {
		errno = faults.timeout_errno;
		return -1;
	}
	return faults.never_expires ? 0 : __real_keyctl_set_timeout(id, seconds);
}

struct fixture {
	int32_t ring;
	struct phial_error err;
	uint8_t payload[PHIAL_KEY_PAYLOAD_MAX];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	memset(&faults, 0, sizeof(faults));
	if (!f || phial_keyring_join(&f->ring, &f->err) != PHIAL_OK) {
		return -1;
	}
	memset(f->payload, 0x5a, sizeof(f->payload));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	memset(&faults, 0, sizeof(faults));
	if (phial_keyring_clear(f->ring, NULL) != PHIAL_OK) {
		return -1;
	}
	free(f);
	return 0;
}

static int32_t add(struct fixture *f, size_t length, uint32_t timeout_s)
{
	int32_t serial = 0;

	if (phial_keyring_add(f->ring, f->payload, length, timeout_s, &serial, &f->err) !=
	    PHIAL_OK) {
		fail_msg("%s", f->err.text);
	}
	return serial;
}

/* No longer possessed (until the kernel collects it), or no longer there. */
static void assert_gone(enum phial_status status)
{
	assert_true(status == PHIAL_NOT_FOUND || status == PHIAL_DENIED);
}

static void test_add_read_list_drop(void **state)
{
	struct fixture *f = *state;
	static uint8_t read_back[PHIAL_KEY_PAYLOAD_MAX];
	const size_t lengths[] = { 1, PHIAL_KEY_HEADER_BYTES, PHIAL_KEY_PAYLOAD_MAX };
	int32_t serials[3];
	phial_auto_free int32_t *listed = NULL;
	size_t count;

	for (size_t i = 0; i < 3; i++) {
		size_t length;

		serials[i] = add(f, lengths[i], 100);
		assert_int_equal(phial_keyring_read(serials[i], read_back, sizeof(read_back),
						    &length, &f->err),
				 PHIAL_OK);
		assert_int_equal(length, lengths[i]);
		assert_memory_equal(read_back, f->payload, length);
	}
	assert_int_equal(phial_keyring_list(f->ring, &listed, &count, &f->err), PHIAL_OK);
	assert_int_equal(count, 3);
	assert_int_equal(phial_keyring_drop(f->ring, serials[1], &f->err), PHIAL_OK);
	assert_int_equal(phial_keyring_drop(f->ring, serials[1], &f->err), PHIAL_OK);
	size_t length;

	assert_gone(phial_keyring_read(serials[1], read_back, 1, &length, &f->err));
	assert_int_equal(phial_keyring_clear(f->ring, &f->err), PHIAL_OK);
	assert_gone(phial_keyring_read(serials[0], read_back, 1, &length, &f->err));
}

static void test_sizes_out_of_range(void **state)
{
	struct fixture *f = *state;
	int32_t serial;

	assert_int_equal(phial_keyring_add(f->ring, f->payload, 0, 0, &serial, &f->err),
			 PHIAL_TOO_LARGE);
	assert_int_equal(phial_keyring_add(f->ring, f->payload, PHIAL_KEY_PAYLOAD_MAX + 1, 0,
					   &serial, &f->err),
			 PHIAL_TOO_LARGE);
}

static void test_masks_are_exact(void **state)
{
	struct fixture *f = *state;
	int32_t serial = add(f, 4, 0);
	char text[128];

	assert_true(keyctl_describe(serial, text, sizeof(text)) > 0);
	assert_non_null(strstr(text, ";0b000000;phial:"));
	assert_true(keyctl_describe(f->ring, text, sizeof(text)) > 0);
	assert_non_null(strstr(text, ";0f000000;_ses"));
}

/* Even the possessor cannot loosen, move or change anything. */
static void test_possessor_cannot_loosen(void **state)
{
	struct fixture *f = *state;
	int32_t serial = add(f, 4, 0);

	assert_int_equal(__real_keyctl_setperm(serial, 0x3f3f3f3f), -1);
	assert_int_equal(__real_keyctl_setperm(f->ring, 0x3f3f3f3f), -1);
	assert_int_equal(__real_keyctl_set_timeout(serial, 1000), -1);
	assert_int_equal(keyctl_update(serial, "x", 1), -1);
	assert_int_equal(keyctl_link(serial, KEY_SPEC_USER_KEYRING), -1);
	assert_int_equal(keyctl_link(f->ring, KEY_SPEC_USER_KEYRING), -1);
}

/* What a container's root can try with a serial: returns the number of what worked, or 0. */
static int try_everything(int32_t ring, int32_t serial, uid_t uid)
{
	char buffer[64];
	const int32_t targets[] = { serial, ring };

	if (keyctl_join_session_keyring(NULL) < 0 || (uid != 0 && setuid(uid) != 0)) {
		return 99;
	}
	(void)keyctl_get_persistent((uid_t)-1, KEY_SPEC_SESSION_KEYRING);
	(void)keyctl_link(KEY_SPEC_USER_KEYRING, KEY_SPEC_SESSION_KEYRING);
	(void)keyctl_join_session_keyring("_ses");
	for (size_t i = 0; i < PHIAL_COUNT(targets); i++) {
		int32_t id = targets[i];
		const long answers[] = {
			keyctl_read(id, buffer, sizeof(buffer)),
			keyctl_describe(id, buffer, sizeof(buffer)),
			keyctl_link(id, KEY_SPEC_SESSION_KEYRING),
			keyctl_link(id, KEY_SPEC_USER_KEYRING),
			__real_keyctl_setperm(id, 0x3f3f3f3f),
			__real_keyctl_set_timeout(id, 1),
			keyctl_chown(id, 0, (gid_t)-1),
			keyctl_update(id, "x", 1),
			keyctl_revoke(id),
			keyctl_invalidate(id),
			keyctl_clear(id),
			keyctl_unlink(id, ring),
			keyctl_search(id, "user", "phial:", 0),
		};

		for (size_t at = 0; at < PHIAL_COUNT(answers); at++) {
			if (answers[at] >= 0) {
				return (int)(i * 32 + at + 1);
			}
		}
	}
	return 0;
}

static void check_stranger(struct fixture *f, uid_t uid)
{
	int32_t serial = add(f, 4, 0);
	int outcome;
	size_t length;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		_exit(try_everything(f->ring, serial, uid));
	}
	assert_int_equal(waitpid(child, &outcome, 0), child);
	assert_true(WIFEXITED(outcome));
	assert_int_equal(WEXITSTATUS(outcome), 0);
	assert_int_equal(phial_keyring_read(serial, f->payload, 4, &length, &f->err), PHIAL_OK);
}

static void test_c01_other_session_same_uid(void **state)
{
	check_stranger(*state, 0);
}

static void test_c02_other_session_other_uid(void **state)
{
	if (geteuid() != 0) {
		skip();
	}
	check_stranger(*state, 4242);
}

/* K9: a child that keeps the session possesses the keys whatever its uid. */
static void test_worker_of_another_uid_reads(void **state)
{
	struct fixture *f = *state;
	int32_t serial = add(f, 4, 0);
	int outcome;
	pid_t child;

	if (geteuid() != 0) {
		skip();
	}
	child = fork();
	if (child == 0) {
		char buffer[4];
		size_t length;

		_exit(setresgid(4242, 4242, 4242) != 0 || setresuid(4242, 4242, 4242) != 0 ||
		      phial_keyring_read(serial, buffer, 4, &length, NULL) != PHIAL_OK);
	}
	assert_int_equal(waitpid(child, &outcome, 0), child);
	assert_int_equal(outcome, 0);
}

static void test_leave(void **state)
{
	struct fixture *f = *state;
	int32_t serial = add(f, 4, 0);
	int outcome;
	pid_t child = fork();

	if (child == 0) {
		size_t length;

		_exit(phial_keyring_leave(NULL) != PHIAL_OK ||
		      phial_keyring_read(serial, f->payload, 4, &length, NULL) != PHIAL_DENIED);
	}
	assert_int_equal(waitpid(child, &outcome, 0), child);
	assert_int_equal(outcome, 0);
}

static void test_expired_key_is_dropped(void **state)
{
	struct fixture *f = *state;
	int32_t serial = add(f, 4, 1);
	phial_auto_free int32_t *listed = NULL;
	enum phial_status status = PHIAL_OK;
	size_t count;

	for (int i = 0; i < 200 && status == PHIAL_OK; i++) {
		size_t length;

		status = phial_keyring_read(serial, f->payload, 4, &length, &f->err);
		(void)usleep(20000);
	}
	assert_int_equal(status, PHIAL_EXPIRED);
	assert_int_equal(phial_keyring_drop(f->ring, serial, &f->err), PHIAL_OK);
	assert_int_equal(phial_keyring_list(f->ring, &listed, &count, &f->err), PHIAL_OK);
	assert_int_equal(count, 0);
}

static void test_quota_names_the_sysctl(void **state)
{
	struct fixture *f = *state;
	int32_t serial = -1;

	faults.add_errno = EDQUOT;
	assert_int_equal(phial_keyring_add(f->ring, f->payload, 4, 0, &serial, &f->err),
			 PHIAL_TOO_LARGE);
	assert_non_null(strstr(f->err.text, geteuid() == 0 ? "kernel.keys.root_maxkeys"
							   : "kernel.keys.maxkeys"));
	assert_int_equal(serial, -1);
}

/* A key whose mask or timeout cannot be set must not stay. */
static void test_half_made_key_is_removed(void **state)
{
	struct fixture *f = *state;
	static const struct {
		int setperm_errno;
		int timeout_errno;
	} cases[] = { { EACCES, 0 }, { 0, EACCES }, { EINTR, 0 } };

	for (size_t i = 0; i < PHIAL_COUNT(cases); i++) {
		phial_auto_free int32_t *listed = NULL;
		int32_t serial = -1;
		size_t count;

		faults.setperm_errno = cases[i].setperm_errno;
		faults.timeout_errno = cases[i].timeout_errno;
		assert_int_not_equal(phial_keyring_add(f->ring, f->payload, 4, 9, &serial, &f->err),
				     PHIAL_OK);
		assert_int_equal(serial, -1);
		assert_int_equal(phial_keyring_list(f->ring, &listed, &count, &f->err), PHIAL_OK);
		assert_int_equal(count, 0);
	}
}

/* F-10 */
static void test_f10_no_keyrings(void **state)
{
	struct fixture *f = *state;
	int32_t ring;

	faults.setperm_errno = ENOSYS;
	assert_int_equal(phial_keyring_join(&ring, &f->err), PHIAL_UNSUPPORTED);
	faults.setperm_errno = EPERM;
	assert_int_equal(phial_keyring_join(&ring, &f->err), PHIAL_UNSUPPORTED);
	faults.setperm_errno = 0;
	assert_int_equal(phial_keyring_join(&f->ring, &f->err), PHIAL_OK);
}

static void test_self_test_passes(void **state)
{
	struct fixture *f = *state;
	phial_auto_free int32_t *listed = NULL;
	size_t count;

	if (phial_keyring_self_test(f->ring, &f->err) != PHIAL_OK) {
		fail_msg("%s", f->err.text);
	}
	assert_int_equal(phial_keyring_list(f->ring, &listed, &count, &f->err), PHIAL_OK);
	assert_int_equal(count, 0);
}

static void test_f11_self_test_sees_missing_expiry(void **state)
{
	struct fixture *f = *state;

	faults.never_expires = 1;
	assert_int_equal(phial_keyring_self_test(f->ring, &f->err), PHIAL_UNSUPPORTED);
	assert_non_null(strstr(f->err.text, "does not expire"));
}

static void test_f11_self_test_sees_a_reachable_key(void **state)
{
	struct fixture *f = *state;

	faults.loose_masks = 1;
	assert_int_equal(phial_keyring_self_test(f->ring, &f->err), PHIAL_UNSUPPORTED);
	assert_non_null(strstr(f->err.text, "another session"));
}

static void test_quota(void **state)
{
	struct fixture *f = *state;
	struct phial_key_quota before;
	struct phial_key_quota after;

	assert_int_equal(phial_keyring_quota(&before, &f->err), PHIAL_OK);
	(void)add(f, 1000, 0);
	assert_int_equal(phial_keyring_quota(&after, &f->err), PHIAL_OK);
	assert_true(before.keys_max > 0 && before.bytes_max > 0);
	/* Others of this uid may add and drop keys meanwhile: only the order is sure. */
	assert_true(after.keys_used > 0 && after.bytes_used >= 1000);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_add_read_list_drop),
		CASE(test_sizes_out_of_range),
		CASE(test_masks_are_exact),
		CASE(test_possessor_cannot_loosen),
		CASE(test_c01_other_session_same_uid),
		CASE(test_c02_other_session_other_uid),
		CASE(test_worker_of_another_uid_reads),
		CASE(test_leave),
		CASE(test_expired_key_is_dropped),
		CASE(test_quota_names_the_sysctl),
		CASE(test_half_made_key_is_removed),
		CASE(test_f10_no_keyrings),
		CASE(test_self_test_passes),
		CASE(test_f11_self_test_sees_missing_expiry),
		CASE(test_f11_self_test_sees_a_reachable_key),
		CASE(test_quota),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
