/* SPDX-License-Identifier: ISC */
/*
 * A store on disk: a directory, usually a git repository, with `.phial/` and `NAME.sealed`
 * files. Symbolic links are followed inside the store (Kubernetes' ConfigMap volumes are made
 * of them) and never out of it.
 */
#ifndef PHIAL_STORE_STORE_H
#define PHIAL_STORE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>
#include <phial/sealed.h>

/*
 * Find the store that a directory lies in: the nearest one at or above it that has `.phial/`.
 * start: a path. ret_path: absolute, freed by the caller. Returns PHIAL_OK; PHIAL_NOT_FOUND;
 * PHIAL_DENIED; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_store_find(const char *start, char **ret_path,
						 struct phial_error *err);

/*
 * Open a store directory (O_DIRECTORY, close-on-exec); the path may be a link. ret_fd: closed by
 * the caller. Returns PHIAL_OK; PHIAL_NOT_FOUND; PHIAL_DENIED; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_store_open(const char *path, int *ret_fd,
						 struct phial_error *err);

/* The names of a store's sealed files, sorted, without ".sealed"; and what was passed over. */
struct phial_store_names {
	char **names;
	size_t count;
	/* Files that end in .sealed but cannot be a secret, each "path: reason". */
	char **problems;
	size_t problem_count;
};

/*
 * List a store. Directories and files whose name begins with '.' and files that do not end in
 * ".sealed" are ignored; names against the grammar, names that differ only in case, what is no
 * regular file, and directories that cannot be read become problems. Sub-directories are
 * entered five deep. At most 100,000 names and 1,000,000 entries; at most 1,000 problems,
 * then one line says how many more there are. ret_names: freed with phial_store_names_free().
 * Returns PHIAL_OK, PHIAL_TOO_LARGE, PHIAL_SYSTEM. Reads directories, opens no file.
 */
PHIAL_CHECKED enum phial_status phial_store_list(int store_fd, struct phial_store_names *ret_names,
						 struct phial_error *err);

/* Called with a directory that is about to be read; directory_fd stays the caller's. */
typedef void phial_store_directory_fn(void *context, int directory_fd);

/*
 * phial_store_list() with a call before each directory is read, the store's own among them, so that
 * whoever watches them misses nothing. context: given to on_directory.
 */
PHIAL_CHECKED enum phial_status
phial_store_list_watched(int store_fd, phial_store_directory_fn *on_directory, void *context,
			 struct phial_store_names *ret_names, struct phial_error *err);

/* Free what it holds and leave it empty. */
void phial_store_names_free(struct phial_store_names *names);

/*
 * Read the sealed file of a name. buffer: grown as needed and reused from call to call (start
 * with NULL and 0; freed by the caller, also on failure), so that a load of many files
 * allocates once. Returns PHIAL_OK; PHIAL_BAD_NAME; PHIAL_NOT_FOUND; PHIAL_MALFORMED when it is
 * no regular file or a link out of the store; PHIAL_TOO_LARGE over PHIAL_SEALED_MAX_BYTES;
 * PHIAL_DENIED; PHIAL_SYSTEM. Never blocks on a FIFO or device.
 */
PHIAL_CHECKED enum phial_status phial_store_read_sealed(int store_fd, const char *name,
							uint8_t **buffer, size_t *buffer_bytes,
							size_t *ret_length,
							struct phial_error *err);

/*
 * Write a file below a directory atomically and durably: a temporary file beside it, fsync,
 * rename, fsync of the directory. Missing directories are made, with the file's mode and entry
 * for those who may read it. relative: checked by the caller, no `..`, at most 1023 bytes; links
 * among its directories are followed inside dir_fd only. mode: e.g. 0644, whatever the umask
 * is. No file is left behind on failure; made directories are. Returns PHIAL_OK; PHIAL_DENIED;
 * PHIAL_NOT_FOUND or PHIAL_MALFORMED for a directory that is none or leads out; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_store_write(int dir_fd, const char *relative,
						  const void *bytes, size_t length,
						  unsigned int mode, struct phial_error *err);

/*
 * Of several candidates, the one most like a mistyped word, or NULL if none is near: at most two
 * bytes changed, added, left out or swapped, one in a word of less than five. word,
 * candidates: NUL-terminated; empty ones and those over 200 bytes are passed over; the first
 * of equally near ones is given. For "no workload "wbe", did you mean "web"?".
 */
const char *phial_nearest(const char *word, const char *const *candidates, size_t count);

#endif
