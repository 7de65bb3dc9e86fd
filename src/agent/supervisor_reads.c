/* SPDX-License-Identifier: ISC */
/*
 * Reads of containers' files, from inotify to the worker. Watches the containers that the worker
 * names; what a read means is for the worker to say.
 */
#include <string.h>

#include "agent/link.h"
#include "agent/log.h"
#include "agent/supervisor_internal.h"

static void tell_worker(void *context, uint64_t number, const char *file)
{
	struct phial_link_read record = { .number = number };

	memcpy(record.file, file, strnlen(file, sizeof(record.file) - 1));
	supervisor_send_event(context, PHIAL_LINK_READ, &record, sizeof(record));
}

enum phial_status reads_watch(struct supervisor *supervisor, const struct phial_link_read *call,
			      struct phial_error *err)
{
	struct container *container;
	bool is_first = supervisor->reads.fd < 0;

	if (memchr(call->file, '\0', sizeof(call->file)) == NULL) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "not the name of a file");
	}
	enum phial_status status = containers_find_live(supervisor, call->number, &container, err);

	if (status != PHIAL_OK) {
		return status;
	}
	status = phial_reads_watch(&supervisor->reads, call->number, container->mount_fd,
				   call->file, tell_worker, supervisor, err);
	if (is_first && supervisor->reads.fd >= 0 &&
	    supervisor_watch(supervisor, supervisor->reads.fd, &supervisor->reads_watch, err) !=
		    PHIAL_OK) {
		return PHIAL_SYSTEM;
	}
	return status;
}

/* Not left to the worker, which may be busy: what is read until then would not be seen. */
void reads_follow(struct supervisor *supervisor, const struct container *container)
{
	struct phial_error err;

	if (!phial_reads_holds(&supervisor->reads, container->number) || container->has_exited ||
	    container->must_wipe) {
		return;
	}
	if (phial_reads_follow(&supervisor->reads, container->number, container->mount_fd,
			       tell_worker, supervisor, &err) != PHIAL_OK) {
		phial_log("container %llu: what is read of its files is not known: %s",
			  (unsigned long long)container->number, err.text);
	}
}

/*
 * Events that inotify had no room for. To take every file for read would let one container end
 * another's secrets, to take none would leave a read one for good: the kernel is asked for each.
 */
static void find_lost(struct supervisor *supervisor)
{
	for (const struct container *c = supervisor->containers; c; c = c->next) {
		reads_follow(supervisor, c);
	}
}

void reads_on_event(struct supervisor *supervisor)
{
	if (phial_reads_drain(&supervisor->reads, tell_worker, supervisor) != PHIAL_OK) {
		phial_log("inotify lost events (sysctl fs.inotify.max_queued_events); looking at "
			  "every file that is watched for reads");
		find_lost(supervisor);
	}
}
