/* SPDX-License-Identifier: ISC */
/*
 * C-04, from inside a container: tries to change the secrets mount.
 *
 *	probe_write [--remount] DIRECTORY
 *
 * With --remount it first makes the mount writable for itself, which a container with
 * CAP_SYS_ADMIN in its own user namespace can. The directories are the agent's then still; the
 * files are the container's own, so writing to those is left out. Prints TAP; exit 0 when nothing
 * could be changed. Static: images have no library.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static int count;
static int failures;

static void refused(int answer, const char *what, const char *on)
{
	int reason = errno;

	count++;
	failures += answer >= 0;
	printf("%sok %d - C-04 %s %s: %s\n", answer >= 0 ? "not " : "", count, what, on,
	       answer >= 0 ? "worked" : strerror(reason));
	if (answer >= 0) {
		(void)close(answer > 2 ? answer : -1);
	}
}

static void try_content(int dir, const char *name)
{
	refused(openat(dir, name, O_WRONLY | O_CLOEXEC), "open for writing", name);
	refused(openat(dir, name, O_WRONLY | O_TRUNC | O_CLOEXEC), "truncate", name);
	refused(fchmodat(dir, name, 0666, 0), "chmod", name);
	refused(fchownat(dir, name, geteuid(), getegid(), 0), "chown", name);
}

static void try_name(int dir, const char *name)
{
	refused(renameat(dir, name, dir, "renamed"), "rename", name);
	refused(unlinkat(dir, name, 0), "unlink", name);
}

static void try_directory(int dir)
{
	refused(openat(dir, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), "create", "new");
	refused(openat(dir, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600), "O_TMPFILE in", ".");
	refused(mkdirat(dir, "new", 0700), "mkdir", "new");
	refused(symlinkat("/etc", dir, "new"), "symlink", "new");
	refused(mknodat(dir, "new", S_IFIFO | 0600, 0), "mkfifo", "new");
	refused(fchmodat(dir, ".", 0777, 0), "chmod", ".");
	refused(fchownat(dir, ".", geteuid(), getegid(), 0), "chown", ".");
}

int main(int argc, char **argv)
{
	const char *path = argv[argc - 1];
	const struct dirent *entry;

	if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[1], "--remount") != 0)) {
		fprintf(stderr, "usage: probe_write [--remount] DIRECTORY\n");
		return 2;
	}
	if (argc == 3) {
		int failed = mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL);

		printf("# remount for writing: %s\n", failed ? strerror(errno) : "worked");
	}
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *names = dir >= 0 ? fdopendir(dir) : NULL;

	if (!names) {
		printf("Bail out! %s: %s\n", path, strerror(errno));
		return 1;
	}
	try_directory(dir);
	while ((entry = readdir(names))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			if (argc == 2) {
				try_content(dir, entry->d_name);
			}
			try_name(dir, entry->d_name);
		}
	}
	printf("1..%d\n", count);
	return failures != 0;
}
