/* SPDX-License-Identifier: ISC */
/*
 * Notifiers: one child for each container that is to be told, a few at once, the others in the
 * order of the list of containers. Looks at no process itself: notifier.c does, in the child.
 */
#include "agent/supervisor_internal.h"

#include <signal.h>
#include <string.h>

#include "agent/log.h"
#include "base/cleanup.h"

/* Fork one for a container's notice. */
static enum phial_status start(struct supervisor *supervisor, struct notifier *notifier,
			       const struct container *container, struct phial_error *err)
{
	struct phial_notice notice = {
		.pidfd = container->exit_fd,
		.signal_number = (int)container->notice.signal,
	};
	phial_auto_fd int fd = -1;
	pid_t pid;

	memcpy(notice.process, container->notice.process, sizeof(notice.process));
	enum phial_status status = child_fork("a notifier", &pid, &fd, err);

	if (status == PHIAL_OK && pid == 0) {
		child_run_notifier(supervisor, fd, &notice);
	}
	if (status == PHIAL_OK) {
		status = supervisor_watch(supervisor, fd, &notifier->watch, err);
	}
	if (status == PHIAL_OK) {
		*notifier = (struct notifier){
			{ WATCH_NOTIFIER }, pid, phial_take_fd(&fd), container->notice
		};
	}
	return status;
}

static struct notifier *find_free(struct supervisor *supervisor)
{
	for (size_t i = 0; i < NOTIFIERS_MAX; i++) {
		if (supervisor->notifiers[i].pid == 0) {
			return &supervisor->notifiers[i];
		}
	}
	return NULL;
}

/* Is one at work for this container? Two at once might tell it of the older change last. */
static bool is_being_told(const struct supervisor *supervisor, uint64_t number)
{
	for (size_t i = 0; i < NOTIFIERS_MAX; i++) {
		if (supervisor->notifiers[i].pid != 0 &&
		    supervisor->notifiers[i].call.number == number) {
			return true;
		}
	}
	return false;
}

static void send_told(struct supervisor *supervisor, struct phial_link_told *told,
		      const struct phial_link_signal *call)
{
	told->number = call->number;
	memcpy(told->process, call->process, sizeof(told->process));
	told->text[sizeof(told->text) - 1] = '\0';
	supervisor_send_event(supervisor, PHIAL_LINK_TOLD, told, sizeof(*told));
}

/* Start as many as there is room for. */
static void start_due(struct supervisor *supervisor)
{
	struct notifier *notifier = find_free(supervisor);

	for (struct container *c = supervisor->containers; c && notifier; c = c->next) {
		struct phial_error err;

		if (c->notice.signal == 0 || is_being_told(supervisor, c->number)) {
			continue;
		}
		/* Its pidfd is not one any more. */
		if (!c->has_exited && start(supervisor, notifier, c, &err) != PHIAL_OK) {
			struct phial_link_told told = { .status = err.status };

			memcpy(told.text, err.text, sizeof(told.text));
			send_told(supervisor, &told, &c->notice);
		}
		c->notice.signal = 0;
		notifier = find_free(supervisor);
	}
}

static bool is_name(const char name[static PHIAL_LINK_PROCESS_BYTES])
{
	size_t length = strnlen(name, PHIAL_LINK_PROCESS_BYTES);

	for (size_t i = 0; i < length; i++) {
		if (name[i] < ' ' || name[i] > '~') {
			return false;
		}
	}
	return length < PHIAL_LINK_PROCESS_BYTES;
}

enum phial_status notifiers_tell(struct supervisor *supervisor,
				 const struct phial_link_signal *call, struct phial_error *err)
{
	struct container *container;

	if (call->signal < 1 || call->signal > 64 || call->signal == SIGKILL ||
	    call->signal == SIGSTOP || !is_name(call->process)) {
		return phial_fail(err, PHIAL_MALFORMED, 0, "no such signal or process");
	}
	enum phial_status status = containers_find_live(supervisor, call->number, &container, err);

	if (status == PHIAL_OK) {
		container->notice = *call;
		start_due(supervisor);
	}
	return status;
}

void notifiers_on_told(struct supervisor *supervisor, struct notifier *notifier)
{
	struct phial_link_told told;
	struct phial_frame frame;
	struct phial_error err;
	enum phial_status status =
		phial_frame_receive(notifier->fd, &told, sizeof(told), &frame, &err);

	if (status == PHIAL_OK) {
		phial_frame_close_fds(&frame);
	}
	if (status != PHIAL_OK || frame.length != sizeof(told)) {
		told = (struct phial_link_told){ .status = PHIAL_SYSTEM };
		(void)phial_fail(&err, PHIAL_SYSTEM, 0, "the notifier died at its work");
		memcpy(told.text, err.text, sizeof(told.text));
	}
	notifier->pid = 0;
	supervisor_unwatch(supervisor, &notifier->fd);
	send_told(supervisor, &told, &notifier->call);
	start_due(supervisor);
}
