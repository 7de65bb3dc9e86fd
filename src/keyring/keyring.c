/* SPDX-License-Identifier: ISC */
/*
 * The session ring and its keys: add, read, drop, list. Masks give everything to possessors and
 * nothing to anybody else, so that neither a uid nor a serial number opens a key. Knows no
 * secret's meaning and keeps no index: that is the agent's.
 */
#include "keyring/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <keyutils.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/parse.h"

/* No LINK and no SETATTR: nobody can pass the ring on or loosen it again. */
#define RING_MASK (KEY_POS_VIEW | KEY_POS_READ | KEY_POS_WRITE | KEY_POS_SEARCH)
/* No WRITE: a payload never changes in place. SEARCH is what invalidating asks for. */
#define KEY_MASK (KEY_POS_VIEW | KEY_POS_READ | KEY_POS_SEARCH)

#define KEY_USERS_MAX_BYTES ((size_t)1024 * 1024)

static enum phial_status key_failure(struct phial_error *err, const char *what)
{
	switch (errno) {
	case ENOSYS:
	case EOPNOTSUPP:
		return phial_fail(err, PHIAL_UNSUPPORTED, errno,
				  "%s: the kernel has no keyrings, or a filter blocks them", what);
	case EKEYEXPIRED:
		return phial_fail(err, PHIAL_EXPIRED, errno, "%s", what);
	case ENOKEY:
	case EKEYREVOKED:
		return phial_fail(err, PHIAL_NOT_FOUND, errno, "%s", what);
	case EACCES:
	case EPERM:
		return phial_fail(err, PHIAL_DENIED, errno, "%s", what);
	default:
		return phial_fail(err, PHIAL_SYSTEM, errno, "%s", what);
	}
}

enum phial_status phial_keyring_join(int32_t *ret_ring, struct phial_error *err)
{
	key_serial_t ring = keyctl_join_session_keyring(NULL);

	if (ring < 0 || keyctl_setperm(ring, RING_MASK) != 0) {
		enum phial_status status = key_failure(err, "join a session keyring");

		/* EPERM here is a filter, not a missing right: every process may join. */
		if (status == PHIAL_DENIED) {
			return phial_fail(err, PHIAL_UNSUPPORTED, errno,
					  "join a session keyring: a filter blocks keyctl");
		}
		return status;
	}
	*ret_ring = ring;
	return PHIAL_OK;
}

static enum phial_status add_failure(struct phial_error *err)
{
	const char *kind = geteuid() == 0 ? "root_" : "";

	if (errno == EDQUOT) {
		return phial_fail(err, PHIAL_TOO_LARGE, errno,
				  "the kernel's key quota of uid %u is used up; raise "
				  "kernel.keys.%smaxkeys and kernel.keys.%smaxbytes (sysctl)",
				  (unsigned int)geteuid(), kind, kind);
	}
	return key_failure(err, "add a key");
}

enum phial_status phial_keyring_add(int32_t ring, const void *payload, size_t length,
				    uint32_t timeout_s, int32_t *ret_serial,
				    struct phial_error *err)
{
	char description[32];
	uint64_t random;

	if (length == 0 || length > PHIAL_KEY_PAYLOAD_MAX) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "a key of %zu bytes", length);
	}
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "getrandom");
	}
	/* Until its mask is set the description can be seen by the same uid: it says nothing. */
	(void)snprintf(description, sizeof(description), "phial:%016" PRIx64, random);
	key_serial_t serial = add_key("user", description, payload, length, ring);

	if (serial < 0) {
		return add_failure(err);
	}
	/* The timeout first: the mask takes the right to set it away. */
	if ((timeout_s > 0 && keyctl_set_timeout(serial, timeout_s) != 0) ||
	    keyctl_setperm(serial, KEY_MASK) != 0) {
		enum phial_status status = key_failure(err, "close a new key");

		(void)keyctl_unlink(serial, ring);
		return status;
	}
	*ret_serial = serial;
	return PHIAL_OK;
}

enum phial_status phial_keyring_read(int32_t serial, void *payload, size_t capacity,
				     size_t *ret_length, struct phial_error *err)
{
	long length = keyctl_read(serial, payload, capacity);

	if (length < 0) {
		return key_failure(err, "read a key");
	}
	*ret_length = (size_t)length;
	return PHIAL_OK;
}

enum phial_status phial_keyring_drop(int32_t ring, int32_t serial, struct phial_error *err)
{
	if (keyctl_invalidate(serial) == 0) {
		return PHIAL_OK;
	}
	/*
	 * An expired or revoked key cannot be invalidated; unlinked, the kernel frees it. One
	 * that was dropped before answers EACCES until it is collected, then ENOKEY.
	 */
	if (keyctl_unlink(serial, ring) != 0 && errno != ENOENT && errno != ENOKEY) {
		return key_failure(err, "drop a key");
	}
	return PHIAL_OK;
}

enum phial_status phial_keyring_list(int32_t ring, int32_t **ret_serials, size_t *ret_count,
				     struct phial_error *err)
{
	void *serials = NULL;
	int bytes = keyctl_read_alloc(ring, &serials);

	if (bytes < 0) {
		return key_failure(err, "list the keys");
	}
	*ret_serials = serials;
	*ret_count = (size_t)bytes / sizeof(key_serial_t);
	return PHIAL_OK;
}

enum phial_status phial_keyring_clear(int32_t ring, struct phial_error *err)
{
	if (keyctl_clear(ring) != 0) {
		return key_failure(err, "clear the keyring");
	}
	return PHIAL_OK;
}

enum phial_status phial_keyring_leave(struct phial_error *err)
{
	int32_t unused;

	return phial_keyring_join(&unused, err);
}

static enum phial_status read_text(const char *path, size_t max, uint8_t **ret_text,
				   struct phial_error *err)
{
	phial_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length;

	if (fd < 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "open %s", path);
	}
	return phial_read_all(fd, max, ret_text, &length, err);
}

static enum phial_status read_sysctl(const char *name, uint64_t *ret_value, struct phial_error *err)
{
	char path[64];
	phial_auto_free uint8_t *text = NULL;

	(void)snprintf(path, sizeof(path), "/proc/sys/kernel/keys/%s%s",
		       geteuid() == 0 ? "root_" : "", name);
	enum phial_status status = read_text(path, 32, &text, err);

	if (status != PHIAL_OK) {
		return status;
	}
	struct phial_span span = { (const char *)text, strcspn((const char *)text, "\n") };

	if (!phial_parse_u64(span, 0, UINT64_MAX, ret_value)) {
		return phial_fail(err, PHIAL_SYSTEM, 0, "%s holds no number", path);
	}
	return PHIAL_OK;
}

/*
 * "    0:     9 8/8 3/1000000 40/25000000"; a uid without keys has no line. Which limits are meant
 * is known best here: uid 0 of a user namespace has those of what it is outside.
 */
static void find_usage(const char *text, struct phial_key_quota *quota)
{
	for (const char *line = text; line && *line != '\0'; line = strchr(line, '\n')) {
		unsigned int uid;
		struct phial_key_quota found;

		line += strspn(line, "\n");
		if (sscanf(line, " %u: %*u %*u/%*u %" SCNu64 "/%" SCNu64 " %" SCNu64 "/%" SCNu64,
			   &uid, &found.keys_used, &found.keys_max, &found.bytes_used,
			   &found.bytes_max) == 5 &&
		    uid == geteuid()) {
			*quota = found;
		}
	}
}

enum phial_status phial_keyring_quota(struct phial_key_quota *ret_quota, struct phial_error *err)
{
	struct phial_key_quota quota = { 0 };
	phial_auto_free uint8_t *text = NULL;
	enum phial_status status = read_sysctl("maxkeys", &quota.keys_max, err);

	if (status == PHIAL_OK) {
		status = read_sysctl("maxbytes", &quota.bytes_max, err);
	}
	if (status == PHIAL_OK) {
		status = read_text("/proc/key-users", KEY_USERS_MAX_BYTES, &text, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	find_usage((const char *)text, &quota);
	*ret_quota = quota;
	return PHIAL_OK;
}
