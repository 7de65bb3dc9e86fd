/* SPDX-License-Identifier: ISC */
/*
 * The CDI file, by which `--device phial.io/workload=web` is a grant: one device for each workload,
 * whose one edit is phial-hook with the workload as its argument. See the Container Device
 * Interface specification, and docs/cdi.md.
 */
#ifndef PHIAL_AGENT_CDI_H
#define PHIAL_AGENT_CDI_H

#include <phial/error.h>

/*
 * Bring the file up to date, if there is one: `phial setup cdi` makes it, and it is nobody's if it
 * is not there. workload_fd: the folder with one folder for each workload. run_dir: the agent's,
 * given to the hook when it is not the usual one. file: absolute; left alone when it says the same
 * already, since engines watch it. Returns PHIAL_OK, also when there is no file; PHIAL_NOT_FOUND when
 * there is no phial-hook; PHIAL_REFUSED when the file is no regular file; PHIAL_DENIED, PHIAL_SYSTEM.
 * Writes to disk, durably; allocates.
 */
PHIAL_CHECKED enum phial_status phial_cdi_update(const char *file, int workload_fd,
						 const char *run_dir, struct phial_error *err);

#endif
