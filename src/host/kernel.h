/* SPDX-License-Identifier: ISC */
/* What this kernel can do and how it is set, each tried where trying changes nothing. */
#ifndef PHIAL_HOST_KERNEL_H
#define PHIAL_HOST_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include <phial/error.h>

#include "base/parse.h"

struct phial_kernel {
	char release[65];
	unsigned int major;
	unsigned int minor;
	bool has_pidfd;	       /* pidfd_open(2), Linux 5.3 */
	bool has_peer_pidfd;   /* SO_PEERPIDFD, 6.5 */
	bool has_memfd_secret; /* 5.14; may be off at boot until 6.5 */
};

/* Try them. Needs no privilege. See pidfd_open(2), memfd_secret(2), unix(7), uname(2). */
void phial_kernel_try(struct phial_kernel *ret_kernel);

/* How memory that is swapped out to a device can be had from it. */
enum phial_swap_kind {
	PHIAL_SWAP_PLAIN = 0, /* by reading the disk */
	PHIAL_SWAP_ENCRYPTED, /* dm-crypt below it */
	PHIAL_SWAP_MEMORY,    /* zram: no disk */
};

/*
 * Take the next device off the text of /proc/swaps. ret_path: its path, cut to fit. Returns false
 * at the end. Pure. See proc(5).
 */
bool phial_swaps_next(struct phial_span *rest, char ret_path[256]);

/* Of which kind is a swap device? What cannot be told is plain. Reads /sys. */
enum phial_swap_kind phial_swap_kind(const char *path);

/* One line of /proc/key-users: what a user has of the kernel's key quota. See keyrings(7). */
struct phial_key_user {
	uint32_t uid;
	uint64_t keys;
	uint64_t keys_max;
	uint64_t bytes;
	uint64_t bytes_max;
};

/* Take the next user off the text of /proc/key-users. Odd lines are skipped; false at the end. Pure. */
bool phial_key_users_next(struct phial_span *rest, struct phial_key_user *ret_user);

/* How much of the tighter of its two limits a user has used, in percent: 0 to 100. */
unsigned int phial_key_user_percent(const struct phial_key_user *user);

#endif
