/* SPDX-License-Identifier: ISC */
/*
 * statx(2) by number, because musl's struct statx knows no mount ids, and the one question asked
 * of mountinfo. Decides nothing: what a place means is attach.c's.
 */
#include "mount/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/parse.h"
#include "mount/sys.h"

bool phial_place_look(int dir_fd, const char *path, struct phial_place *ret_place)
{
	struct statx found;
	int flags = path[0] == '\0' ? AT_EMPTY_PATH : 0;

	if (syscall(SYS_statx, dir_fd, path, flags, STATX_TYPE | STATX_INO | STATX_MNT_ID,
		    &found) != 0) {
		return false;
	}
	if (!(found.stx_mask & STATX_MNT_ID) ||
	    !(found.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT)) {
		errno = ENOSYS;
		return false;
	}
	*ret_place = (struct phial_place){
		.device = makedev(found.stx_dev_major, found.stx_dev_minor),
		.inode = found.stx_ino,
		.mount_id = found.stx_mnt_id,
		.is_mount_root = (found.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0,
		.is_directory = (found.stx_mode & S_IFMT) == S_IFDIR,
	};
	return true;
}

bool phial_place_is_same_file(const struct phial_place *a, const struct phial_place *b)
{
	return a->device == b->device && a->inode == b->inode;
}

/* Skip to the optional fields, which are the seventh and on, up to a single "-". */
static bool is_line_shared(struct phial_span line)
{
	struct phial_span word;

	for (int i = 0; i < 5; i++) {
		if (!phial_next_word(&line, &word)) {
			return true; /* cut short: the careful answer */
		}
	}
	while (phial_next_word(&line, &word)) {
		if (phial_span_is(word, "-")) {
			return false;
		}
		if (phial_span_skip(&word, "shared:")) {
			return true;
		}
	}
	return true;
}

bool phial_mountinfo_find(const char *text, size_t length, uint64_t mount_id, bool *ret_is_shared)
{
	struct phial_span rest = { text, length };
	struct phial_span line;

	while (phial_next_line(&rest, &line, NULL)) {
		struct phial_span word;
		uint64_t id;

		if (phial_next_word(&line, &word) && phial_parse_u64(word, 0, UINT64_MAX, &id) &&
		    id == mount_id) {
			*ret_is_shared = is_line_shared(line);
			return true;
		}
	}
	return false;
}

/* "0:35" */
static bool parse_device(struct phial_span word, uint64_t *ret_device)
{
	const char *colon = word.length > 0 ? memchr(word.text, ':', word.length) : NULL;
	uint64_t major_number;
	uint64_t minor_number;

	if (!colon) {
		return false;
	}
	const struct phial_span first = { word.text, (size_t)(colon - word.text) };
	const struct phial_span second = { colon + 1, word.length - first.length - 1 };

	if (!phial_parse_u64(first, 0, UINT32_MAX, &major_number) ||
	    !phial_parse_u64(second, 0, UINT32_MAX, &minor_number)) {
		return false;
	}
	*ret_device = makedev((unsigned int)major_number, (unsigned int)minor_number);
	return true;
}

bool phial_mountinfo_has_device(const char *text, size_t length, uint64_t device)
{
	struct phial_span rest = { text, length };
	struct phial_span line;

	while (phial_next_line(&rest, &line, NULL)) {
		struct phial_span word = { NULL, 0 };
		uint64_t found;

		for (int i = 0; i < 3; i++) {
			if (!phial_next_word(&line, &word)) {
				return true; /* cut short: the careful answer */
			}
		}
		if (!parse_device(word, &found) || found == device) {
			return true;
		}
	}
	return false;
}
