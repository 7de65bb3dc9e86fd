/* SPDX-License-Identifier: ISC */
/*
 * Every process: environment, command line, mount table, names, and the pages it has in memory
 * or in swap. Does not look at files; a page of a file that nobody wrote to is the file's.
 */
#include "sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Larger mappings are reservations (the shadow of a sanitizer): counted, not read. */
#define MAPPING_MAX_BYTES ((uint64_t)64 << 30)
#define PAGE_IN_MEMORY	  ((uint64_t)3 << 62) /* pagemap: present or in swap */

struct mapping {
	uint64_t start;
	uint64_t end;
	char where[PATH_MAX + 128];
};

/* Search pages first to last (numbers) of a process, which lie in one piece. */
static void search_pages(struct sweep *sweep, int memory_fd, uint64_t first, uint64_t last,
			 struct stream *stream)
{
	uint64_t position = first * PAGE_BYTES;
	uint64_t end = (last + 1) * PAGE_BYTES;

	while (position < end) {
		size_t length;
		unsigned char *space = stream_space(stream, &length);

		if (length > end - position) {
			length = (size_t)(end - position);
		}
		ssize_t got = pread(memory_fd, space, length, (off_t)position);

		if (got <= 0) { /* unmapped meanwhile, or memfd_secret */
			stream->kept_bytes = 0;
			position += PAGE_BYTES;
			continue;
		}
		sweep->memory_bytes += (uint64_t)got;
		stream_search(stream, (size_t)got);
		position += (uint64_t)got;
	}
}

/*
 * Search what is in memory or swap of one mapping. Absent pages are left alone: reading them
 * would make them, and what is only in the page cache is a file's, searched there.
 */
static void search_mapping(struct sweep *sweep, int memory_fd, int pagemap_fd,
			   const struct mapping *mapping)
{
	struct stream stream = { .sweep = sweep, .where = mapping->where };
	uint64_t page = mapping->start / PAGE_BYTES;
	uint64_t end = mapping->end / PAGE_BYTES;
	uint64_t entries[512];

	while (page < end) {
		size_t count = end - page < 512 ? (size_t)(end - page) : 512;
		ssize_t got = pread(pagemap_fd, entries, count * 8, (off_t)(page * 8));

		if (got < 8) {
			return;
		}
		count = (size_t)got / 8;
		for (size_t i = 0; i < count; i++) {
			size_t run = i;

			while (run < count && (entries[run] & PAGE_IN_MEMORY)) {
				run++;
			}
			if (run == i) {
				stream.kept_bytes = 0;
				continue;
			}
			search_pages(sweep, memory_fd, page + i, page + run - 1, &stream);
			i = run - 1;
		}
		page += count;
	}
}

/* One line of /proc/PID/maps. Returns false for a mapping that is not to be read. */
static bool parse_mapping(const char *line, const char *process, struct mapping *ret_mapping)
{
	char access[5] = "";
	int name_at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*s %*u %n", &ret_mapping->start,
		   &ret_mapping->end, access, &name_at) < 3) {
		return false;
	}
	const char *name = line + name_at;

	snprintf(ret_mapping->where, sizeof(ret_mapping->where), "memory of %s, mapping %s",
		 process, *name ? name : "(anonymous)");
	/* Devices may answer a read with a hang; shared memory is a file of /dev/shm. */
	return strncmp(name, "/dev/", 5) != 0 || strncmp(name, "/dev/zero", 9) == 0;
}

static void search_memory(struct sweep *sweep, const char *folder, const char *process)
{
	char path[64];
	char line[PATH_MAX + 256];
	struct mapping mapping;

	snprintf(path, sizeof(path), "%s/maps", folder);
	FILE *maps = fopen(path, "re");

	snprintf(path, sizeof(path), "%s/mem", folder);
	int memory_fd = open(path, O_RDONLY | O_CLOEXEC);
	int saved = errno;

	snprintf(path, sizeof(path), "%s/pagemap", folder);
	int pagemap_fd = open(path, O_RDONLY | O_CLOEXEC);

	if (!maps || memory_fd < 0 || pagemap_fd < 0) {
		if (saved != ENOENT && saved != ESRCH && access(folder, F_OK) == 0) {
			complain(sweep, "memory of %s: %s", process, strerror(saved));
		}
	}
	while (maps && memory_fd >= 0 && pagemap_fd >= 0 && fgets(line, sizeof(line), maps)) {
		line[strcspn(line, "\n")] = '\0';
		if (!parse_mapping(line, process, &mapping)) {
			continue;
		}
		if (mapping.end - mapping.start > MAPPING_MAX_BYTES) {
			sweep->reservations++;
			continue;
		}
		search_mapping(sweep, memory_fd, pagemap_fd, &mapping);
	}
	if (maps) {
		fclose(maps);
	}
	close(memory_fd);
	close(pagemap_fd);
}

static bool is_listed(const struct pid_list *list, pid_t pid)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->pids[i] == pid) {
			return true;
		}
	}
	return false;
}

static void search_process(struct sweep *sweep, pid_t pid)
{
	static const char *const files[] = { "mountinfo", "environ", "cmdline", "maps", "comm" };
	char folder[32];
	char name[64] = "?";
	char process[128];
	char path[64];
	char where[192];

	snprintf(folder, sizeof(folder), "/proc/%d", pid);
	snprintf(path, sizeof(path), "%s/comm", folder);
	FILE *comm = fopen(path, "re");

	if (!comm) {
		return;
	}
	if (fgets(name, sizeof(name), comm)) {
		name[strcspn(name, "\n")] = '\0';
	}
	fclose(comm);
	if (find_canary(sweep, name, strlen(name)) < sweep->canary_count) {
		memcpy(name, "?", 2);
	}
	snprintf(process, sizeof(process), "%d (%s)", pid, name);
	sweep->processes++;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		snprintf(where, sizeof(where), "%s of %s", files[i], process);
		search_proc_file(sweep, path, where);
	}
	if (!sweep->no_memory && !is_listed(&sweep->holders, pid)) {
		search_memory(sweep, folder, process);
	}
}

void search_processes(struct sweep *sweep)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (!proc) {
		complain(sweep, "/proc: %s", strerror(errno));
		return;
	}
	/* Everyone else in this mount namespace may be an ancestor. */
	search_proc_file(sweep, "/proc/self/mountinfo", "mountinfo of leak-sweep itself");
	while ((entry = readdir(proc))) {
		long pid = strtol(entry->d_name, NULL, 10);

		if (pid > 0 && pid != getpid() && !is_listed(&sweep->ancestors, (pid_t)pid)) {
			search_process(sweep, (pid_t)pid);
		}
	}
	closedir(proc);
}
