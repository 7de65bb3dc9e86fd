/* SPDX-License-Identifier: ISC */
/*
 * The hook's scanners on any bytes: they end, read nothing outside, and a pid that they accept is
 * one that a process can have.
 */
#include <stdint.h>
#include <stdlib.h>

#include "inject/scan.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct phial_span span = { (const char *)data, size };
	struct phial_error err;
	pid_t pid = 0;

	if (phial_inject_find_pid(span, &pid, &err) == PHIAL_OK && (pid <= 1 || pid > PID_MAX)) {
		abort();
	}
	/* A config that is one unescaped path shows its grant. */
	static const char grant[] = "/run/phial/workload/";

	if (size > sizeof(grant) && data[0] == '"' &&
	    memcmp(data + 1, grant, sizeof(grant) - 1) == 0 &&
	    !phial_inject_may_grant(span, grant)) {
		abort();
	}
	(void)phial_inject_may_grant(span, grant);
	return 0;
}
