/* SPDX-License-Identifier: ISC */
/*
 * The state JSON that an OCI runtime gives a hook on stdin. See the OCI runtime specification,
 * runtime.md "State". Input is hostile: an image chooses annotations, a caller the rest.
 */
#ifndef PHIAL_OCI_STATE_H
#define PHIAL_OCI_STATE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <phial/error.h>

#define PHIAL_OCI_STATE_MAX_BYTES ((size_t)64 * 1024)
#define PHIAL_OCI_ID_MAX_BYTES	  128
#define PHIAL_OCI_PATH_MAX_BYTES  4095

struct phial_oci_state {
	char id[PHIAL_OCI_ID_MAX_BYTES + 1];	   /* ^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$ */
	pid_t pid;				   /* 2 to 2^22; the runtime's pid namespace */
	char status[16];			   /* "creating" or "created" */
	char bundle[PHIAL_OCI_PATH_MAX_BYTES + 1]; /* absolute, no "." or ".." component */
};

/*
 * Parse and check. bytes, length: all that came on stdin. Returns PHIAL_OK; PHIAL_MALFORMED with
 * the field's name, never its value; PHIAL_REFUSED when the stage is wrong (pid 0, 1 or missing,
 * status "starting", "running" or "stopped": this hook belongs to createRuntime or prestart);
 * PHIAL_SYSTEM. Does not block.
 */
PHIAL_CHECKED enum phial_status phial_oci_state_parse(const uint8_t *bytes, size_t length,
						      struct phial_oci_state *ret_state,
						      struct phial_error *err);

/*
 * The same facts of a container that its runtime has created, from somebody who knows them without
 * JSON: checked as above, status "created". Returns PHIAL_OK or PHIAL_MALFORMED. Pure.
 */
PHIAL_CHECKED enum phial_status phial_oci_state_make(pid_t pid, const char *id, const char *bundle,
						     struct phial_oci_state *ret_state,
						     struct phial_error *err);

#endif
