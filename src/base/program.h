/* SPDX-License-Identifier: ISC */
/* Where the other programs of this installation are. */
#ifndef PHIAL_BASE_PROGRAM_H
#define PHIAL_BASE_PROGRAM_H

#include <stdbool.h>

#define PHIAL_PROGRAM_PATH_BYTES 4096

/*
 * Find another program of this installation, by where this one lies: in a folder relative to its
 * own ("../libexec/phial"), or, in a build tree, in the same. ret_path: absolute, without links;
 * untouched on failure. Returns false when there is none. Touches the disk. See proc(5).
 */
bool phial_program_find(const char *relative, const char *name,
			char ret_path[PHIAL_PROGRAM_PATH_BYTES]);

#endif
