/* SPDX-License-Identifier: ISC */
/*
 * Callers: from the connection to the mounter, and the answer. Which container somebody is in says
 * the supervisor (by cgroup) for turns, and the mounter (by mount) for all that matters.
 */
#include "agent/init_door.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/link.h"
#include "agent/live.h"
#include "agent/log.h"
#include "base/cleanup.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* From connect(2) to ASK; phial-init sends it at once. */
#define ASK_LIMIT_MS 2000
/* From ASK to the mounter. */
#define TURN_LIMIT_MS 10000
/* Of one container at once. */
#define CALLERS_OF_ONE 4
/* Between two turns of one container: what is refused again and again costs no more. */
#define TURN_PAUSE_MS 100
/* How soon a turn that could not be taken, all mounters being at work, is tried again. */
#define RETRY_MS 20

static void close_caller(struct phial_caller *caller)
{
	phial_close_fd(&caller->fd);
	phial_close_fd(&caller->pidfd);
	caller->state = PHIAL_CALLER_FREE;
}

static void send_answer(const struct phial_caller *caller, const struct phial_init_outcome *outcome)
{
	static struct phial_init_answer answer; /* 8 KB */

	answer = (struct phial_init_answer){
		.version = PHIAL_INIT_VERSION,
		.status = outcome->status,
		.is_done = outcome->is_done,
	};
	(void)snprintf(outcome->status == PHIAL_OK ? answer.target : answer.text,
		       sizeof(answer.text), "%s", outcome->text);
	enum phial_status ignored = phial_frame_send(caller->fd, PHIAL_INIT_ANSWER, &answer,
						     sizeof(answer), NULL, 0, NULL);

	(void)ignored; /* whoever does not read it asks again */
}

void phial_init_door_answer(struct phial_client *client, const struct phial_init_outcome *outcome)
{
	if (client->caller) {
		send_answer(client->caller, outcome);
		close_caller(client->caller);
		client->caller = NULL;
	}
}

void phial_init_door_release(struct phial_worker *worker, struct phial_client *client)
{
	if (!client->is_mounter) {
		return;
	}
	if (client->caller) {
		close_caller(client->caller);
	}
	worker->served[worker->next_served++ % PHIAL_SERVED_MAX] = (struct phial_served){
		.peer = client->peer,
		.until_ms = phial_worker_clock_ms() + TURN_PAUSE_MS,
	};
	client->caller = NULL;
	client->is_mounter = false;
}

/* --- ASK ------------------------------------------------------------------------------------ */

/* The kernel's own pidfd of the one who connected; before Linux 6.5 the one that it sent. */
static int take_pidfd(const struct phial_caller *caller, struct phial_frame *frame)
{
	int pidfd = -1;
	socklen_t length = sizeof(pidfd);

	if (getsockopt(caller->fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) == 0) {
		return pidfd;
	}
	return phial_take_fd(&frame->fds[0]);
}

static size_t count_of(const struct phial_worker *worker, uint64_t peer)
{
	size_t count = 0;

	for (size_t i = 0; i < PHIAL_CALLERS_MAX; i++) {
		count += worker->callers[i].state >= PHIAL_CALLER_WAITING &&
			 worker->callers[i].peer == peer;
	}
	return count;
}

/* Returns false, having told the caller, when nobody can tell who it is. */
static bool find_pidfd(struct phial_caller *caller, struct phial_frame *frame)
{
	caller->pidfd = take_pidfd(caller, frame);
	if (caller->pidfd >= 0) {
		return true;
	}
	send_answer(caller,
		    &(struct phial_init_outcome){
			    PHIAL_UNSUPPORTED, false,
			    "this kernel (before Linux 6.5) cannot tell who asks, and the "
			    "container's seccomp profile forbids pidfd_open(2): allow it" });
	return false;
}

/* It has asked. Returns whether it may wait for its turn. */
static bool take_ask(struct phial_worker *worker, struct phial_caller *caller,
		     struct phial_frame *frame, const void *payload)
{
	const struct phial_link_process who = { .pid = caller->pid };
	struct phial_link_answer answer;
	struct phial_error err = { .status = PHIAL_OK };
	enum phial_status status =
		phial_init_decode_ask(payload, frame->length, &caller->ask, &err);

	if (status == PHIAL_UNSUPPORTED) {
		send_answer(caller, &(struct phial_init_outcome){ status, false, err.text });
	}
	if (status != PHIAL_OK) {
		return false;
	}
	if (!find_pidfd(caller, frame)) {
		return false;
	}
	if (phial_link_call(worker->start->call_fd, PHIAL_LINK_PEER, &who, sizeof(who), NULL,
			    &answer, NULL) != PHIAL_OK ||
	    count_of(worker, answer.number) >= CALLERS_OF_ONE) {
		return false; /* gone, or too many: it asks again */
	}
	caller->peer = answer.number;
	caller->state = PHIAL_CALLER_WAITING;
	caller->deadline_ms = phial_worker_clock_ms() + TURN_LIMIT_MS;
	return true;
}

/* The container that sees this mount namespace, if it has its secrets. */
static struct phial_record *find_container(const struct phial_worker *worker,
					   uint64_t mount_namespace)
{
	for (struct phial_record *r = phial_records_first(worker->records); r; r = r->next) {
		uint64_t now = 0;

		/* One that has left it is another container than the one that has its number. */
		if (r->is_committed && r->mount_namespace == mount_namespace &&
		    phial_worker_find_namespace(worker, r, &now) && now == mount_namespace) {
			return r;
		}
	}
	return NULL;
}

/* Somebody says that his container is ready: which one that is says his mount namespace alone. */
static void take_ready(struct phial_worker *worker, struct phial_caller *caller,
		       struct phial_frame *frame, const void *payload)
{
	const struct phial_link_process who = { .pid = caller->pid };
	struct phial_error err = { .status = PHIAL_OK };
	struct phial_link_answer answer;
	enum phial_status status = phial_init_decode_ready(payload, frame->length, &err);

	if (status == PHIAL_OK && !find_pidfd(caller, frame)) {
		return;
	}
	const struct phial_link_request request = { PHIAL_LINK_CALLER, &who, sizeof(who),
						    &caller->pidfd, 1 };

	if (status == PHIAL_OK) {
		status = phial_link_exchange(worker->start->call_fd, &request, &answer, NULL, &err);
	}
	struct phial_record *record =
		status == PHIAL_OK ? find_container(worker, answer.inode) : NULL;

	if (status == PHIAL_OK && !record) {
		status = phial_fail(&err, PHIAL_REFUSED, 0,
				    "this container has no secrets that phial-init asked for: only "
				    "it itself can say that it is ready, once it has them");
	}
	if (status != PHIAL_OK) {
		send_answer(caller, &(struct phial_init_outcome){ status, false, err.text });
		return;
	}
	const struct phial_life *life = phial_policy_life(&worker->policy, record->workload);
	bool is_done = record->ready_ms != 0 || life->keep != PHIAL_KEEP_UNTIL_READY;

	phial_live_on_ready(worker, record);
	send_answer(caller, &(struct phial_init_outcome){ PHIAL_OK, is_done, record->target });
}

static void receive_ask(struct phial_worker *worker, struct phial_caller *caller)
{
	union {
		struct phial_init_ask ask;
		struct phial_init_ready ready;
	} payload;
	struct phial_error err = { .status = PHIAL_OK };
	struct phial_frame frame;
	bool may_wait = false;
	enum phial_status status =
		phial_frame_receive(caller->fd, &payload, sizeof(payload), &frame, &err);

	if (status == PHIAL_SYSTEM && err.os_error == EAGAIN) {
		return; /* nothing yet */
	}
	if (status == PHIAL_OK && frame.fd_count <= 1 && frame.type == PHIAL_INIT_ASK) {
		may_wait = take_ask(worker, caller, &frame, &payload);
	} else if (status == PHIAL_OK && frame.fd_count <= 1 && frame.type == PHIAL_INIT_READY) {
		take_ready(worker, caller, &frame, &payload);
	}
	if (status == PHIAL_OK) {
		phial_frame_close_fds(&frame);
	}
	if (!may_wait) {
		close_caller(caller);
	}
}

/* --- connections ---------------------------------------------------------------------------- */

/* A free place, or that of the one who has not asked for the longest time. */
static struct phial_caller *find_place(struct phial_worker *worker)
{
	struct phial_caller *oldest = NULL;

	for (size_t i = 0; i < PHIAL_CALLERS_MAX; i++) {
		struct phial_caller *caller = &worker->callers[i];

		if (caller->state == PHIAL_CALLER_FREE) {
			return caller;
		}
		if (caller->state == PHIAL_CALLER_CONNECTED &&
		    (!oldest || caller->number < oldest->number)) {
			oldest = caller;
		}
	}
	if (oldest) {
		close_caller(oldest);
	}
	return oldest;
}

static void accept_caller(struct phial_worker *worker)
{
	struct phial_caller *caller = find_place(worker);
	uint32_t uid;
	int32_t pid;

	if (!caller) {
		return;
	}
	int fd = accept4(worker->start->init_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		return;
	}
	if (phial_peer_credentials(fd, &uid, &pid, NULL) != PHIAL_OK || pid <= 1) {
		close(fd);
		return;
	}
	*caller = (struct phial_caller){
		.state = PHIAL_CALLER_CONNECTED,
		.fd = fd,
		.pidfd = -1,
		.pid = pid,
		.uid = uid,
		.number = ++worker->last_caller,
		.deadline_ms = phial_worker_clock_ms() + ASK_LIMIT_MS,
	};
	receive_ask(worker, caller); /* it is there already, as a rule */
}

/* --- turns ---------------------------------------------------------------------------------- */

/* When may this container have a mounter again? 0: now; -1: when the one it has is done. */
static int64_t find_turn_ms(const struct phial_worker *worker, uint64_t peer, int64_t now_ms)
{
	int64_t turn_ms = 0;

	for (size_t i = PHIAL_CLIENTS_MAX; i < PHIAL_COUNT(worker->clients); i++) {
		if (worker->clients[i].is_mounter && worker->clients[i].peer == peer) {
			return -1;
		}
	}
	for (size_t i = 0; i < PHIAL_SERVED_MAX; i++) {
		if (worker->served[i].peer == peer && worker->served[i].until_ms > now_ms &&
		    worker->served[i].until_ms > turn_ms) {
			turn_ms = worker->served[i].until_ms;
		}
	}
	return turn_ms;
}

/* The first who came among those whose turn it is. */
static struct phial_caller *find_next(struct phial_worker *worker)
{
	int64_t now_ms = phial_worker_clock_ms();
	struct phial_caller *next = NULL;

	for (size_t i = 0; i < PHIAL_CALLERS_MAX; i++) {
		struct phial_caller *caller = &worker->callers[i];

		if (caller->state == PHIAL_CALLER_WAITING &&
		    (!next || caller->number < next->number) &&
		    find_turn_ms(worker, caller->peer, now_ms) == 0) {
			next = caller;
		}
	}
	return next;
}

/* Returns whether another may be started. */
static bool start_mounter(struct phial_worker *worker)
{
	struct phial_client *client =
		phial_worker_free_client(worker, PHIAL_CLIENTS_MAX, PHIAL_MOUNTERS_MAX);
	struct phial_caller *caller = client ? find_next(worker) : NULL;
	struct phial_link_answer answer;
	struct phial_error err = { .status = PHIAL_OK };
	int fd = -1;

	if (!caller) {
		return false;
	}
	const struct phial_link_process who = { .pid = caller->pid };
	const struct phial_link_request request = { PHIAL_LINK_MOUNTER, &who, sizeof(who),
						    &caller->pidfd, 1 };
	enum phial_status status =
		phial_link_exchange(worker->start->call_fd, &request, &answer, &fd, &err);

	if (status == PHIAL_EXISTS) {
		return false; /* the one that told us that it is done has not ended yet */
	}
	if (status != PHIAL_OK || fd < 0) {
		phial_log("cannot serve a phial-init: %s", err.text);
		close_caller(caller);
		return true;
	}
	client->state = PHIAL_CLIENT_MOUNTER;
	client->fd = fd;
	client->deadline_ms = phial_worker_clock_ms() + PHIAL_CLIENT_DEADLINE_MS;
	client->is_mounter = true;
	client->caller = caller;
	client->has_peer = true;
	client->peer_uid = caller->uid;
	client->peer_pid = caller->pid;
	client->peer = caller->peer;
	client->ask = caller->ask;
	caller->state = PHIAL_CALLER_SERVED;
	return true;
}

/* --- the loop ------------------------------------------------------------------------------- */

static void sooner(int64_t *wait_ms, int64_t left_ms)
{
	*wait_ms = phial_clock_sooner(*wait_ms, left_ms > 0 ? left_ms : 0);
}

void phial_init_door_prepare(const struct phial_worker *worker, bool may_accept, struct pollfd *set,
			     int64_t *ret_wait_ms)
{
	int64_t now_ms = phial_worker_clock_ms();
	bool has_room = false;

	for (size_t i = 0; i < PHIAL_CALLERS_MAX; i++) {
		const struct phial_caller *caller = &worker->callers[i];
		int64_t turn_ms = 0;

		/* A hang-up is told without being asked for. */
		set[1 + i] = (struct pollfd){ .fd = -1 };
		has_room = has_room || caller->state <= PHIAL_CALLER_CONNECTED;
		if (caller->state == PHIAL_CALLER_FREE) {
			continue;
		}
		set[1 + i].fd = caller->fd;
		set[1 + i].events = caller->state == PHIAL_CALLER_CONNECTED ? POLLIN : 0;
		if (caller->state == PHIAL_CALLER_WAITING) {
			turn_ms = find_turn_ms(worker, caller->peer, now_ms);
		}
		if (turn_ms > 0) {
			sooner(ret_wait_ms, turn_ms - now_ms);
		} else if (turn_ms == 0 && caller->state == PHIAL_CALLER_WAITING) {
			sooner(ret_wait_ms, RETRY_MS);
		}
		if (caller->state != PHIAL_CALLER_SERVED) {
			sooner(ret_wait_ms, caller->deadline_ms - now_ms);
		}
	}
	set[0] = (struct pollfd){ may_accept && has_room ? worker->start->init_fd : -1, POLLIN, 0 };
}

/* It hung up. What is under way for it goes on: it may be in the container already. */
static void drop_caller(struct phial_worker *worker, struct phial_caller *caller)
{
	for (size_t i = PHIAL_CLIENTS_MAX; i < PHIAL_COUNT(worker->clients); i++) {
		if (worker->clients[i].caller == caller) {
			worker->clients[i].caller = NULL;
		}
	}
	close_caller(caller);
}

void phial_init_door_serve(struct phial_worker *worker, const struct pollfd *set)
{
	int64_t now_ms = phial_worker_clock_ms();

	for (size_t i = 0; i < PHIAL_CALLERS_MAX; i++) {
		struct phial_caller *caller = &worker->callers[i];

		/* One that was answered a moment ago may have given its place to nobody yet. */
		if (caller->state == PHIAL_CALLER_FREE || caller->fd != set[1 + i].fd) {
			continue;
		}
		if (set[1 + i].revents != 0 && caller->state == PHIAL_CALLER_CONNECTED) {
			receive_ask(worker, caller);
		} else if ((set[1 + i].revents & (POLLHUP | POLLERR)) != 0 ||
			   (caller->state != PHIAL_CALLER_SERVED &&
			    caller->deadline_ms <= now_ms)) {
			drop_caller(worker, caller);
		}
	}
	if (set[0].revents != 0) {
		accept_caller(worker);
	}
	while (start_mounter(worker)) {
	}
}
