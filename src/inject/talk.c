/* SPDX-License-Identifier: ISC */
/*
 * Frames to and from the agent. Whatever the agent says is checked for form here; whether it
 * fits this container is inject.c's to check.
 */
#include "inject/talk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "wire/frame.h"

#define CONNECT_TRIES	 100
#define CONNECT_PAUSE_MS 50   /* 100 times: five seconds */
#define ANSWER_LIMIT_MS	 9000 /* the alarm comes at ten seconds */

bool phial_inject_next_problem(struct phial_span *rest, char *line, size_t line_bytes)
{
	struct phial_span part;

	while (phial_next_line(rest, &part, NULL)) {
		if (part.length == 0 || !phial_span_copy(part, line, line_bytes)) {
			continue;
		}
		for (char *c = line; *c != '\0'; c++) {
			*c = *c >= 0x20 && *c < 0x7f ? *c : '?';
		}
		return true;
	}
	return false;
}

enum phial_status phial_inject_connect(const char *run_dir, int *ret_fd, struct phial_error *err)
{
	const struct timespec pause = { 0, CONNECT_PAUSE_MS * 1000000L };
	char path[128];
	enum phial_status status = PHIAL_NO_AGENT;

	if (snprintf(path, sizeof(path), "%s/" PHIAL_HOOK_SOCKET_NAME, run_dir) >=
	    (int)sizeof(path)) {
		return phial_fail(err, PHIAL_TOO_LARGE, 0, "the run directory's path is too long");
	}
	for (int i = 0; i < CONNECT_TRIES; i++) {
		status = phial_socket_connect(path, ANSWER_LIMIT_MS, ret_fd, err);
		if (status != PHIAL_NO_AGENT) {
			return status;
		}
		(void)nanosleep(&pause, NULL);
	}
	return phial_fail(err, PHIAL_NO_AGENT, 0,
			  "no agent answers at %s; start phiald (systemctl start phiald; a user's "
			  "own: systemctl --user start phiald)",
			  path);
}

/* What a lost connection means here. */
static enum phial_status explain(enum phial_status status, struct phial_error *err)
{
	if (status == PHIAL_GONE) {
		return phial_fail(err, PHIAL_NO_AGENT, 0,
				  "the agent closed the connection; its log says why");
	}
	if (status == PHIAL_SYSTEM && (err->os_error == EAGAIN || err->os_error == EWOULDBLOCK)) {
		return phial_fail(err, PHIAL_NO_AGENT, 0, "the agent did not answer in time");
	}
	return status;
}

/* Receive a frame of exactly one type. No descriptor ever comes this way: any is closed. */
static enum phial_status receive(int fd, enum phial_hook_frame type, void *payload, size_t capacity,
				 size_t *ret_length, struct phial_error *err)
{
	struct phial_frame frame;
	enum phial_status status = phial_frame_receive(fd, payload, capacity, &frame, err);

	if (status != PHIAL_OK) {
		return explain(status, err);
	}
	phial_frame_close_fds(&frame);
	if (frame.type != type) {
		return phial_fail(err, PHIAL_MALFORMED, 0,
				  "an answer out of turn; is phiald of this program's release?");
	}
	*ret_length = frame.length;
	return PHIAL_OK;
}

enum phial_status phial_inject_ask(int fd, const struct phial_hook_start *start, int config_fd,
				   struct phial_error *err)
{
	enum phial_status status =
		phial_frame_send(fd, PHIAL_HOOK_START, start, sizeof(*start) + start->state_length,
				 &config_fd, 1, err);

	return status == PHIAL_OK ? PHIAL_OK : explain(status, err);
}

enum phial_status phial_inject_ask_created(int fd, const struct phial_hook_created *created,
					   int config_fd, struct phial_error *err)
{
	enum phial_status status = phial_frame_send(fd, PHIAL_HOOK_CREATED, created,
						    sizeof(*created), &config_fd, 1, err);

	return status == PHIAL_OK ? PHIAL_OK : explain(status, err);
}

enum phial_status phial_inject_hear_verdict(int fd, struct phial_hook_verdict *ret_verdict,
					    struct phial_error *err)
{
	static struct phial_hook_verdict raw; /* 13 KB */
	size_t length;
	enum phial_status status = receive(fd, PHIAL_HOOK_VERDICT, &raw, sizeof(raw), &length, err);

	if (status != PHIAL_OK) {
		return status;
	}
	return phial_hook_decode_verdict(&raw, length, ret_verdict, err);
}

static enum phial_status receive_result(int fd, enum phial_hook_frame type, struct phial_error *err)
{
	struct phial_hook_result raw;
	struct phial_hook_result result;
	size_t length;
	enum phial_status status = receive(fd, type, &raw, sizeof(raw), &length, err);

	if (status == PHIAL_OK) {
		status = phial_hook_decode_result(&raw, length, &result, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	if (result.status != PHIAL_OK) {
		return phial_fail(err, (enum phial_status)result.status, 0, "%s", result.text);
	}
	return PHIAL_OK;
}

enum phial_status phial_inject_hand_over(int fd, const struct phial_target *target,
					 enum phial_mount_kind kind, int rw_fd,
					 struct phial_error *err)
{
	static struct {
		struct phial_hook_mount mount;
		char maps[2 * PHIAL_HOOK_MAP_MAX];
	} message;
	const int fds[] = { target->pidfd, rw_fd };
	size_t uid_length;
	size_t gid_length;
	enum phial_status status = phial_target_read_map(target, "uid_map", message.maps,
							 PHIAL_HOOK_MAP_MAX, &uid_length, err);

	if (status == PHIAL_OK) {
		status = phial_target_read_map(target, "gid_map", message.maps + uid_length,
					       PHIAL_HOOK_MAP_MAX, &gid_length, err);
	}
	if (status != PHIAL_OK) {
		return status;
	}
	message.mount = (struct phial_hook_mount){
		.uid_map_length = (uint32_t)uid_length,
		.gid_map_length = (uint32_t)gid_length,
		.kind = kind,
		.mount_namespace = target->namespace_inode,
		.start_time = target->start_time,
	};
	status = phial_frame_send(fd, PHIAL_HOOK_MOUNT, &message,
				  sizeof(message.mount) + uid_length + gid_length, fds,
				  PHIAL_COUNT(fds), err);
	if (status != PHIAL_OK) {
		return explain(status, err);
	}
	return receive_result(fd, PHIAL_HOOK_FILLED, err);
}

enum phial_status phial_inject_report(int fd, struct phial_error *err)
{
	enum phial_status status = phial_frame_send(fd, PHIAL_HOOK_ATTACHED, NULL, 0, NULL, 0, err);

	if (status != PHIAL_OK) {
		return explain(status, err);
	}
	return receive_result(fd, PHIAL_HOOK_COMMITTED, err);
}
