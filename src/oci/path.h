/* SPDX-License-Identifier: ISC */
/* Paths as text, without a look at any file system. */
#ifndef PHIAL_OCI_PATH_H
#define PHIAL_OCI_PATH_H

#include <stddef.h>

/*
 * Write a path in its one plain form: absolute (a relative one counts from the root), no empty,
 * "." or ".." component, no slash at the end. ".." takes the component before it away, never
 * more than all, as runtimes do with a mount's destination. text: NUL-terminated. ret_path:
 * strlen(text) + 2 bytes. Returns the bytes written, NUL included.
 */
size_t phial_oci_path_clean(const char *text, char *ret_path);

#endif
