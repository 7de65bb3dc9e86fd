/* SPDX-License-Identifier: ISC */
/*
 * Secret pages that worker and supervisor share: one key payload on its way into the kernel. The
 * worker writes it, the supervisor hands it to add_key(2) without looking, the worker wipes it.
 * Between two payloads they also carry an answer that is too large for a record.
 */
#ifndef PHIAL_AGENT_PAGES_H
#define PHIAL_AGENT_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phial/error.h>

struct phial_pages {
	uint8_t *bytes;
	size_t length;	       /* at least PHIAL_KEY_PAYLOAD_MAX */
	bool is_kernel_hidden; /* memfd_secret(2): not even in the kernel's own map */
};

/*
 * Make pages that children of fork() share: memfd_secret(2), else locked anonymous memory that is
 * left out of core dumps. Never freed; they end with the last process. PHIAL_OK or PHIAL_SYSTEM.
 */
PHIAL_CHECKED enum phial_status phial_pages_make(struct phial_pages *ret_pages,
						 struct phial_error *err);

#endif
