/* SPDX-License-Identifier: ISC */
/* What generation.c (makes them) and generation_wipe.c (ends them) share. */
#ifndef PHIAL_MOUNT_GENERATION_INTERNAL_H
#define PHIAL_MOUNT_GENERATION_INTERNAL_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>

#include <phial/error.h>

#include "mount/sys.h"

/* How everything in a mount is opened: what a container planted there leads nowhere. */
#define PHIAL_GENERATION_INSIDE	 (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
#define PHIAL_GENERATION_PRESENT "..data"
/* Bytes of a generation's name with its NUL, and room to see that one is too long. */
#define PHIAL_GENERATION_NAME_BYTES 16

/* Write a generation's name: "..7". number: 1 and up. Cannot fail. */
void phial_generation_format_name(uint32_t number, char ret_name[PHIAL_GENERATION_NAME_BYTES]);

/* Is this the name of a generation ("..7", canonical)? ret_number: 1 and up. */
bool phial_generation_parse_name(const char *name, uint32_t *ret_number);

/*
 * Record errno for something in the mount, with what to do where the mount is full. what: a verb.
 * name: what it was done to. Returns PHIAL_SYSTEM.
 */
enum phial_status phial_generation_fail(struct phial_error *err, const char *what,
					const char *name);

/* A file in a mount has one component. Returns PHIAL_OK or PHIAL_BAD_NAME. */
PHIAL_CHECKED enum phial_status phial_generation_check_file(const char *name,
							    struct phial_error *err);

/*
 * Open a directory below a mount (or the mount itself, with ".") to read its names. Returns NULL
 * and errno, or what closedir(3) ends.
 */
DIR *phial_generation_open_names(int dir_fd, const char *name);

/*
 * Which generation `..data` leads to. ret_present: 0 if there is none. PHIAL_OK; PHIAL_TAMPERED
 * if `..data` is anything but a link to a generation that is there; PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_generation_find_present(int mount_fd, uint32_t *ret_present,
							      struct phial_error *err);

#endif
