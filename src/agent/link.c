/* SPDX-License-Identifier: ISC */
/* The worker's side of a call. The supervisor's side is supervisor_calls.c. */
#include "agent/link.h"

#include <string.h>
#include <unistd.h>

#include "agent/log.h"
#include "base/cleanup.h"

/*
 * An answer that was not read would be taken for that of the next call, and one secret's key for
 * another's. The next worker starts with a new link.
 */
static void give_up(const struct phial_error *failure) __attribute__((noreturn));

static void give_up(const struct phial_error *failure)
{
	if (failure->status != PHIAL_GONE) {
		phial_log("the supervisor's answer is lost: %s", failure->text);
	}
	_exit((int)failure->status);
}

enum phial_status phial_link_exchange(int call_fd, const struct phial_link_request *request,
				      struct phial_link_answer *ret_answer, int *ret_fd,
				      struct phial_error *err)
{
	struct phial_link_answer answer;
	struct phial_frame frame;
	struct phial_error failure;
	enum phial_status status =
		phial_frame_send(call_fd, (uint32_t)request->type, request->record, request->length,
				 request->fds, request->fd_count, err);

	if (status != PHIAL_OK) {
		return status;
	}
	status = phial_frame_receive(call_fd, &answer, sizeof(answer), &frame, &failure);
	if (status != PHIAL_OK) {
		give_up(&failure);
	}
	phial_auto_fd int fd = phial_take_fd(&frame.fds[0]);

	phial_frame_close_fds(&frame);
	if (frame.type != PHIAL_LINK_ANSWER || frame.length != sizeof(answer)) {
		(void)phial_fail(&failure, PHIAL_MALFORMED, 0, "it is no answer");
		give_up(&failure);
	}
	answer.text[sizeof(answer.text) - 1] = '\0';
	if (answer.status != PHIAL_OK) {
		(void)phial_fail(err, (enum phial_status)answer.status, 0, "%s", answer.text);
		return (enum phial_status)answer.status;
	}
	if (ret_fd) {
		*ret_fd = phial_take_fd(&fd);
	}
	*ret_answer = answer;
	return PHIAL_OK;
}

enum phial_status phial_link_call(int call_fd, enum phial_link_type type, const void *record,
				  size_t length, const int *fds,
				  struct phial_link_answer *ret_answer, struct phial_error *err)
{
	const struct phial_link_request request = { type, record, length, fds, fds ? 2 : 0 };

	return phial_link_exchange(call_fd, &request, ret_answer, NULL, err);
}

void phial_link_tell(int call_fd, enum phial_link_type type, const void *record, size_t length)
{
	struct phial_link_answer answer;
	enum phial_status ignored =
		phial_link_call(call_fd, type, record, length, NULL, &answer, NULL);

	(void)ignored;
}
