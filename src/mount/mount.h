/* SPDX-License-Identifier: ISC */
/*
 * The secrets mount: one superblock per container, made in the host's user namespace, one rw
 * clone for the agent and one read-only clone for the container. Only this room mounts or enters
 * a namespace. Written for glibc and musl: phial-hook links it.
 * See fsopen(2), fsmount(2), open_tree(2), move_mount(2), mount_setattr(2), openat2(2), setns(2).
 */
#ifndef PHIAL_MOUNT_MOUNT_H
#define PHIAL_MOUNT_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <phial/error.h>

#include "base/cleanup.h"

enum phial_mount_kind {
	PHIAL_MOUNT_TMPFS_NOSWAP = 1, /* Linux 6.4 and later */
	PHIAL_MOUNT_RAMFS,	      /* never swapped, but ignores size and inode limits */
};

struct phial_mount_options {
	uint64_t size_bytes;
	uint32_t inodes;
	const char *mount_label; /* SELinux context, checked by the caller; NULL or "": none */
};

/* The name of a kind for people: "tmpfs (noswap)", "ramfs"; else "unknown". */
const char *phial_mount_kind_text(enum phial_mount_kind kind);

/*
 * Which kind the next secrets mount will be: tmpfs if the kernel knows noswap, else ramfs. Nothing
 * is mounted. Needs CAP_SYS_ADMIN.
 */
enum phial_mount_kind phial_mount_best_kind(void);

/*
 * Make a file system of the first kind that the kernel gives, and nothing else: ret_fd is an O_PATH
 * descriptor of its one mount, read-write, attached nowhere, nosuid, nodev, noexec, close-on-exec,
 * closed by the caller. Root directory: 0755, the caller's. Needs CAP_SYS_ADMIN in the user
 * namespace of the caller's mount namespace. Returns PHIAL_OK; PHIAL_UNSUPPORTED when only
 * swappable memory is to be had; PHIAL_SYSTEM. See fsmount(2).
 */
PHIAL_CHECKED enum phial_status phial_mount_make(const struct phial_mount_options *options,
						 int *ret_fd, enum phial_mount_kind *ret_kind,
						 struct phial_error *err);

/*
 * Make the mount. Moves the calling process into a private mount namespace of its own and takes
 * two clones there (one way on all kernels since 5.12; a clone's ".." does not lead out).
 * ret_rw_fd, ret_ro_fd: O_PATH descriptors of the two clones, detached, nosuid, nodev, noexec,
 * private, close-on-exec. Root directory: 0755, the caller's. Needs CAP_SYS_ADMIN, and a root
 * directory that is a mount point. Returns PHIAL_OK; PHIAL_UNSUPPORTED when only swappable memory
 * is to be had; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_mount_create(const struct phial_mount_options *options,
						   int *ret_rw_fd, int *ret_ro_fd,
						   enum phial_mount_kind *ret_kind,
						   struct phial_error *err);

/* A container's first process, and what must be opened of it before its namespace is entered. */
struct phial_target {
	pid_t pid;
	int pidfd;
	int process_fd;	       /* /proc/PID, O_PATH */
	int own_namespaces_fd; /* /proc/self/ns, O_PATH: after setns(2) /proc is the container's */
	int namespace_fd;      /* /proc/PID/ns/mnt */
	int mountinfo_fd;      /* /proc/PID/mountinfo */
	int own_mountinfo_fd;  /* the caller's, of before it entered anything */
	uint64_t namespace_inode;
	uint64_t start_time; /* field 22 of /proc/PID/stat, clock ticks since boot */
	bool is_pivoted;     /* its root is no longer the runtime's */
};

#define phial_auto_target phial_auto(phial_target_close)
/* A target that holds nothing yet, for phial_target_close(). */
#define PHIAL_TARGET_NONE                                                                   \
	{                                                                                   \
		.pidfd = -1, .process_fd = -1, .own_namespaces_fd = -1, .namespace_fd = -1, \
		.mountinfo_fd = -1, .own_mountinfo_fd = -1                                  \
	}

/*
 * Open a process as a target and check that all that was opened belongs to the same living
 * process, and that its mount namespace is not the caller's. Call before phial_mount_create().
 * pid: over 1, as the caller's /proc counts. ret_target: closed with phial_target_close(). Needs
 * CAP_SYS_PTRACE for a container in a user namespace. Returns PHIAL_OK; PHIAL_GONE; PHIAL_REFUSED
 * for the caller's own namespace, or when /proc is another pid namespace's (a hook at a wrong
 * stage); PHIAL_SYSTEM. See pidfd_open(2), namespaces(7).
 */
PHIAL_CHECKED enum phial_status phial_target_open(pid_t pid, struct phial_target *ret_target,
						  struct phial_error *err);

/*
 * Read a target's "uid_map" or "gid_map" (map) into text, without a NUL; sets *ret_length. The
 * kernel counts its outside by the caller's user namespace, or by that one's parent when the target
 * is in the caller's.
 * Returns PHIAL_OK; PHIAL_TOO_LARGE when it does not fit; PHIAL_GONE; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_target_read_map(const struct phial_target *target,
						      const char *map, char *text,
						      size_t text_bytes, size_t *ret_length,
						      struct phial_error *err);

/*
 * Open only the /proc entry of a process that is known already, for phial_target_read_map(). Needs
 * no privilege. pid, start_time: as phial_target_find_start_time() has them. ret_target: closed
 * with phial_target_close(). Returns PHIAL_OK; PHIAL_GONE when it is not there any more;
 * PHIAL_REFUSED; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_target_open_entry(pid_t pid, uint64_t start_time,
							struct phial_target *ret_target,
							struct phial_error *err);

/*
 * When a process began (clock ticks since boot), which with its number says which process it is.
 * Unlike phial_target_open() it needs no privilege, whoever the process belongs to. pid: as the
 * caller's /proc counts. Returns PHIAL_OK; PHIAL_GONE; PHIAL_SYSTEM; PHIAL_REFUSED when /proc is
 * another pid namespace's. See proc(5), field 22 of stat.
 */
PHIAL_CHECKED enum phial_status phial_target_find_start_time(pid_t pid, uint64_t *ret_start_time,
							     struct phial_error *err);

/* Where a path of a target leads to: which file, on which mount. */
struct phial_target_place {
	uint64_t device; /* as st_dev */
	uint64_t inode;
	uint64_t mount_id; /* as in mountinfo */
	bool is_mount_root;
};

/*
 * Look at a path as the target itself sees it, following no link, without entering its namespace.
 * path: relative to its root. May block where the container has a file system that does not
 * answer: limit the caller's time. Needs CAP_SYS_PTRACE. Returns PHIAL_OK; PHIAL_NOT_FOUND when it
 * is not there or no directory; PHIAL_GONE; PHIAL_SYSTEM. See proc(5) on /proc/PID/root.
 */
PHIAL_CHECKED enum phial_status phial_target_look(const struct phial_target *target,
						  const char *path,
						  struct phial_target_place *ret_place,
						  struct phial_error *err);

/* Close its descriptors. Keeps errno. */
void phial_target_close(struct phial_target *target);

struct phial_attach_options {
	const char *rootfs; /* path on the host, used while the target is not pivoted */
	const char *path;   /* absolute, below the container's root, normalised */
	bool may_over;
	uint64_t grant_device; /* the one mount that may be covered without may_over; 0 0: none */
	uint64_t grant_inode;
};

/*
 * Enter the target's mount namespace and attach a clone at a path below its root file system.
 * Refused: a root that is no mount root or not the target's own (a chroot), a symbolic link in any
 * component, no directory, a directory missing anywhere but on the root mount itself or on a tmpfs
 * that only the container has, a target below a shared mount, another mount or files at the target
 * (but for what wiped secrets leave: an empty read-only memory file system). A missing directory of
 * a root that is mounted read-only is made through a writable clone of that mount. The caller stays
 * in the target's namespace: it must not use paths afterwards. Returns PHIAL_OK; PHIAL_REFUSED with what and why; PHIAL_GONE; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_target_attach(const struct phial_target *target, int mount_fd,
						    const struct phial_attach_options *options,
						    struct phial_error *err);

/*
 * A detached read-only clone of a directory, for a worker that must not leave it: ".." stays
 * inside. path: opened following links. is_read_only: false for the state directory. ret_fd: an
 * O_PATH directory descriptor, close-on-exec: for openat(2) (and "." of it for reading names); it
 * must stay open as long as the clone is used. Mounts below path are not in it. Needs
 * CAP_SYS_ADMIN. PHIAL_OK, PHIAL_NOT_FOUND, PHIAL_SYSTEM. See open_tree(2).
 */
PHIAL_CHECKED enum phial_status phial_mount_clone_directory(const char *path, bool is_read_only,
							    int *ret_fd, struct phial_error *err);

/* Which filesystem a secrets mount is: its own superblock, however it is mounted. */
struct phial_mount_identity {
	uint64_t device; /* st_dev; 0: not known */
	uint64_t fsid;	 /* f_fsid of statfs(2): a random number of tmpfs, 0 of ramfs */
	uint64_t inode;	 /* of its root */
};

/*
 * Find out which one fd, its root directory, is of. Returns PHIAL_OK; PHIAL_REFUSED when it is not
 * a directory in memory (tmpfs or ramfs); PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status
phial_mount_identify(int fd, struct phial_mount_identity *ret_identity, struct phial_error *err);

/* True if both are known and the same. Pure. */
bool phial_mount_is_same(const struct phial_mount_identity *a,
			 const struct phial_mount_identity *b);

/*
 * Enter the target's mount namespace and take its secrets mount back: a writable clone of what is
 * mounted at a path below that namespace's root, if that is still the filesystem that it was, whole and
 * owned by the caller. Nothing is attached or written. The caller stays in the namespace: it must
 * not use paths afterwards. May block where the container has a filesystem that does not answer:
 * limit the caller's time. path: absolute, normalised; identity: as phial_mount_identify() found
 * it. ret_fd: O_PATH, detached, nosuid, nodev, noexec, private, close-on-exec, closed by the
 * caller. Returns PHIAL_OK; PHIAL_REFUSED with what is there instead; PHIAL_SYSTEM. See
 * open_tree(2), mount_setattr(2).
 */
PHIAL_CHECKED enum phial_status phial_target_recover(const struct phial_target *target,
						     const char *path,
						     const struct phial_mount_identity *identity,
						     int *ret_fd, struct phial_error *err);

#endif
