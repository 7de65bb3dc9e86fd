/* SPDX-License-Identifier: ISC */
/* The file by which engines know workloads as CDI devices. */
#ifndef PHIAL_CLI_SETUP_CDI_H
#define PHIAL_CLI_SETUP_CDI_H

/* phiald(8) has the same default. */
#define PHIAL_SETUP_CDI_FILE "/etc/cdi/phial.json"

#endif
