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
 * start: a path. ret_path: freed by the caller. Returns PHIAL_OK or PHIAL_NOT_FOUND.
 */
PHIAL_CHECKED enum phial_status phial_store_find(const char *start, char **ret_path,
						 struct phial_error *err);

/* Open a store directory (O_DIRECTORY, close-on-exec). Returns PHIAL_OK, PHIAL_NOT_FOUND, ... */
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
 * ".sealed" are ignored; names against the grammar, names that differ only in case, and
 * directories that cannot be read become problems. At most 100,000 names. ret_names: freed
 * with phial_store_names_free(). Returns PHIAL_OK, PHIAL_TOO_LARGE, PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_store_list(int store_fd, struct phial_store_names *ret_names,
						 struct phial_error *err);

void phial_store_names_free(struct phial_store_names *names);

/*
 * Read the sealed file of a name. buffer: grown as needed and reused from call to call (start
 * with NULL and 0; freed by the caller), so that a load of many files allocates once.
 * Returns PHIAL_OK; PHIAL_NOT_FOUND; PHIAL_MALFORMED when it is no regular file or a link out
 * of the store; PHIAL_TOO_LARGE over PHIAL_SEALED_MAX_BYTES; PHIAL_DENIED; PHIAL_SYSTEM.
 * Never blocks on a FIFO or device.
 */
PHIAL_CHECKED enum phial_status phial_store_read_sealed(int store_fd, const char *name,
							uint8_t **buffer, size_t *buffer_bytes,
							size_t *ret_length, struct phial_error *err);

/*
 * Write a file below a directory atomically and durably: a temporary file beside it, fsync,
 * rename, fsync of the directory; missing directories are made. relative: checked by the
 * caller, no `..`. mode: e.g. 0644. Nothing is left behind on failure. PHIAL_OK, PHIAL_SYSTEM,
 * PHIAL_DENIED.
 */
PHIAL_CHECKED enum phial_status phial_store_write(int dir_fd, const char *relative,
						  const void *bytes, size_t length,
						  unsigned int mode, struct phial_error *err);

/*
 * Of several candidates, the one most like a mistyped word, or NULL if none is near (at most
 * two edits). For "no workload "wbe", did you mean "web"?".
 */
const char *phial_nearest(const char *word, const char *const *candidates, size_t count);

#endif
