/* SPDX-License-Identifier: ISC */
/* Where a descriptor or path lies: which file, on which mount. Inside the mount room only. */
#ifndef PHIAL_MOUNT_PLACE_H
#define PHIAL_MOUNT_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

struct phial_place {
	uint64_t device; /* as st_dev */
	uint64_t inode;
	uint64_t mount_id; /* as in mountinfo */
	bool is_mount_root;
	bool is_directory;
};

/*
 * Look at path below dir_fd, following links; path "" is dir_fd itself. Returns true, or false
 * with errno. Needs Linux 5.8. See statx(2).
 */
bool phial_place_look(int dir_fd, const char *path, struct phial_place *ret_place);

/* True if both are the same file, on whatever mounts. */
bool phial_place_is_same_file(const struct phial_place *a, const struct phial_place *b);

/*
 * Find a mount in the text of a mountinfo file and tell whether it is shared: whether mounts
 * made on it appear elsewhere. ret_is_shared: set on success. Returns false if it is not listed.
 * Pure. See proc(5), mount_namespaces(7).
 */
bool phial_mountinfo_find(const char *text, size_t length, uint64_t mount_id, bool *ret_is_shared);

/*
 * True if a file system is mounted anywhere in such a text; also if the text ends within a line. device:
 * as st_dev. Not for file systems whose files have other numbers than their mounts (btrfs). Pure.
 */
bool phial_mountinfo_has_device(const char *text, size_t length, uint64_t device);

#endif
