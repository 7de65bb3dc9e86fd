/* SPDX-License-Identifier: ISC */
/*
 * The file side of looking for a grant; scan.c reads the bytes. Trusts nothing in them: a yes only
 * means that the agent is to be asked.
 */
#include "inject/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "inject/scan.h"
#include "wire/hook_protocol.h"

#define CONFIG_SCAN_MAX_BYTES ((size_t)16 * 1024 * 1024)

enum phial_status phial_inject_open_config(const char *path, int *ret_fd, struct phial_error *err)
{
	struct stat found;
	phial_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &found) != 0) {
		return phial_fail(err, PHIAL_REFUSED, errno, "open %s", path);
	}
	if (!S_ISREG(found.st_mode)) {
		return phial_fail(err, PHIAL_REFUSED, 0, "%s is not a regular file", path);
	}
	*ret_fd = phial_take_fd(&fd);
	return PHIAL_OK;
}

enum phial_status phial_inject_config_may_grant(int config_fd, const char *run_dir,
						bool *ret_may_grant, struct phial_error *err)
{
	char prefix[PHIAL_INJECT_RUN_DIR_MAX_BYTES + 32];
	phial_auto_free uint8_t *config = NULL;
	size_t length = 0;
	enum phial_status status =
		phial_read_all(config_fd, CONFIG_SCAN_MAX_BYTES, &config, &length, err);

	if (status == PHIAL_TOO_LARGE) {
		*ret_may_grant = true;
		return PHIAL_OK;
	}
	if (status != PHIAL_OK) {
		return phial_fail_prefix(err, "config.json");
	}
	(void)snprintf(prefix, sizeof(prefix), "%s/" PHIAL_WORKLOAD_DIR_NAME "/", run_dir);
	if (lseek(config_fd, 0, SEEK_SET) != 0) {
		return phial_fail(err, PHIAL_SYSTEM, errno, "rewind config.json");
	}
	*ret_may_grant =
		phial_inject_may_grant((struct phial_span){ (const char *)config, length }, prefix);
	return PHIAL_OK;
}
