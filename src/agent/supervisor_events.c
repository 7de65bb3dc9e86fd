/* SPDX-License-Identifier: ISC */
/*
 * Events for the worker. It may be busy, or wait for an answer itself, so that the supervisor never
 * waits for room: what does not fit is kept, in order, and tried again.
 */
#include "agent/supervisor_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "agent/link.h"
#include "agent/log.h"
#include "agent/notify.h"
#include "base/cleanup.h"
#include "mount/mount.h"

/* An event that waits for room. */
struct pending_event {
	struct pending_event *next;
	uint32_t type;
	size_t length;
	uint8_t record[];
};

/* Open both anew and send them. Returns false if the worker has no room for the message. */
static bool send_store_now(const struct supervisor *supervisor)
{
	phial_auto_fd int store_fd = -1;
	phial_auto_fd int trust_fd = open(supervisor->options->trust, O_RDONLY | O_CLOEXEC);
	struct phial_error err;

	if (trust_fd < 0) {
		phial_log(
			"cannot open %s, which pins the admin keys (\"phial setup --trust RW...\" "
			"writes it): %s",
			supervisor->options->trust, strerror(errno));
	}
	if (phial_mount_clone_directory(supervisor->options->store, true, &store_fd, &err) !=
	    PHIAL_OK) {
		phial_log("cannot open the store %s (--store, \"phial setup --store DIR\"): %s",
			  supervisor->options->store, err.text);
	}
	const int fds[] = { store_fd, trust_fd };

	/* Without either the worker is told so, and reports it: nothing to send means 0 fds. */
	return phial_frame_send(supervisor->event_fd, PHIAL_LINK_STORE, NULL, 0, fds,
				store_fd >= 0 && trust_fd >= 0 ? 2 : 0, &err) == PHIAL_OK ||
	       err.os_error != EAGAIN;
}

/* Returns whether the event is done with: sent, or for nobody. */
static bool send_now(struct supervisor *supervisor, const struct pending_event *event)
{
	struct phial_error err = { .status = PHIAL_OK };

	if (event->type == PHIAL_LINK_STORE) {
		return send_store_now(supervisor);
	}
	/* A worker that is gone is noticed elsewhere; only a full queue is worth another try. */
	return phial_frame_send(supervisor->event_fd, event->type, event->record, event->length,
				NULL, 0, &err) == PHIAL_OK ||
	       err.os_error != EAGAIN;
}

void supervisor_send_event(struct supervisor *supervisor, uint32_t type, const void *record,
			   size_t length)
{
	struct pending_event **end = &supervisor->first_event;
	struct pending_event *event = malloc(sizeof(*event) + length);

	if (!event) {
		phial_log("out of memory: an event for the worker is lost");
		return;
	}
	*event = (struct pending_event){ .type = type, .length = length };
	if (length > 0) {
		memcpy(event->record, record, length);
	}
	while (*end) {
		end = &(*end)->next;
	}
	*end = event;
	supervisor_flush_events(supervisor);
}

void supervisor_send_store(struct supervisor *supervisor)
{
	if (supervisor->is_loaded) {
		phial_notify("RELOADING=1");
	}
	supervisor_send_event(supervisor, PHIAL_LINK_STORE, NULL, 0);
}

static void drop_first(struct supervisor *supervisor)
{
	struct pending_event *event = supervisor->first_event;

	supervisor->first_event = event->next;
	free(event);
}

void supervisor_flush_events(struct supervisor *supervisor)
{
	while (supervisor->first_event && supervisor->event_fd >= 0 &&
	       send_now(supervisor, supervisor->first_event)) {
		drop_first(supervisor);
	}
}

void supervisor_drop_events(struct supervisor *supervisor)
{
	while (supervisor->first_event) {
		drop_first(supervisor);
	}
}
