/* SPDX-License-Identifier: ISC */
/*
 * Secret memory: bytes that are locked in RAM, kept out of core dumps and
 * child processes, surrounded by guard pages, and wiped by their only
 * destructor. Values, key material and passphrases travel in it and nowhere
 * else.
 *
 * Not safe for use by two threads at once. A child of fork() must not touch a
 * struct phial_secret of its parent (its pages are not inherited).
 */
#ifndef PHIAL_SECRET_H
#define PHIAL_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The largest secret value that phial seals, in bytes: 1 MiB. */
#define PHIAL_SECRET_MAX_BYTES ((size_t)1024 * 1024)

struct phial_secret;

/*
 * Allocate empty secret memory. capacity: bytes it can hold, 1 to 16 MiB.
 * ret_secret: set on success; the caller frees it with phial_secret_free().
 * Returns PHIAL_OK; PHIAL_USAGE for a capacity out of range; PHIAL_SYSTEM when
 * there is no memory or it cannot be locked (the text names RLIMIT_MEMLOCK).
 * See sodium_malloc(3) in libsodium's documentation, mlock(2), madvise(2).
 */
PHIAL_API PHIAL_CHECKED enum phial_status
phial_secret_new(size_t capacity, struct phial_secret **ret_secret, struct phial_error *err);

/* Wipe and free. secret: may be NULL. Keeps errno. */
PHIAL_API void phial_secret_free(struct phial_secret *secret);

/* Overwrite the whole capacity with zeros and set the length to 0. */
PHIAL_API void phial_secret_wipe(struct phial_secret *secret);

/* The first byte; valid until the secret is freed; capacity bytes may be written. */
PHIAL_API uint8_t *phial_secret_bytes(struct phial_secret *secret);
PHIAL_API const uint8_t *phial_secret_const_bytes(const struct phial_secret *secret);

/* Bytes in use, and bytes that fit. */
PHIAL_API size_t phial_secret_length(const struct phial_secret *secret);
PHIAL_API size_t phial_secret_capacity(const struct phial_secret *secret);

/*
 * Declare how many bytes are in use. length: at most the capacity (asserted).
 * Bytes between the new and an old, larger length are wiped.
 */
PHIAL_API void phial_secret_set_length(struct phial_secret *secret, size_t length);

/*
 * True if both hold the same bytes. The time taken depends on the lengths only, see
 * sodium_memcmp(3) in libsodium's documentation.
 */
PHIAL_API bool phial_secret_equal(const struct phial_secret *a, const struct phial_secret *b);

/*
 * Append bytes. bytes, length: copied. Returns PHIAL_OK, or PHIAL_TOO_LARGE when
 * they do not fit (nothing is appended then).
 */
PHIAL_API PHIAL_CHECKED enum phial_status phial_secret_append(struct phial_secret *secret,
							      const void *bytes, size_t length,
							      struct phial_error *err);

/*
 * Read a descriptor up to its end by read(2), replacing what was held. fd: stays
 * open. Returns PHIAL_OK; PHIAL_TOO_LARGE when there is more than the capacity
 * (the secret is wiped); PHIAL_SYSTEM when read(2) fails. Blocks as read(2) does.
 */
PHIAL_API PHIAL_CHECKED enum phial_status phial_secret_read_fd(struct phial_secret *secret, int fd,
							       struct phial_error *err);

/*
 * Write all bytes by write(2). fd: stays open. Returns PHIAL_OK, or PHIAL_SYSTEM
 * when write(2) fails or writes nothing. Blocks as write(2) does.
 */
PHIAL_API PHIAL_CHECKED enum phial_status phial_secret_write_fd(const struct phial_secret *secret,
								int fd, struct phial_error *err);

#ifdef __cplusplus
}
#endif
#endif
