/* SPDX-License-Identifier: ISC */
/*
 * The kernel keyring: an anonymous session ring whose keys only its possessors can see. The
 * only room that includes keyutils.h. Never @u, @us or persistent rings: a container's root can
 * link those and then possesses every key in them. See keyrings(7), session-keyring(7),
 * keyctl(2).
 */
#ifndef PHIAL_KEYRING_KEYRING_H
#define PHIAL_KEYRING_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>
#include <phial/sealed.h>

/* Payload of one `user` key: 32767 bytes, of which the first hold struct phial_key_header. */
#define PHIAL_KEY_PAYLOAD_MAX  ((size_t)32767)
#define PHIAL_KEY_HEADER_BYTES ((size_t)304)
#define PHIAL_KEY_PART_MAX     (PHIAL_KEY_PAYLOAD_MAX - PHIAL_KEY_HEADER_BYTES)

enum phial_key_kind {
	PHIAL_KEY_IDENTITY = 1, /* the host's age key file: the next worker needs it again */
	PHIAL_KEY_SECRET = 2,
	PHIAL_KEY_OVERRIDE = 3, /* a value that an admin gave by hand, until a deadline */
};

/*
 * What a key says about itself, so that a new worker can rebuild its index from the ring.
 * A secret over PHIAL_KEY_PART_MAX is split over several keys: part 0 to part_count - 1.
 * Stored as it is (same machine, same program); unused bytes are zero.
 */
struct phial_key_header {
	uint32_t magic; /* PHIAL_KEY_MAGIC */
	uint32_t kind;
	uint32_t part;
	uint32_t part_count;
	uint64_t version;
	int64_t not_after_s;  /* seconds since 1970, 0: never */
	int64_t created_s;    /* when it was sealed */
	int64_t until_ms;     /* of an override: its deadline since boot, CLOCK_BOOTTIME */
	uint32_t total_bytes; /* of the whole value */
	uint32_t mode;
	uint32_t owner_uid;
	uint32_t owner_gid;
	uint8_t digest[32]; /* BLAKE2b-256 of the sealed file it came from */
	char name[PHIAL_NAME_MAX_BYTES + 1];
	uint8_t unused[7];
};

#define PHIAL_KEY_MAGIC UINT32_C(0x4c494850) /* "PHIL" */

_Static_assert(sizeof(struct phial_key_header) == PHIAL_KEY_HEADER_BYTES, "key header size");

/*
 * Join a new anonymous session ring, and set its mask so that only possessors see, read,
 * search and write it, and nobody can loosen that. Sockets that others connect to must be
 * listening before (a listening socket's credentials pin the ring). ret_ring: its serial.
 * PHIAL_OK or PHIAL_UNSUPPORTED / PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_keyring_join(int32_t *ret_ring, struct phial_error *err);

/*
 * Prove that the ring protects: a child in another session, same uid, must get EACCES on a key
 * of the ring; a key with a timeout of one second must expire. Returns PHIAL_OK, or
 * PHIAL_UNSUPPORTED, on which the agent refuses to start. Forks, takes about a second.
 */
PHIAL_CHECKED enum phial_status phial_keyring_self_test(int32_t ring, struct phial_error *err);

/*
 * Add a key: random description, then timeout, then mask. payload: header and part, 304 to 32767
 * bytes. timeout_s: wall-clock backstop in seconds, 0: none. ret_serial: the key. Returns PHIAL_OK;
 * PHIAL_TOO_LARGE when the quota is exhausted (the text names the sysctl); PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_keyring_add(int32_t ring, const void *payload, size_t length,
						  uint32_t timeout_s, int32_t *ret_serial,
						  struct phial_error *err);

/*
 * Read a key's payload. ret_length: bytes of it (more than capacity means it did not fit).
 * PHIAL_OK; PHIAL_EXPIRED; PHIAL_NOT_FOUND (revoked, invalidated, unlinked); PHIAL_DENIED when
 * the caller does not possess it: another ring's, or dropped just now (the kernel answers
 * EACCES until it has collected the key, then ENOKEY).
 */
PHIAL_CHECKED enum phial_status phial_keyring_read(int32_t serial, void *payload, size_t capacity,
						   size_t *ret_length, struct phial_error *err);

/* Remove a key at once: invalidate, or unlink if it has expired. Missing is fine. */
PHIAL_CHECKED enum phial_status phial_keyring_drop(int32_t ring, int32_t serial,
						   struct phial_error *err);

/* The serials in the ring. ret_serials: freed by the caller. */
PHIAL_CHECKED enum phial_status phial_keyring_list(int32_t ring, int32_t **ret_serials,
						   size_t *ret_count, struct phial_error *err);

/* Empty the ring: what a clean stop does. */
PHIAL_CHECKED enum phial_status phial_keyring_clear(int32_t ring, struct phial_error *err);

/* Leave the ring by joining another new one: what a child does that must not possess the keys. */
PHIAL_CHECKED enum phial_status phial_keyring_leave(struct phial_error *err);

/*
 * Key quota of the calling uid (in a user namespace: of the uid that it is outside), from
 * /proc/key-users, or, when it has no key yet, from the kernel.keys sysctls.
 */
struct phial_key_quota {
	uint64_t keys_used;
	uint64_t keys_max;
	uint64_t bytes_used;
	uint64_t bytes_max;
};
PHIAL_CHECKED enum phial_status phial_keyring_quota(struct phial_key_quota *ret_quota,
						    struct phial_error *err);

#endif
