/* SPDX-License-Identifier: ISC */
/*
 * Generations of files in a secrets mount: made beside the present one, swapped in by one
 * rename. Knows names, owners and modes, but no secret: the caller writes the values. How old ones
 * end is in generation_wipe.c.
 */
#include "mount/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <phial/sealed.h>
#include <phial/secret.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/parse.h"
#include "mount/generation_internal.h"

#define INSIDE	     PHIAL_GENERATION_INSIDE
#define PRESENT	     PHIAL_GENERATION_PRESENT
#define PRESENT_NEXT "..data_next"
#define COUNTER	     ".generation"
#define LINK_BYTES   (sizeof(PRESENT "/") + PHIAL_NAME_COMPONENT_MAX_BYTES)

/* --- names ------------------------------------------------------------------------------ */

void phial_generation_format_name(uint32_t number, char ret_name[PHIAL_GENERATION_NAME_BYTES])
{
	(void)snprintf(ret_name, PHIAL_GENERATION_NAME_BYTES, "..%u", (unsigned int)number);
}

bool phial_generation_parse_name(const char *name, uint32_t *ret_number)
{
	struct phial_span span = phial_span_of(name);
	uint64_t number;

	if (!phial_span_skip(&span, "..") || !phial_parse_u64(span, 1, UINT32_MAX, &number)) {
		return false;
	}
	*ret_number = (uint32_t)number;
	return true;
}

enum phial_status phial_generation_fail(struct phial_error *err, const char *what, const char *name)
{
	if (errno == ENOSPC) {
		return phial_fail(err, PHIAL_SYSTEM, errno,
				  "secrets mount: %s %s: it has no room for two generations; give "
				  "the workload more \"size\" in policy.json and start the "
				  "container anew",
				  what, name);
	}
	return phial_fail(err, PHIAL_SYSTEM, errno, "secrets mount: %s %s", what, name);
}

enum phial_status phial_generation_check_file(const char *name, struct phial_error *err)
{
	enum phial_status status = phial_name_check(name, err);

	if (status == PHIAL_OK && strchr(name, '/')) {
		return phial_fail(err, PHIAL_BAD_NAME, 0, "\"%s\" is no file name", name);
	}
	return status;
}

DIR *phial_generation_open_names(int dir_fd, const char *name)
{
	int fd = sys_openat2(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, INSIDE);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;

	if (!directory) {
		phial_close_fd(&fd);
	}
	return directory;
}

/* --- which one -------------------------------------------------------------------------- */

enum phial_status phial_generation_find_present(int mount_fd, uint32_t *ret_present,
						struct phial_error *err)
{
	char name[PHIAL_GENERATION_NAME_BYTES] = { 0 };
	uint32_t number = 0;
	ssize_t length = readlinkat(mount_fd, PRESENT, name, sizeof(name) - 1);

	if (length < 0 && errno == ENOENT) {
		*ret_present = 0;
		return PHIAL_OK;
	}
	if (length < 0 && errno != EINVAL) {
		return phial_generation_fail(err, "read", PRESENT);
	}
	bool is_generation = length >= 0 && phial_generation_parse_name(name, &number);
	phial_auto_fd int fd =
		is_generation
			? sys_openat2(mount_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, INSIDE)
			: -1;

	if (fd < 0) {
		return phial_fail(err, PHIAL_TAMPERED, 0,
				  "secrets mount: %s leads to no generation: the container has "
				  "changed it; start the container anew",
				  PRESENT);
	}
	*ret_present = number;
	return PHIAL_OK;
}

enum phial_status phial_generation_next(int mount_fd, uint32_t *ret_present, uint32_t *ret_next,
					struct phial_error *err)
{
	uint32_t present = 0;
	enum phial_status status = phial_generation_find_present(mount_fd, &present, err);

	if (status == PHIAL_OK && present == UINT32_MAX) {
		status = phial_fail(err, PHIAL_TOO_LARGE, 0,
				    "secrets mount: there is no generation after %u; start the "
				    "container anew",
				    (unsigned int)present);
	}
	if (status == PHIAL_OK) {
		status = phial_generation_wipe_old(mount_fd, err);
	}
	if (status == PHIAL_OK) {
		*ret_present = present;
		*ret_next = present == 0 ? PHIAL_GENERATION_FIRST : present + 1;
	}
	return status;
}

enum phial_status phial_generation_open(int mount_fd, uint32_t *ret_present, int *ret_dir_fd,
					struct phial_error *err)
{
	char name[PHIAL_GENERATION_NAME_BYTES];
	uint32_t present = 0;
	enum phial_status status = phial_generation_find_present(mount_fd, &present, err);

	if (status != PHIAL_OK) {
		return status;
	}
	if (present == 0) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0, "secrets mount: it is empty");
	}
	phial_generation_format_name(present, name);
	int fd = sys_openat2(mount_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, INSIDE);

	if (fd < 0) {
		return phial_generation_fail(err, "open", name);
	}
	*ret_present = present;
	*ret_dir_fd = fd;
	return PHIAL_OK;
}

/* --- its files -------------------------------------------------------------------------- */

enum phial_status phial_generation_begin(int mount_fd, uint32_t number, int *ret_dir_fd,
					 struct phial_error *err)
{
	char name[PHIAL_GENERATION_NAME_BYTES];

	phial_generation_format_name(number, name);
	if (mkdirat(mount_fd, name, 0755) != 0) {
		return phial_generation_fail(err, "make", name);
	}
	phial_auto_fd int fd =
		sys_openat2(mount_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, INSIDE);

	/* Again, whatever the umask took away: containers' users must get through. */
	if (fd < 0 || fchmod(fd, 0755) != 0) {
		return phial_generation_fail(err, "open", name);
	}
	*ret_dir_fd = phial_take_fd(&fd);
	return PHIAL_OK;
}

static int create_file(int dir_fd, const char *name)
{
	return sys_openat2(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600,
			   INSIDE);
}

enum phial_status phial_generation_add(int dir_fd, const char *name, uint32_t mode, uint32_t uid,
				       uint32_t gid, int *ret_fd, struct phial_error *err)
{
	enum phial_status status = phial_generation_check_file(name, err);

	if (status != PHIAL_OK) {
		return status;
	}
	phial_auto_fd int fd = create_file(dir_fd, name);

	if (fd < 0) {
		return phial_generation_fail(err, "make", name);
	}
	/* The mode first: afterwards the file is somebody else's. */
	if (fchmod(fd, mode & 0777) != 0 || fchown(fd, uid, gid) != 0) {
		return phial_generation_fail(err, "give away", name);
	}
	*ret_fd = phial_take_fd(&fd);
	return PHIAL_OK;
}

/*
 * Open a file of the present generation to copy it. A reader's close would be IN_CLOSE_NOWRITE to
 * an inotify watch; of a descriptor that can write it is another event.
 */
static enum phial_status open_carried(int mount_fd, uint32_t present, const char *name, int *ret_fd,
				      struct phial_error *err)
{
	char generation[PHIAL_GENERATION_NAME_BYTES];
	struct stat found;

	phial_generation_format_name(present, generation);
	phial_auto_fd int dir_fd =
		sys_openat2(mount_fd, generation, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, INSIDE);

	if (dir_fd < 0) {
		return phial_generation_fail(err, "open", generation);
	}
	phial_auto_fd int fd =
		sys_openat2(dir_fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0, INSIDE);

	if (fd < 0 && errno == ENOENT) {
		return phial_fail(err, PHIAL_NOT_FOUND, 0, "secrets mount: %s is not in %s", name,
				  generation);
	}
	if ((fd < 0 && (errno == ELOOP || errno == EISDIR || errno == ENXIO)) ||
	    (fd >= 0 && fstat(fd, &found) == 0 && !S_ISREG(found.st_mode))) {
		return phial_fail(err, PHIAL_TAMPERED, 0,
				  "secrets mount: %s is no file any more: the container has "
				  "changed it; start the container anew",
				  name);
	}
	if (fd < 0) {
		return phial_generation_fail(err, "open", name);
	}
	*ret_fd = phial_take_fd(&fd);
	return PHIAL_OK;
}

/* Bytes from one file of memory to another: nothing of them comes up here. */
static enum phial_status copy(int from_fd, int to_fd, off_t left, const char *name,
			      struct phial_error *err)
{
	while (left > 0) {
		ssize_t done = sendfile(to_fd, from_fd, NULL, (size_t)left);

		if (done < 0) {
			return phial_generation_fail(err, "copy", name);
		}
		if (done == 0) {
			return phial_fail(err, PHIAL_TAMPERED, 0,
					  "secrets mount: %s became shorter while it was copied",
					  name);
		}
		left -= done;
	}
	return PHIAL_OK;
}

enum phial_status phial_generation_carry(int mount_fd, uint32_t present, const char *name,
					 int dir_fd, struct phial_error *err)
{
	struct stat found;
	phial_auto_fd int from_fd = -1;
	phial_auto_fd int to_fd = -1;
	enum phial_status status = phial_generation_check_file(name, err);

	if (status == PHIAL_OK) {
		status = open_carried(mount_fd, present, name, &from_fd, err);
	}
	if (status == PHIAL_OK && fstat(from_fd, &found) != 0) {
		status = phial_generation_fail(err, "look at", name);
	}
	if (status == PHIAL_OK && found.st_size > (off_t)PHIAL_SECRET_MAX_BYTES) {
		status = phial_fail(err, PHIAL_TOO_LARGE, 0,
				    "secrets mount: %s is larger than any secret: the container "
				    "has changed it; start the container anew",
				    name);
	}
	if (status == PHIAL_OK) {
		status = phial_generation_add(dir_fd, name, found.st_mode, found.st_uid,
					      found.st_gid, &to_fd, err);
	}
	return status == PHIAL_OK ? copy(from_fd, to_fd, found.st_size, name, err) : status;
}

enum phial_status phial_generation_give(int mount_fd, uint32_t number, const char *name,
					uint32_t uid, uint32_t gid, struct phial_error *err)
{
	char generation[PHIAL_GENERATION_NAME_BYTES];
	enum phial_status status = phial_generation_check_file(name, err);

	if (status != PHIAL_OK) {
		return status;
	}
	phial_generation_format_name(number, generation);
	phial_auto_fd int fd =
		sys_openat2(mount_fd, generation, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, INSIDE);

	if (fd < 0 || fchownat(fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) != 0) {
		return phial_generation_fail(err, "give away", name);
	}
	return PHIAL_OK;
}

/* --- the swap --------------------------------------------------------------------------- */

/* The number of the generation, in a file of it: it changes with the rest, never apart. */
static enum phial_status write_counter(int mount_fd, uint32_t number, struct phial_error *err)
{
	char generation[PHIAL_GENERATION_NAME_BYTES];
	char text[PHIAL_GENERATION_NAME_BYTES];

	phial_generation_format_name(number, generation);
	int length = snprintf(text, sizeof(text), "%u\n", (unsigned int)number);
	phial_auto_fd int dir_fd =
		sys_openat2(mount_fd, generation, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, INSIDE);
	phial_auto_fd int fd = dir_fd >= 0 ? create_file(dir_fd, COUNTER) : -1;

	if (fd < 0 || fchmod(fd, 0444) != 0 ||
	    phial_write_all(fd, text, (size_t)length, NULL) != PHIAL_OK) {
		return phial_generation_fail(err, "write", COUNTER);
	}
	return PHIAL_OK;
}

/* Make `name -> ..data/name`, or find exactly that there. */
static enum phial_status link_name(int mount_fd, const char *name, struct phial_error *err)
{
	char wanted[LINK_BYTES];
	char found[LINK_BYTES];
	int length = snprintf(wanted, sizeof(wanted), PRESENT "/%s", name);

	if (symlinkat(wanted, mount_fd, name) == 0) {
		return PHIAL_OK;
	}
	if (errno != EEXIST) {
		return phial_generation_fail(err, "link", name);
	}
	if (readlinkat(mount_fd, name, found, sizeof(found)) != length ||
	    memcmp(found, wanted, (size_t)length) != 0) {
		errno = EEXIST;
		return phial_generation_fail(err, "link", name);
	}
	return PHIAL_OK;
}

static enum phial_status link_names(int mount_fd, const char *const *names, size_t count,
				    struct phial_error *err)
{
	enum phial_status status = link_name(mount_fd, COUNTER, err);

	for (size_t i = 0; status == PHIAL_OK && i < count; i++) {
		status = phial_generation_check_file(names[i], err);
		if (status == PHIAL_OK) {
			status = link_name(mount_fd, names[i], err);
		}
	}
	return status;
}

static enum phial_status swap(int mount_fd, const char *generation, struct phial_error *err)
{
	(void)unlinkat(mount_fd, PRESENT_NEXT, 0); /* of a commit that was cut off */
	if (symlinkat(generation, mount_fd, PRESENT_NEXT) != 0 ||
	    renameat(mount_fd, PRESENT_NEXT, mount_fd, PRESENT) != 0) {
		return phial_generation_fail(err, "swap", PRESENT);
	}
	return PHIAL_OK;
}

static bool is_listed(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(name, names[i]) == 0) {
			return true;
		}
	}
	return false;
}

/* Names of the last generation that the new one does not have any more: they lead nowhere. */
static void unlink_stale(int mount_fd, const char *const *names, size_t count)
{
	DIR *directory = phial_generation_open_names(mount_fd, ".");
	const struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		if (entry->d_name[0] != '.' && !is_listed(entry->d_name, names, count)) {
			(void)unlinkat(mount_fd, entry->d_name, 0);
		}
	}
	if (directory) {
		closedir(directory);
	}
}

/* Tell those who watch a file of the old generation, and not the directory, that it is old. */
static void touch_old(int mount_fd, uint32_t old)
{
	char generation[PHIAL_GENERATION_NAME_BYTES];
	const struct dirent *entry;

	phial_generation_format_name(old, generation);
	DIR *directory = phial_generation_open_names(mount_fd, generation);

	while (directory && (entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			(void)utimensat(dirfd(directory), entry->d_name, NULL, AT_SYMLINK_NOFOLLOW);
		}
	}
	if (directory) {
		closedir(directory);
	}
}

enum phial_status phial_generation_commit(int mount_fd, uint32_t number, const char *const *names,
					  size_t count, struct phial_error *err)
{
	char generation[PHIAL_GENERATION_NAME_BYTES];
	uint32_t old = 0;
	enum phial_status status = phial_generation_find_present(mount_fd, &old, err);

	phial_generation_format_name(number, generation);
	if (status == PHIAL_OK) {
		status = link_names(mount_fd, names, count, err);
	}
	if (status == PHIAL_OK) {
		status = write_counter(mount_fd, number, err);
	}
	if (status == PHIAL_OK) {
		status = swap(mount_fd, generation, err);
	}
	if (status == PHIAL_OK) {
		unlink_stale(mount_fd, names, count);
	}
	if (status == PHIAL_OK && old != 0) {
		touch_old(mount_fd, old);
	}
	return status;
}
