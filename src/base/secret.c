/* SPDX-License-Identifier: ISC */
/*
 * Secret memory over libsodium's guarded allocator. sodium_malloc() goes on silently
 * when it cannot lock its pages, so they are locked again here and the answer is
 * believed. Pages are not given to children, so that a fork cannot keep a copy.
 */
#include <phial/secret.h>

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/secret.h"

#define SECRET_CAPACITY_MAX ((size_t)16 * 1024 * 1024)

struct phial_secret {
	uint8_t *bytes;
	size_t length;
	size_t capacity;
};

/* Lock the pages of an allocation and keep them from children; both must work. */
static int protect_pages(void *bytes, size_t capacity)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = (uintptr_t)bytes & ~(uintptr_t)(page - 1);
	size_t span = ((uintptr_t)bytes + capacity - start + page - 1) & ~(page - 1);

	if (sodium_mlock(bytes, capacity) != 0) {
		return -1;
	}
	/* The canary page in front shares nothing with other allocations. */
	return madvise((void *)start, span, MADV_DONTFORK);
}

enum phial_status phial_secret_new(size_t capacity, struct phial_secret **ret_secret,
				   struct phial_error *err)
{
	if (capacity == 0 || capacity > SECRET_CAPACITY_MAX) {
		return phial_fail(err, PHIAL_USAGE, 0, "secret memory of %zu bytes", capacity);
	}
	if (sodium_init() < 0) {
		return phial_fail(err, PHIAL_SYSTEM, 0, "libsodium cannot start");
	}
	struct phial_secret *secret = calloc(1, sizeof(*secret));

	if (!secret) {
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "secret memory");
	}
	secret->bytes = sodium_malloc(capacity);
	if (!secret->bytes) {
		free(secret);
		return phial_fail(err, PHIAL_SYSTEM, ENOMEM, "secret memory of %zu bytes",
				  capacity);
	}
	secret->capacity = capacity;
	if (protect_pages(secret->bytes, capacity) != 0) {
		int reason = errno;

		phial_secret_free(secret);
		return phial_fail(err, PHIAL_SYSTEM, reason,
				  "cannot keep %zu bytes out of swap (raise RLIMIT_MEMLOCK, "
				  "see ulimit -l)",
				  capacity);
	}
	memset(secret->bytes, 0, capacity);
	*ret_secret = secret;
	return PHIAL_OK;
}

void phial_secret_free(struct phial_secret *secret)
{
	int saved = errno;

	if (secret) {
		sodium_free(secret->bytes); /* wipes, unlocks and unmaps */
		free(secret);
	}
	errno = saved;
}

void phial_secret_wipe(struct phial_secret *secret)
{
	sodium_memzero(secret->bytes, secret->capacity);
	secret->length = 0;
}

uint8_t *phial_secret_bytes(struct phial_secret *secret)
{
	return secret->bytes;
}

const uint8_t *phial_secret_const_bytes(const struct phial_secret *secret)
{
	return secret->bytes;
}

size_t phial_secret_length(const struct phial_secret *secret)
{
	return secret->length;
}

size_t phial_secret_capacity(const struct phial_secret *secret)
{
	return secret->capacity;
}

void phial_secret_set_length(struct phial_secret *secret, size_t length)
{
	assert(length <= secret->capacity);
	if (length < secret->length) {
		sodium_memzero(secret->bytes + length, secret->length - length);
	}
	secret->length = length;
}

bool phial_secret_equal(const struct phial_secret *a, const struct phial_secret *b)
{
	return a->length == b->length && sodium_memcmp(a->bytes, b->bytes, a->length) == 0;
}

enum phial_status phial_secret_append(struct phial_secret *secret, const void *bytes, size_t length,
				      struct phial_error *err)
{
	if (length > secret->capacity - secret->length) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "more than %zu bytes", secret->capacity);
	}
	if (length > 0) {
		memcpy(secret->bytes + secret->length, bytes, length);
	}
	secret->length += length;
	return PHIAL_OK;
}

enum phial_status phial_secret_read_fd(struct phial_secret *secret, int fd, struct phial_error *err)
{
	phial_secret_wipe(secret);
	for (;;) {
		uint8_t beyond;
		size_t room = secret->capacity - secret->length;
		/* When full, one more byte tells "exactly full" from "too much". */
		ssize_t got = read(fd, room > 0 ? secret->bytes + secret->length : &beyond,
				   room > 0 ? room : 1);

		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got == 0) {
			return PHIAL_OK;
		}
		if (got < 0) {
			int reason = errno;

			phial_secret_wipe(secret);
			return phial_fail(err, PHIAL_SYSTEM, reason, "read");
		}
		if (room == 0) {
			sodium_memzero(&beyond, sizeof(beyond));
			phial_secret_wipe(secret);
			return phial_fail(err, PHIAL_TOO_LARGE, 0, "more than %zu bytes",
					  secret->capacity);
		}
		secret->length += (size_t)got;
	}
}

enum phial_status phial_secret_write_fd(const struct phial_secret *secret, int fd,
					struct phial_error *err)
{
	size_t done = 0;

	while (done < secret->length) {
		ssize_t wrote = write(fd, secret->bytes + done, secret->length - done);

		if (wrote < 0 && errno == EINTR) {
			continue;
		}
		if (wrote <= 0) {
			return phial_fail(err, PHIAL_SYSTEM, wrote < 0 ? errno : EIO, "write");
		}
		done += (size_t)wrote;
	}
	return PHIAL_OK;
}

const char *phial_secret_library(void)
{
	return sodium_version_string();
}
