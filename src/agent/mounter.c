/* SPDX-License-Identifier: ISC */
/*
 * One mounter's life: facts, then what phial-hook does from the verdict on. Decides nothing: grants
 * and gates are the worker's. Sees no secret.
 */
#include "agent/mounter.h"

#include <string.h>
#include <unistd.h>

#include "inject/inject.h"
#include "wire/frame.h"

/* Tell why, if anybody still listens; the worker tells phial-init. */
static int fail(int fd, enum phial_status status, const struct phial_error *err)
{
	struct phial_mounter_failure failure = { .status = status };
	enum phial_status ignored;

	memcpy(failure.text, err->text, sizeof(failure.text));
	ignored = phial_frame_send(fd, PHIAL_MOUNTER_FAILED, &failure, sizeof(failure), NULL, 0,
				   NULL);
	(void)ignored;
	return (int)status;
}

int phial_mounter_run(int fd, const struct phial_mounter_job *job)
{
	static struct phial_hook_verdict verdict; /* 13 KB */
	struct phial_error err = { .status = PHIAL_OK };
	struct phial_mounter_facts facts;
	enum phial_status status = phial_mounter_find_facts(job, &facts, &err);

	/* The container's namespace is entered with nothing of the host's at hand. */
	close(job->pidfd);
	close(job->workload_fd);
	if (status == PHIAL_OK) {
		status = phial_frame_send(fd, PHIAL_MOUNTER_FACTS, &facts, sizeof(facts), NULL, 0,
					  &err);
	}
	if (status == PHIAL_OK) {
		status = phial_inject(fd, job->pid, &verdict, &err);
	}
	return status == PHIAL_OK ? 0 : fail(fd, status, &err);
}
