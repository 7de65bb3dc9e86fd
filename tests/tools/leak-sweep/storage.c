/* SPDX-License-Identifier: ISC */
/*
 * Where bytes stay: keys, swap, files and their names. Does not follow symlinks, does not
 * enter proc, sysfs and their like, and reads only regular files.
 */
#include "sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEPTH_MAX   64
#define KEYCTL_READ 11

void search_keys(struct sweep *sweep)
{
	FILE *keys = fopen("/proc/keys", "re");
	char line[1024];
	char where[64];

	search_proc_file(sweep, "/proc/keys", "/proc/keys");
	while (keys && fgets(line, sizeof(line), keys)) {
		unsigned long serial = strtoul(line, NULL, 16);
		long got = syscall(SYS_keyctl, KEYCTL_READ, serial, sweep->buffer, BUFFER_BYTES);

		if (got > 0) {
			snprintf(where, sizeof(where), "the payload of key %08lx", serial);
			search_bytes(sweep, sweep->buffer, (size_t)got, where);
		}
	}
	if (keys) {
		fclose(keys);
	}
}

void search_swap(struct sweep *sweep)
{
	FILE *swaps = fopen("/proc/swaps", "re");
	char line[PATH_MAX + 128];
	char path[PATH_MAX];
	char where[PATH_MAX + 32];

	while (swaps && fgets(line, sizeof(line), swaps)) {
		if (sscanf(line, "%4095s", path) != 1 || path[0] != '/') {
			continue;
		}
		/* Past the page cache: swapping does not go through it. */
		int fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);

		snprintf(where, sizeof(where), "swap %s", path);
		struct stream stream = { .sweep = sweep, .where = where };
		ssize_t got = -1;

		/* Direct reads need an aligned buffer: nothing is kept, pages are searched whole. */
		while (fd >= 0 && (got = read(fd, sweep->buffer, BUFFER_BYTES)) > 0) {
			stream.kept_bytes = 0;
			stream_search(&stream, (size_t)got);
		}
		if (got < 0) {
			complain(sweep, "swap %s: %s", path, strerror(errno));
		}
		close(fd);
	}
	if (swaps) {
		fclose(swaps);
	}
}

/* File systems that hold no stored bytes, and whose files may hang or never end. */
static bool is_virtual(int fd)
{
	static const unsigned long magics[] = {
		0x9fa0,	    /* proc */
		0x62656572, /* sysfs */
		0x27e0eb,   /* cgroup */
		0x63677270, /* cgroup2 */
		0x64626720, /* debugfs */
		0x74726163, /* tracefs */
		0x1cd1,	    /* devpts */
		0x19800202, /* mqueue */
		0x6e736673, /* nsfs: the network namespaces of engines */
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0) {
		return true;
	}
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
		if ((unsigned long)fs.f_type == magics[i]) {
			return true;
		}
	}
	return false;
}

static void search_tree(struct sweep *sweep, int parent_fd, const char *name, const char *path,
			unsigned int depth);

static void search_folder(struct sweep *sweep, int folder_fd, const char *path, unsigned int depth)
{
	DIR *folder = fdopendir(folder_fd);
	struct dirent *entry;
	char child[PATH_MAX];

	if (!folder) {
		close(folder_fd);
		return;
	}
	while (depth < DEPTH_MAX && (entry = readdir(folder))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
			continue;
		}
		if (find_canary(sweep, entry->d_name, strlen(entry->d_name)) <
		    sweep->canary_count) {
			snprintf(child, sizeof(child), "a name in %.4000s", path);
			search_bytes(sweep, entry->d_name, strlen(entry->d_name), child);
			continue; /* its path cannot be printed */
		}
		snprintf(child, sizeof(child), "%.3800s/%s", strcmp(path, "/") ? path : "",
			 entry->d_name);
		search_tree(sweep, dirfd(folder), entry->d_name, child, depth + 1);
	}
	closedir(folder);
}

/* A file, a folder and all below it, or a symlink's target text. */
static void search_tree(struct sweep *sweep, int parent_fd, const char *name, const char *path,
			unsigned int depth)
{
	struct stat st;
	char target[PATH_MAX];

	if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		return; /* gone meanwhile */
	}
	if (S_ISLNK(st.st_mode)) {
		ssize_t length = readlinkat(parent_fd, name, target, sizeof(target));

		search_bytes(sweep, target, length > 0 ? (size_t)length : 0, path);
		return;
	}
	if (!S_ISDIR(st.st_mode) && (!S_ISREG(st.st_mode) || st.st_ctime < sweep->since_s)) {
		return;
	}
	int fd = openat(parent_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	if (fd < 0) {
		if (errno != ENOENT) {
			complain(sweep, "%s: %s", path, strerror(errno));
		}
		return;
	}
	if (is_virtual(fd)) {
		close(fd);
	} else if (S_ISDIR(st.st_mode)) {
		search_folder(sweep, fd, path, depth);
	} else {
		sweep->files++;
		if (!search_fd(sweep, fd, path, 0)) {
			complain(sweep, "%s: %s", path, strerror(errno));
		}
		close(fd);
	}
}

/* The folder that core_pattern names, if it names one. */
static void search_core_folder(struct sweep *sweep)
{
	char pattern[PATH_MAX] = "";
	FILE *file = fopen("/proc/sys/kernel/core_pattern", "re");

	if (file && fgets(pattern, sizeof(pattern), file) && pattern[0] == '/') {
		char *slash = strrchr(pattern, '/');

		*slash = '\0';
		search_tree(sweep, AT_FDCWD, pattern[0] ? pattern : "/", pattern, DEPTH_MAX - 1);
	}
	if (file) {
		fclose(file);
	}
}

void search_usual_folders(struct sweep *sweep)
{
	static const char *const usual[] = { "/tmp", "/var", "/run", "/dev/shm" };

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		search_tree(sweep, AT_FDCWD, usual[i], usual[i], 0);
	}
	search_core_folder(sweep);
}

void search_path(struct sweep *sweep, const char *path)
{
	if (access(path, F_OK) < 0) {
		complain(sweep, "%s: %s", path, strerror(errno));
	}
	search_tree(sweep, AT_FDCWD, path, path, 0);
}
